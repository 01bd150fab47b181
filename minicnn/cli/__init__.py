"""The command `minicnn`: a file a command (train, eval, summary, plot, bench, doctor); `program.py` runs one of them.

Heavy packages load inside the function of a command. This file and `early_interrupt.py` load nothing: `import minicnn`
begins with them.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; see `program.main`."""
    from . import program

    return program.main(argv)
