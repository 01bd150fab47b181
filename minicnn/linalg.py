"""`minicnn.linalg`: norms and products of matrices. Decompositions are left out: `numpy.linalg` on `x.numpy()`."""

from __future__ import annotations

from .missing import answer as _answer
from .ops.einsum import linalg_cross as cross
from .ops.linear import matmul, multi_dot
from .ops.norm import linalg_norm as norm
from .ops.norm import matrix_norm, vector_norm

__all__ = ["cross", "matmul", "matrix_norm", "multi_dot", "norm", "vector_norm"]

_answer(globals())
