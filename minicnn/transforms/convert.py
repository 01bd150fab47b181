"""Images to tensors, tensors from one number type to another, and normalisation by mean and standard deviation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import KindError, shown

from ..dtypes import get_default_dtype
from ..ops.tensor.from_data import KINDS, known
from ..tensor import Tensor
from .base import Transform, is_pil, kind_error, pixels

__all__ = ["ConvertImageDtype", "Grayscale", "Normalize", "PILToTensor", "ToTensor"]


def _chw(name: str, image: Any) -> np.ndarray:
    """The pixels of a PIL image, or an array (H, W) or (H, W, C), as a view (C, H, W)."""
    if is_pil(image):
        array = np.asarray(image)
        if image.mode == "1":
            array = array.astype(np.uint8) * np.uint8(255)
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise kind_error(name, image, "a PIL image or an array (H, W) or (H, W, C)")
    if array.ndim not in (2, 3):
        raise ValueError(f"{name}: an image should have 2 or 3 dimensions, got {array.ndim}: shape {array.shape}")
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)  # (H, W[, C]) -> (C, H, W)


def _nchw(name: str, images: Any) -> np.ndarray:
    """A batch of images (N, H, W[, C]) as a view (N, C, H, W)."""
    if not isinstance(images, np.ndarray) or images.ndim not in (3, 4):
        raise kind_error(f"{name}.batch", images, "images (N, H, W) or (N, H, W, C)")
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)


_WIDER = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64}  # tensors have one unsigned type, uint8


def _kept(name: str, array: np.ndarray) -> Tensor:
    """A copy of the values in their own type, or in the next larger type if tensors do not have their own.

    Raises:
        TypeError: values of a type that tensors do not have.
    """
    own = array.dtype.newbyteorder("=")
    return Tensor(np.array(known(name, array.astype(_WIDER.get(own, own))), order="C"))


def _scaled(array: np.ndarray) -> Tensor:
    """uint8 becomes x / 255 in the default type; any other type keeps its values."""
    if array.dtype != np.uint8:
        return _kept("ToTensor", array)
    kind = get_default_dtype()
    return Tensor(np.divide(array, kind.type(255), out=np.empty(array.shape, kind)))


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

    def __call__(self, image: Any) -> Tensor:
        """A PIL image or an array (H, W[, C]) -> Tensor (C, H, W)."""
        return _scaled(_chw("ToTensor", image))

    def batch(self, images: np.ndarray) -> Tensor:
        """Images (N, H, W[, C]) -> Tensor (N, C, H, W)."""
        return _scaled(_nchw("ToTensor", images))


class PILToTensor(Transform):
    """PIL image -> Tensor (C, H, W) of the same type, uint8 for the common modes; nothing is scaled.

    Mode "I;16" becomes int32, as by `ToTensor`.

    >>> image, label = minicnn.datasets.Digits()[0]
    >>> x = minicnn.transforms.PILToTensor()(image)
    >>> x.shape, x.dtype
    (minicnn.Size([1, 8, 8]), dtype('uint8'))
    """

    def __call__(self, image: Any) -> Tensor:
        """A PIL image -> Tensor (C, H, W)."""
        if not is_pil(image):
            raise kind_error("PILToTensor", image, "a PIL image")
        return _kept("PILToTensor", _chw("PILToTensor", image))

    def batch(self, images: np.ndarray) -> Tensor:
        """Images (N, H, W[, C]) -> Tensor (N, C, H, W)."""
        return _kept("PILToTensor", _nchw("PILToTensor", images))


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
        try:
            self.dtype = np.dtype(dtype)
        except TypeError:
            raise TypeError(f"ConvertImageDtype: takes a type such as minicnn.float32, got {shown(dtype)}") from None
        if dtype is None or self.dtype not in KINDS or self.dtype.kind == "b":
            raise ValueError(f"ConvertImageDtype: no range is defined for the type {self.dtype}")

    def __call__(self, image: Tensor) -> Tensor:
        """A Tensor of any shape (..., H, W)."""
        if not isinstance(image, Tensor):
            raise kind_error("ConvertImageDtype", image, "a Tensor")
        array, into = pixels("ConvertImageDtype", image), self.dtype
        if array.dtype == into:
            return image
        if array.dtype.kind == "f":
            return Tensor(array.astype(into) if into.kind == "f" else self._float_to_int(array))
        if array.dtype.kind not in "iu":
            raise kind_error("ConvertImageDtype", image, "a Tensor of integers or floating-point numbers")
        largest = int(np.iinfo(array.dtype).max)
        if into.kind == "f":
            return Tensor((array.astype(np.promote_types(into, np.float32)) / largest).astype(into, copy=False))
        target = int(np.iinfo(into).max)
        if largest > target:
            return Tensor((array // array.dtype.type((largest + 1) // (target + 1))).astype(into))
        return Tensor(array.astype(into) * into.type((target + 1) // (largest + 1)))

    def _float_to_int(self, array: np.ndarray) -> np.ndarray:
        work = array.astype(np.promote_types(array.dtype, np.float32), copy=False)
        limits = np.iinfo(self.dtype)
        if limits.bits >= 8 * work.itemsize:
            raise RuntimeError(f"The cast from {array.dtype} to {self.dtype} cannot be performed safely")
        return np.clip(work * (limits.max + 1.0 - 1e-3), limits.min, limits.max).astype(self.dtype)

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

    def __call__(self, image: Any) -> Any:
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
            grey = array if channels == 1 else _luma(array)
            return Tensor(np.repeat(grey, self.num_output_channels, axis=-3))
        if channels == 3:
            red, green, blue = (array[..., i].astype(np.uint32) for i in range(3))
            array = ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)
        grey = array.reshape(array.shape[:3])  # (N, H, W, 1) -> (N, H, W)
        return grey if self.num_output_channels == 1 else np.repeat(grey[..., None], 3, axis=3)

    def __repr__(self) -> str:
        return f"Grayscale(num_output_channels={self.num_output_channels})"


def _luma(array: np.ndarray) -> np.ndarray:
    """(..., 3, H, W) -> (..., 1, H, W)."""
    red, green, blue = (array[..., i : i + 1, :, :] for i in range(3))
    return (0.2989 * red + 0.587 * green + 0.114 * blue).astype(array.dtype)


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

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace
        try:
            self._mean, self._std = np.atleast_1d(np.asarray(mean, float)), np.atleast_1d(np.asarray(std, float))
        except (TypeError, ValueError):
            raise KindError(f"Normalize: mean and std should be numbers, got {shown(mean)} and {shown(std)}") from None
        if not (np.isfinite(self._mean).all() and np.isfinite(self._std).all() and self._std.all()):
            raise ValueError(f"Normalize: mean and std should be finite and std not zero, got {mean} and {std}")

    def __call__(self, image: Tensor) -> Tensor:
        """A Tensor (..., C, H, W)."""
        if not isinstance(image, Tensor) or image.array.dtype.kind != "f":
            raise kind_error("Normalize", image, "a Tensor of a floating type (ToTensor comes first)")
        array = pixels("Normalize", image)
        if array.ndim < 3:
            raise ValueError(f"Normalize: the tensor should be (..., C, H, W), its shape is {array.shape}")
        channels = array.shape[-3]
        for name, values in (("mean", self._mean), ("std", self._std)):
            if values.shape not in ((1,), (channels,)):
                raise ValueError(f"Normalize: {name} has {values.size} values for {channels} channels: {values}")
        mean, std = (values.astype(array.dtype)[:, None, None] for values in (self._mean, self._std))  # (C, 1, 1)
        if not std.all():
            raise ValueError(f"Normalize: std evaluates to zero in {array.dtype}: {self.std}")
        out = np.subtract(array, mean, out=array if self.inplace else None)
        np.divide(out, std, out=out)
        return image if self.inplace else Tensor(out)

    def batch(self, images: Tensor) -> Tensor:
        """A Tensor (N, C, H, W)."""
        return self(images)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"
