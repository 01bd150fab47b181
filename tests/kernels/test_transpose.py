"""Pictures from one order of memory to the other: whole blocks, rests on both sides, and batches of none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels.layout import as_order, is_channels_last
from minicnn_kernels.runtime import parallel
from minicnn_kernels.transpose import reordered

SHAPES = [(2, 3, 5, 7), (3, 16, 4, 4), (1, 33, 5, 7), (0, 3, 2, 2), (2, 70, 9, 17), (1, 1, 4, 5), (2, 4, 1, 1)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_reordered(shape: tuple[int, ...], last: bool, dtype: Any) -> None:
    x = as_order(np.random.default_rng(0).standard_normal(shape).astype(dtype), not last)
    with parallel():
        y = reordered(x, last)
    np.testing.assert_array_equal(y, x)
    assert is_channels_last(y) if last and is_channels_last(as_order(x, True)) else y.flags.c_contiguous
