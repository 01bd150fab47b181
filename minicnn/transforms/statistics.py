"""Transforms by the statistics of a training set, and the functions that compute these.

    mean_image      the mean of each pixel             SubtractMeanImage       (AlexNet's preparation)
    color_pca       the axes of the colours            PCAColorJitter          (AlexNet's augmentation)
    whitening       all pixels' covariance             LinearTransformation    (uncorrelated pixels)

Only a training set may be given to them: statistics of test images would let the net know about these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.geometry import KindError, fits, real, shown

from ..tensor import Tensor
from ..utils.data.randomness import sample_generator, sample_generators
from .base import AnyImage, Transform, is_pil, kind_error, like, pixels, sample
from .functional.colour import highest, working
from .functional.convert import chw

__all__ = [
    "IMAGENET_COLOR_PCA", "ColorPCA", "LinearTransformation", "PCAColorJitter", "SubtractMeanImage", "color_pca",
    "mean_image", "whitening",
]  # fmt: skip


class ColorPCA(NamedTuple):
    """The principal components of the colours of images with values in [0, 1].

    Attributes:
        eigenvalues: (C,), the variances along the axes, largest first.
        eigenvectors: (C, C), one axis in each column.
    """

    eigenvalues: np.ndarray
    eigenvectors: np.ndarray


# The numbers for ImageNet that programs have used since cuda-convnet; fb.resnet.torch prints them for values in [0, 1].
IMAGENET_COLOR_PCA = ColorPCA(
    np.array([0.2175, 0.0188, 0.0045]),
    np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]),
)


def _unit(image: Any) -> np.ndarray:
    """An image, or the first entry of a sample (image, target), as float64 (C, H, W) in [0, 1]."""
    if isinstance(image, tuple | list) and image:
        image = image[0]
    array = image.detach().cpu().numpy() if isinstance(image, Tensor) else chw("statistics", image)
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"statistics: an image should be (C, H, W), its shape is {array.shape}")
    return array.astype(np.float64) / highest(array.dtype)


def _images(name: str, images: Any) -> Iterator[np.ndarray]:
    """The images of a data set or batch, one by one, in [0, 1]."""
    if isinstance(images, str | bytes) or not (hasattr(images, "__getitem__") or hasattr(images, "__iter__")):
        raise TypeError(
            f"{name}: takes a data set, a Tensor (N, C, H, W) or images (N, H, W[, C]), got {shown(images)}"
        )
    found = False
    each = (images[n] for n in range(len(images))) if hasattr(images, "__len__") else iter(images)
    for image in each:
        found = True
        yield _unit(image)
    if not found:
        raise ValueError(f"{name}: there are no images")


def mean_image(images: Any) -> Tensor:
    """The mean of each pixel over all images, float32 (C, H, W), with values in [0, 1].

    Args:
        images: a data set whose samples are images or (image, target, ...); a Tensor (N, C, H, W); or PIL's pixels
            (N, H, W[, C]). Integers are scaled to [0, 1].

    Raises:
        ValueError: no images, or images of several sizes.

    >>> minicnn.transforms.mean_image(minicnn.tensor([[[[0.0, 0.5]]], [[[1.0, 0.5]]]]))
    tensor([[[0.5000, 0.5000]]])
    """
    total, count = np.zeros(0), 0
    for image in _images("mean_image", images):
        total = np.zeros(image.shape) if not count else total
        if image.shape != total.shape:
            raise ValueError(
                f"mean_image: the images have several shapes, {total.shape} and {image.shape}; resize them"
            )
        total += image
        count += 1
    return Tensor((total / count).astype(np.float32))


def color_pca(images: Any) -> ColorPCA:
    """The principal components of the colours of all pixels.

        cov = E[(x - E x)(x - E x)^T] = P diag(lambda) P^T        x: the C values of a pixel, in [0, 1]

    Args:
        images: as in `mean_image`; they may have several sizes.

    >>> grey = minicnn.tensor([0.0, 1.0]).reshape(1, 1, 1, 2).repeat(1, 3, 1, 1)
    >>> values, vectors = minicnn.transforms.color_pca(grey)
    >>> values.round(4), abs(vectors[:, 0]).round(4)
    (array([0.75, 0.  , 0.  ]), array([0.5774, 0.5774, 0.5774]))
    """
    count, total, products = 0, np.zeros(0), np.zeros(0)
    for image in _images("color_pca", images):
        colours = image.reshape(len(image), -1)  # (C, H W)
        if not count:
            total, products = np.zeros(len(image)), np.zeros((len(image), len(image)))
        if len(image) != len(total):
            raise ValueError(f"color_pca: some images have {len(total)} channels, others {len(image)}")
        count += colours.shape[1]
        total += colours.sum(axis=1)
        products += colours @ colours.T
    mean = total / count
    values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    return ColorPCA(np.maximum(values[::-1], 0), vectors[:, ::-1])


def whitening(images: Any, epsilon: float = 0.01) -> tuple[Tensor, Tensor]:
    """ZCA whitening: the (matrix, mean) with which `LinearTransformation` gives uncorrelated pixels of variance near 1.

        cov = P diag(lambda) P^T        M = P diag(1 / sqrt(lambda + epsilon)) P^T

    Args:
        images: as in `mean_image`, of one size. D = C H W numbers need a matrix of D^2.
        epsilon: what keeps directions of little variance from becoming noise.

    Returns:
        (D, D) and (D,), float32.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009, appendix A.

    >>> matrix, mean = minicnn.transforms.whitening(minicnn.rand(50, 1, 2, 2), epsilon=1e-4)
    >>> matrix.shape, mean.shape
    (minicnn.Size([4, 4]), minicnn.Size([4]))
    """
    if not real(epsilon, "whitening", "epsilon") >= 0:
        raise ValueError(f"whitening: epsilon should not be negative, got {shown(epsilon)}")
    mean = mean_image(images).numpy().ravel()
    fits("whitening", (mean.size, mean.size), 8, "covariance matrix")
    covariance, count = np.zeros((mean.size, mean.size)), 0
    for image in _images("whitening", images):
        off = image.ravel() - mean
        covariance += np.outer(off, off)
        count += 1
    values, vectors = np.linalg.eigh(covariance / count)
    scale = np.maximum(values, 0) + epsilon
    if not scale.all():
        raise ValueError("whitening: some directions have no variance; give an epsilon > 0")
    return Tensor(((vectors / np.sqrt(scale)) @ vectors.T).astype(np.float32)), Tensor(mean)


# ---------------------------------------------------------------------------------------------------- the transforms


class SubtractMeanImage(Transform):
    """y = x - mean for a floating-point Tensor (..., C, H, W), with a mean image (C, H, W) of the training set.

    Source: A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification with deep convolutional neural
    networks", NeurIPS 2012, section 2. (VGG subtracts the mean colour: `Normalize(mean, [1, 1, 1])`.)

    Raises:
        ValueError: an image of another shape than the mean image.
        TypeError: not a Tensor of a floating type; `ToTensor` comes first.

    >>> minicnn.transforms.SubtractMeanImage(minicnn.tensor([[[0.5, 0.25]]]))(minicnn.tensor([[[1.0, 0.25]]]))
    tensor([[[0.5000, 0.0000]]])
    """

    keeps_shape = True

    def __init__(self, mean: Any) -> None:
        self.mean = np.asarray(mean.detach().cpu().numpy() if isinstance(mean, Tensor) else mean)
        if self.mean.ndim != 3 or self.mean.dtype.kind != "f":
            raise ValueError(
                f"SubtractMeanImage: takes a mean image (C, H, W), as mean_image gives it, got {shown(mean)}"
            )

    def forward(self, image: Tensor) -> Tensor:
        """A Tensor (..., C, H, W)."""
        if not isinstance(image, Tensor) or image.array.dtype.kind != "f":
            raise kind_error("SubtractMeanImage", image, "a Tensor of a floating type (ToTensor comes first)")
        array = pixels("SubtractMeanImage", image)
        if array.shape[-3:] != self.mean.shape:
            raise ValueError(f"SubtractMeanImage: the image is {array.shape[-3:]}, the mean image {self.mean.shape}")
        return Tensor(array - self.mean.astype(array.dtype))

    def batch(self, images: Tensor) -> Tensor:
        """A Tensor (N, C, H, W)."""
        return self(images)

    def __repr__(self) -> str:
        return f"SubtractMeanImage(mean of shape {self.mean.shape})"


class PCAColorJitter(Transform):
    """Add the same random colour to all pixels of an image, along the axes of the colours of the training set.

        y = x + P (a * lambda)        a ~ N(0, sigma^2) for each axis, drawn once for each image

    As in the paper, floating-point values are not clipped to [0, 1]. Values of uint8, also of PIL images, are.

    Args:
        sigma: the standard deviation of a.
        pca: (eigenvalues (3,), eigenvectors (3, 3) in columns) for values in [0, 1], as `color_pca` gives them.

    Raises:
        ValueError: numbers of other shapes.
        TypeError: an image that does not have 3 channels.

    Source: A. Krizhevsky, I. Sutskever and G. Hinton, "ImageNet classification with deep convolutional neural
    networks", NeurIPS 2012, section 4.1.

    >>> jitter = minicnn.transforms.PCAColorJitter(sigma=0.1)
    >>> change = jitter(minicnn.full((3, 8, 8), 0.5)) - 0.5
    >>> minicnn.equal(change.amax((1, 2)), change.amin((1, 2)))
    True
    """

    keeps_shape = True

    def __init__(self, sigma: float = 0.1, pca: tuple[Any, Any] = IMAGENET_COLOR_PCA) -> None:
        self.sigma = real(sigma, "PCAColorJitter", "sigma")
        if not self.sigma >= 0:
            raise ValueError(f"PCAColorJitter: sigma should not be negative, got {shown(sigma)}")
        try:
            values, vectors = (np.asarray(part, np.float64) for part in pca)
        except (TypeError, ValueError):
            raise KindError(f"PCAColorJitter: pca should be (eigenvalues, eigenvectors), got {shown(pca)}") from None
        if values.shape != (3,) or vectors.shape != (3, 3):
            raise ValueError(
                f"PCAColorJitter: eigenvalues and eigenvectors should have shapes (3,) and (3, 3), got {values.shape} "
                f"and {vectors.shape}"
            )
        self.pca = ColorPCA(values, vectors)

    def _shift(self, generator: np.random.Generator) -> np.ndarray:
        shift: np.ndarray = self.pca.eigenvectors @ (self.pca.eigenvalues * generator.normal(0, self.sigma, 3))
        return shift

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image of mode "RGB" or a Tensor (..., 3, H, W), which is shifted as a whole."""
        shift = self._shift(sample_generator())
        if is_pil(sample("PCAColorJitter", image)):
            from PIL import Image

            if image.mode != "RGB":
                raise TypeError(f"PCAColorJitter: takes PIL images of mode 'RGB', got {image.mode!r}")
            return Image.fromarray(_shifted(np.asarray(image), shift))
        _check_rgb(image, image.shape[-3] if image.ndim > 2 else 1)
        return Tensor(_shifted(pixels("PCAColorJitter", image), shift[:, None, None]))

    def batch(self, images: Any) -> Any:
        """A Tensor (N, 3, H, W) or images (N, H, W, 3), each with a shift of its own."""
        array = pixels("PCAColorJitter", images)
        _check_rgb(images, array.shape[1 if isinstance(images, Tensor) else 3] if array.ndim == 4 else 1)
        shifts = np.array([self._shift(generator) for generator in sample_generators(len(array))])
        shape = (-1, 3, 1, 1) if isinstance(images, Tensor) else (-1, 1, 1, 3)
        return like(images, _shifted(array, shifts.reshape(shape)))

    def __repr__(self) -> str:
        return f"PCAColorJitter(sigma={self.sigma})"


