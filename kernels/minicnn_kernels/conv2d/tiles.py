"""The inner loops of `registers.py`: a tile of results that stays in vector registers while all taps are summed.

    tile:   y[r, e] = b[r] + sum_{c, a, b} w[(c, a, b), r] x[c, e + a*line + b*s]     R outputs, V vectors of e
    sums:   gw[r, b] += sum_e gy[r, e] x[e + b*s]                                     R outputs, T taps of a kernel row

A vector has 64 bytes: 16 numbers of float32 or 8 of float64. LLVM vectorises the innermost loop of compiled Python,
but here that is the sum, each step of which adds to R*V vectors that have to stay in registers. So these two loops are
written in LLVM's own language, through Numba's `intrinsic`; the Python functions of their names are the definition, and
what runs with `NUMBA_DISABLE_JIT=1`. Where the processor has shorter vectors LLVM takes several for one.
"""

from __future__ import annotations

from typing import Any

from ..layout import Array
from ..runtime import njit

BYTES = 64  # of a vector


def _tile(
    outputs: int, vectors: int, x: Array, at: int, steps: Any, w: Array, k: int, taps: Any, bias: Array, o: int,
    some: int, y: Array, to: int, pitch: int, apart: Any,
) -> None:  # fmt: skip
    """See `tile`."""
    (plane, line, s), (c, a0, a1, b0, b1, kh, kw), lanes = steps, taps, BYTES // x.itemsize
    for v in range(vectors):
        start, into = at + v // 2 * apart[0] + v % 2 * apart[1], to + v // 2 * apart[2] + v % 2 * apart[3]
        for r in range(some):
            total = bias[o + r]
            for i in range(c):
                for a in range(a0, a1):
                    for b in range(b0, b1):
                        run = start + i * plane + a * line + b * s
                        total = total + w[k + ((i * kh + a) * kw + b) * outputs + r] * x[run : run + lanes]
            y[into + r * pitch : into + r * pitch + lanes] = total


def _sums(
    outputs: int, taps: int, x: Array, at: int, s: int, gy: Array, up: int, pitch: int, rows: int, line: int,
    count: int, gw: Array, k: int, ws: int,
) -> None:  # fmt: skip
    """See `sums`."""
    for r in range(outputs):
        for b in range(taps):
            for i in range(rows):
                first, run = up + r * pitch + i * line, at + b * s + i * line
                gw[k + r * ws + b] += gy[first : first + count] @ x[run : run + count]


@njit()
def tile(
    outputs: int, x: Array, at: int, steps: Any, w: Array, k: int, taps: Any, bias: Array, o: int, some: int, y: Array,
    to: int, pitch: int, apart: Any,
) -> None:  # fmt: skip
    """Compute a tile of `outputs` (8, 6 or 4) times `vectors_of(outputs)` vectors, and store `some` of the outputs.

    Args:
        outputs: of the tile; their weights are side by side, for each tap, in w from k on.
        x, at: flat pictures, and where the first vector begins under tap (0, 0) of channel 0.
        steps: from channel to channel, row to row and tap to tap of x.
        taps: channels, first and end of the kernel's rows, first and end of its columns, height and width of it.
        bias, o: what the sums begin with, from o on.
        y, to, pitch: where the first vector goes, and how far apart outputs are.
        apart: how far vectors 2 and 1 are from vector 0 in x, then in y; vector 3 is as far as both together.
    """
    if outputs == 8:
        _tile(8, 2, x, at, steps, w, k, taps, bias, o, some, y, to, pitch, apart)
    elif outputs == 6:
        _tile(6, 4, x, at, steps, w, k, taps, bias, o, some, y, to, pitch, apart)
    else:
        _tile(4, 4, x, at, steps, w, k, taps, bias, o, some, y, to, pitch, apart)


def vectors_of(outputs: int) -> int:
    """How many vectors of each output a tile has: as many as there are registers for, with those of x."""
    return 2 if outputs == 8 else 4


