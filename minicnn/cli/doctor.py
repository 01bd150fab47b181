"""`minicnn doctor`: what minicnn runs on, and what slows it down."""

from __future__ import annotations

import argparse

from .arguments import Commands, command
from .console import DONE, FAILED


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "doctor", doctor)
    one.add_argument("--json", action="store_true", help="print JSON, for programs")
    one.add_argument("--quick", action="store_true", help="no measurements, and no compilation of kernels")


def doctor(options: argparse.Namespace) -> int:
    """Report what minicnn runs on, how fast it is, and what slows it down."""
    from ..bench import doctor as examination

    found = examination.examine(measure=not options.quick)
    print(examination.as_json(found) if options.json else examination.as_text(found))
    return FAILED if any(line.verdict == examination.WRONG for line in found) else DONE
