"""Fetch a file from the first mirror that delivers the right bytes."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from ..serialization.files import Draft, open_regular, sync_folder
from ..serialization.transfer import DISK, Part, WrongBytes
from .compressed import GZIP_MAGIC
from .vision import DatasetError

__all__ = ["Checksum", "content_matches", "fetch", "mismatch", "put_aside"]

_CHUNK = 1 << 16
_LARGEST = 1 << 28  # bytes of a file whose size is not known


class Checksum(NamedTuple):
    """How the right bytes are recognised.

    Attributes:
        size: how many there are; None if that is not known.
        sha256: of the bytes; "" if only their MD5 is published.
        md5: of the bytes, as published. It finds damage, and nobody knows how to make other bytes for an MD5 that is
            given; unlike SHA-256, it is no proof against somebody who makes two files with one MD5.
        packed: True if all this is of the file as it is served, which is kept so; False if it is of the content, which
            mirrors may serve gzipped and which is kept unpacked.
    """

    size: int | None
    sha256: str = ""
    md5: str = ""
    packed: bool = True

    def failure(self, chunks: Iterable[bytes]) -> str:
        """What is wrong with a file's bytes; empty if nothing is."""
        digests = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", "md5") if getattr(self, name)}
        try:
            for piece in content(chunks, self):
                for digest in digests.values():
                    digest.update(piece)
        except (WrongBytes, OSError, zlib.error) as error:
            return str(error) or type(error).__name__
        for name, digest in digests.items():
            if digest.hexdigest() != getattr(self, name):
                label = {"sha256": "SHA-256", "md5": "MD5"}[name]
                return f"wrong content: {label} {digest.hexdigest()} instead of {getattr(self, name)}"
        return ""


def fetch(urls: Sequence[str], target: Path, wanted: Checksum) -> None:
    """Put the file that has this checksum at `target`.

    It is written to `NAME.part` beside the target, checked, flushed to the disk and renamed, so that `target` is always
    complete. A file that is there already is kept as `.bad`. After a failure the next mirror is tried. If the
    connection breaks off, or after Ctrl-C, the bytes so far stay in `NAME.part`, and the next call continues them. If
    several processes fetch the same file, one does and the others wait for it.

    Raises:
        DatasetError: no mirror delivered the file; the message says what happened at each of them.
        OSError: the target's folder cannot be written, or the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    limit = _LARGEST if wanted.size is None else wanted.size + (0 if wanted.packed else 1 << 20)  # gzip's own bytes
    failures = []
    with Part(target) as part:
        if target.is_file() and content_matches(target, wanted):  # by another process, while this one waited
            part.clear()
            return
        complete = part.size > 0 and (not wanted.packed or wanted.size in (None, part.size))
        if complete and not wanted.failure(part.pieces()):
            return _publish(part, target, wanted)
        for url in urls:
            try:
                if part.fill(url, limit, any_version=wanted.packed) and wanted.failure(part.pieces()):
                    part.clear()  # it was of another file
                    part.fill(url, limit)
                if why := wanted.failure(part.pieces()):
                    if not why.startswith("cut off") or part.size == wanted.size:
                        part.clear()
                    failures.append(f"  {url}: {why}")
                    continue
            except (WrongBytes, HTTPException, OSError, ValueError) as error:
                if isinstance(error, OSError) and error.errno in DISK:
                    raise
                failures.append(f"  {url}: {error or type(error).__name__}")
                continue
            return _publish(part, target, wanted)
    raise DatasetError(
        f"{target.name} could not be downloaded:\n" + "\n".join(failures) + f"\nFetch one of these addresses with "
        f"another program or on another machine and put the file into {target.parent} by hand, under the name "
        f"{target.name}{'' if wanted.packed else ' (gzipped or not)'}; or set MINICNN_DATA to a folder that has it; "
        "minicnn.datasets.Digits needs no download"
    )


def _publish(part: Part, target: Path, wanted: Checksum) -> None:
    """Give the bytes, or their content, their name."""
    if wanted.packed:
        put_aside(target)
        part.publish(target)
    else:
        with Draft(target) as draft:
            draft.write(content(part.pieces(), wanted))
            put_aside(draft.target)
            draft.publish()
        part.clear()
    sync_folder(target)


def put_aside(target: Path) -> None:
    """Keep a file that is about to be replaced: it becomes `NAME.bad`."""
    if target.exists():
        number = 0
        while (aside := target.with_name(f"{target.name}.bad{number or ''}")).exists():
            number += 1
        os.replace(target, aside)


def content_matches(path: Path, wanted: Checksum) -> bool:
    """Whether a file has the right bytes or, unless they are `packed`, holds them gzipped or not."""
    return not mismatch(path, wanted)


def mismatch(path: Path, wanted: Checksum) -> str:
    """What is wrong with a file; empty if nothing is."""
    try:
        with open_regular(path) as file:
            return wanted.failure(iter(lambda: file.read(_CHUNK), b""))
    except OSError as error:
        return str(error)


def content(chunks: Iterable[bytes], wanted: Checksum) -> Iterator[bytes]:
    """The content of a stream, uncompressed unless it is packed. No more bytes than its size are unpacked.

    Raises:
        WrongBytes: it has more or fewer bytes.
    """
    unpacker, total = None, 0
    size = _LARGEST if wanted.size is None else wanted.size
    for position, chunk in enumerate(chunks):
        if position == 0 and not wanted.packed and chunk.startswith(GZIP_MAGIC):
            unpacker = zlib.decompressobj(wbits=31)  # 31: with gzip's header and checksum
        piece = chunk if unpacker is None else unpacker.decompress(chunk, size - total + 1)
        total += len(piece)
        if total > size:
            raise WrongBytes(f"more than the {size} bytes of the file")
        yield piece
    if (wanted.size is not None and total < size) or (unpacker is not None and not unpacker.eof):
        raise WrongBytes(f"cut off after {total} of {size} bytes")
