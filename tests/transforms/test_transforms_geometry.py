from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from minicnn.random import default_generator
from minicnn.tensor import Tensor
from minicnn.transforms import (
    CenterCrop,
    Pad,
    PILToTensor,
    RandomCrop,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    Transform,
)
from minicnn.utils.data import each_sample
from minicnn.utils.data.randomness import SampleKeys, keyed_samples


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(1, 256, shape, dtype=np.uint8)


def on_all_kinds(transform: Transform, height: int = 6, width: int = 9) -> np.ndarray:
    """The result (C, H, W) for one colour image, after a check that PIL image, Tensor and batch agree."""
    image = noise(height, width, 3)
    chw = np.moveaxis(image, 2, 0)  # (H, W, C) -> (C, H, W)
    result = transform(Tensor(chw)).array
    from_pil = transform(Image.fromarray(image))
    np.testing.assert_array_equal(PILToTensor()(from_pil).array, result)
    np.testing.assert_array_equal(transform(Tensor(np.stack([chw, chw])[None])).array, [[result, result]])
    np.testing.assert_array_equal(transform.batch(image[None])[0], np.moveaxis(result, 0, 2))  # type: ignore[attr-defined]
    grey = transform(Image.fromarray(image[..., 0]))
    np.testing.assert_array_equal(np.asarray(grey), result[0])
    return result


# ------------------------------------------------------------------------------------------------------------ Pad


@pytest.mark.parametrize(
    ("padding", "sides"),
    [(2, (2, 2, 2, 2)), ([3], (3, 3, 3, 3)), ((1, 2), (1, 2, 1, 2)), ((1, 2, 3, 4), (1, 2, 3, 4)), (0, (0, 0, 0, 0))],
)
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_pad_adds_the_cells_of_its_mode(padding: Any, sides: tuple[int, ...], mode: str) -> None:
    left, top, right, bottom = sides
    height, width = 6, 9
    x = np.moveaxis(noise(height, width, 3), 2, 0)
    y = on_all_kinds(Pad(padding, fill=7, padding_mode=mode), height, width)
    assert y.shape == (3, top + height + bottom, left + width + right)

    def source(position: int, size: int) -> int | None:
        if 0 <= position < size:
            return position
        if mode == "constant":
            return None
        if mode == "edge":
            return 0 if position < 0 else size - 1
        shift = 0 if mode == "reflect" else 1
        return -position - shift if position < 0 else 2 * (size - 1) - position + shift

    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            row, column = source(i - top, height), source(j - left, width)
            expected = [7] * 3 if row is None or column is None else x[:, row, column]
            np.testing.assert_array_equal(y[:, i, j], expected)


def test_pad_fills_each_channel_of_an_image() -> None:
    image = Image.fromarray(noise(4, 4, 3))
    padded = np.asarray(Pad(1, fill=(1, 2, 3))(image))
    assert padded[0, 0].tolist() == [1, 2, 3] and padded[-1, 2].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(Pad(1, fill=(1, 2, 3)).batch(noise(4, 4, 3)[None])[0], padded)
    with pytest.raises(ValueError, match="fill has 2 values"):
        Pad(1, fill=(1, 2))(image)
    with pytest.raises(ValueError, match="fill has 3 values"):
        Pad(1, fill=(1, 2, 3))(Tensor(noise(3, 4, 4)))


def test_pad_keeps_palettes_and_types() -> None:
    palette = Image.fromarray(noise(5, 5, 3)).quantize(4)
    for mode in ("constant", "edge"):
        padded = Pad(2, padding_mode=mode)(palette)
        assert padded.mode == "P"
        np.testing.assert_array_equal(np.asarray(padded.convert("RGB"))[2:-2, 2:-2], np.asarray(palette.convert("RGB")))
    floating = Image.fromarray(np.full((2, 2), 0.5, np.float32))
    assert np.asarray(Pad(1, fill=0.25)(floating)).ravel()[:6].tolist() == [0.25] * 4 + [0.25, 0.5]
    assert Pad(1, fill=0.25)(Tensor(np.zeros((1, 2, 2), np.float16))).dtype == np.float16


@pytest.mark.parametrize("padding", [-1, (1, 2, 3), 1.5, (1, -1), ()])
def test_pad_refuses_other_paddings(padding: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        Pad(padding)


def test_pad_refuses_other_arguments() -> None:
    with pytest.raises(ValueError, match="padding_mode"):
        Pad(1, padding_mode="circular")
    with pytest.raises(TypeError, match="fill"):
        Pad(1, fill="white")  # type: ignore[arg-type]
    for fill in (300, 0.5, -1):
        with pytest.raises(ValueError, match=f"fill {fill} is not a value of type uint8"):
            Pad(1, fill=fill)(Tensor(noise(1, 2, 2)))
    with pytest.raises(TypeError, match="Pad takes a PIL image or a Tensor"):
        Pad(1)(noise(2, 2))


# ----------------------------------------------------------------------------------------------------------- crops


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [((4, 5), slice(1, 5), slice(2, 7)), (3, slice(2, 5), slice(3, 6)), ((5, 4), slice(0, 5), slice(2, 6))],
)
def test_center_crop_takes_the_middle(size: Any, rows: slice, columns: slice) -> None:
    """torchvision rounds half a cell to the even side: (6 - 5) / 2 = 0.5 gives 0, (9 - 4) / 2 = 2.5 gives 2."""
    expected = np.moveaxis(noise(6, 9, 3), 2, 0)[:, rows, columns]
    np.testing.assert_array_equal(on_all_kinds(CenterCrop(size)), expected)


