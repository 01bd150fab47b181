"""Seconds per training epoch of LeNet-5 on 60,000 pictures, per backend, beside PyTorch in the same run.

    python benchmarks/lenet_epoch.py --against torch

Every contender trains the same net on the same batches of 100 pictures of 32x32, from arrays in memory: shuffled
indices, forward, loss, backward, SGD step. The contenders take turns in rounds of a few steps, so that a machine that
speeds up or slows down does so for all; an epoch is 600 times the median step. The floor is the arithmetic of the epoch
at the speed of a large float32 matrix product measured in the same run.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

import minicnn

BATCH, STEPS, LR = 100, 600, 0.01
FORWARD_MACS = 117_600 + 240_000 + 48_000 + 10_080 + 840  # per picture: two convolutions, three linear layers
TRAIN_FLOP = 2 * (3 * FORWARD_MACS - 117_600) * BATCH * STEPS  # forward, gw, gx; the first layer has no gx


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """6,000 random pictures and labels; the time of a step does not depend on what is on them."""
    rng = np.random.default_rng(0)
    return rng.random((6000, 1, 32, 32), np.float32), rng.integers(0, 10, 6000)


def minicnn_step(backend: str, x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], None]:
    model, loss_fn = minicnn.models.LeNet5(), minicnn.nn.CrossEntropyLoss()
    optimizer = minicnn.optim.SGD(model.parameters(), LR)

    def step(index: np.ndarray) -> None:
        with minicnn.use(backend=backend):
            optimizer.zero_grad()
            loss = loss_fn(model(minicnn.Tensor(x[index])), minicnn.Tensor(y[index]))
            loss.backward()
            optimizer.step()

    return step


def torch_step(x: np.ndarray, y: np.ndarray, threads: int, channels_last: bool) -> Callable[[np.ndarray], None]:
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip
    loss_fn, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), LR)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    if channels_last:
        model, inputs = (
            model.to(memory_format=torch.channels_last),
            inputs.contiguous(memory_format=torch.channels_last),
        )

    def step(index: np.ndarray) -> None:
        at = torch.from_numpy(index)
        optimizer.zero_grad()
        loss = loss_fn(model(inputs[at]), targets[at])
        loss.backward()
        optimizer.step()

    return step


def gemm_peak() -> float:
    """FLOP/s of a float32 matrix product of side 2048, the best of ten."""
    a = np.ones((2048, 2048), np.float32)
    best = min(_timed(lambda: a @ a) for _ in range(10))
    return float(2 * 2048**3 / best)


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=["torch"], help="also time PyTorch and print ratios")
    parser.add_argument("--backends", default="numba,numpy", help="comma-separated (default: numba,numpy)")
    parser.add_argument("--seconds", type=float, default=40, help="how long to measure (default: 40)")
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    x, y = pictures()
    contenders: dict[str, Callable[[np.ndarray], None]] = {}
    if args.against:  # first: PyTorch's OpenMP then starts with its own settings, not with those the kernels ask for
        contenders["torch"] = torch_step(x, y, threads, channels_last=False)
        contenders["torch channels-last"] = torch_step(x, y, threads, channels_last=True)
        for step in contenders.values():
            step(np.arange(BATCH))
    contenders.update({name: minicnn_step(name, x, y) for name in args.backends.split(",")})
    rng = np.random.default_rng(1)
    for step in contenders.values():  # compile, allocate
        for _ in range(5):
            step(rng.integers(0, len(x), BATCH))
    peak = gemm_peak()
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    end = time.perf_counter() + args.seconds
    while time.perf_counter() < end:
        for name, step in contenders.items():
            for warm in (True, *[False] * 20):  # the first step of a turn finds the caches of another contender
                index = rng.permutation(len(x))[:BATCH]
                seconds = _timed(lambda step=step, index=index: step(index))
                if not warm:
                    spent[name].append(seconds)
    floor = TRAIN_FLOP / peak
    epochs = {name: STEPS * statistics.median(times) for name, times in spent.items()}
    reference = min((epochs[name] for name in epochs if name.startswith("torch")), default=None)
    print(
        f"LeNet-5, batch {BATCH}, 60,000 pictures of 32x32; {threads} threads, "
        f"{platform.processor() or platform.machine()}"
    )
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, minicnn {minicnn.__version__}")
    print(
        f"matrix product peak {peak / 1e9:.0f} GFLOP/s; arithmetic of an epoch {TRAIN_FLOP / 1e9:.0f} GFLOP: floor "
        f"{floor:.2f} s"
    )
    print(
        f"{'':22}{'s/epoch':>9}{'ms/step':>9}{'best ms':>9}{'x floor':>9}" + (f"{'x PyTorch':>11}" if reference else "")
    )
    for name, seconds in sorted(epochs.items(), key=lambda item: item[1]):
        line = f"{name:22}{seconds:9.2f}{seconds / STEPS * 1e3:9.2f}{min(spent[name]) * 1e3:9.2f}{seconds / floor:9.1f}"
        print(line + (f"{seconds / reference:11.2f}" if reference else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
