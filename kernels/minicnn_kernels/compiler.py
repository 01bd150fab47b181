"""How minicnn uses Numba: imported late, with machine code kept on disk and checked, and never interrupted half-way.

**Uninterrupted.** Ctrl-C raises KeyboardInterrupt between any two steps of Python code, and handlers of other signals
may raise exceptions likewise. Numba's compiler takes seconds and does not expect this. An interrupt may leave a module
half imported, a lock held, or a function half registered, and then every later call fails. Only the main thread gets
such exceptions. So work that must not stop half-way runs in a thread made for it (`apart`), and the caller waits.
Ctrl-C ends the waiting at once; the work is finished in the background, and the next call finds it done.

**Kept.** `Kept` replaces Numba's cache: one file for each kernel and set of types, read and written by
`machine_code.py`. Numba's own cache has an index beside the code, which says which file is for which types. Two
processes that compile at the same time may give one file to different types, and neither the index nor the code is
checked. In minicnn a damaged or missing file costs a compilation and prints a line; it is never an error. If several
processes lack the same code, one compiles it while the others wait.
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

_busy = threading.RLock()  # one job at a time; held while this process is forked, so that no job is cut in two
_here = threading.local()  # `working` is True in the thread of a job


def apart(call: Callable[..., T], *args: Any, **options: Any) -> T:
    """Run `call(*args, **options)` in a thread of its own, one job at a time, and return its result.

    An exception raised in the calling thread, as by Ctrl-C, ends the waiting, not the job. Python waits for the thread
    before it exits.
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
    except RuntimeError:  # no thread can be started any more, for example while Python exits
        with _busy:
            return call(*args, **options)
    done.acquire()
    if failure:
        try:
            raise failure[0]
        finally:
            failure.clear()  # the error refers to this frame, and this frame to the error: a reference cycle
    return result[0]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_busy.acquire, after_in_parent=_busy.release, after_in_child=_busy.release)


# -------------------------------------------------------------------------------------------------------------- Numba


@functools.cache
def numba() -> Any:
    """Import Numba once, and announce when it compiles.

    A GNU OpenMP thread that has nothing to do spins for milliseconds before it sleeps. If a threaded NumPy product came
    just before a kernel, the threads of the product still spin, and on two cores a kernel of 0.25 ms then took 3.7 ms.
    A sleeping thread, on the other hand, takes 40 microseconds to wake, 28 times in a training step of LeNet-5. At
    batch 1 a step took 1.76 ms with a spin of 10 microseconds, and 1.34 ms with a spin of 100 microseconds, which lasts
    from one kernel to the next. A setting of the user's has priority.
    """
    return apart(_import_numba)


LAYERS = ("default", "tbb", "omp", "workqueue", "threadsafe", "forksafe", "safe")  # Numba's names of threading layers


def _check_environment() -> None:
    """Refuse values with which Numba would fail: during its import, which leaves it half imported, or at a kernel."""
    count, layer = os.environ.get("NUMBA_NUM_THREADS", ""), os.environ.get("NUMBA_THREADING_LAYER", "default")
    if count.strip().lstrip("-+").isdecimal() and int(count) < 1:  # Numba itself refuses other text
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
    """Say, once in a process, that kernels are being compiled, and whether the next run will find them on disk."""
    if "compiling" in machine_code._told:
        return
    why = "there is no home folder" if folder is None else machine_code.refusal(folder)
    if why:
        machine_code.tell_once("compiling", "compiling kernels for this machine")
        machine_code.tell_refusal(folder, why)
    else:
        machine_code.tell_once("compiling", "compiling kernels for this machine; the next run finds them on disk")


def _widen(config: Any) -> None:
    """Make LLVM use vectors of 512 bits where the processor has them.

    For Intel's processors LLVM prefers 256 bits, because the first of them with AVX-512 lowered their clock for wider
    vectors. Convolution in registers ran at 48 GFLOP/s a core with 256 bits and at 85 with 512. A choice of the user's
    (`NUMBA_CPU_NAME`, `NUMBA_CPU_FEATURES`) has priority.
    """
    if config.CPU_NAME is None and config.CPU_FEATURES is None:
        from numba.core.codegen import get_host_cpu_features

        features = get_host_cpu_features()
        if "+avx512f" in features:
            config.CPU_FEATURES = f"{features},-prefer-256-bit"


def _optimise_once(library: Any) -> None:
    """Make Numba optimise the code of a parallel kernel once instead of three times.

    Numba makes three libraries of a parallel kernel: the loop over the shares, a wrapper of the loop, and the function.
    Each library contains the code of the one before, and Numba optimises and translates it again; only the last library
    is run. With one optimisation, compiling takes 30 % less time, and the size of the machine code differs by 0.3 %.

    These are names inside Numba. A version that lacks one of them compiles as it always does.
    """
    needed = ("_optimize_final_module", "_finalize_final_module", "_finalize_dynamic_globals")
    if not all(hasattr(library, name) for name in needed):
        return
    loop, wrapper = "__numba_parfor_gufunc", "<numba.np.ufunc.wrappers._GufuncWrapper"
    optimise, finish = library._optimize_final_module, library._finalize_final_module

    def optimise_the_last(self: Any) -> None:
        if not (_turns and self.name.startswith((loop, wrapper))):
            optimise(self)

    def finish_what_is_called(self: Any) -> None:
        if _turns and self.name.startswith(wrapper):  # no code asks for its address
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
            except OSError:  # the sources are not plain files: they are in an archive, for instance
                self.folder = None
            self._cache = _kept()(self.py_func, self.folder, self.targetoptions.get("parallel", False))

        def compile(self, sig: Any) -> Any:
            """Compile, or load from the cache; the lock on the file of code is held until the code is in it."""
            with contextlib.ExitStack() as turn:
                _turns.append(turn)
                try:
                    return CPUDispatcher.compile(self, sig)
                finally:
                    _turns.pop()

        def _compile_for_args(self, *args: Any, **options: Any) -> Any:
            """Compile or load in a thread of its own; called when no code for these types is in memory."""
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
        """The machine code of a kernel in a folder; without a folder nothing is kept."""

        def __init__(self, function: Callable[..., Any], folder: Path | None, threaded: bool) -> None:
            self._py_func, self._name = function, repr(function)
            self.folder, self.threaded = folder, threaded
            self._cache_path = str(folder or "")
            self.enable()

        def flush(self) -> None:
            """Does nothing: a file is overwritten when its kernel is compiled again."""

        def place(self, folder: Path, sig: Any, codegen: Any) -> tuple[Path, bytes]:
            """The file for a signature, and the SHA-256 of everything besides the sources that its code depends on."""
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
