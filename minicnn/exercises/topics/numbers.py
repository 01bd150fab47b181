"""The numbers of the cases. Whole numbers can be followed on paper; none is 0, and few are equal."""

from __future__ import annotations

import numpy as np

from minicnn_kernels.arrays import Array

from ..exercise import Case


def wholes(seed: int, *shape: int) -> Array:
    """Whole numbers from -5 to 5 without 0, as float64."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1, 6, shape) * rng.choice([-1, 1], shape)
    return np.asarray(numbers, np.float64)


def reals(seed: int, *shape: int) -> Array:
    """Normally distributed numbers."""
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def in_float32(case: Case) -> Case:
    """The case with other numbers, of 32 bits as nets have them: those of each row are moved by one place."""
    args = {
        name: np.roll(value, 1, -1).astype(np.float32) if getattr(value, "dtype", None) == np.float64 else value
        for name, value in case.args.items()
    }
    return Case(f"{case.title}, in float32", args)
