"""`minicnn.linalg`: norms, products, inverses and decompositions of matrices, as in `torch.linalg`."""

from __future__ import annotations

from ..ops.tensor.decompositions import cholesky, eigh, eigvalsh, qr, svd, svdvals
from ..ops.tensor.einsum import linalg_cross as cross
from ..ops.tensor.inverses import LinAlgError, det, inv, slogdet, solve
from ..ops.tensor.linear_algebra import (
    cholesky_ex,
    cond,
    inv_ex,
    lstsq,
    matrix_exp,
    matrix_power,
    matrix_rank,
    pinv,
    solve_triangular,
    tensorinv,
    tensorsolve,
    vander,
    vecdot,
)
from ..ops.tensor.linear_algebra import linalg_diagonal as diagonal
from ..ops.tensor.matmul import matmul, multi_dot
from ..ops.tensor.norm import linalg_norm as norm
from ..ops.tensor.norm import matrix_norm, vector_norm
from .doors import door as _door

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "inv_ex",
    "lstsq", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr",
    "slogdet", "solve", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot",
    "vector_norm",
]  # fmt: skip

_door(globals())
