"""metrics.csv of a run folder: one line per finished epoch, the columns of `Epoch`."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from ...serialization.files import read_text
from ..progress import Epoch
from .config import AGAIN, RunError, reason, shortened

_BEFORE = tuple(name.replace("val_", "test_") for name in Epoch._fields[:7])  # the columns of version 0.1


def history_text(history: Sequence[Epoch]) -> bytes:
    """The content of metrics.csv; floats as their repr, so that nothing is rounded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Epoch._fields)
    writer.writerows(history)
    return text.getvalue().encode()


def read_history(file: Path) -> list[Epoch]:
    """The epochs in a metrics.csv.

    Raises:
        RunError: the file is missing or damaged; the message names the line.
    """
    try:
        lines = list(csv.reader(io.StringIO(read_text(file), newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(f"{file}: cannot be read ({reason(error)}); {AGAIN}") from error
    if not lines or tuple(lines[0]) not in (Epoch._fields, _BEFORE):
        raise RunError(f"{file}: the first line should be {','.join(Epoch._fields)}; {AGAIN}")
    return [_epoch(file, number, line, len(lines[0])) for number, line in enumerate(lines[1:], 1)]


def _epoch(file: Path, number: int, line: list[str], columns: int) -> Epoch:
    """The epoch in line `number` of metrics.csv, not counting the line of names."""
    try:
        if len(line) != columns:
            raise ValueError
        epoch = Epoch(int(line[0]), *(float(cell) for cell in line[1:]))
    except (ValueError, TypeError, IndexError) as error:
        raise RunError(
            f"{file}: line {number + 1} is not {columns} numbers: {shortened(','.join(line))}; {AGAIN}"
        ) from error
    known = {name: value for name, value in epoch._asdict().items() if not _may_lack(epoch, name)}
    shares = all(0 <= value <= 1 for name, value in known.items() if name.endswith("top1"))
    if epoch.epoch != number or not shares or not all(map(math.isfinite, known.values())):
        raise RunError(
            f"{file}: line {number + 1} should be epoch {number}, with finite numbers and accuracies from 0 to 1, got "
            f"{shortened(','.join(line))}; {AGAIN}"
        )
    return epoch


def _may_lack(epoch: Epoch, name: str) -> bool:
    """Whether a value may be NaN: the learning rate of old runs, and both results of a training without validation."""
    both = math.isnan(epoch.val_loss) and math.isnan(epoch.val_top1)
    return (name == "lr" and math.isnan(epoch.lr)) or (name.startswith("val_") and both)
