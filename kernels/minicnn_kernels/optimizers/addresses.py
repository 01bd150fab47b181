"""Many tensors in one compiled call: arrays made of addresses, and the shares of the work on them.

Handing an array from Python to compiled code takes a quarter of a microsecond, more than the arithmetic on a bias. So a
compiled update is handed tables of addresses instead, and makes arrays of them itself; `weights.py` fills the tables:

    like                       an array of the type of the tensors
    table (2 + arrays, K)      of each of K tensors: how many elements it has, how many those before it have, the
                               address of x, and those of its buffers
    spans (2, all arrays)      where each array that is written to begins, in ascending order, and where those up to
                               it end
    gradients (K)              their addresses
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ..arrays import Array
from ..runtime import njit


def _memory(address: int, size: int, like: Array) -> Array:
    """The 1-d array of the type of `like` that begins at an address. In ctypes; compiled, an intrinsic."""
    kind: Any = ctypes.c_char * int(size * like.itemsize)
    return np.frombuffer(kind.from_address(int(address)), like.dtype)


@njit(error_model="numpy")
def memory(address: int, first: int, count: int, like: Array) -> Array:
    """`count` elements, from number `first` on, of the array that begins at an address."""
    return _memory(address + first * like.itemsize, count, like)


@njit(error_model="numpy")
def part(t: Any, chunks: int, table: Array, k: int) -> tuple[int, int]:
    """Which elements of tensor k are in share t: the first, and how many.

    The elements of all tensors, one tensor after the other, are cut into shares of one length.
    """
    total = table[0, -1] + table[1, -1]
    first = max(t * total // chunks - table[1, k], 0)
    return first, min((t + 1) * total // chunks - table[1, k], table[0, k]) - first


@njit()
def are_apart(like: Array, table: Array, spans: Array, gradients: Array) -> bool:
    """Whether no gradient overlaps what is written, nor lies between the places of numbers."""
    for k in range(table.shape[1]):
        begin, end = gradients[k], gradients[k] + table[0, k] * like.itemsize
        before = np.searchsorted(spans[0], end) - 1  # the last array that begins before the end of the gradient
        if begin % like.itemsize != 0 or (before >= 0 and spans[1, before] > begin):
            return False
    return True


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
