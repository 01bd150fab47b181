"""Every row of every kernel table against the python row: all samples, both precisions, every memory layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import runtime
from minicnn_kernels.conv2d.im2col import bands
from minicnn_kernels.dispatch import TABLES, Table, TableKey
from minicnn_kernels.layout import as_order, is_channels_last
from minicnn_kernels.optimizers import Weights

from .samples import SAMPLES, Arguments, arrays_in, every_array, run

BY_OP = {table.op: table for table in TABLES}
TOLERANCE = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-5}
ROUGHER = {"winograd": 10.0}  # algorithms that round more than the definition does, and how many times more
PRECISIONS = [np.float64, np.float32]
ROWS = [(table, row) for table in TABLES if table.op in SAMPLES for row in table.rows]
ids = {"ids": lambda value: "/".join(value) if isinstance(value, tuple) else getattr(value, "op", None)}


def outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def arguments(op: str, number: int, dtype: Any) -> Arguments:
    return SAMPLES[op][number](np.random.default_rng(number), dtype)


def short(argument: Any) -> str:
    """An argument as text, arrays as type and shape."""
    if isinstance(argument, np.ndarray):
        return f"{argument.dtype}{list(argument.shape)}"
    if isinstance(argument, Weights):
        return f"Weights{short([argument.xs, *argument.buffers])}"
    if type(argument) in (list, tuple):
        return f"({', '.join(map(short, argument))})"
    return repr(argument)


def place(table: Table, row: TableKey, number: int, args: Arguments) -> str:
    """The row, the sample and its arguments, for the text of a failure."""
    return f"{table.op} {'/'.join(row)}, sample {number} {short(args)}"


def numbers(table: Table, row: TableKey) -> list[int]:
    """The indices of the samples that a row can do."""
    every = range(len(SAMPLES[table.op]))
    able = [n for n in every if table.supports(row[0], arguments(table.op, n, np.float64), row[1])]
    assert len(able) >= 3, f"{table.op} {row}: too few samples for it"
    return able


def assert_same(got: Any, expected: Any, where: str, rougher: float = 1) -> None:
    """Equal up to the tolerance of the type, relative to the largest value; NaN, Inf and integers exactly."""
    assert len(outputs(got)) == len(outputs(expected)), where
    for a, b in zip(outputs(got), outputs(expected), strict=True):
        if b is None:
            assert a is None, f"{where}: a gradient that was not wanted"
            continue
        assert isinstance(a, np.ndarray) and a.shape == b.shape and a.dtype == b.dtype, f"{where}: {a!r} for {b!r}"
        if b.dtype.kind != "f":
            np.testing.assert_array_equal(a, b, err_msg=where)
            continue
        finite = np.isfinite(b)
        scale = np.abs(b[finite]).max(initial=0)
        np.testing.assert_array_equal(a[~finite], b[~finite], err_msg=where)
        most = TOLERANCE[b.dtype] * rougher * scale
        np.testing.assert_allclose(a[finite], b[finite], rtol=0, atol=most, err_msg=where)


_definitions: dict[tuple[str, int, Any], Any] = {}


def definition(table: Table, number: int, dtype: Any) -> Any:
    """The result of the python row; if there are several algorithms, that of `direct`."""
    key = (table.op, number, dtype)
    if key not in _definitions:
        row = ("direct", "python") if ("direct", "python") in table.rows else (table.algorithms[0], "python")
        with np.errstate(invalid="ignore"):
            _definitions[key] = run(table.rows[row], arguments(table.op, number, dtype))
    return _definitions[key]


def test_the_samples_are_of_tables_that_exist() -> None:
    """A table without samples here is tested only through its operation (`tests/ops`), which reaches every row."""
    assert set(SAMPLES) <= set(BY_OP), f"samples for tables that are not there: {set(SAMPLES) - set(BY_OP)}"
    assert len(BY_OP) == len(TABLES), "two tables have the same name"
    assert min(map(len, SAMPLES.values())) >= 3


def test_every_algorithm_has_every_backend() -> None:
    for table in TABLES:
        for algorithm in table.algorithms:
            there = {backend for a, backend in table.rows if a == algorithm}
            assert there - {"cuda"} == {"python", "numpy", "numba"}, table.op


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(("table", "row"), ROWS, **ids)
def test_agrees_with_the_definition(table: Table, row: TableKey, dtype: Any) -> None:
    able = numbers(table, row)
    plain = row[1] == "python" and dtype == np.float32  # minutes of loops that differ from float64 only in rounding
    for number in able if not plain else able[:: 1 + len(able) // 4]:
        with np.errstate(invalid="ignore"):  # Inf * 0 in a sample
            args = arguments(table.op, number, dtype)
            got = run(table.rows[row], args)
        where = place(table, row, number, args)
        assert_same(got, definition(table, number, dtype), where, ROUGHER.get(row[0], 1))


@pytest.mark.parametrize("table", [BY_OP["conv2d"], BY_OP["conv2d backward"]], **ids)
def test_im2col_in_bands_of_one_row(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large images are cut into bands that fit the cache; here every output row is a band."""
    monkeypatch.setattr(bands, "_BAND", 1)
    for number in range(len(SAMPLES[table.op])):
        for variant in (np.ascontiguousarray, channels_last):
            args = every_array(variant, arguments(table.op, number, np.float64))
            where = place(table, ("im2col", "numba"), number, args)
            assert_same(table.rows["im2col", "numba"](*args), definition(table, number, np.float64), where)


