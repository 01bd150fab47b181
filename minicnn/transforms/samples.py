"""Batches image by image; and samples made of several things, nested tuples, lists and dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..utils.data.randomness import each_sample
from .base import pixels

__all__ = ["each_leaf", "leaves", "one_by_one"]


def one_by_one(name: str, images: Any, change: Callable[[Any], Any]) -> Any:
    """change(image) for each image of a batch, with the random stream of its sample: what `batch` has to equal.

    Args:
        name: of the transform, for errors.
        images: a Tensor (N, C, H, W), whose images are Tensors (C, H, W); or images (N, H, W[, C]) of uint8, whose
            images are PIL images.
        change: gives images of one size.
    """
    array = pixels(name, images)
    if not len(array):
        return images
    if isinstance(images, Tensor):
        return Tensor(np.stack([change(Tensor(array[n])).array for n in each_sample(range(len(array)))]))
    from PIL import Image

    return np.stack([np.asarray(change(Image.fromarray(array[n]))) for n in each_sample(range(len(array)))])


def leaves(sample: Any) -> Iterator[Any]:
    """Everything in a sample that is not a tuple, list or dictionary, in order."""
    if isinstance(sample, tuple | list):
        for part in sample:
            yield from leaves(part)
    elif isinstance(sample, Mapping):
        for part in sample.values():
            yield from leaves(part)
    else:
        yield sample


def each_leaf(sample: Any, change: Callable[[Any], Any]) -> Any:
    """A sample of the same structure, with `change(leaf)` in the place of each leaf."""
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):  # a named tuple
        return type(sample)(*(each_leaf(part, change) for part in sample))
    if isinstance(sample, tuple | list):
        return type(sample)(each_leaf(part, change) for part in sample)
    if isinstance(sample, Mapping):
        return type(sample)((key, each_leaf(part, change)) for key, part in sample.items())  # type: ignore[call-arg]
    return change(sample)
