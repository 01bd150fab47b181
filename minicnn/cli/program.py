"""The program `minicnn`: it runs one command, and every error is one line."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from . import (
    bench,
    compare,
    console,
    data,
    docs,
    doctor,
    eval,
    exercise,
    explain,
    models,
    plot,
    predict,
    recipes,
    robustness,
    summary,
    train,
    warmup,
)
from .arguments import Parser, UsageError
from .console import FAILED, INTERRUPTED, USAGE, one_line, say

COMMANDS = (
    train,
    recipes,
    compare,
    eval,
    predict,
    robustness,
    data,
    models,
    summary,
    explain,
    exercise,
    plot,
    warmup,
    bench,
    doctor,
    docs,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C.

    A training that diverged is a failure, and so is a trained net that could not be saved or whose figures could not be
    drawn.

    An error is one line on stderr that says what to do. With MINICNN_DEBUG=1 in the environment, its traceback is
    printed too.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with console.any_console():
        code, options, said = FAILED, None, False
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
            said = isinstance(error, OSError) and error.filename is None  # a file has a name, the output has none
        return code if console.finish(said) else code or FAILED


def _parser() -> argparse.ArgumentParser:
    from ..version import __version__

    parser = Parser(
        prog="minicnn", description="Train convolutional nets and look into them.", allow_abbrev=False,
        epilog="With no arguments, `minicnn train` trains LeNet-5 on the bundled digits, offline, in seconds.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"minicnn {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_command(commands)
    return parser


def _usage_errors() -> tuple[type[Exception], ...]:
    from ..train import SettingError

    return UsageError, SettingError
