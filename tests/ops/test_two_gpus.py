"""Two GPUs, emulated: work on one that is not the current one, and tensors that are on both, or on the CPU."""

from __future__ import annotations

from typing import Any

import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor, autograd
from minicnn.autograd import engine
from minicnn_kernels import arrays

pytestmark = pytest.mark.usefixtures("gpu")
CUDA, OTHER = minicnn.device("cuda:0"), minicnn.device("cuda:1")


def test_a_gradient_on_another_gpu_raises() -> None:
    class Astray(engine.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, gy: Any) -> Any:
            return arrays.upload(gy.get(), 0)

    x = minicnn.ones(2, device="cuda:1", requires_grad=True)
    with pytest.raises(RuntimeError, match="Astray: a gradient of tensors on cuda:1 came out on cuda:0"):
        Astray.apply(x).sum().backward()


@pytest.mark.parametrize("change", ["add_", "sub_", "mul_", "__iadd__", "copysign_"])
def test_a_number_on_the_cpu_is_not_changed_by_a_gpu(change: str) -> None:
    total = minicnn.tensor(1.0)
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        getattr(total, change)(minicnn.ones(2, device="cuda").sum())
    assert total.item() == 1


def test_writing_in_place_on_a_gpu_that_is_not_the_current_one() -> None:
    x = minicnn.ones(2, 2, device=OTHER, requires_grad=True)
    y = x * 1
    y.mul_(3)
    y[0].mul_(2)
    y[y > 5] = 0
    y.relu_().sum().backward()
    assert x.grad.device == OTHER and x.grad.tolist() == [[0, 0], [3, 3]]
    running = minicnn.zeros(2, device=OTHER), minicnn.ones(2, device=OTHER)
    F.batch_norm(minicnn.randn(4, 2, device=OTHER), *running, training=True)
    F.instance_norm(minicnn.randn(4, 2, 3, device=OTHER), *running)
    assert running[0].device == OTHER and running[0].abs().min() > 0
    with pytest.raises(RuntimeError, match="another order of memory"):
        minicnn.ones(4, 4, device=OTHER).t().view(16)


@pytest.mark.parametrize(("before", "after"), [("cuda:0", "cuda:1"), ("cpu", "cuda:0"), ("cuda:1", "cpu")])
def test_a_gradient_left_on_another_device(before: str, after: str) -> None:
    x = minicnn.ones(2, device=before, requires_grad=True)
    (x * 2).sum().backward()
    kept = x.grad
    x.data = x.data.to(after)
    x._grad = kept
    with pytest.raises(RuntimeError, match=r"its .grad is on .*; set .grad to None after moving the tensor"):
        (x * 2).sum().backward()


def test_a_function_of_tensors_on_two_gpus() -> None:
    class Add(autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
            return a + b.to(a.device)

        @staticmethod
        def backward(ctx: Any, gy: Tensor) -> tuple[Tensor, Tensor]:
            return gy, gy.to(OTHER)

    a, b = minicnn.ones(1, device=CUDA, requires_grad=True), minicnn.ones(1, device=OTHER, requires_grad=True)
    Add.apply(a, b).sum().backward()
    assert a.grad.device == CUDA and b.grad.device == OTHER
