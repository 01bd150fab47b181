"""The tape on an emulated GPU: hooks, anomalies, functions of users, gradients of the wrong device, gradcheck."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, autograd
from minicnn.autograd import AnomalyError, GradcheckError, detect_anomaly, grad, gradcheck
from minicnn_kernels.emulated.traffic import no_waits

pytestmark = pytest.mark.usefixtures("gpu")
CUDA = minicnn.device("cuda:0")


def there(*values: Any, **options: Any) -> Tensor:
    return minicnn.tensor(*values, device="cuda", **options)


def equal(x: Tensor | None, expected: Any) -> None:
    assert x is not None and x.device == CUDA
    np.testing.assert_allclose(x.detach().cpu().numpy(), expected, rtol=1e-6)


def test_gradients_add_up_without_waiting() -> None:
    x = there([1.0, 2.0], requires_grad=True)
    memory = []
    with no_waits():
        for _ in range(3):
            (x * x + x.exp() * 0).sum().backward()
            memory.append(x.grad.data_ptr())
    equal(x.grad, [6, 12])
    assert len(set(memory)) == 1
    y = x * 2
    z = y + y  # both operands get one array
    equal(grad(z.sum(), (x, y), retain_graph=True)[1], [2, 2])
    z.sum().backward()
    equal(x.grad, [10, 16])


def test_a_gradient_on_another_device_raises() -> None:
    x = there([1.0, 2.0], requires_grad=True)
    y = x * 2
    for up, place in ((minicnn.ones(2), "cpu"), (minicnn.ones(2, device="cuda:1"), "cuda:1"), (np.ones(2), "cpu")):
        with pytest.raises(RuntimeError, match=f"gradient is on {place}, but the tensor is on cuda:0; .*'cuda:0'"):
            y.backward(up)
    with pytest.raises(RuntimeError, match=r"gradient is on cuda:0, but the tensor is on cpu"):
        (minicnn.ones(2, requires_grad=True) * 1).backward(there([1.0, 1.0]))
    with pytest.raises(RuntimeError, match="does not fit a tensor"):
        x.grad = minicnn.ones(2)
    x._grad = minicnn.ones(2)
    with pytest.raises(RuntimeError, match=r"is on cuda:0, but its .grad is on cpu; set .grad to None"):
        y.backward(there([1.0, 1.0]))


def test_hooks() -> None:
    x = there([1.0, 2.0], requires_grad=True)
    y = x * 3
    seen: list[Any] = []
    y.retain_grad()
    y.register_hook(lambda g: seen.append(g.device) or g * 2)
    x.register_hook(lambda g: g + minicnn.tensor(1.0))
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.device))
    y.sum().backward()
    assert seen == [CUDA, CUDA]
    equal(y.grad, [2, 2])
    equal(x.grad, [7, 7])
    y = x * 3
    y.register_hook(lambda g: g.cpu())
    with pytest.raises(RuntimeError, match="a hook turned a gradient on cuda:0 into one on cpu"):
        y.sum().backward()


def test_detect_anomaly() -> None:
    x = there([[1.0, 2.0], [3.0, -1.0]], requires_grad=True)
    with detect_anomaly():
        with pytest.raises(AnomalyError, match=r"Log gave 1 NaN among 4 values, first at \(1, 1\)"):
            x.log()
        y = (x * 0).sqrt()
        with pytest.raises(AnomalyError, match=r"backward pass of Sqrt gave 4 Inf among 4 values, first at \(0, 0\)"):
            y.backward(minicnn.ones(2, 2, device="cuda"))


class Scaled(autograd.Function):
    """y = a x, computed with tensors."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor) -> Tensor:
        ctx.save_for_backward(x, a)
        return x * a

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor]:
        x, a = ctx.saved_tensors
        return gy * a, (gy * x).sum()


class Lost(Scaled):
    """The gradient of x comes back on the CPU."""

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, None]:
        return gy.cpu(), None


class Number(Scaled):
    """The gradient of x is a number on the CPU."""

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, None]:
        return minicnn.tensor(2.0), None


def test_functions_of_users() -> None:
    x, a = there([1.0, 2.0], requires_grad=True), minicnn.tensor(3.0, requires_grad=True)
    y = Scaled.apply(x, a)
    equal(y, [3, 6])
    y.sum().backward()
    equal(x.grad, [3, 3])
    assert a.grad is not None and a.grad.device.type == "cpu" and a.grad.item() == 3
    with pytest.raises(RuntimeError, match="index 0 - expected device cuda:0 but got cpu"):
        Lost.apply(x, a).sum().backward()
    Number.apply(x.sum(), a).backward()
    equal(x.grad, [5, 5])


class Doubled(autograd.Function):
    """Writes 2 x into x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> Tensor:
        return gy * 2


def test_writes_to_views() -> None:
    x = there([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x * 1
    row, column, backwards = y[0], y[:, 1], y.flip(0)
    with no_waits():
        row.mul_(10)
        column.add_(there([5.0, 6.0]))
        Doubled.apply(y)
    equal(y, [[20, 50], [6, 20]])
    equal(row, [20, 50])
    equal(backwards, [[3, 4], [1, 2]])
    equal(grad((row * there([1.0, 2.0])).sum(), x, retain_graph=True)[0], [[20, 40], [0, 0]])
    equal(grad((y * y).sum(), x)[0], [[800, 2000], [24, 80]])
    saved = x * 1
    z = saved.exp()
    z.add_(1)
    with pytest.raises(RuntimeError, match="changed in place afterwards"):
        z.sum().backward()
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used"):
        x.add_(1)


def test_gradcheck() -> None:
    x = there([[0.3, -0.2], [0.5, 0.9]], dtype=minicnn.float64, requires_grad=True)
    a = minicnn.tensor(0.7, dtype=minicnn.float64, requires_grad=True)
    assert gradcheck(lambda x, a: (x.sigmoid() @ x.t() * a, x.max(1)[0]), (x, a), eps=1e-5, atol=1e-8)
    assert gradcheck(lambda x: x.tanh() * x, x, fast_mode=True)

    class Wrong(Scaled):
        @staticmethod
        def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor]:
            x, a = ctx.saved_tensors
            return gy * a * there([1.0, 1.001], dtype=minicnn.float64), (gy * x).sum()

    with pytest.raises(GradcheckError, match=r"input 0 is wrong at cell \(0, 1\)"):
        gradcheck(Wrong.apply, (x, a), eps=1e-5, atol=1e-8, rtol=1e-6)
