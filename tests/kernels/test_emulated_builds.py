"""Sources for the emulated GPU: how they are compiled, kept and loaded, and which words of CUDA they may use."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn_kernels.emulated import build
from minicnn_kernels.emulated.raw_module import ORDERS, EmulatedLaunchError, RawModule, sanitized, threads_in_order

from .test_runtime import python


def run(code: str, name: str, threads: int, *args: Any, shared: int = 0, blocks: int = 1) -> None:
    """Compile a source with one kernel, and run it."""
    RawModule(code=code, name_expressions=(name,)).get_function(name)((blocks,), (threads,), args, shared_mem=shared)


SHARED = """
template <typename T> __device__ T* room(int) { __shared__ T s[SIZE]; return s; }
template <typename T> __global__ void first(T* y) {
  T* s = room<T>(0);
  if (threadIdx.x WRITES) s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
"""


def test_sources_do_not_share_memory() -> None:
    """Two sources may have kernels and functions of the same names: each has its own shared memory, full of NaN."""
    y = np.zeros(64, np.float32)
    run(SHARED.replace("SIZE", "64").replace("WRITES", ">= 0"), "first<float>", 64, y)
    np.testing.assert_array_equal(y, np.arange(64))
    run(SHARED.replace("SIZE", "64").replace("WRITES", "> 3"), "first<float>", 64, y)
    assert np.isnan(y[:4]).all() and not np.isnan(y[4:]).any()
    y = np.zeros(1024, np.float32)
    run(SHARED.replace("SIZE", "8192").replace("WRITES", ">= 0"), "first<float>", 1024, y)
    np.testing.assert_array_equal(y, np.arange(1024))


DYNAMIC = """
extern __shared__ unsigned char everywhere[];
template <typename T> __global__ void turns(T* y) {
  T* s = reinterpret_cast<T*>(everywhere);
  extern __shared__ __align__(16) double rows[][2];
  s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  y[threadIdx.x] = s[blockDim.x - 1 - threadIdx.x] + ((void*)rows == (void*)&rows[1][-2] && (void*)rows == (void*)s);
}
"""


def test_dynamic_shared_memory_as_in_every_book() -> None:
    y = np.zeros(64, np.float32)
    for _ in range(2):
        run(DYNAMIC, "turns<float>", 64, y, shared=256, blocks=2000)
        np.testing.assert_array_equal(y, np.arange(64, 0, -1))
    with sanitized("thread"):
        run(DYNAMIC, "turns<float>", 64, y, shared=256)


WORDS = r"""
#include <assert.h>
#include <math.h>
__global__ void words(float* y, unsigned* n, int most) {
  float v = threadIdx.x + 1.f;
  float3 three = make_float3(v, __expf(v), __logf(v));
  y[threadIdx.x] = three.y * __sinf(v) + __cosf(v) * __powf(v, 2) + __fdividef(three.z, three.x) + rsqrtf(v);
  atomicAdd(&n[0], 2);
  atomicSub(&n[1], 1u);
  atomicOr(&n[2], 1 << threadIdx.x % 8);
  for (int round = 0; round < 5; round++) {
    int count = __syncthreads_count(threadIdx.x % (round + 1) == 0);
    int all = __syncthreads_and(threadIdx.x < 64), any = __syncthreads_or(threadIdx.x == round);
    if (round % 2) __syncthreads();
    if (threadIdx.x == 0) n[3 + round] = 10 * count + 2 * all + any;
  }
  __syncthreads();
  if (threadIdx.x == 0) n[8] = __clz(1) + __ffs(8) + __popc(255) + __popcll(~0ll) + __clzll(0) + (__brev(1) >> 24);
  int4 four = make_int4(1, 2, 3, 4);
  assert(threadIdx.x < most && four.w == 4);
}
"""


@pytest.mark.parametrize("order", ORDERS)
def test_usual_words_of_cuda(order: str) -> None:
    y, n, v = np.zeros(64, np.float32), np.zeros(9, np.uint32), np.arange(1, 65, dtype=np.float64)
    with threads_in_order(order):
        run(WORDS, "words", 64, y, n, np.int32(64))
    with np.errstate(all="ignore"):
        expected = np.exp(v) * np.sin(v) + np.cos(v) * v**2 + np.log(v) / v + 1 / np.sqrt(v)
    np.testing.assert_allclose(y, expected, rtol=1e-4)
    counts = [len(range(0, 64, k)) * 10 + 3 for k in range(1, 6)]
    assert n.tolist() == [128, 2**32 - 64, 255, *counts, 31 + 4 + 8 + 64 + 64 + 128]
    with pytest.raises(EmulatedLaunchError, match=r"assert\(threadIdx.x < most .* does not hold; line 20, block"):
        run(WORDS, "words", 64, y, n, np.int32(63))
    with pytest.raises(EmulatedLaunchError, match=r"__trap; line 1, block .* thread .3, 0, 0."):
        run("__global__ void traps(int n) { if (threadIdx.x == n) __trap(); }", "traps", 64, np.int32(3))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("__global__ void f(float* y) { y[0] = __tgammaf(y[1]); }", "(?s)f.float.*undefined reference to `__tgammaf'"),
        ("__global__ void f(float* y) {\n std::vector<int> v; }", "source:2:.*the_standard_library_is_not_on_a_GPU"),
    ],
)
def test_words_that_a_gpu_does_not_have(code: str, message: str) -> None:
    for _ in range(2):
        with pytest.raises(build.CompileError, match=message):
            RawModule(code=code, name_expressions=("f",))


ONES = "__global__ void ones(float* y) { y[threadIdx.x] = 1; }"


def test_threads_compile_the_same_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    results, start = [np.zeros(4, np.float32) for _ in range(4)], threading.Barrier(4)

    def one(y: Any) -> None:
        start.wait()
        run(ONES, "ones", 4, y)

    threads = [threading.Thread(target=one, args=(y,)) for y in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(results, np.ones((4, 4)))
    assert [path.suffix for path in build.cache_folder().iterdir()] == [".so"]


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    code, y = f"// {tmp_path}\n{ONES}", np.zeros(4, np.float32)
    with pytest.warns(RuntimeWarning, match=r"cannot be kept in .*file.minicnn.emulated .* Set XDG_CACHE_HOME"):
        run(code, "ones", 4, y)
    np.testing.assert_array_equal(y, 1)


@pytest.mark.parametrize("text", ["// \u00e4 \u03c0 \u6f22", "#error \u03c0"])
def test_text_that_is_not_ascii(text: str, tmp_path: Path) -> None:
    """In a source and in the messages of g++, whatever the system's encoding is."""
    code = f"""
from minicnn_kernels.emulated.raw_module import RawModule
from minicnn_kernels.emulated.build import CompileError
try:
    RawModule(code={text!a} + chr(10) + {ONES!r}, name_expressions=("ones",))
except CompileError as error:
    assert "#error" in str(error), ascii(error)
else:
    assert {"#error" not in text}
"""
    python("-c", code, XDG_CACHE_HOME=str(tmp_path), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
