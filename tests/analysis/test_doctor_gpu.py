"""What `minicnn doctor` says about GPUs, and that no state of CuPy disturbs a program for the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import minicnn
import minicnn_kernels
from minicnn.bench import doctor_gpu
from minicnn.bench.verdicts import OK, SLOW, WRONG, Line
from minicnn_kernels import arrays

DRIVERLESS = """
class runtime:
    @staticmethod
    def getDeviceCount(): raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
class nvrtc:
    @staticmethod
    def getVersion(): return 13, 5
import sys
cuda, ndarray, __version__ = sys.modules[__name__], type("ndarray", (), {}), "14.2.0"
"""
# What `import cupy` runs, which packages are installed, and what doctor must say.
STATES = {
    "no CuPy": ("raise ModuleNotFoundError('No module named cupy')", [], ["CuPy is not installed"]),
    "broken": (
        "raise OSError('libcudart.so.13: cannot open shared object file')",
        ["cupy_cuda13x"],
        ["cupy-cuda13x 14.2.0", "import cupy", "libcudart.so.13", "pip uninstall cupy-cuda13x"],
    ),
    "no driver": (DRIVERLESS, ["cupy_cuda13x"], ["cupy-cuda13x 14.2.0", "13.5", "none: no NVIDIA driver"]),
    "two CuPys": (
        "import warnings; warnings.warn('multiple CuPy packages are installed')" + DRIVERLESS,
        ["cupy_cuda12x", "cupy_cuda13x"],
        ["cupy-cuda12x 14.2.0 and cupy-cuda13x 14.2.0", "they overwrite each other's files"],
    ),
}
PROGRAM = """
import warnings, sys
warnings.simplefilter("error")
import minicnn
assert not minicnn.cuda.is_available() and minicnn.cuda.device_count() == 0
assert (minicnn.ones(2) + 1).tolist() == [2, 2]
try:
    minicnn.ones(2, device="cuda")
except RuntimeError as error:
    assert "'cuda' is not available" in str(error) and "minicnn doctor" in str(error), error
else:
    sys.exit("a GPU was found")
import importlib.metadata
from minicnn.bench import doctor_gpu
doctor_gpu.driver_version, every = lambda: None, importlib.metadata.distributions
importlib.metadata.distributions = lambda: every(path=sys.argv[1:])  # not what is installed where the test runs
from minicnn import cli
sys.exit(cli.main(["doctor", "--quick", "--json"]))
"""


@pytest.mark.parametrize("state", STATES)
def test_states_of_cupy(state: str, tmp_path: Path) -> None:
    module, packages, said = STATES[state]
    (tmp_path / "cupy.py").write_text(module)
    for package in packages:
        (tmp_path / f"{package}-14.2.0.dist-info").mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 14.2.0\n"
        (tmp_path / f"{package}-14.2.0.dist-info" / "METADATA").write_text(metadata)
    ours = [str(Path(one.__file__).parents[1]) for one in (minicnn, minicnn_kernels)]
    environment = {k: v for k, v in os.environ.items() if k != "MINICNN_CUDA"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *ours])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = [Line(**entry) for entry in json.loads(done.stdout)]
    text = "\n".join(f"{line.name} {line.found} {line.remedy}" for line in lines)
    for part in said:
        assert part in text
    verdicts = [line.verdict for line in lines if line.name in ("gpu", "cupy", "nvrtc", "import cupy")]
    assert (SLOW in verdicts) == bool(packages) and WRONG not in verdicts


@pytest.mark.parametrize(
    ("driver", "found", "verdict", "text"),
    [
        (None, {}, OK, "none: no NVIDIA driver, and CuPy is not installed"),
        ((13, 0), {}, SLOW, "driver for CUDA 13.0, but CuPy is not installed; pip install 'minicnn[cuda13]'"),
        ((12, 8), {}, SLOW, "driver for CUDA 12.8, but CuPy is not installed; pip install 'minicnn[cuda12]'"),
        ((11, 4), {}, SLOW, "driver for CUDA 11.4, which is too old; install a driver for CUDA 12 or later"),
        ((13, 0), {"cupy-cuda12x": "14.2.0"}, OK, "cupy-cuda12x 14.2.0; "),
        ((13, 0), {"cupy-cuda13x": "14.3.1"}, OK, "cupy-cuda13x 14.3.1; "),
        (
            (12, 8), {"cupy-cuda13x": "14.2.0"}, SLOW,
            "cupy-cuda13x 14.2.0, but an NVIDIA driver for CUDA 12.8; pip uninstall cupy-cuda13x, then pip install "
            "'minicnn[cuda12]'; or install a newer driver",
        ),
        ((13, 0), {"cupy-cuda13x": "13.6.0"}, SLOW, "cupy-cuda13x 13.6.0; minicnn is made for CuPy 14.2 up to 15"),
        ((13, 0), {"cupy-cuda13x": "15.0.0a1"}, SLOW, "cupy-cuda13x 15.0.0a1; minicnn is made for CuPy 14.2 up to 15"),
        ((13, 0), {"cupy": "14.2.0", "cupy-cuda13x": "14.2.0"}, SLOW, "cupy 14.2.0 and cupy-cuda13x 14.2.0; they"),
    ],
)  # fmt: skip
def test_what_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, driver: Any, found: dict[str, str], verdict: str, text: str
) -> None:
    def gpu() -> Any:
        raise RuntimeError("planted")

    monkeypatch.delenv("MINICNN_CUDA", raising=False)
    monkeypatch.setattr(doctor_gpu, "driver_version", lambda: driver)
    monkeypatch.setattr(doctor_gpu, "installed", lambda: found)
    monkeypatch.setattr(arrays, "gpu", gpu)
    line, *more = doctor_gpu.examine(False)
    assert line.verdict == verdict and text in f"{line.found}; {line.remedy}"
    assert [one.name for one in more] == (["import cupy"] if found else [])


def test_gpus_that_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with arrays.emulated() as module:
        lines = list(doctor_gpu._gpus(module, (13, 0), True))
        assert [line.name for line in lines] == ["gpu 0", "check gpu 0", "gpu 1", "check gpu 1"]
        assert all(line.verdict == OK for line in lines) and "Emulated GPU, compute capability 9.0" in lines[0].found
        monkeypatch.setattr(doctor_gpu, "matmul", lambda a, b: (a @ b) * (1.5 if a.is_cuda else 1))
        wrong = [line for line in doctor_gpu._gpus(module, (13, 0), True) if line.verdict == WRONG]
        assert [line.name for line in wrong] == ["check gpu 0", "check gpu 1"] and "error 5e-01" in wrong[0].found
        (emulated,) = doctor_gpu.examine(True)
        assert emulated.verdict == OK and "emulated on the CPU" in emulated.found


def test_gpus_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def count() -> int:
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected " + "x" * 300)

    with arrays.emulated() as module:
        monkeypatch.setattr(module.cuda.runtime, "getDeviceCount", count)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        (line,) = doctor_gpu._gpus(module, (13, 0), True)
        assert line.verdict == SLOW and "cudaErrorNoDevice" in line.found and len(line.found) < 250
        assert line.remedy.endswith("CUDA_VISIBLE_DEVICES is ''")
        line = doctor_gpu._compiler(module, (12, 0))  # the emulation has none
        assert line.verdict == SLOW and "pip install 'minicnn[cuda12]'" in line.remedy
