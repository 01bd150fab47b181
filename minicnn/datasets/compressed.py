"""Compressed files as streams, of which no more is unpacked than is read: gzip, bzip2 and xz.

They are told by their first bytes. A few kilobytes can unpack to gigabytes, so whoever reads such a stream asks for as
many bytes as the file should hold.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..serialization.files import open_regular
from .vision import DatasetError

__all__ = ["DAMAGED", "GZIP_MAGIC", "opened", "unpacked"]

GZIP_MAGIC, BZIP2_MAGIC, XZ_MAGIC = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)  # what compressed data raise that are damaged
_CHUNK = 1 << 16
_MEMORY = 1 << 27  # bytes that unpacking xz may need; a hostile header asks for 4 GB


class _Unpacked:
    """The content of a bzip2 or xz file, whose streams may follow each other."""

    def __init__(self, file: IO[bytes], make: Callable[[], Any]) -> None:
        self._file, self._make, self._unpacker, self._rest = file, make, make(), b""

    def read(self, size: int) -> bytes:
        """`size` bytes, or those that are left."""
        out = bytearray()
        while len(out) < size:
            if self._unpacker.eof:
                self._rest = self._unpacker.unused_data or self._file.read(_CHUNK)
                if not self._rest:
                    break
                self._unpacker = self._make()
            elif self._unpacker.needs_input and not self._rest:
                self._rest = self._file.read(_CHUNK)
                if not self._rest:
                    raise EOFError("cut off")
            try:
                out += self._unpacker.decompress(self._rest, size - len(out))
            except (OSError, ValueError) as error:  # of bz2, which has no error of its own
                raise EOFError(str(error)) from error
            self._rest = b""
        return bytes(out)


def unpacked(file: IO[bytes]) -> Any:
    """The content of an open file: an object with `read(size)`. What is not compressed is read as it is."""
    start = file.read(len(XZ_MAGIC))
    file.seek(-len(start), 1)
    if start.startswith(GZIP_MAGIC):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if start.startswith(BZIP2_MAGIC):
        return _Unpacked(file, bz2.BZ2Decompressor)
    if start == XZ_MAGIC:
        return _Unpacked(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY))
    return file


@contextmanager
def opened(path: Path, remedy: str) -> Iterator[Any]:
    """The content of a file, to read with `read(size)`.

    Raises:
        DatasetError: it cannot be read, or, also while it is read, its compressed data are damaged. The message ends
            with `remedy`.
    """
    try:
        with open_regular(path) as file:
            yield unpacked(file)
    except DAMAGED as error:
        raise DatasetError(f"{path}: damaged or cut off compressed data ({error}); {remedy}") from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error}); check the path and its permissions") from error
