"""Which calls run the kernels in CUDA, how they are launched, and what their sources say about themselves."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import NoKernelError, conv2d, cuda, geometry, use
from minicnn_kernels.dispatch import TABLES, Table, TableKey
from minicnn_kernels.emulated import build
from minicnn_kernels.emulated.raw_module import ORDERS, threads_in_order
from minicnn_kernels.emulated.values import poisoned
from minicnn_kernels.layout import as_order, empty_beside, is_channels_last

from .samples import run
from .test_tables import PRECISIONS, ROWS, arguments, ids, numbers, outputs, place


def call(dtype: Any = np.float32) -> tuple[Any, ...]:
    rng, g = np.random.default_rng(0), geometry.conv2d((2, 3, 7, 6), (4, 3, 3, 2), stride=2, padding=1)
    return rng.standard_normal(g.x_shape).astype(dtype), rng.standard_normal(g.w_shape).astype(dtype), None, g


def test_numpy_arrays_on_request() -> None:
    args = call()
    with use(backend="cuda-emulated", algorithm="direct"):
        assert conv2d.FORWARD.pick(None, None, args) == ("direct", "cuda")
        found = conv2d.FORWARD(*args)
    np.testing.assert_allclose(found, conv2d.FORWARD(*args, backend="numpy"), rtol=0, atol=1e-5)
    assert conv2d.FORWARD(*args, backend="cuda-emulated", algorithm="direct").tobytes() == found.tobytes()
    with pytest.raises(
        NoKernelError, match=r"'fft' on backend 'cuda-emulated'; there .* im2col/cuda-emulated"
    ) as error:
        conv2d.FORWARD(*args, backend="cuda-emulated", algorithm="fft")
    assert "cuda" not in re.findall(r"\w+/([\w-]+)", str(error.value))  # which arrays on the CPU cannot have
    with pytest.raises(NoKernelError, match=r"'cuda' computes on a GPU, and the arrays are on the CPU"):
        conv2d.FORWARD(*args, backend="cuda")


def test_arrays_of_a_gpu(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    build.compiler()  # or the test is skipped
    args = call()
    there = tuple(gpu.asarray(a) if isinstance(a, np.ndarray) else a for a in args)
    pick = conv2d.FORWARD._pick_on_gpu
    assert pick(None, "direct", there)[1] == "cuda" and pick("cupy", "direct", there)[1] == "numpy"
    with pytest.raises(NoKernelError, match="'cuda-emulated' computes on the CPU, and the arrays are on a GPU"):
        conv2d.FORWARD(*there, backend="cuda-emulated")
    halves = tuple(a.astype(np.float16) if hasattr(a, "astype") else a for a in there)
    assert pick(None, "direct", halves)[1] == "numpy"  # kernels are there for float32 and float64
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    build.compiler.cache_clear()
    assert pick(None, "direct", there)[1] == "numpy"  # no g++, so nothing to run them
    with pytest.raises(build.NoCompilerError, match=r"only where g\+\+ is installed"):
        pick("cuda", "direct", there)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(("table", "row"), [(table, row) for table, row in ROWS if row[1] == "cuda"], **ids)
def test_the_same_bits_in_any_order_of_threads(table: Table, row: TableKey, dtype: Any) -> None:
    for number in numbers(table, row):
        found = set()
        for order in (*ORDERS, "random"):
            args = arguments(table.op, number, dtype)
            with threads_in_order(order), np.errstate(invalid="ignore"):
                results = outputs(run(table.rows[row], args))
            found.add(tuple(None if a is None else a.tobytes() for a in results))
        assert len(found) == 1, place(table, row, number, args)


# The results that no kernel writes: sums of pixels or of rows, by NumPy; and those that have to be 0 where none writes.
BY_NUMPY = {("conv2d backward", 2), ("linear backward", 2), ("group_norm", 1), ("group_norm", 2)}
FRESH = [(table, row) for table, row in ROWS if row[1] == "cuda" and table.op not in ("adam", "sgd")]


@pytest.mark.parametrize(("table", "row"), FRESH, **ids)
def test_what_a_kernel_forgets_is_not_a_number(table: Table, row: TableKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """With kernels that do nothing, the results on NumPy's arrays are full of NaN, or of a number that stands out."""
    monkeypatch.setattr(cuda, "_kernel", lambda *source: lambda *args, **options: None)
    for number in numbers(table, row):
        args = arguments(table.op, number, np.float32)
        if row[0] == "pointwise" and any(isinstance(g, geometry.Conv) and g.x_shape[2:] != g.y_shape[2:] for g in args):
            continue  # pixels outside all windows have a gradient of 0
        for i, result in enumerate(outputs(run(table.rows[row], args))):
            if result is not None and (table.op, i) not in BY_NUMPY:
                empty = np.isnan(result) if result.dtype.kind == "f" else result == poisoned(np.empty_like(result))
                assert empty.all(), place(table, row, number, args)


def test_sources_say_what_is_in_them() -> None:
    """The kernels that are named at the top are those of the file, and the rows of its Python file launch them."""
    for file in cuda.files():
        text = (cuda.HERE / file).read_text(encoding="utf-8")
        named = {name.partition("<")[0] for name in cuda.expressions(file)}
        defined = set(re.findall(r"__global__ void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(", text))
        assert named == defined, file
        assert re.search(r"^// registers: \d+$", text, re.MULTILINE), file
        assert re.search(r"(Equations|[Ll]egend).*: \S+\.py", text) and "What is different" in text, file
        assert max(map(len, text.splitlines())) <= 120, file


def test_every_row_is_launched_from_a_file() -> None:
    rows = [row for table in TABLES for (_, backend), row in table.rows.items() if backend == "cuda"]
    assert rows and all(row.__name__.endswith("_cuda") for row in rows)


def test_numbers_and_strides_as_arguments() -> None:
    assert cuda._argument(3).dtype == np.int64 and cuda._argument(3.0).dtype == np.float64
    assert cuda._argument(True).dtype == np.bool_ and cuda._argument(np.float32(1)).dtype == np.float32
    x = np.empty((2, 3, 4, 5), np.float32)
    assert cuda.strides(x) == (60, 20, 5, 1) and cuda.strides(as_order(x, True)) == (60, 1, 15, 3)
    assert cuda._argument(cuda.strides(x)).dtype.itemsize == 32
    g = geometry.pool2d((1, 1, 4, 4), 2)
    assert cuda._argument(g).dtype.names == g._fields
    assert is_channels_last(empty_beside(x, (2, 3, 4, 5), True))


def test_nothing_is_launched_for_no_output() -> None:
    cuda.launch("no/file.cu", "none<float>", 0)
    cuda.launch_blocks("no/file.cu", "none<float>", (3, 0), (32,))


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    build.compiler.cache_clear()
    with pytest.raises(build.NoCompilerError, match=r"only where g\+\+ is installed"):
        build.compiler()
    monkeypatch.setattr(build.platform, "machine", lambda: "arm64")
    with pytest.raises(build.NoCompilerError, match="only under Linux on x86-64, and this is Linux on arm64"):
        build.compiler()
    monkeypatch.undo()
    build.compiler.cache_clear()
