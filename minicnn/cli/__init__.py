"""The command `minicnn`: train, eval, summary, plot, bench, doctor. Each is a function; heavy packages load inside."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import bench
from . import console
from .arguments import Parser, UsageError, add_backend, add_data, natural, positive, seed, shape
from .console import one_line, say

if TYPE_CHECKING:
    from ..train import Epoch, Recipe, Run

PLOTS = ("curves", "confusion", "errors", "filters", "overview")
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C.

    Failures are, too, a training that diverged and a trained net that could not be saved, or whose pictures could not.

    An error is one line on stderr that says what to do; with MINICNN_DEBUG=1 in the environment, the traceback too.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with console.any_console():
        code, options = FAILED, None
        try:
            options = _parser().parse_args(arguments)
            options.command_line = shlex.join(["minicnn", *arguments])
            code = int(options.run(options))
        except SystemExit as done:  # --help and --version
            code = int(done.code or 0)
        except KeyboardInterrupt as interrupt:
            say("; ".join(["minicnn: interrupted", *map(str, interrupt.args)]))
            code = INTERRUPTED
        except BrokenPipeError:  # the reader of our output, such as `head`, has gone
            console.drop_output()
            code = FAILED
        except Exception as error:
            if os.environ.get("MINICNN_DEBUG") == "1":
                import traceback

                traceback.print_exc()
            say(f"minicnn: error: {one_line(error, options)}")
            code = USAGE if isinstance(error, _usage_errors()) else FAILED
        return code if console.finish() else code or FAILED


# ------------------------------------------------------------------------------------------------------------- commands


def _train(options: argparse.Namespace) -> int:
    """Train a net and leave a run folder."""
    import numpy as np

    from .. import manual_seed, train, use
    from ..autograd import detect_anomaly
    from ..train.recipes import EVAL_BATCH
    from ..utils.data import DataLoader

    recipe = _recipe(options)
    root = None if options.data is None else str(Path(options.data).expanduser().resolve())
    source: dict[str, Any] = {"root": root, "download": options.download}
    steps = (*recipe.transforms, *recipe.augmentation)
    train_set = train.build_dataset(recipe.dataset, train=True, steps=steps, **source)
    test_set = train.build_dataset(recipe.dataset, train=False, steps=recipe.transforms, **source)

    manual_seed(options.seed)
    model = train.build_model(recipe.model, recipe.model_options)
    optimizer = train.build_optimizer(recipe.optimizer, model, recipe.optimizer_options)
    loss_fn = train.build_loss(recipe.loss)
    train_loader: DataLoader[Any] = DataLoader(train_set, batch_size=recipe.batch_size, shuffle=True)
    test_loader: DataLoader[Any] = DataLoader(test_set, batch_size=EVAL_BATCH)

    circumstances = {"seed": options.seed, "backend": options.backend, "root": root, "command": options.command_line}
    config = train.describe(recipe, model, train_set, test_set, **circumstances)
    run = train.Run.create(options.out, config, overwrite=options.overwrite)
    print(
        f"{recipe.model} ({config['model']['parameters']:,} parameters) on {recipe.dataset}: "
        f"{len(train_set):,} pictures to train, {len(test_set):,} to test; recipe {recipe.name!r}, seed {options.seed}",
        flush=True,
    )
    anomaly = detect_anomaly() if options.detect_anomaly else nullcontext()
    quietly = np.errstate(over="ignore", invalid="ignore")  # the loop says in one line when the loss is lost
    with train.telling(run.saved):
        with train.Interrupt(run.saved) as stop, use(backend=options.backend), anomaly, quietly:
            try:
                history = train.train(
                    model, train_loader, test_loader, optimizer, loss_fn, recipe.epochs,
                    progress=not options.quiet, stop=stop, save=lambda history: run.save(model, history),
                )  # fmt: skip
            except Exception as error:  # the folder keeps the epochs before it, and why there are no more
                with suppress(OSError):
                    run.note(error=one_line(error))
                raise
            if len(history) < recipe.epochs:
                step = train_loader.state_dict()["step"]
                run.save(model, history, step=step, interrupted=True)
                where = f"in epoch {len(history) + 1} after step {step}" if step else f"after epoch {len(history)}"
                print(f"minicnn: interrupted {where}; the net as it is now is in {run.folder}", file=sys.stderr)
                return INTERRUPTED
        if stop():
            raise KeyboardInterrupt
        return _finish(run, history, root)


def _finish(run: Run, history: list[Epoch], data: str | None) -> int:
    """Draw the pictures of a trained and saved net, and say where all of it is."""
    from ..train import RunError
    from ..visualize import draw

    try:
        draw(run, data=data)
    except BrokenPipeError:
        raise
    except Exception as error:
        raise RunError(
            f"{run.saved()}, but its pictures could not be drawn: {one_line(error)}; mend that, and draw them with "
            f"`minicnn plot curves {shlex.quote(str(run.folder))}`"
        ) from error
    _report(run, history)
    return DONE


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe asked for, with the settings that the command line changes."""
    from ..train import find_recipe

    recipe = find_recipe(options.model, options.dataset, options.recipe)
    if options.lr is not None:
        recipe = replace(recipe, optimizer_options={**recipe.optimizer_options, "lr": options.lr})
    changes = {"epochs": options.epochs, "batch_size": options.batch_size}
    return replace(recipe, **{name: value for name, value in changes.items() if value is not None})


