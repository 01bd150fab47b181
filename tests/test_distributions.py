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
    "OneHotCategoricalStraightThrough": d.OneHotCategoricalStraightThrough(t([0.2, 0.5, 0.3])),
    "Binomial": d.Binomial(7, t(0.2, 0.9)),
    "Geometric": d.Geometric(t(0.2, 0.9)),
    "NegativeBinomial": d.NegativeBinomial(t(2.5, 8.0), t(0.4, 0.1)),
    "Poisson": d.Poisson(t(0.5, 20.0)),
    "HalfNormal": d.HalfNormal(t(0.5, 3.0)),
    "StudentT": d.StudentT(t(9.0, 30.0), t(1.0, -2.0), t(0.5, 3.0)),
    "Chi2": d.Chi2(t(0.8, 5.0)),
    "FisherSnedecor": d.FisherSnedecor(t(3.0, 5.0), t(30.0, 20.0)),
    "Gumbel": d.Gumbel(t(1.0, -2.0), t(0.5, 3.0)),
    "Weibull": d.Weibull(t(1.0, 2.0), t(0.8, 3.0)),
    "Pareto": d.Pareto(t(1.0, 2.0), t(12.0, 20.0)),
    "GeneralizedPareto": d.GeneralizedPareto(t(1.0, 2.0, 0.0), t(2.0, 0.5, 1.0), t(-0.5, 0.1, 0.0)),
    "LogNormal": d.LogNormal(t(0.5, -1.0), t(0.3, 0.5)),
    "InverseGamma": d.InverseGamma(t(12.0, 20.0), t(2.0, 0.5)),
    "Kumaraswamy": d.Kumaraswamy(t(0.5, 4.0), t(2.0, 1.5)),
    "ContinuousBernoulli": d.ContinuousBernoulli(t(0.1, 0.5, 0.8)),
    "MultivariateNormal": d.MultivariateNormal(t(1.0, -2.0), t([2.0, 0.6], [0.6, 0.5])),
    "LowRankMultivariateNormal": d.LowRankMultivariateNormal(t(1.0, -2.0), t([2.0], [0.6]), t(0.3, 0.5)),
    "Wishart": d.Wishart(t(4.0, 9.5), t([2.0, 0.6], [0.6, 0.5])),
    "MixtureSameFamily": d.MixtureSameFamily(
        d.Categorical(t([0.3, 0.7], [0.9, 0.1])), d.Normal(t([-1.0, 2.0], [0.0, 9.0]), 1.0)
    ),
    "Mixture of vectors": d.MixtureSameFamily(
        d.Categorical(t(0.3, 0.7)), d.MultivariateNormal(t([-1.0, 2.0], [4.0, 4.0]), minicnn.eye(2).double())
    ),
}
WITHOUT_ENTROPY = {"NegativeBinomial", "Poisson", "FisherSnedecor", "MixtureSameFamily", "Mixture of vectors"}
WITHOUT_MOMENTS = {
    "Cauchy": d.Cauchy(t(1.0, -2.0), t(0.5, 3.0)),
    "HalfCauchy": d.HalfCauchy(t(0.5, 3.0)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_samples_have_the_mean_and_the_variance(name: str) -> None:
    minicnn.manual_seed(0)
    one = DRAWN[name]
    x = one.sample((COUNT,))
    assert x.shape == (COUNT, *one.batch_shape, *one.event_shape) and not x.requires_grad
    error = 5 * one.stddev.numpy() / math.sqrt(COUNT) + 1e-12
    assert (np.abs(x.mean(0).numpy() - one.mean.numpy()) < error).all()
    np.testing.assert_allclose(x.var(0).numpy(), one.variance.numpy(), 0.15, 1e-12)
    assert bool(one.support.check(x).all())


@pytest.mark.parametrize("name", sorted({*DRAWN, *WITHOUT_MOMENTS} - WITHOUT_ENTROPY))
def test_the_entropy_is_the_mean_of_the_surprise(name: str) -> None:
    minicnn.manual_seed(1)
    one = {**DRAWN, **WITHOUT_MOMENTS}[name]
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
        *[(kind, values, lambda p, kind=kind: kind(*p).mean ** 2 + kind(*p).variance) for kind, values in (
            (d.HalfNormal, (0.5,)), (d.StudentT, (12.0, 1.0, 0.5)), (d.Chi2, (3.0,)), (d.Gumbel, (1.0, 0.5)),
            (d.Weibull, (1.5, 2.0)), (d.Pareto, (1.5, 12.0)), (d.LogNormal, (0.5, 0.3)), (d.Kumaraswamy, (2.0, 1.5)),
            (d.InverseGamma, (15.0, 2.0)), (d.FisherSnedecor, (6.0, 30.0)), (d.GeneralizedPareto, (1.0, 0.5, 0.1)),
            (d.ContinuousBernoulli, (0.3,)),
        )],
    ],
)  # fmt: skip
def test_gradients_of_samples_are_those_of_the_mean_square(kind: Any, values: tuple[float, ...], exact: Any) -> None:
    minicnn.manual_seed(2)
    given = [minicnn.full((COUNT,), v, dtype=minicnn.float64, requires_grad=True) for v in values]
    (kind(*given).rsample() ** 2).sum().backward()
    other = [t(v).requires_grad_() for v in values]
    exact(other).sum().backward()
    for mine, theirs in zip(given, other, strict=True):
        error = 5 * mine.grad.std().item() / math.sqrt(COUNT)
        assert abs(mine.grad.mean().item() - theirs.grad.item()) < error


