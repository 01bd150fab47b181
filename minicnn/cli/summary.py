"""`minicnn summary`: the table of a net's layers."""

from __future__ import annotations

import argparse

from .arguments import Commands, command, shape
from .console import DONE


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "summary", summary)
    one.add_argument("model", metavar="MODEL", help="the net; upper and lower case do not matter")
    one.add_argument(
        "--input", type=shape, default=(1, 32, 32), metavar="C,H,W", help="the shape of an image (default: 1,32,32)"
    )


def summary(options: argparse.Namespace) -> int:
    """Print a model's layers, output shapes and parameters."""
    from .. import ShapeError, train
    from ..analysis import summary as table

    model = train.build_model(options.model)
    try:
        table(model, options.input)
    except ShapeError as error:
        shape = ",".join(map(str, options.input))
        raise ShapeError(f"{options.model} does not take images of --input {shape} (C,H,W): {error}") from error
    return DONE
