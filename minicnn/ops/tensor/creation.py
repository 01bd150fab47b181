"""Making new tensors: from data, or filled with a value. Those in `ranges` and `sampling` are made the same way.

All functions take PyTorch's factory arguments: `dtype`, `device` ("meta" allocates nothing), `requires_grad` and
`pin_memory` (page-locked memory of the CPU, if there is a GPU); also `layout`, which has no effect in minicnn.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from minicnn_kernels.arrays import gpu, host, is_array, on_device, on_gpu, upload
from minicnn_kernels.geometry import ShapeError, fits

from ... import memory_formats
from ...device import META, Device, meta, out_of_memory, resolve
from ...device import of as device_of
from ...dtypes import default_type, get_default_dtype, set_default_dtype
from ...memory_formats import MemoryFormat
from ...tensor import Array, Tensor
from .arguments import ints
from .from_data import check_range, from_protocol, known, to_array
from .promotion import number_type

__all__ = [
    "as_tensor", "asarray", "empty", "eye", "from_numpy", "full", "get_default_dtype", "ones", "scalar_tensor",
    "set_default_dtype", "tensor", "zeros",
]  # fmt: skip

DTYPE = Any
# Makes an array of a shape and type, by the module for the device, NumPy or CuPy; NumPy's result goes to the GPU, too.
Make = Callable[[Any, tuple[int, ...], np.dtype[Any]], Array]
_SAFE = 32767

# ----------------------------------------------------------------------------------------------------- how all are made


def sizes(size: tuple[Any, ...], op: str = "size") -> tuple[int, ...]:
    """Return a shape that is given as numbers, `zeros(2, 3)`, or as one sequence, `zeros((2, 3))`, after checking it.

    Raises:
        TypeError: a size is not an int.
        ShapeError: a size is negative.
    """
    shape = ints(op, "size", size)
    if min(shape, default=0) < 0:
        raise ShapeError(f"{op}: sizes must be non-negative, got {shape}")
    return shape


def new(
    shape: tuple[int, ...],
    make: Make,
    dtype: DTYPE = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
    op: str = "tensor",
) -> Tensor:
    """Make a tensor of `make(module, shape, dtype)`; on the meta device `make` is not called.

    Raises:
        SizeError: the tensor does not fit into memory.
    """
    kind = default_type() if dtype is None else np.dtype(dtype)
    place = resolve(device)
    if place.type == "meta":
        return Tensor(meta(shape, kind), requires_grad)
    fits(op, shape, kind.itemsize, "tensor")
    if place.index is None:
        return Tensor(host(make(np, shape, kind)), requires_grad)
    with on_device(place.index):
        return Tensor(upload(make(gpu(), shape, kind), place.index), requires_grad)


def factory(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function accept `pin_memory`, `layout`, and a size as keyword; refuse `out`."""
    code = function.__code__
    sized = "size" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + 1]

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        pin = False
        if options:
            if options.pop("out", None) is not None:
                raise TypeError(f"{function.__name__}: out= is not supported; assign the result, or use out.copy_(...)")
            pin = options.pop("pin_memory", False)
            if options.pop("layout", None) not in (None, memory_formats.strided):
                raise TypeError(f"{function.__name__}: the only layout of a tensor is minicnn.strided")
            if sized and "size" in options and not function.__name__.endswith("full"):
                args = (*args, options.pop("size"))
        elif not args and sized:
            raise TypeError(f"{function.__name__}() missing 1 required positional argument: 'size'")
        try:
            found = function(*args, **options)
            return found.detach().pin_memory().requires_grad_(found.requires_grad) if pin else found
        except MemoryError as error:
            raise out_of_memory(function.__name__, error) from None

    return call


