"""Inception-v3 and torchvision's; BN-Inception and v4 against the same layers of PyTorch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from differential.model_pairs import near, same_keys, same_results, share_weights  # noqa: E402

import minicnn  # noqa: E402
from minicnn import models, nn  # noqa: E402
from minicnn.models import inception as our_file  # noqa: E402
from minicnn.models.bn_inception import MODULES, BNInceptionModule  # noqa: E402
from minicnn.models.inception_parts import BasicConv2d  # noqa: E402
from minicnn.models.inception_v4 import (  # noqa: E402
    INCEPTION_A,
    INCEPTION_B,
    INCEPTION_C,
    REDUCTION_A,
    REDUCTION_B,
    STEM,
    build,
)  # fmt: skip

their_file = pytest.importorskip("torchvision.models.inception")

t = torch.nn
OFF: dict[str, Any] = {"dropout": 0.0, "num_classes": 10, "init_weights": False}


@pytest.mark.parametrize("aux", [True, False])
def test_same_keys(aux: bool) -> None:
    options = {"aux_logits": aux, "init_weights": False}
    same_keys(our_file.inception_v3(**options), their_file.inception_v3(**options))


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("InceptionA", (16, 8), (16, 9, 10)), ("InceptionB", (16,), (16, 9, 10)), ("InceptionC", (16, 12), (16, 6, 7)),
        ("InceptionD", (16,), (16, 9, 8)), ("InceptionE", (16,), (16, 4, 3)), ("InceptionAux", (16, 5), (16, 17, 18)),
    ],
)  # fmt: skip
def test_same_modules(name: str, arguments: tuple[int, ...], size: tuple[int, ...]) -> None:
    ours, theirs = getattr(our_file, name)(*arguments), getattr(their_file, name)(*arguments)
    same_keys(ours, theirs)
    same_results(ours, theirs, *size, dtype=np.float64)


@pytest.mark.slow
@pytest.mark.parametrize("transform", [False, True])
def test_same_results_without_head(transform: bool) -> None:
    options = {"aux_logits": False, "transform_input": transform, **OFF}
    ours, theirs = our_file.inception_v3(**options), their_file.inception_v3(**options)
    same_results(ours, theirs, 3, 75, 95, dtype=np.float64)


@pytest.mark.slow
def test_same_results_with_head() -> None:
    same_results(our_file.inception_v3(**OFF), their_file.inception_v3(**OFF), 3, 299, 299, dtype=np.float64)


def conv(c: int, out: int, size: Any, stride: int = 1, padding: Any = 0, bias: bool = False) -> Any:
    layer = t.Conv2d(c, out, size, stride, padding, bias=bias)
    return t.Sequential(layer, t.BatchNorm2d(out, eps=0.001), t.ReLU())


class Cat(t.Module):  # type: ignore[misc]
    def __init__(self, *branches: Any) -> None:
        super().__init__()
        self.branches = t.ModuleList(branches)

    def forward(self, x: Any) -> Any:
        return torch.cat([branch(x) for branch in self.branches], 1)


def bn_module(bias: bool, c: int, one: int, r3: int, c3: int, rd: int, cd: int, pool: str, proj: int) -> Any:
    def biased(*args: int) -> Any:
        return conv(*args, bias=bias)

    stride = 1 if one else 2
    three = t.Sequential(biased(c, r3, 1), biased(r3, c3, 3, stride, 1))
    double = t.Sequential(biased(c, rd, 1), biased(rd, cd, 3, 1, 1), biased(cd, cd, 3, stride, 1))
    down = t.MaxPool2d(3, stride, 1) if pool == "max" else t.AvgPool2d(3, stride, 1)
    if one:
        return Cat(biased(c, one, 1), three, double, t.Sequential(down, biased(c, proj, 1)))
    return Cat(three, double, down)


def bn_inception(bias: bool) -> Any:
    layers, c = [], 192
    for _, (one, r3, c3, rd, cd, pool, proj) in MODULES.items():
        layers.append(bn_module(bias, c, one, r3, c3, rd, cd, pool, proj))
        c = one + c3 + cd + (proj or c)
    down = t.MaxPool2d(3, 2, ceil_mode=True)
    stem = [conv(3, 64, 7, 2, 3, bias), down, conv(64, 64, 1, bias=bias), conv(64, 192, 3, 1, 1, bias), down]
    return t.Sequential(*stem, *layers, t.AdaptiveAvgPool2d(1), t.Flatten(), t.Linear(1024, 10))


@pytest.mark.parametrize("name", ["3a", "3c", "5b"])
def test_modules_of_bn_inception(name: str) -> None:
    ours = BNInceptionModule(20, *MODULES[name], conv_block=BasicConv2d)
    same_results(ours, bn_module(False, 20, *MODULES[name]), 20, 6, 7, dtype=np.float64)


def test_a_module_of_bn_inception_with_biases() -> None:
    """In evaluation only: in training batch norm takes the biases away, and their gradients are 0 but for rounding."""
    ours = BNInceptionModule(20, *MODULES["4b"], conv_block=partial(BasicConv2d, bias=True))
    theirs = bn_module(True, 20, *MODULES["4b"])
    share_weights(ours, theirs)
    x = np.random.default_rng(0).standard_normal((2, 20, 6, 7)).astype(np.float32)
    with minicnn.no_grad(), torch.no_grad():
        near("output", ours.eval()(minicnn.tensor(x)), theirs.eval()(torch.from_numpy(x)), 1e-4)


@pytest.mark.slow
def test_bn_inception() -> None:
    same_results(models.bn_inception(num_classes=10, conv_bias=False), bn_inception(False), 3, 48, 32, dtype=np.float64)


def row(c: int, out: int) -> Any:
    return conv(c, out, (1, 7), padding=(0, 3))


def column(c: int, out: int) -> Any:
    return conv(c, out, (7, 1), padding=(3, 0))


def stem() -> Any:
    s = t.Sequential
    return s(
        conv(3, 32, 3, 2), conv(32, 32, 3), conv(32, 64, 3, padding=1),
        Cat(t.MaxPool2d(3, 2), conv(64, 96, 3, 2)),
        Cat(s(conv(160, 64, 1), conv(64, 96, 3)), s(conv(160, 64, 1), column(64, 64), row(64, 64), conv(64, 96, 3))),
        Cat(conv(192, 192, 3, 2), t.MaxPool2d(3, 2)),
    )  # fmt: skip


def average() -> Any:
    return t.AvgPool2d(3, 1, 1, count_include_pad=False)


def a(c: int) -> Any:
    three = t.Sequential(conv(c, 64, 1), conv(64, 96, 3, padding=1))
    double = t.Sequential(conv(c, 64, 1), conv(64, 96, 3, padding=1), conv(96, 96, 3, padding=1))
    return Cat(t.Sequential(average(), conv(c, 96, 1)), conv(c, 96, 1), three, double)


def reduction_a(c: int) -> Any:
    double = t.Sequential(conv(c, 192, 1), conv(192, 224, 3, padding=1), conv(224, 256, 3, 2))
    return Cat(t.MaxPool2d(3, 2), conv(c, 384, 3, 2), double)


def b(c: int) -> Any:
    seven = t.Sequential(conv(c, 192, 1), row(192, 224), column(224, 256))
    double = t.Sequential(conv(c, 192, 1), row(192, 192), column(192, 224), row(224, 224), column(224, 256))
    return Cat(t.Sequential(average(), conv(c, 128, 1)), conv(c, 384, 1), seven, double)


def reduction_b(c: int) -> Any:
    three = t.Sequential(conv(c, 192, 1), conv(192, 192, 3, 2))
    seven = t.Sequential(conv(c, 256, 1), row(256, 256), column(256, 320), conv(320, 320, 3, 2))
    return Cat(t.MaxPool2d(3, 2), three, seven)


def c(channels: int) -> Any:
    wide, high = {"size": (1, 3), "padding": (0, 1)}, {"size": (3, 1), "padding": (1, 0)}
    three = t.Sequential(conv(channels, 384, 1), Cat(conv(384, 256, **wide), conv(384, 256, **high)))
    first = [conv(channels, 384, 1), conv(384, 448, **wide), conv(448, 512, **high)]
    double = t.Sequential(*first, Cat(conv(512, 256, **high), conv(512, 256, **wide)))
    return Cat(t.Sequential(average(), conv(channels, 256, 1)), conv(channels, 256, 1), three, double)


@pytest.mark.parametrize(
    ("figure", "reference", "channels", "side"),
    [
        (STEM, lambda channels: stem(), 3, 35), (INCEPTION_A, a, 16, 5), (REDUCTION_A, reduction_a, 16, 7),
        (INCEPTION_B, b, 16, 6), (REDUCTION_B, reduction_b, 16, 7), (INCEPTION_C, c, 16, 4),
    ],
    ids=["stem", "A", "reduction A", "B", "reduction B", "C"],
)  # fmt: skip
def test_modules_of_v4(figure: Any, reference: Any, channels: int, side: int) -> None:
    ours, out = build(figure, channels)
    theirs = reference(channels)
    same_results(ours, theirs, channels, side, side + 2, dtype=np.float64)
    x = torch.zeros(1, channels, side, side, dtype=torch.float64)
    assert theirs.eval()(x).shape[1] == out


@pytest.mark.slow
def test_v4() -> None:
    parts = [stem(), *(a(384) for _ in range(4)), reduction_a(384), *(b(1024) for _ in range(7)), reduction_b(1024)]
    parts += [*(c(1536) for _ in range(3)), t.AdaptiveAvgPool2d(1), t.Flatten(), t.Linear(1536, 10)]
    net: nn.Module = models.inception_v4(num_classes=10, dropout=0.0)
    same_results(net, t.Sequential(*parts), 3, 107, 107, dtype=np.float64)
