"""`minicnn train`: train a net and leave a run folder."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Commands, add_backend, add_data, add_output, command, seed
from .console import DONE, INTERRUPTED, one_line
from .recipe_options import add_recipe, chosen_recipe

if TYPE_CHECKING:
    from ..nn import Module
    from ..train import Epoch, Run


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "train", train)
    one.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="the net; upper and lower case do not matter (default: the recipe's, or LeNet5)",
    )
    add_recipe(one)
    add_data(one)
    one.add_argument("--download", action="store_true", help="fetch missing files of the dataset")
    one.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="N",
        help="the seed of weights, order and augmentation (default: %(default)s)",
    )
    add_backend(one, "auto")
    add_output(one, "the run folder (default: runs/<model>-<dataset>-<time>)", "DIR")
    one.add_argument("--overwrite", action="store_true", help="replace the run in the folder")
    one.add_argument("--quiet", action="store_true", help="no progress bar")
    one.add_argument(
        "--detect-anomaly", action="store_true", help="stop at the first NaN and name its layer; this is slower"
    )


def train(options: argparse.Namespace) -> int:
    """Train a net and leave a run folder."""
    import numpy as np

    from .. import manual_seed, use
    from .. import train as training
    from ..autograd import detect_anomaly
    from ..device import resolve
    from ..utils.data import DataLoader

    root = None if options.data is None else str(Path(options.data).expanduser().resolve())
    recipe = chosen_recipe(options, root)
    device = resolve(recipe.device, "train")
    source: dict[str, Any] = {"root": root, "download": options.download}
    train_set = training.build_dataset(recipe.dataset, train=True, steps=recipe.train_transforms, **source)
    test_set = training.build_dataset(recipe.dataset, train=False, steps=recipe.transforms, **source)

    manual_seed(options.seed)
    model = training.build_model(recipe.model, recipe.model_options).to(device)
    optimizer = training.build_optimizer(recipe.optimizer, model, recipe.optimizer_options, recipe.decay)
    loss_fn = training.build_loss(recipe.loss, recipe.loss_options)
    ahead = 2  # batches that a thread makes, so that the net does not wait for them
    train_loader: DataLoader[Any] = DataLoader(train_set, recipe.batch_size, shuffle=True, prefetch_factor=ahead)
    test_loader: DataLoader[Any] = DataLoader(test_set, recipe.eval_batch_size, prefetch_factor=ahead)
    length = (recipe.epochs, len(train_loader), recipe.schedule_every)
    scheduler = training.build_schedule(recipe.schedule, recipe.schedule_options, optimizer, *length)

    circumstances = {"seed": options.seed, "backend": options.backend, "root": root, "command": options.command_line}
    config = training.describe(recipe, model, train_set, test_set, **circumstances)
    run = training.Run.create(options.output, config, overwrite=options.overwrite)
    print(
        f"{recipe.model} ({config['model']['parameters']:,} parameters) on {recipe.dataset}: "
        f"{len(train_set):,} images to train, {len(test_set):,} to test; recipe {recipe.name!r}, seed {options.seed}",
        flush=True,
    )
    for note in recipe.notes:
        print(f"Note: {note}", flush=True)
    anomaly = detect_anomaly() if options.detect_anomaly else nullcontext()
    quietly = np.errstate(over="ignore", invalid="ignore")  # the loop reports a NaN or infinite loss in one line
    with training.telling(run.saved):
        with training.Interrupt(run.saved) as stop, use(backend=options.backend), anomaly, quietly:
            try:
                history = training.train(
                    model, train_loader, test_loader, optimizer, loss_fn, recipe.epochs,
                    progress=not options.quiet, stop=stop, save=lambda history: run.save(model, history),
                    scheduler=scheduler, schedule_every=recipe.schedule_every,
                )  # fmt: skip
            except Exception as error:  # the folder keeps the epochs before it, and its message
                with suppress(OSError):
                    run.note(error=one_line(error))
                raise
            if len(history) < recipe.epochs:
                step = train_loader.state_dict()["step"]
                run.save(model, history, step=step, interrupted=True)
                where = f"in epoch {len(history) + 1} after step {step}" if step else f"after epoch {len(history)}"
                print(f"minicnn: interrupted {where}; the current net is saved in {run.folder}", file=sys.stderr)
                return INTERRUPTED
        if stop():
            raise KeyboardInterrupt
        return _finish(run, model, history, root)


def _finish(run: Run, model: Module, history: list[Epoch], data: str | None) -> int:
    """Draw the figures of a trained and saved net, and say where everything is."""
    from ..train import RunError
    from ..visualize import draw
    from ..visualize.net import has_overview

    try:
        files = draw(run, data=data)
    except BrokenPipeError:
        raise
    except Exception as error:
        raise RunError(
            f"{run.saved()}, but its figures could not be drawn: {one_line(error)}; fix this, and draw them with "
            f"`minicnn plot curves {shlex.quote(str(run.folder))}`"
        ) from error
    _report(run, history, [file.name for file in files])
    folder = shlex.quote(str(run.folder))
    print(f"Look at it: minicnn eval {folder}" + (f"; minicnn plot overview {folder}" if has_overview(model) else ""))
    return DONE


def _report(run: Run, history: list[Epoch], figures: list[str]) -> None:
    """Print how good the net is, where the run is, and what is in it."""
    last, best = history[-1], max(history, key=lambda row: row.test_top1)
    print(f"Test accuracy {last.test_top1:.2%} after epoch {last.epoch}; best {best.test_top1:.2%}, epoch {best.epoch}")
    print(f"Run folder {run.folder}")
    print("  config.json        all settings, the seed, versions: enough to repeat the run")
    print("  metrics.csv        loss, accuracy and speed of each epoch")
    print(f"  model.safetensors  the {run.config['model']['parameters']:,} parameters after the last epoch")
    print(f"  {', '.join(figures)}")
