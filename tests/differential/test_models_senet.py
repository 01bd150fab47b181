"""SE-ResNet and SENet-154 against nets of PyTorch's layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn import models

torch = pytest.importorskip("torch")

from differential.model_pairs import same_results  # noqa: E402
from torch import nn  # noqa: E402


def conv(i: int, o: int, k: int, stride: int = 1, groups: int = 1) -> list[Any]:
    return [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]


class Block(nn.Module):
    """relu(beside(x) + F(x) s(F(x))); the modules are in the order of the names of the weights."""

    def __init__(self, i: int, planes: int, stride: int, winner: bool, first: bool, v1: bool) -> None:
        super().__init__()
        o, groups = 4 * planes, 64 if winner else 1
        wide = (2 * planes, 4 * planes) if winner else (planes, planes)
        strides = (stride, 1) if v1 else (1, stride)
        self.f = nn.Sequential(
            *conv(i, wide[0], 1, strides[0]), nn.ReLU(), *conv(*wide, 3, strides[1], groups), nn.ReLU(),
            *conv(wide[1], o, 1),
        )  # fmt: skip
        self.beside = nn.Sequential(*conv(i, o, 3 if winner and stride == 2 else 1, stride)) if first else None
        self.squeeze, self.excite = nn.Linear(o, o // 16), nn.Linear(o // 16, o)

    def forward(self, x: Any) -> Any:
        y = self.f(x)
        s = torch.sigmoid(self.excite(torch.relu(self.squeeze(y.mean((2, 3))))))
        return torch.relu((x if self.beside is None else self.beside(x)) + y * s[:, :, None, None])


def reference(layers: list[int], winner: bool = False, v1: bool = False) -> Any:
    if winner:
        stem = [*conv(3, 64, 3, 2), nn.ReLU(), *conv(64, 64, 3), nn.ReLU(), *conv(64, 128, 3)]
    else:
        stem = conv(3, 64, 7, 2)
    i, parts = 128 if winner else 64, [*stem, nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    for stage, blocks in enumerate(layers):
        for b in range(blocks):
            planes = 64 * 2**stage
            parts.append(Block(i, planes, 2 if stage and not b else 1, winner, b == 0, v1))
            i = 4 * planes
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(i, 10))


def with_vectors(theirs: Any) -> Any:
    """Write the linear layers of the scales as the 1x1 convolutions that they are, so that shapes agree."""
    for block in theirs.modules():
        if isinstance(block, Block):
            for name in ("squeeze", "excite"):
                setattr(block, name, OneByOne(getattr(block, name)))
    return theirs


class OneByOne(nn.Module):
    def __init__(self, linear: Any) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(linear.weight[:, :, None, None].detach().clone()), linear.bias

    def forward(self, x: Any) -> Any:
        return nn.functional.linear(x, self.weight[:, :, 0, 0], self.bias)


WINNER = dict(models.senet.SENET154, dropout=0.0)


@pytest.mark.parametrize(("winner", "v1"), [(False, False), (False, True), (True, False)])
def test_short_nets(winner: bool, v1: bool) -> None:
    block = models.senet.SENetBottleneck if winner else models.senet.SEBottleneck
    ours = models.SENet(block, [2, 1, 1, 1], 10, stride_in_1x1=v1, **(WINNER if winner else {}))
    same_results(ours, with_vectors(reference([2, 1, 1, 1], winner, v1)), 3, 48, 40, dtype=np.float64)


@pytest.mark.slow
def test_se_resnet50_and_senet154() -> None:
    ours = models.se_resnet50(num_classes=10)
    same_results(ours, with_vectors(reference([3, 4, 6, 3])), 3, 64, 64, dtype=np.float64)
    winner = models.senet154(num_classes=10, dropout=0.0)
    same_results(winner, with_vectors(reference([3, 8, 36, 3], True)), 3, 64, 64, dtype=np.float64)
