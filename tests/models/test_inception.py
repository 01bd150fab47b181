"""BN-Inception, Inception-v3 and v4: the tables of their papers, options, small nets that learn."""

from __future__ import annotations

from typing import Any

import pytest
from counting import count, finite_gradients, overfits
from stage_shapes import shapes

import minicnn
from minicnn import models, nn
from minicnn.models.bn_inception import BNInceptionModule
from minicnn.models.inception import InceptionA, InceptionAux, InceptionB, InceptionC, InceptionD, InceptionE
from minicnn.models.inception_v4 import INCEPTION_A, INCEPTION_C, REDUCTION_A, InceptionV4, build

BN = {
    "conv1": (64, 112, 112), "maxpool1": (64, 56, 56), "conv3": (192, 56, 56), "maxpool2": (192, 28, 28),
    "inception.3a": (256, 28, 28), "inception.3b": (320, 28, 28), "inception.3c": (576, 14, 14),
    "inception.4a": (576, 14, 14), "inception.4b": (576, 14, 14), "inception.4c": (608, 14, 14),
    "inception.4d": (608, 14, 14), "inception.4e": (1056, 7, 7), "inception.5a": (1024, 7, 7),
    "inception.5b": (1024, 7, 7), "avgpool": (1024, 1, 1),
}  # fmt: skip
V3 = {
    "Conv2d_1a_3x3": (32, 149, 149), "Conv2d_2a_3x3": (32, 147, 147), "Conv2d_2b_3x3": (64, 147, 147),
    "maxpool1": (64, 73, 73), "Conv2d_3b_1x1": (80, 73, 73), "Conv2d_4a_3x3": (192, 71, 71), "maxpool2": (192, 35, 35),
    "Mixed_5b": (256, 35, 35), "Mixed_5c": (288, 35, 35), "Mixed_5d": (288, 35, 35), "Mixed_6a": (768, 17, 17),
    "Mixed_6b": (768, 17, 17), "Mixed_6e": (768, 17, 17), "Mixed_7a": (1280, 8, 8), "Mixed_7b": (2048, 8, 8),
    "Mixed_7c": (2048, 8, 8), "avgpool": (2048, 1, 1),
}  # fmt: skip
V4 = {
    "stem.0": (32, 149, 149), "stem.1": (32, 147, 147), "stem.2": (64, 147, 147), "stem.3": (160, 73, 73),
    "stem.4": (192, 71, 71), "stem": (384, 35, 35), "inception_a": (384, 35, 35), "reduction_a": (1024, 17, 17),
    "inception_b": (1024, 17, 17), "reduction_b": (1536, 8, 8), "inception_c": (1536, 8, 8), "avgpool": (1536, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "size", "stages"), [("bn_inception", 224, BN), ("inception_v3", 299, V3), ("inception_v4", 299, V4)]
)
def test_stages(name: str, size: int, stages: dict[str, tuple[int, ...]]) -> None:
    with minicnn.device("meta"):
        found = shapes(models.get_model(name), 3, size, size)
    assert {stage: found[stage] for stage in stages} == stages


@pytest.mark.parametrize(
    ("module", "size", "out"),
    [
        (lambda: InceptionA(192, 32), (192, 35, 35), (256, 35, 35)),
        (lambda: InceptionB(288), (288, 35, 35), (768, 17, 17)),
        (lambda: InceptionC(768, 128), (768, 17, 17), (768, 17, 17)),
        (lambda: InceptionD(768), (768, 17, 17), (1280, 8, 8)),
        (lambda: InceptionE(1280), (1280, 8, 8), (2048, 8, 8)),
        (lambda: InceptionAux(768, 10), (768, 17, 17), (10,)),
    ],
    ids="ABCDEH",
)
def test_modules_of_v3(module: Any, size: tuple[int, ...], out: tuple[int, ...]) -> None:
    with minicnn.device("meta"):
        made = module()
        assert tuple(made(minicnn.zeros(2, *size)).shape) == (2, *out)


def weights(net: nn.Module) -> list[int]:
    """Weights per pair of an input and an output channel, of each convolution."""
    return [m.weight[0, 0].numel() for m in net.modules() if isinstance(m, nn.Conv2d)]


def test_5x5_factorised_into_two_3x3() -> None:
    single, double = nn.Conv2d(1, 1, 5), nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3))
    assert (sum(weights(single)), sum(weights(double))) == (25, 18) and pytest.approx(0.28) == 1 - 18 / 25
    x = minicnn.zeros(1, 1, 9, 9)
    assert single(x).shape == double(x).shape


