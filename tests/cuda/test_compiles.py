"""Every kernel through NVRTC, and nvcc where it is, which need no GPU: no error, no spills, few registers."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from minicnn_kernels import cuda

nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc", reason="needs CuPy: pip install 'minicnn[cuda-check]'")
ARCHITECTURES = (75, 80, 90)  # Turing, Ampere, Hopper


@cache
def report(file: str, architecture: int) -> str:
    """What NVRTC says about the kernels of a file."""
    program = nvrtc.createProgram(cuda.source(file), file, (), ())
    for name in cuda.expressions(file):
        nvrtc.addNameExpression(program, name)
    options = (f"-arch=sm_{architecture}", *cuda.options(), "--ptxas-options=-v")
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError as error:
        raise AssertionError(f"{file} for sm_{architecture}:\n{nvrtc.getProgramLog(program)}") from error
    return str(nvrtc.getProgramLog(program))


def registers(file: str) -> int:
    """The most registers of a thread that a file allows itself: the line "// registers: 64" in it."""
    found = re.search(r"^// registers: (\d+)$", (cuda.HERE / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{file} has no line '// registers: NUMBER' with the most registers of a thread"
    return int(found[1])


def check(file: str, text: str) -> None:
    """What a compiler says: no kernel has a stack, where registers would be spilled, or too many registers."""
    kernels = re.findall(r"Compiling entry function '(\S+)'", text)
    assert len(kernels) >= len(cuda.expressions(file)), text
    memory = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", text)
    assert len(memory) >= len(kernels) and set(memory) == {("0", "0", "0")}, text
    used = [int(number) for number in re.findall(r"Used (\d+) registers", text)]
    assert max(used) <= registers(file), text


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("file", cuda.files())
def test_compiles_without_spills(file: str, architecture: int) -> None:
    check(file, report(file, architecture))


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, of NVIDIA's CUDA toolkit")
@pytest.mark.parametrize("file", cuda.files())
def test_nvcc_takes_it_too(file: str, tmp_path: Path) -> None:
    """nvcc includes headers of its own, and compiles only templates that are used."""
    used = ", ".join(f"(const void*){name}" for name in cuda.expressions(file))
    source, binary = tmp_path / "kernel.cu", tmp_path / "kernel.cubin"
    source.write_text(
        f"{cuda.source(file)}\nconst void* const kernels_of_this_file[] = {{{used}}};\n", encoding="utf-8"
    )
    flags = ["-cubin", f"-arch=sm_{ARCHITECTURES[-1]}", *cuda.options(), "-Xptxas", "-v"]
    done = subprocess.run(["nvcc", *flags, "-o", binary, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    check(file, done.stderr)


def test_a_wrong_source_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    file = cuda.files()[0]
    right = cuda.source(file)
    monkeypatch.setattr(cuda, "source", lambda file: right + "\n__global__ void wrong() { nothing(); }\n")
    with pytest.raises(AssertionError, match=r'identifier "nothing" is undefined'):
        report.__wrapped__(file, 90)
