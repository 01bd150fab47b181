"""A model's weights on disk, as safetensors; its names, shapes and types are compared with the model's before loading.

`packed_state` and `read_state` do the same for the state of a training, which is more than weights: checkpoints.

The file is replaced in one step or not at all, and holds a SHA-256 of its arrays. For other tools it is an ordinary
safetensors file; files from other tools, which have no such SHA-256, load too. For anything but the weights of one
model, such as an optimiser's state, use `minicnn.save` and `minicnn.load`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...device import CPU
from ...nn import Module
from ...serialization.files import write_atomically
from ...serialization.foreign import AGAIN
from ...serialization.format import Entry, pack, read_arrays, read_header
from ...serialization.source import CheckpointError, Source, opened
from ...serialization.tree import Decoder, Encoder
from ...tensor import Tensor

__all__ = ["CheckpointError", "load_weights", "packed_state", "packed_weights", "read_state", "save_weights"]

CHECKPOINT = "minicnn checkpoint 1"


def save_weights(path: str | os.PathLike[str], model: Module, metadata: Mapping[str, Any] | None = None) -> None:
    """Write the model's `state_dict` as a safetensors file, atomically, with `metadata` and the arrays' SHA-256.

    The same weights and metadata give the same bytes.

    Raises:
        OSError: the file cannot be written; an earlier file stays.

    >>> import tempfile
    >>> net = nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     minicnn.train.save_weights(folder + "/net.safetensors", net, {"epoch": "3"})
    ...     print(minicnn.train.load_weights(folder + "/net.safetensors", nn.Linear(2, 1))["epoch"])
    3
    """
    write_atomically(path, *packed_weights(model, metadata))


def packed_weights(model: Module | Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None) -> list[Any]:
    """The pieces of the file that `save_weights` writes; of a model, or of its `state_dict`."""
    weights = model.state_dict() if isinstance(model, Module) else model
    return pack({name: tensor.cpu().array for name, tensor in weights.items()}, metadata or {})


def packed_state(state: Mapping[str, Any]) -> list[Any]:
    """The pieces of a checkpoint file, which `read_state` reads: an object made of tensors, numbers, texts and lists.

    The manifest in the file's metadata has two SHA-256: of the arrays (with their names, types and shapes), and of all
    the rest. The file is also one that `minicnn.load` and other readers of safetensors can read.
    """
    encoder = Encoder()
    tree = encoder.encode(dict(state))
    return pack(encoder.arrays, {"format": CHECKPOINT, "tree": tree, "tree_sha256": _digest(tree)})


def read_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `packed_state` was given. Every byte of the file is checked; nothing in it is run.

    Raises:
        CheckpointError: the file is missing, cut short, damaged or malformed, or not a checkpoint of a training.
    """
    with _opened(path) as source:
        header = read_header(source)
        if header.about.get("format") != CHECKPOINT:
            raise CheckpointError(f"{path}: not a checkpoint of a training; its format should be {CHECKPOINT!r}")
        if "sha256" not in header.about or header.about.get("tree_sha256") != _digest(header.about.get("tree")):
            raise CheckpointError(
                f"{path}: its numbers and texts are not those that were saved (their SHA-256 differs); {AGAIN}"
            )
        arrays = read_arrays(source, header)
        try:
            state = Decoder(arrays.__getitem__, header.entries, lambda _: CPU).decode(header.about["tree"])
            if not isinstance(state, dict) or any(not isinstance(key, str) for key in state):
                raise TypeError("it is not a dict with texts as keys")
        except Exception as error:  # forged JSON can fail anywhere
            raise CheckpointError(f"{path}: its content is malformed ({error!r}); {AGAIN}") from error
        return state


def _digest(tree: Any) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()


def load_weights(path: str | os.PathLike[str], model: Module) -> dict[str, Any]:
    """Load a safetensors file into the model, all of it or nothing, and return the metadata saved with it.

    A model on `device("meta")` is only compared with the file: no array is read.

    Raises:
        CheckpointError: the file is missing, cut short, damaged or malformed, or its names, shapes or types are not the
            model's.
    """
    with _opened(path) as source:
        header = read_header(source)
        own = model.state_dict()
        arrays = None if any(tensor.is_meta for tensor in own.values()) else read_arrays(source, header)
        _compare(path, header.entries, own, type(model).__name__)
        if arrays is not None:
            model.load_state_dict(arrays)
        return {key: value for key, value in header.about.items() if key not in ("sha256", "tree")}


def saved_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata saved with the weights; nothing else is read.

    Raises:
        CheckpointError: the file is missing, cut short or malformed.
    """
    with _opened(path) as source:
        return read_header(source).about


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Source]:
    try:
        with opened(path) as source:
            yield source
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); restore it from a copy, or train again"
        ) from error


def _compare(path: Any, entries: Mapping[str, Entry], own: Mapping[str, Any], model: str) -> None:
    """Raise a CheckpointError that lists every name, shape and type that differs between the file and the model."""
    wrong = [f"{key!r} is missing" for key in own if key not in entries]
    wrong += [f"{key!r} is not in the model" for key in entries if key not in own]
    for key, tensor in own.items():
        if key in entries:
            shape, dtype = entries[key].shape, entries[key].dtype
            if shape != tensor.shape:
                wrong.append(f"{key!r} has shape {shape}, the model's has {tensor.shape}")
            if dtype != tensor.dtype:
                wrong.append(f"{key!r} has type {dtype}, the model's is {tensor.dtype.name}")
    if wrong:
        shown = "; ".join(wrong[:6]) + (f"; and {len(wrong) - 6} more" if len(wrong) > 6 else "")
        raise CheckpointError(f"{path} does not fit {model}: {shown}. Build the model it was saved from")
