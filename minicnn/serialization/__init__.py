"""Saving and loading: safetensors files, which hold arrays and text and nothing that runs when it is read.

    minicnn.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, "checkpoint.pt")
    state = minicnn.load("checkpoint.pt")

The tensors of what is saved become the tensors of the file, named by their places ("net.conv.weight"); a state dict by
itself is an ordinary safetensors file with its own names, which `safetensors.torch.load_file` reads for PyTorch. What
is around the tensors - dicts, lists, numbers, text - is JSON in the file's metadata. Files that other programs wrote
load as dicts of tensors.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ..device import resolve
from ..missing import answer as _answer
from .format import CheckpointError, pack, read_arrays, read_header, write_atomically
from .tree import Decoder, Encoder

__all__ = ["CheckpointError", "load", "save"]

File = str | os.PathLike[str] | IO[bytes]


def save(
    obj: Any, f: File, pickle_module: None = None, pickle_protocol: int = 2, _use_new_zipfile_serialization: bool = True
) -> None:
    """Write tensors, and dicts, lists and numbers around them, as a safetensors file.

    Saved and loaded as they are: tensors and parameters, arrays, None, bool, int, float, str, list, tuple, dict,
    OrderedDict, Counter, set, Size, dtype, device. Other kinds of dict load as the one of these they are based on.
    Tensors that are the same memory, such as tied weights, are written under each name, and are the same memory again
    after `load`; parts of a tensor become tensors of their own.

    Args:
        obj: what to save.
        f: a path, written in one step or not at all; or a file open for writing bytes.
        pickle_module: must be None.
        pickle_protocol, _use_new_zipfile_serialization: of PyTorch's format; without effect.

    Raises:
        TypeError: something else, such as a module instead of its `state_dict()`; the message says where it is.
        OSError: the file cannot be written; what was there before stays.
    """
    _no_pickle("save", pickle_module)
    encoder = Encoder()
    tree = encoder.encode(obj)
    data = pack(encoder.arrays, {"tree": tree})
    if isinstance(f, (str, os.PathLike)):
        write_atomically(f, data)
    else:
        f.write(data)


def load(
    f: File,
    map_location: Any = None,
    pickle_module: None = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what `save` wrote, or any safetensors file as a dict of tensors.

    bfloat16, which NumPy lacks, becomes float32 of the same values, with a warning.

    Args:
        f: a path, or a file open for reading bytes.
        map_location: "cpu", "meta" (shapes and dtypes without memory) or a device; None, functions and dicts of
            PyTorch's kind mean "cpu".
        pickle_module: must be None.
        weights_only, mmap: accepted; a safetensors file can hold nothing but data, and is read as a whole.
        pickle_load_args: must be empty.

    Raises:
        OSError: the file cannot be read.
        CheckpointError: it is damaged, or a pickle, such as `torch.save` writes.
    """
    _no_pickle("load", pickle_module or pickle_load_args or None)
    if map_location is None or callable(map_location) or isinstance(map_location, Mapping):
        map_location = "cpu"
    device = resolve(map_location, "load")
    if isinstance(f, (str, os.PathLike)):
        name, data = os.fspath(f), Path(f).read_bytes()
    else:
        name, data = getattr(f, "name", type(f).__name__), f.read()
    header, about = read_header(name, data)
    decoder = Decoder(read_arrays(name, data, about), device)
    if "tree" not in about:
        return {key: decoder.placed(key) for key in header}
    try:
        return decoder.decode(about["tree"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{name}: what is around the tensors is malformed ({error!r}); restore the file from a copy, or train again"
        ) from error


def _no_pickle(op: str, given: Any) -> None:
    if given is not None:
        raise TypeError(f"{op}: files are safetensors, never pickles; leave out pickle_module and its options")


_answer(globals())
