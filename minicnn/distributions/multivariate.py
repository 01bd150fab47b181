"""Normal vectors, with the covariance as a matrix or as a matrix of low rank and a diagonal.

    p(x) = exp(-M / 2) / sqrt(det(2 pi S)),    M = (x - loc)^T S^-1 (x - loc)

With the Cholesky factor S = L L^T a sample is loc + L n, M is the square of L^-1 (x - loc), and sqrt(det S) the product
of the diagonal of L.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

from ..compat.missing import answer as _answer
from ..dtypes import Size
from ..ops.tensor.creation import eye
from ..ops.tensor.decompositions import cholesky
from ..ops.tensor.expand import broadcast_shapes, broadcast_tensors
from ..ops.tensor.linear_algebra import cholesky_inverse, solve_triangular
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, checked
from .utils import gaussian_noise

__all__ = ["LowRankMultivariateNormal", "MultivariateNormal"]


def diagonal(x: Tensor) -> Tensor:
    """The diagonals of matrices."""
    return x.diagonal(dim1=-2, dim2=-1)


def half_log_det(factor: Tensor) -> Tensor:
    """log sqrt(det S) of a Cholesky factor."""
    return diagonal(factor).log().sum(-1)


def inverse_factor(factor: Tensor) -> Tensor:
    """L^-1."""
    one = eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    return solve_triangular(factor, one.expand(factor.shape), upper=False)


def times(matrix: Tensor, vector: Tensor) -> Tensor:
    """The products of matrices and vectors."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def factor_of_inverse(precision: Tensor) -> Tensor:
    """The Cholesky factor of P^-1, without the inverse.

    The factor of P turned by 180 degrees, turned back, is an upper triangle U with P = U U^T. So the inverse of P is
    (U^-T)(U^-T)^T, where U^-T is a lower triangle.
    """
    turned = cholesky(precision.flip((-2, -1))).flip((-2, -1))
    return inverse_factor(turned.mT)


class _NormalVector(Distribution):
    """What both forms share: `loc`, and samples of any number."""

    support = constraints.real_vector
    has_rsample = True
    loc: Tensor

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    def _half_log_det(self) -> Tensor:
        raise NotImplementedError

    def entropy(self) -> Tensor:
        found = 0.5 * self.event_shape[0] * (1 + math.log(2 * math.pi)) + self._half_log_det()
        return found.expand(self.batch_shape)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        constant = 0.5 * self.event_shape[0] * math.log(2 * math.pi)
        return -0.5 * self._mahalanobis(value - self.loc) - constant - self._half_log_det()

    def _mahalanobis(self, distance: Tensor) -> Tensor:
        raise NotImplementedError


def one_matrix(**given: Tensor | None) -> tuple[str, Tensor]:
    """The matrix that is given, of several that could be, and its name."""
    found = [(name, matrix) for name, matrix in given.items() if matrix is not None]
    if len(found) != 1:
        raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
    name, matrix = found[0]
    if matrix.ndim < 2:
        text = "scale_tril matrix" if name == "scale_tril" else name
        raise ValueError(f"{text} must be at least two-dimensional, with optional leading batch dimensions")
    return name, matrix


class MultivariateNormal(_NormalVector):
    """Normal vectors (..., K) with a covariance (..., K, K), which is given in one of three forms.

    Args:
        loc: the mean.
        covariance_matrix: S.
        precision_matrix: S^-1.
        scale_tril: L, the lower triangle with a positive diagonal and S = L L^T. The others are computed from it.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import MultivariateNormal
    >>> MultivariateNormal(minicnn.zeros(2), minicnn.eye(2)).log_prob(minicnn.tensor([1.0, 0.0]))
    tensor(-2.3379)
    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }

    def __init__(
        self, loc: Tensor, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = one_matrix(
            covariance_matrix=covariance_matrix, precision_matrix=precision_matrix, scale_tril=scale_tril
        )
        batch = broadcast_shapes(tuple(matrix.shape[:-2]), tuple(loc.shape[:-1]))
        self.__dict__[name] = matrix.expand((*batch, -1, -1))
        self.loc = loc.expand((*batch, -1))
        super().__init__(batch, self.loc.shape[-1:], validate_args)
        # The factor of one matrix is computed once, not for a whole batch.
        if name == "covariance_matrix":
            matrix = cholesky(matrix)
        elif name == "precision_matrix":
            matrix = factor_of_inverse(matrix)
        self._unbroadcasted_scale_tril = matrix

    @cached_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance."""
        return self._unbroadcasted_scale_tril.expand((*self.batch_shape, *self.event_shape, *self.event_shape))

    @cached_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        factor = self._unbroadcasted_scale_tril
        return (factor @ factor.mT).expand((*self.batch_shape, *self.event_shape, *self.event_shape))

    @cached_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        found = cholesky_inverse(self._unbroadcasted_scale_tril)
        return found.expand((*self.batch_shape, *self.event_shape, *self.event_shape))

    @property
    def variance(self) -> Tensor:
        return (self._unbroadcasted_scale_tril**2).sum(-1).expand((*self.batch_shape, *self.event_shape))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        events = self.event_shape
        names = ("covariance_matrix", "precision_matrix", "scale_tril")
        given = {n: self.__dict__[n].expand((*batch_shape, *events, *events)) for n in names if n in self.__dict__}
        given["loc"] = self.loc.expand((*batch_shape, *events))
        given["_unbroadcasted_scale_tril"] = self._unbroadcasted_scale_tril
        return self._expanded(batch_shape, _instance, **given)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        n = gaussian_noise(self._extended_shape(sample_shape), self.loc)
        return self.loc + times(self._unbroadcasted_scale_tril, n)

    def _mahalanobis(self, distance: Tensor) -> Tensor:
        return (times(inverse_factor(self._unbroadcasted_scale_tril), distance) ** 2).sum(-1)

    def _half_log_det(self) -> Tensor:
        return half_log_det(self._unbroadcasted_scale_tril)


