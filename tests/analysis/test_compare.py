"""One layer with every algorithm: the table, its numbers, and errors."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.bench import compare
from minicnn.bench.timing import best_times, gemm_peak
from minicnn_kernels import conv2d, runtime
from minicnn_kernels.dispatch import BACKENDS, TABLES

QUICK: dict[str, Any] = {"seconds": 0.01}


@pytest.fixture(scope="module")
def small() -> compare.Comparison:
    """A layer that is small enough for plain loops."""
    return minicnn.compare_algorithms((2, 2, 6, 5), (4, 2, 3, 3), True, padding=1, **QUICK)


def test_every_row_of_the_table_is_there(small: compare.Comparison) -> None:
    g = small.geometry
    able = [name for name in conv2d.FORWARD.algorithms if name not in conv2d.LIMITS or conv2d.LIMITS[name](g)]
    assert "pointwise" not in able  # it cannot do a 3x3 kernel
    expected = {(which, name, kind) for which in compare.PASSES for name in able for kind in BACKENDS}
    assert {(row.which, row.algorithm, row.backend) for row in small.rows} == expected
    assert all(row.seconds and row.gflops and row.note in ("", "one call") for row in small.rows)
    assert all(row.note == "one call" for row in small.rows if row.backend == "python")


def test_rates_and_counts_are_of_the_definition(small: compare.Comparison) -> None:
    products = 2 * 4 * 6 * 5 * 2 * 9
    for row in small.rows:
        assert row.gflops == pytest.approx(2 * products / row.seconds / 1e9)  # type: ignore[operator]
    for which in compare.PASSES:
        counts = {row.algorithm: row.multiplications for row in small.rows if row.which == which}
        assert counts["direct"] == counts["im2col"] == counts["registers"] == products
        assert counts["winograd"] == 2 * 4 * 2 * 2 * 2 * 36


def test_winograds_gx_has_the_tiles_of_x() -> None:
    """Without padding y is 4x4, a tile of m = 4, and x 6x6, nine of m = 2 (144 products, where four of 36 are as many)
    or four of m = 4."""
    found = minicnn.compare_algorithms((1, 2, 6, 6), (3, 2, 3, 3), algorithms=["winograd"], backends=["numpy"], **QUICK)
    counts = {row.which: row.multiplications for row in found.rows}
    assert counts == {"forward": 6 * 36, "gw": 6 * 36, "gx": 6 * 4 * 36}


def test_errors_are_those_of_single_precision(small: compare.Comparison) -> None:
    for row in small.rows:
        assert 0 < row.error < (1e-5 if row.algorithm == "winograd" else 2e-6), row  # type: ignore[operator]


def test_a_wrong_kernel_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the gradient has an error of a half, NaN in the place of a number an infinite one."""
    backward = next(table for table in TABLES if table.op == "conv2d backward")
    right = backward.rows["fft", "numpy"]

    def half(*args: Any) -> Any:
        gx, gw, gb = right(*args)
        return None if gx is None else gx / 2, None if gw is None else gw * np.nan, gb

    monkeypatch.setitem(backward.rows, ("fft", "numpy"), half)
    found = minicnn.compare_algorithms((1, 2, 5, 5), (3, 2, 3, 3), backends=["numpy"], algorithms=["fft"], **QUICK)
    assert [row.error for row in found.rows[1:]] == [pytest.approx(0.5, rel=1e-5), np.inf]


def test_the_choice_of_auto_is_marked(small: compare.Comparison) -> None:
    chosen = [(row.algorithm, row.backend) for row in small.rows if row.auto]
    assert len(chosen) == 3 and {backend for _, backend in chosen} == {"numba"}
    with minicnn.use(backend="numpy", algorithm="direct"):
        found = minicnn.compare_algorithms((1, 2, 5, 5), (3, 2, 3, 3), backends=["numpy"], backward=False, **QUICK)
    assert [(row.algorithm, row.backend) for row in found.rows if row.auto] == [("direct", "numpy")]


