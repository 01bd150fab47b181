"""Gaussian blur, sharpness and noise: pixels become means of their neighbours, or move away from these."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from minicnn_kernels.geometry import KindError, real, shown

from ...tensor import Tensor
from ...utils.data.randomness import sample_generator
from ..base import AnyImage, is_pil, pixels, sample, whole_numbers
from .colour import Factor, blend, by_pil, factors, highest, working
from .convert import pil_to_tensor, to_pil_image

__all__ = ["adjust_sharpness", "blur_sizes", "blur_widths", "gaussian_blur", "gaussian_noise"]


def blur_sizes(name: str, kernel_size: Any) -> tuple[int, int]:
    """The kernel's size (width, height); a number stands for a square.

    Raises:
        ValueError: not one or two odd positive numbers.
    """
    text = "kernel_size should be one or two odd positive whole numbers (width, height)"
    sizes = whole_numbers(name, text, kernel_size, (1, 2), 1)
    if not all(size % 2 for size in sizes):
        raise ValueError(f"{name}: {text}, got {shown(kernel_size)}")
    return sizes[0], sizes[-1]


def blur_widths(name: str, sigma: Any) -> tuple[float, float]:
    """Standard deviations as two positive numbers; one number stands for two equal ones.

    Raises:
        ValueError: anything else.
    """
    several = sigma if isinstance(sigma, tuple | list | np.ndarray) and np.ndim(sigma) else [sigma]
    try:
        found = [float(real(one, name, "sigma")) for one in several]
    except KindError:
        found = []
    if len(found) not in (1, 2) or not all(0 < one < np.inf for one in found):
        raise ValueError(f"{name}: sigma should be one or two numbers > 0, got {shown(sigma)}")
    return found[0], found[-1]


@lru_cache(maxsize=256)
def _gaussian(size: int, sigma: float) -> np.ndarray:
    """exp(-t^2 / (2 sigma^2)) at t = -(size - 1)/2 ... (size - 1)/2, scaled to the sum 1."""
    t = np.arange(size) - (size - 1) / 2
    weights = np.exp(-0.5 * (t / sigma) ** 2)
    return weights / weights.sum()


def gaussian_blur(img: AnyImage, kernel_size: int | Sequence[int], sigma: Any = None) -> AnyImage:
    """Each pixel becomes the mean of its neighbours, weighted by a Gaussian of their distance.

        y[i, j] = sum_(u, v) g_y[u] g_x[v] x[i + u, j + v]        g[u] ~ exp(-u^2 / (2 sigma^2)), sum_u g[u] = 1

    The image is mirrored at its edges (c b | a b c). Integers are rounded. PIL images are blurred as tensors of uint8.

    Args:
        img: a PIL image or a Tensor (..., C, H, W).
        kernel_size: (width, height), odd, at most 2 W - 1 and 2 H - 1; or a number for both.
        sigma: (sigma_x, sigma_y) in pixels, or a number for both. None: 0.15 kernel_size + 0.35.

    Raises:
        ValueError: sizes or deviations that are not as above.

    >>> spot = minicnn.tensor([[[0.0, 0.0, 4.0, 0.0, 0.0]]])
    >>> minicnn.transforms.functional.gaussian_blur(spot, (3, 1), 0.85)
    tensor([[[0.0000, 1.0006, 1.9989, 1.0006, 0.0000]]])
    """
    name = "gaussian_blur"
    width, height = blur_sizes(name, kernel_size)
    sigmas = (0.15 * width + 0.35, 0.15 * height + 0.35) if sigma is None else blur_widths(name, sigma)
    if is_pil(sample(name, img)):
        blurred = gaussian_blur(by_pil(name, img, pil_to_tensor), (width, height), sigmas)
        return by_pil(name, img, lambda image: to_pil_image(blurred, image.mode))
    x = pixels(name, img)
    if height > 2 * x.shape[-2] - 1 or width > 2 * x.shape[-1] - 1:
        raise ValueError(
            f"{name}: a kernel of {height} x {width} is too large for an image of {x.shape[-2]} x {x.shape[-1]}, which "
            f"can be mirrored once: at most {2 * x.shape[-2] - 1} x {2 * x.shape[-1] - 1}"
        )
    return Tensor(_averaged(x, _gaussian(height, sigmas[1]), _gaussian(width, sigmas[0])))


def _averaged(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Means weighted by `rows` along the columns and by `columns` along the rows, mirrored at the edges."""
    from scipy.ndimage import correlate1d

    highest(x.dtype)
    y = x.astype(
        np.float64 if x.dtype.kind in "iu" else working(x.dtype), copy=False
    )  # integers: exact sums before the rounding
    for axis, weights in ((-2, rows), (-1, columns)):
        if len(weights) > 1:
            y = correlate1d(y, weights, axis=axis, mode="mirror")
    return y.astype(x.dtype) if x.dtype.kind == "f" else np.rint(y).astype(x.dtype)


