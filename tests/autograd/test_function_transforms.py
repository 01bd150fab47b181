"""Functions made from functions: minicnn.func."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from minicnn.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vjp,
    vmap,
)

import minicnn
from minicnn import Tensor, nn
from minicnn.nn import functional as F


def random(*shape: int) -> Tensor:
    return minicnn.from_numpy(np.random.default_rng(sum(shape)).standard_normal(shape))


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_gradients_of_every_order() -> None:
    x = random(5)
    close(grad(lambda x: (x**3).sum())(x), 3 * x**2)
    close(grad(lambda x: grad(lambda x: (x**3).sum())(x).sum())(x), 6 * x)
    found, (value, aux) = grad_and_value(lambda x, y: ((x * y).sum(), {"y": y}), argnums=(1, 0), has_aux=True)(x, 2 * x)
    close(found[0], x), close(found[1], 2 * x), close(value, (2 * x * x).sum()), close(aux["y"], 2 * x)
    assert not any(one.requires_grad for one in (*found, value, aux["y"])) and not x.requires_grad


def test_trees() -> None:
    """Dictionaries, lists and tuples keep their form, and entries that nothing depends on get zeros."""
    found = grad(lambda p: (p["a"][0] * p["b"]).sum())({"a": [random(3), random(2)], "b": random(3)})
    assert list(found) == ["a", "b"] and isinstance(found["a"], list)
    close(found["a"][0], random(3)), close(found["a"][1], minicnn.zeros(2, dtype=minicnn.float64))


def test_the_graph_outside() -> None:
    """The result has a gradient by what was outside, a parameter or an argument, and by nothing else."""
    w, x = random(4).requires_grad_(), random(4)
    g = grad(lambda x: (w * x**2).sum())(x)
    assert g.requires_grad and not x.requires_grad
    g.sum().backward()
    close(w.grad, 2 * x)
    x.requires_grad_()
    grad(lambda x: (x**3).sum())(x).sum().backward()
    close(x.grad, 6 * x)
    with minicnn.no_grad():
        close(grad(lambda x: (x**2).sum())(x), 2 * x)


def test_products_and_jacobians() -> None:
    A, x, v, w = random(3, 4), random(4), random(4) + 1, random(3)

    def f(x: Tensor) -> Tensor:
        return (A @ x).tanh()

    J = jacrev(f)(x)
    close(J, (1 - f(x) ** 2)[:, None] * A)
    close(jacfwd(f)(x), J)
    y, product = vjp(f, x)
    close(y, f(x)), close(product(w)[0], w @ J), close(product(2 * w)[0], 2 * w @ J)
    y, along = jvp(f, (x,), (v,))
    close(y, f(x)), close(along, J @ v)
    y, line = linearize(f, x)
    close(line(v), J @ v)
    assert not along.requires_grad and not J.requires_grad
    close(hessian(lambda x: f(x).sum())(x), minicnn.autograd.functional.hessian(lambda x: f(x).sum(), x))
    both = jacrev(lambda x, y: {"a": x * y, "b": x.sum()}, argnums=(0, 1))(x, v)
    close(both["a"][1], minicnn.diag(x)), close(both["b"][1], minicnn.zeros(4, dtype=minicnn.float64))


def test_vmap() -> None:
    x, y = random(3, 4), random(4, 3)
    close(vmap(minicnn.dot, in_dims=(0, 1))(x, y), (x * y.T).sum(1))
    close(vmap(lambda a, b: a + b, (0, None), out_dims=1)(x, x[0]), (x + x[0]).T)
    close(vmap(vmap(lambda a: a**2))(x), x**2)
    found = vmap(lambda d, k: {"s": d["x"] * k, "t": d["w"].sum()}, in_dims=({"x": 0, "w": None}, None))(
        {"x": x, "w": y}, 2
    )
    close(found["s"], 2 * x), close(found["t"], y.sum().expand(3))
    w = random(4).requires_grad_()
    vmap(lambda a: (a * w).sum())(x).sum().backward()
    close(w.grad, x.sum(0))
    a, b = (vmap(lambda a: a + minicnn.rand(2), randomness=how)(minicnn.zeros(3, 2)) for how in ("same", "different"))
    assert (a == a[0]).all() and not (b == b[0]).all()


def test_gradient_of_each_sample() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).double()
    params, x, y = (
        {k: v.detach() for k, v in net.named_parameters()},
        random(5, 1, 4, 4),
        minicnn.tensor([0, 1, 2, 1, 0]),
    )

    def loss(params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(net, params, (x[None],)), y[None])

    each = vmap(grad(loss), in_dims=(None, 0, 0))(params, x, y)
    F.cross_entropy(net(x), y).backward()
    for name, parameter in net.named_parameters():
        close(each[name].mean(0), parameter.grad)
    models = [nn.Linear(4, 2).double() for _ in range(3)]
    stacked, buffers = stack_module_state(models)
    found = vmap(lambda p, b, x: functional_call(models[0], (p, b), (x,)), (0, 0, None))(stacked, buffers, random(2, 4))
    for one, model in zip(found, models, strict=True):
        close(one, model(random(2, 4)))


def test_calls_with_other_parameters() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    mean = minicnn.zeros(3)
    given = {"0.weight": minicnn.eye(3).requires_grad_(), "1.running_mean": mean}
    functional_call(net, given, (minicnn.ones(4, 3),)).sum().backward()
    assert mean.abs().sum() > 0 and given["0.weight"].grad is not None and net[0].weight.grad is None
    for name, value in net.state_dict().items():
        if name not in ("1.running_var", "1.num_batches_tracked"):  # these were not given, so the net's own changed
            assert minicnn.equal(value, before[name]), name
    with pytest.raises(ZeroDivisionError):
        functional_call(_Raising(), {"w": minicnn.zeros(1)}, ())
    tied = nn.Module()
    tied.a = tied.b = nn.Linear(2, 2, bias=False)
    tied.forward = lambda x: tied.a(x) + tied.b(x)
    close(functional_call(tied, {"a.weight": minicnn.eye(2)}, minicnn.ones(2)), minicnn.full((2,), 2.0))


class _Raising(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(minicnn.ones(1))

    def forward(self) -> None:
        assert float(self.w) == 0
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: grad(lambda x: x)(x), RuntimeError, "should return one number"),
        (lambda x: grad(lambda x: 1.0)(x), RuntimeError, "should return a tensor, got float"),
        (lambda x: grad(lambda x: x.sum(), 1)(x), RuntimeError, "argnums has 1, but there are 1"),
        (lambda x: grad(lambda x: x.sum())(x.long()), ValueError, "floating-point tensors only"),
        (lambda x: grad(lambda x: x.sum())(2.0), ValueError, "floating-point tensors only, got float"),
        (lambda x: vjp(lambda x: x, x)[1](x[:2]), RuntimeError, "should have the shapes of the results"),
        (lambda x: jvp(lambda x: x, (x,), (x[:2],)), RuntimeError, "tangents should have the shapes"),
        (lambda x: vmap(minicnn.dot)(x, x), ValueError, "axis 0|1D|shape"),
        (lambda x: vmap(lambda a, b: a)(x, x[:2]), ValueError, "batches of different sizes: 3, 2"),
        (lambda x: vmap(lambda a: a, None)(x), ValueError, "no argument has a batch axis"),
        (lambda x: vmap(lambda a: a, (0, 0))(x), ValueError, "in_dims has 2 entries"),
        (lambda x: vmap(lambda a: a)(x[:0]), ValueError, "the batch is empty"),
        (lambda x: functional_call(nn.Linear(2, 2), {"w": x}, x, strict=True), RuntimeError, "not in it: w; mis"),
        (lambda x: functional_call(nn.Linear(2, 2), {"weight": 3}, x), TypeError, "weight should be a tensor"),
        (lambda x: functional_call(nn.Linear(2, 2), [{"bias": x}, {"bias": x}], x), ValueError, "in two of the dict"),
    ],
)  # fmt: skip
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises((error, RuntimeError) if "axis" in message else error, match=message):
        call(minicnn.tensor([1.0, 2.0, 3.0]))
