"""Chosen files of an archive, member by member: nothing in an archive decides where, or how much, is written or read.

Of a .tar.gz, which can only be read from its start, the chosen files are written to a folder; in a .zip, they are read
where they are.
"""

from __future__ import annotations

import gzip
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..serialization.files import Draft, open_regular
from .compressed import DAMAGED, unpacked
from .download import put_aside
from .vision import DatasetError

__all__ = ["member", "unpack"]

_CHUNK = 1 << 16
_OVERHEAD = 1 << 20  # bytes of headers, padding and small other files that an archive may have besides the members


@contextmanager
def member(archive: Path, name: str) -> Iterator[Any]:
    """The content of a file in a .zip, unpacked also if it is compressed itself: an object with `read(size)`.

    Nothing is written, and no more is unpacked than is read.

    Raises:
        DatasetError: the archive cannot be read or is damaged, lacks the file, has it twice, or encrypted.
    """
    again = "delete it and use download=True"
    try:
        with open_regular(archive) as file, zipfile.ZipFile(file) as packed:
            found = [one for one in packed.infolist() if one.filename == name]
            if len(found) != 1:
                raise DatasetError(f"{archive}: {'has twice' if found else 'lacks'} {name}; {again}")
            with packed.open(found[0]) as stream:
                yield unpacked(stream)
    except DatasetError:
        raise
    except (zipfile.BadZipFile, RuntimeError, ValueError, IndexError, struct.error, *DAMAGED) as error:
        raise DatasetError(f"{archive}: damaged, at {name} ({error}); {again}") from error  # RuntimeError: encrypted
    except OSError as error:
        raise DatasetError(f"{archive}: cannot be read ({error}); check the path and its permissions") from error


class _Bounded:
    """A stream that raises an error after `limit` bytes."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream, self._left, self._limit = stream, limit, limit

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        piece: bytes = self._stream.read(min(size, _CHUNK))
        self._left -= len(piece)
        if self._left < 0:
            raise tarfile.ReadError(f"it unpacks to more than {self._limit:,} bytes")
        return piece


def unpack(archive: Path, members: Mapping[str, tuple[str, int]], folder: Path) -> None:
    """Write members of a .tar.gz into a folder, each under its own name, all of them or none.

    Args:
        archive: the file.
        members: from a member's full name in the archive to the name of the file to write and its size in bytes; a
            negative one is the most that it may have. Other members are passed over: no folder, link or device is ever
            made.
        folder: where to write; it is made. A file that is there already is kept as `.bad`.

    Raises:
        DatasetError: the archive is damaged, lacks a member, has it twice or in another size or kind, or holds much
            more than the members.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    limit = sum(abs(size) for _, size in members.values()) + _OVERHEAD
    drafts: dict[str, Draft] = {}
    try:
        try:
            with open_regular(archive) as file, gzip.GzipFile(fileobj=file, mode="rb") as packed:
                stream: Any = _Bounded(packed, limit)
                with tarfile.open(fileobj=stream, mode="r|") as tar:
                    for member in tar:
                        if (name := member.name.removeprefix("./")) in members:
                            drafts[name] = _copy(tar, member, *members[name], folder, again=name in drafts)
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DatasetError(f"{archive}: damaged ({error}); delete it and use download=True") from error
        if missing := [name for name in members if name not in drafts]:
            raise DatasetError(f"{archive}: lacks {' and '.join(missing)}; delete it and use download=True")
        for draft in drafts.values():
            put_aside(draft.target)
            draft.publish()
        next(iter(drafts.values())).sync()
    finally:
        for draft in drafts.values():
            draft.discard()


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, file: str, size: int, folder: Path, *, again: bool) -> Draft:
    """The content of a member as a draft of `folder / file`."""
    if again or not member.isreg() or (member.size > -size if size < 0 else member.size != size):
        found = "there twice" if again else f"{member.size:,} bytes" if member.isreg() else "not a file"
        wanted = f"at most {-size:,}" if size < 0 else f"{size:,}"
        raise tarfile.ReadError(f"{member.name} is {found}, but should be a file of {wanted} bytes")
    source = tar.extractfile(member)
    assert source is not None  # it is a regular file
    draft = Draft(folder / file)
    try:
        draft.write(iter(lambda: source.read(_CHUNK), b""))
        if draft.file.tell() != member.size:
            raise tarfile.ReadError(f"{member.name} is cut off")
    except BaseException:
        draft.discard()
        raise
    return draft