def test_center_crop_pads_what_is_too_small() -> None:
    expected = np.pad(np.moveaxis(noise(6, 9, 3), 2, 0)[:, :, 3:6], ((0, 0), (0, 1), (0, 0)))
    np.testing.assert_array_equal(on_all_kinds(CenterCrop((7, 3))), expected)
    assert on_all_kinds(CenterCrop((11, 12))).shape == (3, 11, 12)


@pytest.mark.parametrize("size", [0, -2, (1, 2, 3), 1.5, (2, 0)])
def test_crops_refuse_impossible_sizes(size: Any) -> None:
    for crop in (CenterCrop, RandomCrop):
        with pytest.raises((ValueError, TypeError)):
            crop(size)


def test_random_crop_takes_every_window_equally_often() -> None:
    default_generator.manual_seed(0)
    x = Tensor(np.arange(20).reshape(1, 4, 5))
    starts = [int(RandomCrop((2, 3))(x).array[0, 0, 0]) for _ in range(9000)]
    values, counts = np.unique(starts, return_counts=True)
    assert values.tolist() == [0, 1, 2, 5, 6, 7, 10, 11, 12]
    assert np.abs(counts - 1000).max() < 150  # the deviation is 30


def test_random_crop_pads_first() -> None:
    x = Tensor(noise(3, 4, 5))
    assert RandomCrop((8, 9), padding=2)(x).shape == (3, 8, 9)  # the whole padded image
    assert RandomCrop((4, 9), padding=(2, 0))(x).shape == (3, 4, 9)
    padded = RandomCrop((9, 4), pad_if_needed=True, fill=1)(x).array
    assert padded.shape == (3, 9, 4) and (padded == 1).all(axis=(0, 2)).any()
    assert RandomCrop((9, 9), padding=1, pad_if_needed=True)(Image.fromarray(noise(4, 5))).size == (9, 9)
    with pytest.raises(ValueError, match=r"crop size \(9, 4\) is larger than input image size \(4, 5\)"):
        RandomCrop((9, 4))(x)
    with pytest.raises(ValueError, match="larger"):
        RandomCrop((9, 4)).batch(x)
    top, left, height, width = RandomCrop.get_params(x, (2, 3))
    assert 0 <= top <= 2 and 0 <= left <= 2 and (height, width) == (2, 3)


def test_random_flip_mirrors_with_its_probability() -> None:
    x = np.moveaxis(noise(6, 9, 3), 2, 0)
    np.testing.assert_array_equal(on_all_kinds(RandomHorizontalFlip(1)), x[:, :, ::-1])
    np.testing.assert_array_equal(on_all_kinds(RandomHorizontalFlip(0)), x)
    np.testing.assert_array_equal(on_all_kinds(RandomVerticalFlip(1)), x[:, ::-1])
    np.testing.assert_array_equal(on_all_kinds(RandomVerticalFlip(0)), x)
    assert repr(RandomVerticalFlip()) == "RandomVerticalFlip(p=0.5)"
    with pytest.raises(ValueError, match="RandomVerticalFlip: p should be a probability"):
        RandomVerticalFlip(2)
    default_generator.manual_seed(0)
    flip, y = RandomHorizontalFlip(0.3), Tensor(np.arange(2).reshape(1, 1, 2))
    assert abs(sum(int(flip(y).array[0, 0, 0]) for _ in range(4000)) / 4000 - 0.3) < 0.03  # the deviation is 0.007
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="probability"):
            RandomHorizontalFlip(p)


@pytest.mark.parametrize("kind", ["images", "colour images", "tensors"])
@pytest.mark.parametrize(
    "transform", [RandomCrop(5, padding=2), RandomHorizontalFlip(), RandomVerticalFlip(), RandomCrop((6, 9))], ids=repr
)
def test_a_random_batch_equals_its_samples(transform: Transform, kind: str) -> None:
    keys = SampleKeys(1, 2, range(40))
    images = noise(40, 6, 9, 3) if kind == "colour images" else noise(40, 6, 9)
    batch: Any = Tensor(noise(40, 3, 6, 9)) if kind == "tensors" else images
    samples = [Tensor(chw) for chw in batch.array] if kind == "tensors" else map(Image.fromarray, images)
    with keyed_samples(keys):
        at_once = transform.batch(batch)  # type: ignore[attr-defined]
    with keyed_samples(keys):
        one_by_one = [
            np.asarray(transform(sample)) for _, sample in zip(each_sample(keys.indices), samples, strict=True)
        ]
    np.testing.assert_array_equal(np.asarray(at_once), one_by_one)
    assert type(at_once) is type(batch)
