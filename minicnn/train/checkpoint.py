"""Weights on disk, as safetensors: arrays and text, nothing that runs when it is read.

The file is replaced in one step or not at all, carries a SHA-256 of its arrays, and is compared with the model name by
name before anything is loaded. Other tools read it as any safetensors file, and files from other tools, which have no
such sum, load too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..nn import Module
from ..tensor import Array

DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
_KEY = "minicnn"  # where our metadata is among the file's
_LENGTH = 8  # a safetensors file: the header's length in 8 bytes, the header as JSON, the arrays


class CheckpointError(RuntimeError):
    """A file that is missing, damaged, or does not fit the model. The message names it and what is wrong with it."""


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` under `path` so that a reader, or a crash at any moment, finds all of the old file or all of the new.

    The bytes go to a hidden file next to it and to the disk; one rename then gives them their name, and the folder's
    entry goes to the disk too. If something fails, the old file stays and the hidden one is removed.

    Raises:
        OSError: the file system refuses, such as when it is full.
    """
    path = Path(path)
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


def save_weights(path: str | os.PathLike[str], model: Module, metadata: Mapping[str, Any] | None = None) -> None:
    """Write the model's `state_dict` as a safetensors file, atomically, with `metadata` and the arrays' SHA-256.

    The same weights and metadata give the same bytes.

    Raises:
        OSError: the file cannot be written; what was there before stays.
    """
    from safetensors.numpy import save

    arrays = {name: np.array(tensor.array, order="C") for name, tensor in model.state_dict().items()}
    about = json.dumps({**(metadata or {}), "sha256": _digest(arrays)}, sort_keys=True)
    write_atomically(path, save(arrays, {_KEY: about}))  # one key: the library writes several in a random order


def load_weights(path: str | os.PathLike[str], model: Module) -> dict[str, Any]:
    """Load a safetensors file into the model, all of it or nothing, and return the metadata it was saved with.

    Raises:
        CheckpointError: the file is missing, cut short, damaged or malformed, or its names, shapes or types are not the
            model's.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); is the folder a run that has saved its weights?"
        ) from error
    header = _read_header(path, data)
    metadata = _metadata(path, header.pop("__metadata__", {}))
    _compare(path, header, model)
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: not a valid safetensors file ({error}); {_AGAIN}") from error
    if "sha256" in metadata and metadata.pop("sha256") != _digest(arrays):
        raise CheckpointError(f"{path}: the arrays are not those that were saved (their SHA-256 differs); {_AGAIN}")
    model.load_state_dict(arrays)
    return metadata


_AGAIN = "it is damaged: restore it from a copy, or train again"


def _digest(arrays: Mapping[str, Array]) -> str:
    """The SHA-256 of the names, types, shapes and bytes, in the order of the names."""
    sums = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        sums.update(json.dumps([name, array.dtype.str, list(array.shape)]).encode())
        sums.update(array.tobytes())
    return sums.hexdigest()


def _read_header(path: Any, data: bytes) -> dict[str, Any]:
    """The header of a safetensors file, checked where the library does not: no key twice, nothing cut off."""
    length = int.from_bytes(data[:_LENGTH], "little")
    if len(data) < _LENGTH or length > len(data) - _LENGTH:
        raise CheckpointError(
            f"{path}: cut short, or no safetensors file: {len(data)} bytes cannot hold the header of {length} bytes it "
            f"begins with; {_AGAIN}"
        )

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise CheckpointError(
                    f"{path}: the key {key!r} is there twice, so which one counts is undefined; {_AGAIN}"
                )
            found[key] = value
        return found

    try:
        header = json.loads(data[_LENGTH : _LENGTH + length], object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the header is not JSON ({error}); {_AGAIN}") from error
    entries = (
        {k: v for k, v in header.items() if k != "__metadata__"} if isinstance(header, dict) else {"header": header}
    )
    for key, entry in entries.items():
        if not (isinstance(entry, dict) and isinstance(entry.get("dtype"), str) and _is_shape(entry.get("shape"))):
            raise CheckpointError(f"{path}: the entry {key!r} lacks a dtype or a shape; {_AGAIN}")
    wanted = sum(
        np.dtype(DTYPES[e["dtype"]]).itemsize * math.prod(e["shape"]) for e in entries.values() if e["dtype"] in DTYPES
    )
    if len(data) - _LENGTH - length < wanted:
        raise CheckpointError(
            f"{path}: cut short: its arrays need {wanted} bytes, it has {len(data) - _LENGTH - length}; {_AGAIN}"
        )
    return header


def _metadata(path: Any, text: Any) -> dict[str, Any]:
    """What `save_weights` wrote beside the arrays; empty for files from other tools."""
    if not isinstance(text, dict) or _KEY not in text:
        return {}
    try:
        metadata = json.loads(text[_KEY])
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: the metadata {_KEY!r} is not JSON ({error}); {_AGAIN}") from error
    if not isinstance(metadata, dict):
        raise CheckpointError(f"{path}: the metadata {_KEY!r} is not a JSON object; {_AGAIN}")
    return metadata


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape)


def _compare(path: Any, header: Mapping[str, Any], model: Module) -> None:
    """Raise a CheckpointError that lists every name, shape or type by which the file differs from the model."""
    own = model.state_dict()
    wrong = [f"{key!r} is missing" for key in own if key not in header]
    wrong += [f"{key!r} is not in the model" for key in header if key not in own]
    for key, tensor in own.items():
        if key in header:
            shape, dtype = tuple(header[key]["shape"]), header[key]["dtype"]
            if shape != tensor.shape:
                wrong.append(f"{key!r} has shape {shape}, the model's has {tensor.shape}")
            if DTYPES.get(dtype) != tensor.dtype:
                wrong.append(f"{key!r} has type {dtype}, the model's is {tensor.dtype}")
    if wrong:
        shown = "; ".join(wrong[:6]) + (f"; and {len(wrong) - 6} more" if len(wrong) > 6 else "")
        raise CheckpointError(f"{path} does not fit {type(model).__name__}: {shown}. Build the model it was saved from")
