"""Compiled functions, and their machine code on disk.

A kernel is compiled in one of two ways. Python calls a `Kernel`: it gets machine code, which is kept on disk. Compiled
code calls the `part` of a kernel: this has no machine code of its own, since the code of its callers contains it.

`Kept` replaces Numba's cache: one file for each kernel and set of types, read and written by `machine_code.py`. Numba's
own cache has an index beside the code, which says which file is for which types. Two processes that compile at the same
time may give one file to different types, and neither the index nor the code is checked. In minicnn a damaged or
missing file costs a compilation and prints a line; it is never an error. If several processes lack the same code, one
compiles it while the others wait.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import hashlib
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import drivers, machine_code
from .compiler import _compiling, apart, numba


def jit(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """`numba.njit(nogil=True, cache=True, **options)(function)`, with the cache and the compiling of this module."""
    return function if numba().config.DISABLE_JIT else kernel()(function, options)


@functools.cache
def kernel() -> Any:
    """The class of compiled functions: `kernel()(function, options)`, with options as for `numba.njit`."""
    from numba.core import dispatcher, types
    from numba.core.registry import CPUDispatcher

    class Compiler(dispatcher._FunctionCompiler):  # type: ignore[misc, name-defined, unused-ignore]
        """Compiles a function, or a driver in its rewritten form."""

        py_func: Any
        targetoptions: Any

        def _compile_core(self, args: Any, return_type: Any) -> Any:
            options, function = self.targetoptions, self.py_func
            _compiling.append(False)
            try:
                if options.get("parallel"):
                    driver = drivers.rewritten(function)
                    if driver is not None:
                        self.py_func, self.targetoptions = driver, {**options, "parallel": False}
                    else:
                        self.py_func = with_numbas_prange(function)
                return super()._compile_core(args, return_type)
            finally:
                self.py_func, self.targetoptions = function, options
                _compiling.pop()

    class Part(CPUDispatcher):
        """A function for callers that are compiled."""

        def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
            unneeded = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
            made = {"nopython": True, "boundscheck": None, "nogil": True, **unneeded, **options}
            super().__init__(py_func=function, locals={}, targetoptions=made)

        def compile(self, sig: Any) -> Any:
            """Compile, and optimise what has a loop."""
            _compiling.append(_has_loop(self.py_func))
            try:
                return super().compile(sig)
            finally:
                _compiling.pop()

        def result(self, *kinds: Any) -> Any:
            """What compiling for these types gave. That an argument is a constant makes no difference."""
            kinds = tuple(map(types.unliteral, kinds))
            self.compile(kinds)
            return self.overloads[kinds]

    class Kernel(CPUDispatcher):
        """A function for Python; what compiled code sees of it is its part."""

        def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
            made = {"nopython": True, "boundscheck": None, "nogil": True, "no_cfunc_wrapper": True, **options}
            super().__init__(py_func=function, locals={}, targetoptions=made)
            self._compiler.__class__ = Compiler  # type: ignore[attr-defined, has-type, unused-ignore]
            self.part = Part(function, options)
            try:
                self.folder = machine_code.folder_of(function.__module__)
            except OSError:  # the sources are not plain files: they are in an archive, for instance
                self.folder = None
            self._cache = _kept()(function, self.folder, options.get("parallel", False))

        def get_call_template(self, args: Any, kws: Any) -> Any:
            """What Numba's typing asks for at a call in compiled code."""
            return self.part.get_call_template(tuple(map(types.unliteral, args)), kws)

        def get_overload(self, sig: Any) -> Any:
            """What Numba's lowering asks for at a call in compiled code."""
            return self.part.get_overload(tuple(map(types.unliteral, sig)))

        def compile(self, sig: Any) -> Any:
            """Compile, or load from the cache; the lock on the file of code is held until the code is in it."""
            if self.targetoptions.get("parallel"):
                from numba.np.ufunc.parallel import _launch_threads

                _launch_threads()
            with contextlib.ExitStack() as turn:
                self._cache.turn = turn
                return super().compile(sig)

        def _compile_for_args(self, *args: Any, **options: Any) -> Any:
            """Compile or load in a thread of its own; called when no code for these types is in memory."""
            return apart(CPUDispatcher._compile_for_args, self, *args, **options)  # type: ignore[attr-defined]

    return Kernel


