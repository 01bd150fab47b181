"""Images to tensors and back, tensors from one number type to another, and normalisation by mean and deviation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import KindError, shown

from ...dtypes import default_type
from ...ops.tensor.from_data import KINDS, known
from ...tensor import Tensor
from ..base import is_pil, kind_error, pixels, taped

__all__ = [
    "channel_statistics", "chw", "convert_image_dtype", "converted", "image_dtype", "kept", "normalize", "normalized",
    "pil_to_tensor", "scaled", "to_pil_image", "to_tensor",
]  # fmt: skip


def chw(name: str, image: Any, as_bits: bool = False) -> np.ndarray:
    """The pixels of a PIL image, or an array (H, W) or (H, W, C), as a view (C, H, W).

    The pixels of mode "1" are 0 and 255, or of bool if `as_bits`.
    """
    if is_pil(image):
        array = np.asarray(image)
        if image.mode == "1" and not as_bits:
            array = array.astype(np.uint8) * np.uint8(255)
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise kind_error(name, image, "a PIL image or an array (H, W) or (H, W, C)")
    if array.ndim not in (2, 3):
        raise ValueError(f"{name}: an image should have 2 or 3 dimensions, got {array.ndim}: shape {array.shape}")
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)  # (H, W[, C]) -> (C, H, W)


_WIDER = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64}  # tensors have one unsigned type, uint8


def kept(name: str, array: np.ndarray) -> Tensor:
    """A copy of the values in their own type, or in the next larger type if tensors do not have their own.

    Raises:
        TypeError: values of a type that tensors do not have.
    """
    own = array.dtype.newbyteorder("=")
    return Tensor(np.array(known(name, array.astype(_WIDER.get(own, own))), order="C"))


def scaled(name: str, array: np.ndarray) -> Tensor:
    """uint8 becomes x / 255 in the default type; any other type keeps its values."""
    if array.dtype != np.uint8:
        return kept(name, array)
    kind = default_type()
    return Tensor(np.divide(array, kind.type(255), out=np.empty(array.shape, kind)))


def to_tensor(pic: Any) -> Tensor:
    """PIL image or array (H, W[, C]) -> Tensor (C, H, W): uint8 values 0..255 become x / 255 in [0, 1].

    The results are float32, or of the type set by `set_default_dtype`. Other types keep type and values, as
    `minicnn.transforms.ToTensor` says.

    Raises:
        TypeError: anything else, such as a Tensor.
        ValueError: an array that does not have 2 or 3 dimensions.

    >>> minicnn.transforms.functional.to_tensor(np.array([[0, 255]], np.uint8))
    tensor([[[0., 1.]]])
    """
    return scaled("to_tensor", chw("to_tensor", pic))


def pil_to_tensor(pic: Any) -> Tensor:
    """PIL image -> Tensor (C, H, W) of the same type: uint8 for the common modes, bool for mode "1".

    >>> image, label = minicnn.datasets.Digits()[0]
    >>> minicnn.transforms.functional.pil_to_tensor(image).shape
    minicnn.Size([1, 8, 8])
    """
    if not is_pil(pic):
        raise kind_error("pil_to_tensor", pic, "a PIL image")
    return kept("pil_to_tensor", chw("pil_to_tensor", pic, as_bits=True))


_MODES = {  # number of channels: the modes of 8 bits; the first is the usual one
    1: ("L",),
    2: ("LA",),
    3: ("RGB", "YCbCr", "HSV"),
    4: ("RGBA", "CMYK", "RGBX"),
}
_GREY = {np.dtype(np.int32): "I", np.dtype(np.float32): "F", np.dtype(np.int16): "I;16", np.dtype(np.uint16): "I;16"}


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """Tensor (C, H, W) or (H, W), or array (H, W[, C]) -> PIL image.

    Floating-point values in [0, 1] become 255 x, cut to whole numbers, unless `mode` is "F". One channel of int32
    becomes mode "I", of int16 "I;16".

    Args:
        mode: one of PIL's modes: with 8 bits, 1 channel "L", 2 "LA", 3 "RGB", "YCbCr" or "HSV", 4 "RGBA", "CMYK" or
            "RGBX". None takes the first.

    Raises:
        TypeError: not a Tensor or array, or of a type that images do not have.
        ValueError: other dimensions, or a mode that does not fit.

    >>> minicnn.transforms.functional.to_pil_image(minicnn.zeros(3, 24, 32)).size
    (32, 24)
    """
    from PIL import Image

    array = _hwc(pic)
    if array.dtype.kind == "f" and mode != "F":
        array = (array * 255).astype(np.uint8)
    channels = array.shape[2]
    modes = _MODES[channels] if channels > 1 or array.dtype == np.uint8 else (_GREY.get(array.dtype),)
    if modes == (None,) or (channels > 1 and array.dtype != np.uint8):
        raise TypeError(f"to_pil_image: PIL has no image of {channels} channels of type {array.dtype}")
    if mode is not None and mode not in modes:
        raise ValueError(
            f"to_pil_image: mode {mode!r} does not fit {channels} channels of type {array.dtype}; "
            f"possible: {', '.join(map(str, modes))}"
        )
    chosen: Any = mode or modes[0]
    array = np.ascontiguousarray(array[:, :, 0] if channels == 1 else array)
    return Image.frombytes(chosen, (array.shape[1], array.shape[0]), array.tobytes())


def _hwc(pic: Any) -> np.ndarray:
    """A Tensor (C, H, W) or (H, W), or an array (H, W[, C]), as an array (H, W, C)."""
    if not isinstance(pic, Tensor | np.ndarray):
        raise TypeError(f"to_pil_image takes a Tensor or an array, got {type(pic).__name__}")
    array = pic.detach().cpu().numpy() if isinstance(pic, Tensor) else pic
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"to_pil_image: an image should have 2 or 3 dimensions, none of them empty, its shape is {array.shape}"
        )
    if array.ndim == 2:
        array = array[:, :, None]
    elif isinstance(pic, Tensor):
        array = array.transpose(1, 2, 0)  # (C, H, W) -> (H, W, C)
    if array.shape[2] > 4:
        raise ValueError(f"to_pil_image: an image should have at most 4 channels, got {array.shape[2]}")
    return array


# ------------------------------------------------------------------------------------------------------ number types


def image_dtype(name: str, dtype: Any) -> np.dtype:
    """A type whose range images can have."""
    try:
        into = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{name}: takes a type such as minicnn.float32, got {shown(dtype)}") from None
    if dtype is None or into not in KINDS or into.kind == "b":
        raise ValueError(f"{name}: no range is defined for the type {into}")
    return into


def convert_image_dtype(image: Tensor, dtype: Any = np.float32) -> Tensor:
    """A Tensor in another number type, its values scaled to that type's range, as `transforms.ConvertImageDtype` says.

    Raises:
        RuntimeError: float32 to int32 or int64, or float64 to int64: the product could not hold the largest values.

    >>> minicnn.transforms.functional.convert_image_dtype(minicnn.tensor([[[0., 0.5, 1.]]]), minicnn.uint8)
    tensor([[[  0, 127, 255]]], dtype=minicnn.uint8)
    """
    return converted("convert_image_dtype", image, image_dtype("convert_image_dtype", dtype))


def converted(name: str, image: Tensor, into: np.dtype) -> Tensor:
    """`convert_image_dtype` for a checked type."""
    if not isinstance(image, Tensor):
        raise kind_error(name, image, "a Tensor")
    array = pixels(name, image)
    if array.dtype == into:
        return image
    if array.dtype.kind == "f":
        return Tensor(array.astype(into) if into.kind == "f" else _float_to_int(array, into))
    if array.dtype.kind not in "iu":
        raise kind_error(name, image, "a Tensor of integers or floating-point numbers")
    largest = int(np.iinfo(array.dtype).max)
    if into.kind == "f":
        return Tensor((array.astype(np.promote_types(into, np.float32)) / largest).astype(into, copy=False))
    target = int(np.iinfo(into).max)
    if largest > target:
        return Tensor((array // array.dtype.type((largest + 1) // (target + 1))).astype(into))
    return Tensor(array.astype(into) * into.type((target + 1) // (largest + 1)))


def _float_to_int(array: np.ndarray, into: np.dtype) -> np.ndarray:
    work = array.astype(np.promote_types(array.dtype, np.float32), copy=False)
    limits = np.iinfo(into)
    if limits.bits >= 8 * work.itemsize:
        raise RuntimeError(f"The cast from {array.dtype} to {into} cannot be performed safely")
    return np.clip(work * (limits.max + 1.0 - 1e-3), limits.min, limits.max).astype(into)


# ------------------------------------------------------------------------------------------------------ normalisation


def channel_statistics(name: str, mean: Any, std: Any) -> tuple[np.ndarray, np.ndarray]:
    """mean and std as arrays of float64, checked."""
    try:
        means, deviations = np.atleast_1d(np.asarray(mean, float)), np.atleast_1d(np.asarray(std, float))
    except (TypeError, ValueError):
        raise KindError(f"{name}: mean and std should be numbers, got {shown(mean)} and {shown(std)}") from None
    if not (np.isfinite(means).all() and np.isfinite(deviations).all() and deviations.all()):
        raise ValueError(f"{name}: mean and std should be finite and std not zero, got {mean} and {std}")
    return means, deviations


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """y[..., c, :, :] = (x[..., c, :, :] - mean[c]) / std[c] for a floating-point Tensor (..., C, H, W).

    Args:
        mean, std: one number per channel, or a single one for all.
        inplace: write into the given tensor.

    Raises:
        ValueError: a standard deviation of zero, or a number of values that is neither 1 nor C.
        TypeError: not a Tensor of a floating type; `to_tensor` comes first.

    >>> minicnn.transforms.functional.normalize(minicnn.tensor([[[0., 0.5, 1.]]]), [0.5], [0.25])
    tensor([[[-2.,  0.,  2.]]])
    """
    return normalized("normalize", tensor, *channel_statistics("normalize", mean, std), inplace)


def normalized(name: str, image: Tensor, means: np.ndarray, deviations: np.ndarray, inplace: bool) -> Tensor:
    """`normalize` for checked statistics."""
    if not isinstance(image, Tensor) or image.array.dtype.kind != "f":
        raise kind_error(name, image, "a Tensor of a floating type (ToTensor comes first)")
    by_operations = taped(image) or not isinstance(image.array, np.ndarray)  # for a gradient, and on a GPU
    array = image.array if by_operations else pixels(name, image)
    if array.ndim < 3:
        raise ValueError(f"{name}: the tensor should be (..., C, H, W), its shape is {array.shape}")
    channels = array.shape[-3]
    for what, values in (("mean", means), ("std", deviations)):
        if values.shape not in ((1,), (channels,)):
            raise ValueError(f"{name}: {what} has {values.size} values for {channels} channels: {values}")
    mean, std = (values.astype(array.dtype)[:, None, None] for values in (means, deviations))  # (C, 1, 1)
    if not std.all():
        raise ValueError(f"{name}: std evaluates to zero in {array.dtype}: {deviations}")
    if by_operations:
        by_mean, by_std = (Tensor(values).to(image.device) for values in (mean, std))
        return image.sub_(by_mean).div_(by_std) if inplace else (image - by_mean) / by_std
    out = np.subtract(array, mean, out=array if inplace else None)
    np.divide(out, std, out=out)
    return image if inplace else Tensor(out)
