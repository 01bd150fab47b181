"""Colours, levels and filters against torchvision's: byte by byte on PIL images, closely on tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn.transforms import functional as TF

torch = pytest.importorskip("torch")
pytest.importorskip("differential.model_pairs", reason="needs PyTorch")
theirs = pytest.importorskip("torchvision.transforms.functional")
theirs2 = pytest.importorskip("torchvision.transforms.v2.functional")

EXACT = {
    "brightness": lambda f, x: f.adjust_brightness(x, 0.6),
    "brightness 0": lambda f, x: f.adjust_brightness(x, 0),
    "brightness 1": lambda f, x: f.adjust_brightness(x, 1),
    "brightness 2.5": lambda f, x: f.adjust_brightness(x, 2.5),
    "contrast": lambda f, x: f.adjust_contrast(x, 0.3),
    "contrast 0": lambda f, x: f.adjust_contrast(x, 0),
    "contrast 1.9": lambda f, x: f.adjust_contrast(x, 1.9),
    "saturation": lambda f, x: f.adjust_saturation(x, 0.3),
    "saturation 0": lambda f, x: f.adjust_saturation(x, 0.0),
    "saturation 3": lambda f, x: f.adjust_saturation(x, 3.0),
    "sharpness 0": lambda f, x: f.adjust_sharpness(x, 0.0),
    "sharpness 0.4": lambda f, x: f.adjust_sharpness(x, 0.4),
    "sharpness 3": lambda f, x: f.adjust_sharpness(x, 3),
    "invert": lambda f, x: f.invert(x),
    "autocontrast": lambda f, x: f.autocontrast(x),
    "grey": lambda f, x: f.rgb_to_grayscale(x),
    "grey 3": lambda f, x: f.rgb_to_grayscale(x, 3),
    "hue 0": lambda f, x: f.adjust_hue(x, 0.0),
    "hue 0.2": lambda f, x: f.adjust_hue(x, 0.2),
    "hue 0.5": lambda f, x: f.adjust_hue(x, 0.5),
    "hue -0.45": lambda f, x: f.adjust_hue(x, -0.45),
    "gamma 0.5": lambda f, x: f.adjust_gamma(x, 0.5),
    "gamma 0": lambda f, x: f.adjust_gamma(x, 0),
    "gamma 2.2": lambda f, x: f.adjust_gamma(x, 2.2, 0.8),
    "gamma 1.1": lambda f, x: f.adjust_gamma(x, 1.1, gain=1.5),
    "blur 3": lambda f, x: f.gaussian_blur(x, 3),
    "blur (5, 3)": lambda f, x: f.gaussian_blur(x, (5, 3), 1.3),
    "blur sigmas": lambda f, x: f.gaussian_blur(x, [3, 5], [0.4, 2.0]),
    "blur 1": lambda f, x: f.gaussian_blur(x, 1),
}
BYTES = EXACT | {
    "posterize 4": lambda f, x: f.posterize(x, 4),
    "posterize 1": lambda f, x: f.posterize(x, 1),
    "posterize 8": lambda f, x: f.posterize(x, 8),
    "solarize 100": lambda f, x: f.solarize(x, 100),
    "solarize 0": lambda f, x: f.solarize(x, 0),
    "solarize 255": lambda f, x: f.solarize(x, 255),
    "equalize": lambda f, x: f.equalize(x),
}
FLOATS = EXACT | {
    "solarize 0.5": lambda f, x: f.solarize(x, 0.5),
    "solarize 1": lambda f, x: f.solarize(x, 1.0),
}
# Where a value lies within an error of float32 of a whole number, another order of the sums may cut it to the next one.
CUT = {name for name in BYTES if name.partition(" ")[0] in ("hue", "gamma", "blur", "contrast", "autocontrast")}


def bytes_(*shape: int) -> np.ndarray:
    """Noise, with areas of one colour and the edges of the range."""
    x = np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)
    x[..., :2, :3] = 0
    x[..., -2:, -3:] = 255
    x[..., 0, -1] = 77
    return x


SHAPES = [(3, 32, 32), (1, 28, 31), (3, 5, 4), (2, 3, 17, 20), (2, 2, 1, 9, 12)]


def reference(shape: tuple[int, ...], name: str) -> Any:
    """The first version takes some things of at most 4 dimensions only, and does not make three channels of one."""
    return theirs2 if len(shape) > 4 or (name == "grey 3" and shape[-3] == 1) else theirs


def compare(ours: Any, other: Any, name: str) -> None:
    found, expected = ours.numpy(), other.numpy()
    assert found.dtype == expected.dtype and found.shape == expected.shape
    if found.dtype == np.uint8:
        steps = np.abs(found.astype(int) - expected.astype(int))
        assert steps.max() <= (name in CUT) and (steps > 0).mean() < 0.004
    else:
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", BYTES)
def test_tensors_of_bytes(name: str, shape: tuple[int, ...]) -> None:
    x = bytes_(*shape)
    compare(BYTES[name](TF, minicnn.tensor(x)), BYTES[name](reference(shape, name), torch.from_numpy(x)), name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FLOATS)
def test_tensors_of_floats(name: str, dtype: Any) -> None:
    for shape in SHAPES:
        x = (bytes_(*shape) / 255).astype(dtype)
        compare(FLOATS[name](TF, minicnn.tensor(x)), FLOATS[name](reference(shape, name), torch.from_numpy(x)), name)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("name", BYTES)
def test_pil_images(name: str, mode: str) -> None:
    for height, width in ((32, 32), (7, 11)):
        image = Image.fromarray(bytes_(3, height, width).transpose(1, 2, 0)).convert(mode)
        found, expected = BYTES[name](TF, image), BYTES[name](theirs, image)
        assert found.mode == expected.mode
        steps = np.abs(np.asarray(found).astype(int) - np.asarray(expected))
        assert steps.max() <= name.startswith("blur") and (steps > 0).mean() < 0.004


@pytest.mark.parametrize("name", EXACT)
def test_every_mode_that_torchvision_takes(name: str) -> None:
    for mode in ("RGBA", "LA", "CMYK", "YCbCr", "HSV", "P", "1", "I", "F"):
        image = Image.fromarray(bytes_(3, 9, 8).transpose(1, 2, 0)).convert("L" if mode in ("LA", "I", "F") else "RGB")
        image = image.convert("RGB").convert(mode) if mode == "HSV" else image.convert(mode)
        try:
            expected = EXACT[name](theirs, image)
        except Exception:
            continue
        found = EXACT[name](TF, image)
        assert found.mode == expected.mode
        close = 1 if name.startswith("blur") else 0
        np.testing.assert_allclose(np.asarray(found, float), np.asarray(expected, float), rtol=0, atol=close)


@pytest.mark.parametrize("name", BYTES)
def test_second_version(name: str) -> None:
    """Its functions differ from the first version's by their rounding."""
    x = bytes_(2, 3, 16, 19)
    found, expected = BYTES[name](TF, minicnn.tensor(x)), BYTES[name](theirs2, torch.from_numpy(x))
    assert np.abs(found.numpy().astype(int) - expected.numpy().astype(int)).max() <= 1
    if name in FLOATS:
        y = (x / 255).astype(np.float32)
        compare(FLOATS[name](TF, minicnn.tensor(y)), FLOATS[name](theirs2, torch.from_numpy(y)), name)


