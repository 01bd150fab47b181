"""Gradients of gradients: every operation against finite differences, and the functions built on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from samples import OPS, Op, Sample

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor, nn
from minicnn.autograd import Function, engine, grad, gradgradcheck
from minicnn.autograd.function import once_differentiable
from minicnn.autograd.functional import hessian, hvp, jacobian, jvp, vhp, vjp

EXCEPT = {
    "max (two)": "the operands are equal somewhere, where the gradient jumps",
}
CASES = [
    pytest.param(op, sample, id=f"{name}-{i}", marks=[pytest.mark.slow] if i > 1 else [])
    for name, op in OPS.items()
    for i, sample in enumerate(op.samples)
    if name not in EXCEPT
]


def drawn(op: Op, sample: Sample) -> list[Tensor | None]:
    rng = np.random.default_rng(7)
    arrays = [None if s is None else np.asarray(op.draw(rng, s), np.float64) for s in sample.shapes]
    return [None if a is None else Tensor(a, requires_grad=True) for a in arrays]


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_every_operation(op: Op, sample: Sample) -> None:
    with minicnn.use(*op.kernels[-1]):
        assert gradgradcheck(
            lambda *x: op.run(minicnn, *x, **sample.options), drawn(op, sample), eps=1e-5, atol=1e-6, rtol=1e-5
        )


def test_a_function_without_a_derivative_says_so() -> None:
    class Twice(engine.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, gy: Any) -> Any:
            return gy * 2

    x = minicnn.ones(2, requires_grad=True)
    with pytest.raises(NotImplementedError, match="derivative of the backward of Twice is not implemented"):
        grad(Twice.apply(x).sum(), x, create_graph=True)


def test_derivatives_of_every_order() -> None:
    x = minicnn.tensor(0.7, dtype=minicnn.float64, requires_grad=True)
    y = (x.sin() * x).exp()
    for _ in range(3):
        (y,) = grad(y, x, create_graph=True)
    t = 0.7  # the third derivative, by a difference of second ones
    first = lambda t: math.sin(t) + t * math.cos(t)  # noqa: E731
    second = lambda t: math.exp(t * math.sin(t)) * (first(t) ** 2 + 2 * math.cos(t) - t * math.sin(t))  # noqa: E731
    assert y.item() == pytest.approx((second(t + 1e-5) - second(t - 1e-5)) / 2e-5, rel=1e-8)


def test_backward_with_create_graph() -> None:
    """`.grad` gets a place in the graph; a plain pass through it adds to its values."""
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.warns(UserWarning, match="reference cycle"):
        (x**3).sum().backward(create_graph=True)
    first = x.grad
    assert first is not None and first.requires_grad
    (first * first).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(force=True), [3 + 36, 12 + 288])  # 3 x^2 + 36 x^3


def test_two_leaves_do_not_share_a_gradient() -> None:
    a, b = (minicnn.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    with pytest.warns(UserWarning, match="reference cycle"):
        (a + b).sum().backward(create_graph=True)
    assert a.grad is not None and b.grad is not None
    with minicnn.no_grad():
        a.grad.zero_()
    assert b.grad.tolist() == [1, 1]


def test_the_plain_pass_has_no_graph() -> None:
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    (found,) = grad((x**3).sum(), x)
    assert not found.requires_grad


def small_net(seed: int = 0) -> nn.Module:
    minicnn.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2, bias=False),
        nn.SiLU(), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip
    return net.double()


@pytest.mark.cpu_only("changes parameters through NumPy")
def test_hessian_of_a_small_net() -> None:
    """The whole matrix, over all parameters, against differences of the gradient."""
    net, x = small_net(), minicnn.randn(4, 2, 6, 6, dtype=minicnn.float64)
    t, parameters = minicnn.tensor([0, 2, 1, 1]), list(net.parameters())
    sizes = [p.numel() for p in parameters]

    def gradient() -> Any:
        loss = F.cross_entropy(net(x), t)
        return minicnn.cat([g.reshape(-1) for g in grad(loss, parameters, create_graph=True)])

    g = gradient()
    rows = [minicnn.cat([h.reshape(-1) for h in grad(g[i], parameters, retain_graph=True)]) for i in range(len(g))]
    found = minicnn.stack(rows).numpy()
    np.testing.assert_allclose(found, found.T, atol=1e-10)
    k = 0
    for p, size in zip(parameters, sizes, strict=True):
        flat = p.detach().numpy().reshape(-1)
        for i in range(0, size, 7):
            ends = []
            for step in (1e-5, -1e-5):
                flat[i] += step
                ends.append(gradient().detach().numpy())
                flat[i] -= step
            np.testing.assert_allclose(found[k + i], (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-7)
        k += size


@pytest.mark.cpu_only("changes parameters through NumPy")
def test_gradient_penalty() -> None:
    """Wasserstein GAN with a penalty: the norm of the critic's gradient in x, differentiated by the weights."""
    critic = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(36, 1)).double()
    x = minicnn.randn(5, 1, 8, 8, dtype=minicnn.float64)

    def penalty() -> Tensor:
        point = x.detach().requires_grad_()
        (gx,) = grad(critic(point).sum(), point, create_graph=True)
        return ((gx.reshape(5, -1).norm(2, dim=1) - 1) ** 2).mean()

    penalty().backward()
    for p in critic.parameters():
        flat, found = p.detach().numpy().reshape(-1), np.zeros(p.shape) if p.grad is None else p.grad.numpy()
        for i in range(0, flat.size, 5):
            ends = []
            for step in (1e-6, -1e-6):
                flat[i] += step
                ends.append(penalty().item())
                flat[i] -= step
            assert found.reshape(-1)[i] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-8)


