"""`minicnn compare`: several nets or recipes under the same conditions, with several seeds."""

from __future__ import annotations

import argparse
import csv
import io
import math
import re
import statistics
import sys
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Commands, UsageError, add_backend, add_data, add_output, command, positive
from .console import DONE, INTERRUPTED

if TYPE_CHECKING:
    from ..train import Comparison, Recipe, Run

HEAD = ("net", "parameters", "MACs", "epochs", "validation", "test", "sd", "range", "images/s", "time")


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "compare", compare)
    one.add_argument(
        "entries", nargs="*", metavar="NET|RECIPE|RUN",
        help="nets, recipes (names, as `minicnn recipes` lists them, or .toml files), or folders of finished runs",
    )  # fmt: skip
    one.add_argument("--dataset", metavar="NAME", help="for all (default: the recipes', or digits)")
    one.add_argument("--seeds", type=positive(int), default=None, metavar="N", help="trainings of each (default: 3)")
    one.add_argument("--budget", type=_seconds, metavar="TIME", help="of each training, such as 90s, 10m or 1h")
    one.add_argument("--epochs", type=positive(int), metavar="N", help="of each training, in place of a budget")
    one.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
        help="a setting for all, such as train_size=1000; may be given several times",
    )  # fmt: skip
    add_data(one)
    one.add_argument("--download", action="store_true", help="fetch missing files of the dataset")
    add_backend(one, "auto")
    add_output(one, "the folder of all results (default: runs/compare-<time>)", "DIR")
    one.add_argument("--resume", metavar="DIR", help="go on with a comparison that was interrupted")
    one.add_argument("--quiet", action="store_true", help="no progress bars")


def compare(options: argparse.Namespace) -> int:
    """Train nets or recipes with the same data, time and seeds, and tell differences from chance."""
    from .. import train

    if options.resume is not None:
        given = [
            name for name in ("dataset", "seeds", "budget", "epochs", "settings", "output") if getattr(options, name)
        ]
        if given or options.entries:
            raise UsageError("--resume continues with the settings of the comparison; leave the others out")
        folder = Path(options.resume).expanduser()
    else:
        if not options.entries:
            raise UsageError("compare needs nets, recipes or runs; see minicnn compare --help")
        folder = Path(options.output or f"runs/compare-{datetime.now():%Y%m%d-%H%M%S}").expanduser()
    shared: dict[str, Any] = {
        "root": options.data, "download": options.download, "tell": lambda text: print(text, flush=True),
        "progress": not options.quiet,
    }  # fmt: skip
    with train.Interrupt(lambda: f"finished trainings are in {folder}") as stop:
        if options.resume is not None:
            found = train.resume_comparison(folder, stop=stop, **shared)
        else:
            entries, count = _entries(options), options.seeds or 3
            if options.budget is not None:
                trained = sum(not isinstance(one, train.Run) for one in entries.values())
                total, each = _time(options.budget * count * trained), _time(options.budget)
                print(f"About {total} in all: {each} for each seed and entry; seeds: {count}, entries: {trained}")
            found = train.compare(
                entries, folder, seeds=range(count), budget=options.budget, epochs=options.epochs,
                backend=options.backend or "auto", stop=stop, **shared,
            )  # fmt: skip
    if found.rows:
        _report(found, folder)
    if not found.complete:
        print(f"minicnn: interrupted; go on with `minicnn compare --resume {folder}`", file=sys.stderr)
        return INTERRUPTED
    return DONE


