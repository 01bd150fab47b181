"""From samples to a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minicnn_kernels.arrays import on_device_of

from ...autograd.own_order import mark
from ...tensor import Tensor

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Join samples along a new first dimension, by PyTorch's rules:

    - Tensors and NumPy arrays of one shape (...) become a Tensor (N, ...)
    - floats become a float64 Tensor (N,), ints int64, bools bool
    - strings and bytes stay a list; those of a tuple or list become a tuple
    - a mapping gives a mapping of batches, a namedtuple a namedtuple, a tuple or list a list

    Raises:
        RuntimeError: tensors of different shapes, sequences of different lengths, or a tensor that requires a gradient.
        ValueError: the batch is empty.
        TypeError: anything else; for example, a PIL image needs `transforms.ToTensor()` first.

    >>> minicnn.utils.data.default_collate([(minicnn.zeros(2), 7), (minicnn.ones(2), 8)])
    [tensor([[0., 0.],
            [1., 1.]]), tensor([7, 8])]
    """
    if not len(batch):
        raise ValueError("default_collate: the batch is empty")
    first = batch[0]
    if isinstance(first, Tensor):
        if any(tensor.requires_grad for tensor in batch):
            raise RuntimeError("default_collate: a tensor requires a gradient, which a batch would lose; detach() it")
        stacked = Tensor(_stack([tensor.array for tensor in batch]))
        return mark(stacked) if any(tensor._order is not None for tensor in batch) else stacked
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, np.ndarray | np.generic):
        if first.dtype.kind not in "biufc":
            raise TypeError(f"default_collate: a batch of NumPy type {first.dtype} cannot become a Tensor")
        return Tensor(_stack([np.asarray(array) for array in batch]))
    if isinstance(first, bool | int | float | complex):
        return Tensor(np.array(batch))
    if isinstance(first, Mapping):
        return like(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        if len({len(sample) for sample in batch}) > 1:
            lengths = sorted({len(sample) for sample in batch})
            raise RuntimeError(f"default_collate: each sample should be of equal size, but their lengths are {lengths}")
        members = [default_collate(member) for member in zip(*batch, strict=True)]
        return type(first)(*members) if hasattr(first, "_fields") else members
    raise TypeError(_unknown("default_collate", first))


def default_convert(data: Any) -> Any:
    """Convert a sample without a batch dimension (`batch_size=None`): NumPy arrays become Tensors, the rest stays.

    >>> minicnn.utils.data.default_convert([np.arange(2), "a"])
    [tensor([0, 1]), 'a']
    """
    if isinstance(data, np.ndarray | np.generic) and data.dtype.kind in "biufc":
        return Tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [default_convert(value) for value in data]
    return data


def like(mapping: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """The items in a mapping of the same type; a plain dict if that type cannot be built from a dict."""
    try:
        return type(mapping)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def _stack(arrays: list[Any]) -> Any:
    shape = arrays[0].shape
    for entry, array in enumerate(arrays):
        if array.shape != shape:
            raise RuntimeError(
                f"default_collate: stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(array.shape)} at entry {entry}; {_same_size(shape, array.shape)}, or pass a collate_fn"
            )
    with on_device_of(arrays[0]):
        return np.stack(arrays)  # N x (...) -> (N, ...)


def _same_size(first: tuple[int, ...], other: tuple[int, ...]) -> str:
    """What makes samples (C, H, W) equal: their channels come from the files, their size from a transform."""
    if len(first) == len(other) == 3 and first[0] != other[0] and max(first[0], other[0]) <= 4:
        return 'give all images the same channels, such as image.convert("RGB") before ToTensor'
    return "Resize, crop or pad them"


def _unknown(name: str, found: Any) -> str:
    kind = f"{type(found).__module__}.{type(found).__qualname__}"
    remedy = "; put transforms.ToTensor() into the transform" if kind.startswith("PIL.") else "; pass a collate_fn"
    return f"{name}: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {kind}{remedy}"
