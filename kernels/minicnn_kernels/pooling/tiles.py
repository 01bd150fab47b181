"""Max pooling 2 of 2, tiles: windows of 2x2 in NCHW memory, a vector of them at a time, and the gradient likewise.

Windows of 2x2 with stride 2 inside the image do not overlap: each pixel is in one window, or in no window if it is in a
last row or column that is left over. A *block* is LANES windows side by side, or half as many:

    largest:   y[l], index[l] = the largest of x[2l], x[2l + 1], x[W + 2l], x[W + 2l + 1], and its place
    spread:    gx[a*W + k] = gy[k // 2] where index[k // 2] is that pixel's place, else 0        a = 0, 1; k < 2 LANES

LLVM vectorises a loop over the windows of a row only if rows are long. The rows of LeNet-5 have 14 and 5 windows, which
it computed one by one. So the blocks are written in LLVM's own language, as *intrinsics* of Numba.

**Past the end of a row.** The last block of a row runs over into the next row in memory: it reads pixels of that row,
and writes wrong results to the places of that row, which the next row then overwrites. After the last rows of a share
no row of this share follows, so these rows are left to a loop over single windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import Array, U
from ..geometry import Pool
from ..runtime import njit

LANES = 16
LEAST = 12  # with this many windows in a row, gradients in blocks are faster than clearing gx and single windows


def _plain_largest(lanes: int) -> Any:
    def block(x: Array, at: int, width: int, y: Array, index: Array, to: int, place: int) -> None:
        first = 2 * np.arange(lanes)
        offsets = np.array([[0], [1], [width], [width + 1]]) + first  # (4, lanes)
        cells, chosen = x[at + offsets], np.zeros(lanes, int)
        for k in range(1, 4):
            best = cells[chosen, range(lanes)]
            chosen = np.where((cells[k] > best) | np.isnan(cells[k]), k, chosen)
        y[to : to + lanes] = cells[chosen, range(lanes)]
        index[to : to + lanes] = place + offsets[chosen, range(lanes)]

    return block


def _plain_spread(lanes: int) -> Any:
    def block(gy: Array, index: Array, at: int, gx: Array, to: int, width: int, place: int) -> None:
        values, places = np.repeat(gy[at : at + lanes], 2), np.repeat(index[at : at + lanes], 2)
        for below in (0, width):
            there = places == place + below + np.arange(2 * lanes)
            gx[to + below : to + below + 2 * lanes] = np.where(there, values, 0)

    return block


_largest, _largest_half = _plain_largest(LANES), _plain_largest(LANES // 2)
_spread, _spread_half = _plain_spread(LANES), _plain_spread(LANES // 2)


@njit()
def _left_from(first: int, end: int, g: Pool) -> int:
    """The first of rows `first` to before `end` at which a block of windows could run over the end."""
    half = LANES // 2
    windows = (g.ow + half - 1) // half * half  # from the first of a row to the end of its last block
    return max(first, end + 1 - (windows + g.ow - 1) // g.ow)


@njit()
def largest_rows(first: int, end: int, x: Array, y: Array, index: Array, g: Pool) -> int:
    """Compute the results of the rows of windows from `first` to before `end`, counted through the batch.

    Returns the first row that is left to the caller.
    """
    left = _left_from(first, end, g)
    plane, i = first // g.oh, first % g.oh
    for row in range(first, left):
        at, to, place = (plane * g.h + 2 * i) * g.w, row * g.ow, 2 * i * g.w
        for j in range(0, g.ow, LANES):
            if g.ow - j > LANES // 2:
                _largest(x, at + 2 * j, g.w, y, index, to + j, place + 2 * j)
            else:
                _largest_half(x, at + 2 * j, g.w, y, index, to + j, place + 2 * j)
        i += 1
        if i == g.oh:
            plane, i = plane + 1, 0
    return left


@njit()
def spread_rows(first: int, end: int, gy: Array, index: Array, gx: Array, g: Pool) -> int:
    """Compute the gradients of the pixels in rows of windows, and of those beside and below; as `largest_rows`."""
    left = _left_from(first, end, g)
    plane, i = first // g.oh, first % g.oh
    for row in range(first, left):
        at, to, place = row * g.ow, (plane * g.h + 2 * i) * g.w, 2 * i * g.w
        for j in range((g.ow - 1) // LANES * LANES, -1, -LANES):  # last the first: others ran into it
            if g.ow - j > LANES // 2:
                _spread(gy, index, at + j, gx, to + 2 * j, g.w, place + 2 * j)
            else:
                _spread_half(gy, index, at + j, gx, to + 2 * j, g.w, place + 2 * j)
        for q in range(2 * g.ow, g.w):
            gx[to + q], gx[to + g.w + q] = 0, 0
        i += 1
        if i == g.oh:
            for e in range(U((plane * g.h + 2 * i) * g.w), U((plane + 1) * g.h * g.w)):
                gx[e] = 0
            plane, i = plane + 1, 0
    return left


def _intrinsics(lanes: int) -> tuple[Any, Any]:
    """The two blocks in LLVM's language."""
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba.core import types
    from numba.extending import intrinsic

    whole, places, both = types.intp, ir.VectorType(ir.IntType(32), lanes), ir.VectorType(ir.IntType(32), 2 * lanes)

    def numbers(kind: Any, values: Any) -> Any:
        return ir.Constant(kind, [int(value) for value in values])

    def vector_at(context: Any, builder: Any, kind: Any, array: Any, at: Any, count: int) -> tuple[Any, int]:
        """The pointer to `count` numbers of an array, and its alignment."""
        number = context.get_value_type(kind.dtype)
        start = builder.gep(context.make_array(kind)(context, builder, array).data, [at])
        return builder.bitcast(start, ir.VectorType(number, count).as_pointer()), context.get_abi_sizeof(number)

    def in_all(builder: Any, value: Any, count: int) -> Any:
        """An offset as an int32 in all lanes."""
        unknown = ir.Constant(ir.VectorType(ir.IntType(32), count), ir.Undefined)
        one = builder.insert_element(unknown, builder.trunc(value, ir.IntType(32)), ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, unknown, numbers(unknown.type, [0] * count))

    def largest(context: Any, x: Any, at: Any, width: Any, y: Any, index: Any, to: Any, place: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            x, at, width, y, index, to, place = args
            cells = []
            for start in (at, builder.add(at, width)):
                pointer, align = vector_at(context, builder, signature.args[0], x, start, 2 * lanes)
                row = builder.load(pointer, align=align)
                cells += [builder.shuffle_vector(row, row, numbers(places, range(b, 2 * lanes, 2))) for b in (0, 1)]
            one, below = numbers(places, [1] * lanes), in_all(builder, width, lanes)
            best, where = cells[0], numbers(places, [0] * lanes)
            for cell, offset in zip(cells[1:], (one, below, builder.add(below, one)), strict=True):
                greater, nan = builder.fcmp_ordered(">", cell, best), builder.fcmp_unordered("uno", cell, cell)
                take = builder.or_(greater, nan)
                best, where = builder.select(take, cell, best), builder.select(take, offset, where)
            first = builder.add(in_all(builder, place, lanes), numbers(places, range(0, 2 * lanes, 2)))
            for kind, array, value in (
                (signature.args[3], y, best),
                (signature.args[4], index, builder.add(first, where)),
            ):
                pointer, align = vector_at(context, builder, kind, array, to, lanes)
                builder.store(value, pointer, align=align)
            return context.get_dummy_value()

        return types.void(x, whole, whole, y, index, whole, whole), generate

    def spread(context: Any, gy: Any, index: Any, at: Any, gx: Any, to: Any, width: Any, place: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            gy, index, at, gx, to, width, place = args
            twice = []
            for kind, array in zip(signature.args[:2], (gy, index), strict=True):
                pointer, align = vector_at(context, builder, kind, array, at, lanes)
                values = builder.load(pointer, align=align)
                twice.append(builder.shuffle_vector(values, values, numbers(both, np.arange(2 * lanes) // 2)))
            values, places_of = twice
            here = builder.add(in_all(builder, place, 2 * lanes), numbers(both, range(2 * lanes)))
            below, zeros = in_all(builder, width, 2 * lanes), ir.Constant(values.type, [0.0] * (2 * lanes))
            for start, pixels in ((to, here), (builder.add(to, width), builder.add(here, below))):
                pointer, align = vector_at(context, builder, signature.args[3], gx, start, 2 * lanes)
                there = builder.icmp_signed("==", places_of, pixels)
                builder.store(builder.select(there, values, zeros), pointer, align=align)
            return context.get_dummy_value()

        return types.void(gy, index, whole, gx, whole, whole, whole), generate

    return intrinsic(largest), intrinsic(spread)


def before_compiling() -> None:
    """Replace the blocks by the intrinsics; `runtime` calls this once Numba is imported."""
    import numba

    if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        names = globals()
        names["_largest"], names["_spread"] = _intrinsics(LANES)
        names["_largest_half"], names["_spread_half"] = _intrinsics(LANES // 2)
