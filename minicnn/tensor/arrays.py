"""The numbers of a tensor as NumPy's array, for what only reads them: explanations, figures, tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from .tensor import Tensor


def array_of(a: Any) -> Array:
    """The numbers of a tensor, on the CPU wherever the tensor is and without its graph; or of what NumPy takes."""
    return a.numpy(force=True) if isinstance(a, Tensor) else np.asarray(a)
