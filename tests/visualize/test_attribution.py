"""The picture of attributions: each map in its place, with 0 in the middle of its colours if it has signs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn.visualize import attribution
from minicnn_kernels.geometry import ShapeError


def test_images_and_maps(tmp_path: Path) -> None:
    x = minicnn.rand(2, 3, 8, 10)
    signed, plain, small = minicnn.randn(2, 3, 8, 10), minicnn.rand(2, 3, 8, 10), minicnn.rand(2, 1, 4, 5)
    found = {"integrated_gradients": signed, "saliency": plain, "grad_cam": small}
    figure = attribution(x, found, labels=["cat", "dog"], out=tmp_path / "maps.png")
    assert len(figure.axes) == 8 and (tmp_path / "maps.png").stat().st_size > 10_000
    assert [axes.get_title() for axes in figure.axes[:4]] == ["image", "integrated\ngradients", "saliency", "grad\ncam"]
    assert [figure.axes[k].get_ylabel() for k in (0, 4)] == ["cat", "dog"]
    for row in (0, 1):
        image, first, second, third = (axes.images[0] for axes in figure.axes[4 * row : 4 * row + 4])
        assert np.asarray(image.get_array()).shape == (8, 10, 3)
        np.testing.assert_allclose(np.asarray(first.get_array()), signed[row].sum(0).numpy(), atol=1e-6)
        low, high = first.get_clim()
        assert low == -high < 0
        np.testing.assert_allclose(np.asarray(second.get_array()), plain[row].max(0)[0].numpy(), atol=1e-6)
        assert second.get_clim()[0] == 0 and np.asarray(third.get_array()).shape == (8, 10)


def test_long_titles_have_several_lines() -> None:
    x = minicnn.rand(1, 1, 4, 4)
    figure = attribution(x, {"integrated gradients": x, "guided_backprop, untrained": x, "Grad-CAM": x})
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["image", "integrated\ngradients", "guided\nbackprop,\nuntrained", "Grad-CAM"]


def test_grey_images_and_empty_maps() -> None:
    x = minicnn.zeros(1, 1, 4, 4)
    figure = attribution(x, {"nothing": minicnn.zeros(1, 1, 4, 4), "nan": minicnn.full((1, 1, 4, 4), float("nan"))})
    assert np.asarray(figure.axes[0].images[0].get_array()).shape == (4, 4)


def test_errors() -> None:
    x = minicnn.zeros(2, 1, 4, 4)
    with pytest.raises(ShapeError, match=r"x must be images .* got shape \(2, 2, 4, 4\)"):
        attribution(minicnn.zeros(2, 2, 4, 4), {})
    with pytest.raises(ShapeError, match=r"'a' must be 2 maps \(N, C, h, w\), got shape \(1, 1, 4, 4\)"):
        attribution(x, {"a": x[:1]})
    with pytest.raises(ValueError, match="2 images need as many labels, got 1"):
        attribution(x, {}, labels=["a"])
