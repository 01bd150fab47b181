"""Files in the safetensors format: arrays and text, and no code that runs when they are read.

A file has three parts: 8 bytes with the length of the header; the header, JSON with the dtype, shape and place of each
array; the arrays. The header's metadata hold ours, JSON too, with a SHA-256 of the arrays. https://huggingface.co/docs/safetensors

Each array is read straight from the file into its own memory, after its size has been checked against the file's.
"""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..tensor import Array
from .foreign import AGAIN, recognised
from .source import CheckpointError, Source

DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
_BITS = {name: 8 * np.dtype(dtype).itemsize for name, dtype in DTYPES.items()}
_FOREIGN = {"BF16": 16, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "C64": 64}
_WIDEST_FIRST = ["U64", "I64", "F64", "F32", "U32", "I32", "F16", "U16", "I16", "I8", "U8", "BOOL"]
_RANK = {
    name: n for n, name in enumerate(_WIDEST_FIRST)
}  # the order of other writers: it aligns every array to the width of its type
_KEY = "minicnn"  # the key of our metadata in the file's metadata
MOST_AXES = 32 if int(np.__version__.split(".")[0]) < 2 else 64
WIDE = "bfloat16 tensors become float32, with the same values"
_LENGTH = 8  # bytes of the header's length
_LONGEST = 100_000_000  # bytes of a header, the limit of other readers of the format
_AGAIN = f"it is damaged: {AGAIN}"


class Entry(NamedTuple):
    """An array in a file: its type as the format calls it, its shape, and the bytes it takes after the header."""

    kind: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type it gets in memory."""
        return np.dtype(np.float32 if self.kind == "BF16" else DTYPES[self.kind])


class Header(NamedTuple):
    """A file's header: the arrays, our metadata (empty for files from other tools), and where the arrays begin."""

    entries: dict[str, Entry]
    about: dict[str, Any]
    body: int


def pack(arrays: Mapping[str, Array], about: Mapping[str, Any]) -> list[Any]:
    """The pieces of a file with these arrays, and `about` as metadata; the same content gives the same bytes.

    The arrays are copied, so that another thread that writes into them meanwhile cannot damage the file.

    Raises:
        ValueError: the header is larger than readers of the format allow.
    """
    taken = {name: np.array(array, array.dtype.newbyteorder("<"), order="C") for name, array in arrays.items()}
    own = json.dumps({**about, "sha256": _digest(taken)}, sort_keys=True)
    header: dict[str, Any] = {"__metadata__": {_KEY: own}}
    order = sorted(taken, key=lambda name: (_RANK[NAMES[taken[name].dtype.newbyteorder("=")]], name.encode()))
    end = 0
    for name in order:
        array, start = taken[name], end
        end += array.nbytes
        kind = NAMES[array.dtype.newbyteorder("=")]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)
    if len(text) > _LONGEST:
        raise ValueError(
            f"save: everything but the tensors takes {len(text):,} bytes, and readers of safetensors files allow at "
            f"most {_LONGEST:,}; save long lists of numbers as tensors"
        )
    return [
        len(text).to_bytes(_LENGTH, "little") + text,
        *(taken[name].reshape(-1).view(np.uint8).data for name in order),
    ]


def read_header(source: Source) -> Header:
    """The header of a file, checked against the size of the file.

    Raises:
        CheckpointError: the file has another format; or the header is cut off, not JSON, has a key twice or does not
            fit the file: every byte after the header must belong to exactly one array.
    """
    beginning = source.take(_LENGTH + 1)
    length = int.from_bytes(beginning[:_LENGTH], "little")
    most = _LONGEST if source.size is None else source.size - _LENGTH
    if len(beginning) <= _LENGTH or length > most or beginning[_LENGTH:] not in b"{[":
        beginning += source.take(512 - len(beginning))
        if (what := recognised(beginning)) is not None:
            raise CheckpointError(f"{source.name}: {what}")
        size = len(beginning) if source.size is None else source.size
        why = f"its header of {length} bytes is no JSON object"
        if size <= _LENGTH or length > most:
            why = f"{size} bytes cannot hold the header of {length} bytes it begins with"
        raise CheckpointError(f"{source.name}: cut short, or no safetensors file: {why}; {_AGAIN}")
    if length > _LONGEST:
        raise CheckpointError(f"{source.name}: its header has {length:,} bytes, more than {_LONGEST:,}; {_AGAIN}")
    beginning += source.take(_LENGTH + length - len(beginning))
    header = _parsed(source.name, beginning[_LENGTH:])
    about = _metadata(source.name, header.pop("__metadata__", {}))
    try:
        entries = {name: _entry(name, entry) for name, entry in header.items()}
        end = _covered(entries)
        source.hold(beginning, _LENGTH + length + end)
        if _LENGTH + length + end != source.size:
            raise ValueError(
                f"its arrays take {end:,} bytes, but the file has {(source.size or 0) - _LENGTH - length:,} for them"
            )
    except ValueError as error:
        raise CheckpointError(f"{source.name}: not a valid safetensors file ({error}); {_AGAIN}") from error
    for name, entry in entries.items():
        if entry.kind in _FOREIGN and entry.kind != "BF16":
            lacking = "minicnn" if entry.kind == "C64" else "NumPy"
            raise CheckpointError(
                f"{source.name}: {name!r} has type {entry.kind}, which {lacking} lacks; convert it to F32 or F16"
            )
    return Header(entries, about, _LENGTH + length)


