"""`minicnn summary`: the table of a net's layers."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .arguments import Commands, UsageError, add_output, command, natural, positive, shape
from .console import DONE

SUFFIXES = {".txt": "text", ".md": "markdown", ".csv": "csv", ".json": "json", ".html": "html", ".htm": "html"}


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "summary", summary)
    one.add_argument("model", metavar="MODEL", help="the net; upper and lower case do not matter")
    one.add_argument("--input", type=shape, metavar="C,H,W", help="the shape of an image (default: the model's own)")
    one.add_argument("--num-classes", type=positive(int), metavar="N", help="outputs (default: the model's own)")
    one.add_argument(
        "--option", type=_option, action="append", default=[], metavar="NAME=VALUE",
        help="an argument of the model, such as dropout=0; several times for several",
    )  # fmt: skip
    one.add_argument(
        "--format", choices=sorted(set(SUFFIXES.values())),
        help="how the table is written (default: that of the file's name, else text)",
    )  # fmt: skip
    one.add_argument("--depth", type=natural, metavar="N", help="show modules down to this depth (default: all)")
    one.add_argument("--verbose", action="store_true", help="show all columns and functions")
    add_output(one, "write the table to a file instead of the terminal")


def _option(text: str) -> tuple[str, Any]:
    """NAME=VALUE, with a value of JSON, or else a text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as dropout=0.5")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _format(output: str | None) -> str:
    """The format that the ending of a file's name says; text without an ending."""
    suffix = Path(output or "").suffix.lower()
    if suffix and suffix not in SUFFIXES:
        raise UsageError(
            f"--output {output}: no format has the ending {suffix}; use one of {', '.join(SUFFIXES)}, or give --format"
        )
    return SUFFIXES.get(suffix, "text")


def summary(options: argparse.Namespace) -> int:
    """Print a model's layers: shapes, parameters, MACs, FLOPs, memory and receptive fields, without computing them."""
    from .. import ShapeError, device, train
    from ..analysis import summary as table
    from ..models.registry import MODELS

    format = options.format or _format(options.output)
    chosen = dict(options.option) | ({"num_classes": options.num_classes} if options.num_classes else {})
    try:
        with device("meta"):
            model = train.build_model(options.model, chosen)
    except TypeError as error:
        raise UsageError(f"{options.model} does not take these options: {error}") from error
    size = options.input or MODELS[options.model.lower()].input_size
    failure = None
    try:
        found = table(model, size, depth=options.depth, verbose=False)
    except ShapeError as error:
        failure, found = error, error.summary  # type: ignore[attr-defined]
        if options.output is None and format == "text":
            found.error = "see the error."  # the explanation follows on the terminal
    found.depth, found.verbose = options.depth, 2 if options.verbose else 1
    text = found.to(format)
    if options.output is None:
        print(text.removesuffix("\n"))
        sys.stdout.flush()
    else:
        Path(options.output).write_text(text if text.endswith("\n") else text + "\n", encoding="utf-8")
        print(options.output)
    if failure is not None:
        shown = ",".join(map(str, size))
        raise ShapeError(f"{options.model} does not take images of --input {shown} (C,H,W): {failure}") from failure
    return DONE
