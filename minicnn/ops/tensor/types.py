"""Conversion between types and devices; the rules for the type of a result are in `promotion.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import address, contiguous, host, is_page_locked, on_gpu, upload

from ... import memory_formats
from ...autograd import own_order
from ...autograd.engine import Function
from ...cuda.devices import is_available
from ...device import CPU, Device, Meta, meta, resolve
from ...device import of as device_of
from ...dtypes import DType, of_array
from ...tensor import Array, Tensor, tensor_method
from . import promotion
from .arguments import guarded

__all__ = ["can_cast", "is_complex", "is_floating_point", "is_signed", "promote_types", "result_type"]

NAMES = {
    "FloatTensor": np.float32, "DoubleTensor": np.float64, "HalfTensor": np.float16, "LongTensor": np.int64,
    "IntTensor": np.int32, "ShortTensor": np.int16, "CharTensor": np.int8, "ByteTensor": np.uint8,
    "BoolTensor": np.bool_,
}  # fmt: skip


class Cast(Function):
    """The same values in another type or memory order; the gradient is converted back."""

    @staticmethod
    def forward(ctx: Any, x: Array, dtype: np.dtype[Any], order: str = "K") -> Array:
        """Copy; the order "channels_last" puts the second axis last in memory."""
        ctx.dtype = x.dtype
        with np.errstate(all="ignore"):  # a number too large for the type becomes Inf
            if order in "KC":
                return x.astype(dtype, order=order)  # type: ignore[call-overload]
            return contiguous(np.moveaxis(x, 1, -1), dtype).transpose(0, x.ndim - 1, *range(1, x.ndim - 1))

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Cast back."""
        return gy.astype(ctx.dtype), None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """Cast."""
        return v.astype(ctx.outputs[0][1])

    @staticmethod
    def infer(x: Array, dtype: np.dtype[Any], order: str = "K") -> Meta:
        """Return the same shape in the new type."""
        return meta(x.shape, dtype)


class ToDevice(Function):
    """The same values in the memory of another device; the gradient is copied back."""

    any_device = True
    backward_allocates = True

    @staticmethod
    def forward(ctx: Any, x: Array, device: Device, non_blocking: bool = False) -> Array:
        """Copy."""
        ctx.before, ctx.device = device_of(x), device
        return _moved(x, device, non_blocking)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None, None]:
        """Copy back."""
        return _moved(gy, ctx.before, False), None, None

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """Copy."""
        return _moved(v, ctx.device, False)


def _moved(x: Array, device: Device, non_blocking: bool) -> Array:
    """Return the values of x on a device, CPU or GPU, in x's order of memory."""
    order, back = memory_formats.axes_in_memory(x)
    lying = x if x.flags.c_contiguous else x.transpose(order)
    there = host(lying, non_blocking) if device.index is None else upload(lying, device.index, non_blocking)
    return there if lying is x else there.transpose(back)


class PageLocked(Function):
    """The same values in page-locked memory of the CPU."""

    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        """Copy."""
        return memory_formats.page_locked(x)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array]:
        """Hand the gradient on."""
        return (gy,)

    @staticmethod
    def tangent(ctx: Any, v: Array) -> Array:
        """Hand the change on."""
        return v


class ToMeta(Function):
    """The shape and the type, without the values."""

    any_device = True

    @staticmethod
    def forward(ctx: Any, x: Array, dtype: np.dtype[Any]) -> Array:
        """Drop the values."""
        return meta(x.shape, dtype)


def _target(args: tuple[Any, ...]) -> tuple[Any, Any, tuple[Any, ...]]:
    """Return the device, the type and the flags in the positional arguments of `to`, in any of its three forms."""
    if not args:
        return None, None, ()
    first, rest = args[0], args[1:]
    if isinstance(first, Tensor):
        return first.device, first.dtype, rest
    if rest and isinstance(rest[0], Tensor):
        raise TypeError("to() received an invalid combination of arguments: give a tensor, or a device and a dtype")
    if isinstance(first, Device) or (isinstance(first, str) and not _is_type(first)) or (first is None and rest):
        return first, *((rest[0], rest[1:]) if rest else (None, ()))
    if isinstance(first, (int, bool)):
        return Device("cuda", first), *((rest[0], rest[1:]) if rest else (None, ()))
    return None, first, rest


def _is_type(name: str) -> bool:
    """Return whether a string is the full name of a type, such as "float32", and not of a device."""
    try:
        return np.dtype(name).name == name  # not "float", which is float64 to NumPy and float32 to PyTorch
    except TypeError:
        return False