class LowRankMultivariateNormal(_NormalVector):
    """Normal vectors (..., K) with the covariance S = W W^T + D, for few columns of W.

    Nothing of size K x K is needed, with the capacitance C = 1 + W^T D^-1 W, of the size of the rank (Woodbury):

        S^-1 = D^-1 - D^-1 W C^-1 W^T D^-1,    det S = det C det D

    Args:
        loc: the mean.
        cov_factor: W (..., K, rank).
        cov_diag: the diagonal of D (..., K).
        validate_args: check parameters and values.

    >>> from minicnn.distributions import LowRankMultivariateNormal
    >>> one = LowRankMultivariateNormal(minicnn.zeros(2), minicnn.ones(2, 1), minicnn.ones(2))
    >>> one.covariance_matrix
    tensor([[2., 1.],
            [1., 2.]])
    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        events = loc.shape[-1:]
        if cov_factor.ndim < 2:
            raise ValueError("cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        if cov_factor.shape[-2:-1] != events:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {events[0]} x m")
        if cov_diag.shape[-1:] != events:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {Size(events)}")
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        loc_, diag_ = broadcast_tensors(loc, cov_diag)
        batch = broadcast_shapes(tuple(loc_.shape[:-1]), tuple(cov_factor.shape[:-2]))
        self.loc, self.cov_diag = loc_.expand((*batch, -1)), diag_.expand((*batch, -1))
        self.cov_factor = cov_factor.expand((*batch, -1, -1))
        super().__init__(batch, events, validate_args)

    @property
    def _capacitance_tril(self) -> Tensor:
        """The Cholesky factor of C."""
        factor = self._unbroadcasted_cov_factor
        inner = factor.mT @ (factor / self._unbroadcasted_cov_diag.unsqueeze(-1))
        return cholesky(inner + eye(factor.shape[-1], dtype=factor.dtype, device=factor.device))

    @cached_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        factor = self._unbroadcasted_cov_factor
        found = factor @ factor.mT + self._unbroadcasted_cov_diag.diag_embed()
        return found.expand((*self.batch_shape, *self.event_shape, *self.event_shape))

    @cached_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        diag = self._unbroadcasted_cov_diag
        part = inverse_factor(self._capacitance_tril) @ (self._unbroadcasted_cov_factor / diag.unsqueeze(-1)).mT
        found = (1 / diag).diag_embed() - part.mT @ part
        return found.expand((*self.batch_shape, *self.event_shape, *self.event_shape))

    @cached_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance."""
        return cholesky(self.covariance_matrix)

    @property
    def variance(self) -> Tensor:
        found = (self._unbroadcasted_cov_factor**2).sum(-1) + self._unbroadcasted_cov_diag
        return found.expand((*self.batch_shape, *self.event_shape))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        shape = (*batch_shape, *self.event_shape)
        return self._expanded(
            batch_shape,
            _instance,
            loc=self.loc.expand(shape),
            cov_diag=self.cov_diag.expand(shape),
            cov_factor=self.cov_factor.expand((*shape, self.cov_factor.shape[-1])),
            _unbroadcasted_cov_factor=self._unbroadcasted_cov_factor,
            _unbroadcasted_cov_diag=self._unbroadcasted_cov_diag,
        )

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        low = gaussian_noise(Size((*shape[:-1], self.cov_factor.shape[-1])), self.loc)
        noise = self._unbroadcasted_cov_diag.sqrt() * gaussian_noise(shape, self.loc)
        return self.loc + times(self._unbroadcasted_cov_factor, low) + noise

    def _mahalanobis(self, distance: Tensor) -> Tensor:
        scaled = distance / self._unbroadcasted_cov_diag
        inner = times(inverse_factor(self._capacitance_tril) @ self._unbroadcasted_cov_factor.mT, scaled)
        return (distance * scaled).sum(-1) - (inner**2).sum(-1)

    def _half_log_det(self) -> Tensor:
        return half_log_det(self._capacitance_tril) + 0.5 * self._unbroadcasted_cov_diag.log().sum(-1)


_answer(globals())
