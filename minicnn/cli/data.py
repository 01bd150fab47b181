"""`minicnn data`: the datasets: which there are, fetch one, check a folder."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from .arguments import Commands, UsageError, add_data, command
from .console import DONE, FAILED


def add_command(commands: Commands) -> None:
    """Define the command and its three parts."""
    one = commands.add_parser("data", help="Datasets: which there are, fetch one, check a folder.", allow_abbrev=False)
    parts = one.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = command(parts, "list", list_datasets)
    add_data(listing)
    getting = command(parts, "get", get)
    getting.add_argument("name", metavar="NAME", help="the dataset, as `minicnn data list` names it")
    add_data(getting)
    checking = command(parts, "check", check)
    checking.add_argument("folder", metavar="DIR", help="the folder")
    checking.add_argument("--dataset", metavar="NAME", help="look for this dataset only")


def list_datasets(options: argparse.Namespace) -> int:
    """List the datasets, their size, and which of them are there."""
    from ..datasets.checking import found_in
    from ..datasets.registry import TABLE

    folder = _folder(options)
    rows = [("name", "images", "size", "classes", "download", "there")]
    for name, entry in TABLE.items():
        size = f"{entry.channels}x{entry.side}x{entry.side}"
        there = "bundled" if not entry.needs_files else "yes" if found_in(folder, entry) else "no"
        rows.append((name, f"{entry.train:,} + {entry.test:,}", size, str(entry.classes), _download(entry), there))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    where = f"looked for in {folder}" if folder else "no folder given: pass --data DIR or set MINICNN_DATA"
    print(f"\n{where}\nYour own images, a folder for each class: minicnn train MODEL --dataset folder:PATH")
    return DONE


def _download(entry: object) -> str:
    """The bytes to fetch, as text."""
    sizes = [one.checksum.size for one in getattr(getattr(entry, "dataset", None), "sources", ())]
    known = sum(size or 0 for size in sizes)
    return "" if not sizes else "?" if not known else f"{known / 1e6:,.0f} MB"


def get(options: argparse.Namespace) -> int:
    """Fetch a dataset, check it, and say what is there."""
    from ..datasets.registry import TABLE, open_dataset
    from ..train.recipes.names import find

    name = find("dataset", options.name, TABLE)
    if not TABLE[name].needs_files:
        print(f"{name} is bundled: there is nothing to fetch")
        return DONE
    folder = _folder(options)
    if folder is None:
        raise UsageError("say where to put it: pass --data DIR, or set the variable MINICNN_DATA")
    for train in (True, False):
        part = open_dataset(name, train, root=folder, download=True)
        print(f"{name}: {len(part):,} {'training' if train else 'test'} images in {part.root}", flush=True)
    return DONE


def check(options: argparse.Namespace) -> int:
    """Say which datasets a folder holds, and which of their files are not the original ones."""
    from ..datasets.checking import check_folder
    from ..datasets.registry import TABLE
    from ..train.recipes.names import find

    name = None if options.dataset is None else find("dataset", options.dataset, TABLE)
    wrong = 0
    for what, good, text in check_folder(Path(options.folder).expanduser(), name):
        print(f"{'ok  ' if good else '??  ' if good is None else 'BAD '} {what}: {text}", flush=True)
        wrong += good is False
    return FAILED if wrong else DONE


def _folder(options: argparse.Namespace) -> Path | None:
    """The folder that --data or the environment names."""
    named = options.data or os.environ.get("MINICNN_DATA")
    return Path(named).expanduser() if named else None
