"""Many tensors in one compiled call: arrays made from addresses, and the shares of the work on them.

It takes a quarter of a microsecond to pass an array from Python to compiled code, more than the arithmetic on a bias.
So a compiled update gets tables of addresses instead, and makes arrays from them itself. `optimizers/weights.py` fills
the tables:

    like                       an array of the type of the tensors
    table (2 + arrays, K)      for each of K tensors: its number of elements, the number of elements of all tensors
                               before it, the address of x, and the addresses of its buffers
    spans (2, all arrays)      the address at which each written array begins, in ascending order, and the largest
                               address at which this array and those before it end
    gradients (K)              the addresses of the gradients
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .arrays import Array
from .runtime import njit


def _memory(address: int, size: int, like: Array) -> Array:
    """The 1-d array of the type of `like` that begins at an address. This is ctypes; compiled code has an intrinsic."""
    kind: Any = ctypes.c_char * int(size * like.itemsize)
    return np.frombuffer(kind.from_address(int(address)), like.dtype)


@njit(error_model="numpy")
def memory(address: int, first: int, count: int, like: Array) -> Array:
    """`count` elements, from number `first` on, of the array that begins at an address."""
    return _memory(address + first * like.itemsize, count, like)


@njit(error_model="numpy")
def part(t: Any, shares: int, table: Array, k: int) -> tuple[int, int]:
    """Which elements of tensor k are in share t: the first one, and how many.

    The elements of all tensors, one tensor after the other, are divided into shares of equal length.
    """
    total = table[0, -1] + table[1, -1]
    first = max(t * total // shares - table[1, k], 0)
    return first, min((t + 1) * total // shares - table[1, k], table[0, k]) - first


@njit()
def are_apart(like: Array, table: Array, spans: Array, gradients: Array) -> bool:
    """Whether no gradient overlaps an array that is written, and each gradient's address is aligned."""
    for k in range(table.shape[1]):
        begin, end = gradients[k], gradients[k] + table[0, k] * like.itemsize
        before, after = -1, spans.shape[1]  # becomes the last array that begins before the end of the gradient
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if spans[0, middle] < end else (before, middle)
        if begin % like.itemsize != 0 or (before >= 0 and spans[1, before] > begin):
            return False
    return True


def before_compiling() -> None:
    """Replace `_memory` by the intrinsic; `runtime` calls this once Numba is imported."""
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
