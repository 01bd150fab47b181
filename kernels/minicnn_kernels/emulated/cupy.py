"""CuPy on a machine without a GPU: the same names on NumPy memory, and refusals where a GPU would differ.

It lets every line that runs on a GPU run on the CPU too, slowly, so that its mistakes are found without one:

- an `ndarray` of its own, no subclass of NumPy's. NumPy and emulated arrays do not mix: `np.asarray(x)`, `x + host`
  and `y[...] = host` raise, as CuPy does. `asarray` brings data here, `x.get()` takes them away; both are counted.
- only what CuPy has: names, argument names and the types of ufuncs are those in `cupy_api.txt`, written from CuPy.
- results as CuPy gives them: arrays of rank 0 and no NumPy scalars, C order whatever the order of the operands.
- memory of `empty` is full of NaN, so that what is read before it is written shows.
- where CuPy's result is undefined, `EmulationError`: an index out of range (it wraps), one place written twice by an
  indexed assignment (either value), a float that does not fit an integer type.
"""

from __future__ import annotations

import functools
import math
import operator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

API: dict[str, dict[str, list[str]]] = {"function": {}, "ufunc": {}, "method": {}, "attribute": {}, "version": {}}
for _line in Path(__file__).with_name("cupy_api.txt").read_text().splitlines():
    _kind, _name, *_rest = _line.split()
    API[_kind][_name] = _rest

traffic = {"to device": 0, "to host": 0}  # how often data crossed over; "to host" also waits for the GPU
strict = True  # whether undefined results raise


class EmulationError(RuntimeError):
    """A GPU would go on with an undefined result."""


# ------------------------------------------------------------------------------------------------------------- graphs

_recording: list[Any] | None = None  # what a capture has seen so far: (function, arguments, options, result)
_inside = 0  # calls that a recorded one makes are part of it


def _work(function: Any) -> Any:
    """Mark what a GPU does: while a graph is captured it is recorded, to be done again by `Graph.launch`."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        global _inside
        if _recording is None or _inside:
            return function(*args, **options)
        _inside += 1
        try:
            result = function(*args, **options)
        finally:
            _inside -= 1
        _recording.append((function, args, options, result))
        return result

    return call


def _refuse_in_capture(what: str) -> None:
    """What waits for the GPU, or comes from memory that is not there at the replay, cannot be in a graph."""
    if _recording is not None:
        raise RuntimeError(f"cudaErrorStreamCaptureUnsupported: {what} while a graph is captured")


class Graph:
    """Recorded work. Every launch writes to the arrays of the capture: inputs are to be written into, not replaced."""

    def __init__(self, calls: list[Any]) -> None:
        self._calls = calls

    def launch(self, stream: Any = None) -> None:
        for function, args, options, before in self._calls:
            after = function(*args, **options)
            for old, new in zip(_arrays_in(before), _arrays_in(after), strict=True):
                if old is not new:
                    old._a[...] = new._a

    def upload(self, stream: Any = None) -> None: ...


def _arrays_in(result: Any) -> list[Any]:
    if isinstance(result, (tuple, list)):
        return [a for part in result for a in _arrays_in(part)]
    return [result] if isinstance(result, ndarray) else []


class Stream:
    """A queue of work. Here all work is done when it is asked for."""

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None
    ) -> None: ...

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: object) -> None: ...

    def synchronize(self) -> None:
        _refuse_in_capture("synchronize")

    def begin_capture(self, mode: Any = None) -> None:
        global _recording
        _recording = []

    def end_capture(self) -> Graph:
        global _recording
        calls, _recording = _recording, None
        return Graph(calls or [])


def _host(x: Any) -> Any:
    """The NumPy array of an emulated one; a number as it is; a NumPy array is refused."""
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}: a NumPy array of shape {x.shape} meets GPU arrays")
    if isinstance(x, (list, tuple)):
        return type(x)(map(_host, x)) if not hasattr(x, "_fields") else x
    return x


def _wrap(y: Any, parents: tuple[Any, ...] = (), keep: bool = False) -> Any:
    """A NumPy result as CuPy would give it: a view of its parent, or an array in C order of its own."""
    if isinstance(y, tuple):
        fields = [_wrap(v, parents, keep) for v in y]
        return type(y)(*fields) if hasattr(y, "_fields") else tuple(fields)
    if isinstance(y, list):
        return [_wrap(v, parents, keep) for v in y]
    if isinstance(y, np.generic):
        return ndarray(np.array(y))
    if not isinstance(y, np.ndarray):
        return y
    for parent in parents:
        if isinstance(parent, ndarray) and np.may_share_memory(y, parent._a):
            return ndarray(y, parent)
    return ndarray(y if keep or y.flags.c_contiguous else np.array(y, order="C"))


def _check(kind: str, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Refuse arguments that CuPy's function of that name does not have."""
    known = API[kind][name]
    if not any(p.startswith("**") for p in known):
        for option in options:
            if option not in known:
                raise TypeError(f"cupy.{name}() got an unexpected keyword argument {option!r}")
    if not any(p.startswith("*") for p in known) and len(args) > len(known):
        raise TypeError(f"cupy.{name}() takes {len(known)} positional arguments but {len(args)} were given")


