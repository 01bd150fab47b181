"""Numba put to work: imported late, with its machine code kept and checked, and never interrupted half-way.

**Uninterrupted.** Ctrl-C raises KeyboardInterrupt between any two steps of Python code, and so do the handlers of other
signals. Numba's compiler takes seconds and does not expect it: it may be left with half a module imported, a lock held,
or a function half registered, and then every later call fails. Exceptions of that kind reach the main thread alone, so
whatever may not stop half-way runs in a thread made for it (`apart`), and the caller waits. Ctrl-C ends the waiting at
once; the work is finished in the background, and the next call finds it done.

**Kept.** `Kept` replaces Numba's cache: one file for each kernel and set of types, read and written by
`machine_code.py`. Numba's has an index beside the code, which says which file is for which types; two processes that
compile at once may each give the same file to different types, and neither the index nor the code is checked. Whatever
happens to a file costs a compilation, and a line that says so; it is never an error. Of several processes that lack the
same code, one compiles it, while the others wait.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from . import machine_code

T = TypeVar("T")


# ------------------------------------------------------------------------------------------------------ uninterrupted

_busy = threading.RLock()  # one piece of work at a time; held while this process is forked, so that none is cut in two
_here = threading.local()  # `working` in the thread of a piece of work


def apart(call: Callable[..., T], *args: Any, **options: Any) -> T:
    """`call(*args, **options)` in a thread of its own, one at a time. An exception raised in this thread, as by Ctrl-C,
    ends the waiting, not the work. Python waits for the thread before it ends.
    """
    if getattr(_here, "working", False):
        return call(*args, **options)
    done, result, failure = threading.Lock(), [], []
    done.acquire()

    def work() -> None:
        _here.working = True
        try:
            with _busy:
                result.append(call(*args, **options))
        except BaseException as error:
            failure.append(error)
        finally:
            done.release()

    thread = threading.Thread(target=work, name="minicnn compiler", daemon=False)
    try:
        thread.start()
    except RuntimeError:  # no more threads may be started, as while Python ends
        with _busy:
            return call(*args, **options)
    done.acquire()
    if failure:
        try:
            raise failure[0]
        finally:
            failure.clear()  # an error holds its frames, and this one the error
    return result[0]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_busy.acquire, after_in_parent=_busy.release, after_in_child=_busy.release)


# -------------------------------------------------------------------------------------------------------------- Numba


@functools.cache
def numba() -> Any:
    """Import Numba once, and have it say so when it compiles.

    A GNU OpenMP thread that has nothing to do spins for milliseconds before it sleeps. Where a threaded NumPy product
    came just before a kernel, its threads spin as well, and on two cores a kernel of 0.25 ms then took 3.7 ms. A thread
    that sleeps, on the other hand, takes 40 microseconds to wake, 28 times in a training step of LeNet-5: at batch 1 it
    took 1.76 ms with a spin of 10 microseconds, and 1.34 ms with 100, which lasts from one kernel to the next. What
    the user has set goes first.
    """
    return apart(_import_numba)


LAYERS = ("default", "tbb", "omp", "workqueue", "threadsafe", "forksafe", "safe")  # of threads, as Numba calls them


def _check_environment() -> None:
    """Refuse values at which Numba would fail, while it is imported and half of it stays, or at the first kernel."""
    count, layer = os.environ.get("NUMBA_NUM_THREADS", ""), os.environ.get("NUMBA_THREADING_LAYER", "default")
    if count.strip().lstrip("-+").isdecimal() and int(count) < 1:  # Numba itself says that others are no numbers
        raise ValueError(f"the environment variable NUMBA_NUM_THREADS must be 1 or more, got {count}")
    if layer.lower() not in LAYERS:
        known = ", ".join(LAYERS)
        raise ValueError(f"the environment variable NUMBA_THREADING_LAYER must be one of {known}, got {layer}")


def _import_numba() -> Any:
    _check_environment()
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "30000")  # about 100 microseconds
    import numba
    from numba.core import codegen, event

    _widen(numba.config)
    _optimise_once(codegen.JITCodeLibrary)

    class Announce(event.Listener):
        def on_start(self, started: Any) -> None:
            kernel = started.data["dispatcher"]
            if isinstance(kernel, _dispatcher()):
                _announce(kernel.folder)

        def on_end(self, ended: Any) -> None:
            pass

    event.register("numba:compile", Announce())
    return numba


def _announce(folder: Path | None) -> None:
    """Say that kernels are being compiled, once in a process, and whether that is for the last time."""
    if "compiling" in machine_code._told:
        return
    why = "there is no home folder" if folder is None else machine_code.refusal(folder)
    if why:
        machine_code.tell_once("compiling", "compiling kernels for this machine")
        machine_code.tell_refusal(folder, why)
    else:
        machine_code.tell_once("compiling", "compiling kernels for this machine; the next run finds them on disk")


def _widen(config: Any) -> None:
    """Have LLVM use vectors of 512 bits where the processor has them.

    For Intel's processors LLVM prefers 256 bits, since the first of them with AVX-512 lowered their clock for the wider
    ones. Convolution in registers ran at 48 GFLOP/s a core with 256 bits and at 85 with 512. A choice of the user's
    (`NUMBA_CPU_NAME`, `NUMBA_CPU_FEATURES`) goes first.
    """
    if config.CPU_NAME is None and config.CPU_FEATURES is None:
        from numba.core.codegen import get_host_cpu_features

        features = get_host_cpu_features()
        if "+avx512f" in features:
            config.CPU_FEATURES = f"{features},-prefer-256-bit"


def _optimise_once(library: Any) -> None:
    """Have the code of a parallel kernel optimised once, where Numba does it three times.

    Numba makes three libraries of it: the loop over the shares, a wrapper of that, and the function. Each takes in all
    the code of the one before, with what it calls, and optimises and translates that again; only the last one is run.
    Without that, compiling takes 30 % less time, and the machine code differs by 0.3 % of its size.
    """
    loop, wrapper = "__numba_parfor_gufunc", "<numba.np.ufunc.wrappers._GufuncWrapper"
    optimise, finish = library._optimize_final_module, library._finalize_final_module

    def optimise_the_last(self: Any) -> None:
        if not (_turns and self.name.startswith((loop, wrapper))):
            optimise(self)

    def finish_what_is_called(self: Any) -> None:
        if _turns and self.name.startswith(wrapper):  # nobody asks for its address
            self._finalize_dynamic_globals()
            self._finalized = True
        else:
            finish(self)

    library._optimize_final_module, library._finalize_final_module = optimise_the_last, finish_what_is_called


def jit(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """`numba.njit(nogil=True, cache=True, **options)(function)`, with the cache and the compiling of this module."""
    if numba().config.DISABLE_JIT:
        return function
    targetoptions = {"nopython": True, "boundscheck": None, "nogil": True, **options}
    made = _dispatcher()(py_func=function, locals={}, targetoptions=targetoptions)
    made.enable_caching()
    return made


_turns: list[contextlib.ExitStack] = []  # of the kernels that are being compiled or loaded: one, and those it calls


@functools.cache
def _dispatcher() -> Any:
    """The class of compiled kernels."""
    from numba.core.registry import CPUDispatcher

    class Kernel(CPUDispatcher):
        """A compiled function, as `numba.njit` makes it."""

        def enable_caching(self) -> None:
            try:
                self.folder = machine_code.folder_of(self.py_func.__module__)
            except OSError:  # the sources are in no files of their own: in an archive, for instance
                self.folder = None
            self._cache = _kept()(self.py_func, self.folder, self.targetoptions.get("parallel", False))

        def compile(self, sig: Any) -> Any:
            """Numba's, which asks the cache first; the turn that this may wait for lasts until the code is kept."""
            with contextlib.ExitStack() as turn:
                _turns.append(turn)
                try:
                    return CPUDispatcher.compile(self, sig)
                finally:
                    _turns.pop()

        def _compile_for_args(self, *args: Any, **options: Any) -> Any:
            """Numba's, which is called where there is no code for the types of these arguments in memory."""
            return apart(CPUDispatcher._compile_for_args, self, *args, **options)  # type: ignore[attr-defined]

    return Kernel


