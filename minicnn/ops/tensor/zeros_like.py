"""New tensors with the shape, type, device and memory order of another tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import is_array, on_device_of

from ... import memory_formats
from ...autograd import own_order
from ...device import Meta
from ...memory_formats import MemoryFormat
from ...tensor import Tensor, tensor_method
from .arguments import check_tensor
from .creation import DTYPE, Make, constant, empty, factory, full, new, ones, scalar, tensor, zeros

__all__ = ["empty_like", "full_like", "ones_like", "zeros_like"]


def like(
    input: Tensor,
    make: Make,
    dtype: DTYPE = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: MemoryFormat = memory_formats.preserve_format,
) -> Tensor:
    """Make a tensor with the shape, and by default the type, device and memory order, of another tensor."""
    check_tensor("a tensor like another", input=input)
    kind = input.dtype if dtype is None else np.dtype(dtype)
    x = own_order.seen(input)  # an error, if the tensor has no shape yet
    made = new(x.shape, make, kind, input.device if device is None else device)
    if type(x) is not Meta and not made.is_meta and x.ndim > 1:
        with on_device_of(made.array):
            sliced = memory_format is memory_formats.preserve_format and memory_formats.lies_channels_last(x)
            if sliced or memory_format is memory_formats.channels_last:
                made = Tensor(memory_formats.copy(made.array, memory_formats.channels_last))
            elif (
                memory_format is memory_formats.preserve_format
                and not x.flags.c_contiguous
                and memory_formats.is_dense(x)
            ):
                order, back = memory_formats.axes_in_memory(x)
                y = made.array.transpose(order).copy("C")  # in the memory order of x
                made = Tensor(y.transpose(back))
    return made.requires_grad_() if requires_grad else made


def _like(name: str, make: Make, text: str) -> Callable[..., Tensor]:
    """Make `zeros_like` or a similar function."""

    def create(input: Tensor, **options: Any) -> Tensor:
        return like(input, make, **options)

    example = f">>> minicnn.{name}(minicnn.tensor([5, 6])).{'shape' if name == 'empty_like' else 'tolist()'}"
    result = {"zeros_like": "[0, 0]", "ones_like": "[1, 1]", "empty_like": "minicnn.Size([2])"}[name]
    create.__name__, create.__doc__ = name, f"{text}\n\n{example}\n{result}"
    return factory(create)


zeros_like = _like("zeros_like", lambda xp, s, d: xp.zeros(s, d), "Zeros with the shape and type of another tensor.")
ones_like = _like("ones_like", lambda xp, s, d: xp.ones(s, d), "Ones with the shape and type of another tensor.")
empty_like = _like(
    "empty_like", lambda xp, s, d: xp.empty(s, d), "Arbitrary values with the shape and type of another tensor."
)


@factory
def full_like(input: Tensor, fill_value: Any, **options: Any) -> Tensor:
    """One value, with the shape and type of another tensor.

    >>> minicnn.full_like(minicnn.zeros(2), 7)
    tensor([7., 7.])
    """
    return like(input, constant("full_like", scalar("full_like", fill_value)), **options)


def _new_method(name: str, function: Callable[..., Tensor]) -> None:
    """Make `x.new_zeros(size)` or a similar method; the default type and device are those of x."""

    def create(self: Tensor, *args: Any, dtype: DTYPE = None, device: Any = None, **options: Any) -> Tensor:
        kind = self.dtype if dtype is None else dtype
        return function(*args, dtype=kind, device=self.device if device is None else device, **options)

    create.__name__, create.__doc__ = name, f"`{function.__name__}` with the type and on the device of this tensor."
    tensor_method(name)(create)


for _name, _function in (("zeros", zeros), ("ones", ones), ("empty", empty), ("full", full), ("tensor", tensor)):
    _new_method(f"new_{_name}", _function)


@tensor_method("new")
def _new(self: Tensor, *args: Any) -> Tensor:
    """Make a tensor of this tensor's type, from a size or from data."""
    given = args[0] if len(args) == 1 else None
    if isinstance(given, list) or is_array(given) or (isinstance(given, tuple) and type(given) is tuple):
        return self.new_tensor(given)
    return self.new_empty(*args) if args else self.new_empty(0)
