"""Pre-activation ResNets: the tables, the clean shortcuts, the first block of a stage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from counting import finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn
from minicnn.models import PreActResNet
from minicnn.models.registry import MODELS
from minicnn.models.resnet import PaddedIdentity
from minicnn.models.resnet_preact import PreActBlock, PreActBottleneck

TABLE = {
    110: [18, 18, 18], 164: [18, 18, 18], 1001: [111, 111, 111],
    18: [2, 2, 2, 2], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3], 200: [3, 24, 36, 3],
}  # fmt: skip
NAMES = [name for name, entry in MODELS.items() if entry.file == "resnet_preact"]


@pytest.mark.parametrize("depth", TABLE)
def test_blocks_and_layers(depth: int) -> None:
    with minicnn.device("meta"):
        net = models.get_model(f"preact_resnet{depth}")
    assert [len(stage) for stage in net.layers] == TABLE[depth]
    assert type(net.layers[0][0]) is (PreActBlock if depth in (18, 110) else PreActBottleneck)
    layers = [n for n, m in net.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and "downsample" not in n]
    assert len(layers) == depth
    shortcuts = [m for n, m in net.named_modules() if n.endswith("downsample")]
    assert len(shortcuts) == len(TABLE[depth])
    new_shape = PaddedIdentity if depth == 110 else nn.Conv2d
    first = nn.Identity if depth in (18, 110) else nn.Conv2d
    assert [type(s) for s in shortcuts] == [first, *[new_shape] * (len(shortcuts) - 1)]


@pytest.mark.parametrize(
    ("name", "size", "shapes"),
    [
        ("preact_resnet110", 32, [(16, 32, 32), (16, 32, 32), (32, 16, 16), (64, 8, 8), (64, 1, 1)]),
        ("preact_resnet164", 32, [(16, 32, 32), (64, 32, 32), (128, 16, 16), (256, 8, 8), (256, 1, 1)]),
        ("preact_resnet18", 224, [(64, 56, 56), (64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7), (512, 1, 1)]),
        (
            "preact_resnet200", 224,
            [(64, 56, 56), (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7), (2048, 1, 1)],
        ),
    ],
)  # fmt: skip
def test_stages(name: str, size: int, shapes: list[tuple[int, ...]]) -> None:
    stages = [f"layers.{i}" for i in range(len(shapes) - 2)]
    names = " ".join(["stem", *stages, "avgpool"])
    assert stage_shapes(lambda: models.get_model(name), (3, size, size), names) == shapes


@pytest.mark.parametrize("block", [PreActBlock, PreActBottleneck])
def test_the_shortcut_is_clean(block: Any) -> None:
    """With a last convolution of zeros a block returns its input, negative values too."""
    made = block(4 * block.expansion, 4)
    nn.init.zeros_(made.conv2.weight if block is PreActBlock else made.conv3.weight)
    x = minicnn.randn(2, 4 * block.expansion, 5, 6)
    with minicnn.no_grad():
        assert np.array_equal(made(x).numpy(), x.numpy())
        made.downsample = nn.Identity()  # the first block of a stage
        assert np.allclose(made(x).numpy(), made.bn1(x).relu().numpy(), atol=1e-6)


def test_options() -> None:
    net = PreActResNet(PreActBlock, [1, 1], num_classes=7, small_images=True, in_channels=1, dropout=0.5)
    assert net(minicnn.zeros(1, 1, 20, 12)).shape == (1, 7)
    assert net.layers[1][0].dropout.p == 0.5
    with pytest.raises(ValueError, match=r'shortcut must be "A" .* or "B" \(projections\), got \'C\''):
        models.preact_resnet18(shortcut="C")


def test_one_step() -> None:
    finite_gradients(models.preact_resnet18(), 3, 224, 224, batch=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_step_of_each(name: str) -> None:
    finite_gradients(models.get_model(name), *MODELS[name].input_size)


@pytest.mark.parametrize(("block", "shortcut"), [(PreActBlock, "A"), (PreActBottleneck, "B")])
def test_it_learns_16_images_by_heart(block: Any, shortcut: str) -> None:
    overfits(PreActResNet(block, [1, 1, 1], num_classes=4, small_images=True, shortcut=shortcut), 3, 12, 12)
