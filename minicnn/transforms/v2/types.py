"""From one kind of image, or one type of numbers, to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..base import Transform, is_pil, kind_error
from ..functional.convert import image_dtype, kept
from ..samples import each_leaf
from .functional import grayscale_to_rgb, to_dtype, to_image

__all__ = ["RGB", "Identity", "Lambda", "ToDtype", "ToImage", "ToPureTensor"]


class Identity(Transform):
    """Leaves everything as it is.

    >>> from minicnn.transforms import v2
    >>> v2.Identity()(minicnn.ones(1))
    tensor([1.])
    """

    whole_samples, keeps_shape = True, True

    def forward(self, *inputs: Any) -> Any:
        """The inputs."""
        return inputs if len(inputs) != 1 else inputs[0]

    def batch(self, images: Any) -> Any:
        """The images."""
        return images


class ToPureTensor(Identity):
    """Leaves everything as it is: there are no other types of tensors here.

    >>> from minicnn.transforms import v2
    >>> v2.ToPureTensor()(minicnn.ones(1))
    tensor([1.])
    """


class Lambda(Transform):
    """A function of all parts of a sample that are of the given types; of all parts, if none are given.

    >>> from minicnn.transforms import v2
    >>> v2.Lambda(lambda x: 1 - x, minicnn.Tensor)(minicnn.tensor([0.25]), "name")
    (tensor([0.7500]), 'name')
    """

    whole_samples = True

    def __init__(self, lambd: Callable[[Any], Any], *types: type) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd, self.types = lambd, types or (object,)

    def forward(self, *inputs: Any) -> Any:
        """A sample of any kind."""
        sample = inputs if len(inputs) != 1 else inputs[0]
        return each_leaf(sample, lambda part: self.lambd(part) if isinstance(part, self.types) else part)

    def __repr__(self) -> str:
        names = [kind.__name__ for kind in self.types]
        return f"Lambda({getattr(self.lambd, '__name__', self.lambd)}, types={names})"


class ToImage(Transform):
    """PIL image or array (H, W[, C]) -> Tensor (C, H, W) of the same type; nothing is scaled.

    >>> from minicnn.transforms import v2
    >>> image, label = minicnn.datasets.Digits()[0]
    >>> v2.ToImage()(image, label)[0].shape
    minicnn.Size([1, 8, 8])
    """

    def forward(self, image: Any) -> Tensor:
        """A PIL image, an array (H, W[, C]) or a Tensor."""
        return to_image(image)

    def is_image(self, part: Any) -> bool:
        """A PIL image, an array of 2 or 3 dimensions or a Tensor of 3."""
        return super().is_image(part) or (isinstance(part, np.ndarray) and part.ndim in (2, 3))

    def batch(self, images: Any) -> Tensor:
        """Images (N, H, W[, C]) -> Tensor (N, C, H, W)."""
        if isinstance(images, Tensor):
            return images
        if not isinstance(images, np.ndarray) or images.ndim not in (3, 4):
            raise kind_error("ToImage.batch", images, "images (N, H, W[, C])")
        return kept("ToImage", images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2))


class ToDtype(Transform):
    """A Tensor in another number type; with `scale=True`, its values scaled to the range of that type.

    `ToDtype(minicnn.float32, scale=True)` after `ToImage` is what `ToTensor` does.

    Args:
        dtype: the type; or a dictionary that has it under `minicnn.Tensor` or "others", where None keeps the type.
        scale: see `functional.convert_image_dtype`.

    >>> from minicnn.transforms import v2
    >>> v2.ToDtype(minicnn.float32, scale=True)(minicnn.tensor([[[0, 255]]], dtype=minicnn.uint8))
    tensor([[[0., 1.]]])
    """

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        if isinstance(dtype, Mapping):
            if not {Tensor, "others"} & set(dtype):
                raise ValueError(f"ToDtype: the dictionary needs a type for minicnn.Tensor or 'others', got {dtype}")
            dtype = dtype.get(Tensor, dtype.get("others"))
            self.dtype = None if dtype is None else image_dtype("ToDtype", dtype)
        else:
            self.dtype = image_dtype("ToDtype", dtype)
        self.scale = scale

    def forward(self, image: Any) -> Any:
        """A Tensor (..., C, H, W)."""
        return image if self.dtype is None else to_dtype(image, self.dtype, self.scale)

    def is_image(self, part: Any) -> bool:
        """A Tensor of 3 or more dimensions."""
        return not is_pil(part) and super().is_image(part)

    def batch(self, images: Tensor) -> Tensor:
        """A Tensor (N, C, H, W)."""
        return self.forward(images)

    def __repr__(self) -> str:
        return f"ToDtype(dtype={self.dtype}, scale={self.scale})"


class RGB(Transform):
    """Grey images as images of three equal channels.

    >>> from minicnn.transforms import v2
    >>> v2.RGB()(minicnn.zeros(1, 2, 4)).shape
    minicnn.Size([3, 2, 4])
    """

    def forward(self, image: Any) -> Any:
        """A PIL image or a Tensor (..., C, H, W)."""
        return grayscale_to_rgb(image)

    def batch(self, images: Any) -> Any:
        """A Tensor (N, C, H, W) or images (N, H, W[, 3])."""
        if isinstance(images, Tensor):
            return self.forward(images)
        grey = images.reshape(*images.shape[:3], -1)  # (N, H, W) -> (N, H, W, 1)
        if grey.shape[3] not in (1, 3):
            raise kind_error("RGB.batch", images, "images of 1 or 3 channels")
        return images if grey.shape[3] == 3 else np.repeat(grey, 3, axis=3)
