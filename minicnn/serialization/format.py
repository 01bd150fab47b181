"""Files in the safetensors format: arrays and text, nothing that runs when it is read.

A file is 8 bytes with the length of the header; the header, as JSON: each array's dtype, shape and place; the arrays.
The package safetensors writes and checks them. Among the header's metadata is ours, JSON too, with a SHA-256 of the
arrays. https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..tensor import Array

DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
_KEY = "minicnn"  # where our metadata is among the file's
_LENGTH = 8  # bytes of the header's length
_AGAIN = "it is damaged: restore it from a copy, or train again"
_PICKLE = """{0}: a pickle, as torch.save writes; reading one can run any code, so minicnn does not. Convert it once, \
where PyTorch is:
    import torch; from safetensors.torch import save_file
    state = torch.load("model.pth", map_location="cpu", weights_only=True)   # a state dict
    save_file({{name: t.contiguous().clone() for name, t in state.items()}}, "model.safetensors")"""


class CheckpointError(RuntimeError):
    """A file that is missing, damaged, or not what was expected. The message names it and what is wrong with it."""


def pack(arrays: Mapping[str, Array], about: Mapping[str, Any]) -> bytes:
    """The file with these arrays, and `about` as metadata; the same content gives the same bytes."""
    from safetensors.numpy import save

    # one entry of metadata only: the package writes several in any order
    metadata = {_KEY: json.dumps({**about, "sha256": _digest(arrays)}, sort_keys=True)}
    return save({name: _little(array) for name, array in arrays.items()}, metadata)


def read_header(file: Any, data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of the arrays, and our metadata (empty for files from other tools).

    Args:
        file: the file's name, for messages.
        data: its content.

    Raises:
        CheckpointError: a pickle; or the header is cut off, not JSON, or has a key twice.
    """
    length = int.from_bytes(data[:_LENGTH], "little")
    if data[:4] == b"PK\3\4" or (data[:1] == b"\x80" and data[_LENGTH : _LENGTH + 1] != b"{"):
        raise CheckpointError(_PICKLE.format(file))
    if len(data) < _LENGTH or length > len(data) - _LENGTH:
        raise CheckpointError(
            f"{file}: cut short, or no safetensors file: {len(data)} bytes cannot hold the header of {length} bytes it "
            f"begins with; {_AGAIN}"
        )

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise CheckpointError(f"{file}: a key is there twice, so which one counts is undefined; {_AGAIN}")
        return dict(pairs)

    try:
        header = json.loads(data[_LENGTH : _LENGTH + length], object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: the header is not JSON ({error}); {_AGAIN}") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{file}: the header is not a JSON object; {_AGAIN}")
    metadata = _metadata(file, header.pop("__metadata__", {}))
    return header, metadata


def read_arrays(file: Any, data: bytes, metadata: Mapping[str, Any]) -> dict[str, Array]:
    """The arrays of a file whose header has been read; bfloat16, which NumPy lacks, as float32, with a warning.

    Raises:
        CheckpointError: the file is cut short or its header does not fit its content, types are ones NumPy lacks, or
            the SHA-256 differs.
    """
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(data)
    except SafetensorError as error:
        raise CheckpointError(f"{file}: not a valid safetensors file ({error}); {_AGAIN}") from error
    arrays: dict[str, Array] = {}
    for name, entry in entries:
        dtype = entry["dtype"]
        if dtype != "BF16" and dtype not in DTYPES:
            raise CheckpointError(f"{file}: {name!r} has type {dtype}, which NumPy lacks; convert it to F32 or F16")
        kind = np.dtype(np.uint16 if dtype == "BF16" else DTYPES[dtype])
        flat = np.frombuffer(entry["data"], kind.newbyteorder("<")).astype(kind)  # a copy, aligned and writable
        arrays[name] = (_widened(flat) if dtype == "BF16" else flat).reshape(entry["shape"])  # (elements) -> shape
    if "sha256" in metadata and metadata["sha256"] != _digest(arrays):
        raise CheckpointError(f"{file}: the arrays are not those that were saved (their SHA-256 differs); {_AGAIN}")
    if any(entry["dtype"] == "BF16" for _, entry in entries):
        warnings.warn(f"{file}: bfloat16 tensors become float32, of the same values", stacklevel=3)
    return arrays


def _little(array: Array) -> Array:
    """Contiguous and with the lowest byte first, as in the file."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)


def _widened(upper: Array) -> Array:
    """The float32 numbers of which bfloat16 keeps the upper 16 bits."""
    return (upper.astype(np.uint32) << 16).view(np.float32)


def _digest(arrays: Mapping[str, Array]) -> str:
    """The SHA-256 of the names, types, shapes and bytes, in the order of the names."""
    sums = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        sums.update(json.dumps([name, array.dtype.newbyteorder("<").str, list(array.shape)]).encode())
        sums.update(_little(array).tobytes())
    return sums.hexdigest()


def _metadata(file: Any, text: Any) -> dict[str, Any]:
    """What `pack` wrote beside the arrays; empty for files from other tools."""
    if not isinstance(text, dict) or _KEY not in text:
        return {}
    try:
        metadata = json.loads(text[_KEY])
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{file}: the metadata {_KEY!r} is not JSON ({error}); {_AGAIN}") from error
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{file}: the metadata {_KEY!r} is not a JSON object; {_AGAIN}")
    return metadata


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` under `path` so that a reader, or a crash at any moment, finds all of the old file or all of the new.

    The bytes go to a hidden file next to it and to the disk; one rename then gives them their name, and the folder's
    entry goes to the disk too. If something fails, the old file stays and the hidden one is removed. What is no file,
    such as /dev/null, is written to instead of being replaced.

    Raises:
        OSError: the file system refuses, such as when it is full.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    part = path.with_name(f".{path.name}.part")  # one left by a crash is overwritten the next time
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