WITH_QUANTILES = (
    "Normal", "Laplace", "Exponential", "Uniform", "HalfNormal", "Gumbel", "Weibull", "Pareto", "GeneralizedPareto",
    "LogNormal", "Kumaraswamy", "ContinuousBernoulli", "Cauchy", "HalfCauchy",
)  # fmt: skip


@pytest.mark.parametrize("name", WITH_QUANTILES)
def test_quantiles_invert_the_distribution_function_whose_slope_is_the_density(name: str) -> None:
    one = {**DRAWN, **WITHOUT_MOMENTS}[name]
    p = t(0.01, 0.3, 0.45, 0.98).reshape(-1, 1).expand(-1, *one.batch_shape)
    x = one.icdf(p).detach().requires_grad_()
    y = one.cdf(x)
    np.testing.assert_allclose(y.detach().numpy(), p.numpy(), 1e-10)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.log().numpy(), one.log_prob(x).detach().numpy(), 1e-8, 1e-12)


@pytest.mark.parametrize("name", ["Binomial", "Geometric", "NegativeBinomial", "Poisson"])
def test_chances_of_all_counts_add_up_to_1(name: str) -> None:
    one = DRAWN[name]
    k = minicnn.arange(8 if name == "Binomial" else 200, dtype=minicnn.float64).unsqueeze(-1)
    chances = one.log_prob(k).exp()
    np.testing.assert_allclose(chances.sum(0).numpy(), 1, 1e-10)
    np.testing.assert_allclose((chances * k).sum(0).numpy(), one.mean.numpy(), 1e-10)


def test_densities_are_those_of_scipy() -> None:
    x = t(0.1, 0.7, 1.4)
    c = 0.3
    for mine, theirs in (
        (d.VonMises(1.0, t(2.5)), stats.vonmises(2.5, 1.0)),
        (d.GeneralizedPareto(0.0, t(0.5), c), stats.genpareto(c, 0, 0.5)),
        (d.GeneralizedPareto(0.0, t(0.5), 0.0), stats.genpareto(0, 0, 0.5)),
        (d.StudentT(t(3.0), 1.0, 2.0), stats.t(3, 1, 2)),
        (d.FisherSnedecor(t(3.0), 5.0), stats.f(3, 5)),
        (d.Gumbel(t(1.0), 2.0), stats.gumbel_r(1, 2)),
        (d.InverseGamma(t(3.0), 2.0), stats.invgamma(3, 0, 2)),
        (d.Weibull(t(2.0), 3.0), stats.weibull_min(3, 0, 2)),
    ):
        np.testing.assert_allclose(mine.log_prob(x).reshape(-1).numpy(), theirs.logpdf(x.numpy()), 1e-10)
    gp = d.GeneralizedPareto(0.0, t(0.5), c)
    np.testing.assert_allclose(gp.cdf(x).reshape(-1).numpy(), stats.genpareto(c, 0, 0.5).cdf(x.numpy()), 1e-10)


