"""Charts of costs, of accuracies, and of receptive fields: they show the right numbers."""

from __future__ import annotations

import itertools
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models, nn, visualize
from minicnn.analysis.receptive_field import receptive_field
from minicnn.models.registry import MODELS

T = "\N{MULTIPLICATION SIGN}"


def texts(axes: Any) -> list[str]:
    return [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in axes.texts]


def test_costs_are_shares_of_the_whole_net() -> None:
    figure = visualize.costs("lenet5")
    values, weights, macs = figure.axes
    assert [label.get_text() for label in values.get_yticklabels()][:2] == [
        f"input  1{T}32{T}32",
        f"features.0 Conv2d  6{T}28{T}28",
    ]
    shares = [bar.get_width() for bar in weights.patches]
    assert shares == pytest.approx(np.array([0, 150, 0, 2400, 0, 48000, 10080, 840]) / 61470)
    assert [bar.get_width() for bar in macs.patches] == pytest.approx(
        np.array([0, 117600, 0, 240000, 0, 48000, 10080, 840]) / 416520
    )
    assert sum(bar.get_width() for bar in values.patches) == pytest.approx(1)
    assert "48 k" in texts(weights) and weights.get_title(loc="left") == "Weights: 61.5\N{NO-BREAK SPACE}k"


def test_costs_of_stages() -> None:
    every, stages = visualize.costs("resnet18").axes, visualize.costs("resnet18", depth=1).axes
    names = [label.get_text().split()[0] for label in stages[0].get_yticklabels()]
    assert names == ["input", "conv1", "bn1", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"]
    for i in range(3):
        parts = [
            sum(b.get_width() for b, label in zip(every[i].patches, every[0].get_yticklabels(), strict=True)
                if label.get_text().split()[0].split(".")[0] == name)
            for name in names
        ]  # fmt: skip
        assert [bar.get_width() for bar in stages[i].patches] == pytest.approx(parts)
    assert len(visualize.costs("resnet50").axes[0].patches) <= 60


@pytest.mark.parametrize("measured", [{"lenet5": 99.9}, {"lenet5": 100}, {"lenet5": 0}, {"lenet5": 0.0, "mlp": 100.0}])
def test_percentages_end_at_0_and_100(measured: dict[str, float]) -> None:
    (axes,) = visualize.accuracy(measured=measured).axes
    low, high = axes.get_ylim()
    assert 0 <= low < high <= 100
    assert not any(dots.get_clip_on() for dots in axes.collections)  # a bubble at an end is whole
    Row = namedtuple("Row", "epoch train_loss val_loss train_top1 val_top1")
    history: Any = [Row(i, 1.0, 1.0, share / 100, share / 100) for i, share in enumerate(measured.values())]
    low, high = visualize.curves(history).axes[1].get_ylim()
    assert 0 <= low < high <= 100


def test_accuracies_are_at_their_places() -> None:
    figure = visualize.accuracy(models=["resnet18", "resnet50", "vgg16"], measured={"resnet18": 65.5})
    (axes,) = figure.axes
    places = [tuple(map(float, dots.get_offsets()[0])) for dots in axes.collections]
    assert places == [(MODELS[n].macs, pytest.approx(v)) for n, v in
                      [("resnet18", 69.758), ("resnet50", 76.13), ("vgg16", 71.592), ("resnet18", 65.5)]]  # fmt: skip
    areas = [float(dots.get_sizes()[0]) for dots in axes.collections]
    assert areas[0] == areas[3] and np.argsort(areas[:3]).tolist() == [0, 1, 2]
    colours = [tuple(dots.get_facecolor()[0]) for dots in axes.collections]
    assert colours[0] == colours[1] == colours[2] != colours[3]
    assert texts(axes).count("resnet18") == 2
    other = visualize.accuracy("params", ["resnet18", "vgg16"]).axes[0].collections
    assert [float(dots.get_offsets()[0][0]) for dots in other] == [MODELS["resnet18"].params, MODELS["vgg16"].params]


def test_accuracy_refuses() -> None:
    with pytest.raises(ValueError, match="macs, params; got 'time'"):
        visualize.accuracy("time")
    with pytest.raises(ValueError, match="no model 'resnet17'"):
        visualize.accuracy(models=["resnet17"])
    with pytest.raises(ValueError, match="no accuracy is known for alphago"):
        visualize.accuracy(models=["alphago"])


def test_ilsvrc_marks_ensembles() -> None:
    (axes,) = visualize.ilsvrc().axes
    assert [bar.get_height() for bar in axes.patches] == [e.error for e in visualize.ILSVRC]
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [e.ensemble for e in visualize.ILSVRC]
    assert {"3.57", "16.4"} <= set(texts(axes))


def test_ilsvrc_names_keep_apart() -> None:
    figure = visualize.ilsvrc()
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    gaps = [(b.x0 - a.x1) / figure.dpi * 72 for a, b in itertools.pairwise(boxes)]
    assert min(gaps) > 9  # points, about two spaces: nearer, two names read as one


def test_fields_are_those_of_the_rule() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 5, padding=2))
    figure = visualize.field(net, (3, 20, 24), cell=(2, 7))
    image, legend = figure.axes
    boxes = [(b.get_x() + 0.5, b.get_y() + 0.5, b.get_width(), b.get_height()) for b in image.patches]
    expected = receptive_field(net, (3, 20, 24)).box(2, 7, clipped=False)
    assert boxes[-1] == (expected.left, expected.top, expected.width, expected.height)
    assert [box[2:] for box in boxes] == [(3, 3), (4, 4), (12, 12)]
    assert texts(legend)[::2] == ["0", "2", "3"]
    assert texts(legend)[1::2] == [f"3{T}3, stride 1", f"4{T}4, stride 2", f"12{T}12, stride 2"]
    assert image.get_images()[0].get_array().shape == (20, 24, 3)


