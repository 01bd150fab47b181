"""Converting and moving modules: to another floating-point type, device or memory order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from ..autograd import no_grad
from ..device import Device, resolve
from ..dtypes import DType
from ..ops.tensor.creation import empty
from ..ops.tensor.types import _target
from ..tensor import Tensor
from .parameter import Parameter, is_lazy

M = TypeVar("M", bound="Conversion")


class Conversion:
    """The part of a `Module` that changes the type, device or memory order of its tensors."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]

    def children(self) -> Iterator[Any]:
        """Iterate over the modules directly inside this one."""
        raise NotImplementedError

    def _apply(self: M, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> M:
        """Replace every parameter, its gradient and every buffer by the result of `fn`.

        As in PyTorch, parameters and gradients stay the same objects, so that an optimiser can go on with them; only
        those that move from or to "meta" become new objects.
        """
        for module in self.children() if recurse else ():
            module._apply(fn)
        with no_grad():
            for name, parameter in self._parameters.items():
                if parameter is None:
                    continue
                changed, gradient = fn(parameter), parameter.grad
                same = is_lazy(parameter) or changed.is_meta == parameter.is_meta
                if same:
                    parameter.data = changed
                else:
                    self._parameters[name] = parameter = Parameter(changed, parameter.requires_grad)
                if gradient is not None and same:
                    gradient.data = fn(gradient)
                elif gradient is not None:
                    parameter.grad = fn(gradient)
            for name, buffer in self._buffers.items():
                if is_lazy(buffer):
                    buffer.data = fn(buffer)
                elif buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Convert or move all parameters and buffers, in place: `net.to(minicnn.float64)`, `net.to("cuda")`.

        Integer buffers keep their type. Signatures: `to(device=None, dtype=None, non_blocking=False)`,
        `to(dtype, non_blocking=False)`, `to(tensor, non_blocking=False)`, each with `memory_format`, which changes
        tensors with 4 axes only.

        Raises:
            TypeError: the dtype is not floating point.
            RuntimeError: `copy` is given.
            NotImplementedError: the module would move from "meta" to a device with memory; use `to_empty`.

        >>> nn.Linear(3, 2).to(minicnn.float64).weight.dtype
        minicnn.float64
        """
        device, dtype, memory_format = _parse_to(*args, **kwargs)

        def convert(tensor: Tensor) -> Tensor:
            if tensor.is_meta and device is not None and device.type != "meta":
                raise NotImplementedError(
                    "Cannot copy out of meta tensor; no data! Please use minicnn.nn.Module.to_empty() instead of "
                    "minicnn.nn.Module.to() when moving module from meta to a different device."
                )
            options = {} if memory_format is None or tensor.ndim != 4 else {"memory_format": memory_format}
            kind = dtype if tensor.dtype.kind == "f" else None
            return tensor.to(device=device, dtype=kind, **options)

        return self._apply(convert)

    def to_empty(self: M, *, device: str | Device | None, recurse: bool = True) -> M:
        """Move to a device without copying values, for example from "meta"; the values are arbitrary afterwards.

        None stands for the device of each tensor.

        >>> nn.Linear(3, 2, device="meta").to_empty(device="cpu").weight.device
        device(type='cpu')
        """
        return self._apply(
            lambda t: empty(tuple(t.shape), dtype=t.dtype, device=t.device if device is None else device), recurse
        )

    def type(self: M, dst_type: Any) -> M:
        """Convert all parameters and buffers, including those of integers, to `dst_type`."""
        return self._apply(lambda tensor: tensor.to(dst_type))

    def _to_float(self: M, dtype: Any) -> M:
        return self._apply(lambda tensor: tensor.to(dtype) if tensor.dtype.kind == "f" else tensor)

    def float(self: M) -> M:
        """Convert floating-point parameters and buffers to float32."""
        return self._to_float(np.float32)

    def double(self: M) -> M:
        """Convert floating-point parameters and buffers to float64.

        >>> nn.Linear(3, 2).double().weight.dtype
        minicnn.float64
        """
        return self._to_float(np.float64)

    def half(self: M) -> M:
        """Convert floating-point parameters and buffers to float16, for storage; layers compute in 32 or 64 bits."""
        return self._to_float(np.float16)

    def bfloat16(self: M) -> M:
        """Raise an error: NumPy has no bfloat16."""
        raise NotImplementedError("bfloat16: minicnn has float16, float32 and float64; use half() to save memory")

    def cpu(self: M) -> M:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self: M, device: Any = None) -> M:
        """Move to a GPU, by default the current one."""
        return self.to("cuda" if device is None else device)

    def share_memory(self: M) -> M:
        """Return the module: its memory is already shared by all threads.

        Raises:
            RuntimeError: the module has parameters or buffers without a shape.
        """
        module: Any = self
        for tensor in (*module.parameters(), *module.buffers()):
            if is_lazy(tensor):
                tensor.share_memory_()
        return self

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: modules need no compilation, and the kernels are already compiled."""


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Device | None, Any, Any]:
    """Return device, dtype and memory format from the arguments of `to`, in any of PyTorch's three orders."""
    place, kind, rest = _target(args)
    if len(rest) > 1 or "copy" in kwargs:
        raise RuntimeError(".to() does not accept copy argument: a module is converted in place; use copy.deepcopy")
    other = set(kwargs) - {"device", "dtype", "non_blocking", "memory_format"}
    if other:
        raise TypeError(f"to: unexpected {', '.join(other)}; there are device, dtype, non_blocking and memory_format")
    device = kwargs.get("device") if place is None else place
    dtype = kwargs.get("dtype") if kind is None else kind
    if dtype is not None and np.dtype(dtype).kind != "f":
        raise TypeError(
            "nn.Module.to only accepts floating point or complex dtypes, but got desired dtype="
            f"{DType(dtype)}; parameters must be floating point"
        )
    return None if device is None else resolve(device, "to"), dtype, kwargs.get("memory_format")
