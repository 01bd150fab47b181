"""Worked examples of courses on convolutional networks, through every algorithm and backend.

The values are those printed in the courses; a value that is not printed there is marked as derived.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels import conv2d, geometry, pooling, softmax_xent
from minicnn_kernels.dispatch import Table, TableKey

PRECISIONS = [np.float32, np.float64]
ROUNDING = {"winograd", "fft"}  # algorithms that transform the image, so that sums of integers are not exact


def every_row(table: Table) -> Any:
    return pytest.mark.parametrize("row", list(table.rows), ids="/".join)


def convolve(row: TableKey, x: Any, w: Any, dtype: Any = np.float64, **options: Any) -> Any:
    """One image (C, H, W) or (H, W) with one filter, as an image (OH, OW)."""
    x, w = (np.array(a, dtype).reshape(1, -1, *np.shape(a)[-2:]) for a in (x, w))  # (H, W) or (C, H, W) -> (1, C, H, W)
    return run(row, x, w, geometry.conv2d(x.shape, w.shape, **options))[0, 0]


def run(row: TableKey, x: Any, w: Any, g: geometry.Conv) -> Any:
    """The row's result, rounded if the expected values are integers; skips geometries the algorithm cannot do."""
    if not conv2d.FORWARD.supports(row[0], (x, w, None, g)):
        pytest.skip(f"{row[0]} cannot do {w.shape[2]}x{w.shape[3]} with stride {g.sh}")
    y = conv2d.FORWARD.rows[row](x, w, None, g)
    if row[0] in ROUNDING and (x == np.rint(x)).all() and (w == np.rint(w)).all():
        np.testing.assert_allclose(y, np.rint(y), rtol=0, atol=1e-4 if y.dtype == np.float32 else 1e-12)
        y = np.rint(y)
    return y


# The X-shaped kernel on a 5x5 image. Rows 0 to 2 of the image follow from the printed sums, row 3 from the results;
# of row 4 the results determine only the sums of columns 0 + 2, 1 + 3 and 2 + 4; this is one possible row (derived).
X_KERNEL = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
X_IMAGE = [[5, 2, 1, 3, 5], [4, 3, 2, 3, 4], [0, 2, 1, 2, 2], [3, 3, 2, 3, 2], [2, 1, 3, 2, 2]]
X_RESULT = [[10, 11, 12], [13, 13, 12], [9, 9, 11]]


@pytest.mark.parametrize("dtype", PRECISIONS)
@every_row(conv2d.FORWARD)
def test_sliding_an_x_shaped_kernel(row: TableKey, dtype: Any) -> None:
    result = convolve(row, X_IMAGE, X_KERNEL, dtype)
    np.testing.assert_array_equal(result[0], [10, 11, 12])
    np.testing.assert_array_equal(result, X_RESULT)
    terms = {0: [5, 0, 1, 0, 3, 0, 0, 0, 1], 1: [2, 0, 3, 0, 2, 0, 2, 0, 2], 2: [1, 0, 5, 0, 3, 0, 1, 0, 2]}
    for j, products in terms.items():  # the three sums that are written out
        window = np.array(X_IMAGE)[:3, j : j + 3]
        np.testing.assert_array_equal((window * np.array(X_KERNEL)).ravel(), products)
        assert result[0, j] == sum(products)


@pytest.mark.parametrize("dtype", PRECISIONS)
@every_row(conv2d.FORWARD)
def test_stride_2_and_padding_1(row: TableKey, dtype: Any) -> None:
    image = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
    kernel = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]
    result = convolve(row, image, kernel, dtype, stride=2, padding=1)
    np.testing.assert_array_equal(result, [[6, 17, 3], [8, 17, 13], [6, 4, 4]])


@every_row(conv2d.FORWARD)
def test_six_filters_give_six_maps(row: TableKey, rng: np.random.Generator) -> None:
    """Filters of 5x5x3 on 32x32x3: each a dot product of 75 terms, stacked to 28x28x6; ten more of 5x5x6: 24x24x10."""
    x, w1, w2 = (rng.standard_normal(shape) for shape in ((1, 3, 32, 32), (6, 3, 5, 5), (10, 6, 5, 5)))
    g1 = geometry.conv2d(x.shape, w1.shape)
    y1 = run(row, x, w1, g1)
    assert y1.shape == (1, 6, 28, 28) and w1[0].size == 75
    for o, i, j in ((0, 0, 0), (3, 20, 7), (5, 27, 27)):
        assert y1[0, o, i, j] == pytest.approx(np.dot(w1[o].ravel(), x[0, :, i : i + 5, j : j + 5].ravel()), abs=1e-12)
    y2 = run(row, y1, w2, geometry.conv2d(y1.shape, w2.shape))
    assert y2.shape == (1, 10, 24, 24)


