"""The CUDA kernels for few long fibres: a block for each, or several blocks with parts of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import batchnorm, cuda, normalization, softmax, softmax_xent
from minicnn_kernels.emulated.raw_module import ORDERS, threads_in_order
from minicnn_kernels.layout import as_order

from .test_tables import assert_same, outputs

PARTS = 16_384 + 5  # values of a row of which a part is a block's, and the last part is shorter
LONG = {  # (outer, count, inner): parts
    "a block for a row": ((3, 2000, 1), 1),
    "parts of a row": ((2, PARTS, 1), 2),
    "fibres side by side": ((2, 500, 5), 1),
    "parts of fibres side by side": ((1, 700, 90), 4),
}


def in_every_order(run: Callable[[], Any]) -> Any:
    """The result, which has the same bits in each order of the threads."""
    found = set()
    for order in (*ORDERS, "random"):
        with threads_in_order(order):
            result = run()
        found.add(b"".join(a.tobytes() for a in outputs(result) if a is not None))
    assert len(found) == 1
    return result


@pytest.mark.parametrize("name", LONG)
def test_the_samples_are_cut(name: str) -> None:
    shape, parts = LONG[name]
    found = cuda.cut(*shape)
    assert found is not None and found.parts == parts


def test_the_rule() -> None:
    """Many rows, or short ones, have a warp each; 8 rows of 100,000 values keep a GPU busy only in parts."""
    assert cuda.cut(2048, 100_000, 1) is None and cuda.cut(4, 1024, 1) is None and cuda.cut(4, 32, 40) is None
    assert cuda.cut(64, 1000, 1024) is None and cuda.cut(1, 33, 65_535) is not None
    assert cuda.cut(8, 100_000, 1) == (1, 8, 12) and cuda.cut(1, 10**6, 1) == (1, 1, 122)
    assert cuda.cut(1000, 50_000, 1) == (1, 1000, 1) and cuda.cut(1, 10**9, 1) == (1, 1, 256)
    assert cuda.cut(64, 1000, 49) == (49, 64, 4) and cuda.cut(2, 10**5, 130) == (44, 6, 42)


SOFTMAX = {
    "softmax": (softmax.softmax_cuda, softmax.softmax_python),
    "log_softmax": (softmax.log_softmax_cuda, softmax.log_softmax_python),
}
BACKWARD = {
    "softmax": (softmax.softmax_backward_cuda, softmax.softmax_backward_python),
    "log_softmax": (softmax.log_softmax_backward_cuda, softmax.log_softmax_backward_python),
}


def arrays(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> list[Any]:
    """Values, a gradient, and what the backward pass of softmax gets."""
    x, gy = (3 * rng.standard_normal((2, *shape))).astype(dtype)
    with np.errstate(all="ignore"):
        return [x, gy, softmax.softmax_numpy(x, 1)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", SOFTMAX)
@pytest.mark.parametrize("name", LONG)
def test_softmax(name: str, op: str, dtype: Any, rng: np.random.Generator) -> None:
    x, gy, p = arrays(rng, LONG[name][0], dtype)
    y = p if op == "softmax" else np.log(p)
    for given, (row, definition) in (((x,), SOFTMAX[op]), ((gy, y), BACKWARD[op])):
        wide = [a.astype(np.float64) for a in given]
        got = in_every_order(lambda row=row, given=given: row(*given, 1))
        assert_same(got, definition(*wide, 1).astype(dtype), f"{op}, {name}")


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("op", SOFTMAX)
@pytest.mark.parametrize("name", LONG)
def test_special_values(name: str, op: str, rng: np.random.Generator) -> None:
    """In the last part, in all of a part, everywhere: as the definition has them."""
    shape = LONG[name][0]
    row, definition = SOFTMAX[op]
    for value in (INF, -INF, NAN, 1e300):
        for place in (slice(-1, None), slice(0, shape[1] // 2 + 1), slice(None)):
            x = rng.standard_normal(shape)
            x[0, place, 0] = value
            with np.errstate(all="ignore"):
                assert_same(row(x, 1), definition(x, 1), f"{op}, {name}, {value} at {place}")
    x[0, :, 0] = -INF
    x[0, 1, 0] = NAN  # not lost in a part where all others are -Inf
    assert np.isnan(row(x, 1)[0, :, 0]).all()


@pytest.mark.parametrize("op", SOFTMAX)
@pytest.mark.parametrize("shape", [(2, 5), (2, 2000), (1, PARTS)])
def test_gradients_near_the_largest_float(shape: tuple[int, int], op: str, rng: np.random.Generator) -> None:
    """Their sum and their differences are beyond float32, and the results are not."""
    row, definition = BACKWARD[op]
    p = np.full(shape, 1 / shape[1])
    y = (p if op == "softmax" else np.log(p)).astype(np.float32)
    for first, second in ((3e38, 3e38), (3e38, -3e38), (-3e38, -3e38)):
        gy = rng.standard_normal(shape).astype(np.float32)
        gy[:, 0], gy[:, 3] = first, second
        assert_same(row(gy, y, 1), definition(gy, y, 1), f"{first} {second}")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("e", [0.0, 0.1])
@pytest.mark.parametrize(("rows", "classes"), [(3, 2000), pytest.param(3, PARTS, marks=pytest.mark.slow)])
def test_cross_entropy(
    rows: int, classes: int, e: float, weighted: bool, dtype: Any, rng: np.random.Generator
) -> None:  # fmt: skip
    x, _, p = arrays(rng, (rows, classes), dtype)
    g, w = rng.standard_normal(rows).astype(dtype), rng.random(classes).astype(dtype) if weighted else None
    t = np.array([classes - 1, softmax_xent.IGNORE, 7])
    wide = [None if a is None else a.astype(np.float64) for a in (x, g, p, w)]
    loss, power = softmax_xent.forward_python(wide[0], t, wide[3], e=e)
    got = in_every_order(lambda: softmax_xent.forward_cuda(x, t, w, e=e))
    assert_same(got, (loss.astype(dtype), power.astype(dtype)), "forward")
    gx = softmax_xent.backward_python(wide[1], wide[2], t, wide[3], e=e)
    assert_same(in_every_order(lambda: softmax_xent.backward_cuda(g, p, t, w, e=e)), gx.astype(dtype), "backward")


@pytest.mark.parametrize("e", [0.0, 0.1])
@pytest.mark.parametrize("classes", [5, 2000, PARTS])
def test_special_values_of_cross_entropy(classes: int, e: float, rng: np.random.Generator) -> None:
    for dtype, values in ((np.float64, [INF, -INF, NAN]), (np.float32, [-3e38, 3e38])):
        for value in values:
            x, t = rng.standard_normal((3, classes)).astype(dtype), np.array([0, 1, 2])
            x[:, -1], x[0, 1] = value, -value if abs(value) == 3e38 else 0
            x[1, : classes // 2 + 1] = -INF
            with np.errstate(all="ignore"):
                expected = softmax_xent.forward_python(x, t, e=e)
                assert_same(softmax_xent.forward_cuda(x, t, e=e), expected, f"{value}")
    loss, _ = softmax_xent.forward_cuda(x, np.array([classes, -1, softmax_xent.IGNORE]), e=e)
    gx = softmax_xent.backward_cuda(np.ones(3, np.float32), x, np.array([classes, -1, softmax_xent.IGNORE]), e=e)
    np.testing.assert_array_equal(np.isnan(loss), [True, True, False])
    assert np.isnan(gx[:2]).all() and not gx[2].any()


# ------------------------------------------------------------------------------------------------------ normalisation

GROUPS = {  # shape, groups: parts in NCHW and in channels-last memory
    "a layer": ((1, 4, 65, 70), 1, 2, 2),
    "two groups": ((2, 12, 60, 61), 2, 2, 5),
    "wide rows": ((1, 300, 8, 9), 1, 2, 2),
    "groups that are short": ((2, 6, 9, 10), 3, 1, 1),
}
ALL = (True, True, True)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "two groups")) for name in GROUPS]
)
def test_group_norm(name: str, channels_last: bool, centred: bool, rng: np.random.Generator) -> None:
    shape, groups, *parts = GROUPS[name]
    launched: list[Any] = []
    run = normalization.launch_blocks

    def launch_blocks(file: str, kernel: str, grid: Any, *args: Any) -> None:
        launched.append(grid)
        run(file, kernel, grid, *args)

    x, gy = as_order(rng.standard_normal(shape) + 1, channels_last), rng.standard_normal(shape)
    gamma, beta = rng.standard_normal((2, shape[1]))
    expected = normalization.forward_python(x, gamma, beta, groups, 1e-5, centred)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normalization, "launch_blocks", launch_blocks)
        got = in_every_order(lambda: normalization.forward_cuda(x, gamma, beta, groups, 1e-5, centred))
    assert {grid[1] if len(grid) > 1 else 1 for grid in launched} == {parts[channels_last]}
    assert_same(got, expected, name)
    args = gy, x, gamma, *expected[1:], groups, 1e-5, centred, ALL
    got = in_every_order(lambda: normalization.backward_cuda(*args))
    assert_same(got, normalization.backward_python(*args), f"{name} backward")


@pytest.mark.parametrize("channels_last", [False, True])
def test_one_nan_reaches_its_group_alone(channels_last: bool, rng: np.random.Generator) -> None:
    shape, groups, *_ = GROUPS["two groups"]
    for value in (INF, NAN):
        x = rng.standard_normal(shape)
        x[1, -1, -1, -1] = value
        x = as_order(x, channels_last)
        with np.errstate(all="ignore"):
            expected = normalization.forward_python(x, None, None, groups, 1e-5, True)
            assert_same(normalization.forward_cuda(x, None, None, groups, 1e-5, True), expected, f"{value}")


GRADIENTS = [(3e38, 3e38), (3e38, -2e38), (-3e38, -3e38)]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("values", GRADIENTS)
@pytest.mark.parametrize(("shape", "groups"), [((2, 4, 3, 5), 2), ((1, 4, 65, 70), 1)])
def test_gradients_near_the_largest_float_in_groups(
    shape: tuple[int, ...], groups: int, values: tuple[float, float], channels_last: bool, rng: np.random.Generator
) -> None:
    """The sum of two gradients is beyond float32, and so is their difference; gx is not, since x is large."""
    x, gy, gamma = rng.standard_normal(shape) * 100, rng.standard_normal(shape), rng.standard_normal(shape[1])
    gy[0, 0, 0, :2] = values
    x, gy, gamma = (a.astype(np.float32) for a in (x, gy, gamma))
    x, gy = as_order(x, channels_last), as_order(gy, channels_last)
    for centred in (True, False):
        _, mean, var = normalization.forward_cuda(x, gamma, None, groups, 1e-5, centred)
        args = gy, x, gamma, mean, var, groups, 1e-5, centred, ALL
        with np.errstate(all="ignore"):
            assert_same(normalization.backward_cuda(*args), normalization.backward_python(*args), f"{values} {centred}")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("values", GRADIENTS)
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_gradients_near_the_largest_float_in_channels(
    scale: float, values: tuple[float, float], channels_last: bool, rng: np.random.Generator
) -> None:
    shape = (3, 5, 4, 6)
    x, gy, gamma, beta = (rng.standard_normal(s).astype(np.float32) for s in (shape, shape, (5,), (5,)))
    x, gy = as_order(x * np.float32(scale), channels_last), as_order(gy, channels_last)
    gy[0, 1, 0, :2], gy[1:, 2, 0, 0] = values, values
    _, mean, var, invstd = batchnorm.TRAINING(x, gamma, beta, 1e-5, backend="cuda-emulated")
    for relu in (False, True):
        with np.errstate(all="ignore"):
            args = gy, x, gamma, beta, mean, invstd, ALL, relu
            got, expected = (batchnorm.TRAINING_BACKWARD(*args, backend=b) for b in ("cuda-emulated", "python"))
            assert_same(got, expected, f"{values}")
            args = gy, x, gamma, beta, mean, var, 1e-5, ALL, relu
            got, expected = (batchnorm.EVALUATION_BACKWARD(*args, backend=b) for b in ("cuda-emulated", "python"))
            assert_same(got, expected, f"{values}, evaluation")


@pytest.mark.parametrize("channels_last", [False, True])
def test_gradients_further_apart_than_float_reaches(channels_last: bool, rng: np.random.Generator) -> None:
    """Most gradients are the largest that there are, and one is the smallest: it is far from their mean."""
    x, gy = 100 * rng.standard_normal((2, 3, 4, 5)), np.full((2, 3, 4, 5), 3e38)
    gy[0, :, 0, 0] = -3e38
    x, gy = (as_order(a.astype(np.float32), channels_last) for a in (x, gy))
    with np.errstate(all="ignore"):
        _, mean, _, invstd = batchnorm.TRAINING(x, None, None, 1e-5, backend="cuda-emulated")
        args = gy, x, None, None, mean, invstd, ALL
        got, expected = (batchnorm.TRAINING_BACKWARD(*args, backend=b) for b in ("cuda-emulated", "python"))
        assert np.isfinite(expected[0]).all() and expected[0].any()
        assert_same(got, expected, "channels")
        _, mean, var = normalization.forward_cuda(x, None, None, 1, 1e-5, True)
        more = gy, x, None, mean, var, 1, 1e-5, True, ALL
        expected = normalization.backward_python(*more)
        assert np.isfinite(expected[0]).all() and expected[0].any()
        assert_same(normalization.backward_cuda(*more), expected, "groups")
    p, up = np.array([[0.9, 0.05, 0.05]], np.float32), np.array([[-3e38, 1, 3e38]], np.float32)
    assert_same(softmax.softmax_backward_cuda(up, p, 1), softmax.softmax_backward_python(up, p, 1), "softmax")
