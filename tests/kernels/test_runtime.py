"""The runtime of the kernels: threads, processes, the cache of machine code, BLAS, and the choice of a kernel."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import activations, conv2d, geometry, machine_code, matmul, runtime, softmax_xent
from minicnn_kernels.blas import set_threads
from minicnn_kernels.dispatch import TABLES, NoKernelError, Table, TableKey, auto, use

from .samples import SAMPLES, run

HERE = Path(__file__).parent
NUMBA_ROWS = [(table, row) for table in TABLES if table.op in SAMPLES for row in table.rows if row[1] == "numba"]


def python(*args: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a fresh process with warnings as errors; its exit status must be 0."""
    env = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-W", "error", *args], capture_output=True, text=True, timeout=timeout, env=env, cwd=HERE
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


# The processes below run this: a convolution, a matrix product in BLAS and a loop, against NumPy's results.
CHECK = """
import numpy as np
from minicnn_kernels import activations, conv2d, geometry, matmul

def check(seed):
    rng = np.random.default_rng(seed)
    x, w, v = (rng.standard_normal(s).astype(np.float32) for s in ((4, 2, 9, 8), (3, 2, 3, 3), (50, 72)))
    g = geometry.conv2d(x.shape, w.shape, padding=1)
    calls = (conv2d.FORWARD, (x, w, None, g)), (matmul.LINEAR, (v, v[:40], None)), (activations.RELU, (x,))
    for table, args in calls:
        got, expected = (table(*args, backend=backend) for backend in ("numba", "numpy"))
        assert np.abs(got - expected).max() < 1e-4, table.op
"""


# ------------------------------------------------------------------------------------------- threads and processes

TWO_THREADS = """
import threading
failed = []

def work(seed):
    try:
        for i in range(30):
            check(seed + i)
    except BaseException as error:
        failed.append(error)

def run():
    workers = [threading.Thread(target=work, args=(100 * k,)) for k in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failed, failed

run()
"""


def test_two_python_threads_at_once() -> None:
    names: dict[str, Any] = {}
    exec(CHECK + TWO_THREADS, names)
    assert names["failed"] == []


