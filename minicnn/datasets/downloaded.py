"""Datasets whose files come from the web: where the files are looked for, and how they are fetched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from .archive import unpack
from .download import Checksum, content_matches, fetch
from .vision import ArrayDataset, DatasetError, data_folder

__all__ = ["ArchivedDataset", "DownloadedDataset", "Member", "Source", "choice"]


class Source(NamedTuple):
    """A file that a dataset is made of.

    Attributes:
        name: as it is kept.
        urls: where it can be fetched, the best address first.
        checksum: of the file, or of its content.
        inside: names of files in this archive that may be there instead of it.
    """

    name: str
    urls: tuple[str, ...]
    checksum: Checksum
    inside: tuple[str, ...] = ()


class Member(NamedTuple):
    """A file in an archive: its name, and the checksum of its bytes; where that is not known, the most it may have."""

    name: str
    checksum: Checksum
    most: int = 0


def choice(dataset: str, argument: str, value: Any, known: Iterable[str]) -> str:
    """`value`, which must be one of `known`.

    Raises:
        ValueError: it is not.
    """
    names = tuple(known)
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{dataset}: {argument} must be one of {', '.join(map(repr, names))}, got {value!r}")
    return value


class DownloadedDataset(ArrayDataset):
    """An image dataset in memory whose files come from the web.

    A subclass has `sources`; its `__init__` calls this one, `download` if it is asked to, and then `locate`.
    """

    sources: ClassVar[Sequence[Source]] = ()
    holding: ClassVar[str] = "its files"  # what the folder should hold, for error messages

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        transform: Callable[[Any], Any] | None,
        target_transform: Callable[[Any], Any] | None,
    ) -> None:
        named = data_folder(type(self).__name__, root, self.holding)
        super().__init__(named, transform=transform, target_transform=target_transform)

    def downloads(self) -> Path:
        """Where downloads go."""
        assert self.root is not None
        return self.root

    def folders(self) -> list[Path]:
        """Where files are looked for, the first place first."""
        assert self.root is not None
        name = type(self).__name__
        return [self.root, self.root / name.lower(), self.root / name]

    def find(self, name: str) -> Path | None:
        """The first file of this name in the folders."""
        return next((folder / name for folder in self.folders() if (folder / name).is_file()), None)

    def locate(self, *names: str) -> list[Path]:
        """The files of these names.

        Raises:
            DatasetError: some are missing; the message says where they were looked for, and what to do.
        """
        found = [self.find(name) for name in names]
        if missing := [name for name, path in zip(names, found, strict=True) if path is None]:
            raise DatasetError(f"{type(self).__name__}: {' and '.join(missing)} not found {self._remedies(missing)}")
        return [path for path in found if path is not None]

    def _remedies(self, missing: Iterable[str]) -> str:
        """Where files were looked for, and how to get them."""
        assert self.root is not None
        nothing = "" if self.root.is_dir() else f" (there is no folder {self.root})"
        wanted = [one for one in self.sources if {one.name, *one.inside} & set(missing)] or list(self.sources)
        size = sum(one.checksum.size or 0 for one in wanted)
        megabytes = f" ({size / 1e6:.0f} MB)" if size > 1e6 else ""
        return (
            f"in any of {[str(folder) for folder in self.folders()]}{nothing}. Pass the folder that holds them as root "
            f"or in the environment variable MINICNN_DATA, or use download=True{megabytes}; by hand: put "
            f"{' and '.join(one.urls[0] for one in wanted if one.urls)} there"
        )

    def download(self) -> None:
        """Fetch those of the files that are missing or do not have the original content."""
        self.fetch(self.sources)

    def fetch(self, sources: Iterable[Source]) -> None:
        """Fetch those of these files that are missing or do not have the original content."""
        for one in sources:
            found = self.find(one.name)
            if found is None or not content_matches(found, one.checksum):
                fetch(one.urls, self.downloads() / one.name, one.checksum)


class ArchivedDataset(DownloadedDataset):
    """A dataset whose files come in one .tar.gz, of which they are unpacked into a folder named `base_folder`."""

    base_folder: ClassVar[str] = ""
    members: ClassVar[Sequence[Member]] = ()

    def folders(self) -> list[Path]:
        """Where files are looked for, the first place first."""
        return [folder for place in super().folders() for folder in (place / self.base_folder, place)]

    def together(self, names: Sequence[str]) -> Path:
        """The first folder that has all these files.

        Raises:
            DatasetError: there is none; the message says what the best one lacks, and what to do.
        """
        lacking = {folder: [name for name in names if not (folder / name).is_file()] for folder in self.folders()}
        for folder, missing in lacking.items():
            if not missing:
                return folder
        missing = min(lacking.values(), key=len)
        raise DatasetError(
            f"{type(self).__name__}: {', '.join(missing)} not found {self._hint()}{self._remedies(missing)}, unpacked"
        )

    def _hint(self) -> str:
        """What a folder has instead of the files."""
        return ""

    def download(self) -> None:
        """Fetch the archive and unpack its files, unless all of them are there with the original content."""
        assert self.root is not None
        for folder in self.folders():
            if all((folder / one.name).is_file() for one in self.members) and all(
                one.most or content_matches(folder / one.name, one.checksum) for one in self.members
            ):
                return
        (archive,) = self.sources
        path = self.root / archive.name
        kept = path.is_file() and content_matches(path, archive.checksum)
        if not kept:
            fetch(archive.urls, path, archive.checksum)
        sizes = {one.name: -one.most if one.most else one.checksum.size or 0 for one in self.members}
        unpack(
            path,
            {f"{self.base_folder}/{name}": (name, size) for name, size in sizes.items()},
            self.root / self.base_folder,
        )
        if not kept:
            path.unlink()
