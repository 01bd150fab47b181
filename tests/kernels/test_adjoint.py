"""A linear map and its backward pass are adjoint: <A x, y> = <x, A^T y> for all x and y, at any geometry.

This needs no reference, no finite differences and no tolerance except for rounding, and it finds every wrong stride,
padding or sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import activations, conv2d, geometry, matmul, pooling
from minicnn_kernels.conv2d.im2col import columns
from minicnn_kernels.dispatch import Table, TableKey
from minicnn_kernels.dropout import DROPOUT
from minicnn_kernels.layout import as_order

seeds = st.integers(0, 2**32 - 1)
layouts = st.booleans()  # channels last or not


def assert_adjoint(ax: Any, y: Any, x: Any, aty: Any, least: float = 0.0) -> None:
    """<ax, y> = <x, aty> to 1e-13 of the sum of the sizes of the terms, or of `least` if that is more."""
    terms = max(least, float(np.abs(ax * y).sum() + np.abs(x * aty).sum()))
    assert abs(float((ax * y).sum()) - float((x * aty).sum())) <= 1e-13 * terms


@st.composite
def one_side(draw: Any, most_padding: int | None = 2) -> tuple[int, ...]:
    """size, kernel, stride, padding (None: up to half the kernel), dilation of one side, so that a window fits."""
    k, s, d = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    p = draw(st.integers(0, k // 2 if most_padding is None else most_padding))
    least = max(1, d * (k - 1) + 1 - 2 * p)
    return draw(st.integers(least, least + 5)), k, s, p, d


@st.composite
def convs(draw: Any) -> geometry.Conv:
    groups, n = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    cg, og = draw(st.integers(1, 5 // groups)), draw(st.integers(1, 5 // groups))
    (h, kh, sh, ph, dh), (w, kw, sw, pw, dw) = draw(one_side()), draw(one_side())
    return geometry.conv2d(
        (n, cg * groups, h, w), (og * groups, cg, kh, kw), None, (sh, sw), (ph, pw), (dh, dw), groups
    )


@st.composite
def convs_3x3(draw: Any) -> geometry.Conv:
    """3x3 with stride and dilation 1, padded by 2 at most, from one tile of any algorithm to several blocks of them."""
    groups, n = draw(st.integers(1, 2)), draw(st.integers(0, 3))
    cg, og, ph, pw = (draw(st.integers(*ends)) for ends in ((1, 5), (1, 5), (0, 2), (0, 2)))
    h, w = (draw(st.integers(max(1, 3 - 2 * p), 14)) for p in (ph, pw))
    return geometry.conv2d((n, cg * groups, h, w), (og * groups, cg, 3, 3), None, 1, (ph, pw), 1, groups)


@st.composite
def plain_convs(draw: Any) -> geometry.Conv:
    """Stride and dilation 1, one group, padding less than the kernel size, longer rows, more filters."""
    n, c, o = draw(st.integers(1, 6)), draw(st.integers(1, 4)), draw(st.integers(1, 10))
    kh, kw = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    ph, pw = draw(st.integers(0, kh - 1)), draw(st.integers(0, kw - 1))
    h, w = (draw(st.integers(max(1, k - 2 * p), 24)) for k, p in ((kh, ph), (kw, pw)))
    return geometry.conv2d((n, c, h, w), (o, c, kh, kw), None, 1, (ph, pw))


@st.composite
def pointwise(draw: Any) -> geometry.Conv:
    """1x1, with any stride."""
    n, c, h, w, o, sh, sw = (draw(st.integers(low, high)) for low, high in [(0, 3), *[(1, 7)] * 4, *[(1, 3)] * 2])
    return geometry.conv2d((n, c, h, w), (o, c, 1, 1), None, (sh, sw))


@st.composite
def depthwise(draw: Any) -> geometry.Conv:
    """As many groups as channels, one or more filters for each."""
    n, c, m = draw(st.integers(0, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    (h, kh, sh, ph, dh), (w, kw, sw, pw, dw) = draw(one_side()), draw(one_side())
    return geometry.conv2d((n, c, h, w), (c * m, 1, kh, kw), None, (sh, sw), (ph, pw), (dh, dw), c)


@st.composite
def undilated(draw: Any) -> geometry.Conv:
    """No dilation, more channels than a vector, rows longer than a tile; often one group."""
    n, c, o = draw(st.integers(0, 3)), draw(st.integers(1, 7)), draw(st.integers(1, 70))
    groups = draw(st.sampled_from([1, 1, 2, 3, 5]))
    (kh, sh, ph), (kw, sw, pw) = (
        (draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(0, 4))) for _ in range(2)
    )
    h, w = (draw(st.integers(max(1, k - 2 * p), 24)) for k, p in ((kh, ph), (kw, pw)))
    return geometry.conv2d((n, groups * c, h, w), (groups * o, c, kh, kw), None, (sh, sw), (ph, pw), groups=groups)


DRAWN = {
    "winograd": convs_3x3,
    "implicit": undilated,
    "registers": plain_convs,
    "pointwise": pointwise,
    "depthwise": depthwise,
}


@st.composite
def pools(draw: Any, dilated: bool) -> geometry.Pool:
    (h, kh, sh, ph, dh), (w, kw, sw, pw, dw) = (draw(one_side(most_padding=None)) for _ in range(2))
    shape = (draw(st.integers(0, 3)), draw(st.integers(1, 5)), h, w)
    dilation = (dh, dw) if dilated else 1
    if draw(st.booleans()):  # the 2x2 windows that have a loop of their own
        return geometry.pool2d((*shape[:2], h + 1, w + 1), 2)
    return geometry.pool2d(shape, (kh, kw), (sh, sw), (ph, pw), dilation, draw(st.booleans()), draw(st.booleans()))


def rows(*tables: Table) -> list[Any]:
    """The rows that all these tables have, as test parameters."""
    common = [row for row in tables[0].rows if all(row in table.rows for table in tables)]
    assert common
    return [pytest.param(row, id="/".join(row)) for row in common]


def examples(row: TableKey) -> settings:
    return settings(max_examples=20 if row[1] == "python" else 100)


@pytest.mark.parametrize("row", rows(conv2d.FORWARD, conv2d.BACKWARD))
def test_conv2d(row: TableKey) -> None:
    """Linear in x with adjoint gx, linear in w with adjoint gw, and in b with gb."""
    forward, backward = conv2d.FORWARD.rows[row], conv2d.BACKWARD.rows[row]

    @examples(row)
    @given(DRAWN.get(row[0], convs)(), seeds, layouts)
    def check(g: geometry.Conv, seed: int, channels_last: bool) -> None:
        assert conv2d.LIMITS.get(row[0], lambda g: True)(g)
        rng = np.random.default_rng(seed)
        x, gy = (as_order(rng.standard_normal(shape), channels_last) for shape in (g.x_shape, g.y_shape))
        w, b = rng.standard_normal(g.w_shape), rng.standard_normal(g.o)
        y = forward(x, w, None, g)
        gx, gw, gb = backward(gy, x, w, g, (True, True, True))
        # Transforms round relative to all values: an output that sees only padding is nearly 0, but not exactly.
        least = float(np.abs(x).sum() * np.abs(w).sum() * np.abs(gy).max(initial=0)) if row[0] == "fft" else 0.0
        assert_adjoint(y, gy, x, gx, least)
        assert_adjoint(y, gy, w, gw, least)
        assert_adjoint(np.broadcast_to(b[:, None, None], g.y_shape), gy, b, gb)
        np.testing.assert_allclose(forward(x, w, b, g), y + b[:, None, None], rtol=0, atol=1e-12)

    check()


@settings(max_examples=100)
@given(convs(), seeds)
def test_im2col(g: geometry.Conv, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, col = rng.standard_normal(g.x_shape), rng.standard_normal((g.n, g.groups, columns.length(g), g.oh * g.ow))
    assert_adjoint(columns.im2col(x, g), col, x, columns.col2im(col, g))


@settings(max_examples=60)
@given(convs(), seeds, st.data())
def test_im2col_compiled(g: geometry.Conv, seed: int, data: st.DataObject) -> None:
    """One group of one image, a band of output rows, in both memory orders; both have the same values."""
    rng = np.random.default_rng(seed)
    i0 = data.draw(st.integers(0, g.oh - 1))
    i1 = data.draw(st.integers(i0 + 1, g.oh))
    cg, k, size = g.c // g.groups, columns.length(g), (i1 - i0) * g.ow
    first = data.draw(st.integers(0, g.groups - 1)) * cg
    x, up = rng.standard_normal((g.c, g.h, g.w)), rng.standard_normal((k, size))
    col, gx = np.full((k, size), np.nan), np.zeros(x.shape)
    columns.im2col_nchw(x, col, first, i0, i1, g)
    columns.col2im_nchw(up, gx, first, i0, i1, g)
    assert_adjoint(col, up, x, gx)
    x_last, gx_last = np.zeros((2, g.h, g.w, g.c)), np.zeros((2, g.h, g.w, g.c))
    x_last[1] = x.transpose(1, 2, 0)
    order = np.arange(k).reshape(cg, g.kh, g.kw).transpose(1, 2, 0).ravel()  # (C/G, KH, KW) -> (KH, KW, C/G)
    col_last = np.full((size, k), np.nan)
    columns.im2col_nhwc(x_last, col_last, first, g.oh + i0, g.oh + i1, g)
    columns.col2im_nhwc(np.ascontiguousarray(up[order].T), gx_last, first, g.oh + i0, g.oh + i1, g)
    np.testing.assert_array_equal(col_last, col[order].T)
    np.testing.assert_allclose(gx_last[1].transpose(2, 0, 1), gx, rtol=0, atol=1e-12)


@pytest.mark.parametrize("row", rows(pooling.AVG_POOL, pooling.AVG_POOL_BACKWARD))
def test_avg_pool2d(row: TableKey) -> None:
    @examples(row)
    @given(pools(dilated=False), seeds, layouts, st.sampled_from([None, 1, 5, -3]))
    def check(g: geometry.Pool, seed: int, channels_last: bool, divisor: int | None) -> None:
        rng = np.random.default_rng(seed)
        x, gy = (as_order(rng.standard_normal(shape), channels_last) for shape in (g.x_shape, g.y_shape))
        y, gx = pooling.AVG_POOL.rows[row](x, g, divisor), pooling.AVG_POOL_BACKWARD.rows[row](gy, g, divisor)
        assert_adjoint(y, gy, x, gx)

    check()


def at_places(x: Any, index: Any, nothing: float) -> Any:
    """The values of x (N, C, H, W) at places p*W + q, `nothing` at -1: the shape of index."""
    n, c, h, w = x.shape
    flat = np.concatenate([x.reshape(n, c, h * w), np.full((n, c, 1), nothing)], 2)
    return np.take_along_axis(flat, index.reshape(n, c, index.shape[2] * index.shape[3]), 2).reshape(index.shape)


@pytest.mark.parametrize("row", rows(pooling.MAX_POOL, pooling.MAX_POOL_BACKWARD))
def test_max_pool2d_with_its_places_fixed(row: TableKey) -> None:
    @examples(row)
    @given(pools(dilated=True), seeds, layouts)
    def check(g: geometry.Pool, seed: int, channels_last: bool) -> None:
        rng = np.random.default_rng(seed)
        x, gy = (as_order(rng.standard_normal(shape), channels_last) for shape in (g.x_shape, g.y_shape))
        y, index = pooling.MAX_POOL.rows[row](x, g)
        np.testing.assert_array_equal(at_places(x, index, -np.inf), y)
        other = rng.standard_normal(g.x_shape)  # with fixed places the map is linear in x
        taken = at_places(other, index, 0)
        assert_adjoint(taken, gy, other, pooling.MAX_POOL_BACKWARD.rows[row](gy, index, g))

    check()


@pytest.mark.parametrize("row", rows(matmul.LINEAR, matmul.LINEAR_BACKWARD, matmul.MATMUL, matmul.MATMUL_BACKWARD))
def test_matrix_products(row: TableKey) -> None:
    @examples(row)
    @given(st.integers(0, 20), st.integers(0, 9), st.integers(1, 9), seeds)
    def check(n: int, i: int, o: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        x, w, b, gy = (rng.standard_normal(shape) for shape in ((n, i), (o, i), (o,), (n, o)))
        y = matmul.LINEAR.rows[row](x, w, None)
        gx, gw, gb = matmul.LINEAR_BACKWARD.rows[row](gy, x, w, (True, True, True))
        # Transforms round relative to all values: an output that sees only padding is nearly 0, but not exactly.
        least = float(np.abs(x).sum() * np.abs(w).sum() * np.abs(gy).max(initial=0)) if row[0] == "fft" else 0.0
        assert_adjoint(y, gy, x, gx, least)
        assert_adjoint(y, gy, w, gw, least)
        assert_adjoint(np.broadcast_to(b, y.shape), gy, b, gb)
        np.testing.assert_allclose(matmul.LINEAR.rows[row](x, w, b), y + b, rtol=0, atol=1e-12)
        y = matmul.MATMUL.rows[row](x, w.T)
        ga, gb = matmul.MATMUL_BACKWARD.rows[row](gy, x, w.T, (True, True))
        assert_adjoint(y, gy, x, ga)
        assert_adjoint(y, gy, w.T, gb)

    check()


@pytest.mark.parametrize("row", rows(activations.RELU_BACKWARD))
def test_backward_of_activations_is_linear_in_the_upstream_gradient(row: TableKey, rng: np.random.Generator) -> None:
    """The Jacobian of an elementwise function is diagonal, so it is its own adjoint."""
    for table in (activations.RELU_BACKWARD, activations.TANH_BACKWARD, activations.SIGMOID_BACKWARD):
        u, v = rng.standard_normal((2, 3, 4, 5))
        y = rng.uniform(-1, 1, u.shape)
        assert_adjoint(table.rows[row](u, y), v, u, table.rows[row](v, y))


@pytest.mark.parametrize("row", DROPOUT.rows, ids="/".join)
@pytest.mark.parametrize("channels_last", [False, True])
def test_dropout_is_its_own_adjoint(row: TableKey, channels_last: bool, rng: np.random.Generator) -> None:
    for axes in range(5):
        u, v = (as_order(a, channels_last) for a in rng.standard_normal((2, 3, 4, 5, 4)))
        numbers = axes, int(rng.integers(2**63)), 0.4, 1.7, -0.0, -0.0
        assert_adjoint(DROPOUT.rows[row](u, *numbers), v, u, DROPOUT.rows[row](v, *numbers))