@tensor_method("to")
def to(
    x: Tensor,
    *args: Any,
    dtype: Any = None,
    device: str | Device | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Return the tensor in another type or on another device; itself if nothing changes and `copy` is false.

    The forms are PyTorch's: `to(dtype)`, `to(device, dtype)`, `to(other)`, each followed by non_blocking and copy.

    A copy to a GPU never makes the program wait, a copy from a GPU does.

    Args:
        non_blocking: a copy from page-locked memory (`pin_memory`) is not staged: do not change that tensor before the
            copy is done. A copy from a GPU goes to page-locked memory, and the program does not wait: call
            `minicnn.cuda.synchronize()` before you read it.
        memory_format: `minicnn.channels_last` for 4-d tensors (N, C, H, W), with the channels of a pixel side by side
            in memory, or `minicnn.contiguous_format` for row-major memory.

    Raises:
        NotImplementedError: the tensor is on the meta device, and the other is not: it has no values.
        RuntimeError: there is no such device, or `channels_last` is asked of other than four axes.

    >>> x = minicnn.tensor([1, 2])
    >>> x.to(minicnn.float32), x.to(minicnn.int64) is x
    (tensor([1., 2.]), True)
    >>> minicnn.zeros(8, 3, 5, 4).to(memory_format=minicnn.channels_last).stride()
    (60, 1, 12, 3)
    """
    place, kind, flags = _target(args)
    device, dtype = place if device is None else device, kind if dtype is None else dtype
    copy = copy or (len(flags) > 1 and bool(flags[1]))
    wanted = x.array.dtype if dtype is None else np.dtype(dtype)
    where = x.device if device is None else resolve(device, "to")
    if where.type == "meta":
        return (
            x
            if x.is_meta and wanted == x.array.dtype
            else ToMeta.apply(x, wanted)
            if not x.is_meta
            else Cast.apply(x, wanted)
        )
    if x.is_meta:
        raise NotImplementedError(
            "to: a tensor on device 'meta' has no values to copy; use to_empty() or create it on 'cpu'"
        )
    if where != x.device:
        non_blocking = non_blocking or (bool(flags) and bool(flags[0]))
        x, copy = ToDevice.apply(x, where, non_blocking), False
    order = _order(x, memory_format)
    if wanted == x.array.dtype and not copy and order == "K":
        return x
    y: Tensor = Cast.apply(x, wanted, order)
    if order == "channels_last":
        y._order = None  # the program has asked for this order
    return y


def _order(x: Tensor, memory_format: Any) -> str:
    """Return the memory order for `Cast`; "K" (keep) if the tensor has the format already."""
    name = str(memory_format).rpartition(".")[2]
    if memory_format is None or name == "preserve_format":
        return "K"
    if name == "contiguous_format":
        return "K" if own_order.seen(x).flags.c_contiguous else "C"
    if name != "channels_last" or x.ndim != 4:
        raise RuntimeError(f"to: memory_format {name} needs a 4-d tensor (N, C, H, W) and channels_last, got {x.shape}")
    return "K" if own_order.seen(x).transpose(0, 2, 3, 1).flags.c_contiguous else "channels_last"


def _conversion(name: str, dtype: Any) -> Callable[..., Tensor]:
    kind = np.dtype(dtype)

    def convert(self: Tensor, memory_format: Any = None) -> Tensor:
        return (
            self if self.array.dtype == kind and memory_format is None else to(self, kind, memory_format=memory_format)
        )

    convert.__name__, convert.__doc__ = (
        name,
        f"""The tensor as {kind}.

>>> minicnn.tensor([1, 2]).{name}().dtype
minicnn.{kind}
""",
    )
    return convert


for _method, _dtype in (
    ("float", np.float32), ("double", np.float64), ("half", np.float16), ("long", np.int64), ("int", np.int32),
    ("short", np.int16), ("char", np.int8), ("byte", np.uint8), ("bool", np.bool_),
):  # fmt: skip
    tensor_method(_method)(_conversion(_method, _dtype))


@tensor_method("type")
def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """Return the name of the type, such as "minicnn.FloatTensor" or, on a GPU, "minicnn.cuda.FloatTensor"; or the
    tensor converted to a type of such a name, on the device that the name says.

    >>> minicnn.zeros(2).type(), minicnn.zeros(2).type("minicnn.LongTensor")
    ('minicnn.FloatTensor', tensor([0, 0]))
    """
    if dtype is None:
        name = next(name for name, kind in NAMES.items() if kind == self.array.dtype)
        return f"minicnn.{'cuda.' if on_gpu(self._array) else ''}{name}"
    name = dtype.rpartition(".")[2] if isinstance(dtype, str) else ""
    if name not in NAMES:
        return to(self, dtype)
    elsewhere = "cuda" if ".cuda." in dtype else CPU if on_gpu(self._array) else None
    return to(self, elsewhere, NAMES[name], non_blocking=non_blocking)


@tensor_method("type_as")
@guarded
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in the type of `other`, and on its device."""
    return to(self, other)


@tensor_method("is_floating_point")
def is_floating_point(input: Tensor) -> bool:
    """Return whether the elements are floating-point numbers.

    >>> minicnn.is_floating_point(minicnn.zeros(2)), minicnn.is_floating_point(minicnn.arange(2))
    (True, False)
    """
    return input.array.dtype.kind == "f"


@tensor_method("is_complex")
def is_complex(input: Tensor) -> bool:
    """Return False: minicnn has no complex numbers.

    >>> minicnn.is_complex(minicnn.zeros(2))
    False
    """
    return False


@tensor_method("is_signed")
def is_signed(input: Tensor) -> bool:
    """Return whether the type has negative numbers.

    >>> minicnn.is_signed(minicnn.zeros(2, dtype=minicnn.uint8))
    False
    """
    return input.array.dtype.kind in "if"


@tensor_method("element_size")
def element_size(self: Tensor) -> int:
    """Return the number of bytes of an element.

    >>> minicnn.zeros(2).element_size()
    4
    """
    return self.array.itemsize


def promote_types(type1: Any, type2: Any) -> DType:
    """The smallest type that both types convert to: if only one is floating point, that one, else NumPy's.

    >>> minicnn.promote_types(minicnn.uint8, minicnn.int8), minicnn.promote_types(minicnn.int64, minicnn.float16)
    (minicnn.int16, minicnn.float16)
    """
    return of_array[promotion.promoted(np.dtype(type1), np.dtype(type2))]


def result_type(tensor1: Any, tensor2: Any) -> DType:
    """Return the type of an operation on two tensors or numbers; 0-d tensors and numbers have only a category.

    >>> minicnn.result_type(minicnn.arange(2), 1.5)
    minicnn.float32
    """
    operands = (promotion.as_operand(o, "result_type") for o in (tensor1, tensor2))
    return of_array[promotion.result_type(*operands)]


def can_cast(from_: Any, to: Any) -> bool:
    """Return whether a type converts to another without changing category: no float to integer, nothing to bool.

    >>> minicnn.can_cast(minicnn.int64, minicnn.float32), minicnn.can_cast(minicnn.float32, minicnn.int64)
    (True, False)
    """
    source, target = np.dtype(from_), np.dtype(to)
    return not (source.kind == "f" and target.kind != "f") and not (target.kind == "b" and source.kind != "b")


# --------------------------------------------------------------------------------------------------- where memory lies

for _name, _value in {
    "is_cpu": lambda self: self.device.type == "cpu",
    "is_cuda": lambda self: on_gpu(self._array),
    "itemsize": lambda self: self.array.itemsize,
    "nbytes": lambda self: self.array.nbytes,
}.items():
    setattr(Tensor, _name, property(_value))


@tensor_method("data_ptr")
def _data_ptr(self: Tensor) -> int:
    """Return the address of the first element; 0 on the meta device."""
    return 0 if self.is_meta else address(own_order.settle(self)._array)


@tensor_method("get_device")
def _get_device(self: Tensor) -> int:
    """Return the number of the GPU that holds the tensor; -1 if none does, as in PyTorch."""
    return -1 if self.device.index is None else self.device.index


@tensor_method("pin_memory")
def _pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """Return a copy in page-locked memory, from which a GPU copies by itself; the tensor itself if it is there already.

    Without a GPU there is no such memory, and the tensor itself is returned, where PyTorch raises.

    Raises:
        RuntimeError: the tensor is not on the CPU.
    """
    if self.device.type != "cpu":
        raise RuntimeError(f"pin_memory: cannot pin a tensor on '{self.device}'; only tensors on 'cpu' can be pinned")
    if is_page_locked(self._array) or not is_available():
        return self
    return PageLocked.apply(self)


@tensor_method("is_pinned")
def _is_pinned(self: Tensor, device: Any = None) -> bool:
    """Return whether the tensor is in page-locked memory."""
    return is_page_locked(self._array)


@tensor_method("share_memory_")
def _share_memory(self: Tensor) -> Tensor:
    """Return the tensor itself: worker processes get copies."""
    return self


@tensor_method("cpu")
def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor in the memory of the CPU; itself if it is there."""
    return to(self, CPU, memory_format=memory_format)


@tensor_method("cuda")
def _cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """The tensor on a GPU, by default the current one; itself if it is there."""
    return to(self, resolve("cuda" if device is None else device, "cuda"), non_blocking=non_blocking)
