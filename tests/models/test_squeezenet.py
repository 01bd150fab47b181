"""SqueezeNet: the table of the paper, its size against AlexNet's, training."""

from __future__ import annotations

import pytest
from counting import finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn
from minicnn.models import squeezenet
from minicnn.models.registry import MODELS
from minicnn.models.squeezenet import Fire

# output shape and parameters of each entry of `features` but the ReLU
TABLES = {
    "1_0": [
        ((96, 109, 109), 14_208), ((96, 54, 54), 0), ((128, 54, 54), 11_920), ((128, 54, 54), 12_432),
        ((256, 54, 54), 45_344), ((256, 27, 27), 0), ((256, 27, 27), 49_440), ((384, 27, 27), 104_880),
        ((384, 27, 27), 111_024), ((512, 27, 27), 188_992), ((512, 13, 13), 0), ((512, 13, 13), 197_184),
    ],
    "1_1": [
        ((64, 111, 111), 1_792), ((64, 55, 55), 0), ((128, 55, 55), 11_408), ((128, 55, 55), 12_432),
        ((128, 27, 27), 0), ((256, 27, 27), 45_344), ((256, 27, 27), 49_440), ((256, 13, 13), 0),
        ((384, 13, 13), 104_880), ((384, 13, 13), 111_024), ((512, 13, 13), 188_992), ((512, 13, 13), 197_184),
    ],
}  # fmt: skip


@pytest.mark.parametrize("version", TABLES)
def test_stages(version: str) -> None:
    with minicnn.device("meta"):
        net = models.SqueezeNet(version)
    layers = [i for i, layer in enumerate(net.features) if not isinstance(layer, nn.ReLU)]
    shapes = stage_shapes(lambda: models.SqueezeNet(version), (3, 224, 224), " ".join(f"features.{i}" for i in layers))
    params = [sum(p.numel() for p in net.features[i].parameters()) for i in layers]
    assert list(zip(shapes, params, strict=True)) == TABLES[version]
    assert sum(p.numel() for p in net.classifier.parameters()) == 513 * 1000


def test_fifty_times_smaller_than_alexnet() -> None:
    params = MODELS["squeezenet1_0"].params
    assert MODELS["alexnet_two_towers"].params / params == pytest.approx(48.8, abs=0.05)
    assert params * 4 / 2**20 == pytest.approx(4.8, abs=0.05)  # MiB of float32: half a megabyte needs compression


def test_a_fire_module_expands_by_both_sizes() -> None:
    fire = Fire(8, 2, 3, 5)
    x = minicnn.randn(2, 8, 6, 7)
    squeezed = fire.squeeze(x).relu()
    y = fire(x)
    assert tuple(y.shape) == (2, 8, 6, 7)
    assert minicnn.allclose(y[:, :3], fire.expand1x1(squeezed).relu())
    assert minicnn.allclose(y[:, 3:], fire.expand3x3(squeezed).relu())


def test_start_values() -> None:
    net = models.squeezenet1_1()
    assert float(net.classifier[1].weight.std()) == pytest.approx(0.01, rel=0.02)
    bound = (6 / (128 * 1)) ** 0.5  # He-uniform: sqrt(6/fan_in)
    assert float(net.features[4].squeeze.weight.abs().max()) == pytest.approx(bound, rel=0.02)
    assert all(float(p.abs().max()) == 0 for n, p in net.named_parameters() if n.endswith("bias"))


def test_bad_version() -> None:
    with pytest.raises(ValueError, match="version must be one of 1_0, 1_1, got '2'"):
        models.SqueezeNet("2")


@pytest.mark.parametrize("name", [pytest.param("squeezenet1_0", marks=pytest.mark.slow), "squeezenet1_1"])
def test_gradients_at_full_size(name: str) -> None:
    finite_gradients(models.get_model(name), 3, 224, 224)


def test_it_learns_16_images_by_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(squeezenet.VERSIONS, "small", ((3, 16), ["pool", (8, 16), (8, 16)]))
    minicnn.manual_seed(0)
    overfits(models.SqueezeNet("small", num_classes=4, dropout=0.0), 3, 16, 16, lr=1e-2)
