"""`cupy.RawModule` on the CPU: kernels in CUDA C++, called with the same arguments as on a GPU.

    module = RawModule(code=text, name_expressions=("scale<float>",))
    module.get_function("scale<float>")((blocks,), (threads,), (x, y, np.float32(2)))

It is stricter than a GPU:

- An argument must be what the parameter says: a Python float for a `float`, an array of another type, an array with
  gaps, or a struct of another size would be read as garbage on a GPU. The fields of a struct are not compared.
- Each array lies between two guards of NaN while the kernel runs. What is read there shows in the result; what is
  written there raises, as does a change of an array that is `const`. Around the guards lies memory that may not be
  touched: a kernel that reads or writes there, up to 64 MB away, gives an error with the array, block and thread.
- Shared memory is NaN when a block starts, and its variables lie between guards, too, of 512 bytes. A write there is an
  error when the block ends.
- Addresses that are not aligned for their type, integers divided by 0, and more shared memory or more threads than a
  GPU or `__launch_bounds__` allow are errors.
- A kernel may reach arrays by a table of their addresses. They must be named, as `through`, so that they lie between
  guards, too: the kernel gets a table of the places there.
- Threads and blocks run in one of three orders (`threads_in_order`). A kernel that gives other results in another order
  has a race. No order shows an addition that is lost, as in `y[0] += x[i]` by several threads: `sanitized("thread")`
  does, within a block and between blocks.
- Inside `sanitized("address")`, "undefined" or "thread", a kernel runs as a program of its own, which that sanitizer of
  g++ watches.

What shows nothing: a write that is off by so much that it lands in another array or another shared variable, unless
`sanitized("address")` watches and it lands outside of both. A thread has 128 KB for local variables, less than on a
GPU. A process made by fork runs blocks one after the other. Ctrl-C ends a launch.
"""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .array import ndarray
from .build import compiled
from .guards import EmulatedLaunchError, Pointer, Region, address, pointer_to, regions_of, table_of, with_names, words

ORDERS = ("ascending", "descending", "random")
_LIMIT, _MOST = 48 << 10, 227 << 10  # bytes of shared memory of a block, and if the kernel asks for more; on sm_90

_order = "ascending"
_sanitizer: str | None = None
_recorded: Path | None = None
_alone = False  # in a fork: OpenMP's threads stay in the parent, and whoever waits for them waits for ever


def _after_fork() -> None:
    global _alone
    _alone = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def threads_in_order(order: str) -> Iterator[None]:
    """Inside the block, threads and blocks run in this order: "ascending", "descending" or "random"."""
    global _order
    if order not in ORDERS:
        raise ValueError(f"threads_in_order: the orders are {', '.join(ORDERS)}, got {order!r}")
    before, _order = _order, order
    try:
        yield
    finally:
        _order = before


@contextmanager
def sanitized(sanitizer: str) -> Iterator[None]:
    """Inside the block, a sanitizer of g++ watches the kernels: "address", "undefined" or "thread" (races)."""
    global _sanitizer
    if sanitizer not in ("address", "undefined", "thread"):
        raise ValueError(f"sanitized: the sanitizers are address, undefined and thread, got {sanitizer!r}")
    before, _sanitizer = _sanitizer, sanitizer
    try:
        yield
    finally:
        _sanitizer = before


