"""Kernels under `compute-sanitizer`, on the small samples of `rows.py`: memcheck and racecheck.

The tool is one of NVIDIA's, in the CUDA toolkit and in the wheel nvidia-cuda-sanitizer-api. On the emulated GPU, a
sanitizer of g++ watches a few kernels instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from .child import Cases, Run, Skip, find_tests
from .control import BENCHMARKS

TOOLS = ("memcheck", "racecheck")
EMULATED = {"address": "softmax", "thread": "softmax"}  # the sanitizer, and the table whose kernels it watches
SAMPLES = 3  # of each row


def cases(run: Run) -> Cases:
    if run.small:
        return {
            f"g++ -fsanitize={tool} {op}": lambda tool=tool, op=op: emulated(tool, op) for tool, op in EMULATED.items()
        }
    return {tool: lambda tool=tool: watch(run, tool) for tool in TOOLS}


def find() -> str:
    """The path of compute-sanitizer. Raises Skip if there is none."""
    found = shutil.which("compute-sanitizer")
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda", "/opt/cuda"]
    places = [Path(home) / folder for home in homes if home for folder in ("bin", "compute-sanitizer")]
    wheels = Path(sysconfig.get_paths()["purelib"]) / "nvidia"
    if found is None:
        there = [place / "compute-sanitizer" for place in places]
        there += sorted(wheels.rglob("compute-sanitizer")) if wheels.exists() else []
        found = next((str(path) for path in there if path.is_file() and os.access(path, os.X_OK)), None)
    if found is None:
        raise Skip(
            "compute-sanitizer is not in PATH, CUDA_HOME, /usr/local/cuda or a wheel of NVIDIA; it comes with the CUDA "
            "toolkit"
        )
    return found


def watch(run: Run, tool: str) -> dict[str, Any]:
    """Run some samples of every row under a tool: how many errors it saw, and its first words about them."""
    command = [find(), "--tool", tool, "--print-limit", "20", "--error-exitcode", "9", sys.executable, "-u"]
    command += [str(BENCHMARKS / "gpu.py"), "--rows", str(SAMPLES)]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=max(5.0, run.share(600)),
        )  # fmt: skip
        text, status, complete = done.stdout, done.returncode, True
    except subprocess.TimeoutExpired as error:
        text, status, complete = (error.stdout or b"").decode(errors="replace"), 0, False
    return judged(tool, text, status, complete)


def judged(tool: str, text: str, status: int, complete: bool) -> dict[str, Any]:
    """What the output of the tool says; an "error" if it saw one, or if the program did not run to its end."""
    rows = text.count("\nrow ")
    said = [line for line in text.splitlines() if line.startswith("=========")]
    errors = sum(int(number) for number in re.findall(r"(?:ERROR|RACECHECK) SUMMARY: (\d+)", text))
    seen = errors or sum("Invalid" in line or "Race reported" in line or "hazard" in line for line in said)
    print(f"{tool}: {rows} rows, {seen} errors{'' if complete else ', until the time was up'}", flush=True)
    print("\n".join(said[:40]), flush=True)
    found: dict[str, Any] = {"rows": rows, "errors": seen, "complete": complete, "text": "\n".join(said)[:5000]}
    if seen:
        found["error"] = f"{tool}: {seen} errors: {' | '.join(said[:6])[:1000]}"
    elif status or (complete and "SUMMARY" not in text):
        found["error"] = f"{tool}: the program ended with {status}: {text[-800:]}"
    return found


def rows(samples: int) -> int:
    """Run some samples of every row "cuda" in float32, once: the program that the tool watches.

    Each array is memory of its own from CUDA, not a part of a pool, so that the tool knows where it ends.
    """
    find_tests()
    import numpy as np

    import minicnn  # noqa: F401  defines all tables
    from minicnn_kernels import arrays
    from minicnn_kernels.dispatch import TABLES
    from tests.kernels import test_on_gpu as there
    from tests.kernels import test_tables as tables

    if not arrays.is_emulated() and hasattr(arrays.gpu().cuda, "set_allocator"):
        arrays.gpu().cuda.set_allocator(None)
    for table_ in TABLES:
        for row in [row for row in table_.rows if row[1] == "cuda"]:
            able = tables.numbers(table_, row)
            print(f"\nrow {table_.op} {row[0]}", flush=True)
            for number in able[:: max(1, len(able) // samples)][:samples]:
                args = there.every(there.to_gpu, tables.arguments(table_.op, number, np.float32))
                there.run(table_.rows[row], args)
            arrays.gpu().cuda.Device().synchronize()
    return 0


def emulated(tool: str, op: str) -> dict[str, Any]:
    """The kernels of a table on its first samples, under a sanitizer of g++."""
    import numpy as np

    from minicnn_kernels.emulated.raw_module import sanitized
    from tests.kernels import test_on_gpu as there
    from tests.kernels import test_tables as tables

    table_ = tables.BY_OP[op]
    row = next(row for row in table_.rows if row[1] == "cuda")
    able = tables.numbers(table_, row)[:SAMPLES]
    for number in able:
        with sanitized(tool):
            there.run(table_.rows[row], there.every(there.to_gpu, tables.arguments(op, number, np.float32)))
    print(f"{op}: {len(able)} calls, nothing seen by -fsanitize={tool}", flush=True)
    return {"rows": len(able), "errors": 0, "complete": True}


def table(cases: dict[str, Any], results: dict[str, Any]) -> list[str]:
    lines = ["| tool | rows | errors | |", "|---|---|---|---|"]
    for name, case in cases.items():
        if "errors" in case:
            end = "" if case["complete"] else "until the time was up"
            lines.append(f"| {name} | {case['rows']} | {case['errors']} | {end} |")
    return lines
