"""The part of `minicnn doctor` about GPUs: the driver, CuPy, the compiler that CuPy needs, and the GPUs themselves.

Each may be missing or not fit the others. A machine without a driver and without CuPy is a machine for the CPU, and
nothing is wrong with it.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn_kernels import arrays

from .. import cuda
from ..ops.conv import conv2d
from ..ops.tensor.matmul import matmul
from ..tensor import Tensor
from .verdicts import OK, SLOW, WRONG, Line

LEAST, BELOW = (14, 2), (15,)  # the versions of CuPy that minicnn is made for, as in pyproject.toml


def examine(measure: bool) -> Iterator[Line]:
    """Examine drivers, CuPy and GPUs; with `measure`, also check a result of each GPU."""
    if os.environ.get("MINICNN_CUDA") == "emulated" or arrays.is_emulated():
        yield Line("gpu", "emulated on the CPU, which is slow; for a real one, unset MINICNN_CUDA")
        return
    driver, found = driver_version(), installed()
    if not found:
        yield _without_cupy(driver)
        return
    yield _cupy(driver, found)
    try:
        module = arrays.gpu()
    except RuntimeError as error:
        yield Line("import cupy", _short(error.__cause__ or error), SLOW, _again(driver))
        return
    yield _compiler(module, driver)
    yield from _gpus(module, driver, measure)


def driver_version() -> tuple[int, int] | None:
    """The newest CUDA that the NVIDIA driver supports, such as (13, 0); None without a driver."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    version = ctypes.c_int(0)
    try:
        if ctypes.CDLL(name).cuDriverGetVersion(ctypes.byref(version)):
            return None
    except (OSError, AttributeError):
        return None
    return (version.value // 1000, version.value % 1000 // 10) if version.value else None


def installed() -> dict[str, str]:
    """The installed packages that hold CuPy, such as cupy-cuda13x, with their versions."""
    found = {}
    for one in importlib.metadata.distributions():
        name = str(one.metadata["Name"] or "").lower().replace("_", "-")
        if name == "cupy" or name.startswith(("cupy-cuda", "cupy-rocm")):
            found[name] = one.version
    return dict(sorted(found.items()))


def _extra(driver: tuple[int, int] | None) -> str:
    return f"minicnn[cuda{12 if driver is not None and driver[0] < 13 else 13}]"


def _again(driver: tuple[int, int] | None) -> str:
    """How to install CuPy anew."""
    return f"pip uninstall {' '.join(installed()) or 'cupy'}, then pip install '{_extra(driver)}'"


def _short(error: BaseException) -> str:
    """An error in one line; CuPy's own are long."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) < 160 else text[:156] + ' ...'}"


def _shown(driver: tuple[int, int] | None) -> str:
    return "no NVIDIA driver" if driver is None else f"an NVIDIA driver for CUDA {driver[0]}.{driver[1]}"


def _without_cupy(driver: tuple[int, int] | None) -> Line:
    if driver is None:
        return Line("gpu", "none: no NVIDIA driver, and CuPy is not installed")
    if driver[0] < 12:
        return Line("gpu", f"{_shown(driver)}, which is too old", SLOW, "install a driver for CUDA 12 or later")
    return Line("gpu", f"{_shown(driver)}, but CuPy is not installed", SLOW, f"pip install '{_extra(driver)}'")


def _cupy(driver: tuple[int, int] | None, found: dict[str, str]) -> Line:
    """Which CuPy is installed, and whether the driver is for it."""
    text = " and ".join(f"{name} {version}" for name, version in found.items())
    if len(found) > 1:
        return Line("cupy", text, SLOW, f"they overwrite each other's files: {_again(driver)}")
    ((name, version),) = found.items()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if not LEAST <= numbers < BELOW:
        return Line("cupy", text, SLOW, f"minicnn is made for CuPy 14.2 up to 15: {_again(driver)}")
    cuda_of_name = name.removeprefix("cupy-cuda").removesuffix("x")
    if driver is not None and cuda_of_name.isdecimal() and int(cuda_of_name) > driver[0]:
        return Line("cupy", f"{text}, but {_shown(driver)}", SLOW, f"{_again(driver)}; or install a newer driver")
    return Line("cupy", text)


def _compiler(module: Any, driver: tuple[int, int] | None) -> Line:
    """NVRTC, with which CuPy compiles every kernel at its first use."""
    try:
        return Line("nvrtc", ".".join(map(str, module.cuda.nvrtc.getVersion())))
    except Exception as error:
        remedy = f"without it no kernel can be compiled: pip install '{_extra(driver)}'"
        return Line("nvrtc", _short(error), SLOW, remedy)


def _gpus(module: Any, driver: tuple[int, int] | None, measure: bool) -> Iterator[Line]:
    """Every GPU that this process may use."""
    try:
        count = module.cuda.runtime.getDeviceCount()
    except Exception as error:
        if driver is None:
            remedy = "install NVIDIA's driver; start a container with access to the GPUs, such as docker run --gpus all"
        else:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            remedy = "nvidia-smi shows the state of the driver" + (
                f"; CUDA_VISIBLE_DEVICES is {visible!r}" if visible is not None else ""
            )
        yield Line("gpu", f"none: {_shown(driver)}: {_short(error)}", SLOW, remedy)
        return
    for number in range(count):
        try:
            yield _gpu(number)
            if measure:
                yield _check(number)
        except Exception as error:
            yield Line(f"gpu {number}", _short(error), SLOW, f"nvidia-smi shows its state; or {_again(driver)}")


def _gpu(number: int) -> Line:
    properties, (free, total) = cuda.get_device_properties(number), cuda.mem_get_info(number)
    found = (
        f"{properties.name}, compute capability {properties.major}.{properties.minor}, "
        f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    )
    little = free < total / 10
    remedy = "other programs use its memory: nvidia-smi shows them" if little else ""
    return Line(f"gpu {number}", found, SLOW if little else OK, remedy)


def _check(number: int) -> Line:
    """A convolution and a matrix product on a GPU against the CPU."""
    rng = np.random.default_rng(0)
    x, w = (Tensor(rng.standard_normal(shape)) for shape in ((2, 3, 12, 11), (4, 3, 3, 3)))
    a, b = (Tensor(rng.standard_normal(shape)) for shape in ((70, 300), (300, 90)))
    worst = 0.0
    for function, one, other in ((conv2d, x, w), (matmul, a, b)):
        expected = function(one, other).numpy()
        found = function(one.to(f"cuda:{number}"), other.to(f"cuda:{number}")).cpu().numpy()
        error = np.abs(found - expected).max() / np.abs(expected).max()
        worst = max(worst, float(error) if np.isfinite(error) else np.inf)
    good = worst < 1e-10
    remedy = "" if good else "results are wrong on this GPU; please report this, with the whole output"
    return Line(f"check gpu {number}", f"error {worst:.0e}, float64", OK if good else WRONG, remedy)