def _seconds(text: str) -> float:
    """A time such as 90s, 10m or 1h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h)", text.strip())
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 10m or 1h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _entries(options: argparse.Namespace) -> dict[str, Recipe | Run]:
    """What the user named, by names that differ."""
    from .. import train
    from ..train.recipes.names import MODELS
    from ..train.recipes.reading import is_file_name
    from ..train.runs.run import CONFIG

    changes = train.settings_of(options.settings)
    models = {name.lower() for name in MODELS}
    runs = {one: train.Run.open(one) for one in options.entries if (Path(one) / CONFIG).is_file()}
    recipes = {
        one: _recipe(one, options.dataset, changes)
        for one in options.entries
        if one not in runs and (is_file_name(one) or one.lower() not in models)
    }
    known = [run.config["dataset"]["name"] for run in runs.values()] + [recipe.dataset for recipe in recipes.values()]
    dataset = options.dataset or (known[0] if known else None)
    found: dict[str, Recipe | Run] = {}
    for one in options.entries:
        name = Path(one).resolve().name if one in runs else Path(one).stem if is_file_name(one) else one
        while name in found:
            name += "'"
        found[name] = runs.get(one) or recipes.get(one) or train.find_recipe(one, dataset, None, changes)
    return found


def _recipe(name: str, dataset: str | None, changes: dict[str, Any]) -> Recipe:
    """The recipe with a name, or of a file."""
    from .. import train
    from ..train.recipes.names import MODELS, UnknownNameError, find

    try:
        return train.find_recipe(None, dataset, name, changes)
    except UnknownNameError as error:
        if str(error).startswith("unknown recipe"):
            there = "`minicnn models` and `minicnn recipes` list those there are"
            find("net, recipe or run", name, [*MODELS, *train.RECIPES], there)
        raise


def _report(found: Comparison, folder: Path) -> None:
    """Print the table and what follows; write it as Markdown, the trainings as CSV, and the picture."""
    from ..serialization.files import write_atomically
    from ..train import Compared, differences
    from ..visualize import compared

    table = [HEAD, *(_row(found, name) for name in found.names)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEAD))]
    for row in table:
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))))
    said = [one.sentence() for one in differences(found)]
    chance = _chance(found)
    said += [chance] if chance else []
    said += list(found.notes)
    print("\n" + "\n".join(said), flush=True)
    lines = ["| " + " | ".join(row) + " |" for row in table]
    lines.insert(1, "|---" * len(HEAD) + "|")
    text = "\n".join([*lines, "", *(f"- {one}" for one in said), "", "![curves](comparison.png)", ""])
    write_atomically(folder / "comparison.md", text.encode())
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = [one.name for one in fields(Compared) if one.name != "curve"]
    writer.writerow(columns)
    writer.writerows([getattr(row, name) for name in columns] for row in found.rows)
    write_atomically(folder / "comparison.csv", stream.getvalue().encode())
    files = "comparison.md, .csv, .json"
    if len(found.names) <= 8:
        compared(found, out=folder / "comparison.png")
        files += ", .png"
    print(f"{folder}: {files}")


def _row(found: Comparison, name: str) -> tuple[str, ...]:
    """The cells of an entry."""
    rows = found.of(name)
    _, parameters, macs = found.costs[name]
    good = [row for row in rows if not row.diverged]
    tests = [100 * row.test_top1 for row in good]
    validated = [100 * row.val_top1 for row in good if not math.isnan(row.val_top1)]
    epochs = sorted({row.epochs for row in rows})
    speeds = [row.images_per_second for row in rows if not math.isnan(row.images_per_second)]
    lost = f" ({len(rows) - len(good)} diverged)" if len(good) < len(rows) else ""
    return (
        name + lost, f"{parameters:,}", f"{macs:,}" if macs >= 0 else "?",
        f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]}-{epochs[-1]}",
        f"{statistics.fmean(validated):.2f} %" if validated else "-",
        f"{statistics.fmean(tests):.2f} %" if tests else "-",
        f"{statistics.stdev(tests):.2f}" if len(tests) > 1 else "-",
        f"{min(tests):.2f}-{max(tests):.2f}" if len(tests) > 1 else "-",
        f"{statistics.fmean(speeds):,.0f}" if speeds else "-",
        _time(statistics.fmean(row.seconds for row in rows)),
    )  # fmt: skip


def _chance(found: Comparison) -> str:
    """How far the choice of the test images alone may move an accuracy."""
    good = [row.test_top1 for row in found.of(found.names[0]) if not row.diverged]
    if not found.images or not good:
        return ""
    share = statistics.fmean(good)
    error = 2 * math.sqrt(share * (1 - share) / found.images)
    return (
        f"With {found.images:,} test images, other images of the same kind would move an accuracy of {share:.1%} by "
        f"about {100 * error:.2f} points to either side (two standard errors)"
    )
