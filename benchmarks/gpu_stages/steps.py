"""Milliseconds per training step, beside PyTorch's in the same process.

A step is that of `train_step.py`: forward, cross-entropy, backward and SGD with momentum on a batch that is on the GPU.
PyTorch runs as usual, in channels-last memory, each of them also with TF32, and as a CUDA graph, which launches all
kernels of a step at once. minicnn computes in float32, in both formats. The ratios are PyTorch's time over minicnn's.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from .child import Cases, Run
from .clock import Contender, fastest, measure, ratio
from .versions import against

WARM_UP = 3  # steps before a graph is captured: libraries choose algorithms and allocate
MEMORY = {"": None, " channels-last": "channels_last"}
MOST = 15.0  # seconds for a net


def cases(run: Run) -> Cases:
    from nets import NETS, ON_GPU

    if run.small:
        net = NETS["lenet5"]
        return {"lenet5": lambda: time_net(run, "lenet5", net._replace(batch=(1, *net.batch[1:])))}
    return {name: lambda name=name, net=net: time_net(run, name, net) for name, net in ON_GPU.items()}


@contextmanager
def rounding(torch: Any, tf32: bool) -> Iterator[None]:
    """Inside the block, PyTorch's convolutions and products may round to TF32, or may not."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
    yield


def graphed(torch: Any, step: Callable[[], Any]) -> Callable[[], Any]:
    """PyTorch's step as a CUDA graph: its kernels are recorded once, and launched together at each call."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay() -> Any:
        graph.replay()
        return loss

    return replay


def time_net(run: Run, name: str, net: Any) -> dict[str, Any]:
    """Milliseconds per step of all contenders, one after another, since the memory of all would be too much."""
    from train_step import step_of

    import minicnn

    torch = against(run)
    times: dict[str, Any] = {}
    seconds = 0 if run.small else run.share(MOST) / (8 if torch is not None else 2)
    for memory, value in MEMORY.items():
        times |= _time(f"minicnn{memory}", minicnn, partial(step_of, minicnn, net, value, "cuda"), seconds)
    for memory, value in MEMORY.items() if torch is not None else ():
        make = partial(step_of, torch, net, value, "cuda")
        for tf32, said in ((False, ""), (True, " TF32")):
            around = partial(rounding, torch, tf32)
            times |= _time(f"torch{memory}{said}", torch, make, seconds, around)
        times |= _time(f"torch graph{memory}", torch, lambda make=make: graphed(torch, make()), seconds)
    found: dict[str, Any] = {"ms": times, "batch": net.batch[0]}
    if torch is not None:
        eager = {key: ms for key, ms in times.items() if "TF32" not in key and "graph" not in key}
        tf32s = {key: ms for key, ms in times.items() if "TF32" in key or key.startswith("minicnn")}
        found["ratio"], found["ratio TF32"] = ratio(eager, "torch"), ratio(tf32s, "torch")
        found["ratio graph"] = ratio(times, "torch graph")
    ours = fastest(times, "minicnn")
    print(", ".join([f"{name}: minicnn {ours:.3f} ms", *_ratios(found)]), flush=True)
    bad = {key: ms for key, ms in times.items() if isinstance(ms, str) and key.startswith("minicnn")}
    return found | ({"error": str(bad)} if bad else {})


def _time(name: str, lib: Any, make: Callable[[], Any], seconds: float, around: Any = None) -> dict[str, Any]:
    """The time of one contender; its weights and activations are freed before the next."""
    try:
        with around() if around else rounding_off(lib):
            call = make()
        found = measure({name: Contender(lib, call, *([around] if around else []))}, seconds)
    except Exception as error:
        found = {name: f"{type(error).__name__}: {str(error)[:300]}"}
    call = None
    gc.collect()
    lib.cuda.empty_cache()
    lib.cuda.synchronize()
    print(f"  {name}: {found[name] if isinstance(found[name], str) else f'{found[name]:.3f} ms'}", flush=True)
    return found


@contextmanager
def rounding_off(lib: Any) -> Iterator[None]:
    """No TF32 while a graph is captured; nothing for minicnn, which has none."""
    if hasattr(lib, "backends") and lib.__name__ == "torch":
        lib.backends.cudnn.allow_tf32 = lib.backends.cuda.matmul.allow_tf32 = False
    yield


def _ratios(case: dict[str, Any]) -> list[str]:
    named = {"ratio": "against eager", "ratio TF32": "against TF32", "ratio graph": "against graphs"}
    return [f"{text} {case[key]:.2f}x" for key, text in named.items() if case.get(key)]


def table(cases: dict[str, Any], results: dict[str, Any]) -> list[str]:
    columns = list(dict.fromkeys(name for case in cases.values() for name in case.get("ms", {})))
    ratios = ["ratio", "ratio TF32", "ratio graph"] if any(c.startswith("torch") for c in columns) else []
    lines = [f"| ms per step | batch | {' | '.join([*columns, *ratios])} |", "|---" * (2 + len(columns + ratios)) + "|"]
    for name, case in cases.items():
        if "ms" in case:
            cells = [case["ms"].get(column) for column in columns] + [case.get(key) for key in ratios]
            said = ["-" if c is None else "error" if isinstance(c, str) else f"{c:.3g}" for c in cells]
            lines.append(f"| {name} | {case['batch']} | {' | '.join(said)} |")
    return lines
