"""Transforms against torchvision's, on PIL images and tensors; whole batches against its results for single images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import transforms
from minicnn.random import default_generator

torch = pytest.importorskip("torch")
pytest.importorskip("differential.model_pairs", reason="needs PyTorch")
theirs = pytest.importorskip("torchvision.transforms")
crop_of = pytest.importorskip("torchvision.transforms.functional").crop


def images(count: int = 6) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def chw(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(2, 0, 1))


CASES: dict[str, Any] = {
    "Grayscale": lambda lib: lib.Grayscale(),
    "Grayscale to 3": lambda lib: lib.Grayscale(3),
    "RandomHorizontalFlip": lambda lib: lib.RandomHorizontalFlip(1.0),
    "RandomVerticalFlip": lambda lib: lib.RandomVerticalFlip(1.0),
    "Pad": lambda lib: lib.Pad(4),
}


@pytest.mark.parametrize("name", CASES)
def test_images_tensors_and_batches(name: str) -> None:
    ours, other, data = CASES[name](transforms), CASES[name](theirs), images()
    expected = np.stack([np.asarray(other(Image.fromarray(image))) for image in data])
    np.testing.assert_array_equal(np.stack([np.asarray(ours(Image.fromarray(image))) for image in data]), expected)
    np.testing.assert_array_equal(ours.batch(data), expected)
    for image in (chw(data[0]), chw(data[1]).astype(np.float32) / 255):
        np.testing.assert_allclose(
            ours(minicnn.tensor(image)).numpy(), other(torch.from_numpy(image)).numpy(), rtol=0, atol=1e-6
        )


def test_the_crops_of_a_batch_are_windows_of_the_padded_images() -> None:
    """The windows are those that `get_params` draws for the images one after the other."""
    data, crop = images(40), transforms.RandomCrop(32, padding=4)
    default_generator.manual_seed(5)
    batch = crop.batch(data)
    default_generator.manual_seed(5)
    seen = set()
    for image, found in zip(data, batch, strict=True):
        padded = theirs.Pad(4)(Image.fromarray(image))
        top, left, height, width = transforms.RandomCrop.get_params(padded, (32, 32))
        seen.add((top, left))
        np.testing.assert_array_equal(found, np.asarray(crop_of(padded, top, left, height, width)))
    assert len(seen) > 30 and all(0 <= top <= 8 and 0 <= left <= 8 for top, left in seen)


def test_the_chain_of_cifar() -> None:
    """ToTensor and Normalize of a whole batch give torchvision's numbers for each image."""
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    chain = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])
    other = theirs.Compose([theirs.ToTensor(), theirs.Normalize(mean, std)])
    expected = np.stack([other(Image.fromarray(image)).numpy() for image in images()])
    found = chain.batch(images()).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert found.dtype == expected.dtype == np.float32
