"""The devices of tensors, and arrays without memory for the device "meta".

`device("cpu")` computes with NumPy's arrays, `device("cuda")`, a GPU, with CuPy's. On `device("meta")` a tensor has a
shape and a dtype but no memory. Operations there run only their shape rules, so that a net of any size is built at
once, and its shapes are known.

    with minicnn.device("meta"):
        net = VGG19()                    # no weight is allocated

The array of a meta tensor is a `Meta`: a NumPy array whose strides are all 0 over a single element. NumPy itself
handles its shapes, dtypes and views; any operation that would compute with its values raises.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any

import numpy as np

from minicnn_kernels import arrays
from minicnn_kernels.arrays import GPU_TYPES, Array
from minicnn_kernels.geometry import SizeError

KINDS = ("cpu", "meta", "cuda")


class OutOfMemoryError(SizeError):
    """The memory of a GPU is full. In PyTorch, too, it is a RuntimeError; here it is also a MemoryError."""


class NoGPUError(AssertionError, RuntimeError):
    """There is no GPU that minicnn can use. PyTorch: AssertionError without CUDA, RuntimeError without a GPU."""


def out_of_memory(op: str, error: MemoryError) -> MemoryError:
    """Return the error of an operation that got too little memory: neither NumPy's nor CuPy's own names it."""
    if isinstance(error, SizeError):
        return error
    kind = OutOfMemoryError if type(error).__name__ == "OutOfMemoryError" else SizeError
    return kind(f"{op}: {str(error) or 'not enough memory'}")


class Device:
    """A place for tensors: `device("cpu")`, `device("cuda:1")`, `device("cuda", 1)`, or another `Device`.

    A number alone is that of a GPU, as in PyTorch: `device(0)` is `device("cuda:0")`.

    As a `with` block it is the default device of all tensors created inside.

    Raises:
        RuntimeError: the kind of device is unknown, or the number is not one of a device.

    >>> minicnn.device("cuda", 1), minicnn.device("cpu").type
    (device(type='cuda', index=1), 'cpu')
    >>> with minicnn.device("meta"):
    ...     net = minicnn.models.vgg16()  # 138 million weights without memory
    >>> net.classifier[0].weight.shape, net.classifier[0].weight.device
    (minicnn.Size([4096, 25088]), device(type='meta'))
    """

    type: str
    index: int | None

    def __init__(self, type: str | Device | int = "cpu", index: int | None = None) -> None:
        if isinstance(type, Device):
            index = type.index if index is None else index
            type = type.type
        elif isinstance(type, int) and not isinstance(type, bool) and index is None:
            index, type = type, "cuda"
        kind, colon, number = str(type).partition(":")
        if kind not in KINDS:
            raise RuntimeError(f"device: {str(type)!r} is not known; there are: {', '.join(KINDS)}")
        if colon and not (number.isascii() and number.isdecimal()):
            raise RuntimeError(f"device: {str(type)!r} needs a number from 0 up after the colon, as in '{kind}:0'")
        if number and index is not None:
            raise RuntimeError(f"device: {str(type)!r} has a number already; leave out index={index}")
        if index is not None and index < 0:
            raise RuntimeError(f"device: index={index} must not be negative; the first device is '{kind}:0'")
        self.type = kind
        self.index = int(number) if number else index
        self._outer: list[Any] = []

    def __enter__(self) -> Device:
        self._outer.append(_default.set(self))
        return self

    def __exit__(self, *error: object) -> None:
        _default.reset(self._outer.pop())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and (other.type, other.index) == (self.type, self.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"


CPU, META = Device("cpu"), Device("meta")
_default: ContextVar[Device] = ContextVar("minicnn_default_device", default=CPU)


def resolve(device: str | Device | None, op: str = "device") -> Device:
    """Return the device asked for, or the default for None, after checking that tensors can be on it.

    A GPU gets its number: "cuda" is the current one.

    Raises:
        NoGPUError: no GPU can be used.
        RuntimeError: there is no GPU of this number.
    """
    if device is None:
        found = _default.get()
    elif type(device) is int:  # as in PyTorch, the number of a GPU
        found = Device("cuda", device)
    else:
        found = device if isinstance(device, Device) else Device(device)
    if found.type == "cuda":
        return _gpu(found.index, op)
    return found if found.index is None else Device(found.type)  # "cpu:0" is the CPU


def _gpu(index: int | None, op: str) -> Device:
    """Return the device of a GPU's number, or of the current GPU, after checking that it exists."""
    try:
        module = arrays.gpu().cuda
        count = module.runtime.getDeviceCount()
    except RuntimeError as error:  # no CuPy, or CuPy without a driver
        why = str(error)[:1].upper() + str(error)[1:]
        why += "" if "minicnn doctor" in why else "; `minicnn doctor` shows what is missing"
        raise NoGPUError(
            f"{op}: 'cuda' is not available; compute on 'cpu', or ask minicnn.cuda.is_available() first. {why}"
        ) from None
    if index is None:
        index = module.Device().id
    if not 0 <= index < count:
        raise RuntimeError(
            f"{op}: CUDA error: invalid device ordinal: there is no 'cuda:{index}'; there are {count} GPUs"
        )
    return cuda(index)


