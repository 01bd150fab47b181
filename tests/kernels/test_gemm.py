"""Products of parts of matrices, added to earlier results, whole and in the blocks into which long ones are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels import gemm
from minicnn_kernels.runtime import parallel, single_blas

LONG = [
    (7, 5, 9),
    (300, 100, 120),
    (100, 120, 300),
    (120, 130, 140),
    (50, 396, 120),
]  # by rows, by depth, whole: too large a factor, and few rows


@pytest.mark.parametrize("size", LONG)
@pytest.mark.parametrize("beta", [0, 1])
@pytest.mark.parametrize(("ta", "tb"), [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_gemm(size: tuple[int, int, int], beta: int, ta: bool, tb: bool, dtype: Any, most: float) -> None:
    """Only this part of c changes; with beta=0, its old values (NaN) do not count."""
    m, n, k = size
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal((400, 400)).astype(dtype) for _ in range(3))
    left, right = (a[1:, 2:][:k, :m].T if ta else a[1:, 2:][:m, :k]), (b[1:, 3:][:n, :k].T if tb else b[1:, 3:][:k, :n])
    product = left.astype(np.float64) @ right
    expected = c.copy()
    expected[2 : 2 + m, 4 : 4 + n] = product + beta * c[2 : 2 + m, 4 : 4 + n]
    if not beta:
        c[2 : 2 + m, 4 : 4 + n] = np.nan
    with parallel(), single_blas():
        parts = gemm.Matrix(a.ravel(), 402, 400, ta), gemm.Matrix(b.ravel(), 403, 400, tb)
        gemm.gemm((m, n, k), *parts, gemm.Matrix(c.reshape(-1), 804, 400, False), beta)
    np.testing.assert_allclose(c, expected, rtol=0, atol=most * np.abs(product).max())
