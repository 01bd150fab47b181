"""Saving and loading: safetensors files, which hold arrays and text and nothing that runs when it is read.

    minicnn.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, "checkpoint.pt")
    state = minicnn.load("checkpoint.pt")

The tensors of the saved object become the tensors of the file, named by their places ("net.conv.weight"). A state dict
becomes an ordinary safetensors file with its own names, which `safetensors.torch.load_file` reads for PyTorch. The rest
of an object (dicts, lists, numbers, text) is JSON in the file's metadata. Files of other programs load as dicts of
tensors.

Files of `torch.save` load too, if they hold such data and no code, as with PyTorch's `weights_only=True`; but not
tensors of kinds that minicnn lacks: sparse, quantised, nested and complex ones, and those of float8.

    format.py     safetensors files                      tree.py      objects as JSON
    pth.py        the files of torch.save                pickled.py   the pickles in them, of which nothing runs
    storages.py   the numbers in them                    foreign.py   names other files by their beginning
    source.py     where the bytes come from              files.py     files that are replaced in one step
    whole.py      modules and other objects, read only on request
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

from ..compat.missing import answer as _answer
from ..cuda.devices import is_available as _gpu_available
from ..device import META, Device, resolve
from ..tensor import Tensor
from . import whole
from .files import write_atomically
from .format import pack, read_arrays, read_header
from .source import CheckpointError, opened
from .tree import Decoder, Encoder, Where, WholeObjectError

__all__ = ["CheckpointError", "load", "save"]

File = str | os.PathLike[str] | IO[bytes]


class NoFolderError(FileNotFoundError, RuntimeError):
    """The folder of a file to be written does not exist. PyTorch: RuntimeError."""


def save(
    obj: Any, f: File, pickle_module: None = None, pickle_protocol: int = 2, _use_new_zipfile_serialization: bool = True
) -> None:
    """Write tensors, and the dicts, lists and numbers that hold them, as a safetensors file.

    A module itself, an `argparse.Namespace`, or another object that is no plain data, also inside a container, makes
    the file a pickle, which only `load(..., weights_only=False)` reads: it names the classes, which must be there then.
    A state dict, and `vars(args)`, are better.

    Plain data are, and load as they were: tensors and parameters, arrays of numbers, None, bool, int, float, complex,
    str, bytes, bytearray, list, tuple, dict, OrderedDict, Counter, set, Size, dtype, device. A subclass of dict loads
    as its base in this list.
    Tensors that share their whole memory, such as tied weights, are written under each name, and share it again after
    `load`; parts of a tensor become separate tensors. Their order in memory, such as channels_last, is kept.

    Args:
        obj: what to save.
        f: a path, whose file is replaced in one step or not at all, even if others save to it too; if it is a link, the
            file it points to is replaced. Or a file open for writing bytes.
        pickle_module: must be None.
        pickle_protocol: of the pickle, if there is one.
        _use_new_zipfile_serialization: an option of PyTorch's format; without effect.

    Raises:
        TypeError: something inside is no plain data and cannot be pickled; the message says where.
        ValueError: lists are nested more than about a thousand deep, or numbers and text have more than 100 MB.
        NoFolderError: the folder does not exist.
        OSError: the file cannot be written; an earlier file stays.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     minicnn.save(nn.Linear(2, 1).state_dict(), folder + "/net.pth")
    ...     print(list(minicnn.load(folder + "/net.pth")))
    ['weight', 'bias']
    """
    _no_pickle("save", pickle_module)
    encoder = Encoder()
    pieces: Iterable[Any]
    try:
        pieces = pack(encoder.arrays, {"tree": encoder.encode(obj)})
    except RecursionError as error:
        raise ValueError("save: the object is nested too deeply; flatten its lists or dicts") from error
    except WholeObjectError as error:
        pieces = whole.pack(obj, pickle_protocol, str(error))
    if isinstance(f, (str, bytes, os.PathLike)):
        try:
            write_atomically(os.fsdecode(f), *pieces)
        except FileNotFoundError as error:
            if Path(os.fsdecode(f)).parent.is_dir():
                raise
            raise NoFolderError(
                error.errno, f"Parent directory {Path(os.fsdecode(f)).parent} does not exist; make it", os.fsdecode(f)
            ) from None
    elif isinstance(f, io.TextIOBase):
        raise TypeError("save: the file is open for text; open it for writing bytes: open(path, 'wb')")
    else:
        for piece in pieces:
            _write_all(f, piece)


def load(
    f: File,
    map_location: Any = None,
    pickle_module: None = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read a file that `save` wrote, any safetensors file as a dict of tensors, or a file of PyTorch's `torch.save`.

    Nothing in a file is run, unless `weights_only` is False and `save` wrote a pickle. Of the files of
    `torch.save`, in both formats, those are read that hold tensors, parameters, numbers, text, bytes, and lists,
    tuples, dicts and sets of them, such as state dicts; any other content is refused. Their tensors are views of the
    storages in the file, as in PyTorch; one whose numbers are repeated, as by `expand`, cannot be changed in place.

    bfloat16, which NumPy does not have, becomes float32 with the same values, with a warning. Loading needs hardly more
    memory than the tensors themselves.

    Args:
        f: a path, or a file open for reading bytes.
        map_location: the device of the tensors; None means the one that each was saved on, "meta" shapes and dtypes
            (nothing else is read). Also, as in PyTorch, a dict from the names of devices to devices, such as {"cuda:1":
            "cuda:0"}; or a function that gets each tensor on the CPU and the name of its device, and returns it where
            it belongs, or None for the device of that name.
        pickle_module: must be None.
        weights_only: False also reads the pickle of a module or of another object that `save` wrote, which can run any
            code that the file holds: only from a source that you trust.
        mmap: without effect; the tensors get their own memory.
        pickle_load_args: must be empty.

    Raises:
        OSError: the file cannot be read, or is a pipe or a device.
        CheckpointError: the file is damaged, has another format, or holds code, such as a whole module; or a tensor was
            saved on a GPU that does not exist here, and `map_location` does not say where it should go.

    >>> import io
    >>> file = io.BytesIO()
    >>> minicnn.save({"epoch": 3, "weights": minicnn.ones(2)}, file)
    >>> _ = file.seek(0)
    >>> minicnn.load(file)
    {'epoch': 3, 'weights': tensor([1., 1.])}
    """
    from . import pth

    _no_pickle("load", pickle_module or pickle_load_args or None)
    where = _where(map_location)
    with opened(f) as source:
        if whole.begins(source):
            place = None if map_location is None else partial(_moved, where=where)
            return whole.read(source, weights_only is False, place)
        if pth.begins(source):
            return pth.read(source, where)
        header = read_header(source)
        arrays = {} if where("cpu") == META else read_arrays(source, header)

        def array(name: str) -> Any:
            return arrays[name] if name in arrays else read_arrays(source, header, [name])[name]

        decoder = Decoder(array, header.entries, where)
        try:
            if "tree" not in header.about:
                return {key: decoder.placed(key) for key in header.entries}
            return decoder.decode(header.about["tree"])
        except (CheckpointError, OSError):
            raise
        except Exception as error:  # forged JSON can fail anywhere
            raise CheckpointError(
                f"{source.name}: the JSON of the object is malformed ({error!r}); restore the file from a copy, or "
                "train again"
            ) from error


