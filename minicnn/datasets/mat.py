"""Arrays in a MAT-file of version 5, as MATLAB writes it: just what SVHN needs, with a limit on every allocation.

    128 bytes   a text, and at the end 0x0100 and "IM" (or "MI": all numbers are big-endian)
    elements    a tag: type (uint32), bytes (uint32); the bytes; filled up to a multiple of 8
                of up to 4 bytes, all in one: bytes (uint16), type (uint16), the bytes

An element of type 15 is compressed by zlib and holds one of type 14, which is a variable: elements with its class, its
sizes, its name, and its numbers, the first index varying fastest. Numbers may be of a smaller type than the variable.
`scipy.io.loadmat` reads every MAT-file, but believes the sizes in it: a file of a few bytes can ask for gigabytes.
Source: MathWorks, "MAT-File Format", https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..serialization.files import open_regular
from .vision import DatasetError

__all__ = ["read_mat"]

_COMPRESSED, _MATRIX, _INT8, _INT32, _UINT32 = 15, 14, 1, 5, 6
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_COMPLEX = 0x0800
_HEADER = 1 << 10  # bytes of the sizes or of the name of a variable
_CHUNK = 1 << 16


class _DamagedError(Exception):
    """The file is no MAT-file, or not a whole one."""


class _Bytes:
    """`size` bytes of a file, unzipped if they are compressed."""

    def __init__(self, file: IO[bytes], size: int, *, packed: bool = False) -> None:
        self._file, self._left = file, size
        self._unpacker = zlib.decompressobj() if packed else None

    def read(self, size: int) -> bytearray:
        """Exactly `size` bytes; memory grows with those that are there, whatever was announced."""
        out = bytearray()
        while len(out) < size:
            wanted = min(size - len(out), 1 << 20)
            piece = self._packed(wanted) if self._unpacker is not None else self._raw(wanted)
            if not piece:
                raise _DamagedError("cut off")
            out += piece
        return out

    def finish(self) -> None:
        """Nothing may follow; the checksum of compressed bytes is compared."""
        while self._unpacker is not None and not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail or self._raw(_CHUNK)
            if self._unpacker.decompress(packed, 1) or not packed:
                raise _DamagedError("cut off, or too long")

    def _raw(self, size: int) -> bytes:
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece

    def _packed(self, size: int) -> bytes:
        assert self._unpacker is not None
        while not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail or self._raw(_CHUNK)
            piece: bytes = self._unpacker.decompress(packed, size)
            if piece or not packed:
                return piece
        return b""


def read_mat(path: Path, limits: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Variables of a MAT-file, numbers only, each an array in the machine's byte order.

    Args:
        path: the file.
        limits: from the name of a variable to the most bytes that its numbers may have in memory.

    Raises:
        DatasetError: the file cannot be read, is no MAT-file of version 5, is damaged, lacks a variable, or one is
            larger than allowed, complex, or not numbers.
    """
    try:
        with open_regular(path) as file:
            return _variables(file, limits)
    except (_DamagedError, zlib.error) as error:
        raise DatasetError(f"{path}: damaged, or no MAT-file of version 5 ({error})") from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error}); check the path and its permissions") from error


def _variables(file: IO[bytes], limits: Mapping[str, int]) -> dict[str, np.ndarray]:
    head = file.read(128)
    order = {b"IM": "<", b"MI": ">"}.get(head[126:])
    if order is None or int.from_bytes(head[124:126], "little" if order == "<" else "big") != 0x0100:
        raise _DamagedError("its header is another")
    found: dict[str, np.ndarray] = {}
    while set(found) != set(limits):
        tag = file.read(8)
        if not tag:
            raise _DamagedError(f"it lacks the variable {', '.join(sorted(set(limits) - set(found)))}")
        if len(tag) < 8:
            raise _DamagedError("cut off")
        kind, size = np.frombuffer(tag, f"{order}u4").tolist()
        end = file.tell() + size
        if kind == _COMPRESSED:
            stream = _Bytes(file, size, packed=True)
            kind, _ = np.frombuffer(stream.read(8), f"{order}u4").tolist()
        else:
            stream, end = _Bytes(file, size), end + -size % 8
        if kind == _MATRIX and (variable := _variable(stream, order, limits)) is not None:
            stream.finish()
            name, array = variable
            if name in found:
                raise _DamagedError(f"it has the variable {name} twice")
            found[name] = array
        file.seek(end)
    return found


def _variable(stream: _Bytes, order: str, limits: Mapping[str, int]) -> tuple[str, np.ndarray] | None:
    """The name and array of a variable; None if nobody wants it."""
    flags = _numbers(stream, order, {_UINT32}, 8)
    shape = tuple(_numbers(stream, order, {_INT32}, _HEADER).tolist())
    name = bytes(_numbers(stream, order, {_INT8}, _HEADER)).decode("latin-1")
    if name not in limits:
        return None
    if len(flags) != 2 or int(flags[0]) & _COMPLEX or int(flags[0]) & 0xFF not in _CLASSES:
        raise _DamagedError(f"the variable {name} is not made of real numbers")
    dtype = np.dtype(_CLASSES[int(flags[0]) & 0xFF])
    count = math.prod(shape)
    if not shape or min(shape) < 0 or math.prod(max(1, size) for size in shape) * max(8, dtype.itemsize) > 1 << 40:
        raise _DamagedError(f"the variable {name} has the sizes {shape}")
    if count * dtype.itemsize > limits[name]:
        raise _DamagedError(f"the variable {name} has the sizes {shape}, more than {limits[name]:,} bytes")
    values = _numbers(stream, order, set(_NUMBERS), count * 8)
    if len(values) != count:
        raise _DamagedError(f"the variable {name} has the sizes {shape}, but {len(values)} numbers")
    with np.errstate(invalid="ignore"):
        array: Any = values.astype(dtype, copy=False)
    return name, array.reshape(shape, order="F")


def _numbers(stream: _Bytes, order: str, kinds: set[int], most: int) -> np.ndarray:
    """The numbers of an element of one of these types, with at most so many bytes."""
    tag = np.frombuffer(stream.read(8), f"{order}u4")
    kind, size = int(tag[0]), int(tag[1])
    short = kind >> 16
    if short:
        kind, size = kind & 0xFFFF, short
    if kind not in kinds or (short and size > 4) or size > most or size % np.dtype(_NUMBERS[kind]).itemsize:
        raise _DamagedError(f"an element of type {kind} with {size} bytes is in a wrong place")
    if short:
        content: Any = tag.tobytes()[4 : 4 + size]
    else:
        content = stream.read(size)
        if size % 8:
            stream.read(8 - size % 8)
    return np.frombuffer(content, f"{order}{_NUMBERS[kind]}")
