"""ResNet, ResNeXt and Wide ResNet against torchvision; the nets for CIFAR against PyTorch's layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models

torch = pytest.importorskip("torch")

from differential.model_pairs import same_keys, same_results  # noqa: E402
from torch.nn import functional as F  # noqa: E402

torchvision = pytest.importorskip("torchvision")  # after model_pairs, which makes it importable


def theirs(name: str, **options: Any) -> Any:
    return getattr(torchvision.models, name)(weights=None, **options)


NAMES = [
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d",
    "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_keys(name: str) -> None:
    with minicnn.device("meta"), torch.device("meta"):
        same_keys(models.get_model(name), theirs(name))


QUICK = ["resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2"]


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_results(name: str) -> None:
    ours, other = models.get_model(name, num_classes=10), theirs(name, num_classes=10)
    same_results(ours, other, 3, 64, 64, dtype=np.float64)


def test_dilation() -> None:
    options: dict[str, Any] = {"num_classes": 4, "replace_stride_with_dilation": [False, True, True]}
    same_results(models.resnet50(**options), theirs("resnet50", **options), 3, 48, 40, dtype=np.float64)


class Block(torch.nn.Module):
    """A basic block of the CIFAR nets; `beside` is the shortcut."""

    def __init__(self, before: int, planes: int, stride: int, beside: Any) -> None:
        super().__init__()
        self.a = torch.nn.Conv2d(before, planes, 3, stride, 1, bias=False)
        self.na = torch.nn.BatchNorm2d(planes)
        self.b = torch.nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.nb = torch.nn.BatchNorm2d(planes)
        self.beside = beside

    def forward(self, x: Any) -> Any:
        return F.relu(self.nb(self.b(F.relu(self.na(self.a(x))))) + self.beside(x))


class Padded(torch.nn.Module):
    def __init__(self, before: int, planes: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = planes - before, stride

    def forward(self, x: Any) -> Any:
        x = x[:, :, :: self.stride, :: self.stride]
        return torch.cat([x, x.new_zeros(x.shape[0], self.extra, *x.shape[2:])], 1)


def beside(option: str | None, before: int, planes: int, stride: int) -> Any:
    if option is None:
        return lambda x: 0
    if before == planes:
        return torch.nn.Identity()
    if option == "A":
        return Padded(before, planes, stride)
    return torch.nn.Sequential(
        torch.nn.Conv2d(before, planes, 1, stride, bias=False), torch.nn.BatchNorm2d(planes)
    )  # fmt: skip


@pytest.mark.parametrize("option", ["A", "B", None])
@pytest.mark.parametrize("depth", [14, 20])
def test_cifar(depth: int, option: str | None) -> None:
    layers: list[Any] = [torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(16), torch.nn.ReLU()]
    for i in range((depth - 2) // 2):
        stage, first = divmod(i, (depth - 2) // 6)
        planes, change = 16 * 2**stage, first == 0 and stage > 0
        shape = (planes // 2, planes, 2) if change else (planes, planes, 1)
        layers.append(Block(*shape, beside(option, *shape)))
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10)]
    same_results(models.CifarResNet(depth, shortcut=option), torch.nn.Sequential(*layers), 3, 32, 32, dtype=np.float64)
