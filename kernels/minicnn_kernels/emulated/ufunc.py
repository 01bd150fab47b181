"""Elementwise functions: the types of CuPy's table, the arithmetic of NumPy or SciPy."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from .api import API, EmulationError, supported
from .array import fresh, host, ndarray, raw, result, to_write
from .indexing import out_of_range, plain
from .values import cast, quiet

Types = tuple[np.dtype[Any], ...]

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 2}
_COMPARISONS = {
    "greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and", "logical_or"
}  # fmt: skip
_NUMBERS = (bool, int, float, complex)
_SCATTERED = {  # the types of `ufunc.at`, by what CuPy's scatter kernels do
    "add": "iIlLqQefd", "sub": "iI", "max": "iIlLqQfd", "min": "iIlLqQfd", "and": "iIlLqQ", "or": "iIlLqQ",
    "xor": "iIlLqQ",
}  # fmt: skip


def _floor_divide(a: Any, b: Any, order: str) -> Any:
    return np.floor(np.divide(a, b, order="C")) if a.dtype.kind == "f" else np.floor_divide(a, b, order="C")


def _remainder(a: Any, b: Any, order: str) -> Any:
    return a - _floor_divide(a, b, order) * b if a.dtype.kind == "f" else np.remainder(a, b, order="C")


_BY_DIVISION = {  # floats: CuPy divides, NumPy computes the exact remainder, another one for Inf and large quotients
    "divmod": lambda a, b, order: (_floor_divide(a, b, order), _remainder(a, b, order)),
    "floor_divide": _floor_divide,
    "mod": _remainder,
    "remainder": _remainder,
}


class ufunc:
    """An elementwise function of CuPy."""

    def __init__(self, name: str, kind: str = "ufunc") -> None:
        nin, self._scatter, *loops = API[kind][name]
        self.__name__, self.name, self.nin = name, f"cupy_{name}", int(nin)
        self.types = loops
        self._loops = [_parse(loop) for loop in loops]
        self._by_dtype = [_parse(loop) for loop in API["by_dtype"].get(name, loops)]
        self.nout = len(self._loops[0][1])
        self.nargs = self.nin + self.nout
        self._special = kind == "special"
        self._known: dict[Any, tuple[Types, Types]] = {}

    @functools.cached_property
    def _compute(self) -> Any:
        """The function of NumPy or SciPy."""
        space: Any = importlib.import_module("scipy.special") if self._special else np
        found = getattr(space, self.__name__, None)
        if found is None:
            raise NotImplementedError(f"{self.__name__} is not emulated: {space.__name__} has none of that name")
        if self.__name__ in _BY_DIVISION:
            return _BY_DIVISION[self.__name__]
        return found if isinstance(found, np.ufunc) else lambda *args, order: found(*args)

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: Any = "same_kind", **more: Any) -> Any:
        """The results of the inputs, in new arrays or in `out`."""
        if more:
            raise TypeError(f"Wrong arguments {more}")
        if len(args) != self.nin:
            args, out = self._split(args, out)
        values, key = [], []
        for a in args:
            if type(a) is ndarray:
                a = host(a)
                values.append(a)
                key.append(a.dtype.num)
            else:
                values.append(a)
                key.append(_kind(a))
        known = tuple(key) if dtype is None else np.dtype(dtype)
        found = self._known.get(known)
        if found is None:
            found = self._known[known] = self.loop(args) if dtype is None else self._loop_of(supported(dtype))
        for i, kind in enumerate(found[0]):
            v = values[i]
            if type(v) is not np.ndarray:
                values[i] = kind.type(v)
            elif v.dtype is not kind:
                values[i] = v.astype(kind, copy=False)
        if out is not None:
            return self._into(values, out, found, casting)
        try:
            y = quiet(self._compute, *values, order="C")
        except np._core._exceptions._UFuncNoLoopError:  # type: ignore[attr-defined]
            y = quiet(self._compute, *[v.astype(found[1][0]) for v in values], order="C")
        if self.nout > 1:
            return tuple(fresh(np.asarray(part, kind)) for part, kind in zip(y, found[1], strict=True))
        return fresh(np.asarray(y, found[1][0]))

    def _split(self, args: tuple[Any, ...], out: Any) -> tuple[tuple[Any, ...], Any]:
        """Inputs, and the outputs among the positional arguments."""
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(
                f"Wrong number of arguments for {self.name!r}. It must be either {self.nin} or {self.nargs} "
                f"(with outputs), but given {len(args)}."
            )
        if out is not None:
            raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
        return args[: self.nin], args[self.nin :]

    def _into(self, values: list[Any], out: Any, found: tuple[Types, Types], casting: Any) -> Any:
        """Compute into arrays of the caller."""
        outs = out if type(out) is tuple else (out,)
        if len(outs) != self.nout:
            raise ValueError("The 'out' tuple must have exactly one entry per ufunc output")
        for o, kind in zip(outs, found[1], strict=True):
            if type(o) is not ndarray:
                raise TypeError("Output arguments type must be cupy.ndarray")
            if not np.can_cast(kind, o.dtype, casting):
                raise TypeError(f"output operand requires a cast from {kind} to {o.dtype}, not allowed by {casting!r}")
            if o.shape != np.broadcast_shapes(o.shape, *map(np.shape, values)):
                raise ValueError("Out shape is mismatched")
            to_write(o)
        y = quiet(self._compute, *values, order="C")
        for o, part in zip(outs, y if type(y) is tuple else (y,), strict=True):
            np.copyto(o._a, cast(np.asarray(part), o.dtype))
        return outs if self.nout > 1 else outs[0]

    def loop(self, args: Sequence[Any]) -> tuple[Types, Types]:
        """The types to compute with: the first loop to which all operands can be cast safely.

        A Python number counts by its kind only, if an array or a NumPy scalar of that kind or a higher one is there.

        Raises:
            TypeError: there is none.
        """
        kinds = [_dtype(a) for a in args]
        weak = [type(a) if type(a) in _NUMBERS[1:] else None for a in args]
        if self.__name__ in _COMPARISONS:  # an integer that is too large for the array's type is compared as it is
            for i, other in ((0, 1), (1, 0)):
                if weak[i] is int and weak[other] is None and kinds[other].kind in "iu":
                    weak[i] = None
        strong = [_KINDS[k.kind] for k, w in zip(kinds, weak, strict=True) if w is None]
        if not strong or max((_KINDS[k.kind] for k, w in zip(kinds, weak, strict=True) if w), default=0) > max(strong):
            weak = [None] * len(args)
        for ins, outs, raises in self._loops:
            if all(_fits(k, w, loop) for k, w, loop in zip(kinds, weak, ins, strict=True)):
                if raises:
                    break
                return ins, outs
        raise TypeError(f"Wrong type ({tuple(kinds)}) of arguments for {self.name}")

    def _loop_of(self, dtype: np.dtype[Any]) -> tuple[Types, Types]:
        """The types to compute with for a type of the result that the caller named."""
        for ins, outs, raises in self._by_dtype:
            if not raises and all(o == dtype for o in outs):
                return ins, outs
        raise TypeError(f"Wrong type ({dtype}) of arguments for {self.name}")

    # --------------------------------------------------------------------------------------- methods of NumPy's ufuncs

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """a[indices] = f(a[indices], b), where an index may come up several times; CuPy has it for few functions."""
        if self._scatter == "-":
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        if isinstance(b, (np.ndarray, list, tuple)):
            raise EmulationError(f"{self.__name__}.at: values from the CPU, which CuPy would copy; use asarray")
        index, arrays = plain(indices)
        if not arrays:
            part = to_write(a)[index]
            part[...] = quiet(self._compute, part, host(b))
            return
        if a.dtype.char not in _SCATTERED[self._scatter]:
            raise TypeError(f"cupy.{self.__name__}.at does not support {a.dtype}")
        values = cast(host(b), a.dtype) if isinstance(b, ndarray) else np.asarray(b, a.dtype)
        try:
            self._compute.at(to_write(a), index, values)
        except IndexError as error:
            raise out_of_range(error) from None

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Sum or product along axes; CuPy has no other."""
        self._only("reduce", "add", "multiply")
        return (array.sum if self.__name__ == "add" else array.prod)(axis, dtype, out, keepdims)

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """Running sum or product along an axis; CuPy has no other."""
        self._only("accumulate", "add", "multiply")
        return (array.cumsum if self.__name__ == "add" else array.cumprod)(axis, dtype, out)

    def reduceat(self, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """Sums between indices; CuPy has no other."""
        self._only("reduceat", "add")
        if not isinstance(indices, ndarray):
            raise EmulationError("add.reduceat: indices from the CPU, which CuPy would copy; use asarray")
        return result(np.add.reduceat(host(array), host(indices), axis, dtype, host(out)))

    def _only(self, method: str, *names: str) -> None:
        if self.__name__ not in names:
            raise NotImplementedError(f"`{self.name}.{method}` is not supported yet")

    def outer(self, A: ndarray, B: ndarray, **options: Any) -> Any:
        """f for all pairs of an element of A and one of B."""
        a, b = raw(A), raw(B)
        return self(fresh(a.reshape(a.shape + (1,) * b.ndim)), B, **options)

    def __repr__(self) -> str:
        return f"<ufunc '{self.name}'>"


def _parse(loop: str) -> tuple[Types, Types, bool]:
    ins, outs = loop.removeprefix("!").split("->")
    return tuple(map(np.dtype, ins)), tuple(map(np.dtype, outs)), loop[0] == "!"


def _kind(a: Any) -> Any:
    """What the types of a call depend on, of an operand that is no array."""
    kind = type(a)
    return "large" if kind is int and a >= 1 << 63 else kind


def _dtype(a: Any) -> np.dtype[Any]:
    kind = type(a)
    if kind is ndarray or isinstance(a, np.generic):
        return supported(a.dtype)
    if kind not in _NUMBERS:
        raise TypeError(f"Unsupported type {kind} among arrays on a GPU; asarray takes it there")
    return np.dtype(np.uint64 if kind is int and a >= 1 << 63 else kind)


def _fits(kind: np.dtype[Any], weak: Any, loop: np.dtype[Any]) -> bool:
    """Whether an operand may be cast to the type of a loop."""
    return np.can_cast(kind, loop) or (weak is not None and np.result_type(weak(0), loop) == loop)


@functools.cache
def get_ufunc(name: str) -> ufunc:
    """CuPy's elementwise function of that name."""
    return ufunc(name)


@functools.cache
def get_special(name: str) -> ufunc:
    """The elementwise function of that name in `cupyx.scipy.special`."""
    return ufunc(name, "special")
