"""Grids, image files and drawings against torchvision's, byte by byte."""

from __future__ import annotations

import io
import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import utils

torch = pytest.importorskip("torch")
pytest.importorskip("differential.model_pairs", reason="needs PyTorch")
theirs = pytest.importorskip("torchvision.utils")

RNG = np.random.default_rng(5)
SHAPES = [
    (7, 3, 5, 4),
    (5, 1, 3, 6),
    (4, 4, 3, 3),
    (3, 2, 4, 4),
    (1, 3, 5, 4),
    (1, 1, 5, 4),
    (3, 5, 4),
    (1, 5, 4),
    (5, 4),
]
SHAPES += [(2, 3, 1, 1), (9, 3, 2, 7), (3, 4, 0, 4)]


def both(array: np.ndarray) -> tuple[Any, Any]:
    return minicnn.tensor(array), torch.from_numpy(array.copy())


def images(*shape: int) -> np.ndarray:
    return (3 * RNG.standard_normal(shape) + 1).astype(np.float32)


def same(ours: Any, other: Any) -> None:
    assert ours.dtype == other.numpy().dtype
    np.testing.assert_allclose(ours.numpy(), other.numpy(), rtol=0, atol=1e-6 if ours.dtype.kind == "f" else 0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_grids(shape: tuple[int, ...]) -> None:
    mine, other = both(images(*shape))
    for nrow, padding, pad_value in itertools.product((1, 2, 8), (0, 2, 5), (0.0, -1.5)):
        options: dict[str, Any] = {"nrow": nrow, "padding": padding, "pad_value": pad_value}
        same(utils.make_grid(mine, **options), theirs.make_grid(other, **options))
    if not mine.numel():
        return
    for value_range, each in itertools.product((None, (-1, 1), (0.5, 0.5), (2, 1)), (False, True)):
        options = {"normalize": True, "value_range": value_range, "scale_each": each}
        same(utils.make_grid(mine, **options), theirs.make_grid(other, **options))
    mine, other = both(np.full(shape, 2, np.float64))  # max = min
    same(utils.make_grid(mine, normalize=True), theirs.make_grid(other, normalize=True))


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.bool_, np.float64])
def test_grids_of_other_types(kind: Any) -> None:
    mine, other = both((images(5, 3, 4, 3) > 0).astype(kind))
    same(utils.make_grid(mine, nrow=2, pad_value=1), theirs.make_grid(other, nrow=2, pad_value=1))


def test_grids_of_lists() -> None:
    for shape in ((3, 4, 5), (1, 4, 5), (4, 5)):
        pairs = [both(images(*shape)) for _ in range(3)]
        same(utils.make_grid([p[0] for p in pairs], nrow=2), theirs.make_grid([p[1] for p in pairs], nrow=2))


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[-3:-2] != (2,) and 0 not in shape], ids=str)
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_image_files(shape: tuple[int, ...], ending: str, tmp_path: Path) -> None:
    mine, other = both(images(*shape))
    if ending == "jpg" and shape[-3:-2] == (4,):
        pytest.skip("JPEG has no fourth channel")
    for number, options in enumerate(({}, {"normalize": True, "nrow": 2}, {"padding": 0, "pad_value": 0.7})):
        files = [tmp_path / f"{number}-{name}.{ending}" for name in ("ours", "theirs")]
        utils.save_image(mine, files[0], **options)
        theirs.save_image(other, files[1], **options)
        assert files[0].read_bytes() == files[1].read_bytes()
    ours, reference = io.BytesIO(), io.BytesIO()
    utils.save_image(mine, ours, "png")
    theirs.save_image(other, reference, "png")
    assert ours.getvalue() == reference.getvalue() and Image.open(ours).mode in ("RGB", "RGBA")


