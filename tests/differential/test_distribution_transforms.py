"""distributions.transforms and what finds them, in both libraries."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from differential.scenarios import Scenario, assert_same, double
from differential.variables import anything, dist, inside, positive, shares

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

Make = Callable[[Any, Any], Any]  # of the library and of its transforms


def correlations(lib: Any) -> Any:
    return dist(lib).transforms.CorrCholeskyTransform()(double(lib, 2, 6, seed=3)).detach().requires_grad_()


# The transform, x, and y.
MADE: dict[str, tuple[Make, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "exp": (lambda lib, t: t.ExpTransform(), lambda lib: anything(lib, 2, 3), lambda lib: positive(lib, 2, 3)),
    "power": (lambda lib, t: t.PowerTransform(lib.tensor([2.0, -1.5, 0.5]).double()), lambda lib: positive(lib, 2, 3),
              lambda lib: positive(lib, 2, 3, seed=1)),
    "sigmoid": (lambda lib, t: t.SigmoidTransform(), lambda lib: anything(lib, 2, 3), lambda lib: inside(lib, 2, 3)),
    "tanh": (lambda lib, t: t.TanhTransform(), lambda lib: anything(lib, 2, 3), lambda lib: inside(lib, 2, 3)),
    "softplus": (lambda lib, t: t.SoftplusTransform(), lambda lib: anything(lib, 2, 3),
                 lambda lib: positive(lib, 2, 3)),
    "abs": (lambda lib, t: t.AbsTransform(), lambda lib: anything(lib, 2, 3), lambda lib: positive(lib, 2, 3)),
    "affine": (lambda lib, t: t.AffineTransform(1.5, -2), lambda lib: anything(lib, 2, 3),
               lambda lib: anything(lib, 3)),
    "affine: tensors": (lambda lib, t: t.AffineTransform(double(lib, 3, seed=1), double(lib, 3, seed=2), event_dim=1),
                        lambda lib: anything(lib, 2, 3), lambda lib: anything(lib, 2, 3, seed=1)),
    "softmax": (lambda lib, t: t.SoftmaxTransform(), lambda lib: anything(lib, 2, 3), lambda lib: shares(lib, 2, 3)),
    "stick": (lambda lib, t: t.StickBreakingTransform(), lambda lib: anything(lib, 2, 3),
              lambda lib: shares(lib, 2, 4)),
    "correlations": (lambda lib, t: t.CorrCholeskyTransform(), lambda lib: anything(lib, 2, 6), correlations),
    "triangle": (lambda lib, t: t.LowerCholeskyTransform(), lambda lib: anything(lib, 2, 3, 3),
                 lambda lib: positive(lib, 3, 3)),
    "covariance": (lambda lib, t: t.PositiveDefiniteTransform(), lambda lib: anything(lib, 2, 3, 3),
                   lambda lib: lib.eye(3).double() * 3 + 1),
    "cdf": (lambda lib, t: t.CumulativeDistributionTransform(dist(lib).Normal(lib.tensor(1.0).double(), 2.0)),
            lambda lib: anything(lib, 2, 3), lambda lib: inside(lib, 2, 3)),
    "one after the other": (
        lambda lib, t: t.ComposeTransform([t.AffineTransform(0.5, 2.0), t.StickBreakingTransform()]),
        lambda lib: anything(lib, 2, 3), lambda lib: shares(lib, 2, 4)),
    "none": (lambda lib, t: t.identity_transform, lambda lib: anything(lib, 2, 3), lambda lib: anything(lib, 2, 3)),
    "independent": (lambda lib, t: t.IndependentTransform(t.ExpTransform(), 1), lambda lib: anything(lib, 2, 3),
                    lambda lib: positive(lib, 2, 3)),
    "reshape": (lambda lib, t: t.ReshapeTransform((3, 2), (6,)), lambda lib: anything(lib, 4, 3, 2),
                lambda lib: anything(lib, 4, 6)),
    "cat": (lambda lib, t: t.CatTransform([t.ExpTransform(), t.identity_transform], 1, [1, 2]),
            lambda lib: anything(lib, 2, 3), lambda lib: positive(lib, 2, 3)),
    "stack": (lambda lib, t: t.StackTransform([t.ExpTransform(), t.SigmoidTransform()], 0),
              lambda lib: anything(lib, 2, 3), lambda lib: inside(lib, 2, 3)),
}  # fmt: skip


def there(name: str) -> Scenario:
    def scenario(lib: Any) -> Any:
        make, x, _ = MADE[name]
        x = x(lib)
        y = make(lib, dist(lib).transforms)(x)
        (y * double(lib, *y.shape)).sum().backward()
        return y, x.grad

    return scenario


def back(name: str) -> Scenario:
    def scenario(lib: Any) -> Any:
        make, _, y = MADE[name]
        y = y(lib)
        x = make(lib, dist(lib).transforms).inv(y)
        if y.requires_grad:
            (x * double(lib, *x.shape)).sum().backward()
        return x, y.grad

    return scenario


def stretch(name: str) -> Scenario:
    def scenario(lib: Any) -> Any:
        make, x, _ = MADE[name]
        x, t = x(lib), make(lib, dist(lib).transforms)
        with lib.no_grad():
            y = t(x)
        found = t.log_abs_det_jacobian(x, y), t.inv.log_abs_det_jacobian(y, x)
        if found[0].requires_grad:
            (found[0] * double(lib, *found[0].shape)).sum().backward()
        return found, x.grad

    return scenario


def described(name: str) -> Scenario:
    def scenario(lib: Any) -> Any:
        make, x, _ = MADE[name]
        t = make(lib, dist(lib).transforms)
        found = [
            repr(t),
            repr(t.inv),
            t.bijective,
            repr(t.domain),
            repr(t.codomain),
            t.inv.inv == t,
            t == t,
            t != t.inv,
        ]
        shape = t.forward_shape(x(lib).shape)
        return [*found, shape, t.inverse_shape(shape), t.domain.event_dim, t.codomain.event_dim, t.inv.domain.event_dim]

    return scenario


def signed(name: str) -> Scenario:
    return lambda lib: MADE[name][0](lib, dist(lib).transforms).sign


def equal(lib: Any) -> Any:
    t = dist(lib).transforms
    made = [t.ExpTransform(), t.ExpTransform(), t.AffineTransform(0, 1), t.AffineTransform(0.0, 1.0),
            t.AffineTransform(0, 2), t.PowerTransform(lib.tensor(2.0)), t.PowerTransform(lib.tensor(2.0)),
            t.ComposeTransform([t.ExpTransform()]), t.ComposeTransform([t.ExpTransform()]), t.identity_transform,
            t.SoftmaxTransform(), t.SoftmaxTransform(), t.ExpTransform().inv, t.ExpTransform().inv]  # fmt: skip
    return [[one == other for other in made] for one in made]


def cached(lib: Any) -> Any:
    t = dist(lib).transforms
    x = double(lib, 3)
    found = []
    for one in (t.TanhTransform(cache_size=1), t.TanhTransform().with_cache(), t.AffineTransform(0, 2, cache_size=1),
                t.ComposeTransform([t.TanhTransform(), t.ExpTransform()], cache_size=1),
                t.ComposeTransform([t.TanhTransform(), t.ExpTransform()]).with_cache(), t.TanhTransform(),
                t.IndependentTransform(t.TanhTransform(), 1, cache_size=1)):  # fmt: skip
        y = one(x)
        found += [one(x) is y, one.inv(y) is x, one.inv.inv(x) is y, one.inv(y + 0) is x]
    return found


def flow(lib: Any) -> Any:
    """A density of a flow on vectors, with learned transforms of both kinds."""
    library = dist(lib)
    t = library.transforms
    loc, scale = anything(lib, 3, seed=4), anything(lib, 3, seed=5)
    base = library.Independent(library.Normal(lib.zeros(3).double(), 1.0), 1)
    one = library.TransformedDistribution(
        base, [t.AffineTransform(loc, scale), t.TanhTransform(), t.AffineTransform(0.5, 0.5, event_dim=1)]
    )
    y = one.log_prob(inside(lib, 4, 3))
    y.sum().backward()
    many = one.expand((5,))
    return y, loc.grad, scale.grad, one.batch_shape, one.event_shape, repr(one.support), one.rsample((2,)).shape, (
        many.batch_shape, many.sample((2,)).shape, one.has_rsample, repr(one))  # fmt: skip


def wider(lib: Any) -> Any:
    """Transforms with more axes than the base."""
    library = dist(lib)
    t = library.transforms
    one = library.TransformedDistribution(library.Normal(0.0, 1.0), t.AffineTransform(lib.zeros(3), lib.ones(2, 1)))
    shares = library.TransformedDistribution(library.Normal(lib.zeros(4, 3), 1.0), [t.StickBreakingTransform()])
    pieces = library.TransformedDistribution(library.Normal(lib.zeros(4, 6), 1.0), [t.ReshapeTransform((6,), (2, 3))])
    return [(d.batch_shape, d.event_shape, d.sample((5,)).shape, d.expand((7, *d.batch_shape)).batch_shape,
             repr(d.support), type(d.base_dist).__name__) for d in (one, shares, pieces)]  # fmt: skip


def falling(lib: Any) -> Any:
    library = dist(lib)
    t = library.transforms
    one = library.TransformedDistribution(library.Normal(0.0, lib.tensor(1.0).double()), [t.AffineTransform(1.0, -2.0)])
    other = library.TransformedDistribution(
        library.Normal(0.0, lib.tensor(1.0).double()), [t.AffineTransform(lib.tensor(1.0).double(), lib.tensor(-2.0))]
    )
    return [(each.cdf(double(lib, 4)), each.icdf(inside(lib, 4))) for each in (one, other)]


CONSTRAINTS: dict[str, Callable[[Any], Any]] = {
    **{
        name: lambda c, name=name: getattr(c, name)
        for name in (
            "real", "real_vector", "positive", "nonnegative", "unit_interval", "simplex", "corr_cholesky",
            "lower_cholesky", "positive_definite", "positive_semidefinite", "boolean", "symmetric",
            "nonnegative_integer",
        )
    },
    "interval": lambda c: c.interval(-1.0, 3.0),
    "half-open": lambda c: c.half_open_interval(-1.0, 3.0),
    "greater": lambda c: c.greater_than(2.0),
    "less": lambda c: c.less_than(2.0),
    "vectors": lambda c: c.independent(c.positive, 1),
    "cat": lambda c: c.cat([c.positive, c.real], -1, [1, 2]),
    "stack": lambda c: c.stack([c.positive, c.real, c.unit_interval], -1),
}  # fmt: skip


def registered(name: str, registry: str) -> Scenario:
    def scenario(lib: Any) -> Any:
        to = getattr(dist(lib), registry)(CONSTRAINTS[name](dist(lib).constraints))
        x = double(lib, 2, 3, 3)
        return to(x), bool(CONSTRAINTS[name](dist(lib).constraints).check(to(x)).all())

    return scenario


def refused(make: Make) -> Scenario:
    return lambda lib: make(lib, dist(lib).transforms)


def constraint(name: str, *arguments: Any) -> Scenario:
    def scenario(lib: Any) -> Any:
        c = dist(lib).constraints
        found = CONSTRAINTS[name](c) if name in CONSTRAINTS else getattr(c, name)
        one = lib.eye(3).double()
        matrices = lib.stack(
            [one, one + 1, one + one.triu(1) + 1, double(lib, 3, 3), one * 0, double(lib, 3, 3).tril()]
        )
        values = [found.check(matrices)]
        if name != "corr_cholesky":
            values.append(found.check(dist(lib).transforms.CorrCholeskyTransform()(double(lib, 2, 3))))
        return values, repr(found), found.is_discrete, found.event_dim

    return scenario


SCENARIOS: dict[str, Scenario] = {
    **{f"{name}: there": there(name) for name in MADE},
    **{f"{name}: back": back(name) for name in MADE},
    **{f"{name}: stretch": stretch(name) for name in MADE},
    **{f"{name}: described": described(name) for name in MADE if name != "cdf"},
    **{f"{name}: sign": signed(name) for name in MADE},
    **{f"{registry}: {name}": registered(name, registry) for name in CONSTRAINTS if name != "corr_cholesky"
       for registry in ("biject_to", "transform_to")},
    **{f"constraint: {name}": constraint(name) for name in (
        "square", "symmetric", "positive_definite", "lower_triangular", "lower_cholesky", "corr_cholesky", "cat",
        "stack", "interval")},
    "equal": equal,
    "cached": cached,
    "flow": flow,
    "wider": wider,
    "falling": falling,
    "cache": refused(lambda lib, t: t.ExpTransform(cache_size=2)),
    "axes": refused(lambda lib, t: t.StickBreakingTransform().event_dim),
    "softmax has": refused(lambda lib, t: t.SoftmaxTransform().event_dim),
    "reshape": refused(lambda lib, t: t.ReshapeTransform((2,), (3,))),
    "reshape: axes": refused(lambda lib, t: t.ReshapeTransform((2, 3), (6,)).forward_shape((3,))),
    "reshape: shape": refused(lambda lib, t: t.ReshapeTransform((2, 3), (6,)).forward_shape((3, 2))),
    "independent: axes": refused(lambda lib, t: t.IndependentTransform(t.ExpTransform(), 2)(lib.zeros(2))),
    "stick: axes": refused(lambda lib, t: t.StickBreakingTransform().forward_shape(())),
    "triangle: count": refused(lambda lib, t: t.CorrCholeskyTransform().forward_shape((4,))),
    "triangle: square": refused(lambda lib, t: t.CorrCholeskyTransform().inverse_shape((4, 3))),
    "abs: stretch": refused(lambda lib, t: t.AbsTransform().log_abs_det_jacobian(lib.zeros(1), lib.zeros(1))),
    "nothing": refused(lambda lib, t: t.Transform()(lib.zeros(1))),
    "no transforms": refused(lambda lib, t: dist(lib).TransformedDistribution(dist(lib).Normal(0.0, 1.0), 3)),
    "not all": refused(lambda lib, t: dist(lib).TransformedDistribution(dist(lib).Normal(0.0, 1.0), [3])),
    "no axis": refused(
        lambda lib, t: dist(lib).TransformedDistribution(dist(lib).Normal(0.0, 1.0), [t.SoftmaxTransform()])
    ),
    "no class": refused(lambda lib, t: dist(lib).biject_to.register(3, lambda c: t.ExpTransform())),
    "far": refused(lambda lib, t: [t.TanhTransform().log_abs_det_jacobian(lib.tensor([50.0]), lib.tensor([1.0])),
                                   t.SigmoidTransform()(lib.tensor([200.0, -200.0])).log(),
                                   t.SigmoidTransform().inv(lib.tensor([0.0, 1.0])) > math.inf]),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_in_pytorch(name: str) -> None:
    assert_same(SCENARIOS[name], minicnn, torch)
