"""Transforms of vectors to shares of a whole, and of vectors and matrices to triangles of covariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...compat.missing import answer as _answer
from ...dtypes import Size
from ...ops.activation import logsigmoid, softplus
from ...ops.pad import pad
from ...ops.tensor.creation import eye
from ...ops.tensor.decompositions import cholesky
from ...ops.tensor.ranges import arange
from ...tensor import Tensor
from .. import constraints
from ..utils import tril_matrix_to_vec, vec_to_tril_matrix
from .elementwise import inside
from .transform import Transform, at_least

__all__ = [
    "CorrCholeskyTransform", "LowerCholeskyTransform", "PositiveDefiniteTransform", "SoftmaxTransform",
    "StickBreakingTransform",
]  # fmt: skip


class SoftmaxTransform(Transform):
    """y = softmax(x) over the last axis. The same number added to all x changes nothing, so the inverse is one of many.

    >>> from minicnn.distributions.transforms import SoftmaxTransform
    >>> SoftmaxTransform()(minicnn.tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    _compared = ()

    def _call(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def forward_shape(self, shape: Any) -> Any:
        at_least(shape, 1)
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(Transform):
    """K numbers to K + 1 shares of a stick: each one breaks off the part z_k of what is left, the last takes the rest.

    z_k = sigmoid(x_k - log(K + 1 - k)), k = 1 ... K: x = 0 gives equal shares. y_k = z_k (1 - z_1) ... (1 - z_{k-1}),
    so that dy/dx is a triangle with the diagonal y_k (1 - z_k).

    >>> from minicnn.distributions.transforms import StickBreakingTransform
    >>> StickBreakingTransform()(minicnn.zeros(3))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True
    _compared = ()

    @staticmethod
    def _offset(x: Tensor) -> Tensor:
        return arange(x.shape[-1], 0, -1, dtype=x.dtype, device=x.device).log()

    def _call(self, x: Tensor) -> Tensor:
        z = inside((x - self._offset(x)).sigmoid())
        return pad(z, [0, 1], value=1) * pad((1 - z).cumprod(-1), [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        y = y[..., :-1]
        rest = 1 - y.cumsum(-1)
        return y.log() - rest.clamp(min=float(np.finfo(y.dtype).tiny)).log() + self._offset(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (logsigmoid(self._offset(x) - x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        at_least(shape, 1)
        return Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: Any) -> Any:
        at_least(shape, 1)
        return Size((*shape[:-1], shape[-1] - 1))


def _below_one(z: Tensor) -> Tensor:
    eps = float(np.finfo(z.dtype).eps)
    return z.clamp(eps - 1, 1 - eps)


class CorrCholeskyTransform(Transform):
    """D (D - 1) / 2 numbers to the Cholesky factor (D, D) of correlations: a triangle with rows of length 1.

    z = tanh(x), below the diagonal of a matrix. In each row y_j = z_j sqrt((1 - z_1^2) ... (1 - z_{j-1}^2)), where the
    root is what length the numbers before have left; the diagonal takes the rest.

    >>> from minicnn.distributions.transforms import CorrCholeskyTransform
    >>> CorrCholeskyTransform()(minicnn.zeros(1))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        z = vec_to_tril_matrix(_below_one(x.tanh()), -1)
        left = (1 - z * z).sqrt().cumprod(-1)
        return (z + eye(z.shape[-1], dtype=z.dtype, device=z.device)) * pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = pad((1 - (y * y).cumsum(-1))[..., :-1], [1, 0], value=1)
        z = tril_matrix_to_vec(y, -1) / tril_matrix_to_vec(left, -1).sqrt()
        return (z.log1p() - (-z).log1p()) / 2

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        left = tril_matrix_to_vec(1 - (y * y).cumsum(-1), -2)  # each factor sqrt(left) is the stretch of one number
        return 0.5 * left.log().sum(-1) - 2 * (x + softplus(-2 * x) - math.log(2)).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        at_least(shape, 1)
        size = round((0.25 + 2 * shape[-1]) ** 0.5 + 0.5)
        if size * (size - 1) // 2 != shape[-1]:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return Size((*shape[:-1], size, size))

    def inverse_shape(self, shape: Any) -> Any:
        at_least(shape, 2)
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return Size((*shape[:-2], shape[-1] * (shape[-1] - 1) // 2))


class LowerCholeskyTransform(Transform):
    """Matrices to lower triangles with a positive diagonal: the exponential of the diagonal, and what is below it.

    >>> from minicnn.distributions.transforms import LowerCholeskyTransform
    >>> LowerCholeskyTransform()(minicnn.tensor([[0.0, 7.0], [3.0, 0.0]]))
    tensor([[1., 0.],
            [3., 1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky
    _compared = ()

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(Transform):
    """Matrices to covariances L L^T, where L is made by `LowerCholeskyTransform`.

    >>> from minicnn.distributions.transforms import PositiveDefiniteTransform
    >>> PositiveDefiniteTransform()(minicnn.tensor([[0.0, 7.0], [3.0, 0.0]]))
    tensor([[ 1.,  3.],
            [ 3., 10.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite
    _compared = ()

    def _call(self, x: Tensor) -> Tensor:
        triangle = LowerCholeskyTransform()(x)
        return triangle @ triangle.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(cholesky(y))


_answer(globals())
