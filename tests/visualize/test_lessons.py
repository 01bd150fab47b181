"""Pictures of lessons: what is drawn is what was computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

import minicnn
from minicnn import transforms, visualize
from minicnn.datasets import Digits
from minicnn.explain import activation_curve, connections, fitting, respond
from minicnn.explain.known_kernels import edge, gaussian
from minicnn.visualize.style import ORANGE
from minicnn_kernels.geometry import ShapeError


def shown(axes: Any) -> np.ndarray:
    return np.ma.filled(np.ma.asarray(axes.images[0].get_array(), float), np.nan)


def numbers(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_activation_functions(tmp_path: Path) -> None:
    figure = visualize.activation_functions(("tanh", "relu", "silu", "elu", "mish"), out=tmp_path / "a.png")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["tanh", "relu", "silu", "elu", "mish"]
    for axes, name in zip(panels, ("tanh", "relu", "silu"), strict=False):
        curve = activation_curve(name)
        drawn = {to_hex(line.get_color()): line for line in axes.lines}
        np.testing.assert_allclose(drawn["#d55e00"].get_ydata(), curve.slope)
        np.testing.assert_allclose(drawn["#0072b2"].get_ydata(), curve.y)
        assert len(axes.patches) == len(curve.spans())
        for patch, (a, b) in zip(axes.patches, curve.spans(), strict=True):
            assert patch.get_x() == pytest.approx(a) and patch.get_x() + patch.get_width() == pytest.approx(b)
    assert "zero-centred" in numbers(panels[0])[0] and numbers(panels[1])[0] == "0.00 to 5.00, mean 0.40"
    with pytest.raises(ValueError, match="there are no functions to draw"):
        visualize.activation_functions([])


def test_number_grid() -> None:
    image = minicnn.tensor(np.arange(36).reshape(3, 4, 3) * 7).to(minicnn.uint8)
    figure = visualize.number_grid(image)
    first, *rest = figure.axes
    assert first.get_title() == "4\N{MULTIPLICATION SIGN}3\N{MULTIPLICATION SIGN}3"
    assert [axes.get_title() for axes in rest] == ["red", "green", "blue"]
    for axes, plane in zip(rest, image.numpy(), strict=True):
        np.testing.assert_array_equal(shown(axes), plane)
        assert numbers(axes) == [str(n) for n in plane.ravel()] and axes.images[0].get_clim() == (0, 255)
    figure = visualize.number_grid(np.array([[0.25, 1.0]]))
    assert numbers(figure.axes[1]) == [".25", "1"] and figure.axes[1].images[0].get_clim() == (0, 1)
    figure = visualize.number_grid(np.array([[10.25, 100.04, -0.5, 20.5, 1000.0, -10.06, 0.999]]))
    assert numbers(figure.axes[1]) == ["10.25", "100.04", "-.50", "20.50", "1000", "-10.06", "1.00"]
    figure = visualize.number_grid(Digits()[0][0])  # a PIL image or a tensor, as the dataset has it
    assert len(numbers(figure.axes[1])) == 64
    with pytest.raises(ShapeError, match="40 x 40 pixels cannot be shown as numbers"):
        visualize.number_grid(np.zeros((40, 40)))
    with pytest.raises(TypeError, match="expected a PIL image"):
        visualize.number_grid(minicnn.zeros(2, 3, 3))


def test_gallery() -> None:
    image = minicnn.rand(3, 4, 6)
    figure = visualize.gallery({"image": image, "grey": image[:1], "mirrored": image.flip(-1)}, columns=2)
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in visible] == ["image", "grey", "mirrored"] and len(figure.axes) == 4
    drawn = [shown(axes) for axes in visible]
    np.testing.assert_allclose(drawn[0], image.numpy().transpose(1, 2, 0), atol=1e-6)  # (3, H, W) -> (H, W, 3)
    np.testing.assert_allclose(drawn[2], drawn[0][:, ::-1])
    figure = visualize.gallery({"dark": minicnn.zeros(1, 2, 2) + 0.2, "bright": minicnn.zeros(1, 2, 2) + 0.8})
    assert {axes.images[0].get_clim() for axes in figure.axes} == {(0.0, 1.0)}  # not each from black to white
    figure = visualize.gallery({"a": minicnn.zeros(1, 2, 2), "b": minicnn.zeros(1, 2, 2) - 3})
    assert {axes.images[0].get_clim() for axes in figure.axes} == {(-3.0, 0.0)}
    with pytest.raises(ValueError, match="no images"):
        visualize.gallery({})
    with pytest.raises(TypeError, match="expected a PIL image"):
        visualize.gallery({"two channels": minicnn.zeros(2, 3, 3)})


def test_augmentations(tmp_path: Path) -> None:
    image = minicnn.rand(3, 10, 12)
    transform = transforms.RandomCrop(6)
    figure = visualize.augmentations(image, transform, n=3, seed=5, out=tmp_path / "a.png")
    assert len(figure.axes) == 4 and figure.axes[0].get_title() == "image"
    np.testing.assert_allclose(shown(figure.axes[0]), np.moveaxis(image.numpy(), 0, 2))
    whole = np.moveaxis(image.numpy(), 0, 2)
    windows = [whole[i : i + 6, j : j + 6] for i in range(5) for j in range(7)]
    for axes in figure.axes[1:]:
        assert any(np.allclose(shown(axes), window) for window in windows)
    figure = visualize.augmentations(Digits(), transforms.RandomHorizontalFlip(1.0), n=2, images=3)
    assert len(figure.axes) == 9
    for k in (0, 3, 6):
        np.testing.assert_allclose(shown(figure.axes[k])[:, ::-1], shown(figure.axes[k + 1]))
    negative = visualize.augmentations(image, transforms.Normalize([0.5] * 3, [0.25] * 3), n=1)
    assert shown(negative.axes[1]).min() >= 0 and shown(negative.axes[1]).max() <= 1
    with pytest.raises(ValueError, match="there are no images to draw"):
        visualize.augmentations([], transform)
    with pytest.raises(TypeError, match="expected a PIL image"):
        visualize.augmentations(image, lambda x: 3)


def test_kernels() -> None:
    image = np.random.default_rng(0).random((20, 30, 3))
    bank = {"edge": edge(), "blur": gaussian(1.0)}
    figure = visualize.kernels(image, bank)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    titles = [axes.get_title() or axes.get_title(loc="left") for axes in panels]
    assert titles == ["edge", "blur", "image", "", ""]
    np.testing.assert_array_equal(shown(panels[0]), edge())
    assert numbers(panels[0]) == ["\N{MINUS SIGN}1", "0", "1"] * 3 and not numbers(panels[1])
    response = respond(image @ [0.299, 0.587, 0.114], edge())
    np.testing.assert_allclose(shown(panels[3]), response)
    low, high = panels[3].images[0].get_clim()
    assert low == -high < 0 and high == pytest.approx(np.percentile(np.abs(response), 99.5))
    np.testing.assert_allclose(shown(panels[4]), np.clip(respond(image, gaussian(1.0)), 0, 1))
    empty = [axes for axes in visualize.kernels(image, {"nothing": np.zeros((3, 3))}).axes if axes.get_visible()]
    np.testing.assert_array_equal(shown(empty[-1]), np.zeros((20, 30)))
    assert len(visualize.kernels(image[..., 0]).axes) >= 22
    for arguments, message in (((image, {}), "there are no kernels"), ((image[..., :2],), "the image must be")):
        with pytest.raises(ValueError, match=message):
            visualize.kernels(*arguments)


def test_local_connectivity() -> None:
    found = connections(np.arange(1.0, 10).reshape(1, 1, 3, 3), (1, 5, 5))
    figure = visualize.local_connectivity(found)
    left, right = figure.axes
    drawn = shown(right)
    np.testing.assert_array_equal(np.where(np.isnan(drawn), -1, drawn), found.weight)
    np.testing.assert_array_equal(shown(left), np.arange(9).reshape(3, 3))
    assert numbers(right)[:9] == list("123456789") and len(numbers(right)) == 81
    assert right.get_title(loc="left") == "9 different weights in 81 connections (36% of 225)"
    many = connections(np.random.default_rng(0).normal(size=(2, 2, 3, 3)), (2, 6, 6))
    (left, right) = visualize.local_connectivity(many).axes
    planes = shown(left)
    assert not numbers(right) and planes.shape == (7, 7)  # 2 x 2 planes, and lines between them
    np.testing.assert_array_equal(planes[4:, 4:], np.arange(27, 36).reshape(3, 3))
    np.testing.assert_array_equal(planes[:3, 4:], np.arange(9, 18).reshape(3, 3))
    assert np.isnan(planes[3]).all() and np.isnan(planes[:, 3]).all()
    with pytest.raises(ValueError, match="a matrix of 576 x 676 is too large"):
        visualize.local_connectivity(connections(np.zeros((1, 1, 3, 3)), (1, 26, 26)))


def test_strides() -> None:
    figure = visualize.strides(7, 3, (1, 2, 3))
    assert [axes.get_title(loc="left").rpartition(" = ")[2] for axes in figure.axes] == [
        "5, 5 windows", "3, 3 windows", "2.333, does not fit",
    ]  # fmt: skip
    for axes, stride in zip(figure.axes, (1, 2, 3), strict=True):
        boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        bars = [round(box.get_x() - 0.06) for box in boxes if box.get_width() > 2]
        assert bars == list(fitting(7, 3, stride).starts)
        orange = [round(box.get_x()) for box in boxes if to_hex(box.get_facecolor()).upper() == ORANGE]
        assert orange == list(fitting(7, 3, stride).unused)
    (axes,) = visualize.strides(4, 3, (1,), 1).axes
    assert numbers(axes)[:6] == ["0", "0", "1", "2", "3", "0"]  # padding, pixels, padding
    (axes,) = visualize.strides(4, 3, (2,), 1).axes
    (last,) = [text for text in axes.texts if text.get_position()[0] == 4.5]
    assert last.get_text() == "0" and last.get_color() == "white"  # padding that is in no window
    with pytest.raises(ValueError, match="give at least one stride"):
        visualize.strides(steps=())
    with pytest.raises(ShapeError, match="larger than the input"):
        visualize.strides(2, 5)


def test_shrinking() -> None:
    (axes,) = visualize.shrinking(12, (3, 5), 4).axes
    same, three, five = (list(line.get_ydata()) for line in axes.lines)
    assert same == [12] * 5 and three == [12, 10, 8, 6, 4] and five == [12, 8, 4]
    assert any("then no window fits" in text for text in numbers(axes))
    with pytest.raises(ValueError, match="one or more odd numbers"):
        visualize.shrinking(12, (2,))
