"""The rows numpy and cuda of every table on CuPy's arrays, emulated: as on the CPU, on the GPU, and without a wait."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import (
    arrays,
    conv2d,
    fold,
    geometry,
    normalization,
    pooling,
    softmax_xent,
    sums,
)
from minicnn_kernels.conv2d import im2col
from minicnn_kernels.dispatch import TABLES, Table, TableKey
from minicnn_kernels.emulated.traffic import counting, no_waits
from minicnn_kernels.layout import flat
from minicnn_kernels.optimizers import SGDNumbers, Weights
from minicnn_kernels.optimizers.pieces import in_pieces

from .samples import SAMPLES, Arguments
from .test_tables import BY_OP, LAYOUTS, arguments, assert_same, ids, numbers, outputs, place

pytestmark = pytest.mark.usefixtures("gpu")
ROWS = [(table, row) for table in TABLES for row in table.rows if row[1] in ("numpy", "cuda")]
# They look at the result, or at the largest pixels, and compute a part again by the definition if they must.
WAITING = [
    ("conv2d", "winograd"), ("conv2d backward", "winograd"), ("conv2d backward", "registers"),
]  # fmt: skip


# -------------------------------------------------------------------------------------------------- to the GPU and back


def every(change: Callable[[Any], Any], args: Any) -> Any:
    """Arguments with every array of either kind changed, in lists and among weights too."""
    if isinstance(args, Weights):
        return Weights(every(change, args.xs), *every(change, args.buffers))
    if type(args) in (list, tuple):
        return type(args)(every(change, a) for a in args)
    return change(args) if arrays.is_array(args) or isinstance(args, np.generic) else args


def arrays_in(args: Any) -> list[Any]:
    """All arrays of either kind among arguments."""
    if isinstance(args, Weights):
        return arrays_in([args.xs, *args.buffers])
    if type(args) in (list, tuple):
        return [a for part in args for a in arrays_in(part)]
    return [args] if arrays.is_array(args) else []


def to_gpu(a: Any) -> Any:
    """An array on the GPU with the values, the strides and the gaps of one on the CPU."""
    a = np.asarray(a)
    if not a.size or not a.ndim:
        return arrays.upload(a, 0)
    turned = (*(slice(None, None, -1 if step < 0 else 1) for step in a.strides), ...)
    upwards = a[turned]  # its first element is the first in memory
    end = sum((size - 1) * step for size, step in zip(upwards.shape, upwards.strides, strict=True))
    memory = np.lib.stride_tricks.as_strided(upwards, (end // a.itemsize + 1,), (a.itemsize,))
    x = arrays.upload(memory, 0)
    return arrays.xp(x).lib.stride_tricks.as_strided(x, upwards.shape, upwards.strides)[turned]


def run(kernel: Callable[..., Any], args: Arguments) -> Any:
    """The results of a kernel; if it changes weights, what is then in them."""
    found = kernel(*args)
    return tuple(arrays_in(args[0])) if isinstance(args[0], Weights) else found


def back(results: Any) -> Any:
    """Results on the CPU, after the checks of what they are and where."""
    for a in outputs(results):
        assert a is None or (arrays.on_gpu(a) and flat(a).flags.c_contiguous), "not on the GPU, or with gaps"
    return tuple(None if a is None else a.get() for a in outputs(results))


def writable(args: Arguments) -> Arguments:
    """Weights in copies of the same layout, which an update may change; other arguments as they are."""
    return (every(np.copy, args[0]), *args[1:]) if isinstance(args[0], Weights) else args


# -------------------------------------------------------------------------------------------------------- every row


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("table", "row"), ROWS, **ids)
def test_as_on_the_cpu(table: Table, row: TableKey, dtype: Any) -> None:
    """Every sample. No argument is written to, no result is a view of one, and nothing is uploaded a second time."""
    kernel, waits = table.rows[row], (table.op, row[0]) in WAITING
    for number in numbers(table, row):
        args = arguments(table.op, number, dtype)
        where, given = place(table, row, number, args), every(to_gpu, args)
        before = every(lambda a: a.copy(), given)
        with nullcontext() if waits else no_waits():
            results = run(kernel, given)
        with np.errstate(all="ignore"):
            assert_same(back(results), run(kernel, writable(args)), where)
        if isinstance(args[0], Weights):
            given = every(lambda a: a.copy(), before)
        else:
            for a in arrays_in(given):
                assert not any(np.may_share_memory(a, r) for r in outputs(results) if r is not None), where
        for a, b in zip(arrays_in(given), arrays_in(before), strict=True):
            np.testing.assert_array_equal(a.get(), b.get(), err_msg=where)
        if isinstance(args[0], Weights):
            run(kernel, given)  # the row "cuda" uploads the addresses of these arrays, once
        with counting() as seen:
            run(kernel, given)
        assert waits or not seen.to_device, f"{where}: {seen}"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("table", "row"), ROWS, **ids)
def test_layout_does_not_matter(table: Table, row: TableKey, layout: str) -> None:
    """All arguments in a layout; in the first samples, each argument alone, too. Of the emulated kernels, every fourth
    sample: test_tables.py has them in all layouts.
    """
    kernel, able = table.rows[row], numbers(table, row)
    for number in able[:: 4 if row[1] == "cuda" else 1]:
        args = arguments(table.op, number, np.float64)
        are_weights = isinstance(args[0], Weights)
        changed = every(lambda a: LAYOUTS[layout](np.asarray(a)), args)
        if are_weights and layout == "broadcast":  # nothing can write to these
            changed = (args[0], *changed[1:])
        plain = every(lambda a: np.array(a, order="C"), changed)
        where = f"{place(table, row, number, args)}, {layout}"
        with np.errstate(all="ignore"):
            expected = run(kernel, writable(plain))
        for i in (None, *range(len(args))) if number in able[:2] else (None,):
            mixed = changed if i is None else (*plain[:i], changed[i], *plain[i + 1 :])
            results = run(kernel, every(to_gpu, mixed))
            got = tuple(a.get() for a in results) if are_weights else back(results)
            assert_same(got, expected, where if i is None else f"{where}, argument {i} alone")


# -------------------------------------------------------------------------------------------------------- special cases


def same_as_on_the_cpu(table: Table, *args: Any, algorithm: str | None = None) -> None:
    """A call through the table, with arrays on a GPU, against the numpy row."""
    with np.errstate(all="ignore"):
        expected = table(*args, backend="numpy", algorithm=algorithm)
        got = back(table(*every(to_gpu, args), algorithm=algorithm))
    assert_same(tuple(every(widened, outputs(got))), tuple(every(widened, outputs(expected))), table.op)


def widened(a: Any) -> Any:
    """float16 as float32, for which there is a tolerance."""
    return a.astype(np.float32) if a.dtype == np.float16 else a


@pytest.mark.parametrize("kind", [np.float16, np.int64, np.int32, np.uint8])
def test_types_that_only_numpy_rows_take(kind: Any, rng: np.random.Generator) -> None:
    g, h = geometry.pool2d((2, 3, 7, 6), 3, 2, 1), geometry.unfold((2, 3, 7, 6), (3, 2), 1, 1, 2)
    adaptive = geometry.adaptive_pool2d((2, 3, 7, 6), (3, 4))

    def values(shape: tuple[int, ...]) -> Any:
        return rng.integers(0, 100, shape).astype(kind)

    x, index = values(g.x_shape), pooling.MAX_POOL(values(g.x_shape).astype(np.float64), g)[1]
    for windows in (g, adaptive):
        same_as_on_the_cpu(pooling.MAX_POOL, x, windows)
        same_as_on_the_cpu(pooling.AVG_POOL, x, windows, None)
    same_as_on_the_cpu(pooling.MAX_POOL_BACKWARD, values(g.y_shape), index, g)
    same_as_on_the_cpu(pooling.MAX_UNPOOL, values(g.y_shape), index, g)
    same_as_on_the_cpu(pooling.MAX_UNPOOL_BACKWARD, x, index, g)
    same_as_on_the_cpu(fold.UNFOLD, x, h)
    same_as_on_the_cpu(fold.FOLD, values(h.col_shape), h)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_class_that_does_not_exist_gives_nan(weights: bool, smoothing: float, rng: np.random.Generator) -> None:
    """No error, for which the program would have to wait, and no other class; ignored rows do not matter."""
    x, t = rng.standard_normal((6, 4)), np.array([0, 4, -1, 3, -100, 10**12])
    w, g = rng.random(4) if weights else None, rng.standard_normal(6)
    right = np.array([0, 3, 4])
    args = every(to_gpu, (x, t, w, -100, smoothing))
    with no_waits():
        loss, p = softmax_xent.SOFTMAX_XENT(*args)
        gx = softmax_xent.SOFTMAX_XENT_BACKWARD(to_gpu(g), p, *args[1:])
    expected, p_ = softmax_xent.SOFTMAX_XENT(x[right], t[right], w, -100, smoothing, backend="numpy")
    np.testing.assert_allclose(loss.get()[right], expected, 1e-12)
    gradient = softmax_xent.SOFTMAX_XENT_BACKWARD(g[right], p_, t[right], w, -100, smoothing, backend="numpy")
    np.testing.assert_allclose(gx.get()[right], gradient, 1e-12)
    assert np.isnan(loss.get()[[1, 2, 5]]).all() and np.isnan(gx.get()[[1, 2, 5]]).all()


def test_values_put_at_one_place_leave_the_last() -> None:
    """Overlapping windows may have one largest pixel; a GPU alone would keep any of the values."""
    g = geometry.pool2d((1, 1, 3, 3), 2, 1)
    same_as_on_the_cpu(pooling.MAX_UNPOOL, np.arange(4.0).reshape(1, 1, 2, 2), np.full((1, 1, 2, 2), 4, np.int32), g)


def test_images_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns of all images may take more memory than there is."""
    monkeypatch.setattr(im2col, "MOST", 5000)
    assert len(im2col._parts(geometry.conv2d((7, 2, 9, 8), (3, 2, 5, 5)), 8)) > 1
    for op in ("conv2d", "conv2d backward"):
        for number in range(len(SAMPLES[op])):
            args = arguments(op, number, np.float64)
            expected = BY_OP[op](*args, backend="numpy", algorithm="direct")
            got = BY_OP[op](*every(to_gpu, args), algorithm="im2col")
            assert_same(back(got), expected, f"{op} {number}")
            assert_same(BY_OP[op](*args, backend="numpy", algorithm="im2col"), expected, f"{op} {number}")