def _report(run: Run, history: list[Epoch]) -> None:
    """Where the run is, what is in it, and how good the net is."""
    last, best = history[-1], max(history, key=lambda row: row.test_top1)
    folder = shlex.quote(str(run.folder))
    print(f"Test accuracy {last.test_top1:.2%} after epoch {last.epoch}; best {best.test_top1:.2%}, epoch {best.epoch}")
    print(f"Run folder {run.folder}")
    print("  config.json        all settings, the seed, versions: enough to repeat the run")
    print("  metrics.csv        loss, accuracy and speed of each epoch")
    print(f"  model.safetensors  the {run.config['model']['parameters']:,} parameters after the last epoch")
    print("  curves.png, confusion.png, errors.png, filters.png")
    print(f"Look at it: minicnn eval {folder}; minicnn plot overview {folder}")


def _eval(options: argparse.Namespace) -> int:
    """Judge a trained net on its test set, as at the end of training."""
    from .. import train

    run = train.Run.open(options.folder)
    model, epoch, step = run.model()
    if step:
        print(f"minicnn: training was interrupted in epoch {epoch + 1} after step {step}", file=sys.stderr)
    loader = _test_loader(run, options)
    with _backend(run, options.backend), run.explaining():
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


def _summary(options: argparse.Namespace) -> int:
    """Print a model's layers, output shapes and parameters."""
    from .. import ShapeError, summary, train

    model = train.build_model(options.model)
    try:
        summary(model, options.input)
    except ShapeError as error:
        shape = ",".join(map(str, options.input))
        raise ShapeError(f"{options.model} does not take pictures of --input {shape} (C,H,W): {error}") from error
    return DONE


