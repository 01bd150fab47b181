"""The update rules that nets are trained with most, as compiled loops, and one call that runs a loop over many tensors.

A loop does to the element i of its arrays what the rule of its optimiser does to pieces of them, in the same order of
operations, so that the numbers are the same to the bit. The gradient comes as it is: `sign`, -1 where maximize is set,
and `decay`, the weight decay that is added to it, are the loop's to apply.

Handing an array from Python to compiled code takes a quarter of a microsecond, more than the arithmetic on a bias. So
the call is handed tables of addresses instead, and makes arrays of them itself; `together.py` fills the tables.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from minicnn_kernels.runtime import njit, parallel, prange, threads

from ..tensor import Array

U = np.uintp
LARGE = 1 << 15  # elements from which on waking the threads, about 5 microseconds, pays
DESCEND, MOMENTUM, ADAM = range(3)  # the loops


@njit(error_model="numpy")
def _descend(x: Array, g: Array, numbers: Array) -> None:
    """x -= lr * g."""
    kind, decay = x.dtype.type, numbers[2]
    lr_, sign_, decay_ = kind(numbers[0]), kind(numbers[1]), kind(decay)
    for i in range(U(x.size)):
        d = sign_ * g[i]
        d = d + decay_ * x[i] if decay != 0 else d  # no decay of an infinite x is no NaN
        x[i] -= lr_ * d


@njit(error_model="numpy")
def _momentum(x: Array, g: Array, b: Array, numbers: Array) -> None:
    """SGD with momentum."""
    kind, decay, nesterov = x.dtype.type, numbers[2], numbers[5] != 0
    lr_, sign_, decay_ = kind(numbers[0]), kind(numbers[1]), kind(decay)
    momentum_, gain_ = kind(numbers[3]), kind(numbers[4])
    for i in range(U(x.size)):
        d = sign_ * g[i]
        d = d + decay_ * x[i] if decay != 0 else d
        mean = momentum_ * b[i] + gain_ * d
        b[i] = mean
        x[i] -= lr_ * (d + momentum_ * mean if nesterov else mean)


@njit(error_model="numpy")
def _adam(x: Array, g: Array, m: Array, v: Array, numbers: Array) -> None:
    """Adam without amsgrad."""
    kind, decay = x.dtype.type, numbers[1]
    sign_, decay_, shrink_, gain1_ = kind(numbers[0]), kind(decay), kind(numbers[2]), kind(numbers[3])
    decay2_, gain2_ = kind(numbers[4]), kind(numbers[5])
    size_, scale_, eps_ = kind(numbers[6]), kind(numbers[7]), kind(numbers[8])
    for i in range(U(x.size)):
        d = sign_ * g[i]
        d = d + decay_ * x[i] if decay != 0 else d
        m[i] += gain1_ * (d - m[i])
        v[i] = v[i] * decay2_ + gain2_ * d * d
        x[i] = shrink_ * x[i] - m[i] / (np.sqrt(v[i]) / scale_ + eps_) * size_


def _memory(address: int, size: int, like: Array) -> Array:
    """The 1-d array of the type of `like` that begins at an address. In ctypes; compiled, an intrinsic."""
    kind: Any = ctypes.c_char * int(size * like.itemsize)
    return np.frombuffer(kind.from_address(int(address)), like.dtype)


@njit(error_model="numpy")
def _share(
    t: Any, chunks: int, loop: int, like: Array, table: Array, gradients: Array, which: Array, numbers: Array
) -> None:
    # The elements of all tensors, one tensor after the other, are cut into shares of one length
    total = table[0].sum()
    begin, end = t * total // chunks, (t + 1) * total // chunks
    for k in range(table.shape[1]):
        size = table[0, k]
        first, last = max(begin, 0), min(end, size)
        begin, end = begin - size, end - size  # as seen from the next tensor
        count, skip = last - first, first * like.itemsize
        if count > 0:
            x, g = _memory(table[1, k] + skip, count, like), _memory(gradients[k] + skip, count, like)
            if loop == DESCEND:
                _descend(x, g, numbers[which[k]])
            else:
                m = _memory(table[2, k] + skip, count, like)
                if loop == MOMENTUM:
                    _momentum(x, g, m, numbers[which[k]])
                else:
                    _adam(x, g, m, _memory(table[3, k] + skip, count, like), numbers[which[k]])


@njit()
def _apart(like: Array, table: Array, gradients: Array, spans: Array) -> bool:
    # Whether no gradient overlaps what is written, nor lies between the places of numbers
    for k in range(table.shape[1]):
        begin, end = gradients[k], gradients[k] + table[0, k] * like.itemsize
        before = np.searchsorted(spans[0], end) - 1  # the last array that begins before the end of the gradient
        if begin % like.itemsize != 0 or (before >= 0 and spans[1, before] > begin):
            return False
    return True


@njit()
def _all(loop: int, like: Array, table: Array, spans: Array, gradients: Array, which: Array, numbers: Array) -> bool:
    apart = _apart(like, table, gradients, spans)
    if apart:
        _share(0, 1, loop, like, table, gradients, which, numbers)
    return apart


@njit(parallel=True)
def _shares(
    chunks: int, loop: int, like: Array, table: Array, spans: Array, gradients: Array, which: Array, numbers: Array
) -> bool:
    apart = _apart(like, table, gradients, spans)
    for t in prange(chunks * apart):
        _share(np.intp(t), chunks, loop, like, table, gradients, which, numbers)
    return apart


def run(loop: int, total: int, *arrays: Array) -> bool:
    """Run a loop over all tensors at once. False, and nothing done, where a gradient overlaps what the loop writes:
    then it matters which tensor comes first.

    Args:
        loop: DESCEND, with numbers lr, sign, decay; MOMENTUM, with momentum, gain, nesterov after these; or ADAM, with
            sign, decay, shrink, gain1, decay2, gain2, size, scale, eps.
        total: the elements of all tensors.
        arrays: one after the other,
            like: an array of the type of the tensors.
            table (1 + arrays, tensors): how many elements a tensor has, the address of x, and those of its buffers.
            spans (2, all arrays): where each array that a step writes to begins, in ascending order, and where those
                up to it end.
            gradients (tensors): their addresses.
            which (tensors): which row of numbers is for the tensor.
            numbers (rows, numbers): see `loop`.
    """
    with parallel():
        return _all(loop, *arrays) if total < LARGE else _shares(threads(), loop, *arrays)


def before_compiling() -> None:
    """Put the intrinsic in the place of `_memory`; `runtime` calls this when Numba is there."""
    import numba
    from numba.core import types
    from numba.extending import intrinsic
    from numba.np import arrayobj

    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return

    def memory(context: Any, address: Any, size: Any, like: Any) -> Any:
        signature = types.Array(like.dtype, 1, "C")(types.intp, types.intp, like)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            found = context.make_array(signature.return_type)(context, builder)
            one = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(like.dtype)))
            data = builder.inttoptr(args[0], found.data.type)
            arrayobj.populate_array(found, data, shape=[args[1]], strides=[one], itemsize=one, meminfo=None)
            return found._getvalue()

        return signature, generate

    globals()["_memory"] = intrinsic(memory)