@pytest.mark.parametrize("value", [1e6, 1e30, np.inf, np.nan])
@pytest.mark.parametrize("algorithm", ["winograd", "registers"])
def test_pixels_that_would_spread(algorithm: str, value: float, rng: np.random.Generator) -> None:
    """What these algorithms compute again by the definition."""
    g = geometry.conv2d((2, 4, 40, 9), (6, 2, 3, 3), padding=1, groups=2)
    if algorithm == "registers":
        g = geometry.conv2d((2, 4, 40, 9), (6, 4, 3, 3), padding=1)
    x, w, gy = (rng.standard_normal(shape).astype(np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape))
    x[0, 1, 20, 4] = gy[1, 3, 10, 2] = value
    b = rng.standard_normal(g.o).astype(np.float32)
    same_as_on_the_cpu(conv2d.FORWARD, x, w, b, g, algorithm=algorithm)
    same_as_on_the_cpu(conv2d.BACKWARD, gy, x, w, g, (True, True, True), algorithm=algorithm)
    blank = np.zeros_like(x)
    blank[0, 1, 20, 4] = value
    same_as_on_the_cpu(conv2d.FORWARD, blank, w, b, g, algorithm=algorithm)


def test_a_variance_beyond_float32() -> None:
    """The gradients are those in float64."""
    rng, options = np.random.default_rng(0), (2, 1e-5, True)
    gy, x = rng.standard_normal((2, 2, 4, 3, 5)).astype(np.float32)
    x[1] *= np.float32(1e20)
    found, expected = [], []
    for a, b, results in ((to_gpu(x), to_gpu(gy), found), (x.astype(np.float64), gy.astype(np.float64), expected)):
        _, mean, var = normalization.FORWARD(a, None, None, *options)
        results += [var, *normalization.BACKWARD(b, a, None, mean, var, *options, (True, True, True))]
    assert np.isinf(found[0].get()).tolist() == [[False] * 2, [True] * 2]
    assert_same(back(tuple(found[1:])), tuple(a.astype(np.float32) for a in expected[1:]), "group_norm backward")


