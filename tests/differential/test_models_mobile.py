"""SqueezeNet, MobileNet, ShuffleNet, MNASNet and EfficientNet against torchvision, or against PyTorch's layers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models

torch = pytest.importorskip("torch")

from differential.model_pairs import near, same_keys, same_results, share_weights  # noqa: E402
from torch import nn  # noqa: E402

torchvision = pytest.importorskip("torchvision")  # after model_pairs, which makes it importable

NETS = [
    "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0", "mnasnet0_5", "mnasnet0_75", "mnasnet1_0",
    "mnasnet1_3", *(f"efficientnet_b{i}" for i in range(8)), *(f"efficientnet_v2_{size}" for size in "sml"),
]  # fmt: skip
# Of EfficientNet, those that differ in more than the numbers of blocks and channels, which the keys show.
ENOUGH = [n for n in NETS if not n.startswith("efficientnet") or n.endswith(("b0", "b5", "v2_s"))]
QUICK = ["squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "mnasnet0_5", "efficientnet_b0"]


def without_chance(name: str) -> dict[str, Any]:
    """The options that turn off what is random in training."""
    if name.startswith("efficientnet"):
        return {"dropout": 0.0, "stochastic_depth_prob": 0.0}
    return {} if name.startswith("shufflenet") else {"dropout": 0.0}


def theirs(name: str, **options: Any) -> Any:
    return getattr(torchvision.models, name)(weights=None, **options)


@pytest.mark.parametrize("name", NETS)
def test_keys(name: str) -> None:
    with minicnn.device("meta"), torch.device("meta"):
        same_keys(models.get_model(name), theirs(name))


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ENOUGH])
def test_results(name: str, compared: Any) -> None:
    options = {"num_classes": 10, **without_chance(name)}
    same_results(models.get_model(name, **options), theirs(name, **options), 3, 64, 64, dtype=np.float64)
    compared[f"models.{name}"] += 1


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("mobilenet_v2", {"width_mult": 0.35, "round_nearest": 4}),
    ("mobilenet_v2", {"inverted_residual_setting": [[1, 8, 1, 1], [4, 12, 2, 2]], "width_mult": 1.5}),
    ("mobilenet_v3_large", {"width_mult": 0.5, "reduced_tail": True, "dilated": True}),
    ("mobilenet_v3_small", {"width_mult": 0.5, "dilated": True}),
    ("mobilenet_v3_small", {"reduced_tail": True}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_options(name: str, options: dict[str, Any]) -> None:
    options = {"num_classes": 5, "dropout": 0.0, **options}
    ours, other = models.get_model(name, **options), theirs(name, **options)
    same_keys(ours, other)
    share_weights(ours, other)
    x = np.random.default_rng(0).standard_normal((1, 3, 48, 48), np.float32)
    with torch.no_grad():
        near("output", ours.eval()(minicnn.tensor(x)), other.eval()(torch.from_numpy(x)), 1e-4)


@pytest.mark.filterwarnings("ignore:A new version of MNASNet:UserWarning")
def test_mnasnets_of_version_1() -> None:
    old = theirs("mnasnet0_5", num_classes=5)
    state = old.state_dict()
    state._metadata[""]["version"] = 1
    with pytest.raises(RuntimeError, match="size mismatch"):
        old.load_state_dict(copy.copy(state))  # which makes it a net of version 1, although the state is not one
    ours = models.mnasnet0_5(num_classes=5)
    mine = old.state_dict()
    arrays = type(mine)((name, minicnn.tensor(value.numpy())) for name, value in mine.items())
    arrays._metadata = mine._metadata
    assert arrays._metadata[""]["version"] == 1
    with pytest.warns(UserWarning, match="MNASNet: this state is of version 1"):
        ours.load_state_dict(arrays)
    same_keys(ours, old)
    x = np.random.default_rng(0).standard_normal((1, 3, 48, 48), np.float32)
    with torch.no_grad():
        near("output", ours.eval()(minicnn.tensor(x)), old.eval()(torch.from_numpy(x)), 1e-4)


# ------------------------------------------------------------------------------------- nets that torchvision lacks


def convolve(before: int, after: int, size: int, stride: int = 1, groups: int = 1, relu: bool = True) -> Any:
    layers = [nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


def test_mobilenet_v1() -> None:
    channels, layers = 16, [convolve(3, 16, 3, 2)]
    for after, stride in [(32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), *5 * [(256, 1)], (512, 2), (512, 1)]:
        layers += [convolve(channels, channels, 3, stride, channels), convolve(channels, after, 1)]
        channels = after
    other = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    same_results(models.mobilenet_v1(alpha=0.5, num_classes=10, dropout=0.0), other, 3, 64, 64, dtype=np.float64)


class Unit(nn.Module):
    """A unit of ShuffleNet, with the shuffle as reshape, transpose and reshape."""

    def __init__(self, before: int, after: int, groups: int, first: int, stride: int) -> None:
        super().__init__()
        inner, self.groups, self.stride = after // 4, groups, stride
        self.a = convolve(before, inner, 1, groups=first)
        self.b = convolve(inner, inner, 3, stride, inner, relu=False)
        self.c = convolve(inner, after - before if stride == 2 else after, 1, groups=groups, relu=False)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        n, c, h, w = y.shape
        y = y.reshape(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)
        y = self.c(self.b(y))
        if self.stride == 1:
            return torch.relu(x + y)
        return torch.cat([nn.functional.avg_pool2d(x, 3, 2, 1), torch.relu(y)], 1)


@pytest.mark.parametrize(
    ("groups", "stages"),
    [(3, (240, 480, 960)),
     *(pytest.param(g, s, marks=pytest.mark.slow) for g, s in ((1, (144, 288, 576)), (8, (384, 768, 1536))))],
)  # fmt: skip
def test_shufflenet_v1(groups: int, stages: tuple[int, ...]) -> None:
    layers, channels = [convolve(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)], 24
    for after, units in zip(stages, (4, 8, 4), strict=True):
        for i in range(units):
            layers.append(Unit(channels, after, groups, 1 if channels == 24 else groups, 1 if i else 2))
            channels = after
    other = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    same_results(models.ShuffleNetV1(groups, 10), other, 3, 64, 64, dtype=np.float64)