def test_posterize_and_equalize_floats_as_the_second_version_does() -> None:
    x = (bytes_(2, 3, 16, 19) / 255).astype(np.float32)
    for call in (lambda f, x: f.posterize(x, 3), lambda f, x: f.posterize(x, 8), lambda f, x: f.equalize(x)):
        compare(call(TF, minicnn.tensor(x)), call(theirs2, torch.from_numpy(x)), "")


@pytest.mark.parametrize("name", BYTES)
def test_other_strides(name: str) -> None:
    x = bytes_(4, 20, 22, 6)[:, ::-1, 1::2, ::2].transpose(0, 3, 1, 2)  # channels last, reversed rows
    expected = BYTES[name](TF, minicnn.tensor(np.ascontiguousarray(x)))
    np.testing.assert_array_equal(BYTES[name](TF, minicnn.Tensor(x)), expected)


def test_permuted_channels() -> None:
    x = bytes_(2, 3, 5, 6)
    compare(
        TF.permute_channels(minicnn.tensor(x), [2, 0, 1]), theirs2.permute_channels(torch.from_numpy(x), [2, 0, 1]), ""
    )
    image = Image.fromarray(bytes_(3, 9, 8).transpose(1, 2, 0))
    np.testing.assert_array_equal(TF.permute_channels(image, [1, 2, 0]), theirs2.permute_channels(image, [1, 2, 0]))
