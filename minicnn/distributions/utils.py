"""What several distributions need: parameters of one shape, probabilities and their logits, triangles as vectors."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from minicnn_kernels.arrays import beside, host

from ..compat.missing import answer as _answer
from ..dtypes import Size, get_default_dtype
from ..ops.tensor.concatenate import cat
from ..ops.tensor.creation import tensor
from ..ops.tensor.expand import broadcast_tensors
from ..ops.tensor.ranges import tril_indices
from ..ops.tensor.sampling import rand, randn, rng_of
from ..ops.tensor.zeros_like import zeros_like
from ..tensor import Tensor

__all__ = [
    "broadcast_all", "clamp_probs", "euler_constant", "lazy_property", "logits_to_probs", "probs_to_logits",
    "tril_matrix_to_vec", "vec_to_tril_matrix",
]  # fmt: skip

euler_constant = 0.57721566490153286060  # the mean of a standard Gumbel variable
lazy_property = cached_property


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Return numbers and tensors as tensors of one shape; numbers take the type of the first tensor."""
    for value in values:
        if not isinstance(value, (Tensor, int, float, np.number)):
            raise ValueError(
                "Input arguments must all be instances of Number, minicnn.Tensor or objects implementing "
                f"__torch_function__, got {type(value).__name__}"
            )
    first = next((value for value in values if isinstance(value, Tensor)), None)
    dtype = get_default_dtype() if first is None else first.dtype
    device = None if first is None else first.device
    return broadcast_tensors(*[v if isinstance(v, Tensor) else tensor(v, dtype=dtype, device=device) for v in values])


def clamp_probs(probs: Tensor) -> Tensor:
    """Return probabilities moved away from 0 and 1 by the smallest step of their type, for finite logarithms."""
    eps = float(np.finfo(probs.dtype).eps)
    return probs.clamp(eps, 1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Return log p, or log(p / (1 - p)) for `is_binary`, of clamped probabilities."""
    clamped = clamp_probs(probs)
    return clamped.log() - (-clamped).log1p() if is_binary else clamped.log()


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Return softmax(logits) over the last axis, or sigmoid(logits) for `is_binary`."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def one_of(probs: Any, logits: Any) -> None:
    """Refuse both parameters, or none."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


def sum_rightmost(x: Tensor, axes: int) -> Tensor:
    """Return the sum over the last axes."""
    return x.reshape((*x.shape[: x.ndim - axes], -1)).sum(-1) if axes else x


def gaussian_noise(shape: Size, like: Tensor) -> Tensor:
    """Draw normal variables of the type and device of a tensor."""
    return randn(shape, dtype=like.dtype, device=like.device)


def uniform_noise(shape: Size, like: Tensor) -> Tensor:
    """Draw from (0, 1) in the type and on the device of a tensor, without the ends, whose logarithms are infinite."""
    return clamp_probs(rand(shape, dtype=like.dtype, device=like.device))


def drawn(kind: str, *parameters: Tensor) -> Tensor:
    """Draw with NumPy's generator, on the CPU, a value for each element of the parameters, in the type of the last."""
    arrays = [host(p.detach().array) for p in parameters]
    values = getattr(rng_of(None), kind)(*[a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays])
    return Tensor(beside(np.asarray(values).astype(parameters[-1].dtype), parameters[-1].array))


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """Return the lower triangle of matrices (..., N, N), up to diagonal `diag`, as vectors, row by row.

    >>> from minicnn.distributions.utils import tril_matrix_to_vec
    >>> tril_matrix_to_vec(minicnn.tensor([[1, 2], [3, 4]]))
    tensor([1, 3, 4])
    """
    size = mat.shape[-1]
    if not -size <= diag < size:
        raise ValueError(f"diag ({diag}) provided is outside [{-size}, {size - 1}].")
    row, column = tril_indices(size, size, diag)
    return mat[..., row, column]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """Return the matrices whose lower triangle, up to diagonal `diag`, is a vector; the rest is 0.

    >>> from minicnn.distributions.utils import vec_to_tril_matrix
    >>> vec_to_tril_matrix(minicnn.tensor([1., 2., 3.]))
    tensor([[1., 0.],
            [2., 3.]])
    """
    # (N + diag)(N + diag + 1) / 2 numbers, with diag <= 0
    count = vec.shape[-1]
    size = (math.isqrt(8 * count + 1) - 1) // 2 - diag
    row, column = tril_indices(size, size, diag)
    if len(row) != count:
        raise ValueError(
            f"The size of last dimension is {count} which cannot be expressed as the lower triangular part of a square "
            "D x D matrix."
        )
    where = np.zeros((size, size), np.int64)
    where[host(row.array), host(column.array)] = np.arange(1, count + 1)  # 0 for the rest
    after_zero = cat([zeros_like(vec[..., :1]), vec], -1)
    return after_zero[..., tensor(where, device=vec.device)]


_answer(globals())