def _supported(dtype: Any) -> np.dtype[Any]:
    dtype = np.dtype(dtype)
    if dtype.char not in "?bBhHiIlLqQefdFD" and dtype.names is None:
        raise ValueError(f"Unsupported dtype {dtype}")
    return dtype


# ------------------------------------------------------------------------------------------------------------- ufuncs


class ufunc:
    """One of CuPy's: the loop for the operands' types is looked up in CuPy's table, then NumPy runs it."""

    def __init__(self, name: str) -> None:
        nin, self._scatter, *self.types = API["ufunc"][name]
        self.__name__, self.name, self.nin = name, f"cupy_{name}", int(nin)
        self._numpy = getattr(np, name)

    @_work
    def __call__(
        self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind", where: Any = True
    ) -> Any:
        if len(args) > self.nin:
            *args, out = args  # type: ignore[assignment]
        values = [_host(a) for a in args]
        for v in values:
            if not isinstance(v, (np.ndarray, np.generic, bool, int, float, complex)):
                raise TypeError(f"Unsupported type {type(v)}")
        outs = out if isinstance(out, tuple) else (out,)
        for o in outs:
            if o is not None and not isinstance(o, ndarray):
                raise TypeError("Output arguments type must be cupy.ndarray")
        options: dict[str, Any] = (
            {"casting": casting, "where": _host(where)} if where is not True else {"casting": casting}
        )
        if out is not None:
            options["out"] = tuple(o._a for o in outs)
        else:
            options["order"] = "C"
        loop = self._loop(values) if dtype is None else None
        with np.errstate(all="ignore"):
            if loop is not None:
                kinds = [np.dtype(c) for c in loop[0]]
                values = [
                    v.astype(k, copy=False)
                    if isinstance(v, np.ndarray)
                    else k.type(v)
                    if isinstance(v, (bool, int, float))
                    else v
                    for v, k in zip(values, kinds, strict=True)
                ]
                try:
                    y = self._numpy(*values, **options)
                except np._core._exceptions._UFuncNoLoopError:  # CuPy has a loop that NumPy has not
                    raise TypeError(f"{self.name}: no such loop in NumPy, {loop}") from None
                if out is None and not isinstance(y, tuple):
                    y = y.astype(np.dtype(loop[1][0]), copy=False)
            else:
                y = self._numpy(*values, dtype=dtype, **options)
        if out is not None:
            return out if not isinstance(out, tuple) else outs[0] if len(outs) == 1 else out
        return _wrap(y)

    def _loop(self, values: list[Any]) -> tuple[str, str]:
        """CuPy's rule: the first loop to whose types all operands can be cast safely, Python numbers by their kind."""
        kinds = [v.dtype if isinstance(v, (np.ndarray, np.generic)) else np.dtype(type(v)) for v in values]
        weak = [
            type(v) if isinstance(v, (bool, int, float)) and not isinstance(v, np.generic) else None for v in values
        ]
        of_arrays = [_SCORE[k.kind] for k, w in zip(kinds, weak, strict=True) if w is None]
        of_numbers = [_SCORE[k.kind] for k, w in zip(kinds, weak, strict=True) if w is not None]
        if not of_arrays or max(of_numbers, default=0) > max(of_arrays):  # a float among integers counts as it is
            weak = [None] * len(values)
        for types in self.types:
            ins, outs = types.removeprefix("!").split("->")
            if all(_fits(k, w, np.dtype(c)) for k, w, c in zip(kinds, weak, ins, strict=True)):
                if types[0] == "!":
                    break
                return ins, outs
        raise TypeError(f"Wrong type ({kinds}) of arguments for {self.name}")

    @_work
    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        """a[indices] = f(a[indices], b), where an index may come up several times; CuPy has it for few functions."""
        kinds = {"add": "iIlLqQefd", "sub": "iI", "max": "iIlLqQfd", "min": "iIlLqQfd"}.get(self._scatter, "iIlLqQ")
        if self._scatter == "-":
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        if a.dtype.char not in kinds:
            raise TypeError(f"{self.name}.at: not for {a.dtype}")
        self._numpy.at(a._a, _index(indices), np.asarray(_host(b)).astype(a.dtype))

    @_work
    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        if self.name not in ("cupy_add", "cupy_multiply"):
            raise NotImplementedError(f"`{self.name}.reduce` is not supported yet")
        return _wrap(self._numpy.reduce(_host(array), axis, dtype, _host(out), keepdims))

    @_work
    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        if self.name not in ("cupy_add", "cupy_multiply"):
            raise NotImplementedError(f"`{self.name}.accumulate` is not supported yet")
        return _wrap(self._numpy.accumulate(_host(array), axis, dtype, _host(out)))

    @_work
    def reduceat(self, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        if self.name != "cupy_add":
            raise NotImplementedError(f"`{self.name}.reduceat` is not supported yet")
        return _wrap(self._numpy.reduceat(_host(array), _host(indices), axis, dtype, _host(out)))

    @_work
    def outer(self, a: Any, b: Any, **options: Any) -> Any:
        return _wrap(self._numpy.outer(_host(a), _host(b), **options))


_SCORE = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 2}