def test_workspace_is_what_im2col_needs() -> None:
    """On NumPy: columns of the windows of the whole batch; on Numba: a band of an image per thread; direct: none."""
    x, w = (8, 4, 32, 32), (4, 4, 3, 3)
    found = minicnn.compare_algorithms(x, w, padding=1, backward=False, backends=["numpy", "numba"], **QUICK)
    space = {(row.algorithm, row.backend): row.workspace for row in found.rows}
    col = 8 * 4 * 9 * 32 * 32 * 4
    assert col <= space["im2col", "numpy"] < 1.5 * col  # type: ignore[operator]
    assert col / 8 <= space["im2col", "numba"] / runtime.threads() < col / 4  # type: ignore[operator]
    assert space["direct", "numba"] < 20_000  # type: ignore[operator]


def test_plain_loops_are_left_out_where_they_take_long() -> None:
    found = minicnn.compare_algorithms((8, 16, 32, 32), (16, 16, 3, 3), backward=False, **QUICK)
    loops = [row for row in found.rows if row.backend == "python"]
    assert loops and all(row.seconds is None and "not run: about" in row.note for row in loops)
    assert "not run: about" in str(found)


def test_memory_order_is_that_of_x() -> None:
    x = minicnn.randn(2, 4, 6, 6)
    options: dict[str, Any] = {"backends": ["numba"], "algorithms": ["im2col"], "backward": False, **QUICK}
    last = x.contiguous(memory_format=minicnn.channels_last)
    assert not minicnn.compare_algorithms(x, (4, 4, 3, 3), **options).channels_last
    assert minicnn.compare_algorithms(last, (4, 4, 3, 3), **options).channels_last
    found = minicnn.compare_algorithms(x, (4, 4, 3, 3), memory_format=minicnn.channels_last, **options)
    assert found.channels_last and "channels last" in str(found)


def test_tensors_arrays_one_image_and_double_precision() -> None:
    rng = np.random.default_rng(0)
    layer = minicnn.nn.Conv2d(3, 4, (3, 5), stride=(1, 2), padding=(1, 2)).double()
    found = minicnn.compare_algorithms(
        rng.standard_normal((3, 8, 9)), layer.weight, layer.bias, stride=(1, 2), padding=(1, 2), backends=["numpy"],
        **QUICK,
    )  # fmt: skip
    assert found.dtype == "float64" and found.geometry.x_shape == (1, 3, 8, 9)
    assert all(row.error < 1e-14 for row in found.rows)  # type: ignore[operator]
    assert "stride 1x2" in found.title and "padding 1x2" in found.title and "kernel 3x5" in found.title
    same = minicnn.compare_algorithms((1, 2, 5, 6), (2, 2, 3, 3), padding="same", backends=["numpy"], **QUICK)
    assert same.geometry.y_shape == (1, 2, 5, 6)


def test_operands_are_not_written_to() -> None:
    x, w = minicnn.randn(2, 2, 6, 6), minicnn.randn(3, 2, 3, 3)
    before = x.clone(), w.clone()
    minicnn.compare_algorithms(x, w, **QUICK)
    assert minicnn.equal(x, before[0]) and minicnn.equal(w, before[1])


def test_the_table_can_be_read(small: compare.Comparison) -> None:
    lines = str(small).splitlines()
    assert lines[0].startswith("conv2d 2x2x6x5 -> 2x4x6x5, kernel 3x3, padding 1; float32, NCHW; ")
    assert " ".join(lines[2].split()) == "pass algorithm backend ms GFLOP/s workspace MiB multiplications error"
    body = [line for line in lines if line.startswith(compare.PASSES)]
    assert len(body) == len(small.rows) and max(map(len, lines)) <= 120
    assert sum(" * " in line for line in body) == 3


def test_best(small: compare.Comparison) -> None:
    best = small.best("gw")
    assert best.which == "gw" and best.seconds == min(row.seconds for row in small.rows if row.which == "gw")  # type: ignore[type-var]
    with pytest.raises(ValueError, match="there are: forward, gx, gw"):
        small.best("gb")