@pytest.mark.parametrize(("stride", "padding", "out"), [(1, 0, 5), (2, 0, 3), (1, 1, 7)])
@every_row(conv2d.FORWARD)
def test_7x7_with_3x3(row: TableKey, stride: int, padding: int, out: int, rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((7, 7)), rng.standard_normal((3, 3))
    result = convolve(row, x, w, stride=stride, padding=padding, fit="strict")
    assert result.shape == (out, out)


@every_row(conv2d.FORWARD)
def test_7x7_with_3x3_and_stride_3_does_not_fit(row: TableKey, rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((7, 7)), rng.standard_normal((3, 3))
    with pytest.raises(geometry.ShapeError, match=r"\(7 \+ 2\*0 - 3\) / 3 \+ 1 is not whole: 2\.33"):
        convolve(row, x, w, stride=3, fit="strict")
    floored = convolve(row, x, w, stride=3)  # what frameworks do: the last row and column are in no window
    assert floored.shape == (2, 2)
    most = 1e-14 if row[0] in ROUNDING else 0
    np.testing.assert_allclose(floored, convolve(row, x[:6, :6], w, stride=3, fit="strict"), rtol=0, atol=most)


@pytest.mark.parametrize(("size", "padding"), [(3, 1), (5, 2), (7, 3)])
@every_row(conv2d.FORWARD)
def test_padding_that_keeps_the_size(row: TableKey, size: int, padding: int, rng: np.random.Generator) -> None:
    """(F - 1)/2 on each side; without padding, every layer makes the image smaller by F - 1."""
    x, w = rng.standard_normal((9, 8)), rng.standard_normal((size, size))
    assert convolve(row, x, w, padding=padding).shape == (9, 8)
    assert convolve(row, x, w).shape == (9 - size + 1, 8 - size + 1)
    by_hand = convolve(row, np.pad(x, padding), w)
    np.testing.assert_allclose(convolve(row, x, w, padding=padding), by_hand, rtol=0, atol=1e-12)


def test_repeated_5x5_shrink_the_image() -> None:
    sizes = [32]
    for _ in range(2):
        sizes.append(geometry.output_size(sizes[-1], 5))
    assert sizes == [32, 28, 24]


def test_ten_filters_with_padding_2() -> None:
    """32x32x3, ten 5x5, stride 1, padding 2: 32x32x10, with 76 parameters per filter and 760 in all."""
    w, b = (10, 3, 5, 5), (10,)
    g = geometry.conv2d((1, 3, 32, 32), w, b, padding=2, fit="strict")
    assert g.y_shape == (1, 10, 32, 32)
    assert (np.prod(w[1:]) + 1, np.prod(w) + np.prod(b)) == (76, 760)


@every_row(conv2d.FORWARD)
def test_edge_and_identity_kernels(row: TableKey, rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 6))
    most = 1e-14 if row[0] in ROUNDING else 0
    same = convolve(row, x, [[0, 0, 0], [0, 1, 0], [0, 0, 0]], padding=1)
    np.testing.assert_allclose(same, x, rtol=0, atol=most)
    edges = [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]
    np.testing.assert_allclose(
        convolve(row, np.full((5, 6), 0.7), edges), np.zeros((3, 4)), rtol=0, atol=max(most, 1e-15)
    )


@pytest.mark.parametrize("dtype", PRECISIONS)
@every_row(pooling.MAX_POOL)
def test_2x2_max_pooling(row: TableKey, dtype: Any) -> None:
    x = np.array([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]], dtype).reshape(1, 1, 4, 4)
    y, index = pooling.MAX_POOL.rows[row](x, geometry.pool2d(x.shape, 2))
    np.testing.assert_array_equal(y[0, 0], [[6, 8], [3, 4]])
    np.testing.assert_array_equal(index[0, 0], [[5, 7], [8, 15]])


def test_pooling_acts_on_each_map() -> None:
    assert geometry.pool2d((1, 64, 224, 224), 2).y_shape == (1, 64, 112, 112)


@every_row(pooling.MAX_POOL)
def test_overlapping_max_pooling(row: TableKey, rng: np.random.Generator) -> None:
    """3x3 windows with stride 2: neighbours share a row or a column."""
    x = rng.standard_normal((1, 2, 7, 9))
    y, _ = pooling.MAX_POOL.rows[row](x, geometry.pool2d(x.shape, 3, 2))
    assert y.shape == (1, 2, 3, 4)
    for i, j in np.ndindex(3, 4):
        np.testing.assert_array_equal(y[0, :, i, j], x[0, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((1, 2)))


@every_row(pooling.AVG_POOL)
def test_average_and_global_average_pooling(row: TableKey, rng: np.random.Generator) -> None:
    x = np.array([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]], np.float64).reshape(1, 1, 4, 4)
    y = pooling.AVG_POOL.rows[row](x, geometry.pool2d(x.shape, 2), None)
    np.testing.assert_array_equal(y[0, 0], [[3.25, 5.25], [2, 2]])
    maps = rng.standard_normal((2, 5, 7, 6))
    y = pooling.AVG_POOL.rows[row](maps, geometry.pool2d(maps.shape, (7, 6)), None)
    np.testing.assert_allclose(y[:, :, 0, 0], maps.mean((2, 3)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", PRECISIONS)
@every_row(softmax_xent.SOFTMAX_XENT)
def test_softmax_of_three_scores(row: TableKey, dtype: Any) -> None:
    """(11.5, 12.8, -2.4) are 21.42, 78.58 and 0.00 %."""
    scores = np.array([[11.5, 12.8, -2.4]] * 3, dtype)
    loss, p = softmax_xent.SOFTMAX_XENT.rows[row](scores, np.arange(3))
    assert [f"{100 * value:.2f}" for value in p[0]] == ["21.42", "78.58", "0.00"]
    np.testing.assert_allclose(p[0], [0.214165, 0.785835, 1.968e-07], rtol=0, atol=5e-7)
    np.testing.assert_allclose(p[0, 2], 1.968e-07, rtol=1e-3)
    np.testing.assert_allclose(loss, -np.log([0.214165, 0.785835, 1.968e-07]), rtol=1e-4)
