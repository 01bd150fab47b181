"""Distributions: samples have the moments of the closed forms, gradients of samples are those of the moments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import minicnn
from minicnn import distributions as d

COUNT = 20_000


def t(*values: Any) -> minicnn.Tensor:
    """Make a tensor of float64."""
    return minicnn.tensor(values, dtype=minicnn.float64)


DRAWN = {
    "Normal": d.Normal(t(1.0, -2.0), t(0.5, 3.0)),
    "Laplace": d.Laplace(t(1.0, -2.0), t(0.5, 3.0)),
    "Exponential": d.Exponential(t(0.5, 4.0)),
    "Uniform": d.Uniform(t(-1.0, 2.0), t(1.0, 7.0)),
    "Gamma": d.Gamma(t(0.4, 5.0), t(2.0, 0.5)),
    "Beta": d.Beta(t(0.5, 4.0), t(2.0, 1.5)),
    "Dirichlet": d.Dirichlet(t([0.5, 1.0, 3.0], [2.0, 2.0, 0.3])),
    "Bernoulli": d.Bernoulli(t(0.2, 0.9)),
    "OneHotCategorical": d.OneHotCategorical(t([0.2, 0.5, 0.3], [0.0, 0.1, 0.9])),
    "Multinomial": d.Multinomial(7, t([0.2, 0.5, 0.3], [0.0, 0.1, 0.9])),
}


@pytest.mark.parametrize("name", DRAWN)
def test_samples_have_the_mean_and_the_variance(name: str) -> None:
    minicnn.manual_seed(0)
    one = DRAWN[name]
    x = one.sample((COUNT,))
    assert x.shape == (COUNT, *one.batch_shape, *one.event_shape) and not x.requires_grad
    error = 5 * one.stddev.numpy() / math.sqrt(COUNT) + 1e-12
    assert (np.abs(x.mean(0).numpy() - one.mean.numpy()) < error).all()
    np.testing.assert_allclose(x.var(0).numpy(), one.variance.numpy(), 0.1, 1e-12)
    assert bool(one.support.check(x).all())


@pytest.mark.parametrize("name", DRAWN)
def test_the_entropy_is_the_mean_of_the_surprise(name: str) -> None:
    minicnn.manual_seed(1)
    one = DRAWN[name]
    surprise = -one.log_prob(one.sample((COUNT,)))
    error = 5 * surprise.std(0).numpy() / math.sqrt(COUNT) + 1e-12
    assert (np.abs(surprise.mean(0).numpy() - one.entropy().numpy()) < error).all()


@pytest.mark.parametrize(
    ("kind", "values", "exact"),
    [
        (d.Normal, (1.0, 0.5), lambda p: p[0] ** 2 + p[1] ** 2),
        (d.Laplace, (1.0, 0.5), lambda p: p[0] ** 2 + 2 * p[1] ** 2),
        (d.Exponential, (2.0,), lambda p: 2 / p[0] ** 2),
        (d.Uniform, (1.0, 3.0), lambda p: (p[0] ** 2 + p[0] * p[1] + p[1] ** 2) / 3),
        (d.Gamma, (2.5, 1.5), lambda p: p[0] * (p[0] + 1) / p[1] ** 2),
        (d.Beta, (2.5, 1.5), lambda p: p[0] * (p[0] + 1) / ((p[0] + p[1]) * (p[0] + p[1] + 1))),
    ],
)
def test_gradients_of_samples_are_those_of_the_mean_square(kind: Any, values: tuple[float, ...], exact: Any) -> None:
    minicnn.manual_seed(2)
    given = [minicnn.full((COUNT,), v, dtype=minicnn.float64, requires_grad=True) for v in values]
    (kind(*given).rsample() ** 2).sum().backward()
    other = [t(v).requires_grad_() for v in values]
    exact(other).sum().backward()
    for mine, theirs in zip(given, other, strict=True):
        error = 5 * mine.grad.std().item() / math.sqrt(COUNT)
        assert abs(mine.grad.mean().item() - theirs.grad.item()) < error


def test_classes_come_as_often_as_they_should() -> None:
    minicnn.manual_seed(3)
    one = d.Categorical(t([1.0, 2.0, 1.0], [0.0, 0.0, 5.0]))
    found = one.sample((1000, 4))
    assert found.shape == (1000, 4, 2) and found.dtype == minicnn.int64
    assert np.bincount(found[..., 0].numpy().ravel()) / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.04)
    assert (found[..., 1] == 2).all()
    assert d.Categorical(minicnn.ones(3)).sample().shape == ()
    assert one.sample((0,)).shape == (0, 2)


def test_a_gamma_cdf_has_both_derivatives() -> None:
    a, x = t(0.3, 2.0, 8.0).requires_grad_(), t(0.5, 1.5, 11.0).requires_grad_()
    y = d.Gamma(a, t(1.0)).cdf(x)
    np.testing.assert_allclose(y.detach().numpy(), stats.gamma.cdf(x.detach().numpy(), a.detach().numpy()), 1e-12)
    assert minicnn.autograd.gradcheck(lambda a, x: d.Gamma(a, t(1.0)).cdf(x), (a, x))


def test_log_probs_have_gradients() -> None:
    a, b, x = t(0.5, 2.0).requires_grad_(), t(1.5, 0.7).requires_grad_(), t(0.3, 0.6).requires_grad_()
    for kind in (d.Normal, d.Laplace, d.Gamma, d.Beta):
        assert minicnn.autograd.gradcheck(lambda a, b, x, k=kind: k(a, b).log_prob(x), (a, b, x))
        assert minicnn.autograd.gradgradcheck(lambda a, b, x, k=kind: k(a, b).log_prob(x), (a, b, x))


def test_checks_can_be_switched_off_for_all() -> None:
    d.Distribution.set_default_validate_args(False)
    try:
        assert d.Normal(0.0, -1.0).scale == -1
    finally:
        d.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="Expected parameter scale"):
        d.Normal(0.0, -1.0)


def test_a_uniform_variable_needs_an_interval() -> None:
    with pytest.raises(ValueError, match="low>= high"):
        d.Uniform(1.0, 0.0)


def test_the_entropy_of_counts_is_the_sum_over_all_counts() -> None:
    one = d.Multinomial(3, t(0.2, 0.5, 0.3))
    every = [t(float(i), float(j), 3.0 - i - j) for i in range(4) for j in range(4 - i)]
    logs = [one.log_prob(x).item() for x in every]
    assert sum(map(math.exp, logs)) == pytest.approx(1)
    assert one.entropy().item() == pytest.approx(-sum(p * math.exp(p) for p in logs))


def test_classes_have_pytorchs_paths() -> None:
    from minicnn.distributions.beta import Beta
    from minicnn.distributions.categorical import Categorical
    from minicnn.distributions.normal import Normal
    from minicnn.distributions.utils import broadcast_all

    from minicnn.distributions.distribution import Distribution
    from minicnn.distributions.kl import kl_divergence

    assert (Beta, Categorical, Distribution, Normal) == (d.Beta, d.Categorical, d.Distribution, d.Normal)
    assert kl_divergence is d.kl_divergence and d.normal.Normal is Normal
    assert [x.shape for x in broadcast_all(1.0, minicnn.zeros(2))] == [(2,), (2,)]
