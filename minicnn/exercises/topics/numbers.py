"""The numbers of the cases. Whole numbers can be followed on paper; none is 0, and few are equal."""

from __future__ import annotations

import numpy as np

from minicnn_kernels.arrays import Array


def wholes(seed: int, *shape: int) -> Array:
    """Whole numbers from -5 to 5 without 0, as float64."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1, 6, shape) * rng.choice([-1, 1], shape)
    return np.asarray(numbers, np.float64)


def reals(seed: int, *shape: int) -> Array:
    """Normally distributed numbers."""
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))