def test_7x7_factorised_into_a_row_and_a_column() -> None:
    with minicnn.device("meta"):
        module = InceptionC(768, 128)
    assert sum(weights(nn.Conv2d(1, 1, 7))) == 49
    assert sum(weights(module.branch7x7_2)) + sum(weights(module.branch7x7_3)) == 2 * 7
    assert max(weights(models.inception_v3(init_weights=False, aux_logits=False))) == 25  # none is as large as 7x7


def test_v3_answers_twice_in_training() -> None:
    with minicnn.device("meta"):
        net, x = models.inception_v3(num_classes=5), minicnn.zeros(2, 3, 299, 299)
        outputs = net(x)
        assert isinstance(outputs, models.InceptionOutputs)
        assert [tuple(y.shape) for y in outputs] == [(2, 5)] * 2
        small = minicnn.zeros(2, 3, 75, 75)
        assert net.eval()(small).shape == models.inception_v3(num_classes=5, aux_logits=False)(small).shape == (2, 5)
        with pytest.raises(ValueError, match=r"299 x 299 give, got \(2, 768, 3, 3\).*aux_logits=False"):
            net.train()(small)


def test_v3_without_head_takes_the_weights_of_one_with_it() -> None:
    options: dict[str, Any] = {"num_classes": 2, "init_weights": False}
    net, full = models.inception_v3(aux_logits=False, **options), models.inception_v3(**options)
    net.load_state_dict(full.state_dict())
    assert bool((net.fc.weight == full.fc.weight).all())


def test_initial_weights_of_v3() -> None:
    net = models.inception_v3(num_classes=100)
    assert net.Mixed_7c.branch1x1.conv.weight.std().item() == pytest.approx(0.1, rel=0.02)
    assert net.AuxLogits.fc.weight.std().item() == pytest.approx(0.001, rel=0.02)


@pytest.mark.parametrize("conv_bias", [True, False])
def test_biases_of_bn_inception(conv_bias: bool) -> None:
    with minicnn.device("meta"):
        net = models.bn_inception(conv_bias=conv_bias)
    assert {m.bias is not None for m in net.modules() if isinstance(m, nn.Conv2d)} == {conv_bias}


def test_modules_of_v4() -> None:
    with minicnn.device("meta"):
        net = models.inception_v4()
        assert [len(part) for part in (net.inception_a, net.inception_b, net.inception_c)] == [4, 7, 3]
        module, channels = build(INCEPTION_C, 1536)
    assert channels == 1536 and len(weights(module)) == 10  # a 1x1 for the pool, one alone, and 3 + 5
    assert max(weights(net)) == 9


def test_errors() -> None:
    with pytest.raises(ValueError, match="must be seven makers"):
        models.inception_v3(inception_blocks=[nn.Conv2d])
    with pytest.raises(ValueError, match="how many modules A, B and C"):
        models.inception_v4(blocks=(1, 2))
    with pytest.raises(ValueError, match="got 'avg', ch1x1=0 and pool_proj=0"):
        BNInceptionModule(8, 0, 4, 4, 4, 4, "avg", 0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("bn_inception", 224), ("inception_v3", 299), ("inception_v4", 299)])
def test_real_size(name: str, size: int) -> None:
    finite_gradients(models.get_model(name, dropout=0.0), 3, size, size)


def test_small_v4_learns_by_heart() -> None:
    overfits(InceptionV4(4, dropout=0.0, blocks=(1, 0, 0), width=0.06), 3, 75, 75, lr=3e-3)


def test_modules_of_bn_inception_learn_by_heart() -> None:
    minicnn.manual_seed(0)
    rows = [(8, 4, 8, 4, 8, "avg", 4), (0, 8, 12, 4, 8, "max", 0), (16, 8, 16, 8, 16, "max", 8)]
    modules, channels = list[nn.Module](), 3
    for row in rows:
        modules.append(BNInceptionModule(channels, *row))
        channels = modules[-1].out_channels
    overfits(nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 4)), 3, 8, 8)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("bn_inception", 32), ("inception_v3", 75)])
def test_nets_learn_by_heart(name: str, size: int) -> None:
    minicnn.manual_seed(0)
    options = {"aux_logits": False} if name == "inception_v3" else {}
    overfits(models.get_model(name, num_classes=4, dropout=0.0, **options), 3, size, size)


def test_factor_of_the_width() -> None:
    with minicnn.device("meta"):
        half, whole = build(REDUCTION_A, 384, 0.5), build(REDUCTION_A, 384)
        assert (half[1], whole[1]) == (384 + 320, 1024)
        filters, small = 96 + 96 + 64 + 64, 9 * (64 * 96 + 64 * 96 + 96 * 96)  # 1x1 on the input; 3x3
        assert count(build(INCEPTION_A, 384)[0], (384, 35, 35))[0] == 384 * filters + small + 2 * (filters + 3 * 96)