# ------------------------------------------------------------------------------------------------- memory layout


def reversed_in_memory(a: Any) -> Any:
    """The same values, every stride negative."""
    return np.flip(np.ascontiguousarray(np.flip(a)))


def spread_out(a: Any) -> Any:
    """The same values in every second place of a larger array, with NaN or -1 between them."""
    wide = np.full(tuple(2 * size + 1 for size in a.shape), np.nan if a.dtype.kind == "f" else -1, a.dtype)
    view = wide[(*(slice(1, None, 2) for _ in a.shape), ...)]
    view[...] = a
    return view


def broadcast(a: Any) -> Any:
    """The first slice along the first axis, repeated for all of them by a stride of 0."""
    return np.lib.stride_tricks.as_strided(a, strides=(0, *a.strides[1:])) if a.ndim else a


def channels_last(a: Any) -> Any:
    return as_order(a, True) if a.ndim == 4 else a


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "channels last": channels_last,
    "reversed": reversed_in_memory,
    "non-contiguous": spread_out,
    "broadcast": broadcast,
    "Fortran": np.asfortranarray,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("table", "row"), ROWS, **ids)
def test_layout_does_not_matter(table: Table, row: TableKey, layout: str) -> None:
    """All arguments in a layout, including upstream gradients and class indices; then each argument alone, in the first
    samples, and one of them in each further sample. Slow rows have fewer samples.
    """
    kernel = table.rows[row]
    able = numbers(table, row)
    most, alone = {"python": (2, 2), "cuda": (6, 2)}.get(row[1], (len(able), 4))
    for number in able[:most]:
        args = arguments(table.op, number, np.float64)
        changed = every_array(LAYOUTS[layout], args)
        plain = every_array(lambda a: np.array(a, order="C"), changed)
        with np.errstate(invalid="ignore"):
            expected = run(kernel, plain)
            where = place(table, row, number, args)
            assert_same(run(kernel, changed), expected, f"{where}, all {layout}")
            for i in range(len(args)) if number in able[:alone] else [number % len(args)]:
                mixed = (*plain[:i], changed[i], *plain[i + 1 :])
                assert_same(run(kernel, mixed), expected, f"{where}, argument {i} {layout}")


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(("table", "row"), ROWS, **ids)
def test_arguments_stay_and_results_are_their_own(table: Table, row: TableKey, dtype: Any) -> None:
    """No argument is written to; no result is a view of an argument or workspace, nor overwritten by the next call."""
    for number in numbers(table, row)[:4]:
        args = arguments(table.op, number, dtype)
        before, where = every_array(np.copy, args), place(table, row, number, args)
        with np.errstate(invalid="ignore"):
            results = [a for a in outputs(run(table.rows[row], args)) if a is not None]
        for a, b in zip(arrays_in(args), arrays_in(before), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=where)
        for result in results:
            assert result.flags.writeable
            held = arrays_in(args) + list(runtime._workspaces.values())
            assert not any(np.shares_memory(result, a) for a in held), where
        kept = [result.copy() for result in results]
        with np.errstate(invalid="ignore"):
            run(table.rows[row], every_array(np.flip, args))  # other valid values
        for result, copy in zip(results, kept, strict=True):
            np.testing.assert_array_equal(result, copy, err_msg=where)


KEEPS_ORDER = ["relu", "tanh", "sigmoid", "conv2d", "max_pool2d", "avg_pool2d", "batch_norm", "batch_norm evaluation"]


@pytest.mark.parametrize("op", [*KEEPS_ORDER, *(f"{op} backward" for op in KEEPS_ORDER)])
def test_channels_last_stays_channels_last(op: str) -> None:
    """Results of the fast kernels have the memory order of their input, so that a net keeps it."""
    kernel = BY_OP[op].rows[BY_OP[op].pick("numba")]
    seen = 0
    for number in range(len(SAMPLES[op])):
        args = every_array(channels_last, arguments(op, number, np.float32))
        weight = args[3].w_shape if "conv2d" in op else None
        with np.errstate(invalid="ignore"):
            results = outputs(kernel(*args))
        for result in results:
            if result is None or result.ndim != 4 or result.shape == weight:
                continue
            n, c, h, w = result.shape
            if n and c > 1 and h * w > 1 and is_channels_last(args[0]):
                assert is_channels_last(result), f"{op}, sample {number} {short(args)}"
                seen += 1
    assert seen
