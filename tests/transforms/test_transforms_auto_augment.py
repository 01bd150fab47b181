"""AutoAugment, RandAugment, TrivialAugment and AugMix."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import transforms as T
from minicnn.tensor import Tensor
from minicnn.utils.data.randomness import SampleKeys, each_sample, keyed_samples

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 20, 24, 3), dtype=np.uint8)
BYTES = minicnn.tensor(np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2)))
KINDS: dict[str, Any] = {
    "PIL": PIXELS,
    "grey PIL": PIXELS[..., 0],
    "bytes": BYTES,
    "floats": BYTES / 255.0,
    "grey": BYTES[:, :1],
}

AUGMENT = {
    **{f"AutoAugment {policy.value}": (lambda policy=policy: T.AutoAugment(policy)) for policy in T.AutoAugmentPolicy},
    "RandAugment": lambda: T.RandAugment(3, 12),
    "TrivialAugmentWide": T.TrivialAugmentWide,
    "AugMix": lambda: T.AugMix(severity=8, chain_depth=2),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", AUGMENT)
def test_batches(name: str, kind: str) -> None:
    transform, images = AUGMENT[name](), KINDS[kind]
    keys = SampleKeys(7, 1, range(8))
    before = np.array(images)
    with keyed_samples(keys):
        batch = transform.batch(images)
    with keyed_samples(keys):
        singles = [
            np.asarray(transform(images[n] if isinstance(images, Tensor) else Image.fromarray(images[n])))
            for n in each_sample(range(8))
        ]
    np.testing.assert_array_equal(np.asarray(batch), np.stack(singles))
    assert transform.batchable and batch.dtype == images.dtype and batch.shape == images.shape
    np.testing.assert_array_equal(np.asarray(images), before)
    assert sum(not np.array_equal(single, image) for single, image in zip(singles, before, strict=True)) >= 4
    assert repr(pickle.loads(pickle.dumps(transform))) == repr(transform)


@pytest.mark.parametrize("name", AUGMENT)
def test_every_operation_runs_on_every_kind(name: str) -> None:
    """Many draws, on images that are small, narrow, or of one colour."""
    minicnn.manual_seed(0)
    transform = AUGMENT[name]()
    for image in (minicnn.rand(3, 5, 9), minicnn.zeros(1, 4, 4), BYTES[0, :, :3, :2], Image.new("L", (7, 5), 9)):
        for _ in range(40):
            found = np.asarray(transform(image))
            assert found.shape == np.asarray(image).shape and np.isfinite(found).all()


def test_operations_and_signs_are_drawn_evenly() -> None:
    """A shear to each side and all 14 operations of RandAugment come about equally often."""
    minicnn.manual_seed(0)
    seen: list[tuple[str, float]] = []

    class Noted(T.RandAugment):
        def _operate(self, image: Any, name: str, strength: float) -> Any:
            seen.append((name, strength))
            return image

    transform = Noted(2, 9)
    for _ in range(2000):
        transform(BYTES[0])
    names = [name for name, _ in seen]
    counts = {name: names.count(name) for name in set(names)}
    assert len(seen) == 4000 and len(counts) == 14 and max(counts.values()) < 350 and min(counts.values()) > 230
    shears = [strength for name, strength in seen if name == "ShearX"]
    assert {round(abs(strength), 6) for strength in shears} == {0.09} and 0.35 < np.mean(np.array(shears) > 0) < 0.65
    assert {strength for name, strength in seen if name == "Posterize"} == {7.0}


def test_autoaugment_draws_pairs_and_uses_their_probabilities() -> None:
    minicnn.manual_seed(0)
    drawn = [T.AutoAugment.get_params(25) for _ in range(500)]
    assert {pair for pair, _, _ in drawn} == set(range(25))
    assert all(chances.shape == (2,) and set(signs.tolist()) <= {0, 1} for _, chances, signs in drawn)
    never = T.AutoAugment()
    never.policies = ((("Invert", 0.0, None), ("Rotate", 0.0, 9)),)
    always = T.AutoAugment()
    always.policies = ((("Invert", 1.0, None), ("Invert", 1.0, None)),)
    for _ in range(20):
        np.testing.assert_array_equal(never(BYTES[0]), BYTES[0])
        np.testing.assert_array_equal(always(BYTES[0]), BYTES[0])


def test_augmix_is_a_mean_with_the_image() -> None:
    minicnn.manual_seed(0)
    flat = minicnn.full((3, 12, 12), 0.5)
    for _ in range(20):
        y = T.AugMix(severity=1, fill=0.5)(flat).numpy()
        assert y.min() > 0.2 and y.max() < 0.8  # weak operations of a grey image
    one = T.AugMix(mixture_width=1, chain_depth=1)
    assert one(Image.new("RGB", (9, 9), (10, 20, 30))).mode == "RGB"


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (ValueError, lambda: T.AutoAugment("cifar10"), "AutoAugmentPolicy.CIFAR10"),  # type: ignore[arg-type]
        (ValueError, lambda: T.RandAugment(2, 31), "magnitude 31 is not on a scale of 31 steps"),
        (ValueError, lambda: T.RandAugment(2, -1), "magnitude must be at least 0"),
        (ValueError, lambda: T.RandAugment(-1), "num_ops must be at least 0"),
        (ValueError, lambda: T.TrivialAugmentWide(1), "num_magnitude_bins must be at least 2"),
        (ValueError, lambda: T.AugMix(severity=11), "severity should be from 1 to 10"),
        (ValueError, lambda: T.AugMix(alpha=0), "alpha should be a number > 0"),
        (TypeError, lambda: T.RandAugment()(PIXELS[0]), "takes a PIL image or a Tensor"),
        (TypeError, lambda: T.AugMix()((1, 2)), "a sample with images in it"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(kind: type[Exception], call: Any, message: str) -> None:
    with pytest.raises(kind) as raised:
        call()
    assert message in str(raised.value)
