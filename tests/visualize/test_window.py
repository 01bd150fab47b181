"""The pictures of a convolution at one place: what is marked is what meets, the numbers are those of the trace."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

import minicnn
from minicnn import nn
from minicnn.explain import EXAMPLES, CellError, ConvTrace, conv_trace, conv_transpose_trace, explain
from minicnn.visualize import sliding, window


def example() -> ConvTrace:
    found = EXAMPLES["stride"]
    x, w = (minicnn.tensor(rows).float().reshape(1, 1, len(rows), -1) for rows in (found.x, found.w))
    return conv_trace(x, w, stride=found.stride, padding=found.padding, grad=np.arange(1, 10).reshape(1, 1, 3, 3))


def panel(axes: Any) -> tuple[str, Any, set[tuple[int, int]]]:
    """The title, the numbers, and the places (row, column) that are framed."""
    frames = [p for p in axes.patches if isinstance(p, Rectangle)]
    marks = {(round(p.get_y() + 0.5), round(p.get_x() + 0.5)) for p in frames}
    return axes.get_title(loc="left") or axes.get_title(), np.asarray(axes.images[0].get_array()), marks


def test_an_output() -> None:
    trace = example()
    figure = window(trace, cell=(0, 0, 0, 1))
    (x, w, y) = [panel(axes) for axes in figure.axes]
    assert (x[0], w[0], y[0]) == ("x[0, 0]", "w[0, 0]", "y[0, 0]")
    np.testing.assert_array_equal(x[1], trace.x[0, 0])
    np.testing.assert_array_equal(y[1], trace.y[0, 0])
    assert x[2] == {(i, j) for i in (0, 1) for j in (1, 2, 3)} and len(w[2]) == 9 and y[2] == {(0, 1)}
    assert figure.get_suptitle() == "y[0, 0, 0, 1]: sum 17; the kernel computed 17"
    assert [text.get_text() for text in figure.axes[2].texts] == ["6", "17", "3", "8", "17", "13", "6", "4", "4"]


def test_gradients() -> None:
    gy, w, gx = [panel(axes) for axes in window(example(), grad_cell=(0, 0, 1, 1)).axes]
    assert (gy[0], gx[0]) == ("gy[0, 0]", "gx[0, 0]") and gx[2] == {(1, 1)}
    assert gy[2] == {(0, 0), (0, 1), (1, 0), (1, 1)} and w[2] == {(0, 0), (0, 2), (2, 0), (2, 2)}
    gy, x, gw = [panel(axes) for axes in window(example(), weight_cell=(0, 0, 0, 0)).axes]
    assert len(gy[2]) == 9 and x[2] == {(1, 1), (1, 3), (3, 1), (3, 3)} and gw[0] == "gw[0, 0]"


def test_several_channels_and_large_images(tmp_path: Path) -> None:
    trace = conv_trace(minicnn.randn(1, 5, 20, 30), minicnn.randn(2, 5, 3, 3))
    figure = window(trace, cell=(0, 1, 4, 5), out=tmp_path / "window.svg")
    assert len(figure.axes) == 3 + 3 + 1 and not figure.axes[0].texts and figure.axes[3].texts
    assert (tmp_path / "window.svg").stat().st_size > 10_000
    window(conv_transpose_trace(minicnn.randn(1, 2, 3, 3), minicnn.randn(2, 1, 3, 3), stride=2), cell=(0, 0, 2, 2))


def test_poolings_show_the_window_and_what_is_taken() -> None:
    x = minicnn.arange(1, 31).reshape(1, 1, 5, 6).float()
    image, y = [panel(axes) for axes in window(explain(nn.MaxPool2d(2), x, cell=(0, 0, 1, 2))).axes]
    assert image[0] == "x[0, 0]" and image[2] == {(2, 4), (2, 5), (3, 4), (3, 5)} and y[2] == {(1, 2)}
    figure = window(explain(nn.MaxPool2d(2), x, cell=(0, 0, 1, 2)))
    assert figure.get_suptitle() == "y[0, 0, 1, 2]: largest 24; the kernel computed 24"
    axes = figure.axes[0]
    assert [(p.get_y(), p.get_x()) for p in axes.patches if p.get_linewidth() > 2] == [(2.5, 4.5)]  # 24 is the largest
    figure = window(explain(nn.AvgPool2d(2, padding=1), x, cell=(0, 0, 0, 1)))
    image, y = [panel(axes) for axes in figure.axes]
    assert image[2] == {(0, 1), (0, 2)} and figure.get_suptitle().endswith("computed 1.25; factor 1/4")
    gy, gx = [panel(axes) for axes in window(explain(nn.AvgPool2d(3, 1), x, grad_cell=(0, 0, 1, 1))).axes]
    assert gy[0] == "gy[0, 0]" and gy[2] == {(0, 0), (0, 1), (1, 0), (1, 1)} and gx[2] == {(1, 1)}
    image, _ = [panel(axes) for axes in window(explain(nn.AdaptiveMaxPool2d((2, 4)), x, cell=(0, 0, 1, 1))).axes]
    assert image[2] == {(p, q) for p in (2, 3, 4) for q in (1, 2)}


def test_other_layers() -> None:
    minicnn.manual_seed(0)
    layer, x = nn.Linear(4, 3), minicnn.randn(2, 4)
    figure = window(explain(layer, x, cell=(1, 2), weight_cell=(2, 0)))
    left, w, y, gy, right, gw = [panel(axes) for axes in figure.axes]
    assert [found[0] for found in (left, w, y, gy, right, gw)] == ["x", "w", "y", "gy", "x", "gw"]
    assert left[2] == {(1, k) for k in range(4)} and w[2] == {(2, k) for k in range(4)} and y[2] == {(1, 2)}
    assert gy[2] == {(0, 2), (1, 2)} and right[2] == {(0, 0), (1, 0)} and gw[2] == {(2, 0)}
    norm, images = nn.BatchNorm2d(2), minicnn.randn(3, 2, 4, 5)
    gamma, xhat, y = [panel(axes) for axes in window(explain(norm, images, cell=(1, 1, 2, 3))).axes]
    assert (gamma[0], gamma[2]) == ("gamma", {(0, 1)}) and xhat[0] == "xhat[1, 1]" and y[2] == {(2, 3)}
    np.testing.assert_allclose(xhat[1], y[1], atol=1e-5)
    gy, xhat, gx = [panel(axes) for axes in window(explain(norm, images, grad_cell=(1, 1, 2, 3))).axes]
    assert (gy[0], xhat[0], gx[0]) == ("gy[1, 1]", "xhat[1, 1]", "gx[1, 1]")
    first = [panel(axes) for axes in window(explain(norm, images, weight_cell=(1,))).axes]
    assert [found[0] for found in first] == [*[f"gy[{n}, 1]" for n in range(3)], *[f"xhat[{n}, 1]" for n in range(3)],
                                             "ggamma"]  # fmt: skip
    signal = window(explain(nn.Conv1d(1, 1, 3), minicnn.randn(1, 1, 6), cell=(0, 0, 1)))
    assert panel(signal.axes[0])[2] == {(0, 1), (0, 2), (0, 3)}


def test_a_pooling_slides(tmp_path: Path) -> None:
    x = minicnn.arange(1, 17).reshape(1, 1, 4, 4).float()
    sliding(explain(nn.MaxPool2d(2), x).trace, tmp_path / "pool.gif")
    with Image.open(tmp_path / "pool.gif") as found:
        assert found.n_frames == 4  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="got LinearTrace"):
        sliding(explain(nn.Linear(3, 2), minicnn.ones(1, 3)).trace, tmp_path / "a.gif")
    with pytest.raises(ValueError, match="an explanation has its places"):
        window(explain(nn.MaxPool2d(2), x), cell=(0, 0, 0, 0))


def test_a_sliding_window(tmp_path: Path) -> None:
    sliding(example(), tmp_path / "sliding.gif", seconds=0.2)
    with Image.open(tmp_path / "sliding.gif") as found:
        assert found.n_frames == 9 and found.info["duration"] == 200  # type: ignore[attr-defined]
        frames = [np.asarray((found.seek(k), found.convert("RGB"))[1]) for k in range(9)]  # type: ignore[func-returns-value]
    assert all((a != b).any() for a, b in pairwise(frames))
    last = frames[-1].reshape(-1, 3).astype(int)
    assert (last.max(1) - last.min(1) > 60).any(), "colours are lost"


def test_errors(tmp_path: Path) -> None:
    trace = example()
    with pytest.raises(ValueError, match="one of cell, grad_cell and weight_cell, got 0 of them"):
        window(trace)
    with pytest.raises(CellError, match="no cell"):
        window(trace, cell=(0, 0, 3, 0))
    with pytest.raises(ValueError, match=r"must end in \.gif"):
        sliding(trace, tmp_path / "a.png")
    with pytest.raises(ValueError, match="no window that slides"):
        sliding(conv_transpose_trace(minicnn.ones(1, 1, 2, 2), minicnn.ones(1, 1, 2, 2)), tmp_path / "a.gif")
    with pytest.raises(ValueError, match="900 steps is too long"):
        sliding(conv_trace(minicnn.ones(1, 1, 30, 30), minicnn.ones(1, 1, 1, 1)), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("what", "places", "message"),
    [
        (explain(nn.MaxPool2d(2), minicnn.ones(1, 1, 2, 2)).trace, {"weight_cell": (0, 0)}, "a pooling has no weights"),
        (minicnn.ones(2), {}, "takes a trace or an explanation of minicnn.explain, got Tensor"),
        (minicnn.ones(2), {"cell": (0,)}, "takes a trace or an explanation of minicnn.explain, got Tensor"),
    ],
)
def test_windows_of_other_things(what: Any, places: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        window(what, **places)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, float("nan"), 1000.0])
def test_times_that_an_animation_cannot_have(seconds: float, tmp_path: Path) -> None:
    trace = explain(nn.MaxPool2d(2), minicnn.ones(1, 1, 2, 2)).trace
    with pytest.raises(ValueError, match="seconds must be positive"):
        sliding(trace, tmp_path / "a.gif", seconds=seconds)
