"""The rows of the table of convolution that are compared, and the arguments that their functions get."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from minicnn_kernels import ahead, runtime
from minicnn_kernels.dispatch import BACKENDS, TABLES, Table
from minicnn_kernels.geometry import Conv

from ..tensor import Array

PLAIN_LOOPS = 1e-6  # seconds per product of the python backend, roughly
CALLS = 3  # of each row of the python backend
PATIENCE = 1.0  # seconds that all rows of the python backend may take in any case
Operands = tuple[Array, Array, Array | None, Array, Conv]  # x, w, b, gy and the geometry


def table(which: str) -> Table:
    """The table of a pass: of the forward pass, or of the backward pass."""
    return next(t for t in TABLES if t.op == ("conv2d" if which == "forward" else "conv2d backward"))


def arguments(which: str, layer: Operands, dtype: Any = None) -> tuple[Any, ...]:
    """The arguments of a kernel, of the type of x or of another one."""
    *arrays, g = layer
    dtype = layer[0].dtype if dtype is None else dtype
    x, w, b, gy = (None if a is None else a.astype(dtype, copy=False) for a in arrays)
    if which == "forward":
        return x, w, b, g
    needs_grad = (which == "gx", which == "gw", which == "gw" and b is not None)
    return gy, None if needs_grad[0] else x, None if needs_grad[1] else w, g, needs_grad


def rows(which: str, layer: Operands, wanted: Any) -> dict[tuple[str, str], str]:
    """The rows of the table of a pass, each with the reason why it is not measured."""
    of, args, notes = table(which), arguments(which, layer), {}
    for (algorithm, backend), kernel in of.rows.items():
        there, note = wanted(algorithm, backend, sys.modules[kernel.__module__])
        if backend in BACKENDS and there and of.supports(algorithm, args):  # times on an emulated GPU say nothing
            notes[algorithm, backend] = note
    return notes


def wanted_rows(
    backends: Sequence[str] | None, algorithms: Sequence[str] | None, g: Conv, seconds: float, slow: bool
) -> Callable[[str, str, Any], tuple[bool, str]]:
    """A function of (algorithm, backend, its module): whether it gets a row, and if it is not measured, why."""
    known = next(table for table in TABLES if table.op == "conv2d").algorithms
    for what, named, there in (("backend", backends, BACKENDS), ("algorithm", algorithms, known)):
        unknown = [name for name in named or () if name not in there]
        if isinstance(named, str) or unknown:
            raise ValueError(
                f"compare_algorithms: no {what} {named if isinstance(named, str) else unknown[0]!r} in a list; "
                f"there are: {', '.join(there)}"
            )

    def decide(algorithm: str, backend: str, module: Any) -> tuple[bool, str]:
        if (backends and backend not in backends) or (algorithms and algorithm not in algorithms):
            return False, ""
        if backend == "numba" and not runtime.have_numba():
            return True, "needs the package numba"
        count = max(multiplications(module, g), g.n * g.o * g.oh * g.ow * g.kh * g.kw)
        loops = CALLS * len(known) * count * PLAIN_LOOPS
        if backend == "python" and not (backends or slow) and loops > max(seconds, PATIENCE):
            return True, f"not run: about {count * PLAIN_LOOPS:.1g} s a call; --slow runs it"
        return True, ""

    return decide


def multiplications(module: Any, g: Conv, which: str = "forward") -> int:
    """The count by the algorithm's file; if it has no such function, that of the definition."""
    count = getattr(module, "multiplications", None)
    return int(count(g, which)) if count else g.n * g.o * g.oh * g.ow * (g.c // g.groups) * g.kh * g.kw


def compile_ahead(passes: Sequence[str], layer: Operands, wanted: Any, progress: Callable[[str], None] | None) -> None:
    """Compile all rows on all cores, as far as they are not compiled yet."""
    with ahead.compiled(tell=lambda state: progress(str(state)) if progress and state else None):
        for which in passes:
            for row, note in rows(which, layer, wanted).items():
                if row[1] == "numba" and not note:
                    with suppress(Exception):  # nothing is computed here
                        table(which).rows[row](*arguments(which, layer))