def _plot(options: argparse.Namespace) -> int:
    """Draw a picture of a run."""
    from .. import train
    from ..visualize import draw

    run = train.Run.open(options.folder)
    _check_data(run, options)
    try:
        (file,) = draw(
            run, [options.picture], out=options.out, data=options.data, backend=options.backend, image=options.image
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    print(file)
    return DONE


def _doctor(options: argparse.Namespace) -> int:
    """Report what minicnn runs on, how fast it is, and what is in the way."""
    from ..analysis import doctor

    found = doctor.examine(measure=not options.quick)
    print(doctor.as_json(found) if options.json else doctor.as_text(found))
    return FAILED if any(line.verdict == doctor.WRONG for line in found) else DONE


def _test_loader(run: Run, options: argparse.Namespace) -> Any:
    """The run's test set, in batches of the size that training judged it in."""
    from ..utils.data import DataLoader

    _check_data(run, options)
    return DataLoader(run.test_set(options.data), batch_size=run.eval_batch)


def _check_data(run: Run, options: argparse.Namespace) -> None:
    if options.data is not None and run.config["dataset"]["name"] == "digits":
        raise UsageError("this run is on the digits, which are bundled and take no --data; leave it out")


def _backend(run: Run, chosen: str | None) -> Any:
    """The backend asked for, or the one the run was trained on."""
    from .. import use

    return use(backend=chosen or run.config["training"]["backend"])


# --------------------------------------------------------------------------------------------------------- command line


def _parser() -> argparse.ArgumentParser:
    from .. import __version__

    parser = Parser(
        prog="minicnn", description="Train convolutional nets and look into them.", allow_abbrev=False,
        epilog="With no arguments, `minicnn train` trains LeNet-5 on the bundled digits, offline, in seconds.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"minicnn {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], among: Any = commands) -> argparse.ArgumentParser:
        about = (run.__doc__ or "").strip()
        one: argparse.ArgumentParser = among.add_parser(name, help=about, description=about, allow_abbrev=False)
        one.set_defaults(run=run)
        return one

    one = command("train", _train)
    one.add_argument(
        "model", nargs="?", default="LeNet5", metavar="MODEL", help="the net, in any case (default: %(default)s)"
    )
    one.add_argument("--dataset", metavar="NAME", help="digits (bundled, the default) or mnist")
    add_data(one)
    one.add_argument("--download", action="store_true", help="fetch missing files of the dataset")
    one.add_argument(
        "--recipe", metavar="NAME", help="the settings to start from, such as course (default: by net and dataset)"
    )
    one.add_argument("--epochs", type=positive(int), metavar="N", help="instead of the recipe's")
    one.add_argument("--batch-size", type=positive(int), metavar="N", help="instead of the recipe's")
    one.add_argument("--lr", type=positive(float), metavar="X", help="the learning rate, instead of the recipe's")
    one.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="of weights, order and augmentation (default: %(default)s)"
    )
    add_backend(one, "auto")
    one.add_argument("--out", metavar="DIR", help="the run folder (default: runs/<model>-<dataset>-<time>)")
    one.add_argument("--overwrite", action="store_true", help="replace the run that is in the folder")
    one.add_argument("--quiet", action="store_true", help="no progress bar")
    one.add_argument("--detect-anomaly", action="store_true", help="stop at the first NaN and name its layer; slower")

    one = command("eval", _eval)
    one.add_argument("folder", metavar="RUN", help="the folder of a run")
    add_data(one)
    add_backend(one)

    one = command("summary", _summary)
    one.add_argument("model", metavar="MODEL", help="the net, in any case")
    one.add_argument(
        "--input", type=shape, default=(1, 32, 32), metavar="C,H,W", help="the shape of a picture (default: 1,32,32)"
    )

    one = command("plot", _plot)
    one.add_argument("picture", choices=PLOTS, metavar="PICTURE", help=", ".join(PLOTS))
    one.add_argument("folder", metavar="RUN", help="the folder of a run")
    one.add_argument("--out", metavar="FILE", help="a .png, .svg or .pdf (default: PICTURE.png in the run folder)")
    one.add_argument(
        "--image", type=natural, default=0, metavar="I", help="overview: which test picture (default: %(default)s)"
    )
    add_data(one)
    add_backend(one)

    about = "Measure how fast a layer is on this machine."
    bench_parser = commands.add_parser("bench", help=about, description=about, allow_abbrev=False)
    layers = bench_parser.add_subparsers(title="layers", metavar="LAYER", required=True)
    bench.add_arguments(partial(command, among=layers))

    one = command("doctor", _doctor)
    one.add_argument("--json", action="store_true", help="for programs")
    one.add_argument("--quick", action="store_true", help="without measurements, and without compiling a kernel")
    return parser


def _usage_errors() -> tuple[type[Exception], ...]:
    from ..train import SettingError

    return UsageError, SettingError