def adjust_sharpness(img: AnyImage, sharpness_factor: Factor) -> AnyImage:
    """y = f x + (1 - f) smooth(x): 0 is a smoothed image, 1 the image, 2 a sharper one.

        smooth(x)[i, j] = (sum of the 8 neighbours + 5 x[i, j]) / 13        pixels at the edges stay as they are

    Args:
        img: a PIL image or a Tensor (..., C, H, W).
        sharpness_factor: f, 0 or more; for a batch also one for each image.

    Raises:
        ValueError: a negative factor.

    >>> spot = minicnn.tensor([[[0.0, 0.0, 0.0], [0.0, 0.52, 0.0], [0.0, 0.0, 0.0]]])
    >>> minicnn.transforms.functional.adjust_sharpness(spot, 0.0)[0, 1]
    tensor([0.0000, 0.2000, 0.0000])
    """
    factor = factors("adjust_sharpness", "sharpness_factor", sharpness_factor, sample("adjust_sharpness", img))
    if is_pil(img):
        from PIL import ImageEnhance

        return by_pil("adjust_sharpness", img, lambda image: ImageEnhance.Sharpness(image).enhance(float(factor)))
    x = pixels("adjust_sharpness", img)
    if x.shape[-2] < 3 or x.shape[-1] < 3:
        return img
    wide = x.astype(working(x.dtype), copy=False)
    thirds = wide[..., :-2] + wide[..., 1:-1] + wide[..., 2:]  # sums of 3 in each row
    smooth = thirds[..., :-2, :] + thirds[..., 1:-1, :] + thirds[..., 2:, :]
    smooth += 4 * wide[..., 1:-1, 1:-1]
    smooth /= 13
    poorer = wide.copy()
    poorer[..., 1:-1, 1:-1] = smooth if x.dtype.kind == "f" else np.rint(smooth)
    return Tensor(blend(x, poorer, factor))


def gaussian_noise(inpt: Tensor, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> Tensor:
    """y = x + n, where n is drawn for each value from a normal distribution; in uint8 n counts in units of 255.

    Args:
        inpt: a Tensor (..., C, H, W) of a floating type or uint8.
        mean, sigma: mean and standard deviation of n.
        clip: clip to [0, 1], or to 0..255.

    Raises:
        ValueError: a negative sigma.
        TypeError: a tensor of another type, or a PIL image.

    >>> minicnn.transforms.functional.gaussian_noise(minicnn.zeros(1, 1, 2), mean=0.5, sigma=0.0)
    tensor([[[0.5000, 0.5000]]])
    """
    deviation = real(sigma, "gaussian_noise", "sigma")
    if not deviation >= 0:
        raise ValueError(f"gaussian_noise: sigma should not be negative, got {shown(sigma)}")
    if not isinstance(inpt, Tensor):
        raise TypeError(f"gaussian_noise: takes a Tensor, got {type(inpt).__name__}; use ToTensor or ToImage first")
    x = pixels("gaussian_noise", inpt)
    if x.dtype.kind != "f" and x.dtype != np.uint8:
        raise TypeError(f"gaussian_noise: takes tensors of a floating type or uint8, got {x.dtype}")
    top, work = highest(x.dtype), working(x.dtype)
    noise = sample_generator().standard_normal(x.shape, work)
    y = x.astype(work) + top * (work.type(mean) + work.type(deviation) * noise)
    if clip:
        y = np.clip(y, 0, top)
    return Tensor(y.astype(x.dtype))
