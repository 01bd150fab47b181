"""ShuffleNet 1 and 2: the tables of the papers, the shuffle, options, training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from counting import count, finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn
from minicnn.models.shufflenetv1 import CHANNELS, ShuffleUnit
from minicnn.models.shufflenetv2 import InvertedResidual, channel_shuffle

V2 = {"x0_5": (48, 96, 192, 1024), "x1_0": (116, 232, 464, 1024), "x1_5": (176, 352, 704, 1024),
      "x2_0": (244, 488, 976, 2048)}  # fmt: skip
COMPLEXITY = {1: 143, 2: 140, 3: 137, 4: 133, 8: 137}  # millions of multiply-accumulates, table 1 of the paper
SIZE = (3, 224, 224)


def on_meta(build: Callable[[], Any]) -> Any:
    with minicnn.device("meta"):
        return build()


# ------------------------------------------------------------------------------------------------------------ version 1


@pytest.mark.parametrize("groups", CHANNELS)
def test_stages_of_v1(groups: int) -> None:
    a, b, c = CHANNELS[groups]
    shapes = stage_shapes(
        lambda: models.ShuffleNetV1(groups), SIZE, "conv1 maxpool stage2.0 stage2.3 stage3.7 stage4.3"
    )
    assert shapes == [(24, 112, 112), (24, 56, 56), (a, 28, 28), (a, 28, 28), (b, 14, 14), (c, 7, 7)]
    net = on_meta(lambda: models.ShuffleNetV1(groups))
    assert [len(stage) for stage in (net.stage2, net.stage3, net.stage4)] == [4, 8, 4]
    grouped = [m.groups for m in net.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert grouped == [1, *31 * [groups]]  # the first has only 24 input channels
    assert count(net, SIZE)[1] / 1e6 == pytest.approx(COMPLEXITY[groups], abs=1.5)


@pytest.mark.parametrize(("width", "channels", "macs"), [(0.5, 480, 38), (2.0, 1920, 524)])
def test_widths_of_v1(width: float, channels: int, macs: int) -> None:
    net = on_meta(lambda: models.shufflenet_v1_g3(width_mult=width))
    assert net.fc.in_features == channels
    assert count(net, SIZE)[1] / 1e6 == pytest.approx(macs, abs=0.5)  # millions, as in the paper


def test_a_unit_of_stride_2_keeps_the_pooled_input() -> None:
    unit = ShuffleUnit(12, 36, 2, 3).eval()
    x = minicnn.rand(1, 12, 7, 8)
    y = unit(x)
    assert tuple(y.shape) == (1, 36, 4, 4)
    assert minicnn.allclose(y[:, :12], nn.functional.avg_pool2d(x, 3, 2, 1))
    same = ShuffleUnit(36, 36, 1, 3).eval()
    minicnn.nn.init.zeros_(same.expand[1].weight)  # the branch gives 0
    assert minicnn.allclose(same(y), y)


def test_bad_options_of_v1() -> None:
    with pytest.raises(ValueError, match="groups must be one of 1, 2, 3, 4, 8, got 5"):
        models.ShuffleNetV1(5)
    with pytest.raises(ValueError, match="width_mult must be greater than 0, got 0"):
        models.ShuffleNetV1(3, width_mult=0)
    with pytest.raises(ValueError, match="stride 1 keeps the channels and stride 2 adds some, got stride=1"):
        ShuffleUnit(12, 24, 1, 3)


# ------------------------------------------------------------------------------------------------------------ version 2


@pytest.mark.parametrize("width", V2)
def test_stages_of_v2(width: str) -> None:
    a, b, c, last = V2[width]
    shapes = stage_shapes(
        lambda: models.get_model(f"shufflenet_v2_{width}"), SIZE,
        "conv1 maxpool stage2.0 stage2.3 stage3.7 stage4.3 conv5",
    )  # fmt: skip
    assert shapes == [
        (24, 112, 112), (24, 56, 56), (a, 28, 28), (a, 28, 28), (b, 14, 14), (c, 7, 7), (last, 7, 7)
    ]  # fmt: skip


def test_half_of_the_channels_passes_unchanged() -> None:
    unit = InvertedResidual(8, 8, 1).eval()
    x = minicnn.randn(2, 8, 5, 5)
    y = unit(x)
    assert minicnn.equal(y[:, 0::2], x[:, :4])  # the kept half and the other one take turns
    assert minicnn.equal(y[:, 1::2], unit.branch2(x[:, 4:]))


def test_the_shuffle_takes_channels_of_the_groups_in_turn() -> None:
    x = minicnn.arange(6).reshape(1, 6, 1, 1)
    assert channel_shuffle(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_bad_options_of_v2() -> None:
    with pytest.raises(ValueError, match=r"stages_repeats must have 3 numbers, got \[1\]"):
        models.ShuffleNetV2([1], [1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match=r"stages_out_channels must have 5 numbers, got \[1\]"):
        models.ShuffleNetV2([1, 2, 3], [1])
    with pytest.raises(ValueError, match="stride must be 1, 2 or 3, got 4"):
        InvertedResidual(8, 8, 4)
    with pytest.raises(ValueError, match="stride 1 needs as many outputs as inputs, an even number, got inp=8, oup=16"):
        InvertedResidual(8, 16, 1)


# -------------------------------------------------------------------------------------------------------------- all


NAMES = [*(f"shufflenet_v1_g{g}" for g in CHANNELS), *(f"shufflenet_v2_{w}" for w in V2)]
QUICK = ("shufflenet_v1_g3", "shufflenet_v2_x0_5")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_gradients_at_full_size(name: str) -> None:
    finite_gradients(models.get_model(name), *SIZE)


def test_v1_learns_16_images_by_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minicnn.models.shufflenetv1.UNITS", (2, 1, 1))
    minicnn.manual_seed(0)
    overfits(models.ShuffleNetV1(3, 4, width_mult=0.15), 3, 32, 32, lr=1e-2)


def test_v2_learns_16_images_by_heart() -> None:
    minicnn.manual_seed(0)
    overfits(models.ShuffleNetV2([1, 2, 1], [8, 16, 24, 32, 32], 4), 3, 32, 32, lr=1e-2)
