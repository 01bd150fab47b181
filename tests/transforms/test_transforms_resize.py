from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minicnn.tensor import Tensor
from minicnn.transforms import InterpolationMode, Resize
from minicnn.transforms.functional import resizing as resize_file
from minicnn.transforms.functional.resizing import interpolation_matrix

SMOOTH = [InterpolationMode.BILINEAR, InterpolationMode.BICUBIC]


def kernel(mode: InterpolationMode, antialias: bool, t: float) -> float:
    t = abs(t)
    if mode is InterpolationMode.BILINEAR:
        return max(0.0, 1 - t)
    a = -0.5 if antialias else -0.75
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def definition(x: np.ndarray, out_h: int, out_w: int, mode: InterpolationMode, antialias: bool) -> np.ndarray:
    """Every output cell as the weighted mean over the cells around it, in float64, with no matrix."""
    height, width = x.shape

    def weights(i: int, size_in: int, size_out: int) -> dict[int, float]:
        scale = size_in / size_out
        stretch = max(scale, 1.0) if antialias else 1.0
        center = (i + 0.5) * scale
        found: dict[int, float] = {}
        for j in range(math.floor(center - 2 * stretch) - 2, math.ceil(center + 2 * stretch) + 3):
            weight = kernel(mode, antialias, (j + 0.5 - center) / stretch)
            if antialias and not 0 <= j < size_in:
                continue  # what is not there is left out ...
            j = min(max(j, 0), size_in - 1)  # ... or counts for the edge
            found[j] = found.get(j, 0.0) + weight
        total = sum(found.values())
        return {j: weight / total for j, weight in found.items()}

    rows, columns = ([weights(i, n, m) for i in range(m)] for n, m in ((height, out_h), (width, out_w)))
    return np.array(
        [
            [sum(u * v * x[i, j] for i, u in row.items() for j, v in column.items()) for column in columns]
            for row in rows
        ]
    )


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", SMOOTH)
@pytest.mark.parametrize(("size", "out"), [((5, 7), (8, 3)), ((6, 4), (6, 9)), ((9, 8), (2, 8)), ((1, 3), (2, 1))])
def test_tensors_are_resized_as_the_definition_says(
    size: tuple[int, int], out: tuple[int, int], mode: InterpolationMode, antialias: bool
) -> None:
    x = np.random.default_rng(0).random((2, 3, *size))
    y = Resize(out, mode, antialias=antialias)(Tensor(x)).array
    expected = [[definition(channel, *out, mode, antialias) for channel in image] for image in x]
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-13)
    single = Resize(out, mode, antialias=antialias)(Tensor(x.astype(np.float32)))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.array, expected, rtol=0, atol=1e-6)


def test_a_ramp_by_hand() -> None:
    """0 4 8 12 on 2 cells: the centres are 1 and 3. Plain: means of neighbours; widened: weights 3 3 1 (0) over 7."""
    ramp = Tensor(np.array([[[0.0, 4, 8, 12]]]))
    np.testing.assert_allclose(Resize((1, 2), antialias=False)(ramp).array, [[[2, 10]]])
    np.testing.assert_allclose(Resize((1, 2))(ramp).array, [[[(3 * 4 + 8) / 7, 12 - (3 * 4 + 8) / 7]]])


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", SMOOTH)
def test_rows_of_the_matrix_sum_to_one(mode: InterpolationMode, antialias: bool) -> None:
    for size_in, size_out in product((1, 2, 7, 28, 100), (1, 3, 28, 32, 101)):
        matrix = interpolation_matrix(size_in, size_out, mode, antialias)
        assert matrix.shape == (size_out, size_in)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize(("mode", "offset"), [(InterpolationMode.NEAREST, 0), (InterpolationMode.NEAREST_EXACT, 0.5)])
def test_nearest_takes_the_cell_that_the_centre_falls_into(mode: InterpolationMode, offset: float) -> None:
    x = np.arange(35).reshape(1, 5, 7)
    rows, columns = ([math.floor((i + offset) * n / m) for i in range(m)] for n, m in ((5, 8), (7, 3)))
    np.testing.assert_array_equal(Resize((8, 3), mode)(Tensor(x)).array, x[:, rows][:, :, columns])


@pytest.mark.parametrize(
    ("size", "max_size", "image", "out"),
    [
        (32, None, (28, 28), (32, 32)),
        (32, None, (28, 35), (32, 40)),
        (32, None, (35, 28), (40, 32)),
        ([10], None, (30, 100), (10, 33)),  # 33.3 is rounded down
        ((10, 20), None, (3, 3), (10, 20)),
        (10, 30, (30, 100), (9, 30)),  # int(30 * 10 / 33)
        (10, 34, (30, 100), (10, 33)),
    ],
)
def test_output_sizes(size: Any, max_size: int | None, image: tuple[int, int], out: tuple[int, int]) -> None:
    resize = Resize(size, max_size=max_size)
    assert resize.output_size(*image) == out
    assert resize(Tensor(np.zeros((2, *image), np.float32))).shape == (2, *out)
    assert resize(Image.new("L", image[::-1])).size == out[::-1]
    assert resize.batch(np.zeros((2, *image), np.uint8)).shape == (2, *out)


