"""Grids, image files and drawings, without torchvision: numbers checked by hand, and what is refused."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import utils

IMAGE = minicnn.zeros(3, 6, 8)


def test_a_grid_by_hand() -> None:
    images = minicnn.arange(3.0).reshape(3, 1, 1, 1) + 1
    found = utils.make_grid(images, nrow=2, padding=1, pad_value=9)
    assert found.shape == (3, 5, 5) and (found[0] == found[2]).all()
    assert found[1].tolist() == [[9] * 5, [9, 1, 9, 2, 9], [9] * 5, [9, 3, 9, 9, 9], [9] * 5]


def test_values_are_scaled_together_or_each() -> None:
    images = minicnn.tensor([[[[0.0, 2.0]]], [[[4.0, 8.0]]]])
    assert utils.make_grid(images, padding=0, normalize=True)[0].tolist() == [[0, 0.25, 0.5, 1]]
    assert utils.make_grid(images, padding=0, normalize=True, scale_each=True)[0].tolist() == [[0, 1, 0, 1]]
    clipped = utils.make_grid(images, padding=0, normalize=True, value_range=(2, 4))
    assert clipped[0].tolist() == [[0, 0, 1, 1]]
    assert images.flatten().tolist() == [0, 2, 4, 8]  # the images themselves stay


def test_views_and_gradients() -> None:
    whole = minicnn.rand(8, 6, 3, 4, requires_grad=True)
    images = whole.permute(3, 2, 0, 1)[::2, :, ::2]
    np.testing.assert_array_equal(utils.make_grid(images), utils.make_grid(images.detach().clone()))
    assert not utils.make_grid(images).requires_grad


def test_images_of_a_gpu_stay_there(gpu: Any) -> None:
    found = utils.make_grid(minicnn.rand(3, 1, 4, 4).to("cuda"), normalize=True)
    assert found.device.type == "cuda" and found.shape == (3, 8, 20)
    boxes = minicnn.tensor([[1, 1, 3, 3]]).to("cuda")
    assert utils.draw_bounding_boxes(IMAGE.to("cuda"), boxes).device.type == "cuda"
    mask = minicnn.ones(6, 8).bool().to("cuda")
    assert float(utils.draw_segmentation_masks(IMAGE.to("cuda"), mask, 1.0, "red")[0].cpu().min()) == 1


@pytest.mark.parametrize(
    ("images", "options", "error", "text"),
    [
        (np.zeros((2, 3, 4, 4)), {}, TypeError, "takes a tensor or a list of tensors"),
        ((minicnn.zeros(3, 4, 4),), {}, TypeError, "takes a tensor or a list of tensors"),
        ([minicnn.zeros(3, 4, 4), 1], {}, TypeError, "takes a tensor or a list of tensors"),
        ([], {}, ValueError, "an empty list"),
        ([minicnn.zeros(3, 4, 4), minicnn.zeros(1, 4, 4)], {}, ValueError, r"\(1, 4, 4\), \(3, 4, 4\)"),
        (minicnn.zeros(0, 3, 4, 4), {}, ValueError, r"got shape \(0, 3, 4, 4\)"),
        (minicnn.zeros(4), {}, ValueError, r"got shape \(4,\)"),
        (minicnn.zeros(1, 2, 3, 4, 4), {}, ValueError, r"got shape \(1, 2, 3, 4, 4\)"),
        (IMAGE, {"nrow": 0}, ValueError, "nrow must be at least 1"),
        (IMAGE, {"padding": -1}, ValueError, "padding must be at least 0"),
        (IMAGE, {"padding": 1.5}, TypeError, "padding must be an int"),
        (IMAGE, {"normalize": True, "value_range": 3}, TypeError, "a tuple of two numbers"),
        (IMAGE, {"normalize": True, "value_range": (0, 1, 2)}, TypeError, "a tuple of two numbers"),
        (minicnn.zeros(2, 3, 4, 4, dtype=minicnn.uint8), {"normalize": True}, TypeError, r"images\.float\(\)"),
        (minicnn.zeros(2, 3, 4, 4, dtype=minicnn.uint8), {"pad_value": 300}, ValueError, "pad_value 300"),
    ],
)
def test_what_a_grid_refuses(images: Any, options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"make_grid: .*{text}"):
        utils.make_grid(images, **options)


def test_image_files_hold_the_rounded_values(tmp_path: Path) -> None:
    values = minicnn.tensor([-1.0, 0.0, 0.001, 0.002, 0.5, 1.0, 2.0, float("nan"), float("inf")])
    for file in (tmp_path / "a.png", str(tmp_path / "b.BMP"), tmp_path / "c.webp"):
        utils.save_image(values.reshape(1, 3, 3), file, **({"format": "png"} if str(file).endswith("webp") else {}))
        with Image.open(file) as image:
            assert np.asarray(image)[..., 0].flatten().tolist() == [0, 0, 0, 1, 128, 255, 255, 0, 255]
    with open(tmp_path / "open.png", "wb") as stream:
        utils.save_image(IMAGE, stream)
    with Image.open(tmp_path / "open.png") as image:
        assert image.size == (8, 6)


def test_what_image_files_refuse(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no format for .*'; end the name in \.png"):
        utils.save_image(IMAGE, tmp_path / "image.what")
    with pytest.raises(TypeError, match=r"use x\.float\(\) / 255"):
        utils.save_image(minicnn.zeros(3, 4, 4, dtype=minicnn.uint8), tmp_path / "a.png")
    with pytest.raises(ValueError, match="1, 3 or 4 channels, got 2"):
        utils.save_image(minicnn.zeros(3, 2, 4, 4), io.BytesIO(), "PNG")
    with pytest.raises(OSError) as caught:
        utils.save_image(IMAGE, tmp_path / "nothing" / "a.png")
    assert caught.value.errno == errno.ENOENT and not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    utils.save_image(IMAGE, file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="channels"):
        utils.save_image(minicnn.zeros(3, 2, 4, 4), file)
    with pytest.raises(Exception, match=r"(?i)bmp|mode"):
        utils.save_image(minicnn.zeros(4, 4, 4), file, "EPS")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: utils.draw_bounding_boxes(1, BOX), TypeError, "image should be a tensor"),
        (lambda: utils.draw_bounding_boxes(IMAGE[None], BOX), ValueError, "the images of a batch one by one"),
        (lambda: utils.draw_bounding_boxes(IMAGE[:2], BOX), ValueError, r"or \(1, H, W\), got shape \(2, 6, 8\)"),
        (lambda: utils.draw_bounding_boxes(IMAGE.int(), BOX), TypeError, "got minicnn.int32"),
        (lambda: utils.draw_bounding_boxes(IMAGE, [[0, 0, 1, 1]]), TypeError, "boxes should be a tensor"),
        (lambda: utils.draw_bounding_boxes(IMAGE, BOX[0]), ValueError, r"got shape \(4,\)"),
        (lambda: utils.draw_bounding_boxes(IMAGE, BOX.float() / 0), ValueError, "NaN or infinite"),
        (lambda: utils.draw_bounding_boxes(IMAGE, minicnn.tensor([[3, 0, 1, 2]])), ValueError, r"got \[3, 0, 1, 2\]"),
        (lambda: utils.draw_bounding_boxes(IMAGE, BOX, ["a", "b"]), ValueError, "1 boxes and 2 labels"),
        (lambda: utils.draw_bounding_boxes(IMAGE, BOX, colors=[]), ValueError, "0 colours for 1 objects"),
        (lambda: utils.draw_bounding_boxes(IMAGE, BOX, colors=(1, 2, 256)), ValueError, "0..255"),
        (lambda: utils.draw_bounding_boxes(IMAGE, BOX, colors="rot"), ValueError, "rot"),
        (lambda: utils.draw_bounding_boxes(IMAGE, BOX, ["a"], font="none.ttf"), OSError, "font 'none.ttf'"),
        (lambda: utils.draw_segmentation_masks(IMAGE, minicnn.ones(6, 8)), TypeError, "masks > 0.5"),
        (lambda: utils.draw_segmentation_masks(IMAGE, minicnn.ones(8, 6).bool()), ValueError, r"\(1, 8, 6\)"),
        (lambda: utils.draw_segmentation_masks(IMAGE, minicnn.ones(6, 8).bool(), 1.5), ValueError, "alpha"),
        (lambda: utils.draw_keypoints(IMAGE, minicnn.ones(2, 3)), ValueError, r"\(N, K, 2\), got \(2, 3\)"),
        (lambda: utils.draw_keypoints(IMAGE, minicnn.ones(1, 2, 2), [(0, 2)]), ValueError, "from 0 to 1"),
        (lambda: utils.draw_keypoints(IMAGE, minicnn.ones(1, 2, 2), visibility=minicnn.ones(2, 2)), ValueError, "1, 2"),
        (lambda: utils.flow_to_image(minicnn.ones(3, 2, 2)), ValueError, r"got shape \(3, 2, 2\)"),
        (lambda: utils.flow_to_image(minicnn.ones(2, 2, 2).double()), TypeError, "float64"),
    ],
)  # fmt: skip
def test_what_drawing_refuses(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


BOX = minicnn.tensor([[1, 1, 4, 3]])


def test_a_font_size_without_a_font_is_told() -> None:
    with pytest.warns(UserWarning, match="font_size has no effect"):
        utils.draw_bounding_boxes(IMAGE, BOX, ["a"], font_size=9)


def test_directions_have_their_colours() -> None:
    """Of Middlebury's key: right is red, down is yellow to green, left is cyan, up is blue to violet."""
    flow = minicnn.tensor([[[1.0, 0.0, -1.0, 0.0]], [[0.0, 1.0, 0.0, -1.0]]])
    red, green, blue = utils.flow_to_image(flow)[:, 0].numpy().astype(int)
    assert red[0] == 255 and green[0] == 0 and green[1] > 200 and blue[1] == 0
    assert red[2] == 0 and min(green[2], blue[2]) > 200 and blue[3] == 255 and green[3] == 0
