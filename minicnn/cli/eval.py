"""`minicnn eval`: evaluate a trained net on its test set."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from .arguments import Commands, add_backend, add_data, add_device, check_data, command
from .console import DONE

if TYPE_CHECKING:
    from ..train import Run


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "eval", evaluate)
    one.add_argument("folder", metavar="RUN", help="the folder of a run")
    add_data(one)
    add_backend(one)
    add_device(one, "cpu")


def evaluate(options: argparse.Namespace) -> int:
    """Evaluate a trained net on its test set, as at the end of training."""
    from .. import train, use
    from ..device import resolve

    run = train.Run.open(options.folder)
    device = resolve(options.device or "cpu", "eval")
    model, epoch, step = run.model()
    model.to(device)
    if step:
        print(f"minicnn: training was interrupted in epoch {epoch + 1} after step {step}", file=sys.stderr)
    loader = _test_loader(run, options)
    with use(backend=options.backend or run.backend(device)), run.explaining():
        found = train.evaluate(model, loader, run.loss())
    print(f"Eval epoch {epoch + bool(step)}: top-1 accuracy: {found.top1:.2%}")
    print(f"loss: {found.loss:.4f} ; top-5 accuracy: {found.top5:.2%}")
    names = loader.dataset.classes
    width = max(5, *map(len, names))
    print(f"{'class':<{width}}  correct     of  accuracy")
    for name, row, share in zip(
        names, found.confusion.tolist(), train.per_class_accuracy(found.confusion), strict=True
    ):
        correct = row[names.index(name)]
        print(f"{name:<{width}}  {correct:>7,}  {sum(row):>5,}  {share:>8.2%}")
    return DONE


def _test_loader(run: Run, options: argparse.Namespace) -> Any:
    """The run's test set, in batches of the size that the evaluation in training used."""
    from ..utils.data import DataLoader

    check_data(run, options)
    return DataLoader(run.test_set(options.data), batch_size=run.eval_batch)
