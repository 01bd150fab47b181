"""EfficientNet: its table, compound scaling, the comparison of the paper, options, training."""

from __future__ import annotations

import math
from functools import partial

import pytest
from counting import finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn
from minicnn.models.efficientnet import (
    COEFFICIENTS,
    FusedMBConv,
    FusedMBConvConfig,
    MBConv,
    MBConvConfig,
    compound_scaling,
)
from minicnn.models.registry import MODELS

# (output shape, parameters) of the entries of B0's `features`
B0 = [((32, 112, 112), 928), ((16, 112, 112), 1_448), ((24, 56, 56), 16_714), ((40, 28, 28), 46_640),
      ((80, 14, 14), 242_930), ((112, 14, 14), 543_148), ((192, 7, 7), 2_026_348), ((320, 7, 7), 717_232),
      ((1280, 7, 7), 412_160)]  # fmt: skip


def on_meta(name: str, **options: object) -> models.EfficientNet:
    with minicnn.device("meta"):
        net = models.get_model(name, **options)
    assert isinstance(net, models.EfficientNet)
    return net


def test_stages() -> None:
    shapes = stage_shapes(models.efficientnet_b0, (3, 224, 224), " ".join(f"features.{i}" for i in range(9)))
    params = [sum(p.numel() for p in f.parameters()) for f in on_meta("efficientnet_b0").features]
    assert list(zip(shapes, params, strict=True)) == B0


# ----------------------------------------------------------------------------------------------------- compound scaling


def test_compound_scaling() -> None:
    assert pytest.approx(1.92, abs=0.005) == 1.2 * 1.1**2 * 1.15**2
    assert compound_scaling(0) == (1, 1, 1)
    assert compound_scaling(1) == (1.2, 1.1, 1.15)
    found = compound_scaling(3, alpha=1.5, beta=1.0, gamma=1.15)
    assert (found.depth, found.width, found.resolution) == pytest.approx((1.5**3, 1, 1.15**3))


def test_compound_scaling_refuses_factors_that_do_not_double_the_work() -> None:
    with pytest.raises(ValueError, match=r"must be about 2, got 3.20 for alpha=2, .*With alpha=1.25 it would"):
        compound_scaling(1, alpha=2)
    with pytest.raises(ValueError, match=r"must be about 2, got 5\.06 .*Choose a smaller beta or gamma"):
        compound_scaling(1, 1, 1.5, 1.5)
    with pytest.raises(ValueError, match=r"alpha, beta and gamma at least 1, got phi=1, alpha=1.8, beta=0.9"):
        compound_scaling(1, 1.8, 0.9, 1.2)
    with pytest.raises(ValueError, match="phi must be at least 0"):
        compound_scaling(-1)


@pytest.mark.parametrize("name", list(COEFFICIENTS)[1:])
def test_the_released_nets_follow_it(name: str) -> None:
    width, depth, size, _ = COEFFICIENTS[name]
    scaling = compound_scaling(math.log(size / 224) / math.log(1.15))
    assert width == pytest.approx(scaling.width, rel=0.05)
    assert depth == pytest.approx(scaling.depth, rel=0.05 if name < "b4" else 0.16)
    assert depth < scaling.depth * 1.01
    net = on_meta(f"efficientnet_{name}")
    assert len(net.features) == 9
    assert [len(stage) for stage in net.features[1:8]] == [math.ceil(n * depth) for n in (1, 2, 2, 3, 3, 4, 1)]


def test_computation_doubles_with_phi() -> None:
    macs = [MODELS[f"efficientnet_b{i}"].macs for i in range(8)]
    phi = [math.log(COEFFICIENTS[f"b{i}"][2] / 224) / math.log(1.15) for i in range(8)]
    rate = (macs[7] / macs[0]) ** (1 / phi[7])
    assert rate == pytest.approx(1.92, rel=0.02)


# The table on the slides, from figure 1 of the paper: top-1 accuracy and millions of parameters
@pytest.mark.parametrize(
    ("name", "millions", "digits"),
    [("resnet152", 60, 0), ("efficientnet_b1", 7.8, 1), ("efficientnet_b3", 12, 0), ("efficientnet_b4", 19, 0),
     ("efficientnet_b7", 66, 0)],
)  # fmt: skip
def test_the_table_of_the_course(name: str, millions: float, digits: int) -> None:
    assert round(MODELS[name].params / 1e6, digits) == millions


