"""Fetch a file from the first mirror that delivers the right bytes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import IO

from ..serialization.files import Draft, open_regular
from .idx import GZIP_MAGIC
from .vision import DatasetError

__all__ = ["content_matches", "fetch"]

_CHUNK = 1 << 16
_SILENCE = 30.0  # seconds without a byte after which a mirror is given up
_STALE = 3600.0  # seconds after which a partial file is taken for that of a dead process
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}  # another mirror would not help


class _WrongBytes(Exception):
    """The server answered, but not with the file."""


def fetch(urls: Sequence[str], target: Path, sha256: str, size: int) -> None:
    """Put the file that has this SHA-256 and this size in bytes, both of its uncompressed content, at `target`.

    Mirrors may serve the file gzipped; the uncompressed content is checked and kept. It is written to a hidden file
    beside the target, checked, flushed to the disk and renamed, so that `target` is always complete. A file that is
    there already is kept as `.bad`. After a failure the next mirror is tried. Ctrl-C ends the transfer and leaves
    no file.

    Raises:
        DatasetError: no mirror delivered the file; the message says what happened at each of them.
        OSError: the target's folder cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    failures = []
    for url in urls:
        with Draft(target) as draft:
            try:
                _transfer(url, draft.file, sha256, size)
                draft.write([])
            except (_WrongBytes, HTTPException, OSError, ValueError, zlib.error) as error:
                if isinstance(error, OSError) and error.errno in _DISK:
                    raise
                failures.append(f"  {url}: {error or type(error).__name__}")
                continue
            _put_aside(draft.target)
            draft.publish()
            draft.sync()
            return
    raise DatasetError(
        f"{target.name} could not be downloaded:\n" + "\n".join(failures) + f"\nPut the file into {target.parent} by "
        "hand (gzipped or not), or set MINICNN_DATA to a folder that has it; minicnn.datasets.Digits needs no download"
    )


def content_matches(path: Path, sha256: str, size: int) -> bool:
    """True if the file, gzipped or not, has the content with this SHA-256 and size."""
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            for piece in _content(iter(lambda: file.read(_CHUNK), b""), size):
                digest.update(piece)
    except (_WrongBytes, OSError, zlib.error):
        return False
    return digest.hexdigest() == sha256


def _content(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The uncompressed content of a stream, gzipped or not. It must have `size` bytes, and no more are unpacked."""
    unpacker, total = None, 0
    for position, chunk in enumerate(chunks):
        if position == 0 and chunk.startswith(GZIP_MAGIC):
            unpacker = zlib.decompressobj(wbits=31)  # 31: with gzip's header and checksum
        piece = chunk if unpacker is None else unpacker.decompress(chunk, size - total + 1)
        total += len(piece)
        if total > size:
            raise _WrongBytes(f"more than the {size} bytes of the file")
        yield piece
    if total < size or (unpacker is not None and not unpacker.eof):
        raise _WrongBytes(f"cut off after {total} of {size} bytes")


def _transfer(url: str, file: IO[bytes], sha256: str, size: int) -> None:
    """Write the content behind a URL into `file`, or raise."""
    from urllib.request import Request, urlopen

    from tqdm import tqdm

    def chunks() -> Iterator[bytes]:
        chunk = response.read(_CHUNK)
        if chunk.lstrip()[:1] == b"<":
            raise _WrongBytes("a web page instead of the file")
        while chunk:
            yield chunk
            chunk = response.read(_CHUNK)

    digest = hashlib.sha256()
    name = url.rpartition("/")[2]
    with (
        urlopen(Request(url, headers={"User-Agent": "minicnn"}), timeout=_SILENCE) as response,
        tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=None) as progress,  # None: only on a terminal
    ):
        for piece in _content(chunks(), size):
            digest.update(piece)
            file.write(piece)
            progress.update(len(piece))
    if digest.hexdigest() != sha256:
        raise _WrongBytes(f"wrong content: SHA-256 {digest.hexdigest()} instead of {sha256}")


def _put_aside(target: Path) -> None:
    """Keep a file that is about to be replaced."""
    if target.exists():
        number = 0
        while (aside := target.with_name(f"{target.name}.bad{number or ''}")).exists():
            number += 1
        os.replace(target, aside)


def _sweep(target: Path) -> None:
    """Delete partial files of killed downloads, under the names that earlier versions gave them."""
    for stale in target.parent.glob(f"{target.name}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - stale.stat().st_mtime > _STALE:
                stale.unlink()
