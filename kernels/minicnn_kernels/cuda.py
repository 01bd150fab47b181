"""Kernels in CUDA C++: read from a `.cu` file beside the kernel's Python file, compiled when first used, launched.

    launch("conv2d/direct.cu", f"forward<{scalar(x)}>", y.size, x, strides(x), w, b, y, strides(y), g)

starts a thread for each of `y.size` outputs; `launch_each` a thread for several of them; `launch_blocks` starts a grid
of blocks, for kernels whose threads work together. How an argument arrives:

    an array             T*, or const T* if the kernel only reads it; None is a null pointer
    an array of int64    T* const*, if they are addresses of arrays (`through`); const T* const* if it only reads those
    a geometry           the struct of the same name, by value: its fields as int (`STRUCTS`)
    strides(x)           struct Strides, how many elements the axes of an image are apart
    Axis, Stack, Tiles   structs of long long, by value (`LONG`): where matrices are, and how a product is cut (gemm.py)
    an int               long long
    a float              double
    a NumPy scalar       a number of its type

The structs are written from the fields of the NamedTuples, so that C++ and Python cannot disagree about them. Arrays
must be dense (`layout.dense`): a kernel sees a place in memory, and strides say the rest.

On a GPU, CuPy compiles a source by NVRTC and keeps the machine code on disk. For NumPy arrays the same source is
compiled by g++ and run on the CPU (`emulated/`): slowly, but with more checks than a GPU has. `use(backend=
"cuda-emulated")` asks for that.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np

from . import arrays
from .arrays import Array, is_array, on_gpu
from .dispatch import NoKernelError
from .geometry import Channels, Conv, Groups, Pool
from .geometry.sizes import MOST
from .translation import functions

HERE = Path(__file__).parent
BLOCK = 256  # threads of a block, where they do not work together
GRID, BLOCKS, THREADS = (2**31 - 1, 65_535, 65_535), (1024, 1024, 64), 1024  # the most that a GPU has in a launch
EACH = 4  # elements of a thread; the same number as in device/elementwise.cuh
FULL = 1 << 16  # threads that keep a large GPU busy: 16 warps on each of 128 processors, some of which wait for memory
SHORT = 32  # values that a thread reads one after the other in less time than another launch takes
STRUCTS: dict[str, type[Any]] = {"Conv": Conv, "Pool": Pool, "Channels": Channels, "Groups": Groups}  # of int
_SCALARS = {"f": "float", "d": "double"}


class Strides(NamedTuple):
    """How many elements the axes of an image (N, C, H, W) are apart in memory."""

    n: int
    c: int
    h: int
    w: int


class Axis(NamedTuple):
    """Where the elements of one side of a matrix are: element e = (k*height + j)*width + i is at i*step_i + ...

    So an axis can be all pixels of a batch of images, in any order of memory.
    """

    width: int
    height: int
    step_i: int
    step_j: int
    step_k: int


class Stack(NamedTuple):
    """Where matrices are in memory, as many as there are products."""

    start: int  # the first element of the first matrix
    batch: Axis  # where the matrices begin; a step is 0 where a matrix is in several products
    rows: Axis
    columns: Axis


class Tiles(NamedTuple):
    """The sizes of a product, and the parts into which its sum is cut; see `gemm.py`."""

    rows: int
    columns: int
    terms: int
    parts: int
    length: int  # of a part
    size: int  # elements of the result in memory: the results of the parts are that far apart


LONG: dict[str, type[Any]] = {"Strides": Strides, "Axis": Axis, "Stack": Stack, "Tiles": Tiles}  # of long long


def strides(x: Array) -> Strides:
    """Those of a 4-d array."""
    return Strides(*(step // x.itemsize for step in x.strides))


def scalar(x: Array) -> str:
    """The C++ type of the elements, float or double."""
    return _SCALARS[x.dtype.char]


def able(*given: Any) -> bool:
    """Whether kernels take these arrays: elements of float32 or float64."""
    return all(x.dtype.char in _SCALARS for x in given if is_array(x))


def launch(file: str, kernel: str, threads: int, *args: Any) -> None:
    """Run a kernel in at least this many threads, which are numbered by `thread_number()`; nothing if it is 0."""
    if threads:
        launch_blocks(file, kernel, (-(-threads // BLOCK),), (BLOCK,), *args)


def launch_each(file: str, kernel: str, count: int, *args: Any) -> None:
    """Run a kernel whose threads compute several elements each, by `each` of device/elementwise.cuh."""
    launch(file, kernel, -(-count // EACH), *args)


class Cut(NamedTuple):
    """How the threads of blocks share long fibres, the values along an axis; see device/fibres.cuh."""

    width: int  # fibres side by side in a block
    blocks: int  # for all fibres
    parts: int  # as many blocks have a part of the same fibres each


def cut(outer: int, count: int, inner: int) -> Cut | None:
    """Whether fibres of `count` values in memory (outer, count, inner) need more than a warp each, or a thread each.

    They do if they are long and too few to keep a GPU busy, which `FULL` threads do: 8 rows of 100,000 values are 8
    warps, of the thousands that a GPU has room for. Then a block takes a fibre, or up to 64 side by side. If that is
    not enough, a fibre is cut into parts; in each a thread still has `SHORT` values, and less than that is not worth a
    second launch. The cut depends on the sizes alone, so that the same numbers give the same bits on each GPU.
    """
    lanes = 32 if inner == 1 else 1
    if count <= SHORT * lanes or outer * inner * lanes >= FULL:
        return None
    tiles = -(-inner // 64)
    width = -(-inner // tiles)
    blocks = outer * tiles
    parts = min(FULL // (BLOCK * blocks), count // (SHORT * (BLOCK // width)))
    return Cut(width, blocks, max(1, parts))


def launch_blocks(
    file: str,
    kernel: str,
    grid: Sequence[int],
    block: Sequence[int],
    *args: Any,
    shared: int = 0,
    through: Sequence[Array] = (),
) -> None:
    """Run a kernel in a grid of blocks.

    Args:
        file: the source, relative to this folder.
        kernel: its name with template arguments: "forward<float>".
        grid: how many blocks along x, y, z; nothing is run if one is 0.
        block: how many threads along x, y, z.
        args: as in the docstring of this file.
        shared: bytes of dynamic shared memory.
        through: the arrays whose addresses are in tables among `args`, if there are such tables; for the emulator.

    Raises:
        ValueError: a GPU has no such grid or block.
    """
    _check("grid", kernel, grid, GRID)
    _check("block", kernel, block, BLOCKS)
    if math.prod(block) > THREADS:
        raise ValueError(f"{kernel}: a block of {tuple(block)} has more than {THREADS} threads; launch more blocks")
    if not all(grid):
        return
    gpu = any(on_gpu(a) for a in args)
    found = _kernel(file, kernel, arrays.gpu() if gpu else None)
    if shared > 48 << 10:
        found.max_dynamic_shared_size_bytes = shared
    more = {"through": through} if through and not (gpu and not arrays.is_emulated()) else {}
    found(tuple(grid), tuple(block), tuple([_argument(a) for a in args]), shared_mem=shared, **more)


def _check(what: str, kernel: str, sizes: Sequence[int], most: tuple[int, ...]) -> None:
    least = what == "block"
    if not 1 <= len(sizes) <= 3 or any(not least <= n <= limit for n, limit in zip(sizes, most, strict=False)):
        raise ValueError(
            f"{kernel}: the {what} {tuple(sizes)} is not possible; it has one to three sizes, each at least "
            f"{int(least)} and at most {most}: divide the work otherwise, most of it along x"
        )


def _argument(value: Any) -> Any:
    """As the kernel gets it."""
    if isinstance(value, tuple):
        return _struct(type(value).__name__, value)
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.int64(value)
    return np.float64(value) if type(value) is float else value


@functools.lru_cache(4096)
def _struct(kind: str, value: tuple[Any, ...]) -> Array:
    """A struct by value; a net has the same ones in every step.

    Raises:
        NoKernelError: a number, or a side of an image with its padding, is not an int of 32 bits.
    """
    if kind in STRUCTS:
        fields = dict(zip(STRUCTS[kind]._fields, value, strict=True))
        for side, padding in (("h", "ph"), ("w", "pw")):
            if side in fields and padding in fields:
                fields[f"{side} + 2*{padding}"] = fields[side] + 2 * fields[padding]
        for name, number in fields.items():
            if number > MOST:
                raise NoKernelError(
                    f"{kind}: kernels in CUDA count pixels in ints of 32 bits, and {name} is {number}, more than "
                    f"{MOST}; choose the backend 'cupy' on a GPU, or one of the CPU"
                )
    return np.array([value], _dtype(kind))


@functools.cache
def _dtype(kind: str) -> Any:
    """The NumPy type of a struct."""
    if kind in STRUCTS:
        return np.dtype([(name, np.int32) for name in STRUCTS[kind]._fields])
    return np.dtype([(name, np.int64 if of == "long long" else _dtype(of)) for name, of in _fields(LONG[kind])])


def _fields(kind: type[Any]) -> list[tuple[str, str]]:
    """The fields of a struct of long long and of other such structs, each with its type in C++."""
    return [(name, of.__name__ if of.__name__ in LONG else "long long") for name, of in get_type_hints(kind).items()]


# ------------------------------------------------------------------------------------------------------------- sources


def declarations() -> str:
    """The structs, before every source."""
    lines = [f"struct {name} {{ int {', '.join(kind._fields)}; }};" for name, kind in STRUCTS.items()]
    for name, kind in LONG.items():
        lines.append(f"struct {name} {{ {' '.join(f'{of} {field};' for field, of in _fields(kind))} }};")
    return "\n".join([*lines, ""])


@functools.cache
def source(file: str) -> str:
    """The text that is compiled: the structs, functions translated from Python, and the file.

    The modules of these functions stand in its first lines, after "// functions of:". Compiled code is kept under a
    hash of its text. So the text says, too, what the headers are that the file may include.
    """
    text = (HERE / file).read_text(encoding="utf-8")
    headers = "".join(path.read_text(encoding="utf-8") for path in sorted((HERE / "device").glob("*.cuh")))
    mark = hashlib.sha256(headers.encode()).hexdigest()
    translated = [functions(importlib.import_module(f".{name}", __package__)) for name in _listed(file, "functions of")]
    return f'// headers: {mark}\n{declarations()}{"".join(translated)}#line 1 "{file}"\n{text}'


def _listed(file: str, what: str) -> list[str]:
    """The names in the first lines of a file, after "// what:"; the commas in "name<float, 4>" separate nothing."""
    lines = (HERE / file).read_text(encoding="utf-8").splitlines()
    found = [line.removeprefix(f"// {what}:") for line in lines if line.startswith(f"// {what}:")]
    return [name for line in found for name in re.findall(r"[\w.]+(?:<[^>]*>)?", line)]


@functools.cache
def expressions(file: str) -> tuple[str, ...]:
    """All kernels of a file with their template arguments: "forward<float>", "forward<double>" ...

    They stand in its first lines, after "// kernels:", so that a file is compiled once, and a test can compile all.
    """
    names = _listed(file, "kernels")
    return tuple(f"{name}<{kind}>" if "<" not in name else name for name in names for kind in _kinds(name))


def _kinds(name: str) -> tuple[str, ...]:
    return ("",) if "<" in name else ("float", "double")


def files() -> list[str]:
    """All sources, relative to this folder."""
    return sorted(path.relative_to(HERE).as_posix() for path in HERE.rglob("*.cu"))


def options() -> tuple[str, ...]:
    """For the compiler."""
    return ("--std=c++17", f"-I{HERE / 'device'}")


@functools.cache
def _kernel(file: str, kernel: str, gpu: Any) -> Any:
    """The compiled kernel, on a GPU or on the CPU."""
    if gpu is None:
        from .emulated import cupy as gpu
    names = tuple(dict.fromkeys((*expressions(file), kernel)))
    module = gpu.RawModule(code=source(file), options=options(), name_expressions=names)
    return module.get_function(kernel)
