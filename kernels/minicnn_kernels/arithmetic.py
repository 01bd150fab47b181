"""Arithmetic of two arrays of the same shape: y = a + b, a - b or a b, element by element.

    a, b, y   all of one shape, of any rank

    ARITHMETIC(op, a, b, out=None) -> y       op: "add", "sub" or "mul"

If `out` is given, the result is written into it; it may be a or b itself. The time of a sum of two large arrays is the
time to read and write memory. NumPy uses one thread, and one thread cannot use the whole bandwidth of the memory.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .arrays import Array, as_array
from .cuda import able, launch_each, scalar
from .dispatch import Table
from .layout import empty, empty_as, flat, is_channels_last, packed
from .runtime import njit, parallel, prange, threads

_FEW = 1 << 14  # for an array of fewer values, waking threads costs more than it saves

_OPERATORS = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
_UFUNCS = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
_NUMBERS = {"add": 0, "sub": 1, "mul": 2}
_INTO = 3  # added to the number where y is a: a loop that names two arrays for one memory would not be vectorised


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


@njit()
def _share(t: Any, shares: int, op: int, a: Array, b: Array, y: Array) -> None:
    i0, i1 = t * y.size // shares, (t + 1) * y.size // shares
    a, b, y = a[i0:i1], b[i0:i1], y[i0:i1]
    if op == 0:
        for i in range(y.size):
            y[i] = a[i] + b[i]
    elif op == 1:
        for i in range(y.size):
            y[i] = a[i] - b[i]
    elif op == 2:
        for i in range(y.size):
            y[i] = a[i] * b[i]
    elif op == _INTO:
        for i in range(y.size):
            y[i] += b[i]
    elif op == _INTO + 1:
        for i in range(y.size):
            y[i] -= b[i]
    else:
        for i in range(y.size):
            y[i] *= b[i]


@njit(parallel=True)
def _arithmetic(shares: int, op: int, a: Array, b: Array, y: Array) -> None:
    for t in prange(shares):
        _share(np.intp(t), shares, op, a, b, y)


def arithmetic_numba(op: str, a: Array, b: Array, out: Array | None = None) -> Array:
    """Parallel over runs of memory; NumPy where the arrays are small or differ in their order of memory."""
    y = out
    dense = a.flags.c_contiguous or is_channels_last(a)
    if not dense or a.size < _FEW or a.strides != b.strides or (y is not None and y.strides != a.strides):
        return arithmetic_numpy(op, a, b, out)
    if y is None:
        y = empty(a.shape, a.dtype, is_channels_last(a))
    if y is b and y is not a and op != "sub":  # a + b is b + a
        a, b = b, a
    with parallel():
        _arithmetic(threads(), _NUMBERS[op] + (_INTO if y is a else 0), flat(a), flat(b), flat(y))
    return y


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
