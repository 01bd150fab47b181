"""Every row "cuda" of every table, on the samples of the tests: awkward shapes, values and memory layouts.

Each result is compared with the row "numpy" in float64 of the same values. It must have the same bits twice, though
memory was full of NaN before each call; and no call may write beside its arrays (`poison.py`).
"""

from __future__ import annotations

from typing import Any

from .child import Cases, Run
from .poison import watched

LAYOUTS = ("as they are", "channels last", "reversed", "non-contiguous")
SMALL = ("softmax", "max_pool2d", "sgd", "batch_norm", "conv2d", "conv2d backward")
SHOWN = 5  # failures of a row that are told


def cases(run: Run) -> Cases:
    import minicnn  # noqa: F401  defines all tables
    from minicnn_kernels.dispatch import TABLES

    return {
        f"{table.op} {algorithm}": lambda table=table, row=(algorithm, backend): check(table, row, run.small)
        for table in TABLES
        for algorithm, backend in table.rows
        if backend == "cuda" and (not run.small or table.op in SMALL)
    }


def check(table: Any, row: tuple[str, str], small: bool) -> dict[str, Any]:
    """How many calls were compared, the largest error, and an "error" if some of them are wrong."""
    import numpy as np

    from tests.kernels.test_tables import numbers

    able, calls, wrong = numbers(table, row), 0, []
    worst = {"float32": 0.0, "float64": 0.0}
    for number in able[:2] if small else able:
        for dtype in (np.float32, np.float64):
            for layout in LAYOUTS[: 1 if small or dtype == np.float64 else None]:
                calls += 1
                try:
                    error = call(table, row, number, dtype, layout)
                    worst[np.dtype(dtype).name] = max(worst[np.dtype(dtype).name], error)
                except AssertionError as failure:
                    wrong.append(str(failure))
                    print(f"  WRONG {wrong[-1][:600]}", flush=True)
    print(f"{table.op} {row[0]}: {calls} calls, {len(wrong)} wrong, largest error {worst}", flush=True)
    found = {"calls": calls, **worst}
    if wrong:
        found["error"] = f"{len(wrong)} of {calls} calls are wrong: " + " || ".join(a[:300] for a in wrong[:SHOWN])
    return found


def call(table: Any, row: tuple[str, str], number: int, dtype: Any, layout: str) -> float:
    """One sample, checked: the largest error of its results, relative to their largest value."""
    import numpy as np

    from tests.kernels import test_on_gpu as there
    from tests.kernels import test_tables as tables

    args = tables.arguments(table.op, number, dtype)
    given = args
    if layout != LAYOUTS[0]:
        given = there.every(lambda a: tables.LAYOUTS[layout](np.asarray(a)), args)
    expected = definition(table, given, dtype)
    try:
        first, second = (once(table.rows[row], given) for _ in range(2))
        for a, b in zip(first, second, strict=True):
            assert a is None or a.tobytes() == b.tobytes(), "other bits at the second call"
        tables.assert_same(first, expected, "", tables.ROUGHER.get(row[0], 1))
    except AssertionError as error:
        where = f"{tables.place(table, row, number, args)}, {np.dtype(dtype).name}, {layout}"
        raise AssertionError(f"{where}: {' '.join(str(error).split())}") from error
    except Exception:
        print(f"  an error in {tables.place(table, row, number, args)}, {np.dtype(dtype).name}, {layout}", flush=True)
        raise
    return max((_error(a, b) for a, b in zip(first, expected, strict=True)), default=0.0)


def once(kernel: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The results of a call on the GPU, its memory watched."""
    from tests.kernels import test_on_gpu as there
    from tests.kernels import test_tables as tables

    with watched() as memory:
        found = there.run(kernel, there.every(there.to_gpu, args))
        results = tuple(None if a is None else a.get() for a in tables.outputs(found))
        if memory is not None:
            memory.check()
    return results


def definition(table: Any, args: tuple[Any, ...], dtype: Any) -> tuple[Any, ...]:
    """The results of the row "numpy" in float64, in the precision that is expected."""
    import numpy as np

    from tests.kernels import test_tables as tables
    from tests.kernels.samples import every_array, run

    row = ("direct", "numpy") if ("direct", "numpy") in table.rows else (table.algorithms[0], "numpy")
    with np.errstate(all="ignore"):
        wide = every_array(lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a, args)
        found = [None if a is None else np.asarray(a) for a in tables.outputs(run(table.rows[row], wide))]
        return tuple(a if a is None or a.dtype != np.float64 else a.astype(dtype) for a in found)


def _error(a: Any, b: Any) -> float:
    import numpy as np

    if b is None or b.dtype.kind != "f":
        return 0.0
    finite = np.isfinite(b)
    scale = float(np.abs(b[finite]).max(initial=0))
    return float(np.abs(a[finite].astype(np.float64) - b[finite]).max(initial=0)) / scale if scale else 0.0


def table(cases: dict[str, Any], results: dict[str, Any]) -> list[str]:
    lines = ["| row | calls | error, float32 | error, float64 |", "|---|---|---|---|"]
    for name, case in cases.items():
        if "calls" in case:
            lines.append(f"| {name} | {case['calls']} | {case['float32']:.1e} | {case['float64']:.1e} |")
    return lines
