"""Where the elements of a tensor lie in memory: copies, the order of the axes, the steps between neighbours."""

from __future__ import annotations

import math
from typing import Any

from minicnn_kernels.arrays import address, is_array

from ... import memory_formats
from ...autograd import own_order
from ...device import Meta
from ...device import of as device_of
from ...memory_formats import MemoryFormat
from ...tensor import Array, Tensor, tensor_method
from .arguments import axis
from .linear_map import LinearMapRow, Map

__all__ = ["clone"]


ROWS_FIRST = LinearMapRow("Clone", own_order.rows_first, lambda gy, _: gy, tidy=False)
CLONE = LinearMapRow("Clone", memory_formats.copy, lambda gy, *_: gy)


@tensor_method("clone")
def clone(input: Tensor, *, memory_format: MemoryFormat = memory_formats.preserve_format) -> Tensor:
    """A copy in new memory, which is recorded.

    >>> x = minicnn.ones(2)
    >>> y = x.clone()
    >>> y[0] = 5
    >>> x, y
    (tensor([1., 1.]), tensor([5., 1.]))
    """
    y: Tensor = Map.apply(input, CLONE, memory_format)
    if memory_format is memory_formats.channels_last:
        y._order = None  # the program has asked for this order
    return y


@tensor_method("contiguous")
def contiguous(input: Tensor, memory_format: MemoryFormat = memory_formats.contiguous_format) -> Tensor:
    """Return the tensor itself if its memory has the wanted order, else a copy that has it.

    >>> x = minicnn.zeros(2, 3).t()
    >>> x.is_contiguous(), x.contiguous().is_contiguous()
    (False, True)
    """
    if memory_formats.is_in(own_order.seen(input), memory_format):
        return input
    if input._order is not None and memory_format is memory_formats.contiguous_format:
        return own_order.mark(Map.apply(input, ROWS_FIRST))
    return clone(input, memory_format=memory_format)


@tensor_method("is_contiguous")
def is_contiguous(input: Tensor, memory_format: MemoryFormat = memory_formats.contiguous_format) -> bool:
    """Return whether the elements lie in memory in the order of the format.

    >>> minicnn.zeros(2, 3).is_contiguous(), minicnn.zeros(2, 3).t().is_contiguous()
    (True, False)
    """
    return memory_formats.is_in(own_order.seen(input), memory_format)


@tensor_method("stride")
def stride(input: Tensor, dim: int | None = None) -> Any:
    """Return the distance in memory, in elements, between neighbours along each axis, or along `dim`.

    Raises:
        IndexError: there is no such axis.

    >>> minicnn.zeros(8, 3, 5, 4).stride()
    (60, 20, 4, 1)
    """
    x: Array = own_order.seen(input)
    if input.is_meta or not x.size:  # as for contiguous memory, where a size of 0 counts as 1
        sizes = [max(n, 1) for n in input.shape]
        steps = tuple(math.prod(sizes[i + 1 :]) for i in range(len(sizes)))
    else:
        steps = tuple(step // x.itemsize for step in x.strides)
    return steps if dim is None else steps[axis("stride", dim, input.ndim)]


@tensor_method("storage_offset")
def storage_offset(input: Tensor) -> int:
    """Return the number of elements between the start of its memory and the tensor's first element.

    >>> minicnn.arange(6)[2:].storage_offset()
    2
    """
    root: Any = own_order.settle(input).array
    while is_array(root.base):
        root = root.base
    return 0 if input.is_meta else (address(input.array) - address(root)) // input.array.itemsize


# What PyTorch's other kinds of tensors answer to. Optimisers ask `grad.is_sparse`.
_NEVER = (
    "is_ipu", "is_maia", "is_mkldnn", "is_mps", "is_mtia", "is_nested", "is_quantized", "is_sparse", "is_sparse_csr",
    "is_vulkan", "is_xla", "is_xpu",
)  # fmt: skip
for _name in _NEVER:
    setattr(Tensor, _name, property(lambda self: False, doc="False: tensors are dense, on a CPU or a GPU of CUDA."))
Tensor.layout = property(lambda self: memory_formats.strided)  # type: ignore[attr-defined]


@tensor_method("is_coalesced", "is_distributed", "is_inference", "is_shared")
def _never(self: Tensor) -> bool:
    """Return False."""
    return False


@tensor_method("to_dense")
def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """Return the tensor, which is dense, or its values in another type."""
    return self if dtype is None else self.to(dtype)


class UntypedStorage:
    """The memory that a tensor is a view of, to ask where it is and how large; its numbers are in `x.numpy()`."""

    def __init__(self, array: Array) -> None:
        owner: Any = array
        while is_array(getattr(owner, "base", None)):
            owner = owner.base
        self._array, self.device = owner, device_of(owner)

    def data_ptr(self) -> int:
        """Return the address of the memory; 0 on the meta device."""
        return 0 if type(self._array) is Meta else address(self._array)

    def nbytes(self) -> int:
        """Return the number of bytes."""
        return int(self._array.nbytes)

    size = __len__ = nbytes

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()

    def __eq__(self, other: object) -> bool:
        """Whether both are the same memory."""
        return isinstance(other, UntypedStorage) and self._array is other._array

    __hash__ = None  # type: ignore[assignment]


@tensor_method("untyped_storage")
def _untyped_storage(self: Tensor) -> UntypedStorage:
    """Return the memory that the tensor is a view of.

    >>> x = minicnn.zeros(4, 3)
    >>> memory = x[2:].untyped_storage()
    >>> memory.nbytes(), memory.data_ptr() == x.data_ptr()
    (48, True)
    """
    return UntypedStorage(own_order.settle(self).array)
