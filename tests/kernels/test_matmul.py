"""Matrix products that are large enough to be divided into shares: every way of dividing them, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import matmul

sizes = st.integers(1, 400)


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, sizes, st.sampled_from([np.float32, np.float64]), st.integers(0, 2**32 - 1))
def test_products_of_any_size(n: int, k: int, m: int, dtype: type, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((n, k)).astype(dtype), rng.standard_normal((k, m)).astype(dtype)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    tolerance = 60 * np.finfo(dtype).eps * np.sqrt(k)
    for left in (a, np.asfortranarray(a), np.repeat(a, 2, 1)[:, ::2]):
        for right in (b, np.asfortranarray(b), np.repeat(b, 2, 1)[:, ::2]):
            y = matmul.matmul_numba(left, right)
            assert y.dtype == dtype and y.flags.c_contiguous
            np.testing.assert_allclose(y, expected, 0, tolerance)


# rows of b that the threads do not divide evenly, nor the blocks of a share; fewer rows than threads
@pytest.mark.parametrize(
    ("n", "k", "m"), [(1, 4099, 257), (3, 999, 301), (16, 1023, 130), (32, 130, 400), (1, 2, 200_000)]
)
def test_a_linear_layer_of_many_weights(n: int, k: int, m: int, rng: np.random.Generator) -> None:
    """Few rows of x: forward divides the columns of w^T, gx sums over the rows of w, gw divides its own rows."""
    x, w, b, gy = (rng.standard_normal(shape) for shape in ((n, m), (k, m), (k,), (n, k)))
    for numba, numpy in zip(
        (matmul.linear_numba(x, w, b), *matmul.linear_backward_numba(gy, x, w, (True, True, True))),
        (matmul.linear_numpy(x, w, b), *matmul.linear_backward_numpy(gy, x, w, (True, True, True))),
        strict=True,
    ):
        np.testing.assert_allclose(numba, numpy, 1e-10, 1e-10 * np.abs(numpy).max())


def test_nan_and_infinity_come_through(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((5, 300)), rng.standard_normal((300, 400))
    b[299, 7], b[0, 3] = np.nan, np.inf
    y = matmul.matmul_numba(a, b)
    assert np.isnan(y[:, 7]).all() and np.isinf(y[:, 3]).all() and np.isfinite(np.delete(y, (3, 7), 1)).all()
