"""`minicnn robustness`: how a trained net bears changes of its test images."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import (
    Commands,
    UsageError,
    add_backend,
    add_data,
    add_device,
    add_output,
    check_data,
    command,
    positive,
)
from .arguments import seed as whole_seed
from .console import DONE

if TYPE_CHECKING:
    from ..train import Robustness

COLUMNS = ("run", "probe", "level", "unit", "top1", "standard_error", "images")


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "robustness", robustness)
    one.add_argument("folders", nargs="+", metavar="RUN", help="the folder of a run; several are compared")
    one.add_argument("--probes", metavar="NAMES", help="separated by commas, such as shift,rotation (default: all)")
    one.add_argument("--images", type=positive(int), metavar="N", help="only the first N test images (default: all)")
    one.add_argument("--seed", type=whole_seed, default=0, metavar="N", help="of what is drawn (default: %(default)s)")
    add_data(one)
    add_backend(one)
    add_device(one, "cpu")
    add_output(one, "the picture; the table is beside it, as .csv (default: robustness.png in the run folder)")


def robustness(options: argparse.Namespace) -> int:
    """Measure the accuracy of a trained net on test images that are moved, turned, darkened, blurred and more."""
    from .. import train
    from ..train.robustness import PROBES
    from ..visualize import check_format
    from ..visualize import robustness as draw

    given = PROBES if options.probes is None else [name.strip() for name in options.probes.split(",")]
    names = list(dict.fromkeys(given))
    if unknown := [name for name in names if name not in PROBES]:
        raise UsageError(f"--probes: there is no {unknown[0]!r}; there are: {', '.join(PROBES)}")
    runs = [train.Run.open(folder) for folder in options.folders]
    out = Path(options.output) if options.output is not None else runs[0].folder / "robustness.png"
    try:
        check_format(out)
    except ValueError as error:
        raise UsageError(str(error)) from error
    found: dict[str, list[Robustness]] = {}
    for run, label in zip(runs, _labels(options.folders), strict=True):
        check_data(run, options)
        found[label] = _probed(run, names, options)
        for one in found[label]:
            _print(label if len(runs) > 1 else "", one, PROBES[one.probe].about)
    rows = [(label, *row) for label, results in found.items() for one in results for row in one.rows()]
    _write(out.with_suffix(".csv"), rows)
    draw(found, out=out, title="Accuracy on changed test images")
    print(f"{out}\n{out.with_suffix('.csv')}")
    return DONE


def _labels(folders: list[str]) -> list[str]:
    """The names of the folders, with a number if two are the same."""
    names = [Path(folder).resolve().name for folder in folders]
    return [
        f"{name} ({names[:place].count(name) + 1})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _probed(run: Any, names: list[str], options: argparse.Namespace) -> list[Robustness]:
    """The results of a run."""
    from .. import use
    from ..device import resolve
    from ..train import robustness as measure

    device = resolve(options.device or "cpu", "robustness")
    model, *_ = run.model()
    model.to(device)
    data = run.test_set(options.data)
    with use(backend=options.backend or run.backend(device)), run.explaining():
        return [measure(model, data, name, images=options.images, seed=options.seed) for name in names]


def _print(label: str, one: Robustness, about: str) -> None:
    """A table of one probe: the levels, and the accuracies below."""
    print(f"{label}{': ' if label else ''}{one.probe} ({one.unit}): {about}")
    print("  " + "".join(f"{level:>9g}" for level in one.levels))
    print("  " + "".join(f"{top1:>9.2%}" for top1 in one.top1))
    sys.stdout.flush()


def _write(file: Path, rows: list[tuple[Any, ...]]) -> None:
    """The table as a CSV file."""
    from ..serialization.files import write_atomically

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, text.getvalue().encode())
