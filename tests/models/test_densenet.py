"""DenseNets: channels that grow by k a layer, the tables of the paper, names of old files, recomputed features."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from counting import finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn
from minicnn.models import CifarDenseNet, DenseNet
from minicnn.models.densenet import _DenseLayer
from minicnn.models.registry import MODELS

IMAGENET = [name for name, entry in MODELS.items() if entry.file == "densenet"]
CIFAR = [name for name, entry in MODELS.items() if entry.file == "densenet_cifar"]
LAYERS = {"densenet121": (6, 12, 24, 16), "densenet169": (6, 12, 32, 32), "densenet201": (6, 12, 48, 32),
          "densenet161": (6, 12, 36, 24)}  # fmt: skip


def weighted(net: nn.Module) -> int:
    return sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in net.modules())


@pytest.mark.parametrize("name", IMAGENET)
def test_channels_grow_by_k_a_layer(name: str) -> None:
    """k0 + l k after l layers, half of this after a transition; and the layers of the name."""
    stages = " ".join(f"features.denseblock{i} features.transition{i}" for i in (1, 2, 3)) + " features.denseblock4"
    found = stage_shapes(lambda: models.get_model(name), (3, 224, 224), f"features.conv0 features.pool0 {stages}")
    channels, k, size = found[1][0], 48 if name == "densenet161" else 32, 56
    assert found[:2] == [(2 * k, 112, 112), (2 * k, 56, 56)]
    expected: list[tuple[int, ...]] = []
    for layers in LAYERS[name]:
        channels += layers * k
        expected.append((channels, size, size))
        channels, size = channels // 2, size // 2
        expected.append((channels, size, size))
    assert found[2:] == expected[:-1]
    with minicnn.device("meta"):
        assert weighted(models.get_model(name)) == int(name.removeprefix("densenet"))


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("densenet40_k12", [16, 160, 160, 304, 304, 448]),
        ("densenet100_k12", [16, 400, 400, 784, 784, 1168]),
        ("densenet_bc100_k12", [24, 216, 108, 300, 150, 342]),
    ],
)
def test_cifar(name: str, channels: list[int]) -> None:
    names = "features.conv0 features.denseblock1 features.transition1 features.denseblock2 features.transition2"
    names += " features.denseblock3"
    found = stage_shapes(lambda: models.get_model(name), (3, 32, 32), names)
    assert found == [(c, s, s) for c, s in zip(channels, (32, 32, 16, 16, 8, 8), strict=True)]
    with minicnn.device("meta"):
        assert weighted(models.get_model(name)) == (40 if name == "densenet40_k12" else 100)


def test_a_layer_sees_all_features_before() -> None:
    block = DenseNet(4, (3, 1), 8).features.denseblock1
    x = minicnn.randn(2, 8, 5, 6)
    with minicnn.no_grad():
        y = block(x)
        assert np.array_equal(y[:, :8].numpy(), x.numpy())
        assert np.array_equal(y[:, 16:].numpy(), block.denselayer3(y[:, :16]).numpy())
        assert np.array_equal(y[:, 12:16].numpy(), block.denselayer2([x, y[:, 8:12]]).numpy())


def test_old_names_of_keys() -> None:
    """torchvision's files say denselayer1.norm.1.weight; the net's own names are the new ones."""
    net, other = DenseNet(4, (2, 1), 8, num_classes=3), DenseNet(4, (2, 1), 8, num_classes=3)
    state = other.state_dict()
    old = OrderedDict((re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", k), v) for k, v in state.items())
    assert "features.denseblock1.denselayer2.norm.1.running_mean" in old
    assert net.load_state_dict(old) == ([], [])
    assert all(np.array_equal(v.numpy(), state[k].numpy()) for k, v in net.state_dict().items())
    assert "features.denseblock1.denselayer2.norm.1.running_mean" in old  # the given dict stays
    del old["features.denseblock1.denselayer2.norm.1.weight"]
    with pytest.raises(RuntimeError, match=re.escape('"features.denseblock1.denselayer2.norm1.weight"')):
        net.load_state_dict(old)


def test_memory_efficient_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    minicnn.manual_seed(0)
    net, other = DenseNet(4, (3, 2), 8), DenseNet(4, (3, 2), 8, memory_efficient=True)
    other.load_state_dict(net.state_dict())
    calls = 0
    inner = _DenseLayer.bn_function

    def counted(self: _DenseLayer, *features: Any) -> Any:
        nonlocal calls
        calls += self.memory_efficient
        return inner(self, *features)

    monkeypatch.setattr(_DenseLayer, "bn_function", counted)
    x = minicnn.randn(2, 3, 32, 32)
    outputs = [n(x) for n in (net, other)]
    assert np.allclose(outputs[0].detach().numpy(), outputs[1].detach().numpy(), atol=1e-5)
    assert calls == 5
    for output in outputs:
        (output * output.detach().cos()).sum().backward()
    assert calls == 10  # each layer again
    for p, q in zip(net.parameters(), other.parameters(), strict=True):
        assert np.allclose(p.grad.numpy(), q.grad.numpy(), atol=1e-3 * p.grad.abs().max().item())


def test_dropout() -> None:
    net = DenseNet(4, (2, 1), 8, drop_rate=1.0).train()
    x = minicnn.randn(1, 8, 4, 4)
    with minicnn.no_grad():
        y = net.features.denseblock1(x)
        assert not y[:, 8:].numpy().any()
        assert net.eval().features.denseblock1(x)[:, 8:].numpy().any()


def test_options() -> None:
    net = CifarDenseNet(22, 6, True, 0.5, num_classes=7, in_channels=1)
    assert net(minicnn.zeros(1, 1, 20, 12)).shape == (1, 7)
    with pytest.raises(ValueError, match=r"depth must be 3n\+4, such as 40 or 100, got 42"):
        CifarDenseNet(42)
    with pytest.raises(ValueError, match=r"depth must be 6n\+4 with bottlenecks, such as 100, got 43"):
        CifarDenseNet(43, bottleneck=True)
    with pytest.raises(ValueError, match=r"compression must be in \(0, 1\], got 1.5"):
        CifarDenseNet(40, compression=1.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*IMAGENET, *CIFAR])
def test_one_step_of_each(name: str) -> None:
    finite_gradients(models.get_model(name), *MODELS[name].input_size)


def test_one_step_of_a_small_one() -> None:
    finite_gradients(CifarDenseNet(22, 12, True, 0.5), 3, 32, 32)


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (lambda: DenseNet(8, (2, 2), 16, num_classes=4), 32),
        (lambda: CifarDenseNet(10, 6, num_classes=4), 12),
        (lambda: CifarDenseNet(16, 6, True, 0.5, num_classes=4), 12),
    ],
)
def test_it_learns_16_images_by_heart(net: Any, size: int) -> None:
    overfits(net(), 3, size, size)
