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

import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import GPU_TYPES, Array, on_gpu

from .. import device as devices
from ..autograd import backpropagation, engine
from ..autograd.hooks import RemovableHandle
from ..compat.missing import Absent, absent, methods, unknown
from ..device import CPU, Device, Meta
from ..dtypes import DType, Size, of_array
from . import copying
from .old_constructor import old_constructor
from .printing import text


class Tensor:
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

    __slots__ = (
        "__dict__", "__weakref__", "_after_hooks", "_array", "_edge", "_grad", "_hooks", "_requires_grad", "_version",
        "_views",
    )  # fmt: skip
    __array_ufunc__ = None  # array + tensor calls the tensor's __radd__

    def __init__(
        self, array: Any = (), requires_grad: bool = False, *sizes: int, _version: list[int] | None = None
    ) -> None:
        if not isinstance(array, np.ndarray) and type(array) not in GPU_TYPES:
            if type(requires_grad) is not bool:  # Tensor(2, 3)
                array, requires_grad = Size((array, requires_grad, *sizes)), False
            array = old_constructor(array)
        self._array: Array = array
        self._version = [0] if _version is None else _version  # one counter for all tensors that share memory
        self._edge: tuple[engine.Node, int] | None = None
        self._hooks: dict[int, Callable[[Tensor], Tensor | None]] | None = None
        self._after_hooks: dict[int, Callable[[Tensor], None]] | None = None
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
        array = value.array if isinstance(value, Tensor) else value if on_gpu(value) else np.asarray(value)
        if array.dtype.kind != self._array.dtype.kind:
            raise TypeError(
                f"data: cannot put {DType(array.dtype)} values into a {self.dtype} tensor; convert with .to()"
            )
        self._array = array
        self._version[0] += 1

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

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad()` was called on this computed tensor."""
        return "_retains_grad" in self.__dict__

    @property
    def is_leaf(self) -> bool:
        """Whether the user made the tensor, and no recorded operation computed it."""
        return self._edge is None

    @property
    def grad_fn(self) -> engine.Node | None:
        """The node of the recorded call that computed the tensor."""
        return self._edge[0] if self._edge else None

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

    # ------------------------------------------------------------------------------------------------------ the graph

    @property
    def requires_grad(self) -> bool:
        """Whether `backward()` computes a gradient for it, or for a tensor that it was computed from."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward()` has added up; None before that, and for computed tensors."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
            if value.shape != self.shape or value.dtype != self.dtype or value.device != self.device:
                raise RuntimeError(
                    f"grad: a gradient of shape {value.shape} and type {value.dtype} on {value.device} does not fit a "
                    f"tensor of shape {self.shape} and type {self.dtype} on {self.device}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set in place whether `backward()` computes a gradient for this tensor."""
        if not isinstance(requires_grad, bool):
            raise TypeError(f"requires_grad: expected a bool, got {type(requires_grad).__name__}")
        if requires_grad and self.dtype.kind not in "fc":
            raise RuntimeError(f"requires_grad: only floating-point tensors have gradients, and this is {self.dtype}")
        if not requires_grad and self._edge:
            raise RuntimeError("requires_grad: a computed tensor cannot stop requiring a gradient; use detach()")
        self._requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """Return a tensor on the same memory, detached from the graph.

        >>> y = minicnn.ones(2, requires_grad=True) * 2
        >>> y.detach().requires_grad
        False
        """
        return Tensor(self._array, _version=self._version)

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Compute the gradient of this tensor for every leaf it was computed from, and add it to the leaf's `.grad`.

        Args:
            gradient: the upstream gradient, of this tensor's shape; 1 for a scalar.
            retain_graph: keep the saved arrays of the graph, so that `backward` can run again; the default is
                `create_graph`.
            create_graph: give the gradients in `.grad` places in the graph, so that gradients of them can be computed.
            inputs: add gradients to these tensors only, which may be computed ones; None means all leaves.

        Raises:
            RuntimeError: there is no `gradient` and the tensor is no scalar, or the graph was freed by an earlier pass.
            NotImplementedError: with `create_graph`, an operation whose gradient has no gradient.

        >>> x = minicnn.tensor([1., 2., 3.], requires_grad=True)
        >>> (x**2).sum().backward()
        >>> x.grad  # 2 x
        tensor([2., 4., 6.])
        """
        up = backpropagation.upstream(self, gradient, create_graph)
        retain = create_graph if retain_graph is None else retain_graph
        backpropagation.backward([self], [up], retain, inputs, create_graph)

    def retain_grad(self) -> None:
        """Store the gradient of this computed tensor in `.grad` too, as for a leaf, after its hooks have changed it.

        After an in-place operation it is the gradient of the new values.

        >>> x = minicnn.tensor([3.], requires_grad=True)
        >>> y = x * 2
        >>> y.retain_grad()
        >>> (y**2).backward()
        >>> y.grad, x.grad
        (tensor([12.]), tensor([24.]))
        """
        if not self.requires_grad:
            raise RuntimeError("retain_grad: the tensor does not require a gradient")
        if self._edge and not self.retains_grad:
            self.__dict__["_retains_grad"] = True
            node, index = self._edge
            node.retained = {**(node.retained or {}), index: weakref.ref(self)}

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(gradient)` when this tensor's gradient is complete; a tensor that it returns replaces it.

        >>> x = minicnn.tensor([1., 2.], requires_grad=True)
        >>> handle = x.register_hook(lambda gradient: gradient * 10)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        if not self.requires_grad:
            raise RuntimeError("register_hook: the tensor does not require a gradient")
        if self._edge:
            node, index = self._edge
            node.hooks = {} if node.hooks is None else node.hooks
            hooks = node.hooks.setdefault(index, {})
        else:
            hooks = self._hooks = {} if self._hooks is None else self._hooks
        return RemovableHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `hook(tensor)` after a backward pass has added to this leaf's `.grad`."""
        if not self.requires_grad or self._edge:
            raise RuntimeError("register_post_accumulate_grad_hook: the tensor must be a leaf that requires a gradient")
        self._after_hooks = {} if self._after_hooks is None else self._after_hooks
        return RemovableHandle(self._after_hooks, hook)

    def detach_(self) -> Tensor:
        """Detach the tensor from the graph, in place."""
        self._edge, self._requires_grad = None, False
        return self

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