PICTURES = {
    "uint8": RNG.integers(0, 256, (3, 40, 50), dtype=np.uint8),
    "grey": RNG.integers(0, 256, (1, 40, 50), dtype=np.uint8),
    "float32": RNG.random((3, 40, 50), dtype=np.float32),
    "float64": RNG.random((3, 40, 50)),
}
BOXES = np.array([[1.7, 2, 30, 20], [10, 10, 45, 39.9], [-5, -5, 60, 3], [7, 7, 7, 7]], np.float32)
TURNED = np.array([[10, 10, 40, 25, 30, 35, 3, 30], [5, 5, 5, 5, 8, 8, 2, 9]], np.float32)
FONT = Path(Image.__file__).parents[1] / "matplotlib/mpl-data/fonts/ttf/DejaVuSans.ttf"


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize(
    "options",
    [{}, {"colors": "red"}, {"colors": (1, 2, 3), "width": 3}, {"colors": ["red", "#00ff7f", (0, 9, 255), "white"]},
     {"fill": True, "width": 2}, {"labels": ["cat", "dog", "Ag", ""]}, {"labels": ["a", None, "b", None], "width": 2},
     {"labels": ["1", "2", "3", "4"], "label_colors": "blue"}, {"labels": ["Ag"] * 4, "fill_labels": True},
     {"labels": ["Ag"] * 4, "fill_labels": True, "label_background_colors": ["red"] * 4, "label_colors": "white"},
     {"labels": ["Ag"] * 4, "fill_labels": True, "font": str(FONT), "font_size": 14, "width": 2},
     {"labels": ["Ag"] * 4, "font": str(FONT)}],
    ids=str,
)  # fmt: skip
def test_boxes(picture: str, options: dict[str, Any]) -> None:
    mine, other = both(PICTURES[picture])
    boxes, others = both(BOXES)
    same(utils.draw_bounding_boxes(mine, boxes, **options), theirs.draw_bounding_boxes(other, others, **options))
    np.testing.assert_array_equal(mine.numpy(), PICTURES[picture])  # drawn on a copy


@pytest.mark.parametrize("options", [{}, {"width": 3}, {"fill": True}], ids=str)
def test_turned_boxes(options: dict[str, Any]) -> None:
    (mine, other), (boxes, others) = both(PICTURES["uint8"]), both(TURNED[:1])
    same(utils.draw_bounding_boxes(mine, boxes, **options), theirs.draw_bounding_boxes(other, others, **options))


@pytest.mark.parametrize("picture", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.8, 1.0])
def test_masks(picture: str, alpha: float) -> None:
    mine, other = both(PICTURES[picture])
    masks, others = both(RNG.random((4, 40, 50)) > 0.7)
    for colours in (None, "red", ["red", (1, 2, 3), "#abcdef", "blue"]):
        options: dict[str, Any] = {"alpha": alpha, "colors": colours}
        found = utils.draw_segmentation_masks(mine, masks, **options)
        expected = theirs.draw_segmentation_masks(other, others, **options)
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=0, atol=1 if picture == "uint8" else 1e-6)
        assert (found.numpy() == expected.numpy()).mean() > 0.99 or picture != "uint8"  # of 46.999996 or 47
    same(utils.draw_segmentation_masks(mine, masks[0]), theirs.draw_segmentation_masks(other, others[0]))


@pytest.mark.parametrize("options", [{}, {"colors": "red", "radius": 4}, {"colors": (1, 2, 3), "width": 1}], ids=str)
def test_points(options: dict[str, Any]) -> None:
    for picture in ("uint8", "float32"):
        mine, other = both(PICTURES[picture])
        points, others = both(RNG.uniform(-3, 50, (3, 4, 2)).astype(np.float32))
        for lines in (None, [(0, 1), (1, 2), (3, 3)]):
            given = {**options, "connectivity": lines}
            same(utils.draw_keypoints(mine, points, **given), theirs.draw_keypoints(other, others, **given))
            seen, shown = both(RNG.random((3, 4)) > 0.4)
            ours = utils.draw_keypoints(mine, points, visibility=seen, **given)
            same(ours, theirs.draw_keypoints(other, others, visibility=shown, **given))


def test_flow() -> None:
    for shape in ((2, 9, 7), (3, 2, 5, 5)):
        for array in (images(*shape), np.zeros(shape, np.float32)):
            mine, other = both(array)
            found, expected = utils.flow_to_image(mine).numpy(), theirs.flow_to_image(other).numpy()
            assert np.abs(found.astype(int) - expected).max() <= 1 and (found == expected).mean() > 0.97


def test_nothing_to_draw() -> None:
    image = minicnn.tensor(PICTURES["uint8"])
    for draw, nothing in ((utils.draw_bounding_boxes, minicnn.zeros(0, 4)),
                          (utils.draw_segmentation_masks, minicnn.zeros(0, 40, 50).bool())):  # fmt: skip
        with pytest.warns(UserWarning, match="none is drawn"):
            assert draw(image, nothing) is image
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (utils.draw_keypoints(image, minicnn.zeros(0, 3, 2)) == image).all()
