"""`minicnn.linalg`: norms and products of matrices. Decompositions are left out: use `numpy.linalg` on `x.numpy()`."""

from __future__ import annotations

from ..ops.tensor.einsum import linalg_cross as cross
from ..ops.tensor.matmul import matmul, multi_dot
from ..ops.tensor.norm import linalg_norm as norm
from ..ops.tensor.norm import matrix_norm, vector_norm
from .doors import door as _door

__all__ = ["cross", "matmul", "matrix_norm", "multi_dot", "norm", "vector_norm"]

_door(globals())