def _check_rgb(image: Any, channels: int) -> None:
    if channels != 3:
        raise kind_error("PCAColorJitter", image, "images of 3 channels")


def _shifted(array: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """array + shift, where 1 in the shift is the largest value; integers are rounded and clipped."""
    top, work = highest(array.dtype), working(array.dtype)
    y = array.astype(work, copy=False) + (top * shift).astype(work)
    return y.astype(array.dtype) if array.dtype.kind == "f" else np.clip(np.rint(y), 0, top).astype(array.dtype)


class LinearTransformation(Transform):
    """y = (x - mean) M, where x is a Tensor (..., C, H, W) as a row of D = C H W numbers.

    Args:
        transformation_matrix: M (D, D), for example of `whitening`.
        mean_vector: (D,).

    Raises:
        ValueError: shapes that do not fit each other.
        TypeError: not a Tensor of a floating type.

    >>> half = minicnn.transforms.LinearTransformation(minicnn.eye(2) / 2, minicnn.tensor([1.0, 0.0]))
    >>> half(minicnn.tensor([[[3.0, 4.0]]]))
    tensor([[[1., 2.]]])
    """

    keeps_shape = True

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor | Sequence[float]) -> None:
        matrix, mean = (
            value if isinstance(value, Tensor) else Tensor(np.asarray(value, np.float32))
            for value in (transformation_matrix, mean_vector)
        )
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"transformation_matrix should be square. Got {tuple(matrix.shape)} rectangular matrix.")
        if mean.ndim != 1 or mean.shape[0] != matrix.shape[0]:
            raise ValueError(
                f"mean_vector should have the same length {mean.shape[0] if mean.ndim else 1} as any one of the "
                f"dimensions of the transformation_matrix {tuple(matrix.shape)}"
            )
        self.transformation_matrix, self.mean_vector = matrix, mean

    def forward(self, image: Tensor) -> Tensor:
        """A Tensor (..., C, H, W)."""
        if not isinstance(image, Tensor) or image.array.dtype.kind != "f":
            raise kind_error("LinearTransformation", image, "a Tensor of a floating type (ToTensor comes first)")
        array = pixels("LinearTransformation", image)
        size, numbers = self.mean_vector.shape[0], int(np.prod(array.shape[-3:]))
        if array.ndim < 3 or numbers != size:
            raise ValueError(
                f"LinearTransformation: the matrix is for images of {size} numbers, the tensor is {array.shape}: "
                f"C H W = {numbers}"
            )
        flat = array.reshape(-1, size) - self.mean_vector.numpy().astype(array.dtype)  # (N, C H W)
        return Tensor((flat @ self.transformation_matrix.numpy().astype(array.dtype)).reshape(array.shape))

    def batch(self, images: Tensor) -> Tensor:
        """A Tensor (N, C, H, W): one product for each image, so that it has the same rounding as alone."""
        return Tensor(np.stack([self(images[n]).array for n in range(len(images))])) if len(images) else images

    def __repr__(self) -> str:
        matrix, mean = self.transformation_matrix.tolist(), self.mean_vector.tolist()
        return f"LinearTransformation(transformation_matrix={matrix}, mean_vector={mean})"
