"""The images of a lesson, normalised, and numbers that do not come from a slide."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn.exercises import lesson


def test_statistics_of_as_many_pixels_as_cifar10_has() -> None:
    """A mean in float32 over so many pixels is a third too small."""
    data = np.broadcast_to(np.array([[100], [200]], np.uint8), (50_000, 32, 16, 2, 1)).reshape(50_000, 32, 32, 1)
    mean, std = lesson._statistics(data)
    assert mean == [pytest.approx(150 / 255)]
    assert std == [pytest.approx(50 / 255)]


def test_statistics_are_those_of_each_channel() -> None:
    data = np.random.default_rng(0).integers(0, 256, (7, 5, 6, 3)).astype(np.uint8)
    mean, std = lesson._statistics(data)
    assert np.allclose(mean, (data / 255).mean((0, 1, 2))) and np.allclose(std, (data / 255).std((0, 1, 2)))
    grey = lesson._statistics(data[..., 0])
    assert np.allclose(grey, ([mean[0]], [std[0]]))


def test_normalised_images_have_mean_0_and_deviation_1() -> None:
    """The bundled digits at their own size, grey as they are, and as three channels in place of CIFAR-10."""
    for found in (
        lesson.images("digits", normalize=True),
        lesson.images("cifar10", root="nowhere", side=8, normalize=True),
    ):
        pixels = np.stack([found.train[i][0].numpy() for i in range(len(found.train))])
        assert np.allclose(pixels.mean((0, 2, 3)), 0, atol=1e-4) and np.allclose(pixels.std((0, 2, 3)), 1, atol=1e-4)
