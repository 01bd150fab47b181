"""Write down what the installed CuPy offers, as `cupy_api.txt`: no GPU and no driver is needed, `import cupy` works.

    python tests/cuda/write_cupy_api.py kernels/minicnn_kernels/emulated/cupy_api.txt

A line for each name:

    function sum a axis dtype out keepdims      the arguments; * or ** for any number
    method sum axis dtype out keepdims          of ndarray; an `attribute` has none
    ufunc add 2 add ??->? ff->f                 inputs, what its `at` does or -, and the types of its loops in their
                                                order; ! before those that only raise
    by_dtype true_divide ee->e                  loops for `dtype=`, where they are others
    special erf 1 - ff->f                       a ufunc of cupyx.scipy.special

Run it when CuPy's version changes, and look at the difference.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import cupy
import cupyx.scipy.special
import numpy as np


def parameters(function: Any) -> list[str]:
    try:
        return [
            "*" * (p.kind is p.VAR_POSITIONAL) + "**" * (p.kind is p.VAR_KEYWORD) + p.name
            for p in inspect.signature(function).parameters.values()
        ]
    except (TypeError, ValueError):  # Cython gives it in the first line of the docstring
        first = re.search(r"\((.*)\)", (function.__doc__ or "").split("\n")[0])
        names = first[1].split(",") if first else ["*args", "**options"]
        return [p.split("=")[0].split()[-1] for p in names if p.strip()]


def loops(ufunc: Any, ops: Any) -> Iterator[str]:
    """The types of the loops, with `!` before those that only raise, such as bool - bool."""
    for op in ops.ops:
        ins, outs = ("".join(np.dtype(t).char for t in types) for types in (op.in_types, op.out_types))
        if "V" in ins or "E" in ins:  # structures and bfloat16
            continue
        try:
            ufunc._ops.guess_routine(ufunc.name, {}, [array(kind) for kind in ins], None, None)
            yield f"{ins}->{outs}"
        except TypeError:
            yield f"!{ins}->{outs}"


def array(kind: str) -> Any:
    """A CuPy array on host memory."""
    host = np.ones(1, kind)
    memory = cupy.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, device_id=0)
    return cupy.ndarray(1, kind, cupy.cuda.MemoryPointer(memory, 0))


def ufunc_line(kind: str, name: str, value: Any) -> str:
    return " ".join([kind, name, str(value.nin), value._scatter_op or "-", *loops(value, value._ops)])


def lines() -> Iterator[str]:
    yield f"version {cupy.__version__}"
    spaces = ((cupy, ""), (cupy.fft, "fft."), (cupy.linalg, "linalg."), (cupy.lib.stride_tricks, "lib.stride_tricks."))
    for space, prefix in spaces:
        for name in sorted(dir(space)):
            value = getattr(space, name)
            if name.startswith("_") or inspect.isclass(value) or inspect.ismodule(value) or not callable(value):
                continue
            if isinstance(value, cupy.ufunc):
                yield ufunc_line("ufunc", name, value)
                if value._out_ops is not None:
                    yield " ".join(["by_dtype", name, *loops(value, value._out_ops)])
            else:
                yield " ".join(["function", prefix + name, *parameters(value)])
    for name in sorted(dir(cupyx.scipy.special)):
        value = getattr(cupyx.scipy.special, name)
        if isinstance(value, cupy.ufunc):
            yield ufunc_line("special", name, value)
    for name in sorted(dir(cupy.ndarray)):
        if not name.startswith("_"):
            value = getattr(cupy.ndarray, name)
            if callable(value):
                yield " ".join(["method", name, *(p for p in parameters(value) if p != "self")])
            else:
                yield f"attribute {name}"


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8", newline="\n") as file:
        print(*lines(), sep="\n", file=file)