def test_an_image_of_the_right_size_is_left_alone() -> None:
    tensor, image = Tensor(np.zeros((1, 4, 6))), Image.new("L", (6, 4))
    assert Resize(4)(tensor) is tensor and Resize((4, 6))(image) is image


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_integer_tensors_are_rounded_and_clipped(dtype: Any) -> None:
    x = np.random.default_rng(1).choice([0, 255], (3, 6, 7)).astype(dtype)
    y = Resize((9, 11), InterpolationMode.BICUBIC)(Tensor(x))
    exact = Resize((9, 11), InterpolationMode.BICUBIC)(Tensor(x.astype(np.float64))).array
    assert exact.min() < -1 and exact.max() > 256 and y.dtype == dtype  # the cubic overshoots
    expected = np.clip(exact, 0, 255) if dtype == np.uint8 else exact
    np.testing.assert_allclose(y.array, expected, atol=0.5001)


def test_float16_is_computed_in_float32() -> None:
    x = np.random.default_rng(2).random((1, 20, 20))
    y = Resize(7)(Tensor(x.astype(np.float16)))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y.array, Resize(7)(Tensor(x)).array, atol=1e-3)


@pytest.mark.parametrize(
    ("mode", "channels"),
    [*product(InterpolationMode, [(), (3,), (4,)]), *product(SMOOTH, [(1,)])],  # PIL itself has no (H, W, 1)
)
def test_a_batch_of_images_is_resized_as_pil_resizes_each(mode: InterpolationMode, channels: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    for size, out in product([(8, 8), (7, 13), (30, 4)], [(32, 32), (5, 9), (13, 6), (7, 20)]):
        images = rng.integers(0, 256, (4, *size, *channels), dtype=np.uint8)
        images[2:] = np.where(images[2:] < 128, 0, 255)
        single = images[..., 0] if channels == (1,) else images
        expected = [np.asarray(Resize(out, mode)(Image.fromarray(image))) for image in single]
        got = Resize(out, mode).batch(images)
        np.testing.assert_array_equal(got, np.reshape(expected, got.shape))


def test_the_quick_way_of_a_batch_is_really_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a Pillow with other arithmetic appears, batches must be resized image by image, and this test fails."""
    for mode in SMOOTH:
        assert resize_file._pillow_rows_first((28, 28), (32, 32), mode) is not None
    images = np.random.default_rng(4).integers(0, 256, (3, 9, 9), dtype=np.uint8)
    quick = Resize(12).batch(images)
    monkeypatch.setattr(resize_file, "_pillow_rows_first", lambda *_: None)
    np.testing.assert_array_equal(Resize(12).batch(images), quick)


@pytest.mark.parametrize("size", [0, -1, (1, 2, 3), (), 2.5, (3, 0), "big"])
def test_impossible_sizes_are_refused(size: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        Resize(size)


def test_impossible_uses_are_refused() -> None:
    x = Tensor(np.zeros((1, 4, 4)))
    with pytest.raises(ValueError, match="max_size = 32 must be greater"):
        Resize(32, max_size=32)
    with pytest.raises(ValueError, match="single size"):
        Resize((3, 4), max_size=10)
    with pytest.raises(ValueError, match="InterpolationMode"):
        Resize(3, interpolation="bilinear")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lanczos exists for PIL images only"):
        Resize(3, InterpolationMode.LANCZOS)(x)
    with pytest.raises(ValueError, match="bool"):
        Resize(3)(Tensor(np.zeros((1, 4, 4), bool)))
    with pytest.raises(ValueError, match="nothing"):
        Resize(1, max_size=2)(Tensor(np.zeros((1, 1, 9))))
    with pytest.raises(TypeError, match=r"got ndarray of shape \(1, 4, 4\)"):
        Resize(3)(np.zeros((1, 4, 4)))
    with pytest.raises(ValueError, match="H, W > 0"):
        Resize(3)(Tensor(np.zeros((1, 0, 4))))
    with pytest.warns(UserWarning, match="PIL always antialiases"):
        Resize(3, antialias=False)(Image.new("L", (4, 4)))


def test_pils_numbers_of_its_filters_are_understood() -> None:
    assert Resize(3, Image.Resampling.BICUBIC).interpolation is InterpolationMode.BICUBIC
    assert Resize(3, 0).interpolation is InterpolationMode.NEAREST
