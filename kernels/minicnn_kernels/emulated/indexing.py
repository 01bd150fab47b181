"""x[...] and x[...] = y: basic indices give views; arrays of integers or of bools give copies."""

from __future__ import annotations

from typing import Any

import numpy as np

from .api import EmulationError
from .array import fresh, host, ndarray, raw, to_write, view
from .devices import check_device, here
from .streams import get_current_stream
from .traffic import wait
from .values import cast


def plain(where: Any) -> tuple[tuple[Any, ...], bool]:
    """An index for NumPy, with `...` in it so that it never gives a scalar, and whether an array is part of it.

    Raises:
        EmulationError: an array or a list from the CPU is part of it.
        IndexError: an array of floats.
    """
    parts = where if type(where) is tuple else (where,)
    arrays = dots = False
    for part in parts:
        kind = type(part)
        if kind is slice or kind is int or part is None:
            continue
        if part is Ellipsis:
            dots = True
        elif kind is ndarray:
            if part.dtype.kind not in "biu":
                raise IndexError(
                    f"arrays used as indices must be of integer or boolean type (actual: {part.dtype.type})"
                )
            arrays = True
        elif kind is bool or kind is np.bool_:
            arrays = True
        elif kind is list or kind is tuple or isinstance(part, np.ndarray):
            raise EmulationError(
                "an index from the CPU: CuPy would copy it to the GPU at each use; make it there once, with asarray"
            )
    if arrays:
        parts = tuple(map(host, parts))
    return (parts if dots else (*parts, ...)), arrays


def out_of_range(error: IndexError) -> Exception:
    """What to raise for an error of NumPy at an index that was computed."""
    if type(error) is not IndexError or "out of bounds" not in str(error):  # AxisError is one too
        return error
    return EmulationError(f"{error}: on a GPU it would silently wrap around")


def getitem(x: ndarray, where: Any) -> ndarray:
    """x[where]."""
    index, arrays = plain(where)
    if not arrays:
        return view(x._a[index], x)
    a = raw(x)
    _wait_for_mask(index)
    try:
        return fresh(np.array(a[index], order="C"))
    except IndexError as error:
        raise out_of_range(error) from None


def _wait_for_mask(index: tuple[Any, ...]) -> None:
    """How many elements a mask takes is known only when the GPU has counted them."""
    if any(getattr(getattr(part, "dtype", None), "kind", "") == "b" for part in index):
        wait("an index that is a mask")


def setitem(x: ndarray, where: Any, value: Any) -> None:
    """x[where] = value."""
    index, arrays = plain(where)
    if arrays:
        return _scatter(x, index, value)
    target = view(x._a[index], x)
    if type(value) is not ndarray:
        return target.fill(value)
    a, v = target._a, value._a
    same = a.shape == v.shape and a.strides == v.strides and a.dtype == v.dtype and a.flags.c_contiguous
    if (
        same and value._memory.device_id != x._memory.device_id
    ):  # CuPy copies such memory as it is, from device to device
        check_device(x._memory.device_id)
        return get_current_stream().queue(here.device).add(lambda: np.copyto(a, v))
    raw(value)
    to_write(target)
    if same and np.may_share_memory(a, v) and _address(a) != _address(v):
        raise EmulationError("source and target overlap: a GPU copies such memory in any order; copy the source first")
    while v.ndim > a.ndim and v.shape[0] == 1:
        v = v[0]
    a[...] = cast(v, a.dtype)
    return None


def _address(a: Any) -> int:
    return int(a.__array_interface__["data"][0])


def _scatter(x: ndarray, index: tuple[Any, ...], value: Any) -> None:
    """x[index] = value, where arrays are part of the index."""
    a = to_write(x)
    if isinstance(value, ndarray):
        v = cast(host(value), a.dtype)
    elif isinstance(value, (np.ndarray, list, tuple)):
        raise EmulationError("values from the CPU: CuPy would copy them to the GPU at each use; use asarray")
    else:
        v = np.asarray(value, a.dtype)
    _wait_for_mask(index)
    try:
        if v.ndim:
            _check_once(a, index, v)
        a[index] = v
    except IndexError as error:
        raise out_of_range(error) from None


def _check_once(a: Any, index: tuple[Any, ...], v: Any) -> None:
    """Refuse to write different values to one place, of which a GPU would keep any."""
    places = np.arange(a.size).reshape(a.shape)[index]
    flat = places.reshape(-1)
    order = np.argsort(flat, kind="stable")
    same = flat[order][1:] == flat[order][:-1]
    if same.any():
        values = np.broadcast_to(v, places.shape).reshape(-1)[order]
        if ((values[1:] != values[:-1]) & same).any():
            raise EmulationError("an indexed assignment writes two values to one place: on a GPU either may stay")
