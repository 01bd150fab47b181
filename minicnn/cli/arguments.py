"""The arguments of the commands: the parser, common options, and converters of the text that the user types."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from ..train import Run

Commands = Any  # the result of `ArgumentParser.add_subparsers`

BACKENDS = ("auto", "python", "numpy", "numba", "cuda", "cupy", "cuda-emulated")


class UsageError(ValueError):
    """A command line whose arguments do not fit together."""


class Parser(argparse.ArgumentParser):
    """A parser that raises an exception instead of printing the usage, so that an error is one line."""

    def error(self, message: str) -> NoReturn:
        """The message of argparse, as an exception."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Write help and version; unlike argparse, raise an error if the output cannot be written."""
        if message and file is not None:
            file.write(message)


def command(commands: Commands, name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
    """The parser of a command, described by the docstring of the function that runs it and returns the exit code."""
    about = (run.__doc__ or "").strip()
    one: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
    one.set_defaults(run=run)
    return one


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the option --data."""
    parser.add_argument(
        "--data", metavar="DIR", help="the folder of the dataset's files (default: the variable MINICNN_DATA)"
    )


def add_backend(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add the option --backend; without `default`, the default is the run's backend."""
    shown = default or "the run's"
    text = f"the backend that computes; cuda and cupy compute on a GPU (default: {shown})"
    parser.add_argument("--backend", choices=BACKENDS, default=default, help=text)


def add_output(parser: argparse.ArgumentParser, text: str, metavar: str = "FILE") -> None:
    """Add the option for what a command writes: -o, --out or --output."""
    parser.add_argument("-o", "--out", "--output", dest="output", metavar=metavar, help=text)


def add_device(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the option --device; `default` says what is taken without it."""
    text = f"cpu, or a GPU: cuda, cuda:1 (default: {default}); `minicnn doctor` shows whether there is one"
    parser.add_argument("--device", type=_device, metavar="NAME", help=text)


def _device(text: str) -> str:
    if re.fullmatch(r"cpu|cuda(:\d+)?", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not cpu, cuda or a number of a GPU, such as cuda:1")
    return text


def positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """A converter of numbers above 0 and below infinity."""

    def convert(text: str) -> Any:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    convert.__name__ = "number" if kind is float else "whole number"  # the name in argparse's message
    return convert


def natural(text: str) -> int:
    """A whole number from 0."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def seed(text: str) -> int:
    """A whole number from 0 that fits in 64 bits."""
    value = natural(text)
    if value >= 2**64:
        raise argparse.ArgumentTypeError(f"{text} does not fit in 64 bits")
    return value


def every(text: str) -> str:
    """A number of steps, or a time such as 30s."""
    from ..train.runs.state import Every

    try:
        Every(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def shape(text: str) -> tuple[int, ...]:
    """Sizes such as "1,32,32"."""
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a shape such as 1,32,32")
    return sizes


def check_data(run: Run, options: argparse.Namespace) -> None:
    """Refuse --data if the run's dataset needs no files."""
    if options.data is not None and run.config["dataset"]["name"] == "digits":
        raise UsageError("this run uses the bundled digits, which take no --data; leave it out")