@pytest.mark.parametrize(("dim", "c"), [(2, 1.0), (3, 0.7), (5, 2.0)])
def test_correlations_are_spread_as_beta_variables(dim: int, c: float) -> None:
    """Each correlation of LKJ variables is a beta variable with a = b = c + (dim - 2) / 2, from -1 to 1."""
    minicnn.manual_seed(8)
    one = d.LKJCholesky(dim, t(c))
    factor = one.sample((COUNT // 4,))
    assert bool(one.support.check(factor).all())
    correlations = (factor @ factor.mT).reshape(-1, dim, dim).numpy()
    assert stats.kstest(correlations[:, 1, 0], stats.beta(c + dim / 2 - 1, c + dim / 2 - 1, -1, 2).cdf).pvalue > 0.001
    assert stats.kstest(correlations[:, -1, -2], stats.beta(c + dim / 2 - 1, c + dim / 2 - 1, -1, 2).cdf).pvalue > 0.001


def test_the_divergence_of_random_covariances() -> None:
    """PyTorch has another number, which is not the mean of log p - log q."""
    minicnn.manual_seed(9)
    p, q = (d.Wishart(t(df), t([2.0, b], [b, 0.5])) for df, b in ((4.0, 0.6), (5.5, 0.2)))
    x = p.sample((COUNT,))
    ratio = p.log_prob(x) - q.log_prob(x)
    assert abs(ratio.mean().item() - d.kl_divergence(p, q).item()) < 5 * ratio.std().item() / math.sqrt(COUNT)


def test_directions_are_around_theirs() -> None:
    minicnn.manual_seed(4)
    one = d.VonMises(t(1.0, -2.0), t(0.5, 8.0))
    x = one.sample((COUNT,))
    length = ((x - one.loc).cos().mean(0)).numpy()
    np.testing.assert_allclose(length, 1 - one.variance.numpy(), atol=0.02)
    assert d.VonMises(0.0, t(500.0)).log_prob(t(0.0)).isfinite().all()


def test_relaxed_classes_are_near_their_limits() -> None:
    minicnn.manual_seed(5)
    p = t(0.2, 0.5, 0.3).requires_grad_()
    cold = d.RelaxedOneHotCategorical(t(0.05), p).rsample((COUNT,))
    assert ((cold > 0.5).double().mean(0) - p).abs().max() < 0.02
    cold.square().sum().backward()
    assert p.grad.isfinite().all() and bool((p.grad != 0).any())
    found = d.RelaxedBernoulli(t(0.05), t(0.2, 0.9)).sample((COUNT,))
    np.testing.assert_allclose((found > 0.5).double().mean(0).numpy(), [0.2, 0.9], atol=0.02)
    for warm in (d.RelaxedBernoulli(t(0.7), t(0.2)), d.LogisticNormal(t(0.3), t(0.8))):  # densities have the sum 1
        x = minicnn.linspace(0.0005, 0.9995, 1000, dtype=minicnn.float64)
        values = minicnn.stack([x, 1 - x], -1) if isinstance(warm, d.LogisticNormal) else x
        assert warm.log_prob(values).exp().mean().item() == pytest.approx(1, abs=0.01)


def test_straight_through_samples_have_the_gradient_of_the_probabilities() -> None:
    minicnn.manual_seed(6)
    logits = t(0.3, -1.0, 2.0).requires_grad_()
    x = d.OneHotCategoricalStraightThrough(logits=logits).rsample()
    assert sorted(x.tolist()) == [0, 0, 1]
    (x * t(1.0, 2.0, 5.0)).sum().backward()
    other = logits.detach().requires_grad_()
    (other.softmax(-1) * t(1.0, 2.0, 5.0)).sum().backward()
    np.testing.assert_allclose(logits.grad.numpy(), other.grad.numpy(), 1e-12)


def test_vectors_have_their_covariance_and_its_gradient() -> None:
    minicnn.manual_seed(7)
    covariance = t([2.0, 0.6], [0.6, 0.5]).requires_grad_()
    one = d.MultivariateNormal(t(1.0, -2.0), covariance)
    x = one.rsample((COUNT,))
    np.testing.assert_allclose(np.cov(x.detach().numpy().T), covariance.detach().numpy(), atol=0.05)
    (x[:, 0] * x[:, 1]).mean().backward()  # the mean is loc_0 loc_1 + covariance_01
    np.testing.assert_allclose((covariance.grad + covariance.grad.T)[0, 1].item(), 1, atol=0.1)
    many = d.MultivariateNormal(minicnn.zeros(5, 1, 2), minicnn.eye(2).expand(2, 2, 2))  # as many as axes
    assert (many.log_prob(minicnn.ones(2)) + 1 + math.log(2 * math.pi)).abs().max() < 1e-6
    low = d.LowRankMultivariateNormal(minicnn.zeros(2), minicnn.ones(2, 1), minicnn.ones(2))
    assert (low.precision_matrix @ low.covariance_matrix - minicnn.eye(2)).abs().max() < 1e-6


def test_other_modes_than_pytorchs() -> None:
    """PyTorch's mode of a Kumaraswamy variable is NaN, and of a Weibull variable with k < 1 it is not 0."""
    one = d.Kumaraswamy(t(2.0), t(3.0))
    x = minicnn.linspace(0.001, 0.999, 999, dtype=minicnn.float64)
    assert one.mode.item() == pytest.approx(x[one.log_prob(x).argmax()].item(), abs=1e-3)
    assert d.Weibull(t(1.0), t(0.5)).mode.item() == 0


def test_the_divergence_to_the_uniform_variable_between_0_and_1_is_finite() -> None:
    """PyTorch's is infinite for a continuous Bernoulli variable, whose values are there."""
    one = d.ContinuousBernoulli(t(0.3))
    assert d.kl_divergence(one, d.Uniform(t(0.0), t(1.0))).item() == pytest.approx(-one.entropy().item())
    assert d.kl_divergence(one, d.Uniform(t(0.1), t(1.0))).item() == math.inf


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_types_stay(kind: str) -> None:
    dtype = getattr(minicnn, kind)
    one = minicnn.ones(2, dtype=dtype)
    made = [
        d.Poisson(one), d.Binomial(3, one / 2), d.Geometric(one / 2), d.Gumbel(one, one), d.Weibull(one, one),
        d.LogNormal(one, one), d.HalfCauchy(one), d.StudentT(one), d.VonMises(one, one), d.Kumaraswamy(one, one),
        d.ContinuousBernoulli(one / 4), d.RelaxedBernoulli(one[0], one / 2), d.Pareto(one, one),
        d.RelaxedOneHotCategorical(one[0], one), d.NegativeBinomial(one, one / 2),
    ]  # fmt: skip
    for each in made:
        x = each.sample((3,))
        assert x.dtype == dtype and each.log_prob(x).dtype == dtype, each


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

    from minicnn.distributions.distribution import Distribution
    from minicnn.distributions.kl import kl_divergence
    from minicnn.distributions.utils import broadcast_all

    assert (Beta, Categorical, Distribution, Normal) == (d.Beta, d.Categorical, d.Distribution, d.Normal)
    assert kl_divergence is d.kl_divergence and d.normal.Normal is Normal
    assert [x.shape for x in broadcast_all(1.0, minicnn.zeros(2))] == [(2,), (2,)]
