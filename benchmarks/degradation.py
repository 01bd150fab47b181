"""Deeper nets that are worse: plain and residual nets of 20 and 56 layers on a part of CIFAR-10, with three seeds each.

    MINICNN_DATA=/path/to/data python benchmarks/degradation.py [--images 10000] [--epochs 10] [--seeds 0 1 2]

Every net is trained with the short recipe on the first images of the training set (the test set is complete). Results
are written to benchmarks/results after each run; runs that are there already are not repeated, so the program can be
stopped and started again. The table gives the mean over the seeds, and the smallest and the largest value.

K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", 2015, figures 1 and 6,
https://arxiv.org/abs/1512.03385: the training error of a plain net grows with its depth, that of a residual net falls.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from cifar import RESULTS, loaders, start
from timing import libraries, machine

NETS = ("plain20", "resnet20", "plain56", "resnet56")


def run(net: str, images: int, epochs: int, seed: int) -> dict[str, Any]:
    """Train a net; the results of its last epoch."""
    from minicnn.train import build_loss, build_optimizer, build_schedule, evaluate, find_recipe, train
    from minicnn.utils.data import DataLoader, Subset

    recipe = replace(find_recipe(net, "cifar10", "resnet-cifar-short"), epochs=epochs)
    model, (batches, test) = start(recipe, seed), loaders(recipe, seed, images)
    optimizer = build_optimizer(recipe.optimizer, model, recipe.optimizer_options, recipe.decay)
    schedule = build_schedule(recipe.schedule, recipe.schedule_options, optimizer, epochs, len(batches))
    loss_fn = build_loss(recipe.loss)
    some = DataLoader(Subset(test.dataset, range(1000)), recipe.eval_batch_size)  # for the lines after each epoch
    history = train(model, batches, some, optimizer, loss_fn, epochs, scheduler=schedule, schedule_every="step")
    found = evaluate(model, test, loss_fn)
    return {
        "net": net, "seed": seed, "images": images, "epochs": epochs, "train_losses": [e.train_loss for e in history],
        "train_top1": history[-1].train_top1, "train_loss": history[-1].train_loss,
        "test_top1": found.top1, "test_loss": found.loss,
    }  # fmt: skip


def table(runs: list[dict[str, Any]]) -> str:
    """The means over the seeds, one row for each net, in Markdown."""
    lines = ["| net | seeds | training loss | training accuracy (%) | test accuracy (%) |", "|---|---|---|---|---|"]
    for net in NETS:
        rows = [row for row in runs if row["net"] == net]
        if rows:
            cells = [spread([row["train_loss"] for row in rows], 3)]
            cells += [spread([100 * row[key] for row in rows], 1) for key in ("train_top1", "test_top1")]
            lines.append(f"| {net} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: list[float], digits: int) -> str:
    """Mean, and the range in brackets."""
    return f"{sum(values) / len(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def draw(runs: list[dict[str, Any]], file: Path) -> None:
    """The training loss of each epoch: the plain nets at the left, the residual ones at the right, all seeds."""
    from minicnn.visualize.style import BLUE, ORANGE, drawing

    with drawing(9, 3.8, file) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, kind in zip(panels, ("plain", "resnet"), strict=True):
            for depth, color in ((20, BLUE), (56, ORANGE)):
                rows = [row for row in runs if row["net"] == f"{kind}{depth}"]
                for number, row in enumerate(rows):
                    label = f"{depth} layers" if number == 0 else None
                    axes.plot(range(1, len(row["train_losses"]) + 1), row["train_losses"], color=color, label=label)
            axes.set_title("Plain nets" if kind == "plain" else "Residual nets")
            axes.set_xlabel("epoch")
            axes.grid(axis="y")
            axes.legend(frameon=False)
        panels[0].set_ylabel("training loss")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--name", default="degradation", help="of the results (default: degradation)")
    args = parser.parse_args()
    found = libraries(False)
    file = RESULTS / f"{args.name}.json"
    results = json.loads(file.read_text()) if file.exists() else {"runs": []}
    for seed in args.seeds:
        for net in NETS:
            wanted = {"net": net, "seed": seed, "images": args.images, "epochs": args.epochs}
            if any(wanted.items() <= row.items() for row in results["runs"]):
                continue
            print(f"\n{net}, seed {seed}", flush=True)
            results["runs"].append(run(net, args.images, args.epochs, seed))
            results["machine"] = f"{machine(found)}, {date.today().isoformat()}"
            file.write_text(json.dumps(results, indent=1) + "\n")
    chosen = [row for row in results["runs"] if (row["images"], row["epochs"]) == (args.images, args.epochs)]
    file.with_suffix(".md").write_text(table(chosen) + "\n")
    print(table(chosen))
    draw(chosen, file.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
