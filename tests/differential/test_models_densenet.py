"""DenseNets against torchvision; those for CIFAR against a net of PyTorch's layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models

torch = pytest.importorskip("torch")

from differential.model_pairs import same_keys, same_results  # noqa: E402
from torch import nn  # noqa: E402

torchvision = pytest.importorskip("torchvision")  # after model_pairs, which makes it importable

NAMES = ["densenet121", "densenet161", "densenet169", "densenet201"]


@pytest.mark.parametrize("name", NAMES)
def test_keys(name: str) -> None:
    with minicnn.device("meta"), torch.device("meta"):
        same_keys(models.get_model(name), getattr(torchvision.models, name)(weights=None))


@pytest.mark.parametrize("name", [n if n == "densenet121" else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_results(name: str) -> None:
    theirs = getattr(torchvision.models, name)(weights=None, num_classes=10)
    same_results(models.get_model(name, num_classes=10), theirs, 3, 64, 64, dtype=np.float64)


@pytest.mark.parametrize("memory_efficient", [False, True])
def test_a_small_one(memory_efficient: bool) -> None:
    options: dict[str, Any] = {"growth_rate": 6, "block_config": (3, 2), "num_init_features": 10, "bn_size": 2}
    ours = models.DenseNet(**options, num_classes=5, memory_efficient=memory_efficient)
    same_results(ours, torchvision.models.DenseNet(**options, num_classes=5), 3, 40, 32, dtype=np.float64)


class Joined(nn.Module):
    """The input, and beside it what `layer` makes of it."""

    def __init__(self, *layer: Any) -> None:
        super().__init__()
        self.layer = nn.Sequential(*layer)

    def forward(self, x: Any) -> Any:
        return torch.cat([x, self.layer(x)], 1)


def reference(n: int, k: int, bottleneck: bool, compression: float) -> Any:
    def before(i: int, o: int, size: int) -> list[Any]:
        return [nn.BatchNorm2d(i), nn.ReLU(), nn.Conv2d(i, o, size, padding=size // 2, bias=False)]

    channels = 2 * k if bottleneck else 16
    parts: list[Any] = [nn.Conv2d(3, channels, 3, padding=1, bias=False)]
    for block in range(3):
        for _ in range(n):
            inner = [*before(channels, 4 * k, 1), *before(4 * k, k, 3)] if bottleneck else before(channels, k, 3)
            parts.append(Joined(*inner))
            channels += k
        if block < 2:
            kept = int(channels * compression)
            parts += [*before(channels, kept, 1), nn.AvgPool2d(2)]
            channels = kept
    parts += [nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    return nn.Sequential(*parts)


@pytest.mark.parametrize(("depth", "n", "bottleneck", "compression"), [(16, 4, False, 1.0), (22, 3, True, 0.5)])
def test_cifar(depth: int, n: int, bottleneck: bool, compression: float) -> None:
    ours = models.CifarDenseNet(depth, 6, bottleneck, compression)
    same_results(ours, reference(n, 6, bottleneck, compression), 3, 32, 24, dtype=np.float64)


@pytest.mark.slow
def test_published_cifar() -> None:
    same_results(models.densenet40_k12(), reference(12, 12, False, 1.0), 3, 32, 32, dtype=np.float64)
    same_results(models.densenet_bc100_k12(), reference(16, 12, True, 0.5), 3, 32, 32, dtype=np.float64)
