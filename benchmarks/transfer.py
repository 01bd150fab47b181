"""Transfer learning measured: similar or different data, little or much of it, from scratch or from a trained net.

    python benchmarks/transfer.py [--data FOLDER] [--seeds 3] [--json transfer.json] [--short]

Two transfers. Similar: a net trained on the digits 0 to 4 of MNIST learns 5 to 9. Different: a net trained on all of
MNIST learns the bundled digits, scans of 8x8 pixels of other writers, made with another scanner. Each is done with
little and with much data, in three ways that see the same images for the same number of steps:

    scratch      a new net
    probe        the trained net is frozen, and a new head is trained: a linear classifier of its features
    fine-tune    a new head with the full learning rate, the upper layers with a tenth, the others with a hundredth
    fine-tune, one rate    all layers with the full rate

The test images are never used to choose anything.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
from typing import Any

import numpy as np

import minicnn
from minicnn import datasets, nn, optim
from minicnn.analysis.table import Table
from minicnn.nn import functional as F
from minicnn.tensor import Tensor
from minicnn.train import accuracy, freeze, parameter_groups, predict, rates_by_depth, replace_head, spread
from minicnn.utils.data import DataLoader, TensorDataset

SIDE, BATCH, RATE = 16, 32, 0.002
WAYS = ("scratch", "probe", "fine-tune", "fine-tune, one rate")
LITTLE, MUCH = (50, 300), (1000, 600)  # images, steps
Images = tuple[Tensor, Tensor]


def build(classes: int) -> nn.Sequential:
    """Three stages and a head, 6,000 weights."""
    stages = [
        layer
        for a, b in ((1, 8), (8, 16), (16, 32))
        for layer in (nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
    ]
    return nn.Sequential(*stages, nn.Flatten(), nn.Linear(128, classes))  # (N, 32, 2, 2) -> (N, 128)


def fit(net: nn.Module, data: Images, groups: Any, steps: int, seed: int) -> None:
    """Adam on random batches."""
    x, y = data
    optimizer, draw = optim.Adam(groups, lr=RATE), np.random.default_rng(seed)
    net.train()
    for _ in range(steps):
        batch = minicnn.tensor(draw.integers(0, len(x), min(BATCH, len(x))))
        optimizer.zero_grad()
        F.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()


def prepared(way: str, base: nn.Module, classes: int) -> tuple[nn.Module, Any]:
    """A net to train in one of the ways, and its parameters in groups."""
    if way == "scratch":
        net = build(classes)
        return net, list(net.parameters())
    net = copy.deepcopy(base)
    if way == "probe":
        freeze(net)
    replace_head(net, classes)
    rates = rates_by_depth(net) if way == "fine-tune" else None
    return net, parameter_groups(net, RATE, rates)


def tested(net: nn.Module, data: Images) -> float:
    """The accuracy on a test set, from 0 to 1."""
    return accuracy(*predict(net, DataLoader(TensorDataset(*data), 500)))[0]


def mnist(root: str | None, train: bool, count: int, side: int = SIDE) -> Images:
    """The first images of MNIST, (N, 1, side, side) from 0 to 1, and their classes."""
    found = datasets.MNIST(root, train=train)
    x = Tensor(np.asarray(found.data[:count], np.float32)[:, None] / 255)
    return F.interpolate(x, (side, side), mode="bilinear", antialias=True), Tensor(np.asarray(found.targets[:count]))


def digits(train: bool) -> Images:
    """The bundled digits, (N, 1, 16, 16) from 0 to 1, and their classes."""
    found = datasets.Digits(train=train)
    x = np.asarray(found.data, np.float32).reshape(-1, 1, 8, 8)
    x = Tensor(x / x.max())
    return F.interpolate(x, (SIDE, SIDE), mode="bilinear"), Tensor(np.asarray(found.targets))


def some(data: Images, wanted: Any) -> Images:
    """The images whose class is wanted; the classes count from 0."""
    x, y = data
    chosen = np.isin(y.numpy(), list(wanted))
    return Tensor(x.numpy()[chosen]), Tensor(y.numpy()[chosen] - min(wanted))


def measure(root: str | None, seeds: int, short: bool) -> dict[str, dict[str, list[float]]]:
    """For each cell of the table, the accuracies of each way for all seeds."""
    count, steps = (2000, 60) if short else (20000, 1500)
    source, source_test = mnist(root, True, count), mnist(root, False, 2000 if short else 10000)
    tasks = {
        "similar": (some(source, range(5)), some(source, range(5, 10)), some(source_test, range(5, 10)), 5),
        "different": (source, digits(True), digits(False), 10),
    }
    results: dict[str, dict[str, list[float]]] = {}
    for kind, (first, second, test, classes) in tasks.items():
        for seed in range(seeds):
            minicnn.manual_seed(seed)
            base = build(int(first[1].max()) + 1)
            fit(base, first, base.parameters(), steps, seed)
            for amount, (images, few) in {"little": LITTLE, "much": MUCH}.items():
                chosen = np.random.default_rng(seed).permutation(len(second[0]))[:images]
                data = Tensor(second[0].numpy()[chosen]), Tensor(second[1].numpy()[chosen])
                for way in WAYS:
                    minicnn.manual_seed(seed)
                    net, groups = prepared(way, base, classes)
                    fit(net, data, groups, few // 10 if short else few, seed)
                    cell = results.setdefault(f"{amount}, {kind}", {})
                    cell.setdefault(way, []).append(tested(net, test))
            print(f"{kind}, seed {seed}", file=sys.stderr, flush=True)
    return results


def table(results: dict[str, dict[str, list[float]]]) -> Table:
    """The 2x2 table: a row for each cell, a column for each way."""
    rows: list[list[Any]] = []
    for cell, found in sorted(results.items()):
        means = {way: statistics.fmean(values) for way, values in found.items()}
        best = max(means, key=lambda way: means[way])
        rows.append([cell, *(spread(found[way], 1, 100) for way in WAYS), best])
    title = f"Accuracy on test images (%), {LITTLE[0]} or {MUCH[0]} images"
    return Table(title, ["data", *WAYS, "best"], rows, ["mean (lowest to highest) of the seeds"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", help="the folder of MNIST; by default that of MINICNN_DATA")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", help="a file for the numbers")
    parser.add_argument("--short", action="store_true", help="a tenth of everything, to try it")
    args = parser.parse_args()
    results = measure(args.data, args.seeds, args.short)
    print(table(results).markdown())
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
