"""Reading an index x[...] by PyTorch's rules: its items are divided into a view and index tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import is_array, on_device_of, on_gpu
from minicnn_kernels.geometry import whole

from ...tensor import Tensor
from .from_data import to_array


class Parsed:
    """The two parts of an index: `basic` for a view, then the tensors `indices` for the axes `where` of the view."""

    def __init__(self, shape: tuple[int, ...], index: Any) -> None:
        self.shape, self.where = shape, list[int]()
        self.basic: list[Any] = []
        self.indices: list[Tensor] = []
        self._place, self._expanded = 0, False  # the axes of the view so far, and whether `...` was found
        items = _items(index)
        used = sum(map(_width, items))
        if used > len(shape):
            raise IndexError(f"index: too many indices for tensor of dimension {len(shape)}: {used}")
        for item in items:
            self._add(item, len(shape) - used)
        self.basic.append(Ellipsis)  # it also makes NumPy return an array instead of a number

    def _add(self, item: Any, missing: int) -> None:
        """Add one item of the index; `missing` is the number of axes that no item names."""
        dim = sum(part is not None for part in self.basic)  # the next axis of the tensor
        if item is None or isinstance(item, bool):
            self.basic.append(None)
            if item is not None:  # a bool is a new axis of one element, which is taken or not
                self._take([Tensor(np.zeros(int(item), np.int64))])
            else:
                self._place += 1
        elif item is Ellipsis:
            missing = 0 if self._expanded else missing  # a second `...` stands for no axes
            self._expanded = True
            self.basic += [slice(None)] * missing
            self._place += missing
        elif isinstance(item, slice):
            self.basic.append(_slice(item))
            self._place += 1
        elif not isinstance(item, Tensor):
            size = self.shape[dim]
            if not -size <= item < size:
                raise IndexError(f"index {item} is out of bounds for dimension {dim} with size {size}")
            self.basic.append(item)
        elif item.dtype.kind == "b" or item.dtype == np.uint8:
            self.basic += [slice(None)] * item.ndim
            expected = self.shape[dim : dim + item.ndim]
            if tuple(item.shape) != tuple(expected):
                raise IndexError(
                    f"index: the shape of the mask {tuple(item.shape)} does not match the axes {tuple(expected)} of "
                    f"the tensor of shape {tuple(self.shape)}"
                )
            mask = item._values("index")
            with on_device_of(mask):
                self._take([Tensor(places) for places in mask.nonzero()])
        else:
            self.basic.append(slice(None))
            self._take([item])

    def _take(self, indices: list[Tensor]) -> None:
        for index in indices:
            self.where.append(self._place)
            self.indices.append(index)
            self._place += 1

    @property
    def view(self) -> Any:
        """Return the basic part as an index for NumPy."""
        return tuple(self.basic)

    @property
    def plain(self) -> bool:
        """Return whether the basic part changes nothing."""
        return all(isinstance(part, slice) and part == slice(None) for part in self.basic[:-1])


def _slice(item: slice) -> slice:
    start, stop, step = (
        None if n is None else whole(n, "index", "a bound or step of a slice")
        for n in (item.start, item.stop, item.step)
    )
    if step is not None and step <= 0:
        raise ValueError(f"index: the step of a slice must be greater than zero, got {step}; use .flip()")
    return slice(start, stop, step)


def _items(index: Any) -> list[Any]:
    """Return the items of an index: None, Ellipsis, slices, bools, ints, tensors."""
    if not isinstance(index, tuple):
        # As in PyTorch and old NumPy, a short list of sequences, slices or tensors counts as a tuple.
        nested = (list, tuple, range, slice, type(...), type(None), Tensor, np.ndarray)
        index = (
            index
            if isinstance(index, list) and len(index) < 32 and any(isinstance(i, nested) or on_gpu(i) for i in index)
            else [index]
        )
    return [_item(part) for part in index]


def _item(part: Any) -> Any:
    if part is None or part is Ellipsis or isinstance(part, (slice, bool)) or type(part) is int:
        return part
    if is_array(part):
        part = Tensor(part)
    elif isinstance(part, (list, tuple, range)):
        array = to_array("index", list(part))
        part = Tensor(array if array.size else array.astype(np.int64))
    if isinstance(part, Tensor):
        kind = part.dtype
        if kind not in (np.int64, np.int32, np.uint8, np.bool_):
            raise IndexError(f"index: tensors used as indices must be int64, int32, uint8 or bool, got {kind}")
        if part.ndim:
            return part
        return bool(part) if kind in (np.uint8, np.bool_) else int(part)
    if isinstance(part, np.bool_):
        raise IndexError("index: a numpy.bool is not a valid index; use bool(...)")
    try:
        return whole(part, "index", "an index")
    except TypeError:
        error = TypeError if isinstance(part, str) else IndexError  # as in PyTorch
        raise error(
            "index: only integers, slices (`:`), ellipsis (`...`), None and int or bool tensors (arrays, lists) are "
            f"valid indices, got {type(part).__name__}"
        ) from None


def _width(item: Any) -> int:
    """Return the number of axes of the tensor that an item stands for."""
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    return item.ndim if isinstance(item, Tensor) and (item.dtype.kind == "b" or item.dtype == np.uint8) else 1
