"""The pictures of views: each number in its place, signs around white, and errors instead of empty figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, visualize
from minicnn.analysis import Box
from minicnn.explain import (
    ActivationStatistics,
    Dropped,
    DroppedBlock,
    LayerFlow,
    Magnitude,
    Neighbours,
    Probe,
    ResidualBlock,
    TopPatches,
    activation_statistics,
)  # fmt: skip
from minicnn.visualize.mosaic import picture, shades, signed, tiled
from minicnn_kernels.geometry import ShapeError


def texts(figure: Any) -> list[str]:
    from matplotlib.text import Text

    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [artist.get_text() for artist in found if artist.get_text()]


def pixels(axes: Any) -> Any:
    return np.asarray(axes.images[0].get_array())


# -------------------------------------------------------------------------------------------------------------- mosaics


def test_pictures_and_numbers_around_zero() -> None:
    x = minicnn.tensor([[[-2.0, 2.0], [0.0, 1.0]]])
    np.testing.assert_allclose(picture(x)[..., 0], [[0, 1], [0.5, 0.75]])
    undone = picture(minicnn.stack([x[0], x[0], x[0]]) / 4, ([0.5, 0.5, 0.25], [1, 0.5, 1]))
    np.testing.assert_allclose(undone[0, 0], [0, 0.25, 0])  # -0.5*1 + 0.5, -0.5*0.5 + 0.5, and below 0
    coloured = signed(x)
    assert coloured[0, 0, 2] > coloured[0, 0, 0] and coloured[0, 1, 0] > coloured[0, 1, 2]  # blue below 0, red above
    assert coloured[1, 0].min() > 0.95  # 0 is white
    grey = signed(np.stack([x[0], x[0] * 0, -x[0]]))
    np.testing.assert_allclose(grey[0, 0], [0, 0.5, 1])
    np.testing.assert_allclose(grey[1, 0], 0.5)
    dark = shades(np.array([[0.0, 1.0]]))
    assert dark[0, 0].min() > 0.95 and dark[0, 1].min() < 0.3
    for function in (signed, shades):
        assert np.isfinite(function(np.array([[np.nan, 0.0]]))).all()


def test_tiles_of_images_with_gaps() -> None:
    whole = tiled([np.full((3, 2, 3), k / 10) for k in range(4)], 3, 1)
    assert whole.shape == (7, 8, 3)
    assert [float(whole[0, k, 0]) for k in (0, 3, 6)] == [0, 0.1, 0.2] and whole[4, 0, 0] == pytest.approx(0.3)
    assert whole[3].min() == whole[4:, 3:].min() == whole[:, 2].min() == 1


# ---------------------------------------------------------------------------------------------------------------- units


def top(channels: int, boxes: list[Box], reconstruct: bool = True) -> TopPatches:
    k = len(boxes)
    images = minicnn.rand(k, channels, 8, 9)
    return TopPatches("conv", 4, np.arange(k)[::-1], np.zeros((k, 2), int), np.arange(k), None, tuple(boxes), images,
                      minicnn.randn(k, channels, 8, 9) if reconstruct else None)  # fmt: skip


@pytest.mark.parametrize("channels", [1, 3])
def test_patches_beside_their_reconstructions(channels: int, tmp_path: Path) -> None:
    boxes = [Box(2, 3, 4, 6), Box(0, 0, 1, 2), Box(6, 5, 7, 8)]  # inside, and cut at two corners
    found = top(channels, boxes)
    figure = visualize.patches([found, found], scale=([0.0] * channels, [1.0] * channels), out=tmp_path / "p.svg")
    assert (tmp_path / "p.svg").stat().st_size > 1000 and len(figure.axes) == 4
    assert texts(figure).count("channel 4") == 2 and texts(figure).count("reconstructed") == 2
    drawn = pixels(figure.axes[0])
    assert drawn.shape == (3 + 1 + 3, 4 + 1 + 4, 3)  # two by two of 3 x 4 pixels
    first = np.broadcast_to(np.moveaxis(found.images[0, :, 2:5, 3:7].numpy(), 0, 2), (3, 4, 3))
    np.testing.assert_allclose(drawn[:3, :4], first, atol=1e-6)
    corner = np.broadcast_to(np.moveaxis(found.images[1, :, 0:2, 0:3].numpy(), 0, 2), (2, 3, 3))
    np.testing.assert_allclose(drawn[1:3, 6:], corner, atol=1e-6)  # completed above and at the left
    np.testing.assert_allclose(drawn[0, 5:], 0.88)
    last = np.broadcast_to(np.moveaxis(found.images[2, :, 6:, 5:].numpy(), 0, 2), (2, 4, 3))
    np.testing.assert_allclose(drawn[4:6, :4], last, atol=1e-6)
    alone = visualize.patches(top(channels, boxes, reconstruct=False))
    assert len(alone.axes) == 1


def test_maps_with_and_without_signs(tmp_path: Path) -> None:
    found = {"conv": minicnn.randn(2, 3, 4, 6), "relu": minicnn.rand(1, 12, 2, 3)}
    figure = visualize.maps(found, minicnn.rand(1, 5, 7), channels=5, out=tmp_path / "maps.png")
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 1 + 3 + 5
    first = found["conv"][0, 0].numpy()
    red = pixels(drawn[1])[..., 0] >= pixels(drawn[1])[..., 2]
    np.testing.assert_array_equal(red, first >= 0)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert [label.split("\n")[0] for label in labels] == ["image", "conv", "relu"]
    with pytest.raises(ValueError, match="there are no feature maps"):
        visualize.maps({})
    with pytest.raises(ShapeError, match=r"'fc' must be \(N, C, h, w\), got shape \(2, 3\)"):
        visualize.maps({"fc": minicnn.rand(2, 3)})


def test_excited_units_and_changed_filters() -> None:
    figure = visualize.excited(minicnn.randn(7, 3, 5, 4), [f"channel {k}" for k in range(7)])
    assert sum(axes.get_visible() for axes in figure.axes) == 7 and "channel 6" in texts(figure)
    before, after = minicnn.randn(5, 2, 3, 3), minicnn.randn(5, 2, 3, 3)
    figure = visualize.changed(before, after)
    assert [axes.get_title() for axes in figure.axes] == ["before", "after", "change"]
    red = pixels(figure.axes[2])[:3, :3, 0] >= pixels(figure.axes[2])[:3, :3, 2]
    np.testing.assert_array_equal(red, (after - before)[0].mean(0).numpy() >= 0)
    assert visualize.changed(minicnn.zeros(1, 3, 2, 2), minicnn.zeros(1, 3, 2, 2)) is not None
    with pytest.raises(ShapeError, match=r"of one shape are needed, got \(5, 2, 3, 3\) and \(2, 3, 3\)"):
        visualize.changed(before, after[0])
    with pytest.raises(ValueError, match="7 images need as many labels, got 1"):
        visualize.excited(minicnn.randn(7, 3, 5, 4), ["a"])
    with pytest.raises(ShapeError, match=r"got shape \(7, 2, 5, 4\)"):
        visualize.excited(minicnn.randn(7, 2, 5, 4))
    with pytest.raises(ValueError, match="there are no patches"):
        visualize.patches([])


# ------------------------------------------------------------------------------------------------------------ embedding


def test_every_class_has_a_colour_and_marker_of_its_own() -> None:
    labels = np.arange(44) % 22
    figure = visualize.embedding({"pixels": np.random.default_rng(0).random((44, 2)), "fc": np.zeros((44, 2))}, labels)
    assert len(figure.axes) == 2 and [axes.get_title() for axes in figure.axes] == ["pixels", "fc"]
    styles = set()
    for collection in figure.axes[0].collections:
        path = collection.get_paths()[0]
        styles.add((tuple(collection.get_facecolor()[0]), tuple(map(tuple, path.vertices.round(3)))))
    assert len(styles) == 22
    named = visualize.embedding(np.zeros((3, 2)), minicnn.tensor([2, 0, 2]), ["cat", "dog", "ship"])
    assert {"cat", "ship"} <= set(texts(named)) and "dog" not in texts(named)
    with pytest.raises(ShapeError, match=r"must be \(N, 2\), got shape \(3, 3\)"):
        visualize.embedding(np.zeros((3, 3)))
    with pytest.raises(ShapeError, match="3 points do not fit 2 labels"):
        visualize.embedding(np.zeros((3, 2)), [0, 1])


def test_tiles_are_where_their_points_are() -> None:
    points = np.array([[0.0, 0.0], [1, 0], [0, 1], [0.02, 0.02]])
    images = minicnn.stack([minicnn.full((1, 2, 3), k / 4) for k in range(4)])
    figure = visualize.tiles(points, images, grid=4, scale=([0.0], [1.0]))
    drawn = pixels(figure.axes[0])
    assert drawn.shape == (8, 12, 3)
    assert drawn[-1, 0, 0] == 0.75 and drawn[-1, -1, 0] == 0.25 and drawn[0, 0, 0] == 0.5  # 3 is nearer to the centre
    assert drawn[0, -1].min() == 1 and (drawn == 1).all(2).sum() == (16 - 3) * 6
    with pytest.raises(ShapeError, match="4 points do not fit 3"):
        visualize.tiles(points, images[:3])
    with pytest.raises(ValueError, match="grid must be at least 1"):
        visualize.tiles(points, images, grid=0)


def test_neighbours_of_other_classes_are_marked() -> None:
    images, asked = minicnn.rand(4, 1, 3, 3), minicnn.rand(2, 1, 3, 3)
    found = Neighbours(np.array([[1, 3], [0, 2]]), np.array([[0.125, 0.5], [0, 1]]), np.array([[7, 7], [2, 7]]))
    figure = visualize.neighbours(asked, images, found, [7, 7])
    assert len(figure.axes) == 6 and {"0.125", "0.5", "0 2", "1"} <= set(texts(figure))
    styles = [axes.spines["top"].get_linestyle() for axes in figure.axes if axes.spines["top"].get_visible()]
    assert styles == ["-", "-", "--", "-"]
    np.testing.assert_allclose(pixels(figure.axes[1])[..., 0], picture(images[1])[..., 0])
    with pytest.raises(ShapeError, match="3 images, with neighbours among 4"):
        visualize.neighbours(minicnn.rand(3, 1, 3, 3), images, found)


# -------------------------------------------------------------------------------------------------------------- signals


def test_probes_by_depth() -> None:
    rows = [Probe("input", "image", 64, 0.9, 0.5), Probe("conv", "Conv2d", 20, 1.0, 0.75)]
    (axes,) = visualize.probes(rows, accuracy=0.8).axes
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert list(lines["probe, test images"]) == [50, 75] and list(lines["probe, train images"]) == [90, 100]
    assert list(lines["the net itself"]) == [80, 80]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["input (64)", "conv (20)"]
    with pytest.raises(ValueError, match="no probes"):
        visualize.probes([])


def test_dropped_blocks_as_bars() -> None:
    blocks = [DroppedBlock(ResidualBlock(f"b{k}", "Block", "x", k != 1), 0.9 - k / 10) for k in range(3)]
    figure = visualize.dropped(Dropped(0.95, blocks, {1: np.array([0.9, 0.7]), 3: np.array([0.1, 0.3])}, 100))
    bars = figure.axes[0].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], [10, 20, 30])
    assert [bool(bar.get_hatch()) for bar in bars] == [False, True, False]
    means = next(line for line in figure.axes[1].lines if line.get_marker() == "_")
    np.testing.assert_allclose(means.get_ydata(), [20, 80])
    assert len(visualize.dropped(Dropped(0.95, blocks, {}, 100)).axes) == 1
    with pytest.raises(ValueError, match="no blocks"):
        visualize.dropped(Dropped(0.9, [], {}, 10))


def test_gradients_by_depth(tmp_path: Path) -> None:
    small, zero, bad = Magnitude(1e-6, 1e-3, 0.1, 0), Magnitude(0, 0, 0, 0), Magnitude(1, 1, 1, 0.5)
    rows = [LayerFlow("a", "Conv2d", small, bad, Magnitude(1, 1, 10, 0)), LayerFlow("b", "ReLU", zero, None, None)]
    figure = visualize.flow(rows, out=tmp_path / "flow.pdf")
    dots = [[line for line in axes.lines if line.get_marker() != "None"] for axes in figure.axes]
    assert [len(one) for one in dots] == [1, 1, 1]
    assert [float(one[0].get_xdata()[0]) for one in dots] == [1e-6, 1, 0.1]
    assert "NaN or infinite" in texts(figure) and "a (Conv2d)" in texts(figure)
    low, high = figure.axes[0].get_ylim()
    assert low > high  # the input at the top
    with pytest.raises(ValueError, match="no gradients"):
        visualize.flow([])


def test_histograms_of_activations() -> None:
    rows = activation_statistics(
        nn.Sequential(nn.Identity(), nn.ReLU(), nn.Tanh()), minicnn.tensor([[-1.0, -2, -3, 5], [-1, -2, 1, 5]]), bins=4
    )
    figure = visualize.activations(rows)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["0", "1", "2"]
    heights = [[patch.get_height() for patch in axes.patches] for axes in figure.axes]
    np.testing.assert_allclose(heights[0], rows[0].counts / 8)
    np.testing.assert_allclose(sum(heights[1]), 3 / 8)  # zeros, more than half, are not drawn
    facts = "\n".join(texts(figure))
    assert "zero 62%, not drawn" in facts and "dead 50%" in facts and "saturated 25%" in facts
    many: list[ActivationStatistics] = rows * 20
    assert sum(axes.get_visible() for axes in visualize.activations(many).axes) == 24
    assert visualize.activations([rows[0]._replace(counts=np.zeros(4), bad=1.0)]) is not None
    with pytest.raises(ValueError, match="nothing to draw"):
        visualize.activations([])
