"""What the GPU can do: bytes copied per second, float32 products per second, and how long a launch takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .child import Cases, Run, Skip
from .clock import Contender, fastest, measure
from .versions import against

COPY, PRODUCT, TF32, LAUNCH = "copy TB/s", "float32 product TFLOP/s", "TF32 product TFLOP/s", "launch us"


def cases(run: Run) -> Cases:
    return {
        COPY: lambda: copy(run),
        PRODUCT: lambda: product(run, tf32=False),
        TF32: lambda: product(run, tf32=True),
        LAUNCH: lambda: launch(run),
    }


def libraries(run: Run) -> dict[str, Any]:
    """PyTorch, if it is there, and minicnn."""
    import minicnn

    torch = against(run)
    return {"torch": torch, "minicnn": minicnn} if torch is not None else {"minicnn": minicnn}


def best(run: Run, call: Callable[[Any], Callable[[], Any]]) -> dict[str, Any]:
    """Milliseconds of each library's call."""
    contenders = {name: Contender(lib, call(lib)) for name, lib in libraries(run).items()}
    return measure(contenders, 0 if run.small else 1)


def copy(run: Run) -> dict[str, Any]:
    """The read and the written bytes of a copy of 1 GiB."""
    size = 2**16 if run.small else 2**28

    def of(lib: Any) -> Callable[[], Any]:
        x = lib.ones(size, device="cuda")
        return lambda: x.clone()

    return _rate(best(run, of), 2 * 4 * size / 1e12, COPY)


def product(run: Run, tf32: bool) -> dict[str, Any]:
    """A product of two matrices of 8192 x 8192."""
    torch, side = against(run), 64 if run.small else 8192
    if tf32 and torch is None:
        raise Skip("only PyTorch computes with TF32, and it is not timed")
    if tf32:
        torch.backends.cuda.matmul.allow_tf32 = True
        a = torch.ones(side, side, device="cuda")
        times = measure({"torch": Contender(torch, lambda: a @ a)}, 1)
        torch.backends.cuda.matmul.allow_tf32 = False
        return _rate(times, 2 * side**3 / 1e12, TF32)

    def of(lib: Any) -> Callable[[], Any]:
        x = lib.ones(side, side, device="cuda")
        return lambda: x @ x

    times = best(run, of)
    if not run.small:
        import minicnn
        from minicnn_kernels import arrays

        x = arrays.gpu().ones((side, side), "float32")
        times |= measure({"cuBLAS by CuPy": Contender(minicnn, lambda: x @ x)}, 1)
    return _rate(times, 2 * side**3 / 1e12, PRODUCT)


def launch(run: Run) -> dict[str, Any]:
    """Microseconds of a small operation, and of one that is waited for: of the program more than of the GPU."""

    def of(lib: Any) -> Callable[[], Any]:
        x = lib.ones(8, device="cuda")
        return lambda: lib.relu(x)

    times = best(run, of)

    def waited(lib: Any) -> Callable[[], Any]:
        x = lib.ones(8, device="cuda")

        def call() -> None:
            lib.relu(x)
            lib.cuda.synchronize()

        return call

    times |= {f"{name}, waited for": ms for name, ms in best(run, waited).items()}
    print(", ".join(f"{name} {1e3 * ms:.1f} us" for name, ms in times.items() if not isinstance(ms, str)), flush=True)
    ours = times["minicnn"]
    return {"ms": times} | ({"value": 1e3 * ours} if isinstance(ours, float) else {"error": ours})


def _rate(times: dict[str, Any], work: float, name: str) -> dict[str, Any]:
    value = work / (fastest(times, "") / 1e3)
    each = {who: ms if isinstance(ms, str) else f"{work / (ms / 1e3):.3g}" for who, ms in times.items()}
    print(f"{name}: {each}", flush=True)
    return {"ms": times, "value": value}


def value(results: dict[str, Any], name: str) -> float | None:
    """A ceiling among the results of a run; None if it was not measured."""
    found = results.get("ceilings", {}).get("cases", {}).get(name, {}).get("value")
    return float(found) if found else None


def table(cases: dict[str, Any], results: dict[str, Any]) -> list[str]:
    lines = ["| | best | ms of each |", "|---|---|---|"]
    for name, case in cases.items():
        if "value" in case:
            each = ", ".join(f"{k} {v if isinstance(v, str) else f'{v:.4g}'}" for k, v in case["ms"].items())
            lines.append(f"| {name} | {case['value']:.4g} | {each} |")
    return lines