def test_a_measured_field_is_inside_the_rule() -> None:
    minicnn.manual_seed(0)
    figure = visualize.field("lenet5", empirical=True)
    image, heat, _ = figure.axes
    weights = np.asarray(heat.get_images()[0].get_array())
    box = image.patches[-1]
    left, top = int(box.get_x() + 0.5), int(box.get_y() + 0.5)
    assert (weights[top : top + 16, left : left + 16] > 0).all() and box.get_width() == 16
    weights[top : top + 16, left : left + 16] = 0
    assert weights.max() == 0


def test_fields_of_maps_with_the_channels_last() -> None:
    from arranged import Tokens, convnext

    net = convnext()
    figure = visualize.field(net, (3, 16, 20), cell=(3, 4), empirical=True)
    image, _, legend = figure.axes
    assert texts(legend) == ["layers.0", f"2{T}2, stride 2", "layers.4", f"6{T}6, stride 2"]
    box = image.patches[-1]
    assert (box.get_x() + 0.5, box.get_y() + 0.5, box.get_width(), box.get_height()) == (6, 4, 6, 6)
    assert texts(visualize.field(Tokens(True), (1, 8, 8)).axes[-1]) == ["patches", f"2{T}2, stride 2"]
    with pytest.raises(ValueError, match="the output of linear is no map with rows along the height"):
        visualize.field(Tokens(True), (1, 8, 8), layer="linear")


def test_field_refuses() -> None:
    net = models.LeNet5()
    with pytest.raises(ValueError, match="give the size"):
        visualize.field(net)
    with pytest.raises(ValueError, match="no layer 'conv1'; there are features"):
        visualize.field(net, (1, 32, 32), layer="conv1")
    with pytest.raises(ValueError, match=r"no cell \(5, 0\) in the map 5 x 5 of features.5"):
        visualize.field(net, (1, 32, 32), cell=(5, 0))
    with pytest.raises(ValueError, match=f"does not take images 3{T}32{T}32"):
        visualize.field(net, (3, 32, 32))
    with pytest.raises(ValueError, match=f"the image must be 1{T}32{T}32 or 32{T}32"):
        visualize.field(net, (1, 32, 32), image=np.zeros((28, 28)))
