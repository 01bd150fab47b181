"""Loops over runs of memory: slices of channels, numbers that are broadcast, and joins, against NumPy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn_kernels import runs
from minicnn_kernels.arithmetic import arithmetic_numba
from minicnn_kernels.channel_products import SUM_OF_PRODUCTS
from minicnn_kernels.layout import as_order

SHAPE = (3, 20, 17, 19)
UFUNCS = {"add": np.add, "sub": np.subtract, "mul": np.multiply}
BROADCAST = [(1, 20, 1, 1), (3, 20, 1, 1), (20, 1, 1), (), (1, 1, 17, 19), (3, 1, 1, 1), (19,)]


def views(dtype: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of one shape in many kinds of memory, some with NaN and Inf."""
    large = np.random.default_rng(0).standard_normal((3, 50, 17, 19)).astype(dtype)
    large[0, 9, 3, 3], large[1, 11, 4, 4] = np.nan, np.inf
    last = as_order(large, True)
    return {
        "nchw": large[:, :20].copy(), "channels last": as_order(large[:, 20:40].copy(), True),
        "slice": last[:, 7:27], "slice in nchw": large[:, 7:27], "reversed": last[:, ::-1][:, 10:30],
        "every second": last[:, ::2][:, :20], "rows reversed": large[:, 5:25, ::-1],
        **{str(shape): np.broadcast_to(large.ravel()[: np.prod(shape, dtype=int)].reshape(shape), SHAPE)
           for shape in BROADCAST},
    }  # fmt: skip


@pytest.mark.parametrize("op", UFUNCS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arithmetic_of_views(op: str, dtype: Any) -> None:
    """The same bits and the same order of memory as NumPy's, also into one of the operands."""
    for a, b in itertools.product(views(dtype).values(), repeat=2):
        if 0 in a.strides and 0 in b.strides:
            continue
        with np.errstate(all="ignore"):
            expected, y = UFUNCS[op](a, b), arithmetic_numba(op, a, b)
        np.testing.assert_array_equal(y, expected)
        assert y.strides == expected.strides
        for which in (0, 1):
            operands = [x if 0 in x.strides else x.copy("K") for x in (a, b)]
            if 0 not in operands[which].strides:
                with np.errstate(all="ignore"):
                    assert arithmetic_numba(op, *operands, operands[which]) is operands[which]
                np.testing.assert_array_equal(operands[which], expected)


def test_arithmetic_into_other_memory() -> None:
    """An `out` that overlaps an operand, or that may not be written."""
    memory = np.arange(40_001.0)
    arithmetic_numba("add", memory[:-1], memory[:-1], memory[1:])
    np.testing.assert_array_equal(memory[1:], 2 * np.arange(40_000.0))
    memory.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        arithmetic_numba("add", memory, memory, memory)


def test_runs_of_views() -> None:
    """Axes that lie in memory as one are merged; there are no runs if more than three are left."""
    x = as_order(np.zeros(SHAPE), True)
    assert runs.as_runs(x, x) == ((1, 1, x.size), (0, 0, 1), (0, 0, 1))
    half, per_image = x[:, :8], np.broadcast_to(np.zeros((3, 8, 1, 1)), (3, 8, 17, 19))
    assert runs.as_runs(half, half) == ((1, 3 * 17 * 19, 8), (0, 20, 1), (0, 20, 1))
    expected = (3, 17 * 19, 8), (17 * 19 * 20, 20, 1), (17 * 19 * 20, 20, 1), (8, 0, 1)
    assert runs.as_runs(half, half, per_image) == expected
    assert runs.as_runs(x[:, ::2], x[:, ::2]) is None


@pytest.mark.parametrize("kind", ["channels last", "slice", "nchw", "reversed"])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_cat(kind: str, dim: int) -> None:
    """Large enough for the loop over pixels; the order of memory is that of the parts."""
    x = views(np.float32)[kind]
    parts = np.split(x, [1, 2], dim)
    tensors = [(minicnn.tensor if kind == "reversed" else minicnn.from_numpy)(part) for part in parts]
    y = minicnn.cat(tensors, dim)
    np.testing.assert_array_equal(y.numpy(), x)
    lies_last = kind in ("channels last", "slice")
    assert y.is_contiguous(memory_format=minicnn.channels_last) == lies_last


def test_join_refuses_what_has_no_runs() -> None:
    y = np.zeros((4, 6))
    assert not runs.join([np.zeros((4, 12))[:, ::2]], y)
    assert not runs.join([np.zeros((4, 6))[::-1]], y)
    assert runs.join([np.ones((4, 12))[:, :2], np.full((4, 4), 2.0)], y)
    np.testing.assert_array_equal(y, [[1, 1, 2, 2, 2, 2]] * 4)


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_products_of_many_pixels(each: bool, dtype: Any) -> None:
    """More pixels than a block has, several blocks for each share, and images that end within a block."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((3, 19, 23, 5)).astype(dtype).transpose(0, 3, 1, 2) for _ in range(2))  # channels-last
    found = SUM_OF_PRODUCTS(a, b, each, backend="numba")
    expected = (a.astype(np.float64) * b).sum((2, 3) if each else (0, 2, 3), keepdims=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 if dtype is np.float32 else 1e-11)