def saved_on(name: str, remedy: str) -> Device:
    """Return the device of a saved tensor.

    Raises:
        RuntimeError: it was on a GPU that does not exist here; `remedy` says what to do.
    """
    device = Device(name)
    try:
        return resolve(device, "deserialize")
    except RuntimeError as error:
        raise RuntimeError(
            f"Attempting to deserialize a tensor on device '{device}', which is not there; {remedy}. {error}"
        ) from None


@functools.cache
def cuda(index: int) -> Device:
    """Return the one `Device` of a GPU's number."""
    return Device("cuda", index)


def of(array: Array) -> Device:
    """Return the device of an array."""
    kind = type(array)
    if kind is Meta:
        return META
    return cuda(arrays.device_number(array)) if kind in GPU_TYPES else CPU


def set_default_device(device: str | Device | None) -> None:
    """Set the device of all tensors created from now on without a `device` argument.

    >>> minicnn.set_default_device("meta")
    >>> minicnn.zeros(2).device
    device(type='meta')
    >>> minicnn.set_default_device("cpu")
    """
    _default.set(CPU if device is None else resolve(device, "set_default_device"))


def get_default_device() -> Device:
    """Return the device of tensors created without a `device` argument.

    >>> minicnn.get_default_device()
    device(type='cpu')
    """
    return _default.get()


class Meta(np.ndarray[Any, np.dtype[Any]]):
    """An array with a shape and a dtype but without memory; see `meta`."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Raise an error: there are no values to compute with."""
        raise NotImplementedError(
            f"{ufunc.__name__}: a tensor on device 'meta' has no values to compute with; create it on 'cpu'"
        )

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        """Run the functions that make views; raise an error for all others."""
        if function not in _VIEWS:
            raise NotImplementedError(
                f"{function.__name__}: a tensor on device 'meta' has no values to compute with; create it on 'cpu'"
            )
        return super().__array_function__(function, types, args, options)

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Meta:
        """Return the same shape with another dtype."""
        return meta(self.shape, dtype)

    def copy(self, order: str = "C") -> Meta:  # type: ignore[override]
        """Return the array itself: it has no values to copy."""
        return self


_VIEWS = {
    np.broadcast_to, np.expand_dims, np.squeeze, np.moveaxis, np.swapaxes, np.transpose, np.reshape, np.flip, np.rot90,
    np.diagonal, np.shape, np.ndim, np.size, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.split, np.array_split,
    np.lib.stride_tricks.sliding_window_view, np.lib.stride_tricks.as_strided, np.result_type, np.ravel,
}  # fmt: skip


def meta(shape: tuple[int, ...], dtype: Any) -> Meta:
    """Make an array of `shape` and `dtype` without memory."""
    dtype = np.dtype(dtype)
    try:
        return np.ndarray.__new__(Meta, shape, dtype, bytes(dtype.itemsize), strides=(0,) * len(shape))
    except (ValueError, OverflowError):
        raise SizeError(f"meta: an array of shape {tuple(shape)} has more bytes than 64 bits can count") from None