def _filled(name: str, make: Make, text: str) -> Callable[..., Tensor]:
    """Make `zeros` or `ones`."""

    def create(*size: Any, dtype: DTYPE = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        return new(sizes(size, name), make, dtype, device, requires_grad, name)

    create.__name__, create.__doc__ = name, text
    return factory(create)


_ZEROS = """A tensor of zeros.

>>> minicnn.zeros(2, 3)
tensor([[0., 0., 0.],
        [0., 0., 0.]])
"""
_ONES = """A tensor of ones.

>>> minicnn.ones(2, dtype=minicnn.int64)
tensor([1, 1])
"""
zeros = _filled("zeros", lambda xp, s, d: xp.zeros(s, d), _ZEROS)
ones = _filled("ones", lambda xp, s, d: xp.ones(s, d), _ONES)


@factory
def empty(
    *size: Any,
    dtype: DTYPE = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: MemoryFormat = memory_formats.contiguous_format,
) -> Tensor:
    """A tensor of arbitrary values: its memory is not initialised.

    >>> minicnn.empty(2, 3).shape
    minicnn.Size([2, 3])
    """
    make: Make = lambda xp, s, d: memory_formats.empty(s, d, memory_format, xp)  # noqa: E731
    return new(sizes(size, "empty"), make, dtype, device, requires_grad, "empty")


def scalar(op: str, value: Any) -> Any:
    """Return the fill value as a Python number."""
    if isinstance(value, (Tensor, np.generic)) or is_array(value):
        if value.ndim:
            raise TypeError(f"{op}: fill_value must be a number or 0-d, got shape {tuple(value.shape)}")
        return value.item()
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"{op}: fill_value must be a real number, got {type(value).__name__}")
    return value


def constant(op: str, value: Any) -> Make:
    """Return a function that makes an array filled with one value.

    Raises:
        ShapeError: the value needs more than 64 bits.
        RuntimeError, when called: the type of the array cannot hold the value.
    """
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ShapeError(f"{op}: the value must be an integer of 64 bits, got {value}; pass a float instead")

    def make(xp: Any, shape: tuple[int, ...], kind: np.dtype[Any]) -> Array:
        if -_SAFE <= value <= _SAFE and kind.kind != "u":  # in the range of every type
            return xp.full(shape, value, kind)
        if kind.kind in "iu" and isinstance(value, int) and value >= 2**63:  # NumPy treats it as an unsigned number
            raise RuntimeError(f"{op}: {value} does not fit into {kind}; give a floating-point dtype")
        with np.errstate(all="ignore"):
            found = check_range(np.asarray([value]), kind).astype(kind)[0]
        if kind.kind == "f" and math.isinf(found) and not math.isinf(value):
            raise RuntimeError(f"{op}: {value} cannot be converted to type {kind} without overflow; give a wider dtype")
        return xp.full(shape, found, kind)

    return make


