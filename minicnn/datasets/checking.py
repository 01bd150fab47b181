"""Which dataset a folder holds, and whether its files are the original ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .download import Checksum, mismatch
from .downloaded import ArchivedDataset, DownloadedDataset
from .folder import IMG_EXTENSIONS
from .own_images import OwnImages, folder_classes, parts_of
from .registry import TABLE, Entry
from .vision import DatasetError

__all__ = ["Finding", "check_folder", "found_in"]

_DEPTH, _FILES = 4, 20_000  # folders below the given one, and files in them, that are looked at


class Finding(NamedTuple):
    """What was found out about a file or a dataset: `good` is None if nothing is known to compare it with."""

    what: str
    good: bool | None
    text: str


def check_folder(folder: Path, name: str | None = None) -> Iterator[Finding]:
    """What a folder holds, file by file and then dataset by dataset.

    Files are recognised by their names, and compared with the published checksums; those that have none are read.

    Args:
        folder: the folder.
        name: a key of `TABLE`, to look for this dataset only; None: for all, and for images of your own.

    Raises:
        DatasetError: there is no such folder.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: there is no such folder")
    entries = {key: entry for key, entry in TABLE.items() if entry.needs_files and name in (None, key)}
    known = _known(entries)
    recognised = False
    for path in _walk(folder, 0):
        if (sums := known.get(path.name)) is None:
            continue
        recognised = True
        yield _file(path, sums)
    for key, entry in entries.items():
        if (finding := _dataset(folder, key, entry)) is not None:
            recognised = True
            yield finding
    if not recognised and name is None:
        yield from _images(folder)
    elif not recognised:
        yield Finding(str(folder), False, f"nothing of {name} in it; `minicnn data get {name}` fetches it")


def found_in(folder: Path | None, entry: Entry) -> bool:
    """Whether a folder has the files of a dataset; they are not read."""
    if not entry.needs_files:
        return True
    if folder is None:
        return False
    kind = entry.dataset
    assert isinstance(kind, type) and issubclass(kind, DownloadedDataset)
    looking = kind.__new__(kind)
    looking.root = folder
    if issubclass(kind, ArchivedDataset):
        names = [one.name for one in kind.members]
        return any(all((place / name).is_file() for name in names) for place in ArchivedDataset.folders(looking))  # type: ignore[arg-type]
    return any(looking.find(one.name) is not None for one in kind.sources)


def _known(entries: dict[str, Entry]) -> dict[str, list[tuple[str, Checksum]]]:
    """From the name of a file to the datasets that have one of this name, with its checksum."""
    known: dict[str, list[tuple[str, Checksum]]] = {}
    for entry in entries.values():
        kind = entry.dataset
        assert isinstance(kind, type) and issubclass(kind, DownloadedDataset)
        files = [(one.name, one.checksum) for one in kind.sources]
        files += [(one.name, one.checksum) for one in getattr(kind, "members", ()) if not one.most]
        for name, checksum in files:
            names = {name} if checksum.packed else {name, f"{name}.gz"}
            for each in names:
                row = (kind.__name__, checksum)
                if row not in known.setdefault(each, []):
                    known[each].append(row)
    return known


def _file(path: Path, sums: list[tuple[str, Checksum]]) -> Finding:
    """Whether a file is the original one of one of the datasets that have files of this name."""
    faults: list[str] = []
    for dataset, checksum in sums:
        fault = mismatch(path, checksum)
        if not fault:
            which = "SHA-256" if checksum.sha256 else "MD5, the only one that is published,"
            return Finding(str(path), True, f"{dataset}; its {which} is right")
        if dataset.lower() in (part.lower() for part in path.parts):
            faults.insert(0, f"{dataset}: {fault}")
        else:
            faults.append(f"{dataset}: {fault}")
    return Finding(str(path), False, f"not the original of {faults[0]}")


def _dataset(folder: Path, key: str, entry: Entry) -> Finding | None:
    """Whether a dataset can be read from a folder; None if nothing of it is there."""
    counts = []
    for options in (entry.train_options, entry.test_options):
        try:
            counts.append(len(entry.dataset(root=folder, **options)))
        except DatasetError as error:
            if "not found" not in str(error):
                return Finding(key, False, str(error))
            counts.append(0)
    if not any(counts):
        return None
    images = f"{counts[0]:,} training and {counts[1]:,} test images"
    if tuple(counts) == (entry.train, entry.test):
        return Finding(key, True, f"complete: {images}")
    return Finding(key, None, f"{images}; the original has {entry.train:,} and {entry.test:,}")


def _images(folder: Path) -> Iterator[Finding]:
    """Whether a folder holds images with a folder for each class; each is read."""
    if not any(path.suffix.lower() in IMG_EXTENSIONS for path in _walk(folder, 0)):
        yield Finding(str(folder), False, "none of the datasets that `minicnn data list` names, and no images")
        return
    try:
        parts = parts_of(folder).folders
        folder_classes(folder)
    except DatasetError as error:
        yield Finding(str(folder), False, str(error).removeprefix(f"{folder}: "))
        return
    for part in parts:
        try:
            images = OwnImages(part)
        except DatasetError as error:
            yield Finding(str(part), False, str(error))
            continue
        broken = 0
        for path, _ in images.samples:
            try:
                images.loader(path)
            except DatasetError as error:
                broken += 1
                yield Finding(path, False, str(error).removeprefix(f"{path}: "))
        shown = ", ".join(images.classes[:5]) + (" ..." if len(images.classes) > 5 else "")
        text = f"{len(images):,} images of {len(images.classes)} classes ({shown}), {broken} of them unreadable"
        yield Finding(f"folder:{part}", not broken, text)


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """The files below a folder, in the order of their names; not endlessly deep, not endlessly many."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries[:_FILES]:
        if entry.is_file():
            yield Path(entry.path)
        elif entry.is_dir() and depth < _DEPTH:
            yield from _walk(Path(entry.path), depth + 1)
