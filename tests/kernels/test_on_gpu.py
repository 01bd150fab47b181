"""The numpy row of every table on CuPy's arrays, emulated: as on the CPU, on the GPU, and without a wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import arrays
from minicnn_kernels.dispatch import TABLES, Table
from minicnn_kernels.layout import is_channels_last
from minicnn_kernels.optimizers import Weights

from .samples import SAMPLES, Arguments
from .test_tables import LAYOUTS, arguments, assert_same, ids, numbers, outputs, place

ROWS = [(table, row) for table in TABLES if table.op in SAMPLES for row in table.rows if row[1] == "numpy"]


@pytest.fixture(autouse=True)
def gpu() -> Iterator[Any]:
    with arrays.emulated() as cupy:
        yield cupy


def every(change: Callable[[Any], Any], args: Any) -> Any:
    """Arguments with every array of either kind changed, in lists and among weights too."""
    if isinstance(args, Weights):
        return Weights(every(change, args.xs), *every(change, args.buffers))
    if type(args) in (list, tuple):
        return type(args)(every(change, a) for a in args)
    return change(args) if arrays.is_array(args) or isinstance(args, np.generic) else args


def to_gpu(a: Any) -> Any:
    """An array on the GPU with the values, the strides and the gaps of one on the CPU."""
    if not a.size or not a.ndim:
        return arrays.upload(a, 0)
    turned = tuple(slice(None, None, -1 if step < 0 else 1) for step in a.strides)
    upwards = a[(*turned, ...)]  # its first element is the first in memory
    end = sum((size - 1) * step for size, step in zip(upwards.shape, upwards.strides, strict=True))
    memory = np.lib.stride_tricks.as_strided(upwards, (end // a.itemsize + 1,), (a.itemsize,))
    x = arrays.upload(memory, 0)
    return arrays.xp(x).lib.stride_tricks.as_strided(x, upwards.shape, upwards.strides)[(*turned, ...)]


def run(kernel: Callable[..., Any], args: Arguments) -> Any:
    """The results of a kernel; if it changes weights, what is then in them."""
    found = kernel(*args)
    if not isinstance(args[0], Weights):
        return found
    return tuple(args[0].xs + [b for buffer in args[0].buffers for b in buffer])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("table", "row"), ROWS, **ids)
def test_as_on_the_cpu(table, row, dtype):
    for number in numbers(table, row):
        args = arguments(table.op, number, dtype)
        given = every(to_gpu, args)
        with np.errstate(all="ignore"):
            expected = run(table.rows[row], args)
            got = run(table.rows[row], given)
        assert_same(tuple(None if a is None else a.get() for a in outputs(got)), expected, place(table, row, number, args))
