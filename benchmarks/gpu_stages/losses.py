"""Nets trained some steps on the GPU and on the CPU, from the same weights and batch: the losses must be the same.

In float64 the two differ only in rounding, so that a wrong gradient of any layer shows; in float32, more. On the CPU
the rows "numpy" compute, which need not be compiled.
"""

from __future__ import annotations

import math
from typing import Any

from .child import Cases, Run

LR, MOMENTUM = 0.02, 0.9
TOLERANCE = {"float64": 1e-7, "float32": 2e-2}  # of the losses, relative
FIRST = {"float64": 1e-10, "float32": 1e-4}  # of the first of them, before rounding has grown
MEMORY = ("", "channels_last")


def cases(run: Run) -> Cases:
    found: Cases = {}
    for name in nets(run.small):
        for kind in TOLERANCE:
            for memory in MEMORY[: 1 if name == "lenet5" or run.small else None]:
                if not run.small or kind == "float64":
                    found[f"{name} {kind} {memory}".strip()] = lambda name=name, kind=kind, memory=memory: compare(
                        nets(run.small)[name], kind, memory, 2 if run.small else 10
                    )
    return found


def nets(small: bool) -> dict[str, Any]:
    """LeNet-5, and a residual net of two stages."""
    from nets import NETS, Net, small_resnet

    batch = 2 if small else 32
    side = 8 if small else 24
    lenet = NETS["lenet5"]
    return {
        "lenet5": lenet._replace(batch=(batch, *lenet.batch[1:])),
        "small resnet": Net(small_resnet, (batch, 3, side, side), 10),
    }


def compare(net: Any, kind: str, memory: str, steps: int) -> dict[str, Any]:
    """The losses of both, and an "error" if they are not the same."""
    import minicnn

    with minicnn.use(backend="numpy"):
        found: dict[str, Any] = {"cpu": losses(net, "cpu", kind, memory, steps)}
    found["cuda"] = losses(net, "cuda", kind, memory, steps)
    apart = [abs(a - b) / abs(b) for a, b in zip(found["cuda"], found["cpu"], strict=True)]
    most = found["largest difference"] = max(apart) if all(map(math.isfinite, apart)) else math.inf
    line = f"{net.build.__name__} {kind} {memory}: loss {found['cpu'][0]:.4f} to {found['cpu'][-1]:.4f} on the CPU"
    print(f"{line}, {found['cuda'][-1]:.4f} on the GPU; largest difference {most:.1e}", flush=True)
    if most > TOLERANCE[kind] or apart[0] > FIRST[kind]:
        found["error"] = f"the losses differ by {apart[0]:.1e} at the first step, and by up to {most:.1e}"
    return found


def losses(net: Any, device: str, kind: str, memory: str, steps: int) -> list[float]:
    """The loss before each step."""
    import numpy as np

    import minicnn

    minicnn.manual_seed(0)
    dtype = getattr(minicnn, kind)
    model, loss_fn = net.build(minicnn.nn).to(device).to(dtype), minicnn.nn.CrossEntropyLoss()
    rng = np.random.default_rng(0)
    x = minicnn.from_numpy(rng.standard_normal(net.batch)).to(device).to(dtype)
    target = minicnn.from_numpy(rng.integers(0, net.classes, net.batch[0])).to(device)
    if memory:
        model = model.to(memory_format=getattr(minicnn, memory))
        x = x.contiguous(memory_format=getattr(minicnn, memory))
    optimizer = minicnn.optim.SGD(model.parameters(), LR, momentum=MOMENTUM)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_fn(model(x), target)
        loss.backward()
        optimizer.step()
        found.append(loss.detach())
    return [float(loss) for loss in found]


def table(cases: dict[str, Any], results: dict[str, Any]) -> list[str]:
    lines = ["| net | first loss | last, CPU | last, GPU | largest difference |", "|---|---|---|---|---|"]
    for name, case in cases.items():
        if "cuda" in case:
            ends = f"{case['cpu'][0]:.5f} | {case['cpu'][-1]:.5f} | {case['cuda'][-1]:.5f}"
            lines.append(f"| {name} | {ends} | {case['largest difference']:.1e} |")
    return lines