# ---------------------------------------------------------------------------------------------------- users' functions


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x * x * gy


class CubeOnce(Cube):
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x * x * gy


def test_a_users_function() -> None:
    x = minicnn.tensor([1.0, 2.0], dtype=minicnn.float64, requires_grad=True)
    assert gradgradcheck(Cube.apply, x)


def test_once_differentiable() -> None:
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    CubeOnce.apply(x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [3, 12]
    (gx,) = grad((CubeOnce.apply(x) ** 2).sum(), x, create_graph=True)
    assert gx.tolist() == [6, 192]
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        gx.sum().backward()


def test_hooks_see_recorded_gradients() -> None:
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    y.register_hook(lambda g: 2 * g)
    x.register_hook(lambda g: g * x.detach())
    (gx,) = grad(y.sum(), x, create_graph=True)
    assert gx.tolist() == [4, 16]  # 2 * 2 x * x
    (ggx,) = grad(gx.sum(), x)
    assert ggx.tolist() == [4, 8 * 2]  # x of the hook is constant; it is called again in this pass


def test_hooks_of_modules() -> None:
    layer, x = nn.Linear(2, 2), minicnn.tensor([[1.0, 2.0]], requires_grad=True)
    layer.register_full_backward_hook(lambda module, gx, gy: (gx[0] * 3,))
    (gx,) = grad((layer(x) ** 2).sum(), x, create_graph=True)
    (ggx,) = grad(gx.sum(), x)
    w = layer.weight.detach().numpy()
    np.testing.assert_allclose(ggx.numpy(), 3 * 3 * 2 * (w.T @ w).sum(0)[None], rtol=1e-5)  # called in both passes


def test_in_place_writes_and_views() -> None:
    def func(x: Tensor) -> Tensor:
        y = x * x
        y[0] *= x[1]
        y.add_(x)
        y[:, 1:].mul_(x[:, 1:])
        return y * x

    x = Tensor(np.random.default_rng(0).standard_normal((2, 3)), requires_grad=True)
    assert gradgradcheck(func, x, atol=1e-6)


# ------------------------------------------------------------------------------------------------ products and matrices


def test_products_with_jacobian_and_hessian(rng: np.random.Generator) -> None:
    a, b = (Tensor(rng.standard_normal(n)) for n in (3, 2))
    u, va, vb = (Tensor(rng.standard_normal(n)) for n in (4, 3, 2))

    def func(a: Tensor, b: Tensor) -> Tensor:
        return minicnn.cat([a.sin() * b[0], (a * a).sum()[None] * b[1]])

    ja, jb = jacobian(func, (a, b))
    assert ja.shape == (4, 3) and jb.shape == (4, 2)
    y, (ga, gb) = vjp(func, (a, b), u)
    np.testing.assert_allclose(y.numpy(), func(a, b).numpy())
    np.testing.assert_allclose(ga.numpy(), (u @ ja).numpy())
    np.testing.assert_allclose(gb.numpy(), (u @ jb).numpy())
    np.testing.assert_allclose(jvp(func, (a, b), (va, vb))[1].numpy(), (ja @ va + jb @ vb).numpy())

    def scalar(a: Tensor, b: Tensor) -> Tensor:
        return (func(a, b) ** 2).sum()

    (haa, hab), (hba, hbb) = hessian(scalar, (a, b))
    np.testing.assert_allclose(hab.numpy(), hba.numpy().T)
    for product in (vhp, hvp):
        _, (pa, pb) = product(scalar, (a, b), (va, vb))
        np.testing.assert_allclose(pa.numpy(), (haa @ va + hab @ vb).numpy())
        np.testing.assert_allclose(pb.numpy(), (hba @ va + hbb @ vb).numpy())


def test_forms_and_errors() -> None:
    x = minicnn.tensor([1.0, 2.0])
    found = jacobian(lambda x: (x * 2, x.sum()), x)
    assert [tuple(one.shape) for one in found] == [(2, 2), (2,)]
    assert jacobian(lambda x: minicnn.ones(3), x).tolist() == [[0, 0]] * 3  # no dependence
    assert hessian(lambda x: x.sum(), x).tolist() == [[0, 0]] * 2
    assert jvp(lambda x: minicnn.ones(3), x, x)[1].tolist() == [0, 0, 0]
    with pytest.raises(RuntimeError, match=r"should contain a single element, got the shape \(2,\)"):
        hessian(lambda x: x * x, x)
    with pytest.raises(RuntimeError, match="The vector v can only be None if the user-provided function returns"):
        vjp(lambda x: x * x, x)
    with pytest.raises(RuntimeError, match=r"v has invalid size: should be minicnn.Size\(\[2\]\), as the outputs"):
        vjp(lambda x: x * x, x, minicnn.ones(3))
    with pytest.raises(TypeError, match=r"The inputs given to vjp must be either a Tensor or .*, got int"):
        vjp(lambda x: x, 3)
    with pytest.raises(RuntimeError, match="not supported together"):
        jacobian(lambda x: x, x, strict=True, vectorize=True)


def test_what_strict_forbids() -> None:
    x, one = minicnn.tensor([1.0, 2.0]), minicnn.ones(2)

    def apart(x: Any) -> Any:
        return minicnn.ones(2, requires_grad=True) * 2

    assert hessian(lambda x: minicnn.ones(()), x).tolist() == [[0, 0]] * 2
    with pytest.raises(RuntimeError, match="jacobian: Output 1 of the user-provided function does not require grad"):
        jacobian(lambda x: (x, minicnn.ones(3)), x, strict=True)
    with pytest.raises(RuntimeError, match="Output 1 of the user-provided function is independent of input 0"):
        jacobian(lambda x: (x, apart(x)), x, strict=True)
    with pytest.raises(RuntimeError, match="vjp: The output of the user-provided function is independent of input 0"):
        vjp(apart, x, one, strict=True)
    with pytest.raises(RuntimeError, match="jvp: The jacobian of the user-provided function is independent of input 0"):
        jvp(lambda x: x * 2, x, one, create_graph=True, strict=True)
    for call in (lambda f: hvp(f, x, one, strict=True), lambda f: hessian(f, x, strict=True)):
        with pytest.raises(RuntimeError, match="with respect to input 0 is independent of the inputs"):
            call(lambda x: (x * 3).sum())


def test_a_jacobian_with_a_graph_inside_no_grad() -> None:
    x = minicnn.tensor([1.0, 2.0])
    with minicnn.no_grad():
        assert jacobian(lambda x: x**2, x, create_graph=True).requires_grad
        assert not jacobian(lambda x: x**2, x).requires_grad


def test_results_with_a_graph() -> None:
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    found = hessian(lambda x: (x**3).sum(), x, create_graph=True)
    found.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [6, 6]
    assert not hessian(lambda x: (x**3).sum(), x).requires_grad
