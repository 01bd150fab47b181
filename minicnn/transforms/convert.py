"""Images to tensors, tensors from one number type to another, and normalisation by mean and standard deviation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from .base import Transform, is_pil, kind_error, pixels
from .functional.colour import rgb_to_grayscale
from .functional.convert import channel_statistics, chw, converted, image_dtype, kept, normalized, scaled, to_pil_image

__all__ = ["ConvertImageDtype", "Grayscale", "Normalize", "PILToTensor", "ToPILImage", "ToTensor"]


def _nchw(name: str, images: Any) -> np.ndarray:
    """A batch of images (N, H, W[, C]) as a view (N, C, H, W)."""
    if not isinstance(images, np.ndarray) or images.ndim not in (3, 4):
        raise kind_error(f"{name}.batch", images, "images (N, H, W) or (N, H, W, C)")
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)


class ToTensor(Transform):
    """PIL image or array (H, W[, C]) -> Tensor (C, H, W): uint8 values 0..255 become x / 255 in [0, 1].

    The results are float32, or of the type set by `set_default_dtype`.

    Arrays and PIL modes of other types (float, "I", "F") keep type and values. PIL mode "1" counts as 0 and 255. The
    unsigned 16-bit values of mode "I;16" become int32, the type of mode "I". Newer versions of torchvision keep them in
    uint16, which tensors do not have here; older ones took int16, which turns the brighter half into negative numbers.

    Raises:
        TypeError: anything else, such as a Tensor.
        ValueError: an array that does not have 2 or 3 dimensions.

    >>> image = np.zeros((32, 24, 3), np.uint8)
    >>> image[0, 0] = 255, 51, 0
    >>> x = minicnn.transforms.ToTensor()(image)
    >>> x.shape, x[:, 0, 0]
    (minicnn.Size([3, 32, 24]), tensor([1.0000, 0.2000, 0.0000]))
    """

    def forward(self, image: Any) -> Tensor:
        """A PIL image or an array (H, W[, C]) -> Tensor (C, H, W)."""
        return scaled("ToTensor", chw("ToTensor", image))

    def is_image(self, part: Any) -> bool:
        """A PIL image or an array (H, W[, C])."""
        return is_pil(part) or (isinstance(part, np.ndarray) and part.ndim in (2, 3))

    def batch(self, images: np.ndarray) -> Tensor:
        """Images (N, H, W[, C]) -> Tensor (N, C, H, W)."""
        return scaled("ToTensor", _nchw("ToTensor", images))


class PILToTensor(Transform):
    """PIL image -> Tensor (C, H, W) of the same type, uint8 for the common modes; nothing is scaled.

    Mode "1" becomes bool, and mode "I;16" int32, as by `ToTensor`.

    >>> image, label = minicnn.datasets.Digits()[0]
    >>> x = minicnn.transforms.PILToTensor()(image)
    >>> x.shape, x.dtype
    (minicnn.Size([1, 8, 8]), minicnn.uint8)
    """

    def forward(self, image: Any) -> Tensor:
        """A PIL image -> Tensor (C, H, W)."""
        if not is_pil(image):
            raise kind_error("PILToTensor", image, "a PIL image")
        return kept("PILToTensor", chw("PILToTensor", image, as_bits=True))

    def is_image(self, part: Any) -> bool:
        """A PIL image."""
        return is_pil(part)

    def batch(self, images: np.ndarray) -> Tensor:
        """Images (N, H, W[, C]) -> Tensor (N, C, H, W)."""
        return kept("PILToTensor", _nchw("PILToTensor", images))


class ToPILImage(Transform):
    """Tensor (C, H, W), or array (H, W[, C]), -> PIL image: floating-point values in [0, 1] become 255 x.

    Args:
        mode: one of PIL's modes; None takes the usual one for the type and number of channels, as
            `functional.to_pil_image` says.

    >>> minicnn.transforms.ToPILImage()(minicnn.zeros(3, 24, 32)).mode
    'RGB'
    """

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def forward(self, image: Any) -> Any:
        """A Tensor or array -> PIL image."""
        return to_pil_image(image, self.mode)

    def is_image(self, part: Any) -> bool:
        """A Tensor (C, H, W) or an array (H, W[, C])."""
        return isinstance(part, Tensor | np.ndarray) and part.ndim in (2, 3)

    def __repr__(self) -> str:
        return "ToPILImage(" + (f"mode={self.mode}" if self.mode is not None else "") + ")"


class ConvertImageDtype(Transform):
    """A Tensor in another number type, its values scaled to that type's range.

    The range is [0, 1] for floating types and [0, 2^b - 1] for integers with a largest value of 2^b - 1:

        float -> float   x
        int   -> float   x / max_in
        float -> int     x (max_out + 1 - 0.001), rounded down: equal bins, 1.0 still lands on max_out; clipped
        int   -> int     x (max_out + 1) / (max_in + 1), rounded down

    Raises:
        RuntimeError: float32 to int32 or int64, or float64 to int64: the product could not hold the largest values.

    >>> minicnn.transforms.ConvertImageDtype(minicnn.uint8)(minicnn.tensor([[[0., 0.5, 1.]]]))
    tensor([[[  0, 127, 255]]], dtype=minicnn.uint8)
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = image_dtype("ConvertImageDtype", dtype)

    def forward(self, image: Tensor) -> Tensor:
        """A Tensor of any shape (..., H, W)."""
        return converted("ConvertImageDtype", image, self.dtype)

    def batch(self, images: Tensor) -> Tensor:
        """A Tensor (N, C, H, W)."""
        return self(images)

    def __repr__(self) -> str:
        return f"ConvertImageDtype(dtype={self.dtype})"