def _fits(kind: np.dtype[Any], weak: Any, loop: np.dtype[Any]) -> bool:
    """Whether an operand may be cast to the type of a loop."""
    return np.can_cast(kind, loop) or (weak is not None and np.result_type(weak(0), loop) == loop)


# ------------------------------------------------------------------------------------------------------------- arrays


def _index(where: Any) -> Any:
    """An index for NumPy: emulated arrays as theirs. CuPy would also copy a NumPy index to the GPU; that is counted."""
    if isinstance(where, tuple):
        return tuple(map(_index, where))
    if isinstance(where, ndarray):
        if where.dtype.kind == "f":
            raise IndexError("arrays used as indices must be of integer or boolean type")
        return where._a
    if isinstance(where, (np.ndarray, list)):
        _refuse_in_capture("an index from the CPU")
        traffic["to device"] += 1
    return where


class ndarray:
    """An array on the emulated GPU."""

    __slots__ = ("__weakref__", "_a", "base")
    __array_priority__ = 100

    def __init__(self, a: Any, base: Any = None) -> None:
        if not isinstance(a, np.ndarray):
            raise TypeError("use zeros, empty or asarray")
        _supported(a.dtype)
        self._a = a
        self.base = None if base is None else base if base.base is None else base.base

    # -------------------------------------------------------------------------------------------- between the worlds

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> Any:
        _refuse_in_capture("a copy to the CPU")
        traffic["to host"] += 1
        if out is not None:
            out[...] = self._a
            return out
        return np.array(self._a, order=order)

    def set(self, arr: Any, stream: Any = None) -> None:
        traffic["to device"] += 1
        if not isinstance(arr, np.ndarray) or arr.dtype != self.dtype or arr.shape != self.shape:
            raise TypeError("set: a NumPy array of this shape and type")
        self._a[...] = arr

    def item(self) -> Any:
        _refuse_in_capture("a copy to the CPU")
        traffic["to host"] += 1
        return self._a.item()

    def tolist(self) -> Any:
        _refuse_in_capture("a copy to the CPU")
        traffic["to host"] += 1
        return self._a.tolist()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        name = function.__name__
        if name not in API["ufunc"]:  # matmul; the special functions of SciPy, which CuPy has too
            plain = method == "__call__"
            return (
                _get(name)(*inputs, **options)
                if plain and name in API["function"]
                else getattr(special, name)(*inputs)
                if plain
                else NotImplemented
            )
        out = options.pop("out", None)
        if out is not None:
            options["out"] = out[0] if len(out) == 1 else out
        if function.__name__ in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"):
            inputs = tuple(x.item() if isinstance(x, np.ndarray) and not x.ndim else x for x in inputs)
        made = _ufunc(function.__name__)
        return (made if method == "__call__" else getattr(made, method))(*inputs, **options)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        path = ".".join([*function.__module__.split(".")[1:], function.__name__])
        if any(not issubclass(t, (ndarray, np.ndarray)) for t in types):
            return NotImplemented
        try:
            return _get(path)(*args, **options)
        except AttributeError:
            return NotImplemented

    # -------------------------------------------------------------------------------------------- what it is

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    strides = property(lambda self: self._a.strides)
    T = property(lambda self: ndarray(self._a.T, self))
    mT = property(lambda self: ndarray(self._a.mT, self))
    real = property(lambda self: ndarray(self._a.real, self))
    device = property(lambda self: cuda.Device(0))
    data = property(
        lambda self: SimpleNamespace(
            ptr=self._a.__array_interface__["data"][0],
            device_id=0,
            mem=(self.base or self)._a if self.base is not None else self._a,
        )
    )

    @property
    def flags(self) -> Any:
        f = self._a.flags  # there is no `writeable` on a GPU
        return SimpleNamespace(
            c_contiguous=f.c_contiguous, f_contiguous=f.f_contiguous, owndata=self.base is None, fnc=f.fnc, forc=f.forc
        )

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self._a)))

    def __bool__(self) -> bool:
        return bool(self.item() if self.size == 1 else bool(self._a))

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        return self.copy()

    def __reduce__(self) -> Any:
        return array, (self.get(order="A"),)

    # -------------------------------------------------------------------------------------------- elements

    @_work
    def __getitem__(self, where: Any) -> ndarray:
        y = self._a[_index(where)]
        view = isinstance(y, np.ndarray) and y.base is not None and np.may_share_memory(y, self._a)
        if not isinstance(y, np.ndarray):  # CuPy: a view of rank 0
            place = self._a[(*(where if isinstance(where, tuple) else (where,)), ...)]
            return ndarray(place, self)
        return ndarray(y, self) if view else ndarray(np.array(y, order="C"))

    @_work
    def __setitem__(self, where: Any, value: Any) -> None:
        plain = _index(where)
        parts = plain if isinstance(plain, tuple) else (plain,)
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        value = _host(value) if isinstance(value, ndarray) else value
        if strict and any(isinstance(p, np.ndarray) and p.dtype.kind in "iu" and p.ndim for p in parts):
            self._check_once(plain, value)
        self._a[plain] = _cast(np.asarray(value), self.dtype)

    def _check_once(self, where: Any, value: Any) -> None:
        """Refuse to write two values to one place, of which a GPU would keep either."""
        flat = np.arange(self._a.size).reshape(self.shape)[where].reshape(-1)
        if len(flat) > 1 and np.ndim(value) and len(np.unique(flat)) < len(flat):
            values = np.broadcast_to(value, np.shape(self._a[where])).reshape(-1)
            order = np.argsort(flat, kind="stable")
            same = flat[order][1:] == flat[order][:-1]
            if (values[order][1:][same] != values[order][:-1][same]).any():
                raise EmulationError("an indexed assignment writes two values to one place: on a GPU either may stay")

    @_work
    def astype(
        self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True
    ) -> ndarray:
        dtype = _supported(dtype)
        if not copy and dtype == self.dtype:
            return self
        return ndarray(np.array(_cast(self._a, dtype), order=order))

    @_work
    def copy(self, order: str = "C") -> ndarray:
        return ndarray(self._a.copy(order))

    def squeeze(self, axis: Any = None) -> ndarray:
        y = self._a.squeeze(axis)
        return self if y.ndim == self.ndim else ndarray(y, self)

    def view(self, dtype: Any = None, type: Any = None) -> ndarray:
        return ndarray(self._a.view(*(() if dtype is None else (dtype,))), self)

    @_work
    def fill(self, value: Any) -> None:
        self._a.fill(_host(value) if isinstance(value, ndarray) else value)


