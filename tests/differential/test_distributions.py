"""torch.distributions in both libraries: closed forms and their gradients, checks, shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from differential.scenarios import Scenario, assert_same, double
from differential.variables import CONTINUOUS, MADE, anything, dist, inside, rounded

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def closed(name: str, what: str) -> Scenario:
    """A closed form, and its gradients for the parameters and the value."""

    def scenario(lib: Any) -> Any:
        kind, parameters, value = MADE[name]
        given = {key: make(lib) for key, make in parameters.items()}
        x = value(lib)
        one = getattr(dist(lib), kind)(**given)
        if what in ("log_prob", "cdf"):
            y = getattr(one, what)(x)
        elif what == "icdf":
            y = one.icdf(inside(lib, 2, 3, seed=7))
        elif what in ("entropy", "perplexity"):
            y = getattr(one, what)()
        else:
            y = getattr(one, what)
        leaves = [t for t in (*given.values(), x) if hasattr(t, "requires_grad") and t.requires_grad and t.is_leaf]
        if y.requires_grad:
            (y * double(lib, *y.shape)).sum().backward()
        return rounded(y), [rounded(leaf.grad) if leaf.grad is not None else 0 for leaf in leaves]

    return scenario


def shaped(name: str) -> Scenario:
    """Shapes, texts, constraints, expansion and the list of values."""

    def scenario(lib: Any) -> Any:
        kind, parameters, _ = MADE[name]
        one = getattr(dist(lib), kind)(**{key: make(lib) for key, make in parameters.items()})
        text = repr(one)
        many = one.expand((5, *one.batch_shape))
        drawn = many.sample((4,))
        found = [
            text,
            one.batch_shape,
            one.event_shape,
            many.batch_shape,
            drawn.shape,
            one.has_rsample,
            drawn.dtype == lib.float64,
        ]
        found += [
            many.log_prob(drawn).shape,
            repr(type(one).__name__),
            one.has_enumerate_support,
            one.support.is_discrete,
        ]
        found += [one.support.event_dim, type(many) is type(one)]
        if one.has_enumerate_support:
            found += [one.enumerate_support(), one.enumerate_support(expand=False)]
        return found

    return scenario


def moved(name: str) -> Scenario:
    """rsample is the same function of the same noise: drawn here as the quantile of a number."""

    def scenario(lib: Any) -> Any:
        kind, parameters, _ = MADE[name]
        given = {key: make(lib) for key, make in parameters.items()}
        one = getattr(dist(lib), kind)(**given)
        return one.rsample((3,)).requires_grad, one.sample((3,)).requires_grad, one.rsample().shape

    return scenario


def made(kind: str, *arguments: Any, **options: Any) -> Scenario:
    return lambda lib: repr(
        getattr(dist(lib), kind)(*[lib.tensor(a) if isinstance(a, list) else a for a in arguments], **options)
    )


def constraint(name: str, *arguments: Any) -> Scenario:
    def scenario(lib: Any) -> Any:
        found = getattr(dist(lib).constraints, name)
        found = found(*arguments) if arguments else found
        values = lib.tensor([[-1.0, 0.0, 0.5], [0.25, 0.5, 0.25], [1.0, 0.0, 0.0], [2.0, math.nan, 7.0]])
        return found.check(values), repr(found), found.is_discrete, found.event_dim

    return scenario


def grouped(lib: Any) -> Any:
    library = dist(lib)
    loc = anything(lib, 4, 2, 3)
    one = library.Independent(library.Normal(loc, 1.0), 2)
    other = library.Independent(library.Normal(loc.detach() * 2, 3.0), 2)
    y = one.log_prob(double(lib, 5, 4, 2, 3, seed=1)), one.entropy(), library.kl_divergence(one, other)
    y[0].sum().backward()
    return (
        y,
        loc.grad,
        repr(one),
        one.batch_shape,
        one.event_shape,
        one.expand((7, 4)).sample((2,)).shape,
        repr(one.support),
    )


WITH_CDF = (
    "Normal", "Laplace", "Exponential", "Uniform", "Cauchy", "HalfCauchy", "HalfNormal", "Gumbel", "Weibull", "Pareto",
    "GeneralizedPareto", "LogNormal", "Kumaraswamy", "ContinuousBernoulli", "StudentT", "Poisson", "RelaxedBernoulli",
)  # fmt: skip
FORMS = ("log_prob", "entropy", "mean", "variance", "stddev", "mode")
OTHERWISE = {
    *[("Multinomial", what) for what in ("mode", "entropy")],  # PyTorch computes them in float32,
    *[("GeneralizedPareto", what) for what in ("log_prob", "cdf")],  # and cannot compute these in float64
    *[("VonMises", what) for what in ("log_prob", "variance", "stddev")],  # fits of Bessel functions
    ("Kumaraswamy", "mode"),  # always NaN
    *[(name, "mode") for name in (  # has none, and the error has the path of the file
        "LogisticNormal", "ContinuousBernoulli", "LKJCholesky", "RelaxedBernoulli", "RelaxedOneHotCategorical"
    )],
}  # fmt: skip
SCENARIOS: dict[str, Scenario] = {
    **{
        f"{name}: {what}": closed(name, what)
        for name in MADE
        for what in FORMS
        if (name.partition(":")[0], what) not in OTHERWISE
    },
    **{f"{name}: perplexity": closed(name, "perplexity") for name in ("Normal", "Categorical: probs")},
    **{
        f"{name}: {what}": closed(name, what)
        for name in WITH_CDF
        for what in ("cdf", "icdf")
        if (name, what) not in OTHERWISE
    },
    **{f"{name}: shapes": shaped(name) for name in MADE if (name, "log_prob") not in OTHERWISE},
    **{f"{name}: rsample": moved(name) for name in CONTINUOUS},
    "Independent": grouped,
    "Independent: axes": lambda lib: dist(lib).Independent(dist(lib).Normal(0.0, 1.0), 1),
    "numbers": made("Normal", 0, 1),
    "numbers and tensors": made("Normal", 0.5, [1.0, 2.0]),
    "scale": made("Normal", 0.0, -1.0),
    "nan": made("Normal", math.nan, 1.0),
    "not checked": made("Normal", 0.0, -1.0, validate_args=False),
    "text": made("Normal", "0", 1.0),
    "both": made("Bernoulli", probs=0.3, logits=0.2),
    "none": made("Categorical"),
    "no axis": lambda lib: dist(lib).Categorical(lib.tensor(1.0)),
    "no axis either": lambda lib: dist(lib).Dirichlet(lib.tensor(1.0)),
    "probability": made("Bernoulli", 1.5),
    "negative shares": made("Categorical", [-1.0, 2.0]),
    "outside": lambda lib: dist(lib).Exponential(1.0).log_prob(lib.tensor([-1.0])),
    "outside: class": lambda lib: dist(lib).Categorical(lib.ones(3)).log_prob(lib.tensor([3])),
    "outside: counts": lambda lib: dist(lib).Multinomial(2, lib.ones(3)).log_prob(lib.tensor([3.0, 0, 0])),
    "no tensor": lambda lib: dist(lib).Normal(0.0, 1.0).log_prob(0.0),
    "shape": lambda lib: dist(lib).Normal(lib.zeros(2), 1.0).log_prob(lib.zeros(3)),
    "event": lambda lib: dist(lib).Dirichlet(lib.ones(2)).log_prob(lib.ones(3)),
    "no quantiles": lambda lib: dist(lib).Gamma(1.0, 1.0).icdf(lib.tensor(0.5)),
    "impossible class": lambda lib: dist(lib).Categorical(lib.tensor([0.0, 1.0])).entropy(),
    "impossible count": lambda lib: dist(lib).Multinomial(2, logits=lib.tensor([0.0, -math.inf])).log_prob(
        lib.tensor([2.0, 0.0])
    ),
    "Gamma: cdf": lambda lib: dist(lib).Gamma(lib.tensor([0.5, 3.0]).double(), 2.0).cdf(
        lib.tensor([0.7, 9.0]).double()
    ),
    **{
        f"constraint: {name}": constraint(name)
        for name in (
            "real", "positive", "nonnegative", "unit_interval", "simplex", "boolean", "one_hot", "nonnegative_integer",
            "positive_integer", "real_vector",
        )
    },
    "constraint: interval": constraint("interval", 0.0, 0.5),
    "constraint: half_open_interval": constraint("half_open_interval", 0.0, 0.5),
    "constraint: integer_interval": constraint("integer_interval", 0, 3),
    "constraint: greater_than": constraint("greater_than", 0.0),
    "constraint: greater_than_eq": constraint("greater_than_eq", 0.25),
    "constraint: less_than": constraint("less_than", 0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_in_pytorch(name: str) -> None:
    assert_same(SCENARIOS[name], minicnn, torch)


@pytest.mark.parametrize("a", [0.05, 0.7, 3.0, 60.0])
def test_a_gamma_sample_moves_with_its_parameter_as_in_pytorch(a: float) -> None:
    """The derivative of a sample depends on the sample alone."""
    minicnn.manual_seed(0)
    concentration = minicnn.full((50,), a, dtype=minicnn.float64, requires_grad=True)
    z = dist(minicnn).Gamma(concentration, 1.0).rsample()
    z.sum().backward()
    theirs = torch._standard_gamma_grad(torch.full((50,), a, dtype=torch.float64), torch.tensor(z.detach().numpy()))
    np.testing.assert_allclose(concentration.grad.numpy(), theirs.numpy(), 2e-3, 1e-6)  # PyTorch's is a fit
