from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
import minicnn.transforms.functional as F
from minicnn.tensor import Tensor
from minicnn.transforms import ToPILImage, ToTensor
from minicnn.transforms import functional as TF


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    values = np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)
    return values if dtype == np.uint8 else (values / 255).astype(dtype)


def test_the_ways_to_import_it() -> None:
    assert F is TF is minicnn.transforms.functional and F.InterpolationMode is minicnn.transforms.InterpolationMode
    code = "import minicnn.transforms.functional as F; from minicnn.transforms.functional import resize; F.pad"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match=r"has no attribute 'adjust_nothing'"):
        _ = F.adjust_nothing


def test_sizes_of_images() -> None:
    for image, channels in ((Image.new("RGB", (7, 5)), 3), (Image.new("L", (7, 5)), 1), (minicnn.zeros(2, 4, 5, 7), 4)):
        assert TF.get_dimensions(image) == [channels, 5, 7]
        assert TF.get_image_size(image) == [7, 5] and TF.get_image_num_channels(image) == channels
    assert TF.get_dimensions(minicnn.zeros(5, 7)) == [1, 5, 7]
    with pytest.raises(TypeError, match="get_dimensions takes a PIL image or a Tensor"):
        TF.get_dimensions(noise(5, 7))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "HSV", "YCbCr", "I", "F", "RGBX"])
def test_images_become_tensors_and_images_again(mode: str) -> None:
    bands = len(Image.new(mode, (1, 1)).getbands())
    shape = (4, 5, bands) if bands > 1 else (4, 5)
    array = noise(*shape).astype({"I": np.int32, "F": np.float32}.get(mode, np.uint8))
    image = TF.to_pil_image(array, mode)
    assert image.mode == mode and image.size == (5, 4)
    np.testing.assert_array_equal(np.asarray(image), array)
    tensor = TF.pil_to_tensor(image)
    assert tensor.shape == (bands, 4, 5)
    np.testing.assert_array_equal(np.asarray(ToPILImage(mode)(tensor)), array)
    if mode in ("L", "RGB"):
        np.testing.assert_array_equal(np.asarray(TF.to_pil_image(TF.to_tensor(image))), array)


def test_to_pil_image_refuses() -> None:
    assert repr(ToPILImage()) == "ToPILImage()" and repr(ToPILImage("L")) == "ToPILImage(mode=L)"
    assert TF.to_pil_image(minicnn.zeros(4, 5)).size == (5, 4)
    for wrong, error, text in (
        (minicnn.zeros(2, 3, 4, 5), ValueError, "2 or 3 dimensions"),
        (minicnn.zeros(5, 4, 5), ValueError, "at most 4 channels, got 5"),
        (noise(4, 5, 3).astype(np.int32), TypeError, "3 channels of type int32"),
        (noise(4, 5).astype(np.int64), TypeError, "1 channels of type int64"),
        (Image.new("L", (3, 3)), TypeError, "takes a Tensor or an array, got Image"),
        (minicnn.zeros(3, 0, 5), ValueError, "none of them empty"),
    ):
        with pytest.raises(error, match=text):
            TF.to_pil_image(wrong)
    with pytest.raises(ValueError, match=r"mode 'RGB' does not fit 1 channels of type uint8; possible: L"):
        TF.to_pil_image(noise(4, 5), "RGB")


def test_functions_and_transforms_are_the_same() -> None:
    x = Tensor(noise(3, 9, 11, dtype=np.float32))
    t = minicnn.transforms
    for function, transform in (
        (TF.resize(x, 6), t.Resize(6)),
        (TF.pad(x, (1, 2), 0.5), t.Pad((1, 2), 0.5)),
        (TF.center_crop(x, (4, 13)), t.CenterCrop((4, 13))),
        (TF.hflip(x), t.RandomHorizontalFlip(1)),
        (TF.vflip(x), t.RandomVerticalFlip(1)),
        (TF.normalize(x, [0.5], [2.0]), t.Normalize([0.5], [2.0])),
        (TF.convert_image_dtype(x, np.uint8), t.ConvertImageDtype(np.uint8)),
    ):
        np.testing.assert_array_equal(function.array, transform(x).array)


