"""Pre-activation and wide ResNets against nets of PyTorch's layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import models
from minicnn.models.resnet_preact import PreActBlock, PreActBottleneck

torch = pytest.importorskip("torch")

from differential.model_pairs import same_results  # noqa: E402
from torch import nn  # noqa: E402


class Padded(nn.Module):
    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Any) -> Any:
        x = x[:, :, :: self.stride, :: self.stride]
        return torch.cat([x, x.new_zeros(x.shape[0], self.extra, *x.shape[2:])], 1)


def convolution(i: int, o: int, k: int, stride: int = 1) -> Any:
    return nn.Conv2d(i, o, k, stride, k // 2, bias=False)


class Unit(nn.Module):
    """Norm and ReLU, then `rest`; beside it `beside` from there, or the identity from the input."""

    def __init__(self, i: int, rest: Any, beside: Any) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(i), nn.ReLU())
        self.rest, self.beside = rest, beside

    def forward(self, x: Any) -> Any:
        a = self.first(x)
        return self.rest(a) + (x if self.beside is None else self.beside(a))


def unit(i: int, planes: int, stride: int, bottleneck: bool, option: str, first: bool) -> Any:
    if bottleneck:
        o = 4 * planes
        rest = [convolution(i, planes, 1), nn.BatchNorm2d(planes), nn.ReLU(), convolution(planes, planes, 3, stride)]
        rest += [nn.BatchNorm2d(planes), nn.ReLU(), convolution(planes, o, 1)]
    else:
        o = planes
        rest = [convolution(i, o, 3, stride), nn.BatchNorm2d(o), nn.ReLU(), convolution(o, o, 3)]
    beside = None
    if first:
        change = Padded(o - i, stride) if option == "A" else convolution(i, o, 1, stride)
        beside = nn.Identity() if (i, stride) == (o, 1) else change
    return Unit(i, nn.Sequential(*rest), beside)


def reference(layers: list[int], bottleneck: bool, option: str = "B", small: bool = True, width: int = 16) -> Any:
    if small:
        i, parts = 16, [convolution(3, 16, 3)]
    else:
        i, parts = 64, [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    for stage, blocks in enumerate(layers):
        for b in range(blocks):
            planes, stride = width * 2**stage, 2 if stage and not b else 1
            parts.append(unit(i, planes, stride, bottleneck, option, b == 0))
            i = planes * (4 if bottleneck else 1)
    return nn.Sequential(
        *parts, nn.BatchNorm2d(i), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, 10)
    )  # fmt: skip


@pytest.mark.parametrize(("block", "option"), [(PreActBlock, "A"), (PreActBlock, "B"), (PreActBottleneck, "B")])
def test_small_images(block: Any, option: str) -> None:
    ours = models.PreActResNet(block, [2, 2, 2], 10, small_images=True, shortcut=option)
    same_results(ours, reference([2, 2, 2], block is PreActBottleneck, option), 3, 16, 16, dtype=np.float64)


def test_imagenet() -> None:
    ours = models.preact_resnet18(num_classes=10)
    same_results(ours, reference([2, 2, 2, 2], False, small=False, width=64), 3, 64, 64, dtype=np.float64)


@pytest.mark.slow
def test_imagenet_of_bottlenecks() -> None:
    ours = models.preact_resnet50(num_classes=10)
    same_results(ours, reference([3, 4, 6, 3], True, small=False, width=64), 3, 64, 64, dtype=np.float64)


@pytest.mark.slow
def test_110_and_164() -> None:
    ours = models.preact_resnet110(), models.preact_resnet164()
    same_results(ours[0], reference([18] * 3, False, "A"), 3, 32, 32, dtype=np.float64)
    same_results(ours[1], reference([18] * 3, True), 3, 32, 32, dtype=np.float64)


def test_wide() -> None:
    same_results(models.WideResNet(16, 3), reference([2, 2, 2], False, width=48), 3, 16, 16, dtype=np.float64)


@pytest.mark.slow
def test_wrn_16_8() -> None:
    same_results(models.wrn_16_8(), reference([2, 2, 2], False, width=128), 3, 32, 32, dtype=np.float64)
