"""CuPy's functions that are not elementwise: arguments by CuPy's names, values by NumPy's function of that name."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from . import own
from .api import API, check_arguments, supported
from .array import anywhere, fresh, host, is_view, ndarray, result, to_write, unwritten, upload, view
from .devices import here
from .indexing import out_of_range
from .streams import get_current_stream
from .traffic import wait
from .ufunc import get_ufunc
from .values import cast, quiet

KEEP_ORDER = {"copy", "full_like", "ones_like", "pad", "roll", "zeros_like"}  # order="K", all others give C order
ABOUT_TYPES = {"result_type", "can_cast", "promote_types", "common_type", "min_scalar_type"}
NUMBERS_AS_ARRAYS = {"count_nonzero", "array_equal", "array_equiv", "allclose"}  # NumPy gives Python's bool or int
WAITING = {  # they look at values before they know what to do
    "argwhere", "average", "bincount", "choose", "delete", "digitize", "extract", "flatnonzero", "histogram",
    "histogram2d", "histogramdd", "place", "put", "ravel_multi_index", "setdiff1d", "trim_zeros", "union1d",
    "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values", "unravel_index",
}  # fmt: skip
OF_THE_HOST = {  # arguments that CuPy reads on the host, where arrays of NumPy are right
    "axes", "axis", "destination", "indices_or_sections", "newshape", "pad_width", "reps", "shape", "shift", "source",
}  # fmt: skip
VIEWS = {  # of arrays on any device
    "array_split", "broadcast_to", "dsplit", "expand_dims", "flip", "fliplr", "flipud", "hsplit", "moveaxis", "ravel",
    "reshape", "rollaxis", "rot90", "split", "squeeze", "swapaxes", "transpose", "vsplit",
}  # fmt: skip
IN_PLACE = {"fill_diagonal", "place", "put", "put_along_axis", "putmask"}
CALLING_BACK = {"apply_along_axis", "apply_over_axes", "fromfunction", "piecewise"}  # a function of the caller


def array(
    obj: Any,
    dtype: Any = None,
    copy: Any = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    """An array on the current device, from anything."""
    if subok:
        raise NotImplementedError("subok is not supported yet")
    order = order or "K"
    if isinstance(obj, ndarray):
        if obj._memory.device_id == here.device:
            made = obj.astype(obj.dtype if dtype is None else dtype, order, copy=copy)
        else:
            made = obj.copy(order).astype(obj.dtype if dtype is None else dtype, copy=False)
        missing = ndmin - made.ndim
        return view(made._a.reshape((1,) * missing + made.shape), made) if missing > 0 else made
    if isinstance(obj, (list, tuple)) and (parts := _arrays_of(obj)):
        return fresh(np.array(parts, None if dtype is None else supported(dtype), ndmin=ndmin))
    a = np.array(obj, dtype, copy=None, ndmin=ndmin)
    layout: Any = "F" if order in "Ff" or (order in "KkAa" and isinstance(obj, np.ndarray) and obj.flags.fnc) else "C"
    made = ndarray(a.shape, supported(a.dtype), order=layout)
    if not a.ndim:  # CuPy hands a number over with the call
        made._a[...] = a
        return made
    stream = get_current_stream()
    right = a.flags.f_contiguous if layout == "F" else a.flags.c_contiguous
    upload(made._a, a if right else np.array(a, order=layout), stream.queue(here.device))
    if blocking:
        stream.synchronize()
    return made


def _arrays_of(parts: Any) -> Any:
    """The NumPy arrays under a list of nothing but emulated arrays, or None."""
    if isinstance(parts, ndarray):
        return host(parts)
    if not isinstance(parts, (list, tuple)) or not parts:
        return None
    found = [_arrays_of(part) for part in parts]
    return None if any(f is None for f in found) else found


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    """An array on the current device; one that is there already as it is."""
    return array(a, dtype, False if copy is None else copy, order, blocking=blocking)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    """The array itself if it is in C order, or a copy that is; of rank 1 at least."""
    return _contiguous(a, dtype, "C")


def asfortranarray(a: Any, dtype: Any = None) -> ndarray:
    """The array itself if it is in Fortran's order, or a copy that is; of rank 1 at least."""
    return _contiguous(a, dtype, "F")