def _cast(a: Any, dtype: np.dtype[Any]) -> Any:
    if strict and a.dtype.kind == "f" and dtype.kind in "iu" and a.size:
        info = np.iinfo(dtype)
        if not np.isfinite(a).all() or a.min() < info.min - 1 or a.max() > info.max + 1:
            raise EmulationError(f"a float that does not fit {dtype}: a GPU gives another integer than a CPU")
    with np.errstate(all="ignore"):
        return a.astype(dtype, copy=False)


def _method(name: str) -> Any:
    @_work
    def call(self: ndarray, *args: Any, **options: Any) -> Any:
        _check("method", name, args, options)
        out = options.pop("out", None)
        if out is not None:
            options["out"] = out._a
        if options.get("keepdims", 0) is None:
            del options["keepdims"]
        with np.errstate(all="ignore"):
            y = getattr(self._a, name)(*map(_host, args), **{k: _host(v) for k, v in options.items()})
        return out if out is not None else _wrap(y, (self,))

    return call


for _name in API["method"]:
    if _name not in vars(ndarray) and hasattr(np.ndarray, _name):
        setattr(ndarray, _name, _method(_name))


def _operator(name: str, function: str) -> None:
    def forward(self: ndarray, other: Any) -> Any:
        if getattr(other, "__array_ufunc__", 0) is None:
            return NotImplemented
        return _get(function)(self, other)

    def backward(self: ndarray, other: Any) -> Any:
        return _get(function)(other, self)

    def inplace(self: ndarray, other: Any) -> ndarray:
        return _ufunc(function)(self, other, out=self)

    setattr(ndarray, f"__{name}__", forward)
    if name not in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(ndarray, f"__r{name}__", backward)
        if name != "matmul":
            setattr(ndarray, f"__i{name}__", inplace)


