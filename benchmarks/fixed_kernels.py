"""Feature detectors, made by hand or learned: a net of one convolution, whose kernels are Gabor's, random, or learned.

    MINICNN_DATA=/path/to/data python benchmarks/fixed_kernels.py [--images 300 3000 30000] [--epochs 5] [--seeds 0 1 2]

    x (1, 28, 28) -- conv 7x7, 16 kernels -- ReLU -- max pooling 4 -- linear 64 -- ReLU -- linear 10

The two linear layers are trained in all nets, and the convolution only in one. The kernels by hand are a bank of Gabor
filters, four directions in four phases: edges and strokes of both signs. So the difference between the rows is what the
first layer is worth. Results, of the whole test set of MNIST, are written to benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from degradation import spread
from timing import libraries, machine

RESULTS = Path(__file__).parent / "results"
KERNELS = {"gabor": "by hand (Gabor), fixed", "random": "random, fixed", "learned": "learned, from random ones"}


def net(kernels: str) -> Any:
    """The net; its convolution is trained only if the kernels are to be learned."""
    from minicnn import nn, tensor
    from minicnn.explain.known_kernels import gabor_bank

    conv = nn.Conv2d(1, 16, 7, padding=3)
    if kernels == "gabor":
        bank = np.stack([k[4:11, 4:11] for k in gabor_bank(4, (0, 90, 180, 270), wavelength=6.0).values()])
        scale = np.abs(bank).sum((1, 2), keepdims=True)
        conv.load_state_dict(
            {"weight": tensor(4 * (bank / scale)[:, None].astype(np.float32)), "bias": tensor([0.0] * 16)}
        )
    conv.requires_grad_(kernels == "learned")
    return nn.Sequential(
        conv, nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(16 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def run(kernels: str, images: int, epochs: int, seed: int) -> dict[str, Any]:
    """Train a net on the first images, for `epochs`, and at least 2,000 steps of 50 images."""
    import minicnn
    from minicnn import datasets, nn, optim, transforms
    from minicnn.train import evaluate, train
    from minicnn.utils.data import DataLoader, Subset

    minicnn.manual_seed(seed)
    model = net(kernels)
    seen, unseen = (datasets.MNIST(train=train, transform=transforms.ToTensor()) for train in (True, False))
    batches = DataLoader(Subset(seen, range(images)), 50, shuffle=True, seed=seed)
    some = DataLoader(Subset(unseen, range(500)), 500)  # for the lines after each epoch
    optimizer = optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    loss_fn = nn.CrossEntropyLoss()
    epochs = max(epochs, -(-2000 * 50 // images))
    history = train(model, batches, some, optimizer, loss_fn, epochs, progress=False)
    return {
        "kernels": kernels, "images": images, "seed": seed, "epochs": epochs, "train_loss": history[-1].train_loss,
        "test_top1": evaluate(model, DataLoader(unseen, 500), loss_fn).top1,
    }  # fmt: skip


def table(runs: list[dict[str, Any]]) -> str:
    """The test accuracy, a column for each number of images: mean over the seeds, and the range in brackets."""
    counts = sorted({row["images"] for row in runs})
    lines = [f"| kernels | {' | '.join(f'{n:,} images' for n in counts)} |", "|---" * (len(counts) + 1) + "|"]
    for kernels, words in KERNELS.items():
        cells = [
            spread([100 * row["test_top1"] for row in runs if (row["kernels"], row["images"]) == (kernels, n)], 1)
            for n in counts
        ]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[300, 3000, 30_000])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--name", default="fixed_kernels", help="of the results (default: fixed_kernels)")
    args = parser.parse_args()
    found = libraries(False)
    runs = []
    for images in args.images:
        for seed in args.seeds:
            for kernels in KERNELS:
                runs.append(run(kernels, images, args.epochs, seed))
                print(runs[-1], flush=True)
    file = RESULTS / f"{args.name}.json"
    results = {"machine": f"{machine(found)}, {date.today().isoformat()}", "runs": runs}
    file.write_text(json.dumps(results, indent=1) + "\n")
    file.with_suffix(".md").write_text(table(runs) + "\n")
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
