"""Random versions of an image, as a training sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import whole

from ..random import fork_rng, manual_seed
from ..tensor import Tensor


def versions(image: Any, transform: Callable[[Any], Any], n: int = 7, *, seed: int = 0) -> list[Array]:
    """What a random transform makes of an image, n times.

    The random numbers of the program stay as they were.

    Args:
        image: what the transform takes: a PIL image, or a tensor (C, H, W).
        transform: such as a `Compose` of `minicnn.transforms`.
        n: how many versions.
        seed: of the random numbers.

    Returns:
        n arrays, (H, W) for grey or (H, W, 3).

    Raises:
        TypeError: the transform returns no image.

    >>> from minicnn.explain import versions
    >>> image = minicnn.tensor([[[0., 1., 2.]]])
    >>> found = versions(image, minicnn.transforms.RandomHorizontalFlip(p=1.0), n=2)
    >>> len(found), found[0]
    (2, array([[2., 1., 0.]], dtype=float32))
    """
    whole(n, "versions", "n", 1)
    with fork_rng():
        manual_seed(seed)
        return [picture(transform(image)) for _ in range(n)]


def picture(image: Any) -> Array:
    """A PIL image, or a tensor or array (H, W), (1, H, W) or (3, H, W), as an array (H, W) or (H, W, 3).

    Raises:
        TypeError: it is no such image.
    """
    if isinstance(image, Tensor):
        values = np.asarray(image.detach().cpu().numpy())
    elif hasattr(image, "getbands"):  # of PIL, without importing it
        values = np.asarray(image if image.mode in ("L", "RGB", "F", "I") else image.convert("RGB"))
        return values
    else:
        values = np.asarray(image)
    if values.ndim == 2:
        return values
    if values.ndim == 3 and values.shape[0] in (1, 3):
        return values[0] if values.shape[0] == 1 else np.moveaxis(values, 0, 2)
    raise TypeError(
        f"picture: expected a PIL image, or a tensor (H, W), (1, H, W) or (3, H, W), got {type(image).__name__}"
        + (f" of shape {values.shape}" if values.dtype != object else "")
    )
