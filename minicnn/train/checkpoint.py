"""A model's weights on disk, as safetensors, compared with the model name by name before anything is loaded.

The file is replaced in one step or not at all and carries a SHA-256 of its arrays. Other tools read it as any
safetensors file, and files from other tools, which have no such sum, load too. For anything but the weights of one
model, such as an optimiser's state, there are `minicnn.save` and `minicnn.load`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..nn import Module
from ..serialization.format import CheckpointError, pack, read_arrays, read_header, write_atomically
from ..tensor import Array

__all__ = ["CheckpointError", "load_weights", "save_weights", "write_atomically"]


def save_weights(path: str | os.PathLike[str], model: Module, metadata: Mapping[str, Any] | None = None) -> None:
    """Write the model's `state_dict` as a safetensors file, atomically, with `metadata` and the arrays' SHA-256.

    The same weights and metadata give the same bytes.

    Raises:
        OSError: the file cannot be written; what was there before stays.
    """
    write_atomically(path, pack({name: tensor.array for name, tensor in model.state_dict().items()}, metadata or {}))


def load_weights(path: str | os.PathLike[str], model: Module) -> dict[str, Any]:
    """Load a safetensors file into the model, all of it or nothing, and return the metadata it was saved with.

    Raises:
        CheckpointError: the file is missing, cut short, damaged or malformed, or its names, shapes or types are not the
            model's.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); is the folder a run that has saved its weights?"
        ) from error
    _, metadata = read_header(path, data)
    arrays = read_arrays(path, data, metadata)
    _compare(path, arrays, model)
    model.load_state_dict(arrays)
    return {key: value for key, value in metadata.items() if key not in ("sha256", "tree")}


def _compare(path: Any, arrays: Mapping[str, Array], model: Module) -> None:
    """Raise a CheckpointError that lists every name, shape or type by which the file differs from the model."""
    own = model.state_dict()
    wrong = [f"{key!r} is missing" for key in own if key not in arrays]
    wrong += [f"{key!r} is not in the model" for key in arrays if key not in own]
    for key, tensor in own.items():
        if key in arrays:
            shape, dtype = arrays[key].shape, arrays[key].dtype
            if shape != tensor.shape:
                wrong.append(f"{key!r} has shape {shape}, the model's has {tensor.shape}")
            if dtype != tensor.dtype:
                wrong.append(f"{key!r} has type {dtype}, the model's is {tensor.dtype}")
    if wrong:
        shown = "; ".join(wrong[:6]) + (f"; and {len(wrong) - 6} more" if len(wrong) > 6 else "")
        raise CheckpointError(f"{path} does not fit {type(model).__name__}: {shown}. Build the model it was saved from")
