"""The float32 polynomials of tanh and sigmoid: a few units in the last place, everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from minicnn_kernels.activations import relu_tanh_sigmoid as kernels

CASES = [(kernels.tanh_numba, np.tanh, 2.0), (kernels.sigmoid_numba, expit, 3.0)]  # measured: 1.5 and 2.4 ulp
FINITE = np.arange(0, 0x7F800000, 1009, dtype=np.uint32).view(np.float32)  # every 1009th positive float32


@pytest.mark.parametrize(("kernel", "exact", "limit"), CASES, ids=["tanh", "sigmoid"])
def test_error_in_units_of_the_last_place(kernel: Any, exact: Any, limit: float) -> None:
    near = np.concatenate([np.linspace(0.5, 0.6, 100_001), np.linspace(0, 20, 1_000_001)]).astype(np.float32)
    for x in (FINITE, -FINITE, near, -near):
        y = exact(x.astype(np.float64))
        unit = np.exp2(np.floor(np.log2(np.maximum(np.abs(y), np.finfo(np.float32).tiny))) - 23)
        error = np.abs(kernel(x) - y) / unit
        assert error.max() <= limit, f"{error.max():.2f} ulp at {x[error.argmax()]!r}"


def test_tanh_is_odd_and_ends_at_one() -> None:
    y = kernels.tanh_numba(FINITE)
    np.testing.assert_array_equal(kernels.tanh_numba(-FINITE), -y)
    assert y.max() == 1 and (y[FINITE > 9.1] == 1).all()
    tiny = FINITE[FINITE < 1e-4]
    np.testing.assert_array_equal(kernels.tanh_numba(tiny), tiny)  # denormal numbers included


def test_sigmoid_reaches_both_ends_without_a_warning() -> None:
    for kernel in (kernels.sigmoid_python, kernels.sigmoid_numpy, kernels.sigmoid_numba):
        for dtype in (np.float32, np.float64):
            y = kernel(np.array([-np.inf, -1e30, -1e3, -90, 0, 90, 1e30, np.inf, np.nan], dtype))
            np.testing.assert_array_equal(y[[0, 1, 2, 4, 6, 7]], [0, 0, 0, 0.5, 1, 1])
            assert 0 < y[3] < 1e-38 and np.isnan(y[8])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signed_zero_and_nan(dtype: Any) -> None:
    x = np.array([-0.0, 0.0, np.nan], dtype)
    for kernel in (kernels.tanh_python, kernels.tanh_numpy, kernels.tanh_numba):
        np.testing.assert_array_equal(np.signbit(kernel(x))[:2], [True, False])
        assert np.isnan(kernel(x)[2])
    for kernel in (kernels.relu_python, kernels.relu_numpy, kernels.relu_numba):
        np.testing.assert_array_equal(kernel(x), [0, 0, np.nan])