def test_crops_beyond_the_image_are_zero() -> None:
    x = noise(1, 4, 5)
    wide = np.pad(x, ((0, 0), (9, 9), (9, 9)))
    for top, left, height, width in ((-2, -1, 4, 3), (2, 3, 5, 6), (-9, -9, 22, 23), (4, 5, 2, 2), (-3, 1, 3, 3)):
        expected = wide[:, 9 + top : 9 + top + height, 9 + left : 9 + left + width]
        np.testing.assert_array_equal(TF.crop(Tensor(x), top, left, height, width).array, expected)
        np.testing.assert_array_equal(np.asarray(TF.crop(Image.fromarray(x[0]), top, left, height, width)), expected[0])
    with pytest.raises(ValueError, match=r"^crop: height and width should be positive whole numbers"):
        TF.crop(Tensor(x), 0, 0, 0, 3)
    with pytest.raises(MemoryError, match="bytes"):
        TF.crop(Tensor(x), 0, 0, 2**40, 2**40)


def test_negative_padding_cuts() -> None:
    x = noise(1, 6, 7)
    np.testing.assert_array_equal(
        TF.pad(Tensor(x), (-1, 2, -2, -3)).array, np.pad(x, ((0, 0), (2, 0), (0, 0)))[:, :5, 1:5]
    )
    assert TF.pad(Image.fromarray(x[0]), (-1, 2, -2, -3), padding_mode="edge").size == (4, 5)
    with pytest.raises(ValueError, match="leaves nothing of 6 x 7"):
        TF.pad(Tensor(x), -4)


def test_five_and_ten_crops() -> None:
    x = noise(1, 5, 7)
    five = TF.five_crop(Tensor(x), (2, 3))
    corners = [x[:, :2, :3], x[:, :2, -3:], x[:, -2:, :3], x[:, -2:, -3:], x[:, 2:4, 2:5]]
    for got, expected in zip(five, corners, strict=True):
        np.testing.assert_array_equal(got.array, expected)
    for vertical, mirrored in ((False, x[:, :, ::-1]), (True, x[:, ::-1])):
        ten = TF.ten_crop(Tensor(x), (2, 3), vertical)
        for got, expected in zip(ten, (*five, *TF.five_crop(Tensor(mirrored.copy()), (2, 3))), strict=True):
            np.testing.assert_array_equal(got.array, expected.array)
    with pytest.raises(ValueError, match=r"five_crop: requested crop size \(6, 6\) is bigger than input size \(5, 7\)"):
        TF.five_crop(Image.fromarray(x[0]), 6)


def test_erase() -> None:
    x = noise(2, 3, 5, 6, dtype=np.float32)
    expected = x.copy()
    expected[..., 1:3, 2:6] = np.arange(3, dtype=np.float32)[:, None, None]
    value = minicnn.arange(3).reshape(3, 1, 1)
    tensor = Tensor(x.copy())
    np.testing.assert_array_equal(TF.erase(tensor, 1, 2, 2, 4, value).array, expected)
    np.testing.assert_array_equal(tensor.array, x)
    assert TF.erase(tensor, 1, 2, 2, 4, value, inplace=True) is tensor
    np.testing.assert_array_equal(tensor.array, expected)
    with pytest.raises(ValueError, match=r"erase: v of shape \(2, 1, 1\) does not fit the window"):
        TF.erase(tensor, 1, 2, 2, 4, minicnn.zeros(2, 1, 1))
    with pytest.raises(TypeError, match="use it after ToTensor"):
        TF.erase(Image.new("L", (3, 3)), 0, 0, 1, 1, 0)  # type: ignore[arg-type]


def test_transforms_are_modules() -> None:
    """As in torchvision: in nn.Sequential, with forward, and subclasses that override it."""
    chain = minicnn.nn.Sequential(minicnn.transforms.CenterCrop(4), minicnn.transforms.Normalize([0.5], [0.5]))
    assert chain(minicnn.ones(1, 6, 6)).shape == (1, 4, 4)

    class Twice(minicnn.transforms.CenterCrop):
        def forward(self, image: Any) -> Any:
            return super().forward(super().forward(image))

    class Loud(ToTensor):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def __call__(self, image: Any) -> Any:
            return super().__call__(image) * self.factor

    assert Twice(3)(minicnn.ones(1, 6, 6)).shape == (1, 3, 3) and not Twice(3).batchable
    assert float(Loud(2)(np.full((1, 1), 255, np.uint8))) == 2 and not Loud(2).batchable
    assert float(Loud(3).forward(np.full((1, 1), 255, np.uint8))) == 1
