"""In-place forms of the operations that move elements, `x.scatter_(...)`, `x.masked_fill_(...)`, `x.squeeze_()`, and
of those that add a product, `x.addmm_(a, b)`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ...autograd import own_order
from ...autograd.inplace import take_place
from ...autograd.modes import is_grad_enabled
from ...tensor import Tensor, tensor_method
from . import diagonal, gather, masks, matmul, scatter_reduce, shape
from .inplace import in_place

for _function in (
    masks.masked_fill, masks.masked_scatter, gather.put, gather.scatter, gather.scatter_add,
    scatter_reduce.index_add, scatter_reduce.index_copy, scatter_reduce.index_fill, scatter_reduce.index_reduce,
    scatter_reduce.scatter_reduce, diagonal.tril, diagonal.triu,
    matmul.addbmm, matmul.addmm, matmul.addmv, matmul.addr, matmul.baddbmm,
):  # fmt: skip
    tensor_method(f"{_function.__name__}_")(in_place(_function))


def _reshaped(name: str, function: Callable[..., Tensor]) -> None:
    """Make a method that gives the tensor another shape on the same memory."""

    @wraps(function)
    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        if self.requires_grad and self.is_leaf and is_grad_enabled():
            raise RuntimeError(
                f"{name}: a leaf tensor that requires a gradient would be changed in place; use {name[:-1]}"
            )
        y = function(own_order.settle(self), *args, **options)
        self._array = y._array
        if y.requires_grad:
            take_place(self, y)
        return self

    method.__name__, method.__doc__ = name, f"`{name[:-1]}`, in place: the tensor itself gets the new shape."
    tensor_method(name)(method)


for _name, _shape in (
    ("squeeze_", shape.squeeze), ("unsqueeze_", shape.unsqueeze), ("t_", shape.t), ("transpose_", shape.transpose),
    ("swapaxes_", shape.transpose), ("swapdims_", shape.transpose),
):  # fmt: skip
    _reshaped(_name, _shape)
