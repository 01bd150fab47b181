"""`minicnn train`: train a net and leave a run folder."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .arguments import Commands, UsageError, add_backend, add_data, add_output, command, every, seed
from .console import DONE, INTERRUPTED, one_line
from .recipe_options import add_recipe, chosen_recipe

if TYPE_CHECKING:
    from ..train import Epoch, Run, Training

# The options that say what to train, and which a training that is continued has already.
SETTINGS = (
    "dataset", "recipe", "settings", "epochs", "batch_size", "lr", "val", "workers", "device", "seed", "backend",
    "output", "overwrite",
)  # fmt: skip


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
        metavar="N",
        help="the seed of weights, order and augmentation (default: 0)",
    )
    add_backend(one)
    add_output(one, "the run folder (default: runs/<model>-<dataset>-<time>)", "DIR")
    one.add_argument("--overwrite", action="store_true", help="replace the run in the folder")
    one.add_argument("--resume", metavar="RUN", help="continue the training of this run folder, exactly where it was")
    one.add_argument(
        "--checkpoint-every",
        type=every,
        default="60s",
        metavar="N",
        help="save everything after so many steps, such as 100, or in such times, such as 30s or 5m; and after each "
        "epoch (default: %(default)s)",
    )
    one.add_argument(
        "--tensorboard",
        metavar="DIR",
        help="also write the curves into this folder, for TensorBoard (needs tensorboardX)",
    )
    one.add_argument("--quiet", action="store_true", help="no progress bar")
    one.add_argument(
        "--detect-anomaly", action="store_true", help="stop at the first NaN and name its layer; this is slower"
    )


def train(options: argparse.Namespace) -> int:
    """Train a net and leave a run folder."""
    from .. import train as training
    from ..autograd import AnomalyError

    session = _session(options)
    run = session.folder or session.prepare(
        options.output, overwrite=options.overwrite, command=options.command_line
    )  # fmt: skip
    _announce(session)
    with training.telling(lambda: _left(run)), _curves(options.tensorboard) as after_epoch:
        with training.Interrupt(run.saved) as stop:
            try:
                session.run(
                    checkpoint_every=options.checkpoint_every, stop=stop, anomaly=options.detect_anomaly,
                    progress=not options.quiet, after_epoch=after_epoch,
                )  # fmt: skip
            except (training.DivergedError, AnomalyError) as error:
                raise type(error)(f"{error}. {_last_good(run)}") from error
            if run.config["interrupted"]:
                step, epochs = run.config["step"], run.config["epochs_finished"]
                where = f"in epoch {epochs + 1} after step {step}" if step else f"after epoch {epochs}"
                print(f"minicnn: interrupted {where}; {_go_on(run)}", file=sys.stderr)
                return INTERRUPTED
        if stop():
            raise KeyboardInterrupt
        return _finish(run, session)


@contextmanager
def _curves(folder: str | None) -> Iterator[Callable[[Epoch], None] | None]:
    """What is called after each epoch: it writes the results for TensorBoard, if they are wanted."""
    if folder is None:
        yield None
        return
    from ..train import log_epoch
    from ..utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:

        def log(row: Epoch) -> None:
            log_epoch(writer, row)
            writer.flush()  # a training that is killed keeps its curves

        yield log


def _session(options: argparse.Namespace) -> Training:
    """A new training, or the one that is continued."""
    from ..train import Training

    if options.resume is None:
        return Training(
            chosen_recipe(options, options.data), seed=options.seed or 0, backend=options.backend or "auto",
            root=options.data, download=options.download,
        )  # fmt: skip
    values = {name: getattr(options, name, None) for name in SETTINGS}
    given = [name for name, value in values.items() if not (value is None or value is False or value == [])]
    if given or options.model is not None:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given) or "MODEL"
        raise UsageError(f"--resume continues with the settings of the run; leave out {names}")
    return Training.resume(options.resume, root=options.data, download=options.download)


def _announce(session: Training) -> None:
    recipe, sizes = session.recipe, [f"{len(session.train_set):,} images to train"]
    if session.val_set is not None and session.val_set is not session.test_set:
        sizes.append(f"{len(session.val_set):,} to validate")
    parameters = sum(parameter.numel() for parameter in session.model.parameters())
    print(
        f"{recipe.model} ({parameters:,} parameters) on {recipe.dataset}: {', '.join(sizes)}, "
        f"{len(session.test_set):,} to test; recipe {recipe.name!r}, seed {session.seed}",
        flush=True,
    )
    done, step = session.progress.history, session.progress.running.batches
    if done or step:
        print(f"Continued after epoch {len(done)}" + (f" and {step} steps" if step else ""), flush=True)
    for note in recipe.notes:
        print(f"Note: {note}", flush=True)


def _last_good(run: Run) -> str:
    """A sentence that says what is left after a training that diverged."""
    if not _has_checkpoint(run):
        return "No checkpoint had been saved"
    return f"The last good checkpoint is that after {run.saved_at()}, in {run.folder}"


def _left(run: Run) -> str:
    """A sentence that says what is saved, and how to continue if that is possible."""
    return f"{run.saved()}; {_continued_by(run)}" if _has_checkpoint(run) else run.saved()


def _go_on(run: Run) -> str:
    """A sentence that says how to continue a training."""
    return _continued_by(run) if _has_checkpoint(run) else f"no checkpoint is saved yet in {run.folder}"


def _continued_by(run: Run) -> str:
    return f"continue with `minicnn train --resume {shlex.quote(str(run.folder))}`"


def _has_checkpoint(run: Run) -> bool:
    from ..train.runs.run import CHECKPOINT

    return (run.folder / CHECKPOINT).exists()


def _finish(run: Run, session: Training) -> int:
    """Draw the figures of a trained and saved net, and say where everything is."""
    from ..train import RunError
    from ..visualize import draw
    from ..visualize.net import has_overview

    try:
        files = draw(run, data=session.root)
    except BrokenPipeError:
        raise
    except Exception as error:
        raise RunError(
            f"{run.saved()}, but its figures could not be drawn: {one_line(error)}; fix this, and draw them with "
            f"`minicnn plot curves {shlex.quote(str(run.folder))}`"
        ) from error
    _report(run, [file.name for file in files])
    folder, shown = shlex.quote(str(run.folder)), has_overview(session.model)
    print(f"Look at it: minicnn eval {folder}" + (f"; minicnn plot overview {folder}" if shown else ""))
    return DONE


def _report(run: Run, figures: list[str]) -> None:
    """Print how good the net is, where the run is, and what is in it."""
    found = run.results()
    test, judged = found["test"], found["validation"]
    why = f", the best on the validation images ({judged['top1']:.2%})" if judged else ""
    if run.config.get("ended"):
        print(f"Ended by {run.config['ended']}")
    print(f"Test accuracy {test['top1']:.2%} with the net of epoch {found['epoch']}{why}")
    print(f"Run folder {run.folder}")
    print("  config.json        all settings, the seed, versions: enough to repeat the run")
    print("  metrics.csv        loss, accuracy and speed of each epoch")
    print(f"  model.safetensors  the {run.config['model']['parameters']:,} parameters after epoch {found['epoch']}")
    print("  results.json       the results on the test set")
    print(f"  {', '.join(figures)}")