for _name, _function in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "left_shift", "rshift": "right_shift", "matmul": "matmul", "eq": "equal", "ne": "not_equal",
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
}.items():  # fmt: skip
    _operator(_name, _function)
for _name, _function in {"neg": "negative", "abs": "absolute", "invert": "invert", "pos": "positive"}.items():
    setattr(ndarray, f"__{_name}__", lambda self, _f=_function: _ufunc(_f)(self))


# ---------------------------------------------------------------------------------------------------------- functions


def asarray(a: Any, dtype: Any = None, order: Any = None, *, blocking: bool = False) -> ndarray:
    """Data of either world on the GPU; one that is there already as it is."""
    return array(a, dtype, None, "K" if order is None else order)


@_work
def array(
    obj: Any,
    dtype: Any = None,
    copy: Any = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    if isinstance(obj, ndarray):
        made = np.array(_cast(obj._a, np.dtype(dtype or obj.dtype)), copy=copy, order=order, ndmin=ndmin)
        return obj if made is obj._a else _wrap(made, (obj,), keep=True)
    _refuse_in_capture("a copy from the CPU")
    traffic["to device"] += 1
    if isinstance(obj, (list, tuple)) and any(isinstance(o, ndarray) for o in obj):
        return stack([asarray(o) for o in obj])  # type: ignore[name-defined]  # noqa: F821
    made = np.array(obj, order=order, ndmin=ndmin)
    return ndarray(_cast(made, _supported(made.dtype if dtype is None else dtype)))


@_work
def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    x = asarray(a, dtype)
    return x if x.flags.c_contiguous else ndarray(np.array(x._a, order="C"))


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> Any:
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a, order=order)


