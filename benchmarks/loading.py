"""Seconds to load all data of an epoch, without training, for random images of the sizes of MNIST and CIFAR-10.

    python benchmarks/loading.py [--epochs 5] [--workers 2] [--against torch]
    python benchmarks/loading.py --share [--steps 40] [--only lenet5]

"images" is an image dataset of minicnn with minicnn's transforms, which run on a whole batch. "samples" has the same
transforms, but sample by sample, because they include a function of the user's. "tensors" is a TensorDataset. The best
epoch counts.

--share trains LeNet-5 and ResNet-20 on such images, LeNet-5 with random rotations, shifts and scales, ResNet-20 with
crops and flips, and measures how long the loop waits for each batch, as a share of the whole step: in seconds, and in
seconds of the processor, which other programs on the machine hardly change. What counts in the end is the whole step: a
thread can shorten the waiting and make the step longer, since the net's kernels share the cores with it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

import minicnn
from minicnn import transforms
from minicnn.utils.data import DataLoader, TensorDataset

MNIST = {"shape": (60_000, 28, 28), "batch": 100, "chain": [transforms.ToTensor(), transforms.Resize(32)]}
CIFAR = {
    "shape": (50_000, 32, 32, 3),
    "batch": 128,
    "chain": [
        transforms.RandomCrop(32, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.49, 0.48, 0.45), (0.25, 0.24, 0.26)),
    ],
}
AFFINE = [
    transforms.ToTensor(),
    transforms.RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1)),
    transforms.Resize(32),
    transforms.Normalize((0.1307,), (0.3081,)),
]
SHARES: dict[str, dict[str, Any]] = {  # net: its images, and their transforms
    "lenet5": {**MNIST, "chain": AFFINE},
    "resnet20": CIFAR,
}


def as_it_is(image: Any) -> Any:
    return image


def images(shape: tuple[int, ...], chain: list[Any]) -> minicnn.datasets.Digits:
    """An image dataset with random pixels."""
    dataset = minicnn.datasets.Digits(transform=transforms.Compose(chain))
    draw = np.random.default_rng(0)
    dataset.data = minicnn.tensor(draw.integers(0, 256, shape, np.uint8))
    dataset.targets = minicnn.tensor(draw.integers(0, 10, shape[0]))
    return dataset


def best(loader: Iterable[Any], epochs: int) -> float:
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        for _ in loader:
            pass
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def share(net: str, steps: int, workers: int) -> None:
    """Print the share of a training step that is spent on waiting for the batch."""
    from minicnn import nn, optim

    case, loss_fn = SHARES[net], nn.CrossEntropyLoss()
    model = getattr(minicnn.models, net)()
    optimizer = optim.SGD(model.parameters(), 0.01, momentum=0.9)
    clocks = (time.perf_counter, time.process_time)
    ways: dict[str, dict[str, Any]] = {
        "in place": {},
        "by a thread": {"prefetch_factor": 2},
        f"by {workers} workers": {"num_workers": workers, "prefetch_factor": 4},
    }
    for name, more in ways.items():
        data = images(case["shape"], case["chain"])
        batches = iter(DataLoader(data, case["batch"], shuffle=True, seed=0, **more))
        waits, rests = np.zeros((steps + 3, 2)), np.zeros((steps + 3, 2))
        for step in range(steps + 3):  # the first three warm up
            start = np.array([clock() for clock in clocks])
            x, y = next(batches)
            middle = np.array([clock() for clock in clocks])
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            optimizer.step()
            waits[step], rests[step] = middle - start, np.array([clock() for clock in clocks]) - middle
        (wait, busy), (rest, work) = waits[3:].sum(0), rests[3:].sum(0)
        print(
            f"{net:9} batches made {name:12} wait {1e3 * wait / steps:6.2f} ms of {1e3 * (wait + rest) / steps:7.1f} "
            f"ms a step, {wait / (wait + rest):6.2%}; of the processor's time {busy / (busy + work):6.2%}",
            flush=True,
        )
        del batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--against", choices=["torch"])
    parser.add_argument("--share", action="store_true", help="how long training waits for its batches")
    parser.add_argument("--only", choices=SHARES, help="of the nets of --share")
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    if options.share:
        for net in [options.only] if options.only else SHARES:
            share(net, options.steps, options.workers)
        return
    print(f"{'seconds per epoch':24}{'in place':>10}{'a thread':>10}{f'{options.workers} workers':>12}{'PyTorch':>10}")
    for name, case in (("MNIST", MNIST), ("CIFAR-10", CIFAR)):
        shape, batch, chain = case["shape"], case["batch"], case["chain"]
        channels = (shape[0], shape[3] if len(shape) == 4 else 1, *shape[1:3])
        x, y = np.zeros(channels, np.float32), np.zeros(shape[0], np.int64)
        datasets = {
            "images": images(shape, chain),
            "samples": images(shape, [*chain, transforms.Lambda(as_it_is)]),
            "tensors": TensorDataset(minicnn.tensor(x), minicnn.tensor(y)),
        }
        for kind, dataset in datasets.items():
            row = []
            for more in ({}, {"prefetch_factor": 2}, {"num_workers": options.workers, "persistent_workers": True}):
                loader = DataLoader(dataset, batch, shuffle=True, seed=0, **more)
                row.append(f"{best(loader, options.epochs if kind != 'samples' else 1):.2f}")
                del loader
            if options.against and kind == "tensors":
                import torch

                theirs = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
                row.append(f"{best(torch.utils.data.DataLoader(theirs, batch, shuffle=True), 2):.2f}")
            print(
                f"{name + ', ' + kind:24}{row[0]:>10}{row[1]:>10}{row[2]:>12}{row[3] if len(row) > 3 else '':>10}",
                flush=True,
            )


if __name__ == "__main__":
    main()
