"""Block diagrams: the boxes and edges are those of the modules, and what is drawn is what the boxes say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models, nn, visualize
from minicnn.analysis import trace
from minicnn.nn import functional as F
from minicnn.visualize.boxes import Box, boxes, links
from minicnn.visualize.diagram import draw_boxes

T = "\N{MULTIPLICATION SIGN}"


def of(net: nn.Module, *size: int, **options: Any) -> list[Box]:
    return boxes(trace(net, size), **options)


def flow(found: list[Box]) -> list[tuple[str, list[str]]]:
    """Each box's title, with the titles of its sources."""
    return [(box.title, [source.title for source, _ in box.sources]) for box in found]


def meta(name: str) -> nn.Module:
    with minicnn.device("meta"):
        return models.get_model(name)


class Block(nn.Module):
    """Everything that is treated in a way of its own: two branches, a shuffle, a scale, a parameter, a number."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.b = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Dropout(0.5))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.scale = nn.Parameter(minicnn.ones(1))

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        y = minicnn.cat([self.a(x), self.b(x)], 1)
        n, c, h, w = y.shape
        y = y.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return F.relu(y * self.gate(y) * self.scale) + 1


def test_boxes_of_a_block() -> None:
    found = of(Block(), 4, 8, 6)
    assert flow(found) == [
        ("input", []),
        (f"conv 1{T}1, 4", ["input"]),
        (f"max pool 3{T}3", ["input"]),
        (f"depthwise 3{T}3, 4", [f"max pool 3{T}3"]),
        ("concatenate", [f"conv 1{T}1, 4", f"depthwise 3{T}3, 4"]),
        ("channel shuffle", ["concatenate"]),
        ("global average pool", ["channel shuffle"]),
        (f"conv 1{T}1, 8", ["global average pool"]),
        (T, ["channel shuffle", f"conv 1{T}1, 8"]),
        (f"x {T} scale", [T]),
        ("ReLU", [f"x {T} scale"]),
        ("x + 1", ["ReLU"]),
        ("output", ["x + 1"]),
    ]
    assert [box.tags for box in found if box.tags] == [["batch norm", "ReLU"], ["dropout"], ["sigmoid"]]
    assert [box.shape for box in found[:5]] == [(4, 8, 6)] * 4 + [(8, 8, 6)]
    assert [box.name for box in found[1:4]] == ["a.0", "b.0", "b.1"]
    assert found[3].parameters == 4 * 9 + 4 and found[1].parameters == 16 + 8


def test_nothing_joins_if_that_is_wanted() -> None:
    titles = [box.title for box in of(Block(), 4, 8, 6, join=False)]
    assert "batch norm" in titles and titles.count("ReLU") == 2


def test_an_activation_of_a_tensor_that_others_use_stays_alone() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(2, 2, 1), nn.ReLU()

        def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
            y = self.conv(x)
            return y + self.act(y)

    assert flow(of(Net(), 2, 4, 4))[1:4] == [
        (f"conv 1{T}1, 2", ["input"]),
        ("ReLU", [f"conv 1{T}1, 2"]),
        ("+", [f"conv 1{T}1, 2", "ReLU"]),
    ]


def test_equal_boxes_in_a_row_are_one() -> None:
    conv = [m for _ in range(3) for m in (nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())]
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), *conv, nn.Conv2d(4, 4, 3), nn.ReLU())
    found = of(net, 3, 8, 8)
    assert [box.title for box in found[1:-1]] == [f"conv 3{T}3, 4"] * 3
    assert [box.count for box in found[1:-1]] == [1, 3, 1]  # other channels before, another size after
    assert [len(of(net, 3, 8, 8, repeats=False)), len(found)] == [7, 5]
    assert found[2].sources[0][0] is found[1] and found[3].sources[0][0] is found[2]


def test_depth_makes_boxes_of_modules() -> None:
    stages = of(meta("resnet18"), 3, 224, 224, depth=1)
    assert [(box.title, box.name) for box in stages if box.group == "block"] == [
        (f"2 {T} BasicBlock", f"layer{i}") for i in range(1, 5)
    ]
    assert [box.title for box in stages[-4:]] == ["global average pool", "flatten", "linear, 1,000", "output"]
    blocks = of(meta("resnet18"), 3, 224, 224, depth=2)
    assert [(box.title, box.count) for box in blocks if box.group == "block"] == [("BasicBlock", 2)] + [
        ("BasicBlock", 1)
    ] * 6  # the first stage keeps the shape, so its two blocks are equal
    assert flow(blocks) == flow(of(meta("resnet18"), 3, 224, 224, whole=["BasicBlock"]))


def test_a_module_that_is_one_convolution_is_shown_as_one() -> None:
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), nn.Sequential(nn.Conv2d(4, 4, 1))
    )
    found = of(net, 3, 8, 8, depth=1)
    assert [(box.title, box.tags) for box in found[1:3]] == [
        (f"conv 3{T}3, 4", ["batch norm", "ReLU"]),
        (f"conv 1{T}1, 4", []),
    ]


def test_a_part_of_a_net() -> None:
    found = of(meta("resnet18"), 3, 224, 224, part="layer2.0")
    assert dict(flow(found)) == {
        "input": [],
        f"conv 3{T}3, 128, stride 2": ["input"],
        f"conv 3{T}3, 128": [f"conv 3{T}3, 128, stride 2"],
        f"conv 1{T}1, 128, stride 2": ["input"],
        "+": [f"conv 3{T}3, 128", f"conv 1{T}1, 128, stride 2"],
        "ReLU": ["+"],
        "output": ["ReLU"],
    }
    assert found[0].shape == (64, 56, 56) and found[-1].shape == (128, 28, 28)
    with pytest.raises(ValueError, match=r"no module 'layer9'; it has .*conv1"):
        of(meta("resnet18"), 3, 224, 224, part="layer9")


def texts(figure: Any) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_drawing_shows_the_boxes() -> None:
    from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

    found = of(Block(), 4, 8, 6)
    figure = draw_boxes(found, title="A block", names=True)
    said = texts(figure)
    assert said[0] == "A block"
    for box in found:
        assert box.title in said
    assert f"a.0   4{T}8{T}6" in said and "batch norm, ReLU" in said
    patches = figure.axes[0].patches
    assert sum(isinstance(p, FancyArrowPatch) for p in patches) == len(links(found))
    assert sum(isinstance(p, FancyBboxPatch) for p in patches) == len(found) - 1
    (circle,) = (p for p in patches if isinstance(p, Circle))
    place = [text.get_position() for text in figure.axes[0].texts if text.get_text() == T]
    assert place == [pytest.approx(circle.center)]


def test_all_text_is_inside_its_box() -> None:
    from matplotlib.patches import FancyBboxPatch

    figure = visualize.diagram(Block(), (4, 8, 6), names=True)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    frames = [patch.get_window_extent() for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    for text in axes.texts:
        box = text.get_window_extent()
        around = [f for f in frames if f.x0 <= (box.x0 + box.x1) / 2 <= f.x1 and f.y0 <= (box.y0 + box.y1) / 2 <= f.y1]
        for frame in around:
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1, text.get_text()
            assert frame.y0 - 1 <= box.y0 and box.y1 <= frame.y1 + 1, text.get_text()


def test_a_net_by_its_name(tmp_path: Path) -> None:
    from PIL import Image

    visualize.diagram("LeNet5", out=tmp_path / "lenet.png")
    with Image.open(tmp_path / "lenet.png") as image:
        assert np.asarray(image.convert("L"), float).std() > 5
    visualize.diagram("lenet5", out=tmp_path / "lenet.svg")
    assert "<svg" in (tmp_path / "lenet.svg").read_text()
    with pytest.raises(ValueError, match="Unknown model 'lenet6': did you mean lenet5"):
        visualize.diagram("lenet6")
    with pytest.raises(ValueError, match="give the size of the images"):
        visualize.diagram(models.LeNet5())
    with pytest.raises(ValueError, match=f"does not take images 3{T}32{T}32: conv2d"):
        visualize.diagram(models.LeNet5(), (3, 32, 32))


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v1_g3", "squeezenet1_1", "resnet50", "highway10"])
def test_whole_nets_are_drawn(name: str) -> None:
    figure = visualize.diagram(name)
    assert {"input", "output"} <= set(texts(figure))
