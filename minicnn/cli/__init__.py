"""The command line: a file for each command: train, eval, summary, explain, exercise and others; `program.py` runs one.

Heavy packages are imported inside the functions of the commands. This file and `early_interrupt.py` import almost
nothing, since `import minicnn` begins with them.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; see `program.main`."""
    from . import program

    return program.main(argv)