@_work
def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return ndarray(_poisoned(np.empty(shape, _supported(dtype), order)))


@_work
def empty_like(prototype: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    return ndarray(_poisoned(np.empty_like(_host(prototype), dtype=dtype, order=order, shape=shape)))


def _poisoned(a: Any) -> Any:
    a[...] = (
        math.nan
        if a.dtype.kind in "fc"
        else 0
        if a.dtype.kind == "b"
        else -(1 << 7) + 1
        if a.dtype.kind == "i"
        else 0x7F
    )
    return a


def get_array_module(*args: Any) -> Any:
    import sys

    return sys.modules[__name__] if any(isinstance(a, ndarray) for a in args) else np


def shape(a: Any) -> Any:
    return a.shape if isinstance(a, ndarray) else np.shape(a)


@_work
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    np.copyto(dst._a, _host(src), casting, where=True if where is None else _host(where))


_KEEP = {"zeros_like", "ones_like", "full_like", "copy"}  # order="K"
_ours = {k: v for k, v in list(globals().items()) if k in API["function"] and callable(v)}


@functools.cache
def _ufunc(name: str) -> ufunc:
    return ufunc(name)


@functools.cache
def _get(path: str) -> Any:
    """CuPy's function of that name."""
    name = path.rpartition(".")[2]
    if path in _ours:
        return _ours[path]
    if path in API["ufunc"]:
        return _ufunc(path)
    if path not in API["function"]:
        raise AttributeError(f"cupy has no {path!r}")
    function = operator.attrgetter(path)(np)

    @_work
    def call(*args: Any, **options: Any) -> Any:
        if path in ("matmul", "dot", "tensordot", "vdot", "inner", "einsum"):
            _refuse_in_capture(f"{path}, which calls cuBLAS,")
        _check("function", path, args, options)
        out = options.pop("out", None)
        if out is not None:
            options["out"] = _host(out)
        with np.errstate(all="ignore"):
            y = function(
                *map(_host, args), **{k: _host(v) for k, v in options.items() if not (k == "keepdims" and v is None)}
            )
        return out if out is not None else _wrap(y, args, name in _KEEP)

    call.__name__ = name
    return call


class _Space:
    """A part of CuPy, such as `cupy.lib.stride_tricks`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        return _get(f"{self._path}.{name}")


linalg = _Space("linalg")
lib = SimpleNamespace(stride_tricks=_Space("lib.stride_tricks"))


class _Special:
    """`cupyx.scipy.special`, run by SciPy."""

    def __getattr__(self, name: str) -> Any:
        from scipy import special as scipys

        return lambda *args: _wrap(np.asarray(getattr(scipys, name)(*map(_host, args))))


special = _Special()


def __getattr__(name: str) -> Any:
    if name.startswith("_") and name != "__version__":
        raise AttributeError(name)
    if name in API["ufunc"] or name in API["function"]:
        return _get(name)
    if name in (
        "float16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "bool_",
        "dtype",
        "newaxis",
        "inf",
        "nan",
        "pi",
        "intp",
        "finfo",
        "iinfo",
    ):
        return getattr(np, name)
    raise AttributeError(f"module 'cupy' has no attribute {name!r}")


# ---------------------------------------------------------------------------------------------------- the GPU itself


class _Device:
    def __init__(self, id: int = 0) -> None:
        self.id = id

    def __enter__(self) -> _Device:
        return self

    def __exit__(self, *error: object) -> None: ...

    def use(self) -> None: ...

    def synchronize(self) -> None: ...

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Device) and other.id == self.id


cuda = SimpleNamespace(
    Device=_Device,
    Stream=Stream,
    Graph=Graph,
    get_current_stream=Stream,
    is_available=lambda: True,
    runtime=SimpleNamespace(getDeviceCount=lambda: 1),
)
__version__ = next(iter(API["version"]))
