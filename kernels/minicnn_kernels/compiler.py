"""How minicnn uses Numba: imported late, compiling each function once, and never interrupted half-way.

**Uninterrupted.** Ctrl-C raises KeyboardInterrupt between any two steps of Python code, and handlers of other signals
may raise exceptions likewise. Numba's compiler takes seconds and does not expect this. An interrupt may leave a module
half imported, a lock held, or a function half registered, and then every later call fails. Only the main thread gets
such exceptions. So work that must not stop half-way runs in a thread made for it (`apart`), and the caller waits.
Ctrl-C ends the waiting at once; the work is finished in the background, and the next call finds it done.

`dispatchers.py` has the compiled functions and their machine code on disk.
"""

from __future__ import annotations

import functools
import os
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
    _emit_when_called(codegen)

    class Announce(event.Listener):
        def on_start(self, started: Any) -> None:
            kernel = started.data["dispatcher"]
            if hasattr(kernel, "folder"):  # one of ours
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


def _emit_when_called(codegen: Any) -> None:
    """Make machine code of those functions only that Python calls; of the others, only while kernels are compiled.

    A kernel consists of dozens of small functions. Numba optimises and translates each of them, and then all functions
    above it, which contain its code again: three levels up this is the fourth time. Here only the function that Python
    calls, which contains all of them, is translated. A function is optimised before that if it has a loop: LLVM does
    not vectorise some loops once they are inside another loop of the caller.

    These are names inside Numba. A version that lacks one of them compiles as it always does.
    """
    library, whole = codegen.JITCodeLibrary, codegen.JITCPUCodegen
    steps = ("_optimize_functions", "_optimize_final_module", "_finalize_final_module", "get_pointer_to_function")
    if not (all(hasattr(library, name) for name in steps) and hasattr(whole, "set_env")):
        return
    optimise, finish, pointer, set_env = (
        library._optimize_final_module, library._finalize_final_module, library.get_pointer_to_function, whole.set_env
    )  # fmt: skip
    simplify = library._optimize_functions

    def simplify_once(self: Any, module: Any) -> None:
        if _compiling:
            module.data_layout = self._codegen._data_layout
        else:
            simplify(self, module)

    def optimise_later(self: Any) -> None:
        if not _compiling or _compiling[-1]:
            optimise(self)

    def finish_later(self: Any) -> None:
        if not _compiling:
            finish(self)
        else:
            self._finalized = self._is_waiting = True

    def emit(self: Any, name: str) -> int:
        self._ensure_finalized()
        if getattr(self, "_is_waiting", False):
            if not any(f.name == name and not f.is_declaration for f in self._final_module.functions):
                return 0
            self._is_waiting = False
            optimise(self)
            finish(self)
        address: int = pointer(self, name)
        return address

    def set_env_of_emitted(self: Any, name: str, env: Any) -> None:
        if self._engine.is_symbol_defined(name):
            set_env(self, name, env)

    library._optimize_functions = simplify_once
    library._optimize_final_module, library._finalize_final_module = optimise_later, finish_later
    library.get_pointer_to_function, whole.set_env = emit, set_env_of_emitted


def types_of(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Numba's types of the arguments of a call."""
    from numba.core.typing.typeof import Purpose, typeof

    return tuple(typeof(a, Purpose.argument) for a in args)


# For the function that is being compiled, and those that wait for it: whether it is optimised before its callers are
_compiling: list[bool] = []
