"""Every .cu file through the compiler of the GPU, several at once; CuPy keeps the results for the stages after it."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from .child import Cases, Run

SMALL = ("softmax.cu",)


def cases(run: Run) -> Cases:
    return {"all files": lambda: every_file(run)}


def every_file(run: Run) -> dict[str, Any]:
    """Seconds for each file, or the first lines of why it does not compile."""
    from minicnn_kernels import cuda

    files = [file for file in cuda.files() if not run.small or file in SMALL]
    workers = 1 if run.small else min(12, os.cpu_count() or 1)
    found: dict[str, Any] = {}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        started = {pool.submit(compile_file, file): file for file in files}
        for future in as_completed(started):
            file, error = started[future], future.exception()
            found[file] = f"{type(error).__name__}: {str(error)[:500]}" if error else future.result()
            print(f"{file}: {found[file]}" if error else f"{file}: {found[file]} s", flush=True)
    wrong = {file: text for file, text in found.items() if isinstance(text, str)}
    return found | ({"error": f"{len(wrong)} of {len(files)} files do not compile: {wrong}"} if wrong else {})


def compile_file(file: str) -> float:
    """Compile the kernels of a file; the seconds that it took."""
    from minicnn_kernels import arrays, cuda

    start = time.perf_counter()
    for kernel in cuda.expressions(file):
        cuda._kernel(file, kernel, arrays.gpu())
    return round(time.perf_counter() - start, 1)


def table(cases: dict[str, Any], results: dict[str, Any]) -> list[str]:
    times = cases.get("all files", {})
    if "error" in times or "started" in times or not times:
        return []
    slow = sorted(times, key=lambda file: -times[file])[:5]
    return [
        f"{len(times)} files, {sum(times.values()):.0f} s of the compiler in all; the longest: "
        + ", ".join(f"`{file}` {times[file]:.1f} s" for file in slow)
    ]