def test_two_python_threads_on_the_portable_thread_pool() -> None:
    """Numba's pool for machines without OpenMP aborts the process if two threads enter it; a lock lets in only one.

    The process is new, so both threads also make first calls, which load or compile the kernels.
    """
    layer = "import numba; assert numba.threading_layer() == 'workqueue', numba.threading_layer()"
    python("-c", CHECK + TWO_THREADS + layer, NUMBA_THREADING_LAYER="workqueue")


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("NUMBA_NUM_THREADS", "0", "1 or more"),
        ("NUMBA_NUM_THREADS", "-2", "1 or more"),
        ("NUMBA_THREADING_LAYER", "bogus", "omp, workqueue"),
    ],
)
def test_an_environment_that_numba_fails_at(name: str, value: str, known: str) -> None:
    """The first call of a kernel says which variable is wrong, and so does the second: nothing is half imported."""
    code = """
from minicnn_kernels import runtime
for _ in range(2):
    try:
        runtime.threads()
    except ValueError as error:
        print(error)
"""
    first, second = python("-c", code, **{name: value}).stdout.splitlines()
    assert first == second and f"variable {name} must be" in first and known in first and value in first


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_threads(count: int) -> None:
    """There may be more shares than tasks; then some shares are empty."""
    code = "for seed in range(3): check(seed)\nfrom minicnn_kernels import runtime\nprint(runtime.threads())"
    assert python("-c", CHECK + code, NUMBA_NUM_THREADS=str(count)).stdout.split() == [str(count)]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
        ({"MKL_NUM_THREADS": "1"}, 1),
        ({"MKL_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}, 2),
        ({"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "1"}, None),
        ({"OPENBLAS_NUM_THREADS": "1"}, None),
        *[({"OMP_NUM_THREADS": wrong}, None) for wrong in ("", "0", "-3", "abc", "1.5", "\N{SUPERSCRIPT TWO}")],
    ],
)
def test_what_the_environment_asks_for(environment: dict[str, str], expected: int | None) -> None:
    """As in a PyTorch built with MKL, except that `NUMBA_NUM_THREADS` has priority."""
    assert runtime._asked_for(environment) == expected


@pytest.mark.skipif("NUMBA_NUM_THREADS" in os.environ, reason="NUMBA_NUM_THREADS has priority")
def test_the_environment_is_obeyed_and_may_be_overruled() -> None:
    code = """
from minicnn_kernels import runtime
assert runtime.threads() == 1
check(0)
import numba
assert runtime.set_threads(4096) == runtime.threads() == numba.config.NUMBA_NUM_THREADS
check(1)
"""
    python("-c", CHECK + code, OMP_NUM_THREADS="1")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_without_compiling_for_a_debugger(precision: str) -> None:
    """With NUMBA_DISABLE_JIT=1 every compiled kernel stays plain Python, with the results of the definition.

    Vectors may read numbers beyond the last pixel. No result uses them, but their products may overflow, and then NumPy
    warns. Here every byte of new memory is 0x7f, which makes numbers near the largest possible.
    """
    arguments = ("-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "test_tables.py")
    chosen = ("-k", f"agrees and numba and {precision}", "-W", "ignore::RuntimeWarning")
    done = python(*arguments, *chosen, NUMBA_DISABLE_JIT="1", MALLOC_PERTURB_="128")
    assert f"{len(NUMBA_ROWS)} passed" in done.stdout


def test_more_threads_than_work() -> None:
    """Seven shares, many of them empty; a workspace contains old values, for instance NaN."""
    arguments = ("-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "test_tables.py")
    done = python(*arguments, "-k", "agrees and numba and float32", NUMBA_NUM_THREADS="7", timeout=600)
    assert f"{len(NUMBA_ROWS)} passed" in done.stdout


@pytest.mark.parametrize(
    ("table", "row"), NUMBA_ROWS, ids=lambda value: value.op if isinstance(value, Table) else value[0]
)
def test_the_same_bits_every_time(table: Table, row: TableKey) -> None:
    samples = [sample(np.random.default_rng(number), np.float32) for number, sample in enumerate(SAMPLES[table.op])]
    for number, args in enumerate([args for args in samples if table.supports(row[0], args)][:5]):
        runs = [run(table.rows[row], args) for _ in range(4)]
        for again in runs[1:]:
            pairs = zip(*(r if isinstance(r, tuple) else (r,) for r in (runs[0], again)), strict=True)
            assert all(a is b is None or a.tobytes() == b.tobytes() for a, b in pairs), f"{table.op}, {number}"


# ------------------------------------------------------------------------------------------------ BLAS, workspaces


def blas_threads() -> list[int]:
    return [library.num_threads for library in runtime._numba_blas()]


def test_blas_has_its_threads_back_after_a_kernel(rng: np.random.Generator) -> None:
    before = blas_threads()
    for library in runtime._numba_blas():
        library.set_num_threads(2)
    try:
        x, w = rng.standard_normal((30, 20)), rng.standard_normal((10, 20))
        inside: list[list[int]] = []
        with runtime.parallel(), runtime.single_blas():
            inside.append(blas_threads())
            matmul.LINEAR(x, w, None, backend="numba")  # a kernel inside the `with` block of another
            inside.append(blas_threads())
        assert inside == [[1] * len(inside[0])] * 2
        assert blas_threads() == [2] * len(inside[0])
        with pytest.raises(ZeroDivisionError), runtime.parallel(), runtime.single_blas():
            raise ZeroDivisionError
        assert blas_threads() == [2] * len(inside[0])
        with runtime.parallel():
            assert blas_threads() == [2] * len(inside[0])  # a kernel without BLAS does not change its threads
    finally:
        for library, count in zip(runtime._numba_blas(), before, strict=True):
            library.set_num_threads(count)


def test_parallel_lets_one_thread_in_and_the_next_when_it_leaves() -> None:
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with runtime.parallel():
            inside.set()
            assert leave.wait(10)
            order.append("first leaves")

    def second() -> None:
        assert inside.wait(10)
        with runtime.parallel():
            order.append("second enters")

    workers = [threading.Thread(target=first), threading.Thread(target=second)]
    for worker in workers:
        worker.start()
    assert inside.wait(10)
    leave.set()
    for worker in workers:
        worker.join(10)
    assert order == ["first leaves", "second enters"]


def test_workspaces_are_kept_and_grow() -> None:
    with runtime.parallel():
        small = runtime.workspace("test", 10, np.float32)
        assert small.shape[0] == runtime.threads() and small.shape[1] >= 10 and small.dtype == np.float32
        assert runtime.workspace("test", 7, np.float32) is small
        large = runtime.workspace("test", 100, np.float32)
        assert large is not small and large.shape[1] >= 100
        assert runtime.workspace("test", 10, np.float32) is large
        assert runtime.workspace("test", 10, np.float64) is not large
    for dtype in (np.float32, np.float64):
        del runtime._workspaces["test", dtype]


# ------------------------------------------------------------------------------------------- cache of machine code

SMALL = "import numpy as np; from minicnn_kernels import softmax_xent as s; print(s.SOFTMAX_XENT_BACKWARD("
SMALL += "np.ones(2), np.full((2, 2), 0.5), np.array([0, 1]), backend='numba').tolist())"
RESULT = "[[-0.5, 0.5], [0.5, -0.5]]"


def test_blas_has_one_thread_in_the_kernels_of_any_python_thread() -> None:
    """By itself, threadpoolctl obeys only the first Python thread that sets a number."""
    libraries = runtime._numba_blas()
    before = [library.num_threads for library in libraries]
    seen: list[list[int]] = []

    def inside() -> None:
        for library in libraries:
            set_threads(library, 2)
        with runtime.parallel(), runtime.single_blas():
            seen.append([library.num_threads for library in libraries])
        seen.append([library.num_threads for library in libraries])

    inside()
    for _ in range(2):
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
    for library, count in zip(libraries, before, strict=True):
        set_threads(library, count)
    assert seen == [[1] * len(libraries), [2] * len(libraries)] * 3


def test_compiling_is_announced_once_and_then_kept(tmp_path: Path) -> None:
    first, second = (python("-c", SMALL, NUMBA_CACHE_DIR=str(tmp_path / "cache")) for _ in range(2))
    assert first.stdout.strip() == second.stdout.strip() == RESULT
    assert first.stderr == "minicnn: compiling kernels for this machine; the next run finds them on disk\n"
    assert second.stderr == ""
    assert list((tmp_path / "cache").rglob("*.nbc"))


def test_an_unwritable_cache_folder_still_works(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = python("-c", SMALL, NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert done.stdout.strip() == RESULT


def test_importing_the_kernels_does_not_import_numba() -> None:
    code = "import sys, minicnn_kernels; print({'numba', 'scipy', 'threadpoolctl'} & set(sys.modules))"
    assert python("-c", code).stdout.strip() == "set()"


# --------------------------------------------------------------------------------------------- choice of a kernel


def test_auto_prefers_numba_and_the_first_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert auto(conv2d.FORWARD, None, None) == conv2d.FORWARD.pick() == ("im2col", "numba")
    assert auto(conv2d.FORWARD, "python", "direct") == ("direct", "python")
    monkeypatch.setattr(runtime, "have_numba", lambda: False)
    assert auto(conv2d.FORWARD, None, None) == ("im2col", "numpy")
    with pytest.raises(NoKernelError, match=r"conv2d: backend 'numba' needs the package numba \(pip install numba\)"):
        conv2d.FORWARD.pick("numba")


def test_use_chooses_inside_the_block_and_in_this_thread_only() -> None:
    seen: list[TableKey] = []
    with use(backend="numpy", algorithm="direct"):
        assert conv2d.FORWARD.pick() == ("direct", "numpy")
        assert activations.RELU.pick() == ("elementwise", "numpy")  # relu has no algorithm "direct"
        assert conv2d.FORWARD.pick("python") == ("direct", "python")  # a keyword has priority
        assert conv2d.FORWARD.pick(algorithm="im2col") == ("im2col", "numpy")
        with use(backend="python"):
            assert conv2d.FORWARD.pick() == ("direct", "python")
        worker = threading.Thread(target=lambda: seen.append(conv2d.FORWARD.pick()))
        worker.start()
        worker.join()
        with pytest.raises(ZeroDivisionError), use(backend="python"):
            raise ZeroDivisionError
        assert conv2d.FORWARD.pick() == ("direct", "numpy")
    assert conv2d.FORWARD.pick() == ("im2col", "numba")
    assert seen == [("im2col", "numba")]


@pytest.mark.parametrize("backend", ["python", "numpy", "numba"])
def test_the_chosen_row_is_what_runs(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = softmax_xent.SOFTMAX_XENT
    ran: list[str] = []
    for row in table.rows:
        monkeypatch.setitem(table.rows, row, lambda *args, name=row[1]: ran.append(name))
    monkeypatch.setattr(table, "_picked", {})
    table(backend=backend)
    with use(backend=backend):
        table()
    assert ran == [backend, backend]


def test_use_knows_its_names() -> None:
    with (
        pytest.raises(ValueError, match=r"use: no backend 'fortran'; there are: python, .*, cuda-emulated, auto"),
        use("fortran"),
    ):
        pass
    with (
        pytest.raises(ValueError, match=r"use: no algorithm 'guess'; there are: conv2d: im2col, direct"),
        use(algorithm="guess"),
    ):
        pass


def test_a_missing_row_raises_and_names_those_there_are() -> None:
    g = geometry.conv2d((1, 1, 3, 3), (1, 1, 3, 3))
    args = np.ones(g.x_shape), np.ones(g.w_shape), None, g
    there = "im2col/python, im2col/numpy, im2col/numba, im2col/cuda-emulated, direct/python"
    with pytest.raises(
        NoKernelError, match=f"conv2d: no kernel for algorithm 'guess' on backend 'numpy'; there are: {there}"
    ):
        conv2d.FORWARD(*args, algorithm="guess", backend="numpy")
    with pytest.raises(NoKernelError, match="relu: no kernel for algorithm 'direct' on backend 'numpy'"):
        activations.RELU(np.ones(3), algorithm="direct", backend="numpy")
    assert issubclass(NoKernelError, NotImplementedError)


def test_what_a_kernel_file_imports_is_found() -> None:
    """The key of machine code covers all files it comes from; compared with the syntax tree of every kernel file."""
    prefix = runtime.__package__
    for name, module in sorted(sys.modules.items()):
        if not name.startswith(f"{prefix}.") or not module.__file__:
            continue
        expected = set()
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                parts = (module.__package__ or "").split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *(node.module or "").split(".")]).rstrip(".")
                expected |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        expected = {full for full in expected if full in sys.modules and full.startswith(f"{prefix}.")}
        assert expected <= set(machine_code._imports(name)), name
    reached = machine_code._reached(conv2d.im2col.__name__)  # including itself and files several imports away
    assert {f"{prefix}.{name}" for name in ("conv2d.im2col", "geometry.convolution", "layout", "runtime")} <= reached
