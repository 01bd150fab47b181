"""Users' Functions as in PyTorch: in place on views, several outputs, what is saved, keywords; errors by their type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="compares with PyTorch")


def leaf(lib: Any, *values: float) -> Any:
    return lib.tensor(np.array(values, float), requires_grad=True)


def constant(lib: Any, *values: float) -> Any:
    return lib.tensor(np.array(values, float))


def function(lib: Any, forward: Any, backward: Any, setup: Any = None) -> Any:
    """A Function of a forward and a backward, and a setup_context."""
    parts = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    if setup:
        parts["setup_context"] = staticmethod(setup)
    return type("F", (lib.autograd.Function,), parts)


def into(lib: Any, save: str = "before") -> Any:
    """a *= b, saving a copy of a, or a as it is afterwards."""

    def forward(ctx: Any, a: Any, b: Any) -> Any:
        old = a.clone()
        a.mul_(b)
        ctx.mark_dirty(a)
        ctx.save_for_backward(old if save == "before" else a, b)
        return a

    def backward(ctx: Any, gy: Any) -> Any:
        a, b = ctx.saved_tensors
        return gy * b, gy * a / (1 if save == "before" else b)

    return function(lib, forward, backward)


def into_a_view(lib: Any, save: str) -> Any:
    x, w = leaf(lib, 1, 2, 3), leaf(lib, 4, 5)
    y = x * 2
    v = y[1:]
    result = into(lib, save).apply(v, w)
    ((y * constant(lib, 1, 10, 100)).sum() + (v * 3).sum()).backward()
    return x.grad, w.grad, result is v, y, v


def into_a_base(lib: Any, save: str) -> Any:
    x, w = leaf(lib, 1, 2, 3), leaf(lib, 4, 5, 6)
    y = x * 2
    v = y[1:]
    into(lib, save).apply(y, w)
    ((y * constant(lib, 1, 10, 100)).sum() + v.sum() * 7).backward()
    return x.grad, w.grad, v


def into_a_constant(lib: Any) -> Any:
    x, w = constant(lib, 1, 2, 3), leaf(lib, 4, 5)
    into(lib).apply(x[1:], w)
    (x * 2).sum().backward()
    return w.grad, x.requires_grad, x.is_leaf


def retained(lib: Any) -> Any:
    x, log = leaf(lib, 1, 2), []
    a = x * 1
    a.retain_grad()
    a.register_hook(lambda g: log.append(g.tolist()))
    into(lib).apply(a, constant(lib, 2, 3))
    (a * 2).sum().backward()
    return a.grad, log, x.grad


def two_dirty(lib: Any) -> Any:
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        ctx.mark_dirty(a, b)
        return b.mul_(3), a.mul_(2)

    x, w = leaf(lib, 1, 2), leaf(lib, 3, 4)
    a, b = x * 1, w * 1
    p, q = function(lib, forward, lambda ctx, gb, ga: (ga * 2, gb * 3)).apply(a, b)
    (p * 10 + q).sum().backward()
    return p is b, q is a, x.grad, w.grad


def not_returned(lib: Any) -> Any:
    def forward(ctx: Any, a: Any) -> Any:
        ctx.mark_dirty(a)
        return a.mul_(2) * 1

    return function(lib, forward, lambda ctx, g: g).apply(leaf(lib, 1) * 1)


def view(lib: Any, then: Callable[[Any, Any], Any]) -> Any:
    """A Function whose result is a view of its input: gradients reversed."""
    x = leaf(lib, 1, 2)
    y = x.exp()
    z = function(lib, lambda ctx, a: a.view_as(a), lambda ctx, g: -g).apply(y)
    return [then(y, z), x.grad, z is y, y, z]


def written(lib: Any, tensor: Any) -> None:
    with lib.no_grad():
        tensor.mul_(2)


def unmarked(lib: Any, how: Callable[[Any], Any]) -> Any:
    """Results that are no tensors, integer tensors, a tuple of one."""
    seen: list[Any] = []

    def backward(ctx: Any, *grads: Any) -> Any:
        seen.extend(None if g is None else g.tolist() for g in grads)
        return grads[0] * 2

    x = leaf(lib, 1, 2)
    result = function(lib, lambda ctx, a: how(a), backward).apply(x)
    kind = type(result).__name__ if isinstance(result, tuple) else ""
    first = result[0] if kind else result
    first.sum().backward()
    return kind, list(result)[1:] if kind else None, seen, x.grad


def given(lib: Any, gradient: Callable[[Any], Any], *shape: int) -> Any:
    """What backward gives, of another shape or type than the argument."""
    x, w = leaf(lib, 1, 2), lib.ones(*shape, 2).double()
    function(lib, lambda ctx, a, b: a * b, lambda ctx, g: (gradient(g), None)).apply(x, w).sum().backward()
    return x.grad, str(x.grad.dtype).split(".")[-1]


def keywords(lib: Any, apart: bool, **options: Any) -> Any:
    def forward(ctx: Any, a: Any, w: Any = None, n: int = 2) -> Any:
        ctx.save_for_backward(a, w)
        ctx.n = n
        return a * n if w is None else a * w * n

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs[:2])
        ctx.n, ctx.count = inputs[2], len(inputs)

    def backward(ctx: Any, g: Any) -> Any:
        a, w = ctx.saved_tensors
        gw = None if w is None else g * a * ctx.n
        return (g * ctx.n * (1 if w is None else w), gw, None)[: 3 if apart else 1 + len(options)]

    def plainly(a: Any, w: Any = None, n: int = 2) -> Any:
        return a * n if w is None else a * w * n

    x, w = leaf(lib, 1, 2), leaf(lib, 3, 4)
    options = {name: w if name == "w" else value for name, value in options.items()}
    made = function(lib, plainly, backward, setup) if apart else function(lib, forward, backward)
    made.apply(x, **options).sum().backward()
    return x.grad, w.grad


def saved(lib: Any) -> Any:
    seen: list[Any] = []

    def forward(ctx: Any, a: Any, b: Any, c: Any) -> Any:
        y = a * b * c
        ctx.save_for_backward(a, None, b, c, y)
        seen.append(len(ctx.saved_tensors))
        return y

    def backward(ctx: Any, g: Any) -> Any:
        a, nothing, b, c, y = ctx.saved_tensors
        seen.extend([a is x, nothing, *((t.requires_grad, t.is_leaf) for t in (a, b, c, y))])
        return g * b * c, g * a * c, None

    x, w = leaf(lib, 1, 2), leaf(lib, 3, 4)
    function(lib, forward, backward).apply(x, w * 1, constant(lib, 5, 6)).sum().backward()
    return seen, x.grad, w.grad


def twice(lib: Any, save: bool) -> Any:
    def forward(ctx: Any, a: Any) -> Any:
        if save:
            ctx.save_for_backward(a)
        return a * 2

    x = leaf(lib, 1, 2)
    loss = function(lib, forward, lambda ctx, g: (g * 2 * len(ctx.saved_tensors)) if save else g * 2).apply(x).sum()
    loss.backward()
    loss.backward()
    return x.grad


def exponential(lib: Any, then: Callable[[Any], Any]) -> Any:
    """y = e^x with y saved, then changed."""

    def forward(ctx: Any, a: Any) -> Any:
        y = a.exp()
        ctx.save_for_backward(y)
        return y

    x = leaf(lib, 1, 2)
    y = function(lib, forward, lambda ctx, g: g * ctx.saved_tensors[0]).apply(x)
    then(y)
    y.sum().backward()
    return x.grad


SCENARIOS: dict[str, Callable[[Any], Any]] = {
    "a view": lambda lib: into_a_view(lib, "before"),
    "a view, itself saved": lambda lib: into_a_view(lib, "after"),
    "a base": lambda lib: into_a_base(lib, "before"),
    "a base, itself saved": lambda lib: into_a_base(lib, "after"),
    "a view of a constant": into_a_constant,
    "a view of a leaf": lambda lib: into(lib).apply(leaf(lib, 1, 2)[1:], leaf(lib, 3)),
    "a leaf": lambda lib: into(lib).apply(leaf(lib, 1, 2), constant(lib, 3, 3)),
    "a retained gradient": retained,
    "two dirty": two_dirty,
    "dirty, not returned": not_returned,
    "result a view": lambda lib: view(lib, lambda y, z: z.sum().backward()),
    "result a view: written": lambda lib: view(lib, lambda y, z: z.mul_(2)),
    "result a view: its view written": lambda lib: view(lib, lambda y, z: z[:1].mul_(2)),
    "result a view: input written": lambda lib: view(lib, lambda y, z: (y * 1, y.mul_(2), z.sum().backward())),
    "result a view: version": lambda lib: view(lib, lambda y, z: (written(lib, z), y.sum().backward())),
    "numbers among the results": lambda lib: unmarked(lib, lambda a: (a * 2, 5, None, "s")),
    "integers among the results": lambda lib: unmarked(lib, lambda a: (a * 2, (a > 1).long())),
    "tuple of one": lambda lib: unmarked(lib, lambda a: (a * 2,)),
    "gradient of another type": lambda lib: given(lib, lambda g: g.float()),
    "gradient of integers": lambda lib: given(lib, lambda g: g.long()),
    "gradient to be summed": lambda lib: given(lib, lambda g: g * 2, 3),
    "gradient to be summed twice": lambda lib: given(lib, lambda g: g * 2, 3, 1),
    "gradient too small": lambda lib: given(lib, lambda g: g.sum()),
    "gradient that does not fit": lambda lib: given(lib, lambda g: lib.ones(3).double()),
    "keyword": lambda lib: keywords(lib, False, w=0),
    "keyword, a number": lambda lib: keywords(lib, False, w=0, n=5),
    "setup": lambda lib: keywords(lib, True),
    "setup, keyword": lambda lib: keywords(lib, True, w=0),
    "setup, a number": lambda lib: keywords(lib, True, n=5),
    "saved tensors": saved,
    "walked twice": lambda lib: twice(lib, False),
    "walked twice, saved": lambda lib: twice(lib, True),
    "saved result changed": lambda lib: exponential(lib, lambda y: written(lib, y)),
    "saved result changed by a view": lambda lib: exponential(lib, lambda y: y[0].mul_(2)),
    "saved result used": lambda lib: exponential(lib, lambda y: y.sum()),
}


def plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    return np.round(np.asarray(value.detach()), 9).tolist() if hasattr(value, "requires_grad") else value


def outcome(scenario: Callable[[Any], Any], lib: Any) -> Any:
    try:
        return plain(scenario(lib))
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_in_pytorch(name: str) -> None:
    assert outcome(SCENARIOS[name], minicnn) == outcome(SCENARIOS[name], torch)
