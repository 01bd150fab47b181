"""What there is: the GPU, its driver, CUDA, CuPy, minicnn, PyTorch, and what `minicnn doctor` says."""

from __future__ import annotations

import platform
import subprocess
import sys
from typing import Any

from .child import Cases, Failure, Run, Skip

NO_GPU = "there is no GPU that minicnn can use; --emulated runs without one"


def cases(run: Run) -> Cases:
    return {"gpu": gpu, "cupy": cupy, "torch": lambda: torch(run), "doctor": lambda: doctor(run)}


def gpu() -> dict[str, Any]:
    """The GPU that minicnn sees."""
    import numpy as np

    import minicnn
    from minicnn_kernels import arrays

    try:
        arrays.gpu()
    except RuntimeError as error:
        raise Failure(f"{NO_GPU}: {error}") from error
    if not minicnn.cuda.is_available():
        raise Failure(f"{NO_GPU}: CuPy is there, and finds no driver or no GPU")
    found = {"name": minicnn.cuda.get_device_name(), "capability": str(minicnn.cuda.get_device_capability())}
    found |= {"memory": f"{arrays.gpu_memory() / 2**30:.0f} GiB", "minicnn": minicnn.__version__}
    found |= {"python": platform.python_version(), "numpy": np.__version__, "platform": platform.platform()}
    return _said(found)


def cupy() -> dict[str, Any]:
    """CuPy's version and those of CUDA."""
    from minicnn_kernels import arrays

    library = arrays.gpu()
    if arrays.is_emulated():
        raise Skip("the GPU is emulated")
    from cupy.cuda import nvrtc

    runtime = library.cuda.runtime
    versions = {"driver": runtime.driverGetVersion(), "runtime": runtime.runtimeGetVersion()}
    versions = {name: f"CUDA {number // 1000}.{number % 1000 // 10}" for name, number in versions.items()}
    return _said({"cupy": library.__version__, **versions, "nvrtc": ".".join(map(str, nvrtc.getVersion()))})


def torch(run: Run) -> dict[str, Any]:
    """PyTorch's version, if it is to be timed."""
    if not run.torch:
        raise Skip("it is timed only with --against torch")
    try:
        import torch as library
    except ImportError as error:
        raise Failure("--against torch: PyTorch is not installed; minicnn is timed alone") from error
    if not library.cuda.is_available():
        raise Failure("--against torch: PyTorch finds no GPU; minicnn is timed alone")
    return _said(
        {"torch": library.__version__, "cuda": library.version.cuda, "cudnn": library.backends.cudnn.version()}
    )


def doctor(run: Run) -> dict[str, Any]:
    """`minicnn doctor`: its lines that are not well. It does not fail if something is slow."""
    command = [sys.executable, "-m", "minicnn", "doctor", *(["--quick"] if run.small else [])]
    seconds = max(5, run.left())
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise Skip(f"it has not ended in {seconds:.0f} s") from error
    print(done.stdout, done.stderr, sep="")
    return {"status": done.returncode, "text": done.stdout}


def against(run: Run) -> Any:
    """PyTorch, if it is to be timed and can be; else None: the stage `versions` says why."""
    case = run.results.get("versions", {}).get("cases", {}).get("torch", {})
    if not run.torch or "error" in case:
        return None
    try:
        import torch as library
    except ImportError:
        return None
    library.backends.cudnn.benchmark = True
    return library


def _said(found: dict[str, Any]) -> dict[str, Any]:
    print(", ".join(f"{name} {value}" for name, value in found.items()), flush=True)
    return found


def table(cases: dict[str, Any], results: dict[str, Any]) -> list[str]:
    lines = ["| | |", "|---|---|"]
    for case in cases.values():
        lines += [
            f"| {name} | {value} |"
            for name, value in case.items()
            if name not in ("text", "status", "error", "skipped")
        ]
    if "text" in cases.get("doctor", {}):
        lines += ["", "```", cases["doctor"]["text"].rstrip(), "```"]
    return lines
