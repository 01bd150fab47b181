"""What minicnn runs on: processor, libraries, threads, caches, GPUs, speed; with a verdict on each of them.

    minicnn doctor

The verdict of a line is "ok", "slow" for a loss of speed, with a remedy, or "wrong" for wrong results.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from minicnn_kernels import blas, machine_code, runtime
from minicnn_kernels.blas import cores
from minicnn_kernels.dispatch import use

from ..ops.conv import conv2d
from ..ops.tensor.matmul import matmul
from ..tensor import Array, Tensor
from . import doctor_gpu
from .verdicts import OK, SLOW, WRONG, Line


def examine(measure: bool = True) -> list[Line]:
    """Examine everything; with `measure`, also compile or load a few kernels, check and time them (takes seconds)."""
    numba = runtime.have_numba()
    lines = [*_versions(), *_processor(), *_libraries(numba), *(_numba(measure) if numba else ()), *_data()]
    lines += doctor_gpu.examine(measure)
    if measure:
        lines += [*_check(numba), *_speed()]
    return lines


def as_text(lines: list[Line]) -> str:
    """The lines as text for people, with each remedy under its line."""
    width = max(len(line.name) for line in lines)
    text = []
    for line in lines:
        text.append(f"{line.verdict:<6}{line.name:<{width}}  {line.found}")
        if line.remedy:
            text.append(f"{'':<{8 + width}}-> {line.remedy}")
    bad = sum(line.verdict != OK for line in lines)
    return "\n".join([*text, "", f"{bad} of {len(lines)} need attention" if bad else "everything is ok"])


def as_json(lines: list[Line]) -> str:
    """The lines as JSON for programs: a list of objects."""
    return json.dumps([line._asdict() for line in lines], indent=1)


# ---------------------------------------------------------------------------------------------------------- the system


def _versions() -> Iterator[Line]:
    from ..version import __version__

    yield Line(
        "minicnn", f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    for name in ("numpy", "scipy", "numba", "threadpoolctl"):
        try:
            yield Line(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            remedy = f"pip install {name}" + (
                "; until then NumPy computes, many times slower" if name == "numba" else ""
            )
            yield Line(name, "not installed", SLOW, remedy)


def _processor() -> Iterator[Line]:
    yield Line("processor", _cpu_model())
    yield Line("cores", f"this process may use {cores()} of {os.cpu_count()}")
    quota = _quota()
    if quota is not None:
        few = quota < cores()
        remedy = f"more threads than that wait for each other: set NUMBA_NUM_THREADS={max(1, int(quota))}"
        yield Line("cpu quota", f"{quota:g} cores", SLOW if few else OK, remedy if few else "")
    flags = blas.cpu_flags()
    if flags:
        best = [name for name in ("avx512f", "avx512_fp16", "amx_tile", "avx2", "fma", "asimd") if name in flags]
        yield Line("vectors", " ".join(best) or "no instruction set that makes kernels faster")
    sizes = _caches()
    if sizes:
        yield Line("caches", sizes)


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _quota() -> float | None:
    """The number of processors that a Linux control group (a container) allows; None without a limit."""
    limit, _, period = _read("/sys/fs/cgroup/cpu.max").strip().partition(" ")
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() else None


def _caches() -> str:
    folders = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    parts = [[_read(folder / name).strip() for name in ("level", "type", "size")] for folder in folders]
    return ", ".join(f"L{level}{'' if kind == 'Unified' else kind[:1].lower()} {size}" for level, kind, size in parts)


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _libraries(numba: bool) -> Iterator[Line]:
    """Every BLAS in the process, also that of compiled code, and whether its kernels are for this CPU."""
    if numba:
        runtime._numba_blas()
    flags = blas.cpu_flags()
    for library in blas.libraries():
        folders = Path(library.filepath or "").parts
        owner = next((name for name in ("numpy", "scipy", "torch", "sklearn") if any(name in f for f in folders)), "")
        kernels = getattr(library, "architecture", None)
        found = f"{library.internal_api} {library.version}, {kernels} kernels, {library.num_threads} threads"
        if blas.too_old(flags, library):
            remedy = f"{kernels} kernels on a CPU with AVX-512: start Python with OPENBLAS_CORETYPE=SkylakeX"
            yield Line(f"blas ({owner})", found, SLOW, remedy)
        else:
            yield Line(f"blas ({owner})", found)


def _numba(measure: bool) -> Iterator[Line]:
    import numba

    count, most = runtime.threads(), cores()
    remedy = f"set_num_threads or NUMBA_NUM_THREADS limits it to fewer than the {most} cores" if count < most else ""
    if count > most:
        remedy = f"more threads than the {most} cores wait for each other: set NUMBA_NUM_THREADS={most}"
    yield Line("threads", f"{count} in compiled kernels", OK if count == most else SLOW, remedy)
    if measure:
        with use(backend="numba"):
            matmul(Tensor(np.ones((512, 512), np.float32)), Tensor(np.ones((512, 512), np.float32)))
        layer = numba.threading_layer()
        poor = layer == "workqueue"
        remedy = "OpenMP was not found; threads start faster with it: install libgomp (Linux) or pip install tbb"
        yield Line("threading layer", layer, SLOW if poor else OK, remedy if poor else "")
    if getattr(numba.config, "DISABLE_JIT", 0):
        yield Line("compiler", "off", SLOW, "NUMBA_DISABLE_JIT is set, which is for debuggers only; unset it")
    yield _machine_code()


def _machine_code() -> Line:
    """The compiled kernels on disk: whether files are damaged, and whether more can be written."""
    root, elsewhere = machine_code.root(), "set NUMBA_CACHE_DIR to one of your folders"
    if root is None:
        return Line("machine code", "no home folder to keep it in", SLOW, f"every process compiles again: {elsewhere}")
    try:
        files, size, bad = machine_code.look(root)
    except OSError as error:
        why = machine_code.reason(error)
        return Line("machine code", f"{root}: {why}", SLOW, f"every process compiles again: {elsewhere}")
    found = f"{root}: {files} files, {size / 2**20:.0f} MB"
    # lexists: a link without a target counts too, as it prevents making the folder
    there = next(folder for folder in (root, *root.parents) if os.path.lexists(folder))
    writable = there.is_dir() and os.access(there, os.W_OK)
    refusal = machine_code.refusal(root) if there == root else "" if writable else "it cannot be made"
    if refusal:
        return Line("machine code", found, SLOW, f"nothing can be written ({refusal}): every process compiles again; "
                    f"make the folder writable, or {elsewhere}")  # fmt: skip
    if bad:
        remedy = f"they are compiled again when they are needed; you can also delete them: {bad[0]}" + " ..." * (
            len(bad) > 1
        )
        return Line("machine code", f"{found}, {len(bad)} of them damaged", SLOW, remedy)
    return Line("machine code", found)


def _data() -> Iterator[Line]:
    folder = os.environ.get("MINICNN_DATA")
    if folder is None:
        yield Line("data", "MINICNN_DATA is not set; the digits are bundled, other datasets need it or --data")
    elif Path(folder).expanduser().is_dir():
        yield Line("data", folder)
    else:
        yield Line("data", f"{folder} is not a folder", SLOW, "make it, or set MINICNN_DATA to the folder of your data")


# -------------------------------------------------------------------------------------------------------- measurements


def _check(numba: bool) -> Iterator[Line]:
    """A convolution and a matrix product, as they run by default, against NumPy in float64."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 12, 11), np.float32), rng.standard_normal((4, 3, 3, 3), np.float32)
    a, b = rng.standard_normal((70, 300), np.float32), rng.standard_normal((300, 90), np.float32)

    def relative(call: Callable[..., Tensor], *arrays: Array) -> float:
        with use(backend="numpy"):
            expected = call(*(Tensor(array.astype(np.float64)) for array in arrays)).numpy()
        with use(backend="auto", algorithm="auto"):
            found = call(*map(Tensor, arrays)).numpy()
        error = np.abs(found - expected).max() / np.abs(expected).max()
        return float(error) if np.isfinite(error) else np.inf

    for name, error in (("convolution", relative(conv2d, x, w)), ("product", relative(matmul, a, b))):
        good = error < 1e-4
        remedy = "results are wrong on this machine; please report this, with the whole output"
        where = "Numba" if numba else "NumPy"
        yield Line(f"check {name}", f"error {error:.0e}, {where}", OK if good else WRONG, "" if good else remedy)


