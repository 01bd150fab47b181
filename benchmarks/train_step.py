"""Milliseconds per training step of eight nets, compared with PyTorch in the same run.

    python benchmarks/train_step.py --against torch
    python benchmarks/train_step.py --against torch --only lenet5 resnet20 --seconds 20

A step is forward, cross-entropy, backward and SGD with momentum, on a batch in memory. Both libraries run the same
lines (`nets.py`), once in NCHW memory and once in channels-last memory, and the faster of the two counts. The
contenders take turns, so that changes in the speed of the machine affect all of them. For each the best step counts,
since it was disturbed the least. The last column is PyTorch's time over minicnn's: above 1, minicnn is faster.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from nets import NETS, Net

LR, MOMENTUM = 0.001, 0.9
MEMORY = {"": None, " channels-last": "channels_last"}


def step_of(lib: Any, net: Net, memory: str | None, device: str = "cpu") -> Callable[[], Any]:
    """One training step of `net` in `lib`, which is `minicnn` or `torch`; it returns the loss, on the device."""
    lib.manual_seed(0)
    model, loss_fn = net.build(lib.nn).to(device), lib.nn.CrossEntropyLoss()
    rng = np.random.default_rng(0)
    x = lib.from_numpy(rng.standard_normal(net.batch, np.float32)).to(device)
    target = lib.from_numpy(rng.integers(0, net.classes, net.batch[0])).to(device)
    if memory:
        model = model.to(memory_format=getattr(lib, memory))
        x = x.contiguous(memory_format=getattr(lib, memory))
    optimizer = lib.optim.SGD(model.parameters(), LR, momentum=MOMENTUM)

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_fn(model(x), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def measure(contenders: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """The best time of each in seconds. They take turns, a few calls each, until the time is up and each has three."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():  # compile, allocate
        call()
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 3:
        for name, call in contenders.items():
            gc.collect()
            call()  # the first call of a turn finds another contender's data in the caches
            turn = time.perf_counter() + seconds / 40
            while True:
                start = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - start)
                if time.perf_counter() > turn:
                    break
    return {name: min(spent) for name, spent in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=["torch"], help="also time PyTorch and print ratios")
    parser.add_argument("--only", nargs="+", choices=NETS, default=list(NETS), metavar="NET", help=", ".join(NETS))
    parser.add_argument("--seconds", type=float, default=20, help="how long to measure each net (default: 20)")
    parser.add_argument("--backend", default="auto", help="minicnn's kernels (default: auto)")
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    libraries: dict[str, Any] = {}
    if (
        args.against
    ):  # imported first, so that PyTorch's OpenMP starts with its own settings, not with those of the kernels
        import torch

        torch.set_num_threads(threads)
        torch.ones(64, 64) @ torch.ones(64, 64)
        libraries["torch"] = torch
    import minicnn

    libraries["minicnn"] = minicnn
    versions = ", ".join(f"{name} {lib.__version__}" for name, lib in libraries.items())
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {versions}; {threads} threads")
    names = [f"{lib}{memory}" for lib in libraries for memory in MEMORY]
    print(f"{'ms per step':18}{'batch':>16}" + "".join(f"{name:>23}" for name in names) + f"{'speed':>8}")
    ratios = []
    for name in args.only:
        net = NETS[name]
        with minicnn.use(backend=args.backend):
            steps = {
                f"{lib}{memory}": step_of(libraries[lib], net, value)
                for lib in libraries
                for memory, value in MEMORY.items()
            }
            best = measure(steps, args.seconds)
        line = f"{name:18}{'x'.join(map(str, net.batch)):>16}" + "".join(f"{best[n] * 1e3:23.2f}" for n in names)
        if args.against:
            theirs, ours = (min(best[n] for n in names if n.startswith(lib)) for lib in libraries)
            ratios.append(theirs / ours)
            line += f"{ratios[-1]:8.2f}"
        print(line, flush=True)
    if ratios:
        print(f"geometric mean of speed over PyTorch: {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
