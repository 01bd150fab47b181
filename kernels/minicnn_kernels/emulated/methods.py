"""The operators and methods of `ndarray`: it is whole when this file was imported."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from . import own
from .api import API, check_arguments
from .array import anywhere, fresh, host, is_view, ndarray, raw, result, to_write
from .functions import array, get_function
from .indexing import getitem, setitem
from .traffic import wait
from .ufunc import get_special, get_ufunc
from .values import quiet

__all__ = ["ndarray"]

BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
    "lshift": "left_shift", "rshift": "right_shift", "divmod": "divmod",
}  # fmt: skip
COMPARISONS = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
}  # fmt: skip
COMPARED = set(COMPARISONS.values())
UNARY = {"neg": "negative", "abs": "absolute", "invert": "invert", "pos": "positive"}
NUMBERS = {int, float, bool, complex}
REDUCTIONS = {"all", "any", "max", "mean", "min", "prod", "std", "sum", "var"}
VIEWS = {"ravel", "reshape", "swapaxes", "transpose"}  # of arrays on any device
LAYOUT = {"reshape", "swapaxes", "transpose"}  # whose arguments CuPy reads on the host
WAITING = {"choose", "compress", "put"}


def _binary(name: str, function: Any, places: str) -> None:
    """x + y, y + x and x += y of an elementwise function."""

    def forward(self: ndarray, other: Any) -> Any:
        kind = type(other)
        if kind is ndarray or kind in NUMBERS or isinstance(other, np.generic):
            return function(self, other)
        return NotImplemented if _gives_way(other) else getattr(np, function.__name__)(self, other)

    def backward(self: ndarray, other: Any) -> Any:
        return function(other, self) if _is_operand(other) else NotImplemented

    def inplace(self: ndarray, other: Any) -> ndarray:
        return function(self, other, self)

    for prefix, method in (("", forward), ("r", backward), ("i", inplace)):
        if prefix in places.split(","):
            setattr(ndarray, f"__{prefix}{name}__", method)


def _unary(function: Any) -> Any:
    return lambda self: function(self)


def _gives_way(other: Any) -> bool:
    """Whether the other operand's method is to be called."""
    missing = object()
    ufuncs = getattr(other, "__array_ufunc__", missing)
    if ufuncs is missing:
        return bool(getattr(other, "__array_priority__", 0) > ndarray.__array_priority__)
    return ufuncs is None


def _is_operand(x: Any) -> bool:
    return type(x) in NUMBERS or isinstance(x, (ndarray, np.generic, np.ndarray))


def _method(name: str) -> Any:
    waits, reduces, layout = name in WAITING, name in REDUCTIONS, name in LAYOUT
    start = to_write if name == "put" else anywhere if name in VIEWS else raw
    compute = getattr(np.ndarray, name)

    def call(self: ndarray, *args: Any, **options: Any) -> Any:
        check_arguments("method", name, args, options)
        if waits:
            wait(f"ndarray.{name}")
        a, out = start(self), options.pop("out", None)
        values = list(args if layout else map(host, args))
        named = {k: host(v) for k, v in options.items() if not (k == "keepdims" and v is None)}
        if out is not None:
            named["out"] = to_write(out)
        y = quiet(compute, a, *values, **named)
        if out is not None:
            return out
        if reduces:
            return fresh(np.asarray(y, order="C"))
        if start is anywhere and not is_view(y, a):
            raw(self)  # a copy is work, which has to be on the current device
        return result(y, (self,))

    call.__name__ = name
    return call


def _iterate(self: Any) -> Any:
    if not self.ndim:
        raise TypeError("iteration over a 0-d array")
    return (self[i] for i in range(len(self)))


def _power(self: ndarray, other: Any) -> Any:
    """x**y, with CuPy's short ways for some numbers."""
    kind = self.dtype.kind
    if type(other) in (int, float) and other == 2:
        exact = kind in ("ifc" if type(other) is int else "fc")
        return get_ufunc("square")(self, dtype=None if exact else np.result_type(self.dtype, other))
    if type(other) is float and other in (0.5, -1.0):
        short = get_ufunc("sqrt" if other == 0.5 else "reciprocal")
        return short(self, dtype=None if kind in "fc" else np.result_type(self.dtype, other))
    return _general_power(self, other)