@contextmanager
def recorded(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Inside the block, each launch leaves a program with its arguments in a folder, to be stepped through:
    `gdb -d kernels/minicnn_kernels --args FOLDER/0 FOLDER/0.arguments`, then `break direct.cu:25` and `run`.
    """
    global _recorded
    Path(folder).mkdir(parents=True, exist_ok=True)
    before, _recorded = _recorded, Path(folder)
    try:
        yield
    finally:
        _recorded = before


class RawModule:
    """The kernels of one source.

    Args:
        code: the source, in CUDA C++.
        options: of NVRTC; only -I and -D count here.
        backend: not used.
        name_expressions: the kernels, templates with their arguments: "scale<float>".

    Raises:
        CompileError: g++ does not accept the source.
        RuntimeError: there is no g++, or this is not Linux on x86-64.
    """

    def __init__(
        self, *, code: str, options: Sequence[str] = (), backend: str = "nvrtc", name_expressions: Sequence[str] = ()
    ) -> None:
        self._names = tuple(name_expressions)
        self._source = code, self._names, tuple(options)
        self._library = _library(*self._source)

    def get_function(self, name: str) -> RawKernel:
        """A kernel, by its expression."""
        if name not in self._names:
            raise ValueError(f"RawModule: {name!r} is not among the name_expressions {', '.join(self._names)}")
        return RawKernel(name, self._names.index(name), self._library, self._source)


@functools.lru_cache(256)
def _library(code: str, names: tuple[str, ...], options: tuple[str, ...]) -> Any:
    library = ctypes.CDLL(str(compiled(code, names, options)))
    for number in range(len(names)):
        getattr(library, f"parameters_{number}").restype = ctypes.c_char_p
    return library


class RawKernel:
    """A kernel, called as `kernel(grid, block, args, shared_mem=bytes)`."""

    def __init__(self, name: str, number: int, library: Any, source: Any) -> None:
        self.name, self._source, self._number = name, source, number
        self._launch = getattr(library, f"launch_{number}")
        self._parameters = getattr(library, f"parameters_{number}")().decode().split()
        self.max_dynamic_shared_size_bytes = _LIMIT

    def __call__(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        *,
        shared_mem: int = 0,
        stream: Any = None,
        through: Sequence[Any] = (),
    ) -> None:
        """Run it.

        Args:
            grid, block, args, shared_mem, stream: as in CuPy.
            through: the arrays whose addresses are in tables among `args`; CuPy does not have this.

        Raises:
            TypeError: an argument is not what the parameter says.
            EmulatedLaunchError: the kernel failed, or wrote where it may not.
        """
        blocks, threads = _sizes(f"{self.name}: grid", grid), _sizes(f"{self.name}: block", block)
        if len(args) != len(self._parameters):
            raise TypeError(f"{self.name} has {len(self._parameters)} parameters, {len(args)} arguments were given")
        if shared_mem < 0:
            raise ValueError(f"{self.name}: {shared_mem} bytes of dynamic shared memory are less than none")
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise ValueError(
                f"{self.name}: {shared_mem} bytes of dynamic shared memory are more than "
                f"max_dynamic_shared_size_bytes={self.max_dynamic_shared_size_bytes}"
            )
        cells = [self._cell(i, *pair, through) for i, pair in enumerate(zip(args, self._parameters, strict=True))]
        arrays = [cell for cell in cells if isinstance(cell, Pointer)]
        regions = regions_of([pointer for a in arrays for pointer in (a, *a.table)])
        for a in arrays:
            a.write_table()
        if _recorded is not None:
            self._record(_recorded, self._arguments(blocks, threads, shared_mem, cells, regions))
        run = self._run_here if _sanitizer is None else self._run_apart
        failed = run(blocks, threads, shared_mem, cells, regions)
        for region in regions:
            region.check(self.name)
        if failed:
            raise EmulatedLaunchError(f"{self.name}: {with_names(failed, regions)}")
        for region in regions:
            region.give_back()

    def _cell(self, number: int, value: Any, parameter: str, through: Sequence[Any]) -> Any:
        """An argument: a `Pointer`, or the bytes of a number or a struct."""
        what = f"{self.name}: argument {number}"
        if parameter[0] in "*&":
            return (
                table_of(what, value, parameter, through)
                if parameter[1] in "*&"
                else pointer_to(what, value, parameter)
            )
        if type(value) is ndarray or (isinstance(value, np.ndarray) and value.dtype.names is None):
            raise TypeError(f"{what} is an array, and the parameter is {words(parameter)}")
        cell = np.array(value)  # of a Python float a double, of an int 8 bytes, as in CuPy
        kind = f"{{{cell.nbytes}}}" if cell.dtype.names else f"{cell.dtype.kind}{cell.nbytes}"
        if not cell.dtype.isnative:
            raise TypeError(f"{what} has the type {cell.dtype}, whose bytes are in the order of another machine")
        if cell.size != 1 or kind != parameter:
            raise TypeError(
                f"{what} is {words(kind)} ({type(value).__name__}), and the parameter is {words(parameter)}"
            )
        return cell

    def _run_here(self, grid: Sizes, block: Sizes, shared: int, cells: list[Any], regions: list[Region]) -> str:
        held = [np.array(cell.address(), np.uint64) if isinstance(cell, Pointer) else cell for cell in cells]
        arguments, error = np.array([address(cell) for cell in held], np.uint64), np.zeros(512, np.uint8)
        how = _Launch(grid, block, ORDERS.index(_order), _alone, shared, self._limit())
        places = [ctypes.c_void_p(address(a)) for a in (arguments, error)]
        failed = self._launch(ctypes.byref(how), *places, ctypes.c_size_t(len(error)))
        return error.tobytes().partition(b"\0")[0].decode() if failed else ""

    def _run_apart(self, grid: Sizes, block: Sizes, shared: int, cells: list[Any], regions: list[Region]) -> str:
        """Run it in a program, which reads the arguments from a file and writes the arrays back to it."""
        program = self._program(str(_sanitizer))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **_OPTIONS}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "arguments"
            file.write_bytes(self._arguments(grid, block, shared, cells, regions))
            done = subprocess.run([program, file], capture_output=True, text=True, check=False, env=environment)
            if done.returncode:
                return done.stderr.strip()
            rest = np.fromfile(file, np.uint8)
        for region in regions:
            size = len(region.inside)
            if not any(t.region is region for t in _tables(cells)):  # they hold the addresses in the program
                region.inside[:] = rest[:size]
            rest = rest[size:]
        return ""

    def _limit(self) -> int:
        """Bytes of static and dynamic shared memory together."""
        return _LIMIT if self.max_dynamic_shared_size_bytes <= _LIMIT else _MOST

    def _program(self, kind: str) -> Path:
        code, names, options = self._source
        return compiled(code, names, options, kind)

    def _arguments(self, grid: Sizes, block: Sizes, shared: int, cells: list[Any], regions: list[Region]) -> bytes:
        """The file that a program of `cpp/program.h` reads."""

        def place(pointer: Pointer) -> int:
            return len(regions) if pointer.region is None else regions.index(pointer.region)

        head = [self._number, ORDERS.index(_order), *grid, *block, shared, self._limit(), len(regions), len(cells)]
        parts = [np.array(head, np.uint64).tobytes()]
        for region in regions:
            parts += [np.array([len(region.inside)], np.uint64).tobytes(), region.inside.tobytes()]
        for cell in cells:
            if isinstance(cell, Pointer):
                parts.append(np.array([1, place(cell), cell.offset], np.uint64).tobytes())
            else:
                parts += [np.array([0, cell.nbytes], np.uint64).tobytes(), cell.tobytes()]
        pointers = [
            [place(t), t.offset + 8 * i, place(p), p.offset] for t in _tables(cells) for i, p in enumerate(t.table)
        ]
        parts.append(np.array([len(pointers), *(n for pointer in pointers for n in pointer)], np.uint64).tobytes())
        return b"".join(parts)

    def _record(self, folder: Path, file: bytes) -> None:
        """Leave the kernel and its arguments for a debugger."""
        number = len([*folder.glob("*.arguments")])
        (folder / f"{number}.arguments").write_bytes(file)
        shutil.copy(self._program("debug"), folder / f"{number}")


def _sizes(what: str, sizes: Sequence[int]) -> Sizes:
    """The sizes of a grid or a block along x, y and z."""
    found = (*sizes, 1, 1, 1)[:3]
    if not 1 <= len(sizes) <= 3:
        raise ValueError(f"{what} {tuple(sizes)} has {len(sizes)} sizes; it has one to three, for x, y and z")
    if not all(isinstance(n, (int, np.integer)) for n in found):
        raise TypeError(f"{what} {tuple(sizes)}: sizes are integers")
    if not all(0 <= n < 2**32 for n in found):
        raise ValueError(f"{what} {tuple(sizes)}: a GPU has no such size")
    return tuple(int(n) for n in found)


def _tables(cells: list[Any]) -> list[Pointer]:
    return [cell for cell in cells if isinstance(cell, Pointer) and cell.table]


class _Launch(ctypes.Structure):
    """`emulated::Launch`."""

    _fields_ = (
        ("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("order", ctypes.c_int), ("alone", ctypes.c_int),
        ("shared", ctypes.c_uint64), ("limit", ctypes.c_uint64),
    )  # fmt: skip


_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=0",
    "TSAN_OPTIONS": "halt_on_error=1",
}
Sizes = tuple[int, ...]
