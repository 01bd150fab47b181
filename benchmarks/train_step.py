"""Milliseconds per training step of many nets, or per batch in evaluation, compared with PyTorch in the same run.

    python benchmarks/train_step.py --against torch
    python benchmarks/train_step.py --against torch --only lenet5 resnet20 --batch 1 8 --seconds 20
    python benchmarks/train_step.py --against torch --eval

A step is forward, cross-entropy, backward and SGD with momentum, on a batch in memory; with `--eval` it is the forward
pass alone, in evaluation mode and `no_grad`. Both libraries run the same lines (`nets.py`, `more_nets.py`), once as
users write them, who choose no memory format, and once in channels-last memory. The contenders take turns, so that
changes in the speed of the machine affect all of them. For each the best step counts, since it was disturbed the least.
The last column is the time of the faster of PyTorch's two over that of minicnn as users write it: above 1, minicnn is
faster.
"""

from __future__ import annotations

import argparse
import gc
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from more_nets import ALL
from nets import Net
from timing import libraries, machine

LR, MOMENTUM = 0.001, 0.9
MEMORY = {"": None, " channels-last": "channels_last"}
WORST = 5  # the slowest nets, printed at the end


def step_of(
    lib: Any, net: Net, memory: str | None, device: str = "cpu", *, evaluation: bool = False
) -> Callable[[], Any]:
    """One training step of `net` in `lib`, which is `minicnn` or `torch`; it returns the loss, on the device.

    With `evaluation`, the step is the forward pass alone, and returns the net's output.
    """
    lib.manual_seed(0)
    model, loss_fn = net.build(lib.nn).to(device), lib.nn.CrossEntropyLoss()
    rng = np.random.default_rng(0)
    x = lib.from_numpy(rng.standard_normal(net.batch, np.float32)).to(device)
    targets = (net.batch[0], *(net.batch[2:] if net.per_pixel else ()))
    target = lib.from_numpy(rng.integers(0, net.classes, targets)).to(device)
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

    def evaluate() -> Any:
        with lib.no_grad():
            return model(x)

    model.train(not evaluation)
    return evaluate if evaluation else step


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


def summary(ratios: dict[str, float]) -> str:
    """The geometric mean, the least, and the worst few of PyTorch's time over minicnn's."""
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    worst = sorted(ratios.items(), key=lambda item: item[1])[:WORST]
    return (
        f"speed over PyTorch: geometric mean {mean:.2f}, minimum {worst[0][1]:.2f}\n"
        f"slowest: {', '.join(f'{name} {ratio:.2f}' for name, ratio in worst)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=["torch"], help="also time PyTorch and print ratios")
    parser.add_argument("--only", nargs="+", choices=ALL, default=list(ALL), metavar="NET", help=", ".join(ALL))
    parser.add_argument("--batch", nargs="+", type=int, help="images in a batch (default: those of the net)")
    parser.add_argument("--eval", action="store_true", help="the forward pass alone, in evaluation mode")
    parser.add_argument("--seconds", type=float, default=15, help="how long to measure each net (default: 15)")
    parser.add_argument("--backend", default="auto", help="minicnn's kernels (default: auto)")
    args = parser.parse_args()
    found = libraries(torch=args.against == "torch")
    minicnn = found["minicnn"]
    print(machine(found))
    names = [f"{lib}{memory}" for lib in ("minicnn", "torch") if lib in found for memory in MEMORY]
    what = "ms per evaluation" if args.eval else "ms per step"
    print(f"{what:18}{'batch':>16}" + "".join(f"{name:>23}" for name in names) + f"{'speed':>8}")
    ratios: dict[str, float] = {}
    for name in args.only:
        for size in args.batch or [ALL[name].batch[0]]:
            net = ALL[name]._replace(batch=(size, *ALL[name].batch[1:]))
            with minicnn.use(backend=args.backend):
                steps = {
                    f"{lib}{memory}": step_of(library, net, value, evaluation=args.eval)
                    for lib, library in found.items()
                    for memory, value in MEMORY.items()
                }
                best = measure(steps, args.seconds)
            line = f"{name:18}{'x'.join(map(str, net.batch)):>16}" + "".join(f"{best[n] * 1e3:23.2f}" for n in names)
            if args.against:
                theirs = min(best[n] for n in names if n.startswith("torch"))
                ratio = ratios[f"{name} {size}" if args.batch else name] = theirs / best["minicnn"]
                line += f"{ratio:8.2f}"
            print(line, flush=True)
    if ratios:
        print(summary(ratios))
    return 0


if __name__ == "__main__":
    sys.exit(main())