@factory
def full(size: Any, fill_value: Any, *, dtype: DTYPE = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor filled with one value; without `dtype`, it has the type of the value.

    Raises:
        TypeError: the size is no tuple, or the value no number.
        RuntimeError: the type cannot hold the value.

    >>> minicnn.full((2, 3), 7)
    tensor([[7, 7, 7],
            [7, 7, 7]])
    """
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full: size must be a tuple of ints, got {type(size).__name__}")
    value = scalar("full", fill_value)
    dtype = number_type(value) if dtype is None else dtype
    return new(sizes((size,), "full"), constant("full", value), dtype, device, requires_grad, "full")


@factory
def eye(
    n: int, m: int | None = None, *, dtype: DTYPE = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The matrix (n, m) with ones on the diagonal and zeros elsewhere; m is n by default.

    Raises:
        ShapeError: a size is negative.

    >>> minicnn.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    shape = sizes((n, n if m is None else m), "eye")
    return new(shape, lambda xp, s, d: xp.eye(*s, dtype=d), dtype, device, requires_grad, "eye")


# ------------------------------------------------------------------------------------------------------------ from data


@factory
def tensor(data: Any, *, dtype: DTYPE = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Make a tensor with a copy of `data`: numbers, nested lists, an array or a tensor.

    Python floats become the default type (float32) and ints int64; arrays keep their type, unless `dtype` is given.

    >>> minicnn.tensor([[1, 2, 3], [4, 5, 6]])
    tensor([[1, 2, 3],
            [4, 5, 6]])
    >>> minicnn.tensor([1, 2]).dtype, minicnn.tensor([1., 2.]).dtype
    (minicnn.int64, minicnn.float32)
    >>> minicnn.tensor([1., 2.], requires_grad=True)
    tensor([1., 2.], requires_grad=True)
    """
    if isinstance(data, Tensor):
        warnings.warn(
            "tensor: to copy a tensor, x.detach().clone() or x.detach().clone().requires_grad_() is recommended",
            UserWarning, stacklevel=3,
        )  # fmt: skip
        if resolve(device or data.device).type == "meta":
            return Tensor(meta(data.shape, dtype or data.dtype), requires_grad)
        data._values("tensor")
    array = to_array("tensor", data, None if dtype is None else np.dtype(dtype))

    def copy(xp: Any, shape: tuple[int, ...], kind: np.dtype[Any]) -> Array:
        if on_gpu(array) == (xp is not np):
            return array.copy("C")
        return array if on_gpu(array) else np.asarray(array, order="C")  # `new` copies it to the device

    return new(array.shape, copy, array.dtype, _beside(array, device), requires_grad)


def _beside(array: Array, device: Any) -> Any:
    """Return the device that is asked for; without one, that of an array on a GPU."""
    return device_of(array) if device is None and on_gpu(array) else device


def from_numpy(ndarray: Array) -> Tensor:
    """Make a tensor on the memory of an array.

    Raises:
        TypeError: the argument is not an array, or its type is not one of a tensor.

    >>> array = np.zeros(3)
    >>> x = minicnn.from_numpy(array)
    >>> array[0] = 1
    >>> x
    tensor([1., 0., 0.], dtype=minicnn.float64)
    """
    if not isinstance(ndarray, np.ndarray):
        found = "an array of CuPy, on a GPU" if on_gpu(ndarray) else type(ndarray).__name__
        raise TypeError(f"from_numpy: expected np.ndarray (got {found}); use minicnn.as_tensor or minicnn.tensor")
    _warn_read_only(ndarray)
    return Tensor(known("from_numpy", ndarray))


def _warn_read_only(array: Array) -> None:
    if not (on_gpu(array) or array.flags.writeable):
        warnings.warn(
            "the given NumPy array is not writable, so neither is the tensor on its memory, and writing into it "
            "raises; to write to the tensor, copy the array first",
            UserWarning, stacklevel=4,
        )  # fmt: skip


def as_tensor(data: Any, dtype: DTYPE = None, device: Any = None) -> Tensor:
    """Return the data as a tensor, without a copy if it has the wanted type and device already.

    >>> x = minicnn.zeros(3)
    >>> minicnn.as_tensor(x) is x, minicnn.as_tensor([1, 2])
    (True, tensor([1, 2]))
    """
    return asarray(data, dtype=dtype, device=device)


def asarray(
    obj: Any, *, dtype: DTYPE = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """Return the data as a tensor, on the memory of a tensor or an array if its type and device are the wanted ones.

    The array is NumPy's, CuPy's, or any other that has DLPack's protocol or `__cuda_array_interface__`.

    Args:
        copy: True always copies; False raises if a copy is needed.

    Raises:
        ValueError: `copy=False`, and a copy is needed.

    >>> minicnn.asarray(np.array([1., 2.]), dtype=minicnn.float32)
    tensor([1., 2.])
    """
    if isinstance(obj, Tensor):
        found = obj.to(dtype=dtype, device=obj.device if device is None else device)
        if copy is False and found is not obj:
            raise ValueError(f"asarray: a tensor of {obj.dtype} on {obj.device} needs a copy, which copy=False forbids")
        found = found.clone() if copy and found is obj else found
        return found.detach().requires_grad_() if requires_grad and not found.requires_grad else found
    shared = is_array(obj)
    if not shared and hasattr(obj, "__dlpack__"):
        obj, shared = from_protocol(obj), True
    elif not shared and hasattr(obj, "__cuda_array_interface__"):
        obj, shared = gpu().asarray(obj), True
    array = to_array("asarray", obj, None if dtype is None else np.dtype(dtype))
    device = resolve(_beside(array, device))
    same = shared and (array is obj or array.base is not None) and device in (device_of(array), META)
    if copy is False and not same:
        raise ValueError(f"asarray: {type(obj).__name__} as {array.dtype} needs a copy, which copy=False forbids")
    if same and not copy:
        _warn_read_only(array)
    return new(
        array.shape, lambda xp, s, d: array.copy() if copy and same else array, array.dtype, device, requires_grad
    )


@factory
def scalar_tensor(s: Any, *, dtype: DTYPE = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Make a 0-d tensor of one number, with the default type if no `dtype` is given.

    >>> minicnn.scalar_tensor(3)
    tensor(3.)
    """
    return new((), constant("scalar_tensor", scalar("scalar_tensor", s)), dtype, device, requires_grad)
