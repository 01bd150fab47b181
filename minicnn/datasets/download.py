"""Fetch a file from the first mirror that delivers the right bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import IO

from ..serialization.download import DISK, WrongBytes, response
from ..serialization.files import Draft, open_regular
from .idx import GZIP_MAGIC
from .vision import DatasetError

__all__ = ["content_matches", "fetch", "put_aside"]

_CHUNK = 1 << 16
_STALE = 3600.0  # seconds after which a partial file is taken for that of a dead process


def fetch(urls: Sequence[str], target: Path, sha256: str, size: int, *, packed: bool = False) -> None:
    """Put the file that has this SHA-256 and this size in bytes, both of its uncompressed content, at `target`.

    Mirrors may serve the file gzipped; the uncompressed content is checked and kept. With `packed`, as for an archive,
    hash and size are those of the file as it is served, which is kept as it is. It is written to a hidden file beside
    the target, checked, flushed to the disk and renamed, so that `target` is always complete. A file that is
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
                _transfer(url, draft.file, sha256, size, packed)
                draft.write([])
            except (WrongBytes, HTTPException, OSError, ValueError, zlib.error) as error:
                if isinstance(error, OSError) and error.errno in DISK:
                    raise
                failures.append(f"  {url}: {error or type(error).__name__}")
                continue
            put_aside(draft.target)
            draft.publish()
            draft.sync()
            return
    raise DatasetError(
        f"{target.name} could not be downloaded:\n" + "\n".join(failures) + f"\nPut the file into {target.parent} by "
        "hand (gzipped or not), or set MINICNN_DATA to a folder that has it; minicnn.datasets.Digits needs no download"
    )


def content_matches(path: Path, sha256: str, size: int, *, packed: bool = False) -> bool:
    """True if the file, gzipped or not, has the content with this SHA-256 and size; with `packed`, as it is."""
    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            for piece in _content(iter(lambda: file.read(_CHUNK), b""), size, packed):
                digest.update(piece)
    except (WrongBytes, OSError, zlib.error):
        return False
    return digest.hexdigest() == sha256


def _content(chunks: Iterable[bytes], size: int, packed: bool) -> Iterator[bytes]:
    """The content of a stream, uncompressed unless `packed`. It must have `size` bytes, and no more are unpacked."""
    unpacker, total = None, 0
    for position, chunk in enumerate(chunks):
        if position == 0 and not packed and chunk.startswith(GZIP_MAGIC):
            unpacker = zlib.decompressobj(wbits=31)  # 31: with gzip's header and checksum
        piece = chunk if unpacker is None else unpacker.decompress(chunk, size - total + 1)
        total += len(piece)
        if total > size:
            raise WrongBytes(f"more than the {size} bytes of the file")
        yield piece
    if total < size or (unpacker is not None and not unpacker.eof):
        raise WrongBytes(f"cut off after {total} of {size} bytes")


def _transfer(url: str, file: IO[bytes], sha256: str, size: int, packed: bool) -> None:
    """Write the content behind a URL into `file`, or raise."""
    from tqdm import tqdm

    digest = hashlib.sha256()
    name = url.rpartition("/")[2]
    with (
        response(url) as (_, pieces),
        tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=None) as progress,  # None: only on a terminal
    ):
        for piece in _content(pieces, size, packed):
            digest.update(piece)
            file.write(piece)
            progress.update(len(piece))
    if digest.hexdigest() != sha256:
        raise WrongBytes(f"wrong content: SHA-256 {digest.hexdigest()} instead of {sha256}")


def put_aside(target: Path) -> None:
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
