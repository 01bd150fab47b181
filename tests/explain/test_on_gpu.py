"""Explanations of layers, and attributions of nets, whose tensors are on a GPU: the CPU's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, explain, nn, visualize
from minicnn.nn import functional as F

pytestmark = pytest.mark.usefixtures("gpu")

LAYERS: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
    (lambda: nn.Conv1d(4, 6, 3, padding=1, groups=2), (2, 4, 7)),
    (lambda: nn.Conv2d(3, 4, (3, 2), stride=2, padding=1, padding_mode="reflect"), (2, 3, 7, 6)),
    (lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, output_padding=1), (2, 3, 4, 5)),
    (lambda: nn.MaxPool2d(3, 2, ceil_mode=True), (2, 3, 8, 7)),
    (lambda: nn.AvgPool2d(3, 2, 1), (2, 3, 8, 7)),
    (lambda: nn.AdaptiveAvgPool2d((2, 3)), (2, 3, 8, 7)),
    (lambda: nn.Linear(5, 3), (4, 5)),
    (lambda: nn.BatchNorm2d(3), (4, 3, 5, 6)),
    (lambda: nn.BatchNorm2d(3).eval(), (4, 3, 5, 6)),
]


def twice(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The same numbers on the CPU and on the GPU."""
    x = minicnn.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    return x, x.to("cuda")


@pytest.mark.parametrize(("make", "shape"), LAYERS, ids=lambda value: str(value) if isinstance(value, tuple) else None)
def test_layers(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    minicnn.manual_seed(0)
    layer = make()
    x, there = twice(shape)
    y = layer(x)
    grad = minicnn.arange(y.numel(), dtype=minicnn.float32).reshape(y.shape) / 10
    cell, grad_cell = tuple(n - 1 for n in y.shape), tuple(n // 2 for n in shape)
    on_cpu = explain.explain(layer, x, cell=cell, grad_cell=grad_cell, grad=grad)
    on_gpu = explain.explain(layer.to("cuda"), there, cell=cell, grad_cell=grad_cell, grad=grad.to("cuda"))
    assert len(on_gpu.sums) == len(on_cpu.sums) >= 2
    for a, b in zip(on_gpu.sums, on_cpu.sums, strict=True):
        assert float(a.value) == pytest.approx(float(b.value), rel=1e-4, abs=1e-5)
        np.testing.assert_allclose(a.left.values, b.left.values, rtol=1e-4, atol=1e-5)
    assert "the kernel computed" in str(on_gpu)


def test_a_mistake_is_found() -> None:
    class Wrong(minicnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx: Any, gy: Tensor) -> Tensor:
            return gy * (gy > 0)

    _, x = twice((4, 5))
    found = explain.diagnose(Wrong.apply, x, "relu", grad=x.flip(0))
    assert "the mask is that of gy" in str(found)
    assert explain.diagnose(F.relu, x).ok
    scores, target = minicnn.randn(4, 3, device="cuda"), minicnn.tensor([0, 2, 1, 1], device="cuda")
    assert explain.diagnose(lambda x: F.cross_entropy(x, target), scores, "cross_entropy", target=target).ok


@pytest.mark.parametrize(
    "method", ["saliency", "integrated_gradients", "guided_backprop", "grad_cam", "guided_grad_cam", "occlusion"]
)
def test_attributions(method: str) -> None:
    minicnn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    x, there = twice((2, 3, 8, 8))
    options = {"layer": "0"} if "cam" in method else {"window": 3, "stride": 2} if method == "occlusion" else {}
    compute = getattr(explain, method)
    on_cpu = compute(model, x, [1, 2], **options)
    on_gpu = compute(model.to("cuda"), there, minicnn.tensor([1, 2], device="cuda"), **options)
    assert on_gpu.device == there.device
    np.testing.assert_allclose(on_gpu.cpu().numpy(), on_cpu.numpy(), rtol=1e-4, atol=1e-5)
    visualize.attribution(there, {method: on_gpu})


def test_figures() -> None:
    model = minicnn.models.LeNet5().to("cuda")
    visualize.filters(model.features[0].weight)
    for image in twice((1, 32, 32)):
        visualize.overview(model, image)


def test_an_image_is_made_where_the_net_is() -> None:
    minicnn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    minicnn.manual_seed(1)
    on_cpu = explain.maximize_activation(model, "1", 2, (3, 8, 8), steps=5)
    minicnn.manual_seed(1)
    on_gpu = explain.maximize_activation(model.to("cuda"), "1", 2, (3, 8, 8), steps=5)
    assert on_gpu.device.type == "cuda"
    np.testing.assert_allclose(on_gpu.cpu().numpy(), on_cpu.numpy(), rtol=1e-4, atol=1e-5)