def test_what_a_geometry_needs_is_uploaded_once() -> None:
    g = geometry.pool2d((1, 1, 30, 31), 3, 2, 1)
    x = to_gpu(np.zeros(g.x_shape))
    for uploads in (2, 0):
        with counting() as seen:
            pooling.MAX_POOL(x, g, backend="cupy")
        assert seen.to_device == uploads


# -------------------------------------------------------------------------------------------------------- long sums


@pytest.mark.parametrize("shape", [(30000, 3), (3, 30000), (500, 40, 3)])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_long_sums_are_in_float64(shape: tuple[int, ...], kind: Any) -> None:
    a = np.full(shape, 0.1, kind)
    for axes in ((0,), tuple(range(len(shape)))):
        with no_waits():
            y = sums.total(to_gpu(a), axes)
        np.testing.assert_array_equal(back(y)[0], a.sum(axes, np.float64, keepdims=True).astype(kind))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64, np.int8])
@pytest.mark.parametrize(("length", "count"), [(1, 5000), (3, 5000), (2, 40), (2, 0)])
def test_add_rows(kind: Any, length: int, count: int) -> None:
    rows, values = np.arange(count) % 3, np.full((count, length), 3, kind)
    values[::2] //= 2
    x, y = np.ones((7, length), kind), to_gpu(np.ones((7, length), kind))
    sums.add_rows(x, rows, values)
    with no_waits():
        sums.add_rows(y, to_gpu(rows), to_gpu(values))
    np.testing.assert_array_equal(y.get(), x)


