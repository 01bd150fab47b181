"""LeNet-5, MLP, highway nets, ConvNetJS, Network in Network and AlphaGo against PyTorch's layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from differential.model_pairs import same_results  # noqa: E402
from torch import nn  # noqa: E402

from minicnn import models  # noqa: E402
from minicnn.models.lenet import C3_TABLE, digit_codes  # noqa: E402


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("activation, act", [("tanh", nn.Tanh), ("relu", nn.ReLU)])
@pytest.mark.parametrize("pool, down", [("max", nn.MaxPool2d), ("avg", nn.AvgPool2d)])
def test_lenet5(activation: str, act: Any, pool: str, down: Any) -> None:
    reference = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), act(), down(2), nn.Conv2d(6, 16, 5), act(), down(2), nn.Flatten(),
        nn.Linear(400, 120), act(), nn.Linear(120, 84), act(), nn.Linear(84, 10),
    )  # fmt: skip
    same_results(models.LeNet5(activation=activation, pool=pool, padding=2), reference, 1, 28, 28)


class Halve(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(channels, 1, 1)), nn.Parameter(torch.randn(channels, 1, 1))

    def forward(self, x: Any) -> Any:
        four = x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]
        return self.w * four + self.b


class Original(nn.Module):
    """LeNet-5 of 1998, map by map."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.s2 = nn.Conv2d(1, 6, 5), Halve(6)
        self.c3 = nn.ModuleList([nn.Conv2d(6 * i, o, 5, groups=g) for i, o, g in ((3, 6, 6), (6, 9, 9), (1, 1, 1))])
        self.s4, self.c5, self.f6 = Halve(16), nn.Conv2d(16, 120, 5), nn.Linear(120, 84)
        self.output = nn.Module()
        self.output.register_buffer("codes", torch.tensor(digit_codes()))

    def forward(self, x: Any) -> Any:
        def squash(a: Any) -> Any:
            return 1.7159 * torch.tanh(2 / 3 * a)

        s2 = squash(self.s2(squash(self.c1(x))))
        kernels = [kernel for part in self.c3 for kernel in part.weight]
        biases = torch.cat([part.bias for part in self.c3])
        maps = [
            nn.functional.conv2d(s2[:, list(seen)], kernel[None], bias[None])
            for seen, kernel, bias in zip(C3_TABLE, kernels, biases, strict=True)
        ]
        s4 = squash(self.s4(squash(torch.cat(maps, 1))))
        f6 = squash(self.f6(squash(self.c5(s4)).flatten(1)))
        return -(torch.cdist(f6, self.output.codes) ** 2)


def test_lenet5_of_1998() -> None:
    same_results(models.lenet5_1998(), Original(), 1, 32, 32, dtype=np.float64)


def test_mlp() -> None:
    reference = nn.Sequential(nn.Flatten(), nn.Linear(48, 20), nn.ReLU(), nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 10))
    same_results(models.MLP(hidden_sizes=(20, 8), in_features=48), reference, 3, 4, 4)


class Gated(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.h, self.t = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        t = torch.sigmoid(self.t(x))
        return t * torch.relu(self.h(x)) + (1 - t) * x


def test_highway() -> None:
    reference = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 20), nn.ReLU(), *(Gated(20) for _ in range(5)), nn.Linear(20, 10)
    )
    same_results(models.HighwayNet(depth=6, width=20, in_features=48), reference, 3, 4, 4)


def test_convnetjs() -> None:
    reference = nn.Sequential(
        nn.Conv2d(3, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 20, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(20, 20, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(320, 10),
    )  # fmt: skip
    same_results(models.convnetjs(), reference, 3, 32, 32)


def test_network_in_network() -> None:
    def block(*sizes: int, **options: int) -> list[Any]:
        a, b, c, d, kernel = sizes
        return [
            nn.Conv2d(a, b, kernel, **options), nn.ReLU(), nn.Conv2d(b, c, 1), nn.ReLU(), nn.Conv2d(c, d, 1), nn.ReLU()
        ]  # fmt: skip

    cifar = nn.Sequential(
        *block(3, 192, 160, 96, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True),
        *block(96, 192, 192, 192, 5, padding=2), nn.AvgPool2d(3, 2, ceil_mode=True),
        *block(192, 192, 192, 10, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    same_results(models.nin_cifar(dropout=0.0), cifar, 3, 32, 32)
    imagenet = nn.Sequential(
        *block(3, 96, 96, 96, 11, stride=4), nn.MaxPool2d(3, 2, ceil_mode=True),
        *block(96, 256, 256, 256, 5, padding=2), nn.MaxPool2d(3, 2, ceil_mode=True),
        *block(256, 384, 384, 384, 3, padding=1), nn.MaxPool2d(3, 2, ceil_mode=True),
        *block(384, 1024, 1024, 1000, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    same_results(models.nin(dropout=0.0), imagenet, 3, 64, 80)


def test_all_cnn() -> None:
    sizes = [(3, 96, 3, 1, 1), (96, 96, 3, 1, 1), (96, 96, 3, 2, 1), (96, 192, 3, 1, 1), (192, 192, 3, 1, 1)]
    sizes += [(192, 192, 3, 2, 1), (192, 192, 3, 1, 0), (192, 192, 1, 1, 0), (192, 10, 1, 1, 0)]
    layers = [layer for size in sizes for layer in (nn.Conv2d(*size), nn.ReLU())]
    reference = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    same_results(models.all_cnn_c(dropout=False), reference, 3, 32, 32)


class Policy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(81))
        layers = [nn.Conv2d(48, 12, 5, padding=2), nn.ReLU()]
        for _ in range(11):
            layers += [nn.Conv2d(12, 12, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(12, 1, 1, bias=False), nn.Flatten())

    def forward(self, x: Any) -> Any:
        return self.layers(x) + self.bias


def test_alphago() -> None:
    same_results(models.AlphaGo(filters=12, size=9), Policy(), 48, 9, 9)