def _contiguous(a: Any, dtype: Any, order: Any) -> ndarray:
    if not isinstance(a, ndarray):
        raise TypeError(f"Argument 'a' has incorrect type (expected cupy.ndarray, got {type(a)})")
    made = a.astype(a.dtype if dtype is None else dtype, order, copy=False)
    return made if a.ndim else view(made._a.reshape(1), made)


def asnumpy(a: Any, stream: Any = None, order: Any = "C", out: Any = None, *, blocking: bool = True) -> Any:
    """The values as a NumPy array."""
    if isinstance(a, ndarray):
        return a.get(stream, order, out, blocking)
    if isinstance(a, (list, tuple)) and any(isinstance(part, ndarray) for part in a):
        return asarray(a).get(stream, order, out, blocking)
    return np.asarray(a, order=order)


def empty(shape: Any, dtype: Any = float, order: Any = "C") -> ndarray:
    """New memory, full of NaN."""
    return ndarray(shape, dtype, order=order)


def empty_like(prototype: Any, dtype: Any = None, order: Any = "K", subok: Any = None, shape: Any = None) -> ndarray:
    """New memory in the layout of an array, full of NaN."""
    if subok is not None:
        raise TypeError("subok is not supported yet")
    model = prototype._a if isinstance(prototype, ndarray) else prototype
    return unwritten(np.empty_like(model, dtype, order, False, shape))


def copyto(dst: ndarray, src: Any, casting: Any = "same_kind", where: Any = None) -> None:
    """Copy values, where `where` says so."""
    source, a = host(src), to_write(dst)
    kind = getattr(source, "dtype", None)
    if kind is not None and not np.can_cast(kind, a.dtype, casting):
        raise TypeError(f"Cannot cast {kind!r} to {a.dtype!r} in {casting} casting mode")
    np.copyto(a, cast(np.asarray(source), a.dtype), where=True if where is None else host(where))


def broadcast_arrays(*args: ndarray) -> list[ndarray]:
    """Views in which all arrays have the same shape."""
    common = np.broadcast_shapes(*[x.shape for x in args])
    return [x if x.shape == common else get_function("broadcast_to")(x, common) for x in args]


def shape(a: Any) -> tuple[int, ...]:
    """The shape of an array of either kind."""
    return a.shape if isinstance(a, ndarray) else np.shape(a)


def size(a: Any, axis: int | None = None) -> int:
    """The number of elements, along an axis or in all."""
    return a.size if axis is None else a.shape[axis]


def ndim(a: Any) -> int:
    """The number of axes of an array of either kind."""
    return a.ndim if isinstance(a, ndarray) else np.ndim(a)


def from_dlpack(array: Any, *, device: Any = None, copy: Any = None) -> ndarray:
    """An emulated array as it is. Others' memory on a GPU is not there."""
    if not isinstance(array, ndarray):
        raise BufferError(f"from_dlpack: there is no GPU, so a {type(array).__name__} is not on it; use asarray")
    return array


_OWN: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        array, asarray, ascontiguousarray, asfortranarray, asnumpy, broadcast_arrays, copyto, empty, empty_like,
        from_dlpack, ndim, shape, size, own.argmax, own.argmin, own.argpartition, own.argsort, own.clip, own.cumprod,
        own.cumsum, own.diagonal, own.imag, own.nonzero, own.partition, own.real, own.sort, own.take,
    )
} | {"asanyarray": asarray}  # fmt: skip