def test_long_products(rng: np.random.Generator) -> None:
    a, b = np.full((3, 9001), 0.1, np.float32), np.full((9001, 2), 0.1, np.float32)
    assert sums.long_product(to_gpu(a), to_gpu(b))
    with no_waits():
        y = sums.matmul(to_gpu(a), to_gpu(b))
    np.testing.assert_array_equal(back(y)[0], sums.matmul(a, b))


# -------------------------------------------------------------------------------------------------------- optimisers


def test_weights_know_their_arrays() -> None:
    xs, gradients = [to_gpu(np.ones((2, 3))), to_gpu(np.ones(4))], [to_gpu(np.ones((2, 3))), to_gpu(np.ones(4))]
    weights = Weights(xs, list(gradients))
    assert weights.holds(list(xs), gradients) and weights.holds_buffers([gradients])
    assert not weights.holds(gradients, gradients) and not weights.holds(xs, gradients[::-1])
    whole = Weights([np.broadcast_to(to_gpu(np.ones(1)), (3,))])
    assert not whole.holds(whole.xs, whole.xs)  # nothing can write to it


def test_weights_on_the_cpu_and_on_a_gpu_in_one_group() -> None:
    xs, gradients = [np.ones(3), to_gpu(np.ones(3))], [np.ones(3), to_gpu(np.ones(3))]
    BY_OP["sgd"](Weights(xs), gradients, SGDNumbers(0.5))
    np.testing.assert_array_equal(xs[0], [0.5] * 3)
    np.testing.assert_array_equal(xs[1].get(), [0.5] * 3)


def test_an_update_in_pieces_is_one_piece() -> None:
    """The gradient has another type, and it stays as it is."""
    x, g, seen = to_gpu(np.arange(6.0, dtype=np.float32).reshape(2, 3).T), to_gpu(np.ones((3, 2))), []

    def update(x: Any, g: Any) -> None:
        seen.append((x.shape, g.dtype))
        x -= g

    with no_waits():
        in_pieces(update, [x, g], -1.0, 0.5, 2.0)
    assert seen == [((3, 2), np.float32)] and g.get().tolist() == np.ones((3, 2)).tolist()
    before = np.arange(6.0).reshape(2, 3).T * 2
    np.testing.assert_array_equal(x.get(), before - (-1 + 0.5 * before))
