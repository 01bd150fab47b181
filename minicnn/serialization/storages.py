"""The storages in files of `torch.save`: the numbers that tensors are views of; and whether a view fits."""

from __future__ import annotations

import math
import sys
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn_kernels.geometry import counted

from ..dtypes import Size
from ..tensor import Array
from .format import DTYPES, MOST_AXES, widened
from .pickled import Refused
from .source import Source

STORAGES = {  # before "Storage" in the name of a type
    "Float": "F32", "Double": "F64", "Half": "F16", "BFloat16": "BF16", "Long": "I64", "Int": "I32", "Short": "I16",
    "Char": "I8", "Byte": "U8", "Bool": "BOOL", "Untyped": "U8",
}  # fmt: skip

_MOST_REPEATED = 1 << 27  # elements of a tensor that repeats its numbers: a copy of it takes that many


@dataclass(frozen=True, slots=True)
class Kind:
    """Stands for the type of a storage: its name in a pickle, and the name of its type in the safetensors format."""

    name: str
    type: str

    @property
    def untyped(self) -> bool:
        """Whether the storage has bytes, and each tensor says what they are."""
        return self.name == "UntypedStorage"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in memory."""
        return np.dtype(np.float32 if self.type == "BF16" else DTYPES[self.type])

    @property
    def width(self) -> int:
        """The bytes of a number in the file."""
        return 2 if self.type == "BF16" else np.dtype(DTYPES[self.type]).itemsize


class Storage:
    """The numbers that tensors are views of, read from the file when the first of them is made.

    Args:
        kind: their type.
        count: how many there are.
        location: the name of the device on which they were.
    """

    def __init__(self, kind: Kind, count: int, location: str) -> None:
        self.kind, self.count, self.location = kind, count, location
        self.place: int | None = None  # in the file
        self.check: int | None = None  # the CRC-32 that the archive has for it
        self._numbers: Array | None = None

    def numbers(self, source: Source, big: bool) -> Array:
        """The numbers in one dimension; bfloat16 as float32."""
        if self._numbers is None:
            if self.place is None:
                raise Refused("a storage is not in the file")
            kind = np.dtype(np.uint16 if self.kind.type == "BF16" else DTYPES[self.kind.type])
            if big and self.kind.untyped:
                raise Refused("an UntypedStorage was written in the order of bytes of another machine (big-endian)")
            numbers = np.empty(self.count, kind)
            source.fill(numbers, self.place)
            if self.check is not None and zlib.crc32(numbers.data) != self.check:
                raise Refused("the numbers of a tensor are not those that were saved: their CRC-32 differs")
            if big != (sys.byteorder == "big"):
                numbers.byteswap(inplace=True)
            if kind == np.bool_:
                np.not_equal(numbers.view(np.uint8), 0, out=numbers)  # any other byte is no truth value
            self._numbers = widened(numbers) if self.kind.type == "BF16" else numbers
        return self._numbers


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a storage."""

    storage: Storage
    start: int
    count: int

    def view(self, offset: int, size: Any, stride: Any, dtype: np.dtype[Any], source: Source, big: bool) -> Array:
        """The array with this size and strides, in numbers of `dtype`; `check_view` must have passed it."""
        numbers = self.storage.numbers(source, big)[self.start : self.start + self.count]
        if 0 in size:
            return np.empty(size, dtype)
        # along an axis of length 1 any stride is the same; a large one would be beyond NumPy's integers
        steps = [step if n > 1 else min(step, len(numbers)) for n, step in zip(size, stride, strict=True)]
        width = dtype.itemsize
        view = np.ndarray(size, dtype, numbers, offset * width, [step * width for step in steps])
        if any(n > 1 and step == 0 for n, step in zip(size, steps, strict=True)):
            view.flags.writeable = False  # one number is several elements, as after expand()
        return view


def check_view(offset: Any, size: Any, stride: Any, room: int) -> None:
    """Check that a view lies inside a storage of `room` numbers, and does not repeat them beyond measure."""
    if type(size) not in (tuple, Size) or type(stride) is not tuple or len(size) != len(stride):
        raise Refused("the size and strides of a tensor are no tuples of the same length")
    if len(size) > MOST_AXES:
        raise Refused(f"a tensor has {len(size)} axes, and NumPy's arrays have at most {MOST_AXES}")
    whole("the size, stride or offset of a tensor", offset, *size, *stride)
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else offset
    if last >= room and (count or offset > room):
        raise Refused(f"a tensor of size {list(size)} and strides {list(stride)} ends after its storage of {room}")
    if count > max(room, _MOST_REPEATED):
        raise Refused(
            f"a tensor of size {list(size)} repeats the {counted(room, 'number')} of its storage (expand() makes such "
            f"tensors), and would have more than {_MOST_REPEATED:,}; save it as it was before expand()"
        )


def whole(what: str, *numbers: Any) -> None:
    """Check that all are integers from 0 that fit in 64 bits; `what` they are is for the error."""
    if not all(type(n) is int and 0 <= n < 2**63 for n in numbers):
        raise Refused(f"{what} is not made of whole numbers >= 0")
