"""Random colours: what is drawn, and batches that equal their images one by one."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import transforms as T
from minicnn.tensor import Tensor
from minicnn.transforms import functional as TF
from minicnn.utils.data.randomness import SampleKeys, each_sample, keyed_samples


def bytes_(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def as_array(image: Any) -> np.ndarray:
    return image.numpy() if isinstance(image, Tensor) else np.asarray(image)


RANDOM: dict[str, Any] = {
    "ColorJitter": lambda: T.ColorJitter(0.5, (0.2, 2.0), 0.7, 0.3),
    "ColorJitter, hue": lambda: T.ColorJitter(hue=0.5),
    "RandomGrayscale": lambda: T.RandomGrayscale(0.5),
    "GaussianBlur": lambda: T.GaussianBlur((3, 5)),
    "RandomInvert": lambda: T.RandomInvert(),
    "RandomPosterize": lambda: T.RandomPosterize(2),
    "RandomSolarize": lambda: T.RandomSolarize(0.6),  # of floats; bytes are all above it, but 0
    "RandomAdjustSharpness": lambda: T.RandomAdjustSharpness(3),
    "RandomAutocontrast": lambda: T.RandomAutocontrast(),
    "RandomEqualize": lambda: T.RandomEqualize(),
    "RandomApply": lambda: T.RandomApply([T.ColorJitter(0.5), T.RandomInvert()]),
    "RandomChoice": lambda: T.RandomChoice([T.ColorJitter(0.5), T.RandomInvert(1), T.RandomGrayscale(1)], [1, 2, 1]),
    "RandomOrder": lambda: T.RandomOrder([T.ColorJitter(0.5), T.RandomInvert()]),
}
BATCHES: dict[str, Any] = {
    "float": lambda: minicnn.tensor((bytes_(12, 3, 17, 20) / 255).astype(np.float32)),
    "grey": lambda: minicnn.tensor((bytes_(12, 1, 17, 20) / 255).astype(np.float64)),
    "bytes": lambda: minicnn.tensor(bytes_(12, 3, 17, 20)),
    "PIL": lambda: bytes_(12, 17, 20, 3),
    "grey PIL": lambda: bytes_(12, 17, 20),
}


def one(images: Any, n: int) -> Any:
    return images[n] if isinstance(images, Tensor) else Image.fromarray(images[n])


@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("name", RANDOM)
def test_a_batch_is_its_images_one_by_one(name: str, kind: str) -> None:
    transform, images = RANDOM[name](), BATCHES[kind]()
    before = as_array(images).copy()
    assert transform.batchable
    keys = SampleKeys(3, 1, range(100, 112))
    with keyed_samples(keys):
        batch = transform.batch(images)
    with keyed_samples(keys):
        singles = [as_array(transform(one(images, n))) for n in each_sample(range(12))]
    np.testing.assert_array_equal(as_array(batch), np.stack(singles))
    assert as_array(batch).dtype == before.dtype and isinstance(batch, type(images))
    minicnn.manual_seed(2)
    batch = transform.batch(images)
    minicnn.manual_seed(2)
    np.testing.assert_array_equal(as_array(batch), np.stack([as_array(transform(one(images, n))) for n in range(12)]))
    np.testing.assert_array_equal(as_array(images), before)  # not changed in place
    if "grey" not in kind or name not in ("RandomGrayscale", "ColorJitter, hue"):
        assert not np.array_equal(as_array(batch), before)
    assert len(transform.batch(images[:0])) == 0


@pytest.mark.parametrize("name", RANDOM)
def test_random_transforms_are_sent_to_workers(name: str) -> None:
    transform = RANDOM[name]()
    again = pickle.loads(pickle.dumps(transform))
    assert repr(again) == repr(transform)


def test_jitter_stays_within_its_limits_and_in_every_order() -> None:
    jitter = T.ColorJitter(0.4, (0.5, 3.0), 2.0, (-0.1, 0.3))
    assert (
        repr(jitter)
        == "ColorJitter(brightness=(0.6, 1.4), contrast=(0.5, 3.0), saturation=(0.0, 3.0), hue=(-0.1, 0.3))"
    )
    minicnn.manual_seed(1)
    drawn = [
        T.ColorJitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) for _ in range(999)
    ]
    assert len({tuple(params[0].tolist()) for params in drawn}) == 24
    factors = np.array([params[1:] for params in drawn])
    for column, (low, high) in zip(factors.T, [(0.6, 1.4), (0.5, 3), (0, 3), (-0.1, 0.3)], strict=True):
        assert low <= column.min() < low + (high - low) / 50 and high - (high - low) / 50 < column.max() <= high
    order, *none = T.ColorJitter.get_params(None, None, None, None)
    assert sorted(order.tolist()) == [0, 1, 2, 3] and none == [None] * 4


def test_no_jitter_changes_nothing() -> None:
    x = minicnn.tensor(bytes_(4, 3, 5, 6))
    for jitter in (T.ColorJitter(), T.ColorJitter(0, (1, 1), 0.0, (0, 0))):
        assert repr(jitter) == "ColorJitter(brightness=None, contrast=None, saturation=None, hue=None)"
        np.testing.assert_array_equal(jitter(x[0]), x[0])
        np.testing.assert_array_equal(jitter.batch(x), x)


def test_blur_draws_sigma_within_its_limits() -> None:
    sigmas = [T.GaussianBlur.get_params(0.5, 0.7) for _ in range(200)]
    assert 0.5 <= min(sigmas) < 0.51 and 0.69 < max(sigmas) <= 0.7
    assert T.GaussianBlur(5, 1.5).sigma == (1.5, 1.5) and T.GaussianBlur([3, 5]).kernel_size == (3, 5)


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_probabilities(p: float) -> None:
    minicnn.manual_seed(0)
    x = minicnn.zeros(2000, 1, 1, 1)
    for transform in (T.RandomInvert(p), T.RandomApply([T.RandomInvert(1)], p)):
        assert abs(transform.batch(x).mean().item() - p) < 0.03
        assert p not in (0, 1) or transform.batch(x).mean().item() == p


def test_choices_have_their_probabilities() -> None:
    minicnn.manual_seed(0)
    choice = T.RandomChoice([lambda _: 0, lambda _: 1, lambda _: 2], p=[3, 0, 1])
    counts = np.bincount([choice(None) for _ in range(2000)], minlength=3)
    assert counts[1] == 0 and abs(counts[0] - 1500) < 80
    orders = {T.RandomOrder([lambda s: s + "a", lambda s: s + "b", lambda s: s + "c"])("") for _ in range(200)}
    assert len(orders) == 6


def test_several_inputs_go_through_choices() -> None:
    x, t = minicnn.rand(4, 3, 6, 6), minicnn.arange(4)
    mixed = T.RandomChoice([T.MixUp(num_classes=4), T.CutMix(num_classes=4)])(x, t)
    assert mixed[1].shape == (4, 4)
    both = T.RandomOrder([T.MixUp(num_classes=4), T.CutMix(num_classes=4)])(x, t)
    assert both[1].shape == (4, 4)
    assert T.RandomApply([T.MixUp(num_classes=4)], p=0.0)(x, t) == (x, t)


def test_representations() -> None:
    assert repr(T.RandomApply([T.ToTensor()])) == "RandomApply(\n    p=0.5\n    ToTensor()\n)"
    assert repr(T.RandomChoice([T.ToTensor()])) == "RandomChoice(\n    ToTensor()\n)(p=None)"
    assert repr(T.RandomOrder([T.ToTensor(), T.PILToTensor()])) == "RandomOrder(\n    ToTensor()\n    PILToTensor()\n)"
    assert repr(T.RandomPosterize(bits=4)) == "RandomPosterize(bits=4,p=0.5)"
    assert repr(T.RandomSolarize(128)) == "RandomSolarize(threshold=128,p=0.5)"
    assert repr(T.RandomAdjustSharpness(2)) == "RandomAdjustSharpness(sharpness_factor=2,p=0.5)"
    assert repr(T.GaussianBlur(3, 1.5)) == "GaussianBlur(kernel_size=(3, 3), sigma=(1.5, 1.5))"


# ----------------------------------------------------------------------------------------------- the functions alone


def test_a_factor_for_each_image() -> None:
    x = minicnn.tensor((bytes_(4, 3, 9, 8) / 255).astype(np.float32))
    for function, factors in (
        (TF.adjust_brightness, [0.2, 1.0, 0.0, 3.0]),
        (TF.adjust_contrast, [0.2, 1.0, 0.0, 3.0]),
        (TF.adjust_saturation, np.array([0.2, 1.0, 0.0, 3.0])),
        (TF.adjust_sharpness, [0.2, 1.0, 0.0, 3.0]),
        (TF.adjust_hue, [0.2, 0.0, -0.5, 0.5]),
        (TF.adjust_gamma, [0.2, 1.0, 0.0, 3.0]),
        (TF.solarize, [0.2, 1.0, 0.0, 0.5]),
    ):
        singles = [function(x[n], float(factor)).numpy() for n, factor in enumerate(factors)]
        np.testing.assert_array_equal(function(x, factors), np.stack(singles))
    with pytest.raises(ValueError, match=r"one for each image of a batch"):
        TF.adjust_brightness(x, [0.1, 0.2])
    with pytest.raises(ValueError, match=r"one for each image of a batch"):
        TF.adjust_brightness(x[0], [0.1, 0.2, 0.3])


def test_hues_of_the_colour_wheel() -> None:
    wheel = [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1)]
    x = minicnn.tensor(np.float32(wheel).T.reshape(3, 1, 6))
    for steps in (-3, -2, -1, 0, 1, 2, 3):
        turned = TF.adjust_hue(x, steps / 6).numpy()[:, 0].T
        np.testing.assert_allclose(turned, np.float32(wheel)[(np.arange(6) + steps) % 6], rtol=0, atol=1e-6)
    grey = minicnn.full((3, 2, 2), 0.3)
    np.testing.assert_array_equal(TF.adjust_hue(grey, 0.4), grey)


def test_equalized_levels_are_spread_evenly() -> None:
    ramp = np.repeat(np.arange(100, 164, dtype=np.uint8), 64).reshape(1, 64, 64)
    found = TF.equalize(minicnn.tensor(ramp)).numpy()
    assert found.min() == 0 and found.max() == 255
    one_level = np.full((1, 20, 20), 9, np.uint8)
    np.testing.assert_array_equal(TF.equalize(minicnn.tensor(one_level)), one_level)


def test_blur_keeps_the_mean_of_constant_images_and_spreads_a_spot() -> None:
    flat = minicnn.full((3, 7, 9), 0.25)
    np.testing.assert_allclose(TF.gaussian_blur(flat, 5, 2.0), flat, rtol=0, atol=1e-6)
    spot = np.zeros((1, 9, 9), np.float64)
    spot[0, 4, 4] = 1
    y = TF.gaussian_blur(minicnn.tensor(spot), (5, 7), (0.8, 1.7)).numpy()[0]
    gy, gx = (np.exp(-0.5 * (np.arange(-r, r + 1) / s) ** 2) for r, s in ((3, 1.7), (2, 0.8)))
    np.testing.assert_allclose(y[1:8, 2:7], np.outer(gy / gy.sum(), gx / gx.sum()), rtol=1e-12)
    assert y[0].max() == y[:, 1].max() == 0


def test_noise() -> None:
    minicnn.manual_seed(0)
    y = TF.gaussian_noise(minicnn.full((1, 200, 200), 0.5), 0.1, 0.05).numpy()
    assert abs(y.mean() - 0.6) < 1e-3 and abs(y.std() - 0.05) < 1e-3
    y = TF.gaussian_noise(minicnn.full((1, 200, 200), 100, dtype=minicnn.uint8), 0.1, 0.05).numpy()
    assert y.dtype == np.uint8 and abs(y.mean() - 125) < 1 and abs(y.std() - 12.75) < 0.5
    assert TF.gaussian_noise(minicnn.zeros(1, 50, 50), sigma=1.0).min().item() == 0
    assert TF.gaussian_noise(minicnn.zeros(1, 50, 50), sigma=1.0, clip=False).min().item() < -2


RGB, CMYK = minicnn.rand(3, 5, 6), minicnn.rand(4, 5, 6)


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (ValueError, lambda: TF.adjust_brightness(RGB, -0.1), "adjust_brightness: brightness_factor should not be neg"),
        (ValueError, lambda: TF.adjust_contrast(RGB, float("nan")), "adjust_contrast: contrast_factor should not"),
        (ValueError, lambda: TF.adjust_hue(RGB, 0.6), "adjust_hue: hue_factor should be in [-0.5, 0.5], got 0.6"),
        (ValueError, lambda: TF.adjust_gamma(RGB, -1), "adjust_gamma: gamma should not be negative"),
        (TypeError, lambda: TF.adjust_hue(CMYK, 0.1), "adjust_hue: takes images of 1 or 3 channels, got 4"),
        (TypeError, lambda: TF.adjust_saturation(CMYK, 1.1), "adjust_saturation: takes images of 1 or 3 channels"),
        (TypeError, lambda: TF.rgb_to_grayscale(RGB[0]), "rgb_to_grayscale: the tensor should be (..., C, H, W)"),
        (TypeError, lambda: TF.to_grayscale(RGB), "use rgb_to_grayscale"),
        (TypeError, lambda: TF.adjust_brightness(np.zeros((3, 5, 6)), 1), "a PIL image or a Tensor"),
        (TypeError, lambda: TF.invert(RGB > 0.5), "bool has no range of colours"),
        (TypeError, lambda: TF.solarize(RGB, 128), "should be at most 1 for the type float32, got 128"),
        (ValueError, lambda: TF.posterize(RGB, 9), "posterize: bits should be a whole number from 0 to 8"),
        (TypeError, lambda: TF.equalize(RGB.long()), "equalize: takes tensors of type uint8"),
        (TypeError, lambda: TF.posterize(RGB.long(), 3), "posterize: takes tensors of type uint8"),
        (ValueError, lambda: TF.gaussian_blur(RGB, 4), "odd positive whole numbers (width, height), got 4"),
        (ValueError, lambda: TF.gaussian_blur(RGB, 3, 0), "sigma should be one or two numbers > 0, got 0"),
        (ValueError, lambda: TF.gaussian_blur(RGB, (13, 3)), "at most 9 x 11"),
        (ValueError, lambda: TF.gaussian_noise(RGB, 0, -1), "sigma should not be negative"),
        (TypeError, lambda: TF.gaussian_noise(Image.new("L", (2, 2))), "use ToTensor"),
        (ValueError, lambda: TF.permute_channels(RGB, [0, 1, 1]), "is not an order of the 3 channels"),
        (TypeError, lambda: TF.equalize(Image.new("RGBA", (4, 4))), "image.convert('RGB')"),
        (ValueError, lambda: T.ColorJitter(-1), "ColorJitter: brightness should not be negative, got -1"),
        (ValueError, lambda: T.ColorJitter(hue=0.6), "ColorJitter: hue should be between -0.5 and 0.5"),
        (ValueError, lambda: T.ColorJitter(contrast=(2, 1)), "ColorJitter: contrast should be between"),
        (TypeError, lambda: T.ColorJitter(saturation="much"), "ColorJitter: saturation should be a number or a pair"),
        (TypeError, lambda: T.ColorJitter(0, 0, (1, 2, 3)), "ColorJitter: saturation should be a number or a pair"),
        (ValueError, lambda: T.GaussianBlur(3, (2, 1)), "GaussianBlur: sigma should be (least, most)"),
        (ValueError, lambda: T.GaussianBlur(0), "GaussianBlur: kernel_size should be"),
        (ValueError, lambda: T.RandomInvert(2), "RandomInvert: p should be a probability"),
        (ValueError, lambda: T.RandomAdjustSharpness(-1), "RandomAdjustSharpness: sharpness_factor should not be"),
        (TypeError, lambda: T.RandomApply(T.ToTensor()), "RandomApply: takes a sequence of transforms"),
        (TypeError, lambda: T.RandomOrder([1]), "RandomOrder: takes a sequence of transforms"),
        (ValueError, lambda: T.RandomChoice([abs], p=[1, 2]), "1 transforms need as many probabilities"),
        (ValueError, lambda: T.RandomChoice([abs, abs], p=[0, 0]), "not all 0"),
        (TypeError, lambda: T.ColorJitter(0.1)(np.zeros((4, 4, 3), np.uint8)), "takes a PIL image or a Tensor"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(kind: type[Exception], call: Any, message: str) -> None:
    with pytest.raises(kind) as raised:
        call()
    assert message in str(raised.value)
