"""Kernels on the emulated GPU that would end Python, or never end."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from minicnn_kernels.emulated.build import CompileError, compiler
from minicnn_kernels.emulated.raw_module import EmulatedLaunchError, RawModule

CODE = r"""
__global__ void writes(float* y, int n) { y[(int)threadIdx.x + n] = 1; }
__global__ void reads(const float* x, float* y, int n) { y[threadIdx.x] = x[(int)threadIdx.x + n]; }
__global__ void divides(int* y, int n) { y[threadIdx.x] = 7 / ((int)threadIdx.x - n); }
__global__ void far_in_shared(float* y, int n) {
  __shared__ float s[32];
  s[threadIdx.x] = 1;
  y[threadIdx.x] = s[threadIdx.x + n];
}
__device__ int depth(volatile int* n) {
  volatile int deep[100];
  deep[*n % 100] = *n;
  return deep[3] + depth(n) + deep[*n % 99];
}
__global__ void recursive(int* n) { n[0] = depth(n); }
__global__ void vector(float* y) { *reinterpret_cast<float4*>(y + threadIdx.x) = make_float4(1, 2, 3, 4); }
__global__ void shared_vector(float* y) {
  __shared__ float s[36];
  s[threadIdx.x] = 1;
  y[threadIdx.x] = reinterpret_cast<float4*>(s)[threadIdx.x / 4].y;
}
__global__ void endless(volatile int* y, int barriers) { while (y[0] >= 0) if (barriers) __syncthreads(); }
"""
NAMES = (
    "writes", "reads", "divides", "far_in_shared", "recursive", "vector", "shared_vector", "endless",
)  # fmt: skip


def kernel(name: str) -> Any:
    return RawModule(code=CODE, name_expressions=NAMES).get_function(name)


def f32(size: int) -> Any:
    return np.zeros(size, np.float32)


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("writes", (f32(64), np.int32(2000)), r"wrote (behind|.* bytes behind) .*argument 0, \(64,\) float32"),
        ("writes", (f32(64), np.int32(9000)), r"35744 bytes behind argument 0, .* block .0, 0, 0., thread .0, 0, 0."),
        ("writes", (f32(64), np.int32(-9000)), r"read or wrote 36000 bytes before argument 0"),
        ("reads", (f32(64), f32(64), np.int32(10**6)), r"read or wrote 3999744 bytes behind argument 0"),
        ("reads", (None, f32(64), np.int32(5)), r"read or wrote by a null pointer; .*, thread \(0, 0, 0\)"),
        ("writes", (f32(64), np.int32(2**31 - 1)), r"read or wrote where no array is|bytes before"),
        ("divides", (np.zeros(32, np.int32), np.int32(5)), r"divided an integer by 0; .*, thread \(5, 0, 0\)"),
        ("far_in_shared", (f32(64), np.int32(10**6)), r"far outside of shared memory"),
        ("recursive", (np.ones(1, np.int32),), r"needs more than the 128 KB for local variables"),
        ("vector", (f32(64),), r"not aligned for its type; .* thread \(1, 0, 0\)"),
        ("shared_vector", (f32(64),), r"not aligned for its type"),
    ],
)  # fmt: skip
def test_what_would_end_python(name: str, args: Any, message: str) -> None:
    for _ in range(2):
        with pytest.raises(EmulatedLaunchError, match=message):
            kernel(name)((1,), (32,), args)
    y = f32(64)
    kernel("writes")((1,), (32,), (y, np.int32(0)))
    assert y.sum() == 32


def test_local_variables_that_do_not_fit() -> None:
    code = "__global__ void f(float* y, int n) { volatile float a[100000]; a[n] = 1; y[0] = a[n + 1]; }"
    with pytest.raises(CompileError, match=r"frame size of [0-9]+ bytes is larger than 100000 bytes"):
        RawModule(code=code, name_expressions=("f",))


def test_no_memory_for_stacks() -> None:
    compiler()
    kernel("writes")  # so that the program below only loads it
    program = f"""
import resource
import numpy as np
from minicnn_kernels.emulated.raw_module import EmulatedLaunchError, RawModule
writes = RawModule(code={CODE!r}, name_expressions={NAMES!r}).get_function("writes")
y = np.zeros(64, np.float32)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), resource.getrlimit(resource.RLIMIT_AS)[1]))
try:
    writes((1,), (32,), (y, np.int32(0)))
except EmulatedLaunchError as error:
    assert "there is no memory for the stacks" in str(error), str(error)
else:
    raise AssertionError("enough")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("blocks", [1, 400])
@pytest.mark.parametrize("barriers", [0, 1])
def test_ctrl_c(barriers: int, blocks: int) -> None:
    """Stops a kernel that has no end, on all threads of the CPU, and Python goes on."""
    compiler()
    program = f"""
import os, signal, sys, threading, time
import numpy as np
from minicnn_kernels.emulated.raw_module import EmulatedLaunchError, RawModule
module = RawModule(code={CODE!r}, name_expressions={NAMES!r})
threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    module.get_function("endless")(({blocks},), (128,), (np.zeros(1, np.int32), np.int32({barriers})))
except BaseException as error:
    assert isinstance(error, KeyboardInterrupt), repr(error)
else:
    raise AssertionError("no end")
time.sleep(0.1)
y = np.zeros(64, np.float32)
module.get_function("writes")((1,), (32,), (y, np.int32(0)))
assert y.sum() == 32
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
