"""Kernels that people designed before nets learned them, and their responses to an image.

edge       [-1 0 1] in each row: a difference from left to right; it is 0 on any constant image
gaussian   exp(-(a^2 + b^2) / (2 s^2)), divided by its sum: blurs, and keeps the mean
sharpen    the image and its difference from the neighbours: 5 in the middle, -1 around
laplacian  the sum of both second derivatives: 0 on any slope
corner     + + in one diagonal, - - in the other: the mixed second derivative
gabor      a wave under a Gaussian: an edge or stripe of one direction and width, as cells of the visual cortex see it
"""

from __future__ import annotations

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import ShapeError

from ..autograd.modes import no_grad
from ..nn import functional as F
from ..ops.tensor.creation import tensor


def edge(direction: str = "vertical", size: int = 3) -> Array:
    """[-1 .. 1] in each row: bright where the image gets brighter to the right; "horizontal": downwards.

    Raises:
        ValueError: there is no such direction, or the size is even.
    """
    if direction not in ("vertical", "horizontal"):
        raise ValueError(f"edge: direction must be vertical or horizontal, got {direction!r}")
    rows = np.tile(np.sign(np.arange(size) - _half("edge", size)), (size, 1)).astype(float)
    return rows if direction == "vertical" else rows.T


def gaussian(sigma: float = 1.0, size: int | None = None) -> Array:
    """A Gaussian of standard deviation sigma, in pixels; by default three of them to each side."""
    size = 2 * int(np.ceil(3 * sigma)) + 1 if size is None else size
    half = _half("gaussian", size)
    if not sigma > 0:
        raise ValueError(f"gaussian: sigma must be above 0, got {sigma}")
    a = np.arange(-half, half + 1)
    one = np.exp(-(a**2) / (2 * sigma**2))
    both = np.outer(one, one)
    return np.asarray(both / both.sum())


def gabor(angle: float = 0.0, wavelength: float = 6.0, sigma: float = 2.5, phase: float = 0.0, size: int = 15) -> Array:
    """cos(2 pi u / wavelength + phase) under a Gaussian; u goes across the stripes. Its sum is made 0.

    Args:
        angle: of u, in degrees: 0 is to the right, so that the stripes are vertical; 90 is down.
        wavelength: of the stripes, in pixels.
        sigma: of the Gaussian.
        phase: in degrees; 0 has a stripe in the middle, 90 an edge.
        size: odd.
    """
    half = _half("gabor", size)
    if not (sigma > 0 and wavelength > 0):
        raise ValueError(f"gabor: sigma and wavelength must be above 0, got {sigma} and {wavelength}")
    b, a = np.mgrid[-half : half + 1, -half : half + 1]
    u = a * np.cos(np.deg2rad(angle)) + b * np.sin(np.deg2rad(angle))
    envelope = np.exp(-(a**2 + b**2) / (2 * sigma**2))
    wave = np.cos(2 * np.pi * u / wavelength + np.deg2rad(phase))
    wave = wave - (wave * envelope).sum() / envelope.sum()  # no response to a constant image
    kernel = wave * envelope
    return np.asarray(kernel / np.abs(kernel).sum())


def gabor_bank(angles: int = 4, phases: tuple[float, ...] = (0.0,), wavelength: float = 6.0) -> dict[str, Array]:
    """Gabor kernels of evenly spaced directions, by their names."""
    return {
        f"Gabor {angle:g}\N{DEGREE SIGN}" + (f", phase {phase:g}\N{DEGREE SIGN}" if len(phases) > 1 else ""): gabor(
            angle, wavelength, phase=phase
        )
        for phase in phases
        for angle in np.arange(angles) * 180 / angles
    }


SHARPEN = np.array([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]])
LAPLACIAN = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
CORNER = np.array([[1.0, 0, -1], [0, 0, 0], [-1, 0, 1]])


def known_kernels() -> dict[str, Array]:
    """The kernels of this file, by their names.

    >>> from minicnn.explain import known_kernels
    >>> list(known_kernels())[:3]
    ['vertical edges', 'horizontal edges', 'Laplacian']
    """
    return {
        "vertical edges": edge(),
        "horizontal edges": edge("horizontal"),
        "Laplacian": LAPLACIAN,
        "corners": CORNER,
        "sharpen": SHARPEN,
        "Gaussian, sigma 2": gaussian(2),
        **gabor_bank(4),
    }


def respond(image: Array, kernel: Array) -> Array:
    """The response of a kernel to an image: cross-correlation, each channel by itself, with its border repeated.

    Args:
        image: (H, W) or (H, W, C), any numbers.
        kernel: (K, L), odd sides.

    Returns:
        An array of the image's shape.

    Raises:
        ShapeError: image or kernel have another shape.

    >>> from minicnn.explain import respond
    >>> respond(np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([[-1.0, 0.0, 1.0]]))
    array([[0., 1., 1., 0.]])
    """
    image, kernel = np.asarray(image, np.float64), np.asarray(kernel, np.float64)
    if image.ndim not in (2, 3) or not image.size:
        raise ShapeError(f"respond: the image must be (H, W) or (H, W, C), got shape {image.shape}")
    if kernel.ndim != 2 or kernel.shape[0] % 2 == 0 or kernel.shape[1] % 2 == 0:
        raise ShapeError(f"respond: the kernel must be (K, L) with odd sides, got shape {kernel.shape}")
    channels = np.moveaxis(np.atleast_3d(image), 2, 0)[:, None]  # (C, 1, H, W): channels as images
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    with no_grad():
        padded = F.pad(tensor(np.ascontiguousarray(channels)), [left, left, top, top], "replicate")
        found = F.conv2d(padded, tensor(kernel[None, None])).numpy()  # (C, 1, H, W)
    result = np.moveaxis(found[:, 0], 0, 2)
    return np.asarray(result[..., 0] if image.ndim == 2 else result)


def sample_image(name: str = "china", height: int = 128) -> Array:
    """A photograph that comes with scikit-learn, (H, W, 3) in 0..1, without a download.

    Args:
        name: "china" or "flower".
        height: in pixels; the width is in proportion.

    >>> from minicnn.explain import sample_image
    >>> sample_image("flower", height=64).shape
    (64, 96, 3)
    """
    from sklearn.datasets import load_sample_image

    from ..transforms.resize import Resize

    if name not in ("china", "flower"):
        raise ValueError(f"sample_image: name must be china or flower, got {name!r}")
    photo = np.moveaxis(load_sample_image(f"{name}.jpg"), 2, 0).astype(np.float32) / 255  # (3, 427, 640)
    small = Resize((height, round(height * photo.shape[2] / photo.shape[1])))(tensor(np.ascontiguousarray(photo)))
    return np.asarray(np.moveaxis(small.numpy(), 0, 2).clip(0, 1))


def _half(name: str, size: int) -> int:
    if size < 1 or size % 2 == 0:
        raise ValueError(f"{name}: size must be odd, got {size}")
    return size // 2
