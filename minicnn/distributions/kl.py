"""The Kullback-Leibler divergence KL(p | q), the mean under p of log p(x) - log q(x): closed forms, in a table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..compat.missing import answer as _answer
from ..ops.tensor.clamp import where
from ..tensor import Tensor
from .continuous import Exponential, Laplace, Normal, Uniform
from .discrete import Bernoulli, Categorical, OneHotCategorical
from .distribution import Distribution
from .gamma import Beta, Dirichlet, Gamma
from .independent import Independent

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
    for kind_p in type(p).__mro__:
        for kind_q in type(q).__mro__:
            if (kind_p, kind_q) in _FORMS:
                return _FORMS[kind_p, kind_q](p, q)
    raise NotImplementedError(
        f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}; take the mean of "
        "p.log_prob(x) - q.log_prob(x) over samples x = p.rsample((n,))"
    )


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


@register_kl(Uniform, Normal)
def _uniform_normal(p: Uniform, q: Normal) -> Tensor:
    width = p.high - p.low
    square = width**2 / 12 + ((p.high + p.low) / 2 - q.loc) ** 2
    return (math.sqrt(2 * math.pi) * q.scale / width).log() + 0.5 * square / q.scale**2


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


_answer(globals())
