"""Functions made from functions, in both libraries: torch.func."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def data(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def flat(tree: Any) -> list[Any]:
    """The numbers of nested results, and their forms."""
    if isinstance(tree, dict):
        return [list(tree), *(flat(value) for value in tree.values())]
    if isinstance(tree, list | tuple):
        return [type(tree).__name__, *(flat(value) for value in tree)]
    assert not tree.requires_grad
    return [tree.numpy().tolist()]


def transforms(lib: Any) -> list[Any]:
    func, x, y, w = lib.func, lib.tensor(data(3)), lib.tensor(data(4)), lib.tensor(data(3, 4))
    A = lib.tensor(data(5, 3))

    def f(x: Any, y: Any) -> Any:
        return {"a": (x @ w * y).sin(), "b": [x.sum() * y[0]]}

    def number(tree: Any) -> Any:
        return (tree["x"] ** 3).sum() * tree["y"][0].exp().sum()

    tree = {"x": x, "y": (y, x)}
    value, product, aux = func.vjp(lambda a, b: (f(a, b), b), x, y, has_aux=True)
    return [
        func.grad(number)(tree), func.grad_and_value(number)(tree), func.jacrev(f, (0, 1))(x, y),
        func.jacfwd(f, 1)(x, y), func.hessian(number)(tree), value, aux,
        product({"a": y, "b": [y[0]]}), func.jvp(f, (x, y), (x * 2, y - 1)),
        func.vmap(f, (0, None))(A, y), func.vmap(func.jacrev(f), (0, None), out_dims=1)(A, y),
        func.vmap(lambda a, t: a * t["s"], in_dims=(1, {"s": 0}))(A, {"s": x}), lib.vmap(lib.dot)(A, A),
        func.linearize(f, x, y)[1](x, y), func.grad(func.grad(lambda v: v.sin()))(x[0]),
        func.vmap(func.vmap(lambda a: (a**2, a + 1)))(A), func.grad(lambda a, k: (a * k).sum(), argnums=-2)(x, 2.0),
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # PyTorch's own linearize
def test_transforms() -> None:
    for ours, theirs in zip(transforms(minicnn), transforms(torch), strict=True):
        compare(flat(ours), flat(theirs))


def compare(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, list) and theirs and not isinstance(theirs[0], float | int):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            compare(one, other)
    elif isinstance(theirs, list | float):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    else:
        assert ours == theirs


def meta_learning(lib: Any) -> list[np.ndarray]:
    """Two steps on each task, differentiated: the gradients of the start values."""
    F = lib.nn.functional
    net = lib.nn.Sequential(lib.nn.Conv2d(1, 4, 3), lib.nn.Tanh(), lib.nn.Flatten(), lib.nn.Linear(16, 3)).double()
    for parameter in net.parameters():
        parameter.data = lib.tensor(data(*parameter.shape)) / 4
    total: Any = 0.0
    for task in range(2):
        x, y = lib.tensor(data(6, 1, 4, 4) + task), lib.tensor([0, 1, 2, 0, 1, 2])
        fast = dict(net.named_parameters())
        for _ in range(2):
            loss = F.cross_entropy(lib.func.functional_call(net, fast, (x,)), y)
            gradients = lib.autograd.grad(loss, tuple(fast.values()), create_graph=True)
            fast = {name: p - 0.1 * g for (name, p), g in zip(fast.items(), gradients, strict=True)}
        total = total + F.cross_entropy(lib.func.functional_call(net, fast, x + 1), y)
    total.backward()
    return [parameter.grad.numpy() for parameter in net.parameters()]


def test_meta_learning() -> None:
    for ours, theirs in zip(meta_learning(minicnn), meta_learning(torch), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
