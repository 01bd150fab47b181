"""kl_divergence in both libraries, for all pairs of families that PyTorch has."""

from __future__ import annotations

from typing import Any

import pytest
from differential.scenarios import Scenario, assert_same, double
from differential.variables import MADE, anything, dist, inside, positive, rounded

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def uniform(low: float, high: float) -> Any:
    """Parameters of a uniform variable between about `low` and about `high`."""
    return ("Uniform", {"low": lambda lib: low + inside(lib, 2, 3) / 100, "high": lambda lib: high + inside(lib, 2, 3)},
            None)  # fmt: skip


VARIABLES = {
    **{name: made for name, made in MADE.items() if not name.startswith(("Multinomial", "Wishart"))},
    "Pareto": ("Pareto", {"scale": lambda lib: positive(lib, 2, 3), "alpha": lambda lib: positive(lib, 2, 3) + 2},
               None),
    "Exponential": ("Exponential", {"rate": lambda lib: positive(lib, 2, 3)}, None),
    "Uniform: 0": uniform(0.01, 0.3),
    "Uniform: wide": uniform(-0.5, 1.1),
    "Uniform: above": uniform(4.0, 5.0),
}  # fmt: skip
INSIDE = ("Beta", "ContinuousBernoulli")
REAL = ("Normal", "Laplace", "Gumbel")
ABOVE = ("Exponential", "Gamma", "Pareto")
UNIFORM = ("Uniform: 0", "Uniform: wide", "Uniform: above")
PAIRS = [
    *[(name, name) for name in VARIABLES if name not in ("StudentT", "FisherSnedecor", "VonMises")],
    *[(p, q) for p in REAL for q in (*INSIDE, *ABOVE, "Uniform: wide")],
    *[(p, q) for p in ABOVE for q in (*INSIDE, "Uniform: wide", "Normal", "Gumbel", *ABOVE) if p != q],
    *[(p, q) for p in UNIFORM for q in (*INSIDE, *ABOVE, "Normal", "Gumbel")],
    *[("Beta", q) for q in ("ContinuousBernoulli", *ABOVE, "Normal")],
    *[("ContinuousBernoulli", q) for q in ("Exponential", "Pareto", "Normal")],
    *[("Beta", q) for q in UNIFORM],
    ("Normal", "Laplace"), ("Normal", "Gumbel"), ("Laplace", "Normal"), ("Gumbel", "Normal"),
    ("Poisson", "Bernoulli: probs"), ("Poisson", "Binomial"), ("Bernoulli: probs", "Poisson"),
    ("Bernoulli: logits", "Poisson"), ("MultivariateNormal: covariance", "MultivariateNormal: precision"),
    ("MultivariateNormal: triangle", "LowRankMultivariateNormal"),
    ("LowRankMultivariateNormal", "MultivariateNormal: triangle"), ("Chi2", "Gamma"), ("Gamma", "Chi2"),
    ("Laplace", "Bernoulli: probs"), ("LogNormal", "HalfNormal"), ("LogNormal", "Gumbel"), ("Gamma", "Beta"),
    ("OneHotCategorical", "OneHotCategoricalStraightThrough"), ("Laplace", "Cauchy"), ("Normal", "LogNormal"),
]  # fmt: skip


def divergence(p: str, q: str) -> Scenario:
    """The divergence and its gradients for the parameters of both."""

    def scenario(lib: Any) -> Any:
        sides, leaves = [], []
        for name, factor in ((p, 1.0), (q, 1.33)):
            kind, parameters, _ = VARIABLES[name]
            given: dict[str, Any] = {}
            for key, make in parameters.items():
                made = make(lib)
                moving = hasattr(made, "detach") and not name.startswith("Uniform")
                scale = factor if key not in ("probs", "low", "high", "temperature") else 1.0
                given[key] = (made.detach() * scale).requires_grad_() if moving else made
                leaves += [given[key]] if hasattr(made, "detach") and given[key].is_leaf else []
            sides.append(getattr(dist(lib), kind)(**given))
        y = dist(lib).kl_divergence(*sides)
        if y.requires_grad and bool(y.isfinite().all()):
            (y * double(lib, *y.shape)).sum().backward()
        return rounded(y), [rounded(leaf.grad) if leaf.grad is not None else 0 for leaf in leaves]

    return scenario


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_as_in_pytorch(p: str, q: str) -> None:
    assert_same(divergence(p, q), minicnn, torch)


