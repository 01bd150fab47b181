"""Long sums are right to a few units in the last place, in every memory order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minicnn_kernels import sums

SHAPES = [(30000, 3), (3, 30000), (500, 40, 3), (4000, 2, 1, 3), (9000, 3, 1, 2), (64, 32, 7, 7), (1, 5000), (9000,)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_total_of_any_axes_in_any_order(shape: tuple[int, ...]) -> None:
    base = (np.random.default_rng(0).standard_normal(shape) + 3).astype(np.float32)
    for order in itertools.permutations(range(len(shape))):
        ordered = np.ascontiguousarray(base.transpose(order)).transpose(np.argsort(order))
        for a in (ordered, ordered[::-1], ordered[::2], np.broadcast_to(ordered[:1], shape)):
            for count in range(1, len(shape) + 1):
                for axes in itertools.combinations(range(len(shape)), count):
                    y = sums.total(a, axes)
                    expected = a.sum(axes, np.float64, keepdims=True)
                    assert y.dtype == np.float32 and y.shape == expected.shape
                    np.testing.assert_allclose(y, expected, 2e-6)


@pytest.mark.parametrize("columns", [1, 2, 3, 8, 100, 5000])
def test_rows_of_one_value(columns: int) -> None:
    """The worst case: every rounding error has the same sign."""
    a = np.full((max(2000, 600_000 // columns), columns), 0.1, np.float32)
    expected = a[0, 0].astype(np.float64) * len(a)
    np.testing.assert_allclose(sums.total(a, (0,)), np.full((1, columns), expected), 2e-6)


def test_what_is_one_number_in_memory_is_multiplied() -> None:
    a = np.broadcast_to(np.float32(0.1), (100_000, 20))
    np.testing.assert_array_equal(sums.total(a, (0,)), np.full((1, 20), np.float32(np.float64(np.float32(0.1)) * 1e5)))


def test_integers_float16_and_float64_keep_their_types() -> None:
    assert sums.total(np.full((9000, 2), 2**40), (0,)).tolist() == [[9000 * 2**40] * 2]
    assert sums.total(np.full((9000, 2), 0.25), (0,)).tolist() == [[2250.0] * 2]
    for count in (40, 9000):
        y = sums.total(np.full((count, 2), 0.25, np.float16), (0,))
        assert y.dtype == np.float16 and y.tolist() == [[count / 4] * 2]
    assert np.isnan(sums.total(np.full((9000, 2), np.nan, np.float32), (0,))).all()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64])
@pytest.mark.parametrize(("rows", "length", "count"), [(3, 1, 50_000), (3, 2, 50_000), (400_000, 1, 5000), (7, 3, 40)])
def test_add_rows(kind: type, rows: int, length: int, count: int) -> None:
    """Into few rows, and into one of very many."""
    index = np.arange(count) % 3 if rows < 100 else np.zeros(count, np.int64)
    value = 3 if kind is np.int64 else 0.1
    y = np.ones((rows, length), kind)
    sums.add_rows(y, index, np.full((count, length), value, kind))
    expected = 1 + np.bincount(index, minlength=rows) * np.float64(kind(value))
    np.testing.assert_allclose(y, np.repeat(expected[:, None], length, 1), 1e-3 if kind is np.float16 else 2e-6)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 2), (16, 16)])
def test_long_products(n: int, m: int) -> None:
    a, b = np.full((n, 300_001), 0.1, np.float32), np.full((300_001, m), 0.1, np.float32)
    expected = np.float64(a[0, 0]) ** 2 * 300_001
    for left in (a, np.asfortranarray(a)):
        assert sums.long_product(left, b)
        np.testing.assert_allclose(sums.matmul(left, b), np.full((n, m), expected), 5e-6)
    stack = np.stack([a[:, :9001], 2 * a[:, :9001]])
    np.testing.assert_allclose(sums.matmul(stack, b[:9001]), stack.astype(np.float64) @ b[:9001], 5e-6)


@pytest.mark.parametrize("count", [40, 5000])
@pytest.mark.parametrize("length", [1, 2])
def test_a_sum_beyond_the_type_is_infinite_without_a_warning(count: int, length: int) -> None:
    y = np.zeros((3, length), np.float32)
    sums.add_rows(y, np.zeros(count, np.int64), np.full((count, length), 3e38, np.float32))
    assert y.tolist() == [[np.inf] * length] + [[0] * length] * 2
    assert sums.matmul(np.full((1, 5000), 1e36, np.float32), np.full((5000, 1), 1e36, np.float32)).item() == np.inf
