"""Random matrices: Wishart variables, which are covariances, and the LKJ variables, which are correlations."""

from __future__ import annotations

import math
import warnings
from functools import cached_property
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..compat.missing import answer as _answer
from ..ops.tensor.creation import as_tensor
from ..ops.tensor.decompositions import cholesky
from ..ops.tensor.expand import broadcast_shapes
from ..ops.tensor.linear_algebra import cholesky_inverse, logdet
from ..ops.tensor.ranges import arange
from ..ops.tensor.special import mvlgamma
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, ExponentialFamily, checked
from .gamma import Beta
from .multivariate import diagonal, factor_of_inverse, half_log_det, one_matrix
from .ratios import Chi2
from .utils import broadcast_all, gaussian_noise

__all__ = ["LKJCholesky", "Wishart"]


class Wishart(ExponentialFamily):
    """The sum of x x^T over `df` normal vectors x of the covariance V, also for a `df` that is not a whole number.

    p(X) = det X^((df - K - 1) / 2) exp(-tr(V^-1 X) / 2) / (2^(df K / 2) det V^(df / 2) Gamma_K(df / 2)), for K x K

    A sample is L A A^T L^T, V = L L^T, with a triangle A of normal variables, and roots of chi2 variables on its
    diagonal.

    W. B. Smith, R. R. Hocking, "Wishart variate generator", 1972, https://doi.org/10.2307/2346290.

    Args:
        df: above K - 1.
        covariance_matrix, precision_matrix, scale_tril: V, V^-1 or L.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import Wishart
    >>> Wishart(minicnn.tensor(3.0), minicnn.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    arg_constraints = {  # noqa: RUF012
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
        "df": constraints.positive,
    }
    support = constraints.positive_definite
    has_rsample = True

    def __init__(
        self, df: Any, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        name, matrix = one_matrix(
            covariance_matrix=covariance_matrix, precision_matrix=precision_matrix, scale_tril=scale_tril
        )
        size = matrix.shape[-1]
        df = as_tensor(df, dtype=matrix.dtype, device=matrix.device)
        if bool((df <= size - 1).any()):
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {size - 1}.")
        if bool((df < size).any()):
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        batch = broadcast_shapes(tuple(matrix.shape[:-2]), tuple(df.shape))
        self.df = df.expand(batch)
        self.__dict__[name] = matrix.expand((*batch, -1, -1))
        super().__init__(batch, matrix.shape[-2:], validate_args)
        if name == "covariance_matrix":
            matrix = cholesky(matrix)
        elif name == "precision_matrix":
            matrix = factor_of_inverse(matrix)
        self._unbroadcasted_scale_tril = matrix
        self._chi2 = Chi2(self.df.unsqueeze(-1) - arange(size, dtype=df.dtype, device=df.device), False)

    @cached_property
    def scale_tril(self) -> Tensor:
        """L."""
        return self._unbroadcasted_scale_tril.expand((*self.batch_shape, *self.event_shape))

    @cached_property
    def covariance_matrix(self) -> Tensor:
        """V."""
        factor = self._unbroadcasted_scale_tril
        return (factor @ factor.mT).expand((*self.batch_shape, *self.event_shape))

    @cached_property
    def precision_matrix(self) -> Tensor:
        """V^-1."""
        return cholesky_inverse(self._unbroadcasted_scale_tril).expand((*self.batch_shape, *self.event_shape))

    @property
    def _wide_df(self) -> Tensor:
        return self.df.unsqueeze(-1).unsqueeze(-1)

    @property
    def mean(self) -> Tensor:
        return self._wide_df * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self._wide_df - self.event_shape[0] - 1
        return factor.masked_fill(factor <= 0, math.nan) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        along = diagonal(v)
        return self._wide_df * (v**2 + along.unsqueeze(-1) * along.unsqueeze(-2))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        shape = (*batch_shape, *self.event_shape)
        names = ("covariance_matrix", "precision_matrix", "scale_tril")
        given = {n: self.__dict__[n].expand(shape) for n in names if n in self.__dict__}
        given |= {"df": self.df.expand(batch_shape), "_unbroadcasted_scale_tril": self._unbroadcasted_scale_tril}
        return self._expanded(
            batch_shape, _instance, **given, _chi2=self._chi2.expand((*batch_shape, self.event_shape[0]))
        )

    def rsample(self, sample_shape: Any = (), max_try_correction: int | None = None) -> Tensor:
        below = gaussian_noise(self._extended_shape(sample_shape), self.df).tril(-1)
        factor = self._unbroadcasted_scale_tril @ (below + self._chi2.rsample(sample_shape).sqrt().diag_embed())
        return factor @ factor.mT

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        size = self.event_shape[0]
        trace = (self.precision_matrix * value).sum((-1, -2))
        determinant = (self.df - size - 1) * half_log_det(cholesky(value))
        return determinant - 0.5 * trace - self._log_constant()

    def _log_constant(self) -> Tensor:
        """log(2^(df K / 2) det V^(df / 2) Gamma_K(df / 2))."""
        size = self.event_shape[0]
        scale = 0.5 * size * math.log(2) + half_log_det(self._unbroadcasted_scale_tril)
        return self.df * scale + mvlgamma(self.df / 2, size)

    def entropy(self) -> Tensor:
        size, half = self.event_shape[0], self.df / 2
        steps = half.unsqueeze(-1) - 0.5 * arange(size, dtype=half.dtype, device=half.device)
        mean_log_det = steps.digamma().sum(-1) + size * math.log(2)
        mean_log_det = mean_log_det + 2 * half_log_det(self._unbroadcasted_scale_tril)
        return self._log_constant() - (half - (size + 1) / 2) * mean_log_det + half * size

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return -self.precision_matrix / 2, (self.df - self.event_shape[0] - 1) / 2

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        x, y = natural_params
        size = self.event_shape[0]
        half = y + (size + 1) / 2
        return half * (size * math.log(2) - logdet(-2 * x)) + mvlgamma(half, size)


class LKJCholesky(Distribution):
    """The Cholesky factor L of random correlations L L^T, with p(L) proportional to det(L L^T)^(c - 1) dC/dL.

    dC/dL is the stretch from L to the correlations C. With the concentration c = 1 all C are equally likely, a larger
    one prefers small correlations. A row of a sample has a random direction, and a length from a beta variable.

    D. Lewandowski, D. Kurowicka, H. Joe, "Generating random correlation matrices based on vines and extended onion
    method", 2009, https://doi.org/10.1016/j.jmva.2009.04.008.

    Args:
        dim: the number of rows.
        concentration: c.
        validate_args: check parameters and values.

    >>> from minicnn.distributions import LKJCholesky
    >>> LKJCholesky(2, 1.0).log_prob(minicnn.eye(2)).exp()  # the correlation is uniform from -1 to 1
    tensor(0.5000)
    """

    arg_constraints = {"concentration": constraints.positive}  # noqa: RUF012
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)
        row = arange(dim, dtype=self.concentration.dtype, device=self.concentration.device).clamp(min=1)  # 1, 1, 2 ...
        # the square of the length of the k numbers before the diagonal: a = k / 2, b = c + (dim - 1 - k) / 2
        self._beta = Beta(row / 2, self.concentration.unsqueeze(-1) + (dim - 1 - row) / 2, False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        c, beta = self.concentration.expand(batch_shape), self._beta.expand((*batch_shape, self.dim))
        return self._expanded(batch_shape, _instance, dim=self.dim, concentration=c, _beta=beta)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            tiny = float(np.finfo(self.concentration.dtype).tiny)
            direction = gaussian_noise(self._extended_shape(sample_shape), self.concentration).tril(-1)
            direction = direction / direction.norm(dim=-1, keepdim=True).clamp(min=tiny)
            below = self._beta.sample(sample_shape).sqrt().unsqueeze(-1) * direction
            return below + (1 - (below**2).sum(-1)).clamp(min=tiny).sqrt().diag_embed()

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        c, rest = self.concentration, self.dim - 1
        order = arange(rest - 1, -1, -1, dtype=c.dtype, device=c.device)  # dim - k for the rows k = 2 ... dim
        powers = ((2 * (c - 1)).unsqueeze(-1) + order) * diagonal(value)[..., 1:].log()
        top = c + 0.5 * rest
        constant = 0.5 * rest * math.log(math.pi) + mvlgamma(top - 0.5, rest) - rest * top.lgamma()
        return powers.sum(-1) - constant


_answer(globals())
