"""The emulated GPU has the limits of a GPU, and names what a kernel does beyond them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels.emulated.build import CompileError
from minicnn_kernels.emulated.raw_module import EmulatedLaunchError, RawModule, sanitized

CODE = r"""
template <typename T> struct Pair { T a, b; };
template <typename T, int N> __device__ inline void fill(int n, T* y) {
  __shared__ __align__(16) T s[N > 4 ? N : 4][2], t[N];
  volatile __shared__ Pair<T> pair;
  if (threadIdx.x < n) s[0][threadIdx.x] = threadIdx.x;
  if (threadIdx.x == 0) t[N - 1] = 5, pair.a = 1, pair.b = 2;
  __syncthreads();
  if (threadIdx.x < 2 * N) y[threadIdx.x] = s[0][threadIdx.x] + 0 * (pair.b + t[N - 1]);
}
template <typename T> __global__ void writes(int n, T* y) { fill<T, 32>(n, y); }
template <typename T> __global__ void reads(T* y, int shift) {
  __shared__ T s[4];
  if (threadIdx.x == 0) for (int i = 0; i < 4; i++) s[i] = i;
  __syncthreads();
  y[threadIdx.x] = s[(int)threadIdx.x + shift];
}
__global__ void behind(float* y, int n) {
  extern __shared__ float d[];
  d[n] = 1;
  y[0] = d[n];
}
template <int BYTES> __global__ void large(char* y) {
  __shared__ char s[BYTES];
  s[threadIdx.x] = 1;
  y[threadIdx.x] = s[threadIdx.x];
}
template <typename T, int N> __global__ void __launch_bounds__(N, (sizeof(T) < 8 ? 2 : 1)) bounded(T* y) {
  y[threadIdx.x] = 1;
}
__global__ void blocks_add(const float* x, float* y) { if (threadIdx.x == 0) y[0] += x[blockIdx.x]; }
__global__ void threads_add(const float* x, float* y) { y[0] += x[threadIdx.x]; }
__global__ void takes_pair(float* y, Pair<int> pair) { y[0] = pair.a, y[1] = pair.b; }
__global__ void blocks_count(const int* x, int* y) { atomicAdd(y, x[threadIdx.x]); }
"""
NAMES = (
    "writes<float>", "writes<double>", "reads<float>", "behind", "large<49152>", "large<49153>", "large<40000>",
    "bounded<float, 128>", "blocks_add", "threads_add", "takes_pair",
    "blocks_count",
)  # fmt: skip


def kernel(name: str) -> Any:
    return RawModule(code=CODE, name_expressions=NAMES).get_function(name)


def zeros(size: int, dtype: Any = np.float32) -> Any:
    return np.zeros(size, dtype)


# ------------------------------------------------------------------------------------------------------- shared memory


@pytest.mark.parametrize("dtype", ["float", "double"])
def test_a_write_outside_a_shared_array(dtype: str) -> None:
    """In a template and in an inline function, where the address sanitizer alone would not look."""
    writes, y = kernel(f"writes<{dtype}>"), zeros(64, np.float32 if dtype == "float" else np.float64)
    writes((3,), (128,), (np.int32(64), y))
    np.testing.assert_array_equal(y, np.arange(64))
    with pytest.raises(EmulatedLaunchError, match=r"wrote outside of s in shared memory; block \([012], 0, 0\)$"):
        writes((3,), (128,), (np.int32(65), y))
    with pytest.raises(EmulatedLaunchError, match=r"wrote outside of dynamic shared memory"):
        kernel("behind")((1,), (1,), (zeros(1), np.int32(8)), shared_mem=32)
    with pytest.raises(EmulatedLaunchError, match=r"wrote outside of dynamic shared memory"):
        kernel("behind")((1,), (1,), (zeros(1), np.int32(-1)), shared_mem=32)


@pytest.mark.parametrize(("shift", "wrong"), [(1, 3), (-1, 0), (0, None)])
def test_a_read_outside_a_shared_array_is_nan(shift: int, wrong: int | None) -> None:
    y = zeros(4)
    kernel("reads<float>")((1,), (4,), (y, np.int32(shift)))
    assert np.flatnonzero(np.isnan(y)).tolist() == ([] if wrong is None else [wrong])


@pytest.mark.parametrize(
    ("name", "args"), [("writes<float>", (np.int32(65), zeros(64))), ("reads<float>", (zeros(4), np.int32(1)))]
)
def test_the_address_sanitizer_names_the_line(name: str, args: Any) -> None:
    with sanitized("address"), pytest.raises(EmulatedLaunchError, match=r"(?s)use-after-poison.*source:\d+"):
        kernel(name)((1,), (128 if "writes" in name else 4,), args)


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_shared_memory_is_nan_under_sanitizers(sanitizer: str) -> None:
    y = zeros(64)
    with sanitized(sanitizer):
        kernel("writes<float>")((1,), (128,), (np.int32(60), y))
    np.testing.assert_array_equal(np.isnan(y), np.arange(64) >= 60)


def test_as_much_shared_memory_as_a_gpu_has() -> None:
    y = zeros(32, np.int8)
    kernel("large<49152>")((1,), (32,), (y,))
    np.testing.assert_array_equal(y, 1)
    with pytest.raises(EmulatedLaunchError, match=r"49153 bytes .* with those of s, are more than the 49152"):
        kernel("large<49153>")((1,), (32,), (y,))
    both = kernel("large<40000>")
    both((1,), (32,), (y,), shared_mem=9152)
    with pytest.raises(EmulatedLaunchError, match=r"49153 bytes of shared memory"):
        both((1,), (32,), (y,), shared_mem=9153)
    both.max_dynamic_shared_size_bytes = 200_000
    both((1,), (32,), (y,), shared_mem=192_448)
    with pytest.raises(EmulatedLaunchError, match=r"232449 bytes of shared memory, .* are more than the 232448"):
        both((1,), (32,), (y,), shared_mem=192_449)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("__global__ void f(int* y) { __shared__ int s = 3; }", "cannot read `__shared__ int s = 3;`"),
        ("__shared__ int s[4]; __global__ void f(int* y) {}", r"declare `__shared__ int s\[4\];` inside the kernel"),
        ("__global__ void f(int* y) { __shared__ int s[4] }", "there is no ';' behind"),
    ],
)
def test_declarations_that_are_refused(code: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        RawModule(code=code, name_expressions=("f",))


# --------------------------------------------------------------------------------------------------------------- races


@pytest.mark.parametrize(
    ("name", "blocks", "threads"), [("threads_add", 1, 64), ("blocks_add", 2, 1), ("blocks_add", 2, 32)]
)
def test_additions_that_are_lost(name: str, blocks: int, threads: int) -> None:
    """A sum by `y[0] += x` is right in any order of the emulator. The thread sanitizer finds it, between blocks too."""
    with sanitized("thread"), pytest.raises(EmulatedLaunchError, match="data race"):
        kernel(name)((blocks,), (threads,), (zeros(64), zeros(1)))


def test_no_race_between_blocks() -> None:
    y, n = zeros(64), zeros(1, np.int32)
    with sanitized("thread"):
        kernel("blocks_count")((4,), (64,), (np.ones(64, np.int32), n))
        kernel("writes<float>")((1,), (64,), (np.int32(64), y))
    assert n == 256 and y[63] == 63


# -------------------------------------------------------------------------------------------------------------- launch


def test_launch_bounds() -> None:
    y = zeros(256)
    kernel("bounded<float, 128>")((1,), (128,), (y,))
    assert y.sum() == 128
    with pytest.raises(EmulatedLaunchError, match=r"__launch_bounds__\(128\), and the launch has 129 threads"):
        kernel("bounded<float, 128>")((1,), (129,), (y,))


@pytest.mark.parametrize(
    ("grid", "block", "error", "message"),
    [
        ((1.5,), (1,), TypeError, r"grid \(1.5,\): sizes are integers"),
        ((1,), (2, 0.5), TypeError, r"block \(2, 0.5\): sizes are integers"),
        ((-1,), (1,), ValueError, r"grid \(-1,\): a GPU has no such size"),
        ((2**32,), (1,), ValueError, r"grid \(4294967296,\): a GPU has no such size"),
        ((1, 1, 1, 1), (1,), ValueError, r"grid .* has 4 sizes"),
        ((), (1,), ValueError, r"grid .* has 0 sizes"),
        ((1, 65536), (1,), EmulatedLaunchError, r"a GPU has no grid of \(1, 65536, 1\) blocks"),
        ((1, 1, 65536), (1,), EmulatedLaunchError, r"a GPU has no grid of \(1, 1, 65536\) blocks"),
        ((1,), (1, 1, 65), EmulatedLaunchError, r"a GPU has no grid of .* \(1, 1, 65\) threads"),
        ((1,), (0,), EmulatedLaunchError, r"a GPU has no grid of .* \(0, 1, 1\) threads"),
        ((2**31 - 1, 65535, 65535), (0,), EmulatedLaunchError, r"a GPU has no grid of"),
    ],
)
def test_grids_that_a_gpu_refuses(grid: Any, block: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        kernel("threads_add")(grid, block, (zeros(64), zeros(64)))


# ----------------------------------------------------------------------------------------------------------- arguments


def test_numbers_of_another_machine() -> None:
    with pytest.raises(TypeError, match=r"argument 0 is an array of >f4, whose bytes are in the order of another"):
        kernel("threads_add")((1,), (1,), (zeros(64, ">f4"), zeros(64)))
    with pytest.raises(TypeError, match=r"argument 1 has the type .*>i4.*, whose bytes are in the order of another"):
        kernel("takes_pair")((1,), (1,), (zeros(2), np.zeros(1, [("a", ">i4"), ("b", ">i4")])))
