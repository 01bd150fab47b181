"""Reads the files of `torch.save` without PyTorch, and without running anything that they contain.

There are two formats. Since PyTorch 1.6 a file is a zip archive: `NAME/data.pkl` is a pickle of the object, in which
each tensor names its storage, offset, size and strides; `NAME/data/0`, `NAME/data/1` ... are the storages, plain
numbers; `NAME/byteorder` is "little" or "big". Before, a file was a sequence of pickles: a magic number, the version
1001, facts about the machine, the object, and the list of its storages, whose numbers follow, each storage after its
length in 8 bytes.

`pickled.py` runs the pickles. The tensors that they describe are views of the storages, as PyTorch's are; every size,
stride and offset is checked against the storage, and all storages together against the file.
"""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..device import Device, meta
from ..dtypes import DType, Size
from ..nn import Parameter
from ..tensor import Tensor
from .foreign import AGAIN, NO_PICKLE, SCRIPT, first_in_archive, unread
from .format import WIDE
from .pickled import (
    Machine,
    Maker,
    Pickles,
    Refused,
    as_bytearray,
    as_bytes,
    as_complex,
    collected,
    counted,
    encoded,
    not_plain,
    ordered,
)
from .source import CheckpointError, Source
from .storages import STORAGES, Kind, Part, Storage, check_view, whole
from .tree import Where, placed

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_PICKLE_BEGINS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_LONGEST = 100_000_000  # bytes of the pickle in an archive
_TENSOR = 20  # the work of making a tensor, in instructions