def _where(map_location: Any) -> Where:
    """The rule for the devices of tensors, from the argument of `load`."""
    if map_location is None:
        return _as_saved
    if isinstance(map_location, Mapping):
        return lambda saved: _as_saved(map_location.get(saved, saved))
    if callable(map_location):
        return lambda saved: lambda tensor: _by_function(map_location, tensor, saved)
    device = resolve(map_location, "load")
    return lambda saved: device


def _as_saved(device: Any) -> Device:
    """The device that a tensor was saved on, after checking that it is there."""
    try:
        return resolve(device, "load")
    except RuntimeError as error:
        elsewhere = f"; map_location={{'{device}': 'cuda:0'}} names another GPU" if _gpu_available() else ""
        raise CheckpointError(
            f"Attempting to deserialize object on device '{device}', which is not there. If you are running on a "
            "CPU-only machine, please use minicnn.load with map_location=minicnn.device('cpu') to map your storages to "
            f"the CPU{elsewhere}. {error}"
        ) from None


def _moved(tensor: Tensor, where: Where) -> Tensor:
    """A tensor where `map_location` says."""
    place = where(str(tensor.device))
    return place(tensor) if callable(place) else tensor.to(place)


def _by_function(function: Any, tensor: Tensor, saved: str) -> Tensor:
    """The tensor where the user's function puts it."""
    moved = function(tensor, saved)
    return tensor.to(_as_saved(saved)) if moved is None else moved.detach()


def _write_all(f: Any, piece: Any) -> None:
    """Write all bytes of a piece, to a file that may write fewer at once, or may keep the object."""
    if not isinstance(f, io.RawIOBase):
        f.write(piece if isinstance(f, io.IOBase) else bytes(piece))
        return
    left = memoryview(piece)
    while left:
        left = left[f.write(left) or 0 :]


def _no_pickle(op: str, given: Any) -> None:
    if given is not None:
        raise TypeError(f"{op}: nothing is pickled or unpickled here; leave out pickle_module and its options")


_answer(globals())
