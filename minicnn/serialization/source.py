"""The source of a saved file's bytes: a path, or an open file. Its size is found out first."""

from __future__ import annotations

import io
import os
import pickle
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from ..tensor import Array
from .files import naming, open_regular

_CHUNK = 1 << 20


class CheckpointError(RuntimeError):
    """A file that is missing, damaged, or not the expected one. The message names the file and the problem."""


class UntrustedError(CheckpointError, pickle.UnpicklingError):
    """A file that can run any code when it is read. PyTorch: UnpicklingError."""


class Source:
    """The bytes of a file from its current position to its end.

    Args:
        name: the name of the file, for messages.
        stream: the file, open for reading bytes.

    Attributes:
        size: the number of bytes; None for a pipe until `hold` has read it.
    """

    def __init__(self, name: str, stream: Any) -> None:
        self.name, self.stream, self.start, self.size = name, stream, 0, _size(stream)
        if self.size is not None:
            self.start = stream.tell()

    def take(self, count: int) -> bytes:
        """At most `count` bytes, fewer only at the end of the file."""
        pieces = []
        while count > 0 and (piece := self.stream.read(min(count, _CHUNK))):
            if not isinstance(piece, bytes):
                raise TypeError(f"load: {self.name} gives text; open it for reading bytes: open(path, 'rb')")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def hold(self, begun: bytes, count: int) -> None:
        """For a pipe: read after the bytes `begun` until there are `count` bytes and one more, and keep them all."""
        if self.size is None:
            data = begun + self.take(count + 1 - len(begun))
            self.stream, self.size = io.BytesIO(data), len(data)

    def fill(self, array: Array, place: int) -> None:
        """Read the numbers of a C-contiguous array, which begin `place` bytes after the start."""
        self.stream.seek(self.start + place)
        left = array.reshape(-1).view(np.uint8).data  # (bytes,)
        while left:
            if hasattr(self.stream, "readinto"):
                count = self.stream.readinto(left)
            else:
                piece = self.stream.read(min(len(left), _CHUNK))
                count = len(piece)
                left[:count] = piece
            if not count:
                raise CheckpointError(f"{self.name}: cut short while it was read; read it again")
            left = left[count:]


@contextmanager
def opened(f: Any) -> Iterator[Source]:
    """Open the source that the user gives, a path or a file.

    Raises:
        OSError: there is no regular file, or it may not be read.
        TypeError: `f` is neither a path nor a file.
    """
    if isinstance(f, (str, bytes, os.PathLike)):
        name = os.fsdecode(f)
        with naming(name), open_regular(name) as stream:
            yield Source(name, stream)
    elif hasattr(f, "read"):
        yield Source(str(getattr(f, "name", type(f).__name__)), f)
    else:
        raise TypeError(f"load: expected a path or a file open for reading bytes, got {type(f).__name__}")


def _size(stream: IO[bytes]) -> int | None:
    """How many bytes follow; None if that cannot be known, as for pipes."""
    try:
        if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):  # a device reports any size
            return None
    except (AttributeError, OSError):  # a file in memory, or of another kind
        pass
    try:
        here = stream.tell()
        end = stream.seek(0, io.SEEK_END)
        stream.seek(here)
    except (AttributeError, OSError, ValueError):
        return None
    return end - here if isinstance(end, int) else None