def read_arrays(source: Source, header: Header, names: Iterable[str] | None = None) -> dict[str, Array]:
    """The arrays of a file whose header has been read; bfloat16, which NumPy does not have, as float32, with a warning.

    Args:
        names: read only these arrays, without comparing the SHA-256, which is that of all arrays.

    Raises:
        CheckpointError: the SHA-256 differs, or the arrays do not fit in memory.
    """
    arrays: dict[str, Array] = {}
    wide = False
    for name in header.entries if names is None else names:
        entry = header.entries[name]
        kind = np.dtype(np.uint16 if entry.kind == "BF16" else DTYPES[entry.kind])
        try:
            flat = np.empty(math.prod(entry.shape), kind.newbyteorder("<"))
            source.fill(flat, header.body + entry.start)
            flat = flat.astype(kind, copy=False)
            array = (widened(flat) if entry.kind == "BF16" else flat).reshape(entry.shape)  # (elements) -> shape
        except (ValueError, MemoryError) as error:
            raise CheckpointError(
                f"{source.name}: {name!r} of shape {list(entry.shape)} and type {entry.kind} does not fit in memory "
                f"({error}); load it with map_location='meta' to see what is in the file"
            ) from error
        arrays[name], wide = array, wide or entry.kind == "BF16"
    if names is None and "sha256" in header.about and header.about["sha256"] != _digest(arrays):
        raise CheckpointError(
            f"{source.name}: the arrays are not those that were saved (their SHA-256 differs); {_AGAIN}"
        )
    if wide:
        warnings.warn(f"{source.name}: {WIDE}", stacklevel=3)
    return arrays


def _entry(name: str, entry: Any) -> Entry:
    """Read and check the header's entry of one array."""
    try:
        kind, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{name!r} lacks its dtype, shape or two data_offsets") from error
    bits = _BITS.get(kind) or _FOREIGN.get(kind) if isinstance(kind, str) else None
    if bits is None:
        raise ValueError(f"{name!r} has the unknown type {kind!r}")
    if isinstance(shape, list) and len(shape) > MOST_AXES:
        raise ValueError(f"{name!r} has {len(shape)} axes, and NumPy's arrays have at most {MOST_AXES}")
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 2**63 for n in [*shape, start, stop]):
        raise ValueError(f"the shape or the place of {name!r} is not made of whole numbers >= 0")
    if math.prod(shape) * bits != 8 * (stop - start):
        raise ValueError(f"{name!r} of shape {shape} and type {kind} does not take the bytes {start} to {stop}")
    return Entry(kind, tuple(shape), start, stop)


def _covered(entries: Mapping[str, Entry]) -> int:
    """Where the arrays end; they must lie one after another, without gaps."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != end:
            raise ValueError(f"{name!r} begins at byte {entry.start}, but the array before it ends at {end}")
        end = entry.stop
    return end


def widened(upper: Array) -> Array:
    """The float32 numbers, given bfloat16, which has their upper 16 bits."""
    return (upper.astype(np.uint32) << 16).view(np.float32)


def _digest(arrays: Mapping[str, Array]) -> str:
    """The SHA-256 of the names, types, shapes and bytes, in the order of the names."""
    sums = hashlib.sha256()
    for name in sorted(arrays):
        little = arrays[name].dtype.newbyteorder("<")
        sums.update(json.dumps([name, little.str, list(arrays[name].shape)]).encode())
        sums.update(np.asarray(arrays[name], little, order="C").reshape(-1).view(np.uint8).data)
    return sums.hexdigest()


def _parsed(file: str, text: bytes) -> dict[str, Any]:
    """The header as a dict."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise CheckpointError(f"{file}: a key occurs twice, so its value is undefined; {_AGAIN}")
        return dict(pairs)

    try:
        header = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: the header is not JSON ({error}); {_AGAIN}") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{file}: the header is not a JSON object; {_AGAIN}")
    return header


def _metadata(file: str, text: Any) -> dict[str, Any]:
    """The metadata that `pack` wrote; empty for files from other tools."""
    if not isinstance(text, dict) or _KEY not in text:
        return {}
    try:
        metadata = json.loads(text[_KEY])
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{file}: the metadata {_KEY!r} is not JSON ({error}); {_AGAIN}") from error
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{file}: the metadata {_KEY!r} is not a JSON object; {_AGAIN}")
    return metadata