@njit()
def sums(
    outputs: int, kw: int, x: Array, at: int, s: int, gy: Array, up: int, pitch: int, rows: int, line: int, count: int,
    gw: Array, k: int, ws: int,
) -> None:  # fmt: skip
    """Add the sums of a kernel row of `kw` taps for `outputs` (4 or 3) outputs to gw[k + r*ws + b].

    The sums are over `rows` rows, `line` apart, of `count` numbers, which is a multiple of a vector.
    """
    b = 0
    while kw - b >= 5:
        if outputs == 4:
            _sums(4, 5, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        else:
            _sums(3, 5, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        b += 5
    while kw - b >= 3:
        if outputs == 4:
            _sums(4, 3, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        else:
            _sums(3, 3, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        b += 3
    while b < kw:
        if outputs == 4:
            _sums(4, 1, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        else:
            _sums(3, 1, x, at + b * s, s, gy, up, pitch, rows, line, count, gw, k + b, ws)
        b += 1


def before_compiling() -> None:
    """Put the loops in LLVM's language in the place of `_tile` and `_sums`; `runtime` calls this."""
    import numba

    if not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        globals()["_tile"], globals()["_sums"] = _intrinsics()


class _Code:
    """Writes LLVM's instructions for vectors of one type."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        from llvmlite import ir  # type: ignore[import-untyped]

        self.context, self.builder, self.signature, self.args = context, builder, signature, args
        self.whole = ir.IntType(64)
        self.index = ir.IntType(32)
        self.ir = ir

    def of(self, position: int) -> Any:
        """The kind of vector that an array holds."""
        kind = self.context.get_value_type(self.signature.args[position].dtype)
        return self.ir.VectorType(kind, BYTES * 8 // self.signature.args[position].dtype.bitwidth)

    def data(self, position: int) -> Any:
        """Where an array begins."""
        kind = self.signature.args[position]
        return self.context.make_array(kind)(self.context, self.builder, self.args[position]).data

    def number(self, position: int) -> Any:
        """An argument as a 64-bit integer."""
        from numba.core import types

        return self.context.cast(self.builder, self.args[position], self.signature.args[position], types.intp)

    def numbers(self, position: int) -> list[Any]:
        """The members of a tuple of integers."""
        return [self.builder.extract_value(self.args[position], i) for i in range(len(self.signature.args[position]))]

    def sum(self, *terms: Any) -> Any:
        """Integers, added up; a pair is a product."""
        b, total = self.builder, None
        for term in terms:
            value = b.mul(*map(self.constant, term)) if isinstance(term, tuple) else self.constant(term)
            total = value if total is None else b.add(total, value)
        return total

    def constant(self, value: Any) -> Any:
        return self.ir.Constant(self.whole, value) if isinstance(value, int) else value

    def place(self, pointer: Any, offset: Any, kind: Any) -> Any:
        """The vector that begins at an element."""
        return self.builder.bitcast(self.builder.gep(pointer, [self.constant(offset)]), kind.as_pointer())

    def load(self, pointer: Any, offset: Any, kind: Any) -> Any:
        """A vector that need not be aligned."""
        return self.builder.load(self.place(pointer, offset, kind), align=4)

    def everywhere(self, pointer: Any, offset: Any, kind: Any) -> Any:
        """A number in every lane."""
        b = self.builder
        none = self.ir.Constant(kind, self.ir.Undefined)
        one = b.insert_element(none, b.load(b.gep(pointer, [self.constant(offset)])), self.ir.Constant(self.index, 0))
        zeros = self.ir.Constant(self.ir.VectorType(self.index, kind.count), [0] * kind.count)
        return b.shuffle_vector(one, none, zeros)

    def add_product(self, slot: Any, left: Any, right: Any) -> None:
        """slot += left * right, in one instruction where there is one."""
        b = self.builder
        b.store(b.fadd(b.load(slot), b.fmul(left, right, flags=("contract",)), flags=("contract",)), slot)


def _intrinsics() -> tuple[Any, Any]:
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    def tile_type(
        context: Any, outputs: Any, vectors: Any, x: Any, at: Any, steps: Any, w: Any, k: Any, taps: Any, bias: Any,
        o: Any, some: Any, y: Any, to: Any, pitch: Any, apart: Any,
    ) -> Any:  # fmt: skip
        rest = (types.intp, steps, w, types.intp, taps, bias, types.intp, types.intp, y, types.intp, types.intp, apart)
        return types.void(outputs, vectors, x, *rest), tile_code

    def tile_code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code, count, vectors = _Code(context, builder, signature, args), *(t.literal_value for t in signature.args[:2])
        kind, x, w, bias, y = code.of(2), code.data(2), code.data(5), code.data(8), code.data(11)
        (plane, line, s), (c, a0, a1, b0, b1, kh, kw) = code.numbers(4), code.numbers(7)
        apart, to, some = code.numbers(14), code.number(12), code.number(10)
        tiles = [[cgutils.alloca_once(builder, kind) for _ in range(vectors)] for _ in range(count)]
        for r, row in enumerate(tiles):
            first = code.everywhere(bias, code.sum(code.number(9), r), kind)
            for slot in row:
                builder.store(first, slot)
        with (
            cgutils.for_range_slice(builder, code.constant(0), c, code.constant(1)) as (i, _),
            cgutils.for_range_slice(builder, a0, a1, code.constant(1)) as (a, _),
            cgutils.for_range_slice(builder, b0, b1, code.constant(1)) as (b, _),
        ):
            run = code.sum(code.number(3), (i, plane), (a, line), (b, s))
            tap = code.sum(code.number(6), (code.sum((code.sum((i, kh), a), kw), b), count))
            under = [
                code.load(x, code.sum(run, (v // 2, apart[0]), (v % 2, apart[1])), kind) for v in range(vectors)
            ]  # fmt: skip
            for r, row in enumerate(tiles):
                weight = code.everywhere(w, code.sum(tap, r), kind)
                for v, slot in enumerate(row):
                    code.add_product(slot, under[v], weight)
        for r, row in enumerate(tiles):
            with builder.if_then(builder.icmp_signed("<", code.constant(r), some)):
                for v, slot in enumerate(row):
                    into = code.sum(to, (r, code.number(13)), (v // 2, apart[2]), (v % 2, apart[3]))
                    builder.store(builder.load(slot), code.place(y, into, kind), align=4)
        return context.get_dummy_value()

    def sums_type(
        context: Any, outputs: Any, taps: Any, x: Any, at: Any, s: Any, gy: Any, up: Any, pitch: Any, rows: Any,
        line: Any, count: Any, gw: Any, k: Any, ws: Any,
    ) -> Any:  # fmt: skip
        n = types.intp
        return types.void(outputs, taps, x, n, n, gy, n, n, n, n, n, gw, n, n), sums_code

    def sums_code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code, outputs, taps = _Code(context, builder, signature, args), *(t.literal_value for t in signature.args[:2])
        kind, x, gy, gw = code.of(2), code.data(2), code.data(5), code.data(11)
        at, s, up, pitch, rows, line, count = map(code.number, (3, 4, 6, 7, 8, 9, 10))
        zero = ir.Constant(kind, [0.0] * kind.count)
        slots = [[cgutils.alloca_once(builder, kind) for _ in range(taps)] for _ in range(outputs)]
        for row in slots:
            for slot in row:
                builder.store(zero, slot)
        with (
            cgutils.for_range_slice(builder, code.constant(0), rows, code.constant(1)) as (i, _),
            cgutils.for_range_slice(builder, code.constant(0), count, code.constant(kind.count)) as (e, _),
        ):
            first = code.sum((i, line), e)
            under = [code.load(x, code.sum(at, first, (b, s)), kind) for b in range(taps)]
            for r, row in enumerate(slots):
                gradient = code.load(gy, code.sum(up, first, (r, pitch)), kind)
                for b, slot in enumerate(row):
                    code.add_product(slot, under[b], gradient)
        name = f"llvm.vector.reduce.fadd.v{kind.count}f{signature.args[2].dtype.bitwidth}"
        add = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind.element, [kind.element, kind]), name
        )  # fmt: skip
        for r, row in enumerate(slots):
            for b, slot in enumerate(row):
                cell = builder.gep(gw, [code.sum(code.number(12), (r, code.number(13)), b)])
                total = builder.call(add, [builder.load(cell), builder.load(slot)], fastmath=("reassoc",))
                builder.store(total, cell)
        return context.get_dummy_value()

    return intrinsic(prefer_literal=True)(tile_type), intrinsic(prefer_literal=True)(sums_type)
