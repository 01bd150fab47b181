"""Tools to write a loop in LLVM's own language, so that its sums stay in vector registers from start to end.

LLVM vectorises the innermost loop of compiled Python. If that loop adds to sums in an array, LLVM loads and stores the
sums at every step, because it cannot know that this array does not overlap the arrays that are read. Here the sums are
variables of the loop. `in_registers` makes a Numba intrinsic of two functions with the same arguments: the definition
in NumPy, which runs with `NUMBA_DISABLE_JIT=1`, and a function that writes the instructions when Numba compiles a
caller. The second function gets an array as `Vectors`, a tuple as a list, and an integer as a value of LLVM's. The
first two arguments are the sizes of the tile: constants in the source of the caller, and plain integers here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from . import blas

WIDE = blas.cpu_flags() >= blas.AVX512  # 32 registers of 64 bytes; else mostly 16 of 32
LANES = 16 if WIDE else 8  # numbers of float32 in a register


def filled_up(count: int, step: int) -> int:
    """`count` rounded up to a multiple of `step`, so that the last vector or tile is a whole one."""
    return count + -count % step


class Code:
    """Writes instructions: sums of offsets, loops, and sums of vectors in registers."""

    def __init__(self, context: Any, builder: Any) -> None:
        from llvmlite import ir  # type: ignore[import-untyped]

        self.context, self.builder, self.ir = context, builder, ir

    def constant(self, value: Any) -> Any:
        """An integer as LLVM's constant of 64 bits; a value of LLVM's is returned unchanged."""
        return self.ir.Constant(self.ir.IntType(64), value) if isinstance(value, int) else value

    def sum(self, *terms: Any) -> Any:
        """The sum of integers; a pair among the terms is a product."""
        total = None
        for term in terms:
            value = self.builder.mul(*map(self.constant, term)) if isinstance(term, tuple) else self.constant(term)
            total = value if total is None else self.builder.add(total, value)
        return total

    @contextmanager
    def loop(self, first: Any, end: Any, step: int = 1) -> Any:
        """A loop over first, first + step, ... below end; the instructions written inside `with` are its body."""
        from numba.core import cgutils

        with cgutils.for_range_slice(self.builder, *map(self.constant, (first, end, step))) as (index, _):
            yield index

    def only_if(self, low: Any, high: Any) -> AbstractContextManager[Any]:
        """The instructions written inside `with` run if low < high."""
        condition = self.builder.icmp_signed("<", self.constant(low), self.constant(high))
        return self.builder.if_then(condition)

    def least(self, left: Any, right: Any) -> Any:
        """The smaller one of two integers."""
        left, right = self.constant(left), self.constant(right)
        return self.builder.select(self.builder.icmp_signed("<", left, right), left, right)

    def register(self, first: Any) -> Any:
        """A variable with the first value `first`: formally a place on the stack, but LLVM keeps it in a register."""
        from numba.core import cgutils

        slot = cgutils.alloca_once(self.builder, first.type)
        self.builder.store(first, slot)
        return slot

    def add_product(self, register: Any, left: Any, right: Any) -> None:
        """register += left * right, in one instruction where the processor has it."""
        b = self.builder
        product = b.fmul(left, right, flags=("contract",))
        b.store(b.fadd(b.load(register), product, flags=("contract",)), register)


class Vectors:
    """An array, read and written by vectors that begin at any element."""

    def __init__(self, code: Code, kind: Any, value: Any, lanes: int) -> None:
        self.code, self.number = code, code.context.get_value_type(kind.dtype)
        self.start = code.context.make_array(kind)(code.context, code.builder, value).data
        self.vector = code.ir.VectorType(self.number, lanes)
        self.align = code.context.get_abi_sizeof(self.number)

    def cell(self, offset: Any) -> Any:
        """The pointer to an element."""
        return self.code.builder.gep(self.start, [self.code.constant(offset)])

    def _vector_at(self, offset: Any) -> Any:
        return self.code.builder.bitcast(self.cell(offset), self.vector.as_pointer())

    def load(self, offset: Any) -> Any:
        """The vector that begins at an element."""
        return self.code.builder.load(self._vector_at(offset), align=self.align)

    def store(self, vector: Any, offset: Any) -> None:
        """Write a vector."""
        self.code.builder.store(vector, self._vector_at(offset), align=self.align)

    def everywhere(self, offset: Any) -> Any:
        """A vector with the same element in every lane."""
        b, ir = self.code.builder, self.code.ir
        unknown = ir.Constant(self.vector, ir.Undefined)
        one = b.insert_element(unknown, b.load(self.cell(offset)), ir.Constant(ir.IntType(32), 0))
        return b.shuffle_vector(one, unknown, ir.Constant(ir.VectorType(ir.IntType(32), self.vector.count), None))

    def of_run(self, vector: Any, size: int, lane: int) -> Any:
        """A vector in which each run of `size` lanes has one of its numbers, that at `lane`, in all of its lanes."""
        if size == 1:
            return vector
        ir, which = self.code.ir, [k // size * size + lane for k in range(self.vector.count)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.vector.count), which)
        return self.code.builder.shuffle_vector(vector, ir.Constant(self.vector, ir.Undefined), mask)

    def zeros(self) -> Any:
        """A vector of zeros."""
        return self.code.ir.Constant(self.vector, None)

    def add_lanes(self, vector: Any, offset: Any) -> None:
        """Add all lanes of a vector to an element."""
        from numba.core import cgutils

        b, ir, number, cell = self.code.builder, self.code.ir, self.number, self.cell(offset)
        name = f"llvm.vector.reduce.fadd.v{self.vector.count}f{8 * self.align}"
        kind = ir.FunctionType(number, [number, self.vector])
        add = cgutils.get_or_insert_function(b.module, kind, name)
        b.store(b.call(add, [b.load(cell), vector], fastmath=("reassoc",)), cell)


def in_registers(
    definition: Callable[..., None], write: Callable[..., None], lanes: Callable[[int], int]
) -> Callable[..., None]:
    """The function that replaces `definition` in compiled code: the instructions of `write(code, *arguments)`.

    Args:
        definition: the function in Python; with `NUMBA_DISABLE_JIT=1` it is returned itself.
        write: takes a `Code` and then the same arguments.
        lanes: how many numbers a vector has, by their size in bytes.
    """
    import numba
    from numba.core import types
    from numba.extending import intrinsic

    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return definition

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder)

        def argument(kind: Any, value: Any) -> Any:
            if isinstance(kind, types.Literal):
                return kind.literal_value
            if isinstance(kind, types.Array):
                return Vectors(code, kind, value, lanes(kind.dtype.bitwidth // 8))
            if isinstance(kind, types.BaseTuple):
                return [builder.extract_value(value, k) for k in range(len(kind))]
            return value

        write(code, *map(argument, signature.args, args))
        return context.get_dummy_value()

    def typed(context: Any, *kinds: Any) -> Any:
        rest = (types.intp if isinstance(kind, types.Integer) else kind for kind in kinds[2:])
        return types.void(*kinds[:2], *rest), generate

    # Numba reads the names of the arguments; the first one is the context
    named = inspect.signature(definition)
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    typed.__signature__ = named.replace(parameters=[context, *named.parameters.values()])  # type: ignore[attr-defined]
    return intrinsic(prefer_literal=True)(typed)
