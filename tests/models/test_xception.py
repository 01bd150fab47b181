"""Xception: the flows of figure 5, and what a separable convolution costs."""

from __future__ import annotations

import pytest
from counting import finite_gradients, overfits
from stage_shapes import shapes

import minicnn
from minicnn import models, nn
from minicnn.models.xception import SeparableConv2d, Xception, XceptionBlock

STAGES = {
    "entry_flow.0": (32, 149, 149), "entry_flow.1": (64, 147, 147), "entry_flow.2": (128, 74, 74),
    "entry_flow.3": (256, 37, 37), "entry_flow": (728, 19, 19), "middle_flow": (728, 19, 19),
    "exit_flow.0": (1024, 10, 10), "exit_flow.1": (1536, 10, 10), "exit_flow": (2048, 10, 10), "avgpool": (2048, 1, 1),
}  # fmt: skip


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_stages() -> None:
    with minicnn.device("meta"):
        net = models.xception()
        found = shapes(net, 3, 299, 299)
    assert {stage: found[stage] for stage in STAGES} == STAGES
    assert len(net.middle_flow) == 8
    assert sum(isinstance(m, SeparableConv2d) for m in net.modules()) == 34


@pytest.mark.parametrize(
    ("channels", "size", "full", "separable"),
    [(512, 3, 2_359_296, 266_752), (1028, 3, 9_511_056, 1_066_036), (1028, 5, 26_419_600, 1_082_484)],
)
def test_weights_of_a_separable_convolution(channels: int, size: int, full: int, separable: int) -> None:
    with minicnn.device("meta"):
        assert parameters(nn.Conv2d(channels, channels, size, bias=False)) == full
        made = SeparableConv2d(channels, channels, size)
    assert parameters(made) == separable == channels * (size * size + channels)
    assert made.depthwise.weight.shape == (channels, 1, size, size)
    assert made.pointwise.weight.shape == (channels, channels, 1, 1)


def test_64_filters_on_a_small_picture() -> None:
    full, separable = nn.Conv2d(3, 64, 3), SeparableConv2d(3, 64, 3, bias=True)
    x = minicnn.randn(1, 3, 10, 10)
    assert full(x).shape == separable(x).shape == (1, 64, 8, 8)
    assert (parameters(full), parameters(separable)) == (1792, 286)
    assert [parameters(m) for m in separable] == [30, 256]


def test_a_block_without_down_must_keep_its_channels() -> None:
    with pytest.raises(ValueError, match=r"the last of channels must be in_channels=8, got \(8, 16\)"):
        XceptionBlock(8, 8, 16)


@pytest.mark.slow
def test_real_size() -> None:
    finite_gradients(models.xception(dropout=0.0), 3, 299, 299)


def test_small_net_learns_by_heart() -> None:
    minicnn.manual_seed(0)
    overfits(Xception(4, dropout=0.0, middle=1, width=0.05), 3, 32, 32, lr=3e-3)
