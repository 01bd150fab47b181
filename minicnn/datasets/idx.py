"""The IDX format of the MNIST files: a header, then the numbers.

    byte 0-1   zero
    byte 2     type: 8 uint8, 9 int8, 11 int16, 12 int32, 13 float32, 14 float64
    byte 3     number of dimensions D
    4 D bytes  the sizes, big-endian 32-bit
    rest       the values, big-endian, the last index varying fastest

Files may be compressed by gzip, bzip2 or xz, which is recognised by their first bytes, not by their name.
Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from .compressed import opened
from .vision import DatasetError

__all__ = ["parse_idx", "read_idx"]

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_CHUNK = 1 << 20
_REMEDY = "delete the file and fetch it again (for MNIST: download=True)"


def read_idx(path: str | os.PathLike[str], max_bytes: int = 1 << 30) -> np.ndarray:
    """The array in an IDX file, compressed or not, in the machine's byte order.

    At most as many bytes as the header announces are decompressed and held, and never more than `max_bytes`.

    Raises:
        DatasetError: the file is missing or unreadable, is no IDX file, is cut off or too long, has damaged compressed
            data, or announces more than `max_bytes`.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:  # 0x08: uint8, 1 axis; of 3 numbers
    ...     _ = Path(folder, "labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     print(minicnn.datasets.read_idx(folder + "/labels-idx1-ubyte"))
    [7 2 1]
    """
    path = Path(path)
    with opened(path, _REMEDY) as stream:
        return parse_idx(path, stream, max_bytes)


def parse_idx(path: Path | str, stream: Any, max_bytes: int) -> np.ndarray:
    """The array of a stream with `read(size)`; `path` says in errors what it is. See `read_idx`."""
    header = stream.read(4)
    if len(header) < 4 or header[:2] != b"\0\0" or header[2] not in _TYPES or not 1 <= header[3] <= 8:
        start = header.hex(" ") or "(none)"
        raise DatasetError(f"{path}: not an IDX file, it starts with the bytes {start}; {_REMEDY}")
    dtype = np.dtype(_TYPES[header[2]])
    sizes = stream.read(4 * header[3])
    if len(sizes) < 4 * header[3]:
        raise DatasetError(f"{path}: cut off in the header, {4 + len(sizes)} of {4 + 4 * header[3]} bytes; {_REMEDY}")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    expected = math.prod(shape) * dtype.itemsize
    if expected > max_bytes or math.prod(size or 1 for size in shape) > max_bytes:  # NumPy refuses huge axes, too
        raise DatasetError(
            f"{path}: its header announces {shape}, {expected} bytes; the limit is {max_bytes}; {_REMEDY}"
        )
    body = bytearray()  # grows with the bytes that are in the file, whatever the header says
    while len(body) < expected and (chunk := stream.read(min(_CHUNK, expected - len(body)))):
        body += chunk
    rest = stream.read(1)
    if len(body) != expected or rest:
        found = f"more than {expected}" if rest else str(len(body))
        raise DatasetError(
            f"{path}: its header announces {shape} of {dtype.itemsize} bytes = {expected} bytes, found {found}; "
            f"{_REMEDY}"
        )
    return np.frombuffer(body, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