@functools.cache
def get_function(path: str) -> Any:
    """CuPy's function of that name, elementwise ones too.

    Raises:
        AttributeError: CuPy has none of that name.
    """
    if path in _OWN:
        return _OWN[path]
    if path in API["ufunc"]:
        return get_ufunc(path)
    if path not in API["function"]:
        raise AttributeError(f"module 'cupy' has no attribute {path!r}")
    try:
        compute = operator.attrgetter(path)(np)
    except AttributeError:
        raise NotImplementedError(f"cupy.{path} is not emulated") from None
    return _function(path, compute)


def _function(path: str, compute: Any) -> Callable[..., Any]:
    known, name = API["function"][path], path.rpartition(".")[2]
    targets = _targets(known, compute)
    needs_array = known[:1] in (["a"], ["x"], ["arr"], ["ary"], ["tup"], ["m"], ["filt"])
    keep, waits, numbers = name in KEEP_ORDER, name in WAITING, name in NUMBERS_AS_ARRAYS
    in_place = name in IN_PLACE
    run = _run if name in CALLING_BACK else quiet
    other = _about_type if name in ABOUT_TYPES else _for_a_view if name in VIEWS else host
    convert = {parameter: _as_it_is if parameter in OF_THE_HOST else other for parameter in known}

    def call(*args: Any, **options: Any) -> Any:
        check_arguments("function", path, args, options)
        flat = _flat(args)
        if needs_array and args and type(args[0]) in (list, tuple) and not any(type(x) is ndarray for x in flat):
            raise TypeError(f"cupy.{path}: a {type(args[0]).__name__} of numbers is no array on the GPU; use asarray")
        if name == "where" and len(args) == 1:
            return own.nonzero(args[0])
        if waits or (name == "repeat" and len(flat) > 1 and _on_gpu(flat[1])):
            wait(f"cupy.{path}")
        if in_place and flat and _on_gpu(flat[0]):
            to_write(args[0])
        values, named = [], {}
        for parameter, target, arg in zip(known, targets, args, strict=False):
            if target is None:
                values.append(convert[parameter](arg))
            elif arg is not None:
                named[target] = convert[parameter](arg)
        values += map(other, args[len(targets) :])
        out = options.pop("out", None)
        for option, arg in options.items():
            if not (option == "keepdims" and arg is None):
                named[option] = convert.get(option, other)(arg)
        if out is not None:
            named["out"] = to_write(out)
        try:
            y = run(compute, *values, **named)
        except IndexError as error:
            raise out_of_range(error) from None
        if out is not None:
            return out
        if (
            type(y) is np.ndarray
            and other is _for_a_view
            and not any(is_view(y, x._a) for x in flat if type(x) is ndarray)
        ):
            for x in flat:
                host(x)  # a copy is work, which has to be on the current device
        return fresh(np.asarray(y)) if numbers else result(y, flat, keep)

    call.__name__ = call.__qualname__ = name
    call.__module__ = "cupy"
    return call


def _for_a_view(x: Any) -> Any:
    return anywhere(x) if type(x) is ndarray else host(x)


def _on_gpu(x: Any) -> bool:
    return type(x) is ndarray


def _as_it_is(x: Any) -> Any:
    return x


@np.errstate(all="ignore")
def _run(function: Any, *args: Any, **options: Any) -> Any:
    return function(*args, **options)


def _flat(args: Any) -> list[Any]:
    """The arguments, with those in lists."""
    return [x for arg in args for x in (arg if type(arg) in (list, tuple) else (arg,))]


def _about_type(x: Any) -> Any:
    return x.dtype if isinstance(x, ndarray) else x


def _targets(known: list[str], compute: Any) -> list[str | None]:
    """For each of CuPy's positional arguments: None if NumPy has it at the same place, or NumPy's name for it."""
    if not callable(compute) or any(name.startswith("*") for name in known):
        return []
    try:
        theirs = list(inspect.signature(compute).parameters.values())
    except ValueError:
        return [None] * len(known)
    places = [p.name for p in theirs if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = {p.name for p in theirs}
    return [
        None if i < len(places) and (places[i] == name or name not in names) else name for i, name in enumerate(known)
    ]