_DTYPES = (
    "float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip
_LEAVES = (Tensor, bool, int, float, complex, str, bytes, bytearray, DType, Device)


def begins(source: Source) -> bool:
    """Whether a source begins as such a file, or as another pickle does; False for a pipe, which cannot go back."""
    if source.size is None:
        return False
    beginning = source.take(512)
    source.stream.seek(source.start)
    length = int.from_bytes(beginning[:8], "little")
    if length <= source.size - 8 and beginning[8:9] in (b"{", b"["):
        return False  # a safetensors file, whose header happens to be as long
    if beginning[:4] == b"PK\3\4":
        if first_in_archive(beginning).endswith("data.pkl"):
            return True
        with suppress(Exception):  # it is no archive that can be read
            found = any(name.endswith("/data.pkl") for name in zipfile.ZipFile(source.stream).namelist())
            source.stream.seek(source.start)
            return found
        source.stream.seek(source.start)
    return beginning.startswith(_PICKLE_BEGINS)


def read(source: Source, where: Where) -> Any:
    """The object in a file of `torch.save`: tensors, numbers, text, bytes and containers of them.

    Args:
        source: the file, at its beginning.
        where: takes the name of the device that a tensor was saved on; returns where it goes, as for `tree.Decoder`.

    Raises:
        CheckpointError: the file is damaged, or contains something else; nothing of it has run then, either.
    """
    reader = _Reader(source, where)
    try:
        zipped = source.take(2) == b"PK"
        source.stream.seek(source.start)
        found = reader.archive() if zipped else reader.sequence()
        if (other := not_plain(found, _LEAVES)) is not None:
            raise Refused(f"it contains a {type(other).__name__} outside of a tensor")
    except (CheckpointError, OSError):
        raise
    except Refused as error:
        raise CheckpointError(f"{source.name}: a file of torch.save that is not read: {error}") from error
    except Exception as error:  # a damaged file can fail anywhere
        raise CheckpointError(f"{source.name}: a damaged file of torch.save ({error!r}); {AGAIN}") from error
    if reader.wide:
        warnings.warn(f"{source.name}: {WIDE}", stacklevel=3)
    return found


class _Reader:
    """Reads one file."""

    def __init__(self, source: Source, where: Where) -> None:
        self.source, self.where = source, where
        self.storages: dict[str, Storage] = {}
        self.tensors: dict[Any, Tensor] = {}
        self.total = 0  # the bytes of the storages
        self.big = self.wide = False
        self.looking = False  # for the storages only: tensors are not made yet
        self.names = {**_names(), **self._makers()}

    # -------------------------------------------------------------------------------------------------- the two formats

    def archive(self) -> Any:
        """The object in a zip archive."""
        try:
            archive = zipfile.ZipFile(self.source.stream)
        except Exception as error:
            raise Refused(f"cut short or damaged: its zip archive has no directory ({error}); {AGAIN}") from error
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.endswith("/data.pkl")]
        if any("/code/" in name or name.endswith("/constants.pkl") for name in members):
            raise CheckpointError(f"{self.source.name}: {SCRIPT}")
        if len(pickles) != 1:
            raise Refused(f"its archive has {len(pickles)} members data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        order = members.get(f"{folder}byteorder")
        self.big = order is not None and self._member(order) == b"big"

        def locate(key: str, storage: Storage) -> None:
            info = members.get(f"{folder}data/{key}")
            if info is None:
                raise Refused(f"its archive lacks the storage {key!r}")
            if info.file_size != storage.count * storage.kind.width:
                raise Refused(f"the storage {key!r} has {info.file_size} bytes, and its tensors say another number")
            storage.place, storage.check = self._place(info), info.CRC

        data = self._member(members[pickles[0]])
        stream = Pickles(Source(self.source.name, io.BytesIO(data)))
        return Machine(self.names, lambda pid: self._storage(pid, 5, locate), _unknown).run(stream)

    def sequence(self) -> Any:
        """The object in a sequence of pickles. The first run over its pickle only finds the storages."""
        stream = Pickles(self.source)
        plain = Machine(_names())
        try:
            magic = plain.run(stream)
        except Exception:
            magic = None
        if type(magic) is not int or magic != _MAGIC:
            raise CheckpointError(f"{self.source.name}: {NO_PICKLE}")
        version = plain.run(stream)
        if version != _VERSION:
            raise Refused(f"its format has the version {version}, and {_VERSION} is known")
        plain.run(stream)  # facts about the machine; the numbers are little-endian always
        begin = stream.tell()
        machine = Machine(self.names, lambda pid: self._storage(pid, 6, lambda key, storage: None), _unknown)
        self.looking = True
        machine.run(stream)
        self._locate(stream, plain.run(stream))
        self.looking = False
        return machine.run(Pickles(self.source, begin))

    def _locate(self, stream: Pickles, keys: Any) -> None:
        """Find out where the storages are, in the order of the keys: each after its length."""
        if type(keys) is not list or sorted(keys) != sorted(self.storages):
            raise Refused("its list of storages does not have those that its tensors need")
        place = stream.tell()
        for key in keys:
            storage = self.storages[key]
            self.source.stream.seek(self.source.start + place)
            count = int.from_bytes(self.source.take(8), "little")
            if count != storage.count:
                raise Refused(f"the storage {key!r} has {count} numbers, and its tensors say {storage.count}")
            storage.place = place + 8
            place = storage.place + count * storage.kind.width
        if place > (self.source.size or 0):
            raise Refused(f"cut short: its tensors end at byte {place:,} of {self.source.size:,}; {AGAIN}")

    def _place(self, info: zipfile.ZipInfo) -> int:
        """Where the content of a member begins, after its own header."""
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise Refused(f"{info.filename!r} in its archive is compressed or encrypted; pack it anew without")
        begin = info.header_offset
        self.source.stream.seek(begin)
        header = self.source.take(30)
        if begin < self.source.start or header[:4] != b"PK\3\4":
            raise Refused(f"{info.filename!r} is not where its archive says")
        place = begin + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        place -= self.source.start
        if place + info.file_size > (self.source.size or 0):
            raise Refused(f"cut short: {info.filename!r} ends after the file; {AGAIN}")
        return place

    def _member(self, info: zipfile.ZipInfo) -> bytes:
        place = self._place(info)
        if info.file_size > _LONGEST:
            raise Refused(f"everything but the tensors takes {info.file_size:,} bytes, more than {_LONGEST:,}")
        self.source.stream.seek(self.source.start + place)
        data = self.source.take(info.file_size)
        if zlib.crc32(data) != info.CRC:
            raise Refused(f"damaged: the CRC-32 of {info.filename!r} differs; {AGAIN}")
        return data

    # ------------------------------------------------------------------------------------------- what the pickles build

    def _storage(self, pid: Any, parts: int, locate: Callable[[str, Storage], None]) -> Part:
        """The storage, or a part of it, that a persistent id means."""
        if type(pid) is not tuple or len(pid) != parts or pid[0] != "storage":
            raise Refused("it refers to something that is no storage")
        kind, key, location, count = pid[1:5]
        if type(kind) is not Kind or type(key) is not str or type(location) is not str:
            raise Refused("its reference to a storage lacks a type, a key or a device")
        whole("the length of a storage", count)
        storage = self.storages.get(key)
        if storage is None:
            storage = self.storages[key] = Storage(kind, count, location)
            self.total += count * kind.width
            if self.total > (self.source.size or 0):
                raise Refused(f"its tensors take {self.total:,} bytes, and the file has {self.source.size:,}")
            locate(key, storage)
        elif (storage.kind, storage.count, storage.location) != (kind, count, location):
            raise Refused(f"the storage {key!r} has two types, lengths or devices")
        view = pid[5] if parts == 6 else None
        if view is None:
            return Part(storage, 0, count)
        _, start, length = view
        whole("a part of a storage", start, length)
        if start + length > count:
            raise Refused(f"a part of a storage ends at {start + length}, and the storage at {count}")
        return Part(storage, start, length)

    def _makers(self) -> dict[str, Maker]:
        """The names in pickles that stand for the making of tensors."""
        utils: dict[str, Callable[..., Any]] = {
            "_rebuild_tensor": lambda part, offset, size, stride: self._tensor(part, offset, size, stride),
            "_rebuild_tensor_v2": lambda part, offset, size, stride, gradient, hooks, about=None: self._tensor(
                part, offset, size, stride, gradient, about=about
            ),
            "_rebuild_tensor_v3": lambda part, offset, size, stride, gradient, hooks, dtype, about=None: self._tensor(
                part, offset, size, stride, gradient, dtype, about
            ),
            "_rebuild_parameter": lambda data, gradient, hooks: self._parameter(data, gradient),
            "_rebuild_parameter_with_state": lambda data, gradient, hooks, state: self._parameter(data, gradient),
            "_rebuild_meta_tensor_no_storage": _on_meta,
        }
        tensors = {f"torch._utils {name}": Maker(name, make, _TENSOR) for name, make in utils.items()}
        plain = Maker("Tensor", _no_call)

        def with_attributes(rebuild: Any, kind: Any, arguments: Any, attributes: Any) -> Any:
            """A tensor that had attributes of its own, which are left out."""
            if rebuild not in tensors.values() or kind is not plain or type(arguments) is not tuple:
                raise Refused("a tensor with attributes is of another class")
            return rebuild.make(*arguments)

        name = "_rebuild_from_type_v2"
        return {**tensors, f"torch._tensor {name}": Maker(name, with_attributes, _TENSOR), "torch Tensor": plain}

    def _tensor(
        self,
        part: Any,
        offset: Any,
        size: Any,
        stride: Any,
        gradient: Any = False,
        dtype: Any = None,
        about: Any = None,
    ) -> Tensor | None:
        """A view of a storage, where it belongs; the same view is the same tensor, as for tied weights."""
        if self.looking:
            return None
        if type(part) is not Part or type(gradient) is not bool:
            raise Refused("a tensor has no storage, or does not say whether it needs a gradient")
        if about:
            raise Refused("a tensor is a conjugate or negative view; clone it before saving")
        kind = part.storage.kind
        given = kind.dtype
        dtype = DType(given) if dtype is None else dtype
        if not isinstance(dtype, DType) or (dtype != given and not kind.untyped):
            raise Refused(f"a tensor of type {dtype} has a storage of type {kind.name}")
        room = part.count * given.itemsize // dtype.itemsize  # a tensor's numbers in the storage
        check_view(offset, size, stride, room)
        key = (id(part.storage), part.start, offset, size, stride, dtype)
        if key not in self.tensors:
            self.tensors[key] = placed(
                self.where,
                part.storage.location,
                size,
                dtype.dtype,
                lambda: part.view(offset, size, stride, dtype.dtype, self.source, self.big),
            )
            self.wide = self.wide or kind.type == "BF16"
        tensor = self.tensors[key].detach()
        return tensor.requires_grad_() if gradient else tensor

    def _parameter(self, data: Any, gradient: Any) -> Parameter | None:
        if self.looking:
            return None
        if not isinstance(data, Tensor) or type(gradient) is not bool:
            raise Refused("a parameter has no tensor, or does not say whether it needs a gradient")
        return Parameter(data, gradient)


def _names() -> dict[str, Any]:
    """What names in pickles mean, except those of functions that make tensors."""
    names: dict[str, Any] = {
        "collections OrderedDict": Maker("OrderedDict", ordered),
        "collections Counter": Maker("Counter", counted),
        "_codecs encode": Maker("encode", encoded),
        "torch Size": Maker("Size", _size),
        "torch device": Maker("device", _device),
    }
    builtins: dict[str, Callable[..., Any]] = {
        "set": collected,
        "bytes": as_bytes,
        "bytearray": as_bytearray,
        "complex": as_complex,
    }
    for name, make in builtins.items():
        names[f"__builtin__ {name}"] = names[f"builtins {name}"] = Maker(name, make)
    names.update({f"torch {dtype}": DType(dtype) for dtype in _DTYPES})
    for name, kind in STORAGES.items():
        for module in ("torch", "torch.storage", "torch.cuda"):
            names[f"{module} {name}Storage"] = Kind(f"{name}Storage", kind)
    return names


def _device(kind: Any, index: Any = None) -> Device:
    try:
        return Device(kind, index)
    except RuntimeError as error:
        raise Refused(f"it contains a device that minicnn lacks ({error}); leave it out") from error


def _size(parts: Any = ()) -> Size:
    if type(parts) not in (tuple, list):
        raise Refused("a Size that is no tuple")
    whole("a Size", *parts)
    return Size(parts)


def _on_meta(dtype: Any, size: Any, stride: Any, gradient: Any) -> Tensor:
    """A tensor of the device "meta", which has no numbers."""
    if not isinstance(dtype, DType) or type(size) not in (tuple, Size) or type(gradient) is not bool:
        raise Refused("a tensor on the device meta has no type or size, or does not say whether it needs a gradient")
    whole("the size of a tensor", *size)
    tensor = Tensor(meta(tuple(size), dtype.dtype))
    return tensor.requires_grad_() if gradient else tensor


def _no_call(*arguments: Any) -> Any:
    raise Refused("it makes a tensor without a storage")


def _unknown(name: str) -> Refused:
    """The error for a name that is not in the table."""
    return Refused(unread(name))