def test_the_table_of_the_course_is_wrong_about_senet_and_rounds_resnext_up() -> None:
    assert MODELS["senet154"].params == 115_088_984  # the slide says 146 million
    assert 83 < MODELS["resnext101_64x4d"].params / 1e6 < 84  # the slide says 84


# -------------------------------------------------------------------------------------------------------------- options


def test_stochastic_depth_grows_linearly() -> None:
    net = on_meta("efficientnet_b0")
    found = [m.stochastic_depth.p for m in net.modules() if isinstance(m, MBConv)]
    assert found == pytest.approx([0.2 * i / 16 for i in range(16)])
    v2 = on_meta("efficientnet_v2_s", stochastic_depth_prob=0.4)
    both = [m.stochastic_depth.p for m in v2.modules() if isinstance(m, (MBConv, FusedMBConv))]
    assert both == pytest.approx([0.4 * i / 40 for i in range(40)])


def test_a_left_out_branch_leaves_the_input() -> None:
    block = MBConv(MBConvConfig(6, 3, 1, 8, 8, 1), 1.0, nn.BatchNorm2d)
    x = minicnn.randn(4, 8, 6, 6)
    assert minicnn.equal(block(x), x)
    assert not minicnn.equal(block.eval()(x), x)


def test_a_fused_block_without_expansion_is_one_convolution() -> None:
    one = FusedMBConv(FusedMBConvConfig(1, 3, 1, 8, 8, 1), 0.0, nn.BatchNorm2d)
    assert [m.kernel_size for m in one.modules() if isinstance(m, nn.Conv2d)] == [(3, 3)]
    two = FusedMBConv(FusedMBConvConfig(4, 3, 2, 8, 16, 1), 0.0, nn.BatchNorm2d)
    assert [m.kernel_size for m in two.modules() if isinstance(m, nn.Conv2d)] == [(3, 3), (1, 1)]
    assert not two.use_res_connect


def test_norms_and_dropout_of_the_variants() -> None:
    expected = {"b0": (1e-5, 0.1, 0.2), "b4": (1e-5, 0.1, 0.4), "b7": (1e-3, 0.01, 0.5), "v2_l": (1e-3, 0.1, 0.4)}
    for name, found in expected.items():
        net = on_meta(f"efficientnet_{name}")
        norm = net.features[0][1]
        assert (norm.eps, norm.momentum, net.classifier[0].p) == found
    assert on_meta("efficientnet_b7", dropout=0.1, norm_layer=nn.BatchNorm2d).features[0][1].eps == 1e-5


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="inverted_residual_setting must have at least one stage"):
        models.EfficientNet([], 0.2)
    with pytest.raises(TypeError, match="must have MBConvConfigs"):
        models.EfficientNet([(1, 3, 1, 32, 16, 1)], 0.2)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="MBConv: stride should be 1 or 2, got 3"):
        MBConv(MBConvConfig(1, 3, 3, 8, 8, 1), 0.0, nn.BatchNorm2d)


def test_start_values() -> None:
    net = models.efficientnet_b0(num_classes=100)
    assert float(net.classifier[1].weight.abs().max()) == pytest.approx(0.1, rel=0.01)  # 1/sqrt(100)
    assert float(net.features[8][0].weight.std()) == pytest.approx((2 / 1280) ** 0.5, rel=0.01)  # He: 2/fan_out
    assert float(net.features[3][0].block[2].fc1.bias.abs().max()) == 0


# ------------------------------------------------------------------------------------------------------------- training

NAMES = [name for name, entry in MODELS.items() if entry.file == "efficientnet"]


@pytest.mark.parametrize(
    "name", [n if n == "efficientnet_b0" else pytest.param(n, marks=pytest.mark.slow) for n in NAMES]
)
def test_gradients_at_full_size(name: str) -> None:
    finite_gradients(models.get_model(name, stochastic_depth_prob=0.0), *MODELS[name].input_size, batch=1)


def test_it_learns_16_images_by_heart() -> None:
    minicnn.manual_seed(0)
    fused = [FusedMBConvConfig(1, 3, 1, 8, 8, 1), FusedMBConvConfig(4, 3, 2, 8, 16, 1)]
    net = models.EfficientNet([*fused, MBConvConfig(4, 3, 2, 16, 24, 2)], 0.0, 0.0, 4, partial(nn.BatchNorm2d), 32)
    overfits(net, 3, 16, 16, lr=1e-2)