class Grayscale(Transform):
    """Make colours grey: 0.299 R + 0.587 G + 0.114 B, the luma of ITU-R BT.601.

    PIL images and batches of their pixels are computed as Pillow does, in whole numbers: (19595 R + 38470 G + 7471 B +
    2^15) / 2^16, rounded down. Tensors (..., 3, H, W) are computed with the factors 0.2989, 0.587 and 0.114, as in
    torchvision, and cut to whole numbers if they hold those. Images that are grey already keep their values.

    Args:
        num_output_channels: 1, or 3 equal channels.

    Raises:
        ValueError: another number of output channels.
        TypeError: an image with other than 1 or 3 channels.

    >>> minicnn.transforms.Grayscale()(minicnn.ones(3, 32, 32)).shape
    minicnn.Size([1, 32, 32])
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        if num_output_channels not in (1, 3):
            raise ValueError(f"Grayscale: num_output_channels should be either 1 or 3, got {num_output_channels!r}")
        self.num_output_channels = num_output_channels

    def forward(self, image: Any) -> Any:
        """A PIL image or a Tensor (..., C, H, W)."""
        if isinstance(image, Tensor):
            return self.batch(image)
        if not is_pil(image):
            raise kind_error("Grayscale", image)
        grey = image.convert("L")
        return grey if self.num_output_channels == 1 else grey.convert("RGB")

    def batch(self, images: Any) -> Any:
        """A Tensor (..., C, H, W) or images (N, H, W[, C])."""
        array, tensor = pixels("Grayscale", images), isinstance(images, Tensor)
        axis = -3 if tensor else 3
        channels = 1 if array.ndim == 3 and not tensor else array.shape[axis] if array.ndim > 2 else 0
        if channels not in (1, 3):
            raise kind_error("Grayscale", images, "images of 1 or 3 channels")
        if tensor:
            return rgb_to_grayscale(images, self.num_output_channels)
        if channels == 3:
            red, green, blue = (array[..., i].astype(np.uint32) for i in range(3))
            array = ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)
        grey = array.reshape(array.shape[:3])  # (N, H, W, 1) -> (N, H, W)
        return grey if self.num_output_channels == 1 else np.repeat(grey[..., None], 3, axis=3)

    def __repr__(self) -> str:
        return f"Grayscale(num_output_channels={self.num_output_channels})"


class Normalize(Transform):
    """y[..., c, :, :] = (x[..., c, :, :] - mean[c]) / std[c] for a floating-point Tensor (..., C, H, W).

    Args:
        mean, std: one number per channel, or a single one for all.
        inplace: write into the given tensor.

    Raises:
        ValueError: a standard deviation of zero, or a number of values that is neither 1 nor C.
        TypeError: not a Tensor of a floating type; `ToTensor` comes first.

    >>> minicnn.transforms.Normalize([0.5], [0.25])(minicnn.tensor([[[0., 0.5, 1.]]]))
    tensor([[[-2.,  0.,  2.]]])
    """

    keeps_shape = True

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace
        self._mean, self._std = channel_statistics("Normalize", mean, std)

    def forward(self, image: Tensor) -> Tensor:
        """A Tensor (..., C, H, W)."""
        return normalized("Normalize", image, self._mean, self._std, self.inplace)

    def batch(self, images: Tensor) -> Tensor:
        """A Tensor (N, C, H, W)."""
        return self(images)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"