def test_all_pairs_of_pytorch_are_there() -> None:
    ours, theirs = minicnn.distributions.kl._FORMS, torch.distributions.kl._KL_REGISTRY
    assert {(p.__name__, q.__name__) for p, q in ours} == {(p.__name__, q.__name__) for p, q in theirs}


def counted(lib: Any) -> Any:
    library = dist(lib)
    return library.kl_divergence(library.Binomial(2, lib.tensor(0.5)), library.Binomial(3, lib.tensor(0.5)))


def more_counts(lib: Any) -> Any:
    library = dist(lib)
    return library.kl_divergence(library.Binomial(5, lib.tensor(0.5)), library.Binomial(3, lib.tensor(0.5)))


def flows(lib: Any) -> Any:
    library = dist(lib)
    t = library.transforms
    loc = anything(lib, 4)
    same = [t.ExpTransform(), t.AffineTransform(1.0, 2.0)]
    one = library.TransformedDistribution(library.Normal(loc, 1.0), same)
    other = library.TransformedDistribution(library.Normal(0.0, lib.ones(4).double()), same)
    y = library.kl_divergence(one, other)
    y.sum().backward()
    return y, loc.grad


def other_flows(lib: Any) -> Any:
    library = dist(lib)
    t = library.transforms
    normal = library.Normal(0.0, 1.0)
    return library.kl_divergence(
        library.TransformedDistribution(normal, t.AffineTransform(0, 1)),
        library.TransformedDistribution(normal, t.AffineTransform(0, 2)),
    )


def a_family(lib: Any) -> Any:
    """An exponential family without a closed form: exponential variables, of the density exp(-rate x + log rate)."""
    library = dist(lib)

    class Decay(library.ExponentialFamily):  # type: ignore[misc]
        _mean_carrier_measure = 0

        def __init__(self, rate: Any) -> None:
            self.rate = rate
            super().__init__(rate.shape, validate_args=False)

        @property
        def _natural_params(self) -> Any:
            return (-self.rate,)

        def _log_normalizer(self, x: Any) -> Any:
            return -(-x).log()

    p, q = positive(lib, 3), positive(lib, 3, seed=1)
    found = Decay(p).entropy(), library.kl_divergence(Decay(p), Decay(q))
    sum(each.sum() for each in found).backward()
    exact = library.Exponential(p).entropy(), library.kl_divergence(library.Exponential(p), library.Exponential(q))
    assert all(bool((a - b).abs().max() < 1e-12) for a, b in zip(found, exact, strict=True))
    return found, q.grad  # PyTorch's has no gradient for p


@pytest.mark.parametrize("scenario", [counted, more_counts, flows, other_flows, a_family], ids=lambda s: s.__name__)
def test_the_same_special_cases(scenario: Scenario) -> None:
    assert_same(scenario, minicnn, torch)


def test_the_nearest_classes_count() -> None:
    library = minicnn.distributions

    class Left(library.Normal): ...

    class Right(library.Normal): ...

    table = library.kl._FORMS
    one, other = Left(0.0, 1.0), Right(0.0, 1.0)
    try:
        library.register_kl(Left, library.Normal)(lambda p, q: 1)
        assert library.kl_divergence(one, other) == 1
        library.register_kl(library.Normal, Right)(lambda p, q: 2)
        with pytest.warns(
            RuntimeWarning, match=r"Ambiguous kl_divergence\(Left, Right\). Please register_kl\(Left, Right"
        ):
            assert library.kl_divergence(one, other) == 1
        library.register_kl(Left, Right)(lambda p, q: 3)
        assert library.kl_divergence(one, other) == 3
    finally:
        for pair in [pair for pair in table if Left in pair or Right in pair]:
            del table[pair]
