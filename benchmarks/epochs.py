"""Seconds per training epoch: LeNet-5 on 60,000 images of MNIST's size, ResNet-20 on 50,000 of CIFAR-10's size.

    python benchmarks/epochs.py --against torch plain dezero
    python benchmarks/epochs.py --only resnet20 --contenders numba torch --seconds 60

Every contender trains the same net (`nets.py`) on the same batches from arrays in memory: shuffled indices, forward,
cross-entropy, backward, SGD with momentum. The images are random numbers, since the time of a step does not depend on
the content. The contenders take turns in rounds of a few steps, so that changes in the speed of the machine affect all
of them. The time of an epoch is the number of its steps times the median time of a step. If one step takes more than a
tenth of the time for measuring, only one step is measured, after a first step: `1 step`. The time for reading, decoding
or augmenting images is not included.

numba, numpy     minicnn's backends; `channels_last`: in channels-last memory
torch            PyTorch; `channels_last`: in channels-last memory
plain            plain NumPy, as in a textbook: windows of the whole batch, one product (`plain_numpy.py`)
dezero           DeZero itself, if it is installed
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from nets import NETS, Net
from timing import libraries, machine

IMAGES = {"lenet5": 60_000, "resnet20": 50_000}
KEPT = 3_000  # images in memory; an epoch has as many steps as with all images
LR, MOMENTUM = 0.001, 0.9
CONTENDERS = ("numba", "numba channels_last", "numpy", "torch", "torch channels_last", "plain", "dezero")
Step = Callable[[np.ndarray], Any]


def library_step(lib: Any, net: Net, x: np.ndarray, y: np.ndarray, channels_last: bool) -> Step:
    """A training step of minicnn or PyTorch, with the same lines of code."""
    lib.manual_seed(0)
    model, loss_fn = net.build(lib.nn), lib.nn.CrossEntropyLoss()
    inputs, targets = lib.from_numpy(x), lib.from_numpy(y)
    if channels_last:
        model = model.to(memory_format=lib.channels_last)
        inputs = inputs.contiguous(memory_format=lib.channels_last)
    optimizer = lib.optim.SGD(model.parameters(), LR, momentum=MOMENTUM)

    def step(index: np.ndarray) -> None:
        at = lib.from_numpy(index)
        optimizer.zero_grad()
        loss = loss_fn(model(inputs[at]), targets[at])
        loss.backward()
        optimizer.step()

    return step


def step_of(name: str, found: dict[str, Any], net: Net, x: np.ndarray, y: np.ndarray) -> Step:
    """The contender's training step, as a function of the indices of a batch."""
    kind, _, order = name.partition(" ")
    if kind == "plain":
        import plain_numpy

        plain_numpy.LR, plain_numpy.MOMENTUM = LR, MOMENTUM
        model = net.build(plain_numpy)
        return lambda index: plain_numpy.train_step(model, x[index], y[index])
    if kind == "dezero":
        import dezero_nets

        train = dezero_nets.train_step(net.build, LR, MOMENTUM)
        return lambda index: train(x[index], y[index])
    step = library_step(found["torch" if kind == "torch" else "minicnn"], net, x, y, order == "channels_last")
    if kind == "torch":
        return step

    def chosen(index: np.ndarray) -> None:
        with found["minicnn"].use(backend=kind):
            step(index)

    return chosen


def measured(steps: dict[str, Step], batch: int, seconds: float) -> dict[str, tuple[float, str]]:
    """The median seconds of a step of each contender, and a note."""
    from minicnn.bench.timing import seconds_of, times

    rng = np.random.default_rng(1)
    calls = {name: lambda step=step: step(rng.permutation(KEPT)[:batch]) for name, step in steps.items()}
    once = {}
    for name, call in calls.items():
        call()  # compile, allocate
        once[name] = seconds_of(call)
    quick = {name: call for name, call in calls.items() if once[name] < seconds / 10}
    spent = times(quick, max(1.0, seconds - sum(once[name] for name in once if name not in quick)))
    return {
        name: (statistics.median(spent.get(name, [once[name]])), "" if name in quick else "1 step") for name in calls
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--against", nargs="+", choices=["torch", "plain", "dezero"], default=[], help="besides minicnn"
    )
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, help="measure exactly these", metavar="NAME")
    parser.add_argument("--only", nargs="+", choices=IMAGES, default=list(IMAGES), metavar="NET")
    parser.add_argument("--seconds", type=float, default=30, help="how long to measure each net (default: 30)")
    args = parser.parse_args()
    ours = ["numba", "numba channels_last", "numpy"]
    names = args.contenders or [name for name in CONTENDERS if name in ours or name.split()[0] in args.against]
    found = libraries(any(name.startswith("torch") for name in names))
    from minicnn.bench.timing import gemm_peak

    print(f"{machine(found)}; matrix product {gemm_peak() / 1e9:.0f} GFLOP/s")
    for name in args.only:
        net, rng = NETS[name], np.random.default_rng(0)
        x = rng.random((KEPT, *net.batch[1:]), np.float32)
        y = rng.integers(0, net.classes, KEPT)
        steps = {one: step_of(one, found, net, x, y) for one in names}
        epoch = IMAGES[name] / net.batch[0]
        result = measured(steps, net.batch[0], args.seconds)
        theirs = min((t for one, (t, _) in result.items() if one.startswith("torch")), default=None)
        print(f"\n{name}, batch {net.batch[0]}, {IMAGES[name]:,} images of {'x'.join(map(str, net.batch[1:]))}")
        print(f"{'':20}{'s/epoch':>9}{'ms/step':>10}" + (f"{'x PyTorch':>11}" if theirs else ""))
        for one, (seconds, note) in sorted(result.items(), key=lambda item: item[1]):
            ratio = f"{seconds / theirs:11.2f}" if theirs else ""
            print(f"{one:20}{seconds * epoch:9.2f}{seconds * 1e3:10.2f}{ratio}  {note}".rstrip(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