@functools.cache
def _kept() -> Any:
    """The class of caches of machine code, one for each kernel."""
    from llvmlite import __version__ as llvm  # type: ignore
    from numba.core import config
    from numba.core.caching import FunctionCache
    from numba.core.compiler import CompileResult
    from numba.core.serialize import dumps

    settings = [getattr(config, name, None) for name in ("OPT", "BOUNDSCHECK", "LOOP_VECTORIZE", "SLP_VECTORIZE")]
    tools = numba().__version__, llvm, sys.version, sys.byteorder, *settings

    class Kept(FunctionCache):
        """The machine code of a kernel in a folder, or, where there is none, nowhere."""

        def __init__(self, function: Callable[..., Any], folder: Path | None, threaded: bool) -> None:
            self._py_func, self._name = function, repr(function)
            self.folder, self.threaded = folder, threaded
            self._cache_path = str(folder or "")
            self.enable()

        def flush(self) -> None:
            """Forget nothing: a file is written over when its kernel is compiled again."""

        def place(self, folder: Path, sig: Any, codegen: Any) -> tuple[Path, bytes]:
            """The file for a signature, and the SHA-256 of all that its code depends on beside the sources."""
            function = self._py_func
            name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}".replace("<", "").replace(">", "")
            key = hashlib.sha256(repr((name, tools, self.threaded, self._index_key(sig, codegen))).encode())
            return folder / f"{name[:100]}-{key.hexdigest()[:16]}.nbc", key.digest()

        def load_overload(self, sig: Any, context: Any) -> Any:
            """The compiled function for a signature, or None."""
            context.refresh()
            if not self._enabled or self.folder is None:
                return None
            file, key = self.place(self.folder, sig, context.codegen())
            found = self._load(file, key, context)
            if found is None and _turns[-1].enter_context(machine_code.turn(file)):
                found = self._load(file, key, context)
            return found

        def _load(self, file: Path, key: bytes, context: Any) -> Any:
            try:
                code = machine_code.read(file, key)
                return None if code is None else CompileResult._rebuild(context, *pickle.loads(code))
            except (OSError, machine_code.DamagedError) as error:
                machine_code.tell_damage(file, machine_code.reason(error))
            except Exception as error:  # whole, and yet of no use: Python's own modules may be others than they were
                machine_code.tell_damage(file, f"{type(error).__name__}: {error}")
            return None

        def save_overload(self, sig: Any, compiled: Any) -> None:
            """Keep a compiled function, if that is possible."""
            lifted = any(not loop.can_cache for loop in compiled.lifted)
            if not self._enabled or self.folder is None or lifted or compiled.library.has_dynamic_globals:
                return
            try:
                file, key = self.place(self.folder, sig, compiled.codegen)
                machine_code.write(file, key, dumps(compiled._reduce()))
            except Exception as error:
                machine_code.tell_refusal(self.folder, machine_code.reason(error))

    return Kept
