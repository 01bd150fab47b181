"""CUDA C++ on the CPU: right kernels are right in every order of threads, and mistakes of all kinds are caught."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import cuda
from minicnn_kernels.emulated import build, cupy
from minicnn_kernels.emulated.raw_module import (
    ORDERS,
    EmulatedLaunchError,
    RawModule,
    recorded,
    sanitized,
    threads_in_order,
)
from minicnn_kernels.geometry import Conv

CODE = r"""
#include "threads.cuh"
#include "copies_and_tensor_cores.cuh"

template <typename T> __global__ void scale(const T* x, T* y, T a, int n) {
  long long i = thread_number();
  if (i < n) y[i] = a * x[i];
}
template <int BUG> __global__ void reverse(const float* x, float* y, int n) {       // 1: no barrier
  __shared__ float s[64];
  int i = threadIdx.x;
  s[i] = x[i];
  if (BUG != 1) __syncthreads();
  y[i] = s[n - 1 - i];
}
template <int BUG> __global__ void exchange(const float* x, float* y) {            // 1: no __syncwarp
  __shared__ float s[32];
  int i = threadIdx.x;
  s[i] = x[i];
  if (BUG != 1) __syncwarp();
  y[i] = s[31 - i];
}
template <int BUG> __global__ void sum_rows(const double* x, double* y, int rows, int columns) {
  int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
  if (row >= rows || (BUG == 1 && lane >= columns)) return;                        // 1: lanes leave before the shuffle
  double sum = 0;
  for (int k = lane; k < columns; k += 32) sum += x[row * columns + k];
  if (BUG == 2) { if (lane < 16) sum = warp_sum(sum); }                            // 2: not all lanes are there
  else sum = warp_sum(sum);
  if (lane == 0) y[row] = sum;
}
__global__ void divergent(float* y) {                                              // two barriers for one
  if (threadIdx.x < 32) __syncthreads();
  else __syncthreads();
  y[threadIdx.x] = 1;
}
__global__ void outside(float* y, int n, int shift) { if (threadIdx.x < n) y[(int)threadIdx.x + shift] = 1; }
__global__ void reads_outside(const float* x, float* y, int n) { y[threadIdx.x] = x[threadIdx.x + 1]; }
__global__ void unwritten(float* y) {
  __shared__ float s[64];
  if (threadIdx.x) s[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void dynamic(float* y, int n) {                                         // n floats of shared memory
  DYNAMIC_SHARED(float, s);
  s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = s[blockDim.x - 1 - threadIdx.x];
}
__global__ void forgets(float* y) { if (threadIdx.x) y[threadIdx.x] = 1; }
__global__ void changes(const float* x) { const_cast<float*>(x)[threadIdx.x] = 1; }
__global__ void everyone_writes(int* y) { y[0] = blockIdx.x; }
__global__ void takes_geometry(int* y, Conv g) { y[0] = g.n, y[1] = g.ow; }
__global__ void counts(const int* x, int* y, int n) { if (thread_number() < n) atomicAdd(&y[x[thread_number()]], 1); }
__global__ void misaligned(float* y) { *reinterpret_cast<float4*>(y + 1 + threadIdx.x) = make_float4(1, 2, 3, 4); }
__global__ void overflows(int* y) { y[0] = 0x7fffffff; y[1] = y[0] + (threadIdx.x + 1 > 0 ? 1 : 0); }
template <int BUG> __global__ void copies(const float* x, float* y, int n) {       // 1: waits for one group too few
  __shared__ __align__(16) float s[2][128];
  int i = threadIdx.x * 4;
  for (int part = 0; part < 2; part++) {
    copy_async16(&s[part][i], x + part * 128 + i, part * 128 + i < n);
    end_group_of_copies();
  }
  wait_for_copies<BUG == 1 ? 1 : 0>();
  if (BUG != 2) __syncthreads();                                                   // 2: no barrier behind it
  for (int part = 0; part < 2; part++) for (int k = 0; k < 4; k++) y[part * 128 + 127 - i - k] = s[part][i + k];
  for (int k = 0; k < 4; k++) y[256 + i + k] = s[1][127 - i - k];
}
// C (16x8) = A (16x K) B (K x8) by one warp, in TF32
__global__ void tensor(const float* A, const float* B, float* C, int K) {
  __shared__ __align__(16) float a[16][8], bt[8][8];
  int lane = threadIdx.x;
  float d[4] = {0, 0, 0, 0};
  for (int k = 0; k < K; k += 8) {
    for (int e = lane; e < 128; e += 32) a[e / 8][e % 8] = A[e / 8 * K + k + e % 8];
    for (int e = lane; e < 64; e += 32) bt[e / 8][e % 8] = B[(k + e % 8) * 8 + e / 8];
    __syncwarp();
    uint32_t fa[4], fb[4], b[2];
    LOAD_MATRICES(fa, &a[lane % 16][lane / 16 * 4]);
    LOAD_MATRICES(fb, &bt[lane % 8][lane / 8 % 2 * 4]);
    for (int i = 0; i < 4; i++) fa[i] = to_tf32(__uint_as_float(fa[i]));
    for (int i = 0; i < 2; i++) b[i] = to_tf32(__uint_as_float(fb[i]));
    MULTIPLY_TF32(d, fa, b);
    __syncwarp();
  }
  for (int r = 0; r < 4; r++) C[(lane / 4 + 8 * (r / 2)) * 8 + lane % 4 * 2 + r % 2] = d[r];
}
"""
NAMES = (
    "scale<float>", "scale<double>", "reverse<0>", "reverse<1>", "exchange<0>", "exchange<1>", "sum_rows<0>",
    "sum_rows<1>", "sum_rows<2>", "divergent", "outside", "reads_outside", "unwritten",
    "dynamic", "forgets", "changes", "everyone_writes", "takes_geometry", "counts", "misaligned", "overflows",
    "copies<0>", "copies<1>", "copies<2>", "tensor",
)  # fmt: skip


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest) -> Any:
    with threads_in_order(request.param):
        yield request.param


def module() -> RawModule:
    return RawModule(code=cuda.declarations() + CODE, options=cuda.options(), name_expressions=NAMES)


def run(name: str, threads: int, *args: Any, blocks: int = 1, shared: int = 0) -> None:
    module().get_function(name)((blocks,), (threads,), args, shared_mem=shared)


def f32(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def unset(*shape: int, dtype: Any = np.float32) -> Any:
    """As memory on the emulated GPU is: full of NaN."""
    return np.full(shape, np.nan, dtype) if np.dtype(dtype).kind == "f" else np.full(shape, -1, dtype)


# ------------------------------------------------------------------------------------------------------ right kernels


@pytest.mark.usefixtures("order")
def test_kernels_on_both_kinds_of_arrays() -> None:
    for dtype, name in ((np.float32, "scale<float>"), (np.float64, "scale<double>")):
        x = np.arange(1000, dtype=dtype)
        y = unset(1000, dtype=dtype)
        run(name, 256, x, y, dtype(2), np.int32(1000), blocks=4)
        np.testing.assert_array_equal(y, 2 * x)
        there, result = cupy.asarray(x), cupy.empty(1000, dtype)
        run(name, 256, there, result, dtype(3), np.int32(1000), blocks=4)
        np.testing.assert_array_equal(result.get(), 3 * x)


@pytest.mark.usefixtures("order")
def test_what_threads_do_together() -> None:
    x, y = f32(64), unset(64)
    run("reverse<0>", 64, x, y, np.int32(64))
    np.testing.assert_array_equal(y, x[::-1])
    run("exchange<0>", 32, x[:32], y[:32])
    np.testing.assert_array_equal(y[:32], x[:32][::-1])
    rows, sums = np.random.default_rng(1).standard_normal((5, 37)), unset(5, dtype=np.float64)
    run("sum_rows<0>", 64, rows, sums, np.int32(5), np.int32(37), blocks=3)
    np.testing.assert_allclose(sums, rows.sum(1), 1e-13)
    run("dynamic", 64, y, np.int32(64), shared=256)
    np.testing.assert_array_equal(y, np.arange(63, -1, -1))
    seen, numbers = np.zeros(7, np.int32), np.random.default_rng(0).integers(0, 7, 1000).astype(np.int32)
    run("counts", 256, numbers, seen, np.int32(1000), blocks=4)
    np.testing.assert_array_equal(seen, np.bincount(numbers, minlength=7))


@pytest.mark.usefixtures("order")
def test_asynchronous_copies_and_tensor_cores() -> None:
    x, y = f32(256), unset(384)
    run("copies<0>", 32, x, y, np.int32(200))
    expected = np.where(np.arange(256) < 200, x, 0).reshape(2, 128)[:, ::-1]
    np.testing.assert_array_equal(y[:256].reshape(2, 128), expected)
    np.testing.assert_array_equal(y[256:], expected[1])
    a, b, c = f32(16, 24), f32(24, 8), unset(16, 8)
    run("tensor", 32, a, b, c, np.int32(24))
    exact = a.astype(np.float64) @ b
    assert 1e-6 < np.abs(c - exact).max() / np.abs(exact).max() < 1e-3  # TF32 has 10 bits


def test_a_struct_is_that_of_python() -> None:
    y = np.zeros(2, np.int32)
    g = Conv(*range(1, len(Conv._fields) + 1))
    cuda.launch("conv2d/direct.cu", "forward<float>", 0)  # nothing to do
    module().get_function("takes_geometry")((1,), (1,), (y, cuda._argument(g)))
    assert y.tolist() == [g.n, g.ow]


# ------------------------------------------------------------------------------------------------------------ mistakes


def differs(name: str, threads: int, make: Callable[[], tuple[Any, ...]], which: int, blocks: int = 1) -> bool:
    """Whether the result is NaN, or depends on the order of the threads."""
    results = []
    for one in ORDERS:
        with threads_in_order(one):
            args = make()
            run(name, threads, *args, blocks=blocks)
            results.append(args[which])
    return any(not np.array_equal(results[0], other) for other in results) or bool(np.isnan(results[0]).any())


@pytest.mark.parametrize(
    ("name", "threads", "make"),
    [
        ("reverse<1>", 64, lambda: (f32(64), unset(64), np.int32(64))),
        ("exchange<1>", 32, lambda: (f32(32), unset(32))),
        ("copies<1>", 32, lambda: (f32(256), unset(384), np.int32(256))),
        ("copies<2>", 32, lambda: (f32(256), unset(384), np.int32(256))),
        ("reads_outside", 64, lambda: (f32(64), unset(64), np.int32(64))),
    ],
)
def test_a_wrong_result(name: str, threads: int, make: Any) -> None:
    """Missing barriers, a wait that is one group short, a read outside: NaN, or another result in another order."""
    assert differs(name, threads, make, 1)


def test_memory_that_was_never_written() -> None:
    assert differs("unwritten", 64, lambda: (unset(64),), 0)
    assert differs("forgets", 64, lambda: (cupy.empty(64, np.float32).get(),), 0)
    assert differs("everyone_writes", 1, lambda: (np.zeros(1, np.int32),), 0, blocks=5)


@pytest.mark.usefixtures("order")
@pytest.mark.parametrize(
    ("name", "threads", "args", "message"),
    [
        ("divergent", 64, (unset(64),), "different __syncthreads; line [0-9]+, block"),
        ("sum_rows<1>", 32, (np.ones((1, 8)), np.zeros(1), np.int32(1), np.int32(8)), "left the kernel"),
        (
            "sum_rows<2>",
            32,
            (np.ones((1, 8)), np.zeros(1), np.int32(1), np.int32(8)),
            "left the kernel|deadlock|differ",
        ),
        ("outside", 64, (unset(8), np.int32(9), np.int32(0)), r"wrote behind the memory of argument 0, \(8,\) float32"),
        ("outside", 64, (unset(8), np.int32(8), np.int32(-1)), "wrote before the memory of argument 0"),
        ("changes", 64, (f32(64),), "wrote to argument 0, .* which is const"),
    ],
)
def test_undefined_behaviour(name: str, threads: int, args: Any, message: str) -> None:
    with pytest.raises(EmulatedLaunchError, match=message):
        run(name, threads, *args)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((f32(4), unset(4), 2.0, np.int32(4)), "argument 2 is a float of 8 bytes .float., .* a float of 4 bytes"),
        ((f32(4), unset(4), np.float32(2), 4), "argument 3 is an integer of 8 bytes .int., .* an integer of 4 bytes"),
        ((f32(4).astype(np.float64), unset(4), np.float32(2), np.int32(4)), "an array of float64, .* float of 4 bytes"),
        ((f32(8)[::2], unset(4), np.float32(2), np.int32(4)), r"has gaps in memory: shape \(4,\), strides \(8,\)"),
        ((f32(4), unset(4), np.float32(2)), "has 4 parameters, 3 arguments"),
        ((f32(4), np.float32(1), np.float32(2), np.int32(4)), "argument 1 is float32, and the parameter is a pointer"),
        ((f32(4), unset(4), f32(1), np.int32(4)), "argument 2 is an array, and the parameter is a float"),
        ((f32(4), np.broadcast_to(unset(1), (1,)), np.float32(2), np.int32(4)), "argument 1 is read-only"),
    ],
)
def test_wrong_arguments(args: Any, message: str) -> None:
    """A GPU would take each of them, and compute something."""
    with pytest.raises(TypeError, match=message):
        run("scale<float>", 4, *args)


def test_a_struct_of_another_size() -> None:
    wrong = np.array([(1, 2)], [("n", np.int32), ("c", np.int32)])
    with pytest.raises(TypeError, match=r"argument 1 is a struct of 8 bytes .ndarray., .* a struct of 64 bytes"):
        run("takes_geometry", 1, np.zeros(2, np.int32), wrong)


def test_launches_that_a_gpu_refuses() -> None:
    with pytest.raises(EmulatedLaunchError, match=r"no grid of .* \(1025, 1, 1\) threads"):
        run("forgets", 1025, unset(1025))
    with pytest.raises(ValueError, match=r"60000 bytes of dynamic shared memory are more than .*=49152"):
        run("dynamic", 64, unset(64), np.int32(64), shared=60_000)
    with pytest.raises(ValueError, match="'twice' is not among the name_expressions scale<float>"):
        module().get_function("twice")


def test_sources_that_do_not_compile() -> None:
    with pytest.raises(build.CompileError, match=r"(?s)cannot compile f:.*undeclared|not declared"):
        RawModule(code="__global__ void f(int* x) { x[0] = y; }", name_expressions=("f",))
    with pytest.raises(build.CompileError, match="any order, and the sum depends on it"):
        RawModule(code="__global__ void f(float* x) { atomicAdd(x, 1.f); }", name_expressions=("f",))


# ---------------------------------------------------------------------------------------------------------- sanitizers


@pytest.mark.parametrize(
    ("sanitizer", "name", "threads", "args", "message"),
    [
        ("thread", "reverse<1>", 64, (f32(64), unset(64), np.int32(64)), "data race"),
        ("thread", "exchange<1>", 32, (f32(32), unset(32)), "data race"),
        ("thread", "copies<2>", 32, (f32(256), unset(384), np.int32(256)), "data race"),
        ("address", "outside", 64, (unset(8), np.int32(9), np.int32(0)), "heap-buffer-overflow"),
        ("address", "dynamic", 64, (unset(64), np.int32(64)), "AddressSanitizer"),
        ("address", "reads_outside", 64, (f32(64), unset(64), np.int32(64)), "heap-buffer-overflow"),
        ("undefined", "misaligned", 1, (unset(8),), "misaligned address"),
        ("undefined", "overflows", 1, (np.zeros(2, np.int32),), "signed integer overflow"),
    ],
)
def test_a_sanitizer_names_the_place(sanitizer: str, name: str, threads: int, args: Any, message: str) -> None:
    with sanitized(sanitizer), pytest.raises(EmulatedLaunchError, match=message):
        run(name, threads, *args, shared=128 if name == "dynamic" else 0)


@pytest.mark.parametrize("sanitizer", ["thread", "address", "undefined"])
def test_sanitizers_accept_right_kernels(sanitizer: str) -> None:
    with sanitized(sanitizer):
        x, y = f32(64), unset(64)
        run("reverse<0>", 64, x, y, np.int32(64))
        np.testing.assert_array_equal(y, x[::-1])
        run("exchange<0>", 32, x[:32], y[:32])
        run("dynamic", 64, y, np.int32(64), shared=256)
        x, y = f32(256), unset(384)
        run("copies<0>", 32, x, y, np.int32(200))
        a, b, c = f32(16, 24), f32(24, 8), unset(16, 8)
        run("tensor", 32, a, b, c, np.int32(24))
        assert not np.isnan(c).any()
        rows, sums = np.ones((5, 37)), unset(5, dtype=np.float64)
        run("sum_rows<0>", 64, rows, sums, np.int32(5), np.int32(37), blocks=3)
        np.testing.assert_array_equal(sums, 37)


def test_a_launch_is_left_for_a_debugger(tmp_path: Path) -> None:
    """A program with the source's lines, and its arguments; it writes the results over them."""
    x, y = f32(64), unset(64)
    with recorded(tmp_path):
        run("reverse<0>", 64, x, y, np.int32(64))
        run("scale<float>", 64, x, y, np.float32(2), np.int32(64))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "0.arguments", "1", "1.arguments"]
    for number, expected in enumerate((x[::-1], 2 * x)):
        subprocess.run([tmp_path / str(number), tmp_path / f"{number}.arguments"], check=True)
        results = np.fromfile(tmp_path / f"{number}.arguments", np.float32).reshape(2, 64)
        assert any(np.array_equal(result, expected) for result in results)
