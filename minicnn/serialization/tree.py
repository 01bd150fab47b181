"""Objects made of tensors, containers and numbers, to JSON with names instead of the tensors, and back.

Types that JSON has stand for themselves; everything else is an object with one key, its kind:
{"tuple": [1, 2]}, {"tensor": "0.weight"}.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minicnn_kernels.arrays import address, on_gpu

from ..autograd import own_order
from ..device import Device, meta
from ..dtypes import DType, Size
from ..nn import Parameter
from ..tensor import Array, Tensor
from .format import NAMES, Entry

_CONTAINERS: dict[type, str] = {
    list: "list", tuple: "tuple", Size: "size", set: "set", dict: "dict", OrderedDict: "ordered", Counter: "counter",
}  # fmt: skip
_MADE: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple, "size": Size, "set": set, "dict": dict, "ordered": OrderedDict, "float": float, "dtype": DType,
    "device": Device, "counter": lambda pairs: Counter(dict(pairs)), "bytes": bytes.fromhex, "complex": complex,
    "bytearray": bytearray.fromhex,
}  # fmt: skip
Where = Callable[[str], Device | Callable[[Tensor], Tensor]]


class WholeObjectError(TypeError):
    """An object that is no plain data, such as a module or the arguments of a program."""


class Encoder:
    """Turns an object into JSON; its arrays become entries of `arrays`, named after their places ("net.0.weight")."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self.first: dict[Any, str] = {}  # a block of memory -> the name of its first tensor
        self.around: set[int] = set()  # the ids of the containers around the current object

    def encode(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        """The JSON for `value`, whose place is `path`."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind in (bytes, bytearray):
            return {kind.__name__: value.hex()}
        if kind is complex:
            return {"complex": repr(value)}
        if isinstance(value, (DType, np.dtype)):
            return {"dtype": value.str}
        if kind is Device:
            return {"device": str(value)}
        base = OrderedDict if isinstance(value, OrderedDict) else dict if isinstance(value, dict) else kind
        if container := _CONTAINERS.get(kind) or _CONTAINERS.get(base):
            return self._container(value, container, path)
        if isinstance(value, (Tensor, np.ndarray, np.generic)) and kind is not np.str_:
            return self._tensor(value, path)
        if hasattr(value, "state_dict"):
            remedy = "save its state_dict() instead"
        elif hasattr(value, "__dict__") and not callable(value):
            remedy = "save vars() of it instead"
        else:
            remedy = "save its content as tensors, numbers, strings, lists and dicts"
        raise WholeObjectError(
            f"save: {_where(path)} is of type {kind.__name__}, and only tensors, numbers, text, bytes and "
            f"containers of them are plain data; {remedy}"
        )

    def _container(self, value: Any, name: str, path: tuple[str, ...]) -> Any:
        if id(value) in self.around:
            raise TypeError(f"save: {_where(path)} contains itself")
        self.around.add(id(value))
        if isinstance(value, Mapping):
            content = [[self.encode(k, (*path, "a key")), self.encode(v, (*path, str(k)))] for k, v in value.items()]
        else:
            parts = sorted(value, key=repr) if name == "set" else value
            content = [self.encode(part, (*path, str(i))) for i, part in enumerate(parts)]
        self.around.remove(id(value))
        return content if name == "list" else {name: content}

    def _tensor(self, value: Any, path: tuple[str, ...]) -> dict[str, Any]:
        if isinstance(value, Tensor) and value.is_meta:
            raise TypeError(f"save: {_where(path)} is a tensor on device 'meta' and has no values to save")
        array = own_order.settle(value).detach().cpu().array if isinstance(value, Tensor) else np.asarray(value)
        if array.dtype.newbyteorder("=") not in NAMES:
            raise WholeObjectError(
                f"save: {_where(path)} has type {array.dtype}; there are: {', '.join(map(str, NAMES))}"
            )
        base = (".".join(path) or "tensor").encode(errors="replace").decode()  # half of a surrogate pair is no UTF-8
        name, number = base, 0
        while name in self.arrays or name == "__metadata__":
            number += 1
            name = f"{base}#{number}"
        self.arrays[name] = array
        found: dict[str, Any] = {"tensor": name}
        if (order := _order(array)) is not None:
            found["order"] = order
        if not isinstance(value, Tensor):
            return {**found, "numpy": "array" if isinstance(value, np.ndarray) else "number"}
        if on_gpu(value._array):
            found["device"] = str(value.device)
        if array.size:
            memory = (address(value._array), array.shape, value._array.strides, array.dtype, found.get("device"))
            if (same := self.first.setdefault(memory, name)) != name:
                found["same"] = same
        if isinstance(value, Parameter):
            found["parameter"] = value.requires_grad
        elif value.requires_grad:
            found["requires_grad"] = True
        return found


class Decoder:
    """Turns JSON back into the object.

    Args:
        arrays: gives an array by its name; for "meta" it is called for NumPy arrays only.
        entries: the shapes and types of the arrays.
        where: takes the name of the device that a tensor was saved on, such as "cuda:0"; returns the device that it
            goes to, or a function that moves it there.
    """

    def __init__(self, arrays: Callable[[str], Array], entries: Mapping[str, Entry], where: Where) -> None:
        self.arrays, self.entries, self.where = arrays, entries, where
        self.tensors: dict[str, Tensor] = {}

    def decode(self, value: Any) -> Any:
        """The object that the JSON describes.

        Raises:
            Exception: of any type: the JSON does not describe an object.
        """
        if isinstance(value, list):
            return [self.decode(part) for part in value]
        if not isinstance(value, dict):
            return value
        if "tensor" in value:
            return self._tensor(value)
        ((kind, content),) = value.items()
        if isinstance(content, list):
            content = self.decode(content)  # the pairs of a dict are lists of two
        if kind in ("dict", "ordered", "counter"):
            content = [(key, part) for key, part in content]
        return _MADE[kind](content)

    def _tensor(self, entry: dict[str, Any]) -> Any:
        order = entry.get("order")
        if "numpy" in entry:
            array = _ordered(self.arrays(entry["tensor"]), order)
            return array if entry["numpy"] == "array" else array[()]
        tensor = self.placed(entry.get("same", entry["tensor"]), order, entry.get("device", "cpu")).detach()
        if "parameter" in entry:
            return Parameter(tensor, entry["parameter"])
        return tensor.requires_grad_() if entry.get("requires_grad") else tensor

    def placed(self, name: str, order: Any = None, saved_on: str = "cpu") -> Tensor:
        """The tensor with this name in the file; every call gives the same object."""
        if name not in self.tensors:
            entry = self.entries[name]
            array = lambda: _ordered(self.arrays(name), order)  # noqa: E731
            self.tensors[name] = placed(self.where, saved_on, entry.shape, entry.dtype, array)
        return self.tensors[name]


def placed(
    where: Where, saved_on: str, shape: tuple[int, ...], dtype: np.dtype[Any], array: Callable[[], Array]
) -> Tensor:
    """A tensor on the device where it belongs; its array is asked for unless that is "meta"."""
    device = where(saved_on)
    on_meta = isinstance(device, Device) and device.type == "meta"
    tensor = Tensor(meta(shape, dtype) if on_meta else array())
    return tensor.to(device) if isinstance(device, Device) else device(tensor)


def _order(array: Array) -> list[int] | None:
    """The axes from the slowest in memory to the fastest, as for channels_last; None for the plain order 0, 1, ...

    None also for an array with gaps or overlaps in memory, which is saved in the plain order.
    """
    if array.flags.c_contiguous:
        return None
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    return order if array.transpose(order).flags.c_contiguous else None


def _ordered(array: Array, order: Any) -> Array:
    """The array with its axes in this order in memory."""
    if order is None:
        return array
    back = [order.index(axis) for axis in range(array.ndim)]
    return np.ascontiguousarray(array.transpose(order)).transpose(back)


def _where(path: tuple[str, ...]) -> str:
    return "the object" if not path else "the object's entry " + "".join(f"[{part!r}]" for part in path)
