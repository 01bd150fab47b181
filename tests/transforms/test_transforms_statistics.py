"""Transforms by the statistics of a training set."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import transforms as T
from minicnn.utils.data import TensorDataset
from minicnn.utils.data.randomness import SampleKeys, each_sample, keyed_samples


def bytes_(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


def test_the_mean_image_is_the_same_of_everything_that_has_images() -> None:
    pixels = bytes_(7, 5, 6, 3)
    expected = pixels.astype(np.float64).mean(0).transpose(2, 0, 1) / 255
    tensor = minicnn.tensor(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    pictures = [(Image.fromarray(image), 3) for image in pixels]
    for images in (pixels, tensor, tensor / 255.0, pictures, iter(pictures), TensorDataset(tensor, minicnn.arange(7))):
        found = T.mean_image(images)
        assert found.dtype == np.float32 and found.shape == (3, 5, 6)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert T.mean_image(pixels[..., 0]).shape == (1, 5, 6)


def test_subtracting_the_mean_image() -> None:
    x = minicnn.rand(4, 3, 5, 6)
    subtract = T.SubtractMeanImage(T.mean_image(x))
    np.testing.assert_allclose(subtract.batch(x).mean(0), np.zeros((3, 5, 6)), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(subtract.batch(x)[2], subtract(x[2]))
    assert subtract.batchable and repr(subtract) == "SubtractMeanImage(mean of shape (3, 5, 6))"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(subtract))(x), subtract(x))


def test_the_axes_of_colours() -> None:
    pixels = bytes_(6, 9, 8, 3)
    pixels[..., 1] = pixels[..., 0] // 2
    values, vectors = T.color_pca(pixels)
    covariance = np.cov(pixels.reshape(-1, 3).T / 255, bias=True)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, covariance, rtol=0, atol=1e-12)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), rtol=0, atol=1e-12)
    assert values[0] > values[1] > values[2] >= 0
    sizes = [Image.fromarray(pixels[0]), Image.fromarray(pixels[1][:4])]  # of several sizes
    assert T.color_pca(sizes).eigenvalues.shape == (3,)


def test_jitter_along_the_axes_has_their_covariance() -> None:
    pca = T.ColorPCA(np.array([0.3, 0.1, 0.02]), np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0])
    jitter = T.PCAColorJitter(0.5, pca)
    minicnn.manual_seed(0)
    shifts = (jitter.batch(minicnn.full((4000, 3, 1, 2), 0.5)) - 0.5).numpy()
    np.testing.assert_array_equal(shifts[..., 0], shifts[..., 1])  # one colour for the whole image
    expected = pca.eigenvectors @ np.diag((0.5 * pca.eigenvalues) ** 2) @ pca.eigenvectors.T
    np.testing.assert_allclose(np.cov(shifts[:, :, 0, 0].T), expected, rtol=0, atol=0.002)
    assert shifts.min() < -0.2  # not clipped


@pytest.mark.parametrize("kind", ["float", "bytes", "PIL"])
def test_a_batch_of_jittered_images(kind: str) -> None:
    pixels, jitter = bytes_(9, 6, 7, 3), T.PCAColorJitter(0.6)
    tensor = minicnn.tensor(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    images: Any = {"float": tensor / 255.0, "bytes": tensor, "PIL": pixels}[kind]
    with keyed_samples(SampleKeys(1, 2, range(9))):
        batch = np.asarray(jitter.batch(images))
    with keyed_samples(SampleKeys(1, 2, range(9))):
        singles = [
            np.asarray(jitter(Image.fromarray(images[n]) if kind == "PIL" else images[n]))
            for n in each_sample(range(9))
        ]
    np.testing.assert_array_equal(batch, np.stack(singles))
    assert batch.dtype == (np.float32 if kind == "float" else np.uint8)
    if kind == "PIL":  # the same as of bytes, and near the floating-point result
        with keyed_samples(SampleKeys(1, 2, range(9))):
            exact = jitter.batch(tensor / 255.0).numpy().transpose(0, 2, 3, 1) * 255
        np.testing.assert_allclose(batch, np.clip(exact, 0, 255), rtol=0, atol=0.51)


def test_whitened_pixels_are_uncorrelated() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(500, 12)) @ rng.normal(size=(12, 12)) * 0.1).astype(np.float32).reshape(500, 3, 2, 2)
    matrix, mean = T.whitening(minicnn.tensor(x), epsilon=0.0)
    y = T.LinearTransformation(matrix, mean).batch(minicnn.tensor(x)).numpy().reshape(500, 12)
    np.testing.assert_allclose(np.cov(y.T, bias=True), np.eye(12), rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match=r"give an epsilon > 0"):
        T.whitening(minicnn.ones(4, 1, 2, 2), epsilon=0)


def test_linear_transformation() -> None:
    x, matrix, mean = minicnn.rand(5, 1, 2, 3), minicnn.randn(6, 6), minicnn.rand(6)
    linear = T.LinearTransformation(matrix, mean)
    expected = (x.numpy().reshape(5, 6) - mean.numpy()) @ matrix.numpy()
    np.testing.assert_allclose(linear(x), expected.reshape(x.shape), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(linear.batch(x)[3], linear(x[3]))
    small = T.LinearTransformation(minicnn.eye(2), minicnn.zeros(2))
    assert repr(small) == "LinearTransformation(transformation_matrix=[[1.0, 0.0], [0.0, 1.0]], mean_vector=[0.0, 0.0])"
    assert repr(pickle.loads(pickle.dumps(small))) == repr(small)


RGB = minicnn.rand(3, 4, 5)


@pytest.mark.parametrize(
    ("kind", "call", "message"),
    [
        (ValueError, lambda: T.mean_image([]), "there are no images"),
        (TypeError, lambda: T.mean_image("images"), "takes a data set"),
        (TypeError, lambda: T.color_pca(3), "takes a data set"),
        (ValueError, lambda: T.mean_image([RGB, RGB[:, :2]]), "(3, 4, 5) and (3, 2, 5); resize them"),
        (ValueError, lambda: T.color_pca([RGB, RGB[:1]]), "3 channels, others 1"),
        (ValueError, lambda: T.whitening([RGB], -1), "epsilon should not be negative"),
        (ValueError, lambda: T.SubtractMeanImage([0.5, 0.5, 0.5]), "takes a mean image (C, H, W)"),
        (ValueError, lambda: T.SubtractMeanImage(RGB)(RGB[:, :2]), "the image is (3, 2, 5), the mean image (3, 4, 5)"),
        (TypeError, lambda: T.SubtractMeanImage(RGB)(RGB.byte()), "ToTensor comes first"),
        (ValueError, lambda: T.PCAColorJitter(-1), "sigma should not be negative"),
        (ValueError, lambda: T.PCAColorJitter(0.1, (np.ones(2), np.eye(2))), "shapes (3,) and (3, 3)"),
        (ValueError, lambda: T.PCAColorJitter(0.1, 5), "should be (eigenvalues, eigenvectors)"),  # type: ignore[arg-type]
        (TypeError, lambda: T.PCAColorJitter()(RGB[:1]), "images of 3 channels"),
        (TypeError, lambda: T.PCAColorJitter()(Image.new("L", (3, 3))), "mode 'RGB', got 'L'"),
        (ValueError, lambda: T.LinearTransformation(minicnn.ones(2, 3), minicnn.ones(2)), "should be square"),
        (ValueError, lambda: T.LinearTransformation(minicnn.eye(2), minicnn.ones(3)), "mean_vector should have the"),
        (ValueError, lambda: T.LinearTransformation(minicnn.eye(2), minicnn.ones(2))(RGB), "C H W = 60"),
        (TypeError, lambda: T.LinearTransformation(minicnn.eye(2), minicnn.ones(2))(RGB.byte()), "floating type"),
    ],
)  # fmt: skip
def test_errors_say_what_is_wrong(kind: type[Exception], call: Any, message: str) -> None:
    with pytest.raises(kind) as raised:
        call()
    assert message in str(raised.value)
