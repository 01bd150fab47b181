"""The Kullback-Leibler divergence KL(p | q), the mean under p of log p(x) - log q(x): closed forms, in a table."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from ..compat.missing import answer as _answer
from ..ops.tensor.clamp import where
from ..tensor import Tensor
from .continuous import Exponential, Laplace, Normal, Uniform
from .counts import Bernoulli, Binomial, Geometric, Poisson
from .discrete import Categorical, OneHotCategorical
from .distribution import Distribution, ExponentialFamily
from .extremes import Gumbel
from .gamma import Beta, Dirichlet, Gamma
from .heavy_tails import Cauchy, Pareto
from .independent import Independent
from .multivariate import LowRankMultivariateNormal, MultivariateNormal
from .transformed import HalfNormal, TransformedDistribution
from .unit_interval import ContinuousBernoulli
from .utils import euler_constant, sum_rightmost

__all__ = ["kl_divergence", "register_kl"]

Form = Callable[[Any, Any], Tensor]
_FORMS: dict[tuple[type, type], Form] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Form], Form]:
    """Make a function the closed form for two classes and their subclasses: a decorator.

    >>> from minicnn.distributions import Normal, kl_divergence, register_kl
    >>> class Delta(Normal):
    ...     pass
    >>> @register_kl(Delta, Delta)
    ... def form(p, q):
    ...     return (p.loc - q.loc).abs()
    >>> kl_divergence(Delta(0.0, 1.0), Delta(3.0, 1.0))
    tensor(3.)
    """
    for kind in (type_p, type_q):
        if not (isinstance(kind, type) and issubclass(kind, Distribution)):
            raise TypeError(f"Expected type_p and type_q to be Distribution subclasses but got {kind}")

    def decorate(form: Form) -> Form:
        _FORMS[type_p, type_q] = form
        return form

    return decorate


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Return KL(p | q) for each variable of the batch.

    Raises:
        NotImplementedError: there is no closed form for the two classes.

    >>> from minicnn.distributions import Normal, kl_divergence
    >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    form = _most_specific(type(p).__mro__, type(q).__mro__)
    if form is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}; take the mean "
            "of p.log_prob(x) - q.log_prob(x) over samples x = p.rsample((n,))"
        )
    return form(p, q)


def _most_specific(kinds_p: tuple[type, ...], kinds_q: tuple[type, ...]) -> Form | None:
    """The form of the nearest base class of p, and of the nearest of q with it; they should be the same for q first."""
    by_p = [(one, other) for one in kinds_p for other in kinds_q if (one, other) in _FORMS]
    by_q = [(one, other) for other in kinds_q for one in kinds_p if (one, other) in _FORMS]
    if not by_p:
        return None
    if _FORMS[by_p[0]] is not _FORMS[by_q[0]]:
        names = [kind.__name__ for kind in (kinds_p[0], kinds_q[0], by_p[0][0], by_q[0][1])]
        warnings.warn(
            "Ambiguous kl_divergence({}, {}). Please register_kl({}, {})".format(*names), RuntimeWarning, stacklevel=3
        )
    return _FORMS[by_p[0]]


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - ratio.log())


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    distance, ratio = (p.loc - q.loc).abs(), p.scale / q.scale
    return -ratio.log() + distance / q.scale + ratio * (-distance / p.scale).exp() - 1


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return found.masked_fill((q.low > p.low) | (q.high < p.high), math.inf)


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    return b * (p.rate / q.rate).log() + b.lgamma() - a.lgamma() + (a - b) * a.digamma() + a * (q.rate / p.rate - 1)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1, keepdim=True)
    constants = total.squeeze(-1).lgamma() - b.sum(-1).lgamma() + (b.lgamma() - a.lgamma()).sum(-1)
    return constants + ((a - b) * (a.digamma() - total.digamma())).sum(-1)


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    one, zero = p.probs, 1 - p.probs
    found = one.xlogy(one) - one.xlogy(q.probs) + zero.xlogy(zero) - zero.xlogy(1 - q.probs)
    return where(found.isnan(), found * 0 + math.inf, found)


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = terms.masked_fill(((q.probs == 0) & (p.probs == p.probs)), math.inf)
    return terms.masked_fill(((p.probs == 0) & (q.probs == q.probs)), 0).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("KL of Independent distributions with different numbers of axes")
    return p._summed(kl_divergence(p.base_dist, q.base_dist))


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: ExponentialFamily, q: ExponentialFamily) -> Tensor:
    """A(theta_q) - A(theta_p) - <theta_q - theta_p, dA/dtheta_p>, for two of a family."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman "
            f"divergences: {type(p).__name__} and {type(q).__name__}"
        )
    normalizer, theta, slopes = p._normalizer_and_slopes()
    found = q._log_normalizer(*q._natural_params) - normalizer
    for ours, slope, theirs in zip(theta, slopes, q._natural_params, strict=True):
        inner = (theirs - ours) * slope
        found = found - sum_rightmost(inner, inner.ndim - len(q.batch_shape))
    return found


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    """The same transforms change nothing."""
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("KL of distributions with different transforms")
    found = kl_divergence(p.base_dist, q.base_dist)
    return sum_rightmost(found, len(p.event_shape) - len(p.base_dist.event_shape))


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: HalfNormal, q: HalfNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Cauchy, q: Cauchy) -> Tensor:
    """F. Chyzak, F. Nielsen, 2019, https://arxiv.org/abs/1905.10965."""
    return (((p.scale + q.scale) ** 2 + (p.loc - q.loc) ** 2) / (4 * p.scale * q.scale)).log()


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> Tensor:
    ratio, shift = p.scale / q.scale, (q.loc - p.loc) / q.scale
    return -ratio.log() + (ratio - 1) * euler_constant - shift + (shift + (ratio + 1).lgamma()).exp() - 1


@register_kl(Pareto, Pareto)
def _pareto(p: Pareto, q: Pareto) -> Tensor:
    ratio = q.alpha / p.alpha
    found = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return found.masked_fill(p.scale < q.scale, math.inf)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Tensor:
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    found = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return found.masked_fill(p.total_count > q.total_count, math.inf)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: ContinuousBernoulli, q: ContinuousBernoulli) -> Tensor:
    return p.mean * (p.logits - q.logits) + q._log_normalizer_of_logits() - p._log_normalizer_of_logits()


def _normal_vectors(p: Any, q: Any) -> Tensor:
    """(tr(S_q^-1 S_p) + (loc_p - loc_q)^T S_q^-1 (loc_p - loc_q) - K + log(det S_q / det S_p)) / 2."""
    trace = (q.precision_matrix * p.covariance_matrix).sum((-1, -2))
    distance = q._mahalanobis(p.loc - q.loc)
    return 0.5 * (trace + distance - p.event_shape[0]) + q._half_log_det() - p._half_log_det()


for _p in (MultivariateNormal, LowRankMultivariateNormal):
    for _q in (MultivariateNormal, LowRankMultivariateNormal):
        register_kl(_p, _q)(_normal_vectors)

_answer(globals())
