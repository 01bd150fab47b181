"""Arithmetic of two arrays of the same shape: y = a + b, a - b or a b, element by element.

    a, b, y   all of one shape, of any rank; a number that is repeated for many elements has a stride of 0

    ARITHMETIC(op, a, b, out=None) -> y       op: "add", "sub" or "mul"

If `out` is given, the result is written into it; it may be a or b itself. The time of a sum of two large arrays is the
time to read and write memory. NumPy uses one thread, and one thread cannot use the whole bandwidth of the memory.
"""

from __future__ import annotations

import operator

import numpy as np

from .arrays import Array, as_array
from .cuda import able, launch_each, scalar
from .dispatch import Table
from .layout import empty, empty_as, lies_channels_last, lies_in_order, packed
from .runs import ADD, MUL, SUB, as_runs, elementwise

_FEW = 1 << 14  # for an array of fewer values, waking threads costs more than it saves

_OPERATORS = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
_UFUNCS = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
_NUMBERS = {"add": ADD, "sub": SUB, "mul": MUL}


def arithmetic_python(op: str, a: Array, b: Array, out: Array | None = None) -> Array:
    """The definition."""
    y = np.empty(a.shape, a.dtype) if out is None else out
    for place in np.ndindex(*a.shape):
        y[place] = _OPERATORS[op](a[place], b[place])
    return y


def arithmetic_numpy(op: str, a: Array, b: Array, out: Array | None = None) -> Array:
    """NumPy's own add, subtract and multiply."""
    y: Array = _UFUNCS[op](a, b, out=out)
    return y if y.ndim else as_array(y)  # NumPy gives a scalar for arrays of rank 0


def arithmetic_numba(op: str, a: Array, b: Array, out: Array | None = None) -> Array:
    """Parallel over runs of memory (`runs.py`); NumPy where the arrays are small, or have no runs."""
    if a.size < _FEW or not (a.dtype == b.dtype and a.dtype.char in "fd" and a.flags.aligned and b.flags.aligned):
        return arithmetic_numpy(op, a, b, out)
    y = out
    if y is not None and not (y.dtype == a.dtype and y.flags.writeable and y.flags.aligned and _apart(y, a, b)):
        return arithmetic_numpy(op, a, b, out)
    if op != "sub" and (y is b or (y is not a and 0 in a.strides)):  # a + b is b + a; only b may be repeated
        a, b = b, a
    if y is None:
        last = lies_channels_last(a)
        if not (last or a.flags.c_contiguous or lies_in_order(a)):
            return arithmetic_numpy(op, a, b)
        y = empty(a.shape, a.dtype, last)
    runs = as_runs(y, a, b)
    if runs is None:
        return arithmetic_numpy(op, a, b, out)
    elementwise(_NUMBERS[op], a, b, y, runs)
    return y


def _apart(y: Array, a: Array, b: Array) -> bool:
    """Whether y is an array that the compiled loop may write: a or b, or memory that neither of them uses."""
    return all(x is y or not np.may_share_memory(x, y) for x in (a, b))


def arithmetic_cuda(op: str, a: Array, b: Array, out: Array | None = None) -> Array:
    """A thread for each few values: `arithmetic.cu`; NumPy's function for other types, and an `out` of other order."""
    first, second = packed(a, b)
    if not able(a, b) or a.dtype != b.dtype or (out is not None and out.strides != first.strides):
        return arithmetic_numpy(op, a, b, out)
    y = empty_as(first) if out is None else out
    launch_each("arithmetic.cu", f"{_UFUNCS[op].__name__}<{scalar(a)}>", a.size, first, second, y, a.size)
    return y


ARITHMETIC = Table(
    "arithmetic",
    {
        ("elementwise", "python"): arithmetic_python,
        ("elementwise", "numpy"): arithmetic_numpy,
        ("elementwise", "numba"): arithmetic_numba,
        ("elementwise", "cuda"): arithmetic_cuda,
    },
)
