"""`minicnn plot`: a figure of a run."""

from __future__ import annotations

import argparse

from .arguments import Commands, UsageError, add_backend, add_data, check_data, command, natural
from .console import DONE

PLOTS = ("curves", "confusion", "errors", "filters", "overview")


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "plot", plot)
    one.add_argument("figure", choices=PLOTS, metavar="FIGURE", help=", ".join(PLOTS))
    one.add_argument("folder", metavar="RUN", help="the folder of a run")
    one.add_argument("--out", metavar="FILE", help="a .png, .svg or .pdf (default: FIGURE.png in the run folder)")
    one.add_argument(
        "--image",
        type=natural,
        default=0,
        metavar="I",
        help="overview: the number of the test image (default: %(default)s)",
    )
    add_data(one)
    add_backend(one)


def plot(options: argparse.Namespace) -> int:
    """Draw a figure of a run."""
    from .. import train
    from ..visualize import draw

    run = train.Run.open(options.folder)
    check_data(run, options)
    try:
        (file,) = draw(
            run, [options.figure], out=options.out, data=options.data, backend=options.backend, image=options.image
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    print(file)
    return DONE