def test_plot(small: compare.Comparison, tmp_path: Path) -> None:
    figure = small.plot(tmp_path / "bars.png")
    assert (tmp_path / "bars.png").stat().st_size > 10_000
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["Forward", "Gradient of x", "Gradient of w"]
    forward = [row for row in small.rows if row.which == "forward"]
    assert sorted(bar.get_width() for bar in figure.axes[0].patches) == sorted(row.gflops for row in forward)  # type: ignore[attr-defined,type-var]
    with pytest.raises(ValueError, match=r"must end in one of"):
        small.plot(tmp_path / "bars.xyz")


SHAPES = (1, 2, 5, 5), (3, 2, 3, 3)


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        (((1, 2, 5, 5), (3, 4, 3, 3)), {}, minicnn.ShapeError, "expects 4 input channels"),
        (((5, 5), (3, 2, 3, 3)), {}, minicnn.ShapeError, "4-d"),
        (((0, 2, 5, 5), (3, 2, 3, 3)), {}, minicnn.ShapeError, "nothing to compute"),
        ((5, (3, 2, 3, 3)), {}, TypeError, "x must be a tensor or a shape"),
        (("1x2x5x5", (3, 2, 3, 3)), {}, TypeError, "x must be a tensor or a shape"),
        (((1, 2, 5, 5.5), (3, 2, 3, 3)), {}, TypeError, "x must be a tensor or a shape"),
        ((minicnn.zeros(1, 2, 5, 5), np.zeros((3, 2, 3, 3))), {}, TypeError, "x float32, w float64"),
        ((np.zeros((1, 2, 5, 5), int), (3, 2, 3, 3)), {}, TypeError, "x int64"),
        ((minicnn.zeros(1, 2, 5, 5, device="meta"), (3, 2, 3, 3)), {}, TypeError, "device meta"),
        (SHAPES, {"backends": ["cuda"]}, ValueError, "no backend 'cuda' in a list; there are: python"),
        (SHAPES, {"backends": "numpy"}, ValueError, "no backend 'numpy' in a list"),
        (SHAPES, {"algorithms": ["strassen"]}, ValueError, "no algorithm 'strassen'"),
        (SHAPES, {"algorithms": ["pointwise"]}, ValueError, "none of the chosen algorithms"),
        (SHAPES, {"seconds": 0}, ValueError, "above 0"),
        (SHAPES, {"seconds": float("nan")}, ValueError, "above 0"),
        (SHAPES, {"padding": "full"}, minicnn.ShapeError, "'same' or 'valid'"),
        (SHAPES, {"against": "jax"}, ValueError, "'torch' or None"),
    ],
)
def test_what_cannot_be_meant(given: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        minicnn.compare_algorithms(*given, **{**QUICK, **options})


def test_against_pytorch() -> None:
    pytest.importorskip("torch")
    found = minicnn.compare_algorithms(
        (2, 4, 9, 8), (6, 2, 3, 3), True, stride=2, padding=1, groups=2, backends=["numba"], algorithms=["im2col"],
        against="torch", memory_format=minicnn.channels_last, **QUICK,
    )  # fmt: skip
    theirs = [row for row in found.rows if row.algorithm == "torch"]
    assert [row.which for row in theirs] == list(compare.PASSES)
    assert all(row.error < 1e-6 and row.workspace is None and row.backend == "" for row in theirs)  # type: ignore[operator]


# ------------------------------------------------------------------------------------------------------------- timing


def test_best_times_take_turns() -> None:
    order: list[str] = []

    def call(name: str, seconds: float) -> None:
        order.append(name)
        time.sleep(seconds)

    best = best_times({"a": lambda: call("a", 0.002), "b": lambda: call("b", 0.006)}, 0.2, turns=4)
    assert 0.002 <= best["a"] < 0.006 <= best["b"]
    changes = sum(a != b for a, b in pairwise(order))
    assert changes >= 5 and order.count("b") >= 6  # three that count and the first of each turn
    assert best_times({}, 1.0) == {}


def test_gemm_peak() -> None:
    assert 1e8 < gemm_peak(128, 2) < 1e14