def _has_loop(function: Callable[..., Any]) -> bool:
    return any("FOR_ITER" in step.opname or "BACKWARD" in step.opname for step in dis.get_instructions(function))


def with_numbas_prange(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of a function for which `prange` is Numba's."""
    import types

    names = {**function.__globals__, "prange": numba().prange}
    return types.FunctionType(function.__code__, names, function.__name__, function.__defaults__)


@functools.cache
def _kept() -> Any:
    """The class of caches of machine code, one for each kernel."""
    from llvmlite import __version__ as llvm  # type: ignore
    from numba.core import config
    from numba.core.caching import FunctionCache
    from numba.core.compiler import CompileResult
    from numba.core.runtime import rtsys
    from numba.core.serialize import dumps

    settings = [getattr(config, name, None) for name in ("OPT", "BOUNDSCHECK", "LOOP_VECTORIZE", "SLP_VECTORIZE")]
    tools = numba().__version__, llvm, sys.version, sys.byteorder, *settings

    class Kept(FunctionCache):
        """The machine code of a kernel in a folder; without a folder nothing is kept."""

        def __init__(self, function: Callable[..., Any], folder: Path | None, threaded: bool) -> None:
            self._py_func, self._name = function, repr(function)
            self.folder, self.threaded = folder, threaded
            self._cache_path = str(folder or "")
            self.turn = contextlib.ExitStack()
            self.enable()

        def has(self, sig: Any, context: Any) -> bool:
            """Whether there is a file of code for a signature."""
            return self.folder is None or self.place(self.folder, sig, context.codegen())[0].exists()

        def flush(self) -> None:
            """Does nothing: a file is overwritten when its kernel is compiled again."""

        def place(self, folder: Path, sig: Any, codegen: Any) -> tuple[Path, bytes]:
            """The file for a signature, and the SHA-256 of everything besides the sources that its code depends on."""
            function = self._py_func
            name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}".replace("<", "").replace(">", "")
            key = hashlib.sha256(repr((name, tools, self.threaded, self._index_key(sig, codegen))).encode())
            return folder / f"{name[:100]}-{key.hexdigest()[:16]}.nbc", key.digest()

        def load_overload(self, sig: Any, context: Any) -> Any:
            """The compiled function for a signature, or None.

            What Numba needs to compile, half a second of imports, is not loaded for code that is found on disk.
            """
            rtsys.initialize(context)  # the functions by which compiled code allocates arrays
            if not self._enabled or self.folder is None:
                return None
            file, key = self.place(self.folder, sig, context.codegen())
            found = self._load(file, key, context)
            if found is None and self.turn.enter_context(machine_code.turn(file)):
                found = self._load(file, key, context)
            return found

        def _load(self, file: Path, key: bytes, context: Any) -> Any:
            try:
                code = machine_code.read(file, key)
                return None if code is None else CompileResult._rebuild(context, *pickle.loads(code))
            except (OSError, machine_code.DamagedError) as error:
                machine_code.tell_damage(file, machine_code.reason(error))
            except Exception as error:  # undamaged, but it cannot be loaded: Python's modules may have changed
                machine_code.tell_damage(file, f"{type(error).__name__}: {error}")
            return None

        def save_overload(self, sig: Any, compiled: Any) -> None:
            """Write a compiled function to disk, if that is possible."""
            lifted = any(not loop.can_cache for loop in compiled.lifted)
            if not self._enabled or self.folder is None or lifted or compiled.library.has_dynamic_globals:
                return
            try:
                file, key = self.place(self.folder, sig, compiled.codegen)
                machine_code.write(file, key, dumps(compiled._reduce()))
            except Exception as error:
                machine_code.tell_refusal(self.folder, machine_code.reason(error))

    return Kept
