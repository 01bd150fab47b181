"""MobileNet 1, 2 and 3: the tables of the papers, multipliers, options, training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from counting import count, finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn
from minicnn.models.mobilenetv1 import DepthwiseSeparable
from minicnn.models.mobilenetv2 import InvertedResidual, _make_divisible
from minicnn.models.mobilenetv3 import InvertedResidual as InvertedResidual3
from minicnn.models.mobilenetv3 import InvertedResidualConfig

# (output shape, parameters) of each entry of `features`
TABLES: dict[str, list[tuple[tuple[int, ...], int]]] = {
    "mobilenet_v1": [
        ((32, 112, 112), 928), ((64, 112, 112), 2_528), ((128, 56, 56), 9_152), ((128, 56, 56), 18_048),
        ((256, 28, 28), 34_688), ((256, 28, 28), 68_864), ((512, 14, 14), 134_912), *5 * [((512, 14, 14), 268_800)],
        ((1024, 7, 7), 531_968), ((1024, 7, 7), 1_061_888),
    ],
    "mobilenet_v2": [
        ((32, 112, 112), 928), ((16, 112, 112), 896), ((24, 56, 56), 5_136), ((24, 56, 56), 8_832),
        ((32, 28, 28), 10_000), *2 * [((32, 28, 28), 14_848)], ((64, 14, 14), 21_056), *3 * [((64, 14, 14), 54_272)],
        ((96, 14, 14), 66_624), *2 * [((96, 14, 14), 118_272)], ((160, 7, 7), 155_264), *2 * [((160, 7, 7), 320_000)],
        ((320, 7, 7), 473_920), ((1280, 7, 7), 412_160),
    ],
    "mobilenet_v3_small": [
        ((16, 112, 112), 464), ((16, 56, 56), 744), ((24, 28, 28), 3_864), ((24, 28, 28), 5_416),
        ((40, 14, 14), 13_736), *2 * [((40, 14, 14), 57_264)], ((48, 14, 14), 21_968), ((48, 14, 14), 29_800),
        ((96, 7, 7), 91_848), *2 * [((96, 7, 7), 294_096)], ((576, 7, 7), 56_448),
    ],
    "mobilenet_v3_large": [
        ((16, 112, 112), 464), ((16, 112, 112), 464), ((24, 56, 56), 3_440), ((24, 56, 56), 4_440),
        ((40, 28, 28), 10_328), *2 * [((40, 28, 28), 20_992)], ((80, 14, 14), 32_080), ((80, 14, 14), 34_760),
        *2 * [((80, 14, 14), 31_992)], ((112, 14, 14), 214_424), ((112, 14, 14), 386_120), ((160, 7, 7), 429_224),
        *2 * [((160, 7, 7), 797_360)], ((960, 7, 7), 155_520),
    ],
}  # fmt: skip


def on_meta(build: Callable[[], Any]) -> Any:
    with minicnn.device("meta"):
        return build()


@pytest.mark.parametrize("name", TABLES)
def test_stages(name: str) -> None:
    table, net = TABLES[name], on_meta(lambda: models.get_model(name))
    shapes = stage_shapes(
        lambda: models.get_model(name), (3, 224, 224), " ".join(f"features.{i}" for i in range(len(table)))
    )
    assert [(s, sum(p.numel() for p in f.parameters())) for s, f in zip(shapes, net.features, strict=True)] == table


# ------------------------------------------------------------------------------------------------------------ version 1


@pytest.mark.parametrize(("channels", "ratio"), [(64, 7.89), (512, 8.84)])
def test_what_separable_convolutions_save(channels: int, ratio: float) -> None:
    size = (channels, 14, 14)
    full = count(on_meta(lambda: nn.Conv2d(channels, channels, 3, padding=1, bias=False)), size)[1]
    separable = count(on_meta(lambda: DepthwiseSeparable(channels, channels)), size)[1]
    assert full == 9 * channels**2 * 14 * 14
    assert separable == 9 * channels * 14 * 14 + channels**2 * 14 * 14
    assert full / separable == pytest.approx(9 * channels / (9 + channels)) == pytest.approx(ratio, abs=0.005)


# Tables 6 and 7 of the paper: millions of multiply-accumulates, millions of parameters
@pytest.mark.parametrize(
    ("alpha", "size", "macs", "params"),
    [(1.0, 224, 569, 4.2), (0.75, 224, 325, 2.6), (0.5, 224, 149, 1.3), (0.25, 224, 41, 0.5),
     (1.0, 192, 418, 4.2), (1.0, 160, 290, 4.2), (1.0, 128, 186, 4.2)],
)  # fmt: skip
def test_width_and_resolution_multipliers(alpha: float, size: int, macs: float, params: float) -> None:
    found = count(on_meta(lambda: models.mobilenet_v1(alpha=alpha)), (3, size, size))
    assert found[0] / 1e6 == pytest.approx(params, abs=0.05)
    assert found[1] / 1e6 == pytest.approx(macs, abs=1)


def test_v1_refuses_a_width_of_nothing() -> None:
    with pytest.raises(ValueError, match="alpha multiplies the channels and must be greater than 0, got 0"):
        models.MobileNetV1(alpha=0)


# ------------------------------------------------------------------------------------------------------------ version 2


@pytest.mark.parametrize(
    ("v", "divisor", "least", "rounded"),
    [(32, 8, None, 32), (33, 8, None, 32), (36, 8, None, 40), (11.2, 8, None, 16), (12, 8, None, 16),
     (8.8, 8, None, 8), (8.9, 8, None, 16), (3, 8, None, 8), (3, 8, 16, 16), (22.4, 1, None, 22)],
)  # fmt: skip
def test_channels_are_rounded_without_losing_a_tenth(v: float, divisor: int, least: int | None, rounded: int) -> None:
    assert _make_divisible(v, divisor, least) == rounded


def test_options_of_v2() -> None:
    net = on_meta(lambda: models.mobilenet_v2(width_mult=0.35, num_classes=7))
    assert [net.features[i].out_channels for i in (0, 1, 2, 17)] == [16, 8, 8, 112]
    assert net.last_channel == 1280  # which never shrinks
    wide = on_meta(lambda: models.mobilenet_v2(width_mult=1.4, norm_layer=nn.InstanceNorm2d, dropout=0.5))
    assert wide.last_channel == 1792
    assert not any(isinstance(m, nn.BatchNorm2d) for m in wide.modules())
    assert wide.classifier[0].p == 0.5
    with pytest.raises(ValueError, match=r"must have rows \(t, c, n, s\), got \[\[1, 2, 3\]\]"):
        models.MobileNetV2(inverted_residual_setting=[[1, 2, 3]])
    with pytest.raises(ValueError, match="stride should be 1 or 2, got 3"):
        InvertedResidual(8, 8, 3, 6)


def test_the_shortcut_adds_the_input_only_where_shapes_allow() -> None:
    x = minicnn.randn(1, 8, 6, 6)
    for out, stride, shortcut in ((8, 1, True), (8, 2, False), (16, 1, False)):
        block = InvertedResidual(8, out, stride, 6).eval()
        expected = block.conv(x) + x if shortcut else block.conv(x)
        assert minicnn.equal(block(x), expected)


# ------------------------------------------------------------------------------------------------------------ version 3


def test_options_of_v3() -> None:
    narrow = on_meta(lambda: models.mobilenet_v3_large(width_mult=0.75))
    assert [narrow.features[i].out_channels for i in (0, 2, 15)] == [16, 24, 120]
    halved = on_meta(lambda: models.mobilenet_v3_small(reduced_tail=True))
    assert [f.out_channels for f in halved.features[8:]] == [48, 48, 48, 48, 288]
    assert halved.classifier[0].out_features == 512
    shapes = stage_shapes(lambda: models.mobilenet_v3_small(dilated=True), (3, 224, 224), "features.8 features.12")
    assert shapes == [(48, 14, 14), (576, 14, 14)]  # dilation instead of the last stride
    for bad, error in (([], ValueError), ([(16, 3)], TypeError)):
        with pytest.raises(error, match="inverted_residual_setting must have"):
            models.MobileNetV3(bad, 8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stride should be 1 or 2, got 3"):
        InvertedResidual3(InvertedResidualConfig(8, 3, 8, 8, False, "RE", 3, 1, 1.0), nn.BatchNorm2d)


# -------------------------------------------------------------------------------------------------------------- all


QUICK = ("mobilenet_v2", "mobilenet_v3_small")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in TABLES])
def test_gradients_at_full_size(name: str) -> None:
    finite_gradients(models.get_model(name), 3, 224, 224)


ROWS = [
    InvertedResidualConfig(8, 3, 16, 8, True, "RE", 1, 1, 1.0),
    InvertedResidualConfig(8, 5, 24, 16, True, "HS", 2, 1, 1.0),
]
SMALL: dict[str, Callable[[], nn.Module]] = {
    "1": lambda: models.MobileNetV1(4, alpha=0.25, dropout=0.0),
    "2": lambda: models.MobileNetV2(
        4, width_mult=0.25, inverted_residual_setting=[(1, 16, 1, 1), (6, 24, 2, 2)], dropout=0.0
    ),
    "3": lambda: models.MobileNetV3(ROWS, 16, 4, norm_layer=nn.BatchNorm2d, dropout=0.0),
}


@pytest.mark.parametrize("version", SMALL)
def test_it_learns_16_images_by_heart(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minicnn.models.mobilenetv1.STAGES", [(64, 1), (128, 2), (128, 1)])
    minicnn.manual_seed(0)
    overfits(SMALL[version](), 3, 16, 16, lr=3e-3)
