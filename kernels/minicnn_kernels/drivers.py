"""Drivers: the loops over shares, compiled without Numba's parallel compiler.

A driver calls a share for each thread:

    @njit(parallel=True)
    def _scale(shares, x, a, y):
        for t in prange(shares):
            _scale_share(np.intp(t), shares, x, a, y)

Numba compiles a `prange` as a function of its own, which it writes, types, wraps and links again; for three lines this
took more than a second. A driver needs none of this, because its loop only calls a compiled function. `rewritten`
turns the loop into a call:

        prange(shares, _scale_share, (shares, x, a, y))

For this `prange`, `make_prange` writes a few instructions: the arguments go into a record, and a function that calls
the share with them goes to Numba's pool of threads. A single share runs in the calling thread, without the pool. So
drivers also work after a fork, where the pool must not be used.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any


def rewritten(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The driver with its loop as a call of `prange`; None if it has another form, or its source is not there."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return None
    made = tree.body[0]
    if not isinstance(made, ast.FunctionDef):
        return None
    made.decorator_list = []
    here, there = _code(tree, function), function.__code__
    if here is None or (here.co_names, here.co_varnames) != (there.co_names, there.co_varnames):
        return None  # the file was changed after its import
    loops = [node for node in made.body if isinstance(node, ast.For)]
    calls = [_call(loop) for loop in loops]
    if len(loops) != 1 or calls[0] is None:
        return None
    made.body = [ast.copy_location(ast.Expr(calls[0]), node) if node is loops[0] else node for node in made.body]
    code = _code(ast.fix_missing_locations(tree), function)
    if code is None:
        return None
    driver = FunctionType(code, function.__globals__, function.__name__, function.__defaults__)
    driver.__module__, driver.__qualname__ = function.__module__, function.__qualname__
    return driver


def _call(loop: ast.For) -> ast.Call | None:
    """`prange(count, share, (a, b))` for a loop `for t in prange(count): share(np.intp(t), a, b)`."""
    match loop:
        case ast.For(ast.Name(t), ast.Call(ast.Name("prange") as prange, [count], []), [ast.Expr(call)], []):
            pass
        case _:
            return None
    match call:
        case ast.Call(ast.Name() as share, [ast.Call(ast.Attribute(ast.Name("np"), "intp"), [ast.Name(u)]), *args], []):
            if t == u and all(isinstance(a, ast.Name) and a.id != t for a in args):
                return ast.Call(prange, [count, share, ast.Tuple(args, ast.Load())], [])
    return None


def _code(tree: ast.Module, function: Callable[..., Any]) -> CodeType | None:
    """The code of the function that a module's syntax tree defines."""
    outer = compile(tree, function.__code__.co_filename, "exec")
    found = (c for c in outer.co_consts if isinstance(c, CodeType) and c.co_name == function.__name__)
    return next(found, None)


@functools.cache
def make_prange() -> Any:
    """The `prange` of rewritten drivers: `prange(count, share, args)` calls share(t, *args) for t = 0 ... count - 1."""
    from numba.core import types
    from numba.extending import intrinsic

    def compiled_share(share: Any, args: Any) -> Any:
        return share.dispatcher.part.result(types.intp, *args.types)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _launch(context, builder, compiled_share(*signature.args[1:]), values[0], values[2])
        return context.get_dummy_value()

    def typed(context: Any, count: Any, share: Any, args: Any) -> Any:
        compiled_share(share, args)
        return types.void(types.intp, share, args), generate

    return intrinsic(typed)


def _launch(context: Any, builder: Any, share: Any, count: Any, args: Any) -> None:
    """Write the instructions of `prange(count, share, args)`."""
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba.core import cgutils
    from numba.core.callconv import Status, excinfo_ptr_t

    context.active_code_library.add_linking_library(share.library)
    values = cgutils.unpack_tuple(builder, args, len(share.signature.args) - 1)
    kinds = [ir.IntType(32), excinfo_ptr_t, *(value.type for value in values)]  # how a share failed, its arguments
    record = cgutils.alloca_once(builder, ir.LiteralStructType(kinds))
    for k, value in enumerate([ir.Constant(kinds[0], 0), ir.Constant(kinds[1], None), *values]):
        builder.store(value, cgutils.gep_inbounds(builder, record, 0, k))
    task = _task(context, builder.module, f"{builder.function.name}.task", share, record.type)

    # Tasks first ... first + number - 1; `first` is the address of an array that has elements of one byte
    size, address = ir.IntType(64), ir.IntType(8).as_pointer()
    first, number, step = (cgutils.alloca_once_value(builder, value) for value in (
        ir.Constant(address, None), count, ir.Constant(size, 1)))  # fmt: skip
    data = builder.bitcast(record, address)
    with builder.if_else(builder.icmp_signed("<=", count, ir.Constant(size, 1))) as (one, several):
        with one:
            builder.call(task, [first, number, step, data])
        with several:
            pool = ir.FunctionType(ir.VoidType(), [address] * 5 + [size] * 3)
            for_all = cgutils.get_or_insert_function(builder.module, pool, "numba_parallel_for")
            of_threads = ir.FunctionType(size, [])
            threads = builder.call(cgutils.get_or_insert_function(builder.module, of_threads, "get_num_threads"), [])
            pointers = [builder.bitcast(value, address) for value in (task, first, number, step)]
            builder.call(for_all, [*pointers, data, ir.Constant(size, 0), ir.Constant(size, 1), threads])
    code, why = (builder.load(cgutils.gep_inbounds(builder, record, 0, k)) for k in (0, 1))
    with cgutils.if_unlikely(builder, cgutils.is_not_null(builder, code)):
        failed = Status(*[None] * len(Status._fields))._replace(code=code, excinfoptr=why)
        context.call_conv.return_status_propagate(builder, failed)


def _task(context: Any, module: Any, name: str, share: Any, record: Any) -> Any:
    """A function for Numba's pool of threads, which calls the share for some t, with the arguments of a record."""
    from llvmlite import ir
    from numba.core import cgutils

    size, address = ir.IntType(64), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [address.as_pointer(), size.as_pointer(), size.as_pointer(), address])
    task = ir.Function(module, kind, name=name)
    task.linkage = "internal"
    builder = ir.IRBuilder(task.append_basic_block())
    first, number, step, data = task.args
    given = builder.bitcast(data, record)
    values = [builder.load(cgutils.gep_inbounds(builder, given, 0, k)) for k in range(2, len(record.pointee))]
    start, step = builder.ptrtoint(builder.load(first), size), builder.load(step)
    with cgutils.for_range(builder, builder.load(number)) as loop:
        t = builder.add(start, builder.mul(loop.index, step))
        function = context.declare_function(module, share.fndesc)
        status, _ = context.call_conv.call_function(
            builder, function, share.signature.return_type, share.signature.args, [t, *values]
        )
        with cgutils.if_unlikely(builder, status.is_error):
            builder.store(status.code, cgutils.gep_inbounds(builder, given, 0, 0))
            builder.store(status.excinfoptr, cgutils.gep_inbounds(builder, given, 0, 1))
    builder.ret_void()
    return task