def _speed() -> Iterator[Line]:
    """Matrix products and copies of memory, on one thread and on all: the upper limits of everything else."""
    from scipy.linalg.blas import sgemm
    from threadpoolctl import threadpool_limits

    n, count = 1536, cores()
    a = np.ones((n, n), np.float32, "F")
    rates = []
    for threads in {1, count}:
        with threadpool_limits(threads, user_api="blas"):
            rates.append(2e-9 * n**3 / _best(lambda: sgemm(1.0, a, a)))
    rates.sort()
    poor = count > 1 and rates[-1] < 1.2 * rates[0]
    remedy = "more threads are hardly faster: is the machine busy, or does it share its cores?"
    found = f"{rates[0]:.0f} GFLOP/s on one thread, {rates[-1]:.0f} on {count}"
    yield Line("matrix product", found, SLOW if poor else OK, remedy if poor else "")
    source = np.ones(1 << 25, np.float32)  # 128 MB
    target = np.empty_like(source)
    with ThreadPoolExecutor(count) as pool:

        def copy(threads: int) -> None:
            list(pool.map(np.copyto, np.array_split(target, threads), np.array_split(source, threads)))

        speeds = [2e-9 * source.nbytes / _best(lambda n=n: copy(n)) for n in (1, count)]  # type: ignore[misc]
    yield Line("memory", f"{speeds[0]:.0f} GB/s on one thread, {speeds[1]:.0f} on {count}, reads and writes of a copy")


def _best(call: Callable[[], Any], seconds: float = 0.3) -> float:
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
