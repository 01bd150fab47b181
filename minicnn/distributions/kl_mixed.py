"""KL(p | q) for p and q of different families: -H(p) - E_p[log q(x)], where E_p[log q] takes means under p.

It is infinite where p has values that q excludes.
"""

from __future__ import annotations

import math
from typing import Any

from ..compat.missing import answer as _answer
from ..ops.tensor.expand import broadcast_shapes
from ..tensor import Tensor
from .continuous import Exponential, Laplace, Normal, Uniform
from .counts import Bernoulli, Binomial, Poisson
from .distribution import Distribution
from .extremes import Gumbel
from .gamma import Beta, Gamma
from .heavy_tails import Pareto
from .kl import Form, register_kl
from .unit_interval import ContinuousBernoulli
from .utils import euler_constant

# ------------------------------------------------------------------------------------------------ means under p


def _mean_log(p: Any) -> Tensor:
    """E[log x]."""
    if isinstance(p, Gamma):
        return p.concentration.digamma() - p.rate.log()
    if isinstance(p, Exponential):
        return -euler_constant - p.rate.log()
    if isinstance(p, Beta):
        return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    if isinstance(p, Pareto):
        return p.scale.log() + 1 / p.alpha
    return (p.high.xlogy(p.high) - p.low.xlogy(p.low)) / (p.high - p.low) - 1  # uniform


def _mean_log_rest(p: Any) -> Tensor:
    """E[log(1 - x)]."""
    if isinstance(p, Beta):
        return p.concentration0.digamma() - (p.concentration1 + p.concentration0).digamma()
    low, high = 1 - p.low, 1 - p.high  # uniform
    return (low.xlogy(low) - high.xlogy(high)) / (p.high - p.low) - 1


def _mean_decay(p: Any, rate: Tensor) -> Tensor:
    """E[exp(-rate x)]."""
    if isinstance(p, Normal):
        return (0.5 * (rate * p.scale) ** 2 - rate * p.loc).exp()
    if isinstance(p, Gamma):
        return (1 + rate / p.rate) ** -p.concentration
    if isinstance(p, Exponential):
        return p.rate / (p.rate + rate)
    return ((-rate * p.low).exp() - (-rate * p.high).exp()) / (rate * (p.high - p.low))  # uniform


def _square(p: Any, center: Any) -> Tensor:
    """E[(x - center)^2]."""
    return p.variance + (p.mean - center) ** 2


# ------------------------------------------------------------------------------------------------- E_p[log q(x)]


def _in_normal(p: Any, q: Any) -> Tensor:
    return -0.5 * _square(p, q.loc) / q.scale**2 - q.scale.log() - 0.5 * math.log(2 * math.pi)


def _in_exponential(p: Any, q: Any) -> Tensor:
    return q.rate.log() - q.rate * p.mean


def _in_gamma(p: Any, q: Any) -> Tensor:
    a = q.concentration
    return a * q.rate.log() + (a - 1) * _mean_log(p) - q.rate * p.mean - a.lgamma()


def _in_gumbel(p: Any, q: Any) -> Tensor:
    shifted = _mean_decay(p, 1 / q.scale) * (q.loc / q.scale).exp()
    return -(p.mean - q.loc) / q.scale - shifted - q.scale.log()


def _in_beta(p: Any, q: Any) -> Tensor:
    a, b = q.concentration1, q.concentration0
    constant = (a + b).lgamma() - a.lgamma() - b.lgamma()
    return (a - 1) * _mean_log(p) + (b - 1) * _mean_log_rest(p) + constant


def _in_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    return q.logits * p.mean - q._log_normalizer_of_logits()


def _in_pareto(p: Any, q: Any) -> Tensor:
    return q.alpha.log() + q.alpha * q.scale.log() - (q.alpha + 1) * _mean_log(p)


def _in_uniform(p: Any, q: Any) -> Tensor:
    return -(q.high - q.low).log()


def _in_laplace(p: Any, q: Any) -> Tensor:
    """For a normal p: E|x - loc| is the mean of a folded normal variable."""
    z = (p.loc - q.loc) / p.scale
    folded = p.scale * (math.sqrt(2 / math.pi) * (-0.5 * z * z).exp() + z * (z / math.sqrt(2)).erf())
    return -(2 * q.scale).log() - folded / q.scale


def _in_poisson(p: Any, q: Any) -> Tensor:
    """For p of 0 and 1: log x! is 0."""
    return p.mean * q.rate.log() - q.rate


_MEANS: dict[type[Distribution], Form] = {
    Beta: _in_beta, ContinuousBernoulli: _in_continuous_bernoulli, Exponential: _in_exponential, Gamma: _in_gamma,
    Gumbel: _in_gumbel, Laplace: _in_laplace, Normal: _in_normal, Pareto: _in_pareto, Poisson: _in_poisson,
    Uniform: _in_uniform,
}  # fmt: skip
_FINITE: dict[type[Distribution], tuple[type[Distribution], ...]] = {
    Bernoulli: (Poisson,),
    Beta: (ContinuousBernoulli, Exponential, Gamma, Normal, Uniform),
    ContinuousBernoulli: (Exponential, Normal, Uniform),
    Exponential: (Gamma, Gumbel, Normal),
    Gamma: (Exponential, Gumbel, Normal),
    Gumbel: (Normal,),
    Laplace: (Normal,),
    Normal: (Gumbel, Laplace),
    Pareto: (Exponential, Gamma, Normal),
    Uniform: (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Normal, Pareto),
}
_ABOVE_0 = (Exponential, Gamma, Pareto)
_UP_TO_1 = (Beta, ContinuousBernoulli, Uniform)
_INFINITE: dict[type[Distribution], tuple[type[Distribution], ...]] = {
    Beta: (Pareto,),
    ContinuousBernoulli: (Pareto,),
    Exponential: (*_UP_TO_1, Pareto),
    Gamma: (*_UP_TO_1, Pareto),
    Gumbel: (*_UP_TO_1, *_ABOVE_0),
    Laplace: (*_UP_TO_1, *_ABOVE_0),
    Normal: (*_UP_TO_1, *_ABOVE_0),
    Pareto: _UP_TO_1,
    Poisson: (Bernoulli, Binomial),
}


def _outside(p: Any, q: Any) -> Any:
    """Whether p has values that q excludes, where this depends on the parameters: in intervals."""
    if isinstance(q, Uniform):
        return (q.low > 0) | (q.high < 1)  # p is from 0 to 1
    if isinstance(p, Uniform) and not isinstance(q, (Gumbel, Normal)):
        low = q.scale if isinstance(q, Pareto) else 0
        return (p.low < low) | (p.high > 1) if isinstance(q, _UP_TO_1) else p.low < low
    return None


def _finite(mean_log: Form) -> Form:
    def form(p: Any, q: Any) -> Tensor:
        found = -p.entropy() - mean_log(p, q)
        outside = _outside(p, q)
        return found if outside is None else found.masked_fill(outside, math.inf)

    return form


def _infinite(p: Any, q: Any) -> Tensor:
    return p.mean.new_full(broadcast_shapes(tuple(p.batch_shape), tuple(q.batch_shape)), math.inf)


for _p, _others in _FINITE.items():
    for _q in _others:
        register_kl(_p, _q)(_finite(_MEANS[_q]))
for _p, _others in _INFINITE.items():
    for _q in _others:
        register_kl(_p, _q)(_infinite)

_answer(globals())
