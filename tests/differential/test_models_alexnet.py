"""AlexNet against torchvision, its other versions and ZFNet against PyTorch's layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from differential.model_pairs import same_keys, same_results  # noqa: E402
from torch.nn import (  # noqa: E402
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
)

import minicnn  # noqa: E402
from minicnn import models  # noqa: E402
from minicnn.models.alexnet import VARIANTS  # noqa: E402

theirs = pytest.importorskip("torchvision").models  # after model_pairs, which makes it importable

HIDDEN = 32


def test_keys() -> None:
    with minicnn.device("meta"), torch.device("meta"):
        same_keys(models.alexnet(), theirs.alexnet())


def test_results() -> None:
    torch.manual_seed(0)
    reference = theirs.alexnet(num_classes=10, dropout=0.0)
    reference.classifier[1] = torch.nn.Linear(9216, HIDDEN)
    reference.classifier[4] = torch.nn.Linear(HIDDEN, HIDDEN)
    reference.classifier[6] = torch.nn.Linear(HIDDEN, 10)
    net = models.AlexNet(10, dropout=0.0, variant=VARIANTS["torchvision"]._replace(hidden=HIDDEN))
    same_keys(net, reference)
    same_results(net, reference, 3, 80, 72)


@pytest.mark.slow
def test_results_of_the_whole_net() -> None:
    torch.manual_seed(0)
    same_results(models.alexnet(dropout=0.0), theirs.alexnet(dropout=0.0), 3, 224, 224)


def lrn() -> Any:
    return LocalResponseNorm(5, alpha=5e-4, k=2)


def head(channels: int) -> list[Any]:
    return [
        AdaptiveAvgPool2d(6), Flatten(), Linear(36 * channels, HIDDEN), ReLU(), Linear(HIDDEN, HIDDEN), ReLU(),
        Linear(HIDDEN, 10),
    ]  # fmt: skip


def one_tower() -> list[Any]:
    return [
        Conv2d(3, 96, 11, 4), ReLU(), MaxPool2d(3, 2), lrn(), Conv2d(96, 256, 5, padding=2), ReLU(), MaxPool2d(3, 2),
        lrn(), Conv2d(256, 384, 3, padding=1), ReLU(), Conv2d(384, 384, 3, padding=1), ReLU(),
        Conv2d(384, 256, 3, padding=1), ReLU(), MaxPool2d(3, 2),
    ]  # fmt: skip


def two_towers() -> list[Any]:
    return [
        Conv2d(3, 96, 11, 4), ReLU(), lrn(), MaxPool2d(3, 2), Conv2d(96, 256, 5, padding=2, groups=2), ReLU(), lrn(),
        MaxPool2d(3, 2), Conv2d(256, 384, 3, padding=1), ReLU(), Conv2d(384, 384, 3, padding=1, groups=2), ReLU(),
        Conv2d(384, 256, 3, padding=1, groups=2), ReLU(), MaxPool2d(3, 2),
    ]  # fmt: skip


def batch_norm() -> list[Any]:
    return [
        Conv2d(3, 96, 11, 4, 2), BatchNorm2d(96), ReLU(), MaxPool2d(3, 2),
        Conv2d(96, 256, 5, padding=2), BatchNorm2d(256), ReLU(), MaxPool2d(3, 2),
        Conv2d(256, 384, 3, padding=1), BatchNorm2d(384), ReLU(), Conv2d(384, 384, 3, padding=1), BatchNorm2d(384),
        ReLU(), Conv2d(384, 256, 3, padding=1), BatchNorm2d(256), ReLU(), MaxPool2d(3, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "variant, layers", [("lrn", one_tower), ("two_towers", two_towers), ("batch_norm", batch_norm)]
)
def test_other_versions(variant: str, layers: Any) -> None:
    torch.manual_seed(0)
    net = models.AlexNet(10, dropout=0.0, variant=VARIANTS[variant]._replace(hidden=HIDDEN))
    same_results(net, Sequential(*layers(), *head(256)), 3, 83, 75, batch=3, dtype=np.float64)


def test_zfnet() -> None:
    torch.manual_seed(0)
    reference = Sequential(
        Conv2d(3, 12, 7, 2, 1), ReLU(), MaxPool2d(3, 2, ceil_mode=True), lrn(),
        Conv2d(12, 16, 5, 2), ReLU(), MaxPool2d(3, 2, ceil_mode=True), lrn(),
        Conv2d(16, 24, 3, padding=1), ReLU(), Conv2d(24, 32, 3, padding=1), ReLU(),
        Conv2d(32, 16, 3, padding=1), ReLU(), MaxPool2d(3, 2), *head(16),
    )  # fmt: skip
    net = models.ZFNet(10, dropout=0.0, widths=(12, 16, 24, 32, 16), hidden=HIDDEN)
    same_results(net, reference, 3, 96, 80)
