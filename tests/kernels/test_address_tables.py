"""Kernels that reach arrays by a table of addresses, emulated: the arrays are guarded as those among the arguments."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import cuda
from minicnn_kernels.arrays import address, upload
from minicnn_kernels.emulated.raw_module import EmulatedLaunchError, RawModule, sanitized

CODE = """
// A block for each array: y += x, or y = 0 if there is no x.
template <typename T>
__global__ void add(const T* const* xs, T* const* ys, const int* sizes, int beyond) {
  const T* x = xs[blockIdx.x];
  for (int i = threadIdx.x; i < sizes[blockIdx.x] + beyond; i += blockDim.x)
    ys[blockIdx.x][i] = x ? ys[blockIdx.x][i] + x[i] : 0;
}

__global__ void breaks_const(const float* const* xs) { *(float*)xs[0] = 1; }

__global__ void changes_the_table(const float** xs) { xs[0] = nullptr; }
"""
NAMES = ("add<float>", "add<double>", "breaks_const", "changes_the_table")


def kernel(name: str) -> Any:
    return RawModule(code=CODE, name_expressions=NAMES).get_function(name)


def table(arrays: list[Any]) -> Any:
    return np.array([0 if a is None else address(a) for a in arrays], np.int64)


def run_add(xs: list[Any], ys: list[Any], beyond: int = 0) -> None:
    sizes = np.array([y.size for y in ys], np.int32)
    args = table(xs), table(ys), sizes, np.int32(beyond)
    through = [a for a in (*xs, *ys) if a is not None]
    kernel(f"add<{cuda.scalar(ys[0])}>")((len(ys),), (32,), args, through=through)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("how", [nullcontext, *(lambda s=s: sanitized(s) for s in ("address", "undefined", "thread"))])
def test_arrays_in_a_table(kind: Any, how: Any, rng: np.random.Generator) -> None:
    xs, ys = ([rng.standard_normal(size).astype(kind) for size in (70, 1, 3)] for _ in range(2))
    xs[1] = None
    expected = [0 * y if x is None else x + y for x, y in zip(xs, ys, strict=True)]
    context: AbstractContextManager[Any] = how()
    with context:
        run_add(xs, ys)
    for y, found in zip(ys, expected, strict=True):
        np.testing.assert_array_equal(y, found)


def test_two_entries_may_be_one_array() -> None:
    y = np.ones(5, np.float32)
    run_add([y], [y])
    assert y.tolist() == [2.0] * 5


def test_a_place_behind_an_array() -> None:
    with pytest.raises(
        EmulatedLaunchError, match="wrote behind the memory of an array in the table that is argument 1"
    ):
        run_add([None], [np.ones(4)], beyond=1)


def test_an_address_of_no_array() -> None:
    x = np.ones(4, np.float32)
    args = table([x]), table([x]), np.array([4], np.int32), np.int32(0)
    with pytest.raises(EmulatedLaunchError, match=r"argument 0: the address 0x.* is not that of an array in `through`"):
        kernel("add<float>")((1,), (32,), args)


def test_an_array_of_another_type() -> None:
    x = np.ones(4)
    args = table([x]), table([x]), np.array([4], np.int32), np.int32(0)
    with pytest.raises(TypeError, match="argument 0, an array in the table, is an array of float64"):
        kernel("add<float>")((1,), (32,), args, through=[x])


def test_what_is_const_stays() -> None:
    x = np.ones(4, np.float32) * 3
    with pytest.raises(EmulatedLaunchError, match=r"wrote to .* which is const"):
        kernel("breaks_const")((1,), (1,), (table([x]),), through=[x])
    assert x.tolist() == [3.0] * 4
    with pytest.raises(TypeError, match="may not write to a table of addresses"):
        kernel("changes_the_table")((1,), (1,), (table([x]),), through=[x])


def test_a_table_on_a_gpu(gpu: Any) -> None:
    xs, ys = ([upload(np.ones(size), 0) for size in (5, 40)] for _ in range(2))
    sizes = np.array([y.size for y in ys], np.int32)
    args = [upload(a, 0) for a in (table(xs), table(ys), sizes)]
    kernel("add<double>")((2,), (32,), (*args, np.int32(0)), through=[*xs, *ys])
    assert [y.get().tolist() for y in ys] == [[2.0] * 5, [2.0] * 40]
