"""Geometric transforms against torchvision's: PIL images byte for byte, tensors and batches up to rounding."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn.transforms import functional as ours

torch = pytest.importorskip("torch")
pytest.importorskip("model_pairs", reason="needs PyTorch")
theirs = pytest.importorskip("torchvision.transforms.functional")
InterpolationMode = pytest.importorskip("torchvision.transforms").InterpolationMode

MODES = ["nearest", "bilinear"]
TYPES = [np.uint8, np.float32, np.float64]
SHAPES = [(1, 28, 28), (3, 17, 24), (2, 3, 9, 8), (1, 1, 5)]


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    values = np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)
    return values if dtype == np.uint8 else (values / 255).astype(dtype)


def both(name: str, image: Any, *args: Any, interpolation: str | None = None, **options: Any) -> tuple[Any, Any]:
    """The results of ours and theirs, as arrays."""
    found = []
    for library, modes in ((ours, ours.InterpolationMode), (theirs, InterpolationMode)):
        x = image
        if isinstance(image, np.ndarray):
            x = minicnn.tensor(image) if library is ours else torch.from_numpy(image)
        more = {} if interpolation is None else {"interpolation": modes(interpolation)}
        found.append(np.asarray(getattr(library, name)(x, *args, **more, **options)))
    return found[0], found[1]


def check_tensor(got: np.ndarray, expected: np.ndarray, nearest: bool) -> None:
    """Equal up to rounding; where a value is halfway between two (pixels, or whole numbers), either will do."""
    assert got.shape == expected.shape and got.dtype == expected.dtype
    if nearest:
        assert (got != expected).mean() <= 0.05, f"{(got != expected).mean():.1%} differ"
    elif got.dtype == np.uint8:
        gap = np.abs(got.astype(int) - expected)
        assert gap.max() <= 1 and (gap > 0).mean() < 0.02
    else:
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-5 if got.dtype == np.float32 else 1e-5)


AFFINE = [
    (30, (0, 0), 1.0, (0.0, 0.0)),
    (-75.5, (3, -2), 0.7, (10.0, -20.0)),
    (0, (2, 1), 1.3, (0.0, 0.0)),
    (180, (0, 0), 1.0, 15.0),
    (90, (-1, 0), 1.0, [5.0]),
    (-360, (0, 0), 2.0, (0.0, 30.0)),
]
FILLS: list[Any] = [None, 0, 0.25, [0.5]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", TYPES)
def test_affine_on_tensors(dtype: Any, mode: str) -> None:
    for shape, args, fill in product(SHAPES, AFFINE, FILLS):
        for center in (None, (2, 3.5)):
            got, expected = both(
                "affine", noise(*shape, dtype=dtype), *args, interpolation=mode, fill=fill, center=center
            )
            check_tensor(got, expected, mode == "nearest")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", TYPES)
def test_rotate_on_tensors(dtype: Any, mode: str) -> None:
    for shape, angle, expand in product(SHAPES, (0, 17, -45, 90, -90, 180, 270.0, 359.9), (False, True)):
        for center in (None, [0, 0]) if not expand else (None,):
            got, expected = both(
                "rotate",
                noise(*shape, dtype=dtype),
                angle,
                interpolation=mode,
                expand=expand,
                center=center,
                fill=[1.0],
            )
            check_tensor(got, expected, mode == "nearest")


POINTS = [
    ([[0, 0], [23, 0], [23, 16], [0, 16]], [[3, 2], [20, 1], [22, 14], [1, 15]]),
    ([[0, 0], [10, 0], [12, 9], [1, 8]], [[0, 0], [9, 2], [11, 9], [0, 7]]),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", TYPES)
def test_perspective_on_tensors(dtype: Any, mode: str) -> None:
    for shape, points, fill in product(SHAPES, POINTS, FILLS):
        got, expected = both("perspective", noise(*shape, dtype=dtype), *points, interpolation=mode, fill=fill)
        check_tensor(got, expected, mode == "nearest")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", TYPES)
def test_elastic_on_tensors(dtype: Any, mode: str) -> None:
    for shape, fill in product(SHAPES, FILLS):
        field = 0.2 * np.random.default_rng(0).standard_normal((1, *shape[-2:], 2)).astype(np.float32)
        image, how = noise(*shape, dtype=dtype), {"fill": fill}
        got = ours.elastic_transform(
            minicnn.tensor(image), minicnn.tensor(field), ours.InterpolationMode(mode), **how
        ).numpy()
        expected = theirs.elastic_transform(
            torch.from_numpy(image), torch.from_numpy(field), InterpolationMode(mode), **how
        ).numpy()
        check_tensor(got, expected, mode == "nearest")


@pytest.mark.parametrize("pil", ["L", "RGB", "RGBA", "F", "I", "P", "1", "LA"])
def test_on_pil_images_every_byte_is_equal(pil: str) -> None:
    image = Image.fromarray(noise(19, 26, 3)).convert("L" if pil == "I" else pil)
    image = image.convert(pil)
    several = [10, 200, 30, 255][: len(image.getbands())]
    for fill in (None, 7, several):
        for mode in ("nearest", "bilinear", "bicubic"):
            for args in AFFINE:
                for center in (None, (3, 4)):
                    np.testing.assert_array_equal(
                        *both("affine", image, *args, interpolation=mode, fill=fill, center=center)
                    )
            for angle, expand in product((0, 17, -45.5, 90, 180, 270), (False, True)):
                np.testing.assert_array_equal(
                    *both("rotate", image, angle, interpolation=mode, expand=expand, fill=fill)
                )
            np.testing.assert_array_equal(*both("rotate", image, 33, interpolation=mode, center=(2, 5), fill=fill))
            for points in POINTS:
                np.testing.assert_array_equal(*both("perspective", image, *points, interpolation=mode, fill=fill))


@pytest.mark.parametrize("mode", MODES)
def test_elastic_on_pil_images(mode: str) -> None:
    for pil in ("L", "RGB"):
        image = Image.fromarray(noise(19, 26, 3)).convert(pil)
        field = 0.1 * np.random.default_rng(1).standard_normal((1, 19, 26, 2)).astype(np.float32)
        got = np.asarray(ours.elastic_transform(image, minicnn.tensor(field), ours.InterpolationMode(mode), 3))
        expected = np.asarray(theirs.elastic_transform(image, torch.from_numpy(field), InterpolationMode(mode), 3))
        check_tensor(got, expected, mode == "nearest")


PADS = [
    (3, 0, "constant"),
    ([1], 2, "constant"),
    ((1, 2), 5, "edge"),
    ((3, 1, 0, 2), 0, "reflect"),
    ((3, 1, 0, 2), 0, "symmetric"),
    ((-1, 2, 3, -2), 9, "constant"),
]


@pytest.mark.parametrize("dtype", TYPES)
def test_crops_flips_and_pads_are_equal(dtype: Any) -> None:
    calls: list[tuple[str, tuple[Any, ...]]] = [
        *(("pad", (list(p) if isinstance(p, tuple) else p, fill, mode)) for p, fill, mode in PADS),
        ("crop", (2, 3, 5, 4)),
        ("crop", (-2, -3, 30, 40)),
        ("crop", (5, 6, 9, 30)),
        ("center_crop", ([7, 9],)),
        ("center_crop", ([30, 5],)),
        ("center_crop", (31,)),
        ("resized_crop", (2, 1, 6, 7, [9, 8])),
        ("resized_crop", (0, 0, 8, 8, [4, 3])),
        ("hflip", ()),
        ("vflip", ()),
        ("get_dimensions", ()),
        ("get_image_size", ()),
        ("get_image_num_channels", ()),
        ("five_crop", ([4, 5],)),
        ("ten_crop", ([4, 5],)),
        ("ten_crop", ([4, 5], True)),
    ]
    for shape, (name, args) in product([(1, 12, 13), (3, 9, 14), (2, 3, 11, 10)], calls):
        images: list[Any] = [noise(*shape, dtype=dtype)]
        if len(shape) == 3 and dtype == np.uint8:
            hwc = np.moveaxis(images[0], 0, -1)
            images.append(Image.fromarray(hwc if shape[0] > 1 else hwc[..., 0]))
        for image in images:
            got, expected = both(name, image, *args)
            if name == "resized_crop" and dtype != np.uint8:
                np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
            elif name == "resized_crop" and isinstance(image, np.ndarray):
                assert np.abs(got.astype(int) - expected).max() <= 1
            else:
                np.testing.assert_array_equal(got, expected)


def test_erase_and_conversions_are_equal() -> None:
    x = noise(3, 8, 9, dtype=np.float32)
    for value in (np.float32(0.5), noise(3, 1, 1, dtype=np.float32), noise(3, 4, 2, dtype=np.float32)):
        got = ours.erase(minicnn.tensor(x), 1, 2, 4, 2, minicnn.tensor(value)).numpy()
        np.testing.assert_array_equal(got, theirs.erase(torch.from_numpy(x), 1, 2, 4, 2, torch.tensor(value)).numpy())
    for mode, bands, dtype in (
        (None, 1, np.uint8), (None, 3, np.uint8), (None, 4, np.uint8), (None, 2, np.uint8), (None, 1, np.float32),
        (None, 3, np.float32), ("F", 1, np.float32), (None, 1, np.int32), ("CMYK", 4, np.uint8), ("HSV", 3, np.uint8),
        (None, 1, np.int16), (None, 3, np.float64),
    ):  # fmt: skip
        image = noise(bands, 6, 7, dtype=dtype)
        got, expected = (
            ours.to_pil_image(minicnn.tensor(image), mode),
            theirs.to_pil_image(torch.from_numpy(image), mode),
        )
        assert got.mode == expected.mode
        np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
        got, expected = (f.to_pil_image(np.moveaxis(image, 0, -1), mode) for f in (ours, theirs))
        assert got.mode == expected.mode
        np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))


def test_random_parameters_have_the_same_distribution() -> None:
    """Means and deviations of 3,000 draws of each; the streams differ."""
    from torchvision import transforms as other

    from minicnn import transforms as mine

    torch.manual_seed(0)
    minicnn.manual_seed(0)
    calls: dict[str, tuple[str, tuple[Any, ...]]] = {
        "affine": ("RandomAffine", ([-10, 30], (0.2, 0.1), (0.5, 1.5), [-5, 5, 10, 20], [40, 60])),
        "rotation": ("RandomRotation", ([-30, 50],)),
        "perspective": ("RandomPerspective", (31, 20, 0.6)),
        "resized crop": ("RandomResizedCrop", ("image", (0.08, 1.0), (3 / 4, 4 / 3))),
        "crop": ("RandomCrop", ("image", (20, 11))),
        "erasing": ("RandomErasing", ("image", (0.02, 0.33), (0.3, 3.3), [0.0])),
    }
    for name, args in calls.values():
        drawn = []
        for library, image in ((mine, minicnn.zeros(1, 30, 40)), (other, torch.zeros(1, 30, 40))):
            given = [image if arg == "image" else arg for arg in args]
            found = [getattr(library, name).get_params(*given) for _ in range(3000)]
            flat = [one[:4] if name == "RandomErasing" else one for one in found]
            drawn.append(
                np.array(
                    [
                        np.hstack([np.ravel(part) for part in np.atleast_1d(np.array(one, object))])
                        if name == "RandomAffine"
                        else np.ravel(one)
                        for one in flat
                    ],
                    float,
                )
            )
        ours_, theirs_ = drawn
        deviation = np.maximum(theirs_.std(axis=0), 1e-9)
        assert (np.abs(ours_.mean(axis=0) - theirs_.mean(axis=0)) / deviation < 0.12).all(), name
        assert (np.abs(ours_.std(axis=0) / deviation - 1)[theirs_.std(axis=0) > 0] < 0.1).all(), name


def test_elastic_fields_are_as_strong_and_as_smooth() -> None:
    from torchvision import transforms as other

    from minicnn import transforms as mine

    torch.manual_seed(0)
    minicnn.manual_seed(0)
    args = [30.0, 60.0], [3.0, 2.0], [32, 40]
    fields = [
        np.concatenate([np.asarray(library.ElasticTransform.get_params(*args)) for _ in range(60)])
        for library in (mine, other)
    ]
    for measure in (
        lambda x: x.std(axis=(0, 1, 2)),
        lambda x: np.diff(x, axis=1).std(axis=(0, 1, 2)),
        lambda x: np.diff(x, axis=2).std(axis=(0, 1, 2)),
    ):
        np.testing.assert_allclose(*map(measure, fields), rtol=0.1)
