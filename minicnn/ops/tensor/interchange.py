"""Exchanging arrays with other libraries without a copy: NumPy's protocol and DLPack."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array, host, is_array, on_gpu

from ...autograd.own_order import settle
from ...device import resolve
from ...tensor import Tensor, tensor_method
from .from_data import from_protocol, known
from .types import to

__all__ = ["from_dlpack"]

# The operators that `array + tensor` and the like call on the tensor: they promote types and are recorded.
_OPERATORS = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.true_divide: operator.truediv,
    np.floor_divide: operator.floordiv, np.remainder: operator.mod, np.power: operator.pow, np.matmul: operator.matmul,
    np.equal: operator.eq, np.not_equal: operator.ne, np.less: operator.lt, np.less_equal: operator.le,
    np.greater: operator.gt, np.greater_equal: operator.ge, np.bitwise_and: operator.and_, np.bitwise_or: operator.or_,
    np.bitwise_xor: operator.xor,
}  # fmt: skip


@tensor_method("__array_ufunc__")
def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """Compute a NumPy function of tensors: operators are minicnn's; other results are tensors outside the graph."""
    if method == "__call__" and not options and ufunc in _OPERATORS and len(inputs) == 2:
        a, b = (Tensor(x) if isinstance(x, np.generic) or is_array(x) else x for x in inputs)
        return _OPERATORS[ufunc](a, b)
    arrays = [x.numpy() if isinstance(x, Tensor) else x for x in inputs]
    out = options.pop("out", None)
    if out is not None:
        options["out"] = tuple(x.numpy() if isinstance(x, Tensor) else x for x in out)
    found = getattr(ufunc, method)(*arrays, **options)
    if out is not None:
        return out[0] if len(out) == 1 else out
    return tuple(map(Tensor, found)) if isinstance(found, tuple) else Tensor(np.asarray(found))


@tensor_method("__array_wrap__")
def _array_wrap(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Tensor:
    """Wrap the result that NumPy computed from a tensor's array, such as `np.transpose(tensor)`, outside the graph."""
    return Tensor(np.asarray(array))


tensor_method("real")(property(lambda self: self))  # type: ignore[arg-type]  # np.real, NumPy's attribute


@tensor_method("numpy")
def numpy(self: Tensor, *, force: bool = False) -> Array:
    """Return the NumPy array, which shares the memory; `force` detaches the tensor, and copies it from a GPU, first.

    Raises:
        TypeError: the tensor is on a GPU.
        RuntimeError: the tensor requires a gradient, which an array cannot carry.

    >>> x = minicnn.zeros(2)
    >>> x.numpy()[0] = 5
    >>> x
    tensor([5., 0.])
    """
    if on_gpu(self._array):
        if force:
            return host(settle(self)._array)
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
            "memory first."
        )
    if self.requires_grad and not force:
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead: an array cannot "
            "carry a gradient"
        )
    settle(self)
    return self._values("numpy")


@tensor_method("to_numpy")
def _to_numpy(self: Tensor) -> Array:
    """`numpy()` under pandas' name, by which Matplotlib recognises tensors as arrays."""
    return self.numpy()


@tensor_method("__dlpack__")
def _dlpack(self: Tensor, **options: Any) -> Any:
    """Return a DLPack capsule of the memory."""
    return _lent(self).__dlpack__(**options)


def _lent(x: Tensor) -> Array:
    """Return the array of a tensor that lends its memory by DLPack."""
    if x.requires_grad:
        raise BufferError(
            "__dlpack__: the tensor requires a gradient, which a capsule cannot carry; use tensor.detach()"
        )
    settle(x)
    return x._values("__dlpack__")


@tensor_method("__dlpack_device__")
def _dlpack_device(self: Tensor) -> tuple[int, int]:
    """Return (1, 0), DLPack's numbers for the CPU, or (2, the number of the GPU)."""
    return self._values("__dlpack_device__").__dlpack_device__()


def _cuda_array_interface(self: Tensor) -> dict[str, Any]:
    """How Numba, PyTorch and others find the memory of a tensor on a GPU; a tensor on the CPU has no such attribute."""
    if not on_gpu(self._array):
        raise AttributeError(f"__cuda_array_interface__: the tensor is on {self.device}, not on a GPU")
    if self.requires_grad:
        raise RuntimeError(
            "__cuda_array_interface__: the tensor requires a gradient, which an array cannot carry; use tensor.detach()"
        )
    return settle(self)._array.__cuda_array_interface__


tensor_method("__cuda_array_interface__")(property(_cuda_array_interface))  # type: ignore[arg-type]


class _Capsule:
    """A bare capsule wrapped as an object with the protocol."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class _Writable:
    """The memory of an array as writable: a bare capsule does not say so, and NumPy then assumes read-only."""

    def __init__(self, array: Array) -> None:
        self.array = array  # keeps the memory alive
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """Make a tensor on the memory of another library's array, on the CPU or a GPU, or of a DLPack capsule on the CPU.

    Args:
        ext_tensor: the array, or a tensor of minicnn.
        device: where the tensor is to be; None means where the array is.
        copy: True always copies; False raises if a copy is needed.

    >>> minicnn.from_dlpack(np.arange(3))
    tensor([0, 1, 2])
    """
    if hasattr(ext_tensor, "__dlpack__"):
        array = from_protocol(_lent(ext_tensor) if isinstance(ext_tensor, Tensor) else ext_tensor)
    else:
        array = np.asarray(_Writable(np.from_dlpack(_Capsule(ext_tensor))))
    found = Tensor(known("from_dlpack", array))
    where = found.device if device is None else resolve(device, "from_dlpack")
    if copy is False and where != found.device:
        raise ValueError(
            f"from_dlpack: memory on {found.device} needs a copy to be on {where}, which copy=False forbids"
        )
    return to(found, where, copy=bool(copy))


def to_dlpack(tensor: Tensor) -> Any:
    """Return a DLPack capsule of the memory of a tensor."""
    return tensor.__dlpack__()