def _array_ufunc(self: ndarray, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """NumPy's and SciPy's elementwise functions of emulated arrays."""
    found = _elementwise(function)
    if found is not None and method != "__call__":
        found = getattr(found, method, None)
    if found is None:
        return NotImplemented
    if "out" in options:
        if len(options["out"]) != 1:
            raise ValueError("The 'out' parameter must have exactly one array value")
        options["out"] = options["out"][0]
        if not _is_operand(options["out"]):
            return NotImplemented
    for x in inputs:
        if type(x) is not ndarray and not _is_operand(x):
            return NotImplemented
    if function.__name__ in COMPARED:
        inputs = tuple(x.item() if isinstance(x, np.ndarray) and not x.ndim else x for x in inputs)
    return found(*inputs, **options)


@functools.cache
def _elementwise(function: Any) -> Any:
    """CuPy's function of the name of one of NumPy's or SciPy's, or None."""
    name = function.__name__
    if name in API["ufunc"] or name in API["function"]:
        return get_function(name)
    return get_special(name) if name in API["special"] else None


def _array_function(self: ndarray, function: Any, types: Any, args: Any, options: Any) -> Any:
    """NumPy's other functions of emulated arrays."""
    if any(not issubclass(t, (ndarray, np.ndarray)) for t in types):
        return NotImplemented
    found = _of_numpy(function)
    return NotImplemented if found is None else found(*args, **options)


@functools.cache
def _of_numpy(function: Any) -> Any:
    """CuPy's function of the name and place of one of NumPy's, or None."""
    try:
        return get_function(".".join([*function.__module__.split(".")[1:], function.__name__]))
    except AttributeError:
        return None


def _argmax(self: ndarray, axis: Any = None, out: Any = None, dtype: Any = None, keepdims: bool = False) -> ndarray:
    return own.argmax(self, axis, dtype, out, keepdims)


def _argmin(self: ndarray, axis: Any = None, out: Any = None, dtype: Any = None, keepdims: bool = False) -> ndarray:
    return own.argmin(self, axis, dtype, out, keepdims)


def _clip(self: ndarray, min: Any = None, max: Any = None, out: Any = None) -> ndarray:
    return own.clip(self, min, max, out)


def _reduce(self: ndarray) -> Any:
    return array, (self.get(order="A"),)


for _name, _function in BINARY.items():
    _binary(_name, get_ufunc(_function), ",r" if _name == "divmod" else ",r,i")
for _name, _function in COMPARISONS.items():
    _binary(_name, get_ufunc(_function), "")
_binary("matmul", get_function("matmul"), ",r")
for _name, _function in UNARY.items():
    setattr(ndarray, f"__{_name}__", _unary(get_ufunc(_function)))
_general_power = ndarray.__pow__  # type: ignore[operator]
for _name, _value in {
    "pow": _power, "iter": _iterate, "getitem": getitem, "setitem": setitem, "reduce": _reduce,
    "array_ufunc": _array_ufunc, "array_function": _array_function,
}.items():  # fmt: skip
    setattr(ndarray, f"__{_name}__", _value)
for _name, _value in {
    "argmax": _argmax, "argmin": _argmin, "argpartition": own.argpartition, "argsort": own.argsort, "clip": _clip,
    "conj": own.conjugate, "conjugate": own.conjugate, "cumprod": own.cumprod, "cumsum": own.cumsum,
    "diagonal": own.diagonal, "nonzero": own.nonzero, "partition": own.partition_in_place, "sort": own.sort_in_place,
    "take": own.take,
}.items():  # fmt: skip
    setattr(ndarray, _name, _value)
for _name in API["method"]:
    if _name not in vars(ndarray) and hasattr(np.ndarray, _name):
        setattr(ndarray, _name, _method(_name))
