"""Tensor: an array that remembers how it was computed.

A tensor holds an array of NumPy, or of CuPy on a GPU (`.array`), whether a gradient is wanted (`.requires_grad`), the
gradient (`.grad`), and, if an operation computed it, the node in the graph where `backward()` starts (`.grad_fn`). The
operations are in `minicnn.ops`, which also adds methods and operators to the class with `tensor_method`; this file does
no arithmetic.

Memory is shared as in NumPy and PyTorch: `t.data`, `t.detach()`, `t.numpy()` and views show the same numbers.
Each write through a tensor (`t[...] = 0`, `t.data.fill_(0)`, `t.copy_(other)`) is counted, so that the backward pass
notices if an array that it needs has changed. Writing into `t.array` or `t.numpy()` is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import GPU_TYPES, Array, on_gpu

from .. import device as devices
from ..autograd import engine, own_order
from ..autograd.nodes import LeafHooks
from ..compat.missing import Absent, absent, methods, unknown
from ..device import CPU, Device, Meta
from ..dtypes import DType, Size, of_array
from . import copying
from .graph import InGraph
from .old_constructor import old_constructor
from .printing import text


class Tensor(InGraph):
    """An n-d array that records its operations; `Tensor(array)` wraps a NumPy array without copying it.

    Args:
        array: a NumPy array or a tensor (shared), nested lists of numbers (copied as float32), or sizes as in PyTorch's
            old constructor: `Tensor(2, 3)` is uninitialised.
        requires_grad: whether `backward()` adds the gradient to `.grad`; only for floating-point tensors.

    >>> x = minicnn.Tensor(np.array([[1., 2.]]))
    >>> x.shape, x.dtype
    (minicnn.Size([1, 2]), minicnn.float64)
    >>> minicnn.Tensor([1, 2])
    tensor([1., 2.])
    """

    __slots__ = ("__dict__", "__weakref__")
    __array_ufunc__ = None  # array + tensor calls the tensor's __radd__

    def __init__(
        self, array: Any = (), requires_grad: bool = False, *sizes: int, _counter: list[int] | None = None
    ) -> None:
        if not isinstance(array, np.ndarray) and type(array) not in GPU_TYPES:
            if type(requires_grad) is not bool:  # Tensor(2, 3)
                array, requires_grad = Size((array, requires_grad, *sizes)), False
            array = old_constructor(array)
        self._array: Array = array
        self._counter = [0] if _counter is None else _counter  # one counter for all tensors that share memory
        self._edge: tuple[engine.Node, int] | None = None
        self._hooks: dict[int, Callable[[Tensor], Tensor | None]] | None = None
        self._leaf_hooks: LeafHooks | None = None  # those at the end of a backward pass
        self._order: own_order.Shared | None = None  # whether memory has an order that the program does not see
        self._views: list[Any] | None = None  # weak references to all views of the same memory, or None
        self._grad: Tensor | None = None
        self._requires_grad = False
        if requires_grad:
            self.requires_grad_()

    # ------------------------------------------------------------------------------------------------- what it holds

    @property
    def array(self) -> Array:
        """The array itself, of NumPy or CuPy, to be read; the tape does not notice if a program writes into it."""
        return self._array

    @property
    def data(self) -> Tensor:
        """The same memory as a tensor detached from the graph; assigning to it replaces the values."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor | Array) -> None:
        own_order.settle(self)
        if isinstance(value, Tensor):
            array = own_order.settle(value).array
        else:
            array = value if on_gpu(value) else np.asarray(value)
        if array.dtype.kind != self._array.dtype.kind:
            raise TypeError(
                f"data: cannot put {DType(array.dtype)} values into a {self.dtype} tensor; convert with .to()"
            )
        self._array = array
        self._counter[0] += 1

    @property
    def shape(self) -> Size:
        """The size along each axis."""
        return Size(self._array.shape)

    @property
    def dtype(self) -> DType:
        """The type of the elements."""
        return of_array[self._array.dtype]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def device(self) -> Device:
        """The device of the memory."""
        return CPU if type(self._array) is np.ndarray else devices.of(self._array)

    @property
    def is_meta(self) -> bool:
        """Whether the tensor has only a shape and a dtype, and no values."""
        return type(self._array) is Meta

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of the axis `dim`."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Return the number of axes."""
        return self.ndim

    def numel(self) -> int:
        """Return the number of elements."""
        return self._array.size

    nelement, ndimension = numel, dim

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    # ----------------------------------------------------------------------------------------------- out of the tensor

    def _values(self, op: str) -> Array:
        """Return the array, after checking that it has values."""
        if type(self._array) is Meta:
            raise NotImplementedError(f"{op}: a tensor on device 'meta' has no values; create it on 'cpu'")
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> Any:
        """Return the only element as a Python number; a RuntimeError if there are more.

        >>> minicnn.tensor([[7]]).item()
        7
        """
        if self._array.size != 1:
            raise RuntimeError(
                f"item: a tensor of shape {self.shape} has {self.numel()} elements, not one; use tolist()"
            )
        return self._values("item").item()  # from a GPU, it waits

    def tolist(self) -> Any:
        """Return the elements as nested lists of Python numbers."""
        return self._values("tolist").tolist()

    def __float__(self) -> float:
        return float(self._scalar("float"))

    def __int__(self) -> int:
        return int(self._scalar("int"))

    def __complex__(self) -> complex:
        return complex(self._scalar("complex"))

    def _scalar(self, kind: str) -> Any:
        if self._array.size != 1:  # ValueError, as in NumPy and PyTorch: libraries test for a number by it
            raise ValueError(f"{kind}: a tensor of shape {self.shape} has {self.numel()} elements, not one")
        return self.item()

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise RuntimeError(
                f"bool: the truth of {self.numel()} elements is ambiguous; "
                "reduce them to one, or use .numpy().any() or .all()"
            )
        return bool(self._values("bool").item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iub" or self._array.size != 1:
            raise TypeError(f"only an integer tensor of one element can be an index, got {self.dtype} {self.shape}")
        return int(self.item())

    def __repr__(self) -> str:
        return text(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if not (self.ndim or self.is_meta) else object.__format__(self, spec)

    # --------------------------------------------------------------------------------------------------------- copies

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the tensor as its values: a leaf without `.grad` and hooks, even if it was computed."""
        return copying.pickled(self)

    def __copy__(self) -> Tensor:
        return copying.shallow(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return copying.deep(self, memo)

    def __hash__(self) -> int:
        return id(self)

    def __getattr__(self, name: str) -> Any:
        raise unknown("Tensor", name, methods(type(self)))

    if TYPE_CHECKING:  # added by minicnn.ops

        def __iter__(self) -> Iterator[Tensor]: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __eq__(self, other: Any) -> Any: ...
        def __ne__(self, other: Any) -> Any: ...
        def __lt__(self, other: Any) -> Any: ...
        def __le__(self, other: Any) -> Any: ...
        def __gt__(self, other: Any) -> Any: ...
        def __ge__(self, other: Any) -> Any: ...


engine._tensor = Tensor
for _name in absent("Tensor"):
    setattr(Tensor, _name, Absent(_name))


def tensor_method(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add a function of minicnn.ops to the class Tensor, as the methods `names`."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            setattr(Tensor, name, function)
        return function

    return enter
