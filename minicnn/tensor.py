"""Tensor: an array that remembers how it was computed.

A tensor holds a NumPy array (`.array`), whether a gradient is wanted (`.requires_grad`), the gradient (`.grad`), and,
if an operation made it, the place in the record that `backward()` starts from (`.grad_fn`). The operations are in
`minicnn.ops`, which also enters the methods and operators here with `tensor_method`: this file knows no arithmetic.

Memory is shared as in NumPy and PyTorch: `t.data`, `t.detach()`, `t.numpy()` and views look at the same numbers.
Writing through a tensor (`t[...] = 0`, `t.data.fill_(0)`, `t.copy_(other)`) is counted, so that the backward pass
notices if an array it needs has changed. Writing into `t.array` or `t.numpy()` is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .autograd import engine, modes
from .device import Device

Array = np.ndarray[Any, np.dtype[Any]]

float32, float64 = np.dtype(np.float32), np.dtype(np.float64)
float16 = np.dtype(np.float16)
uint8, int32, int64 = np.dtype(np.uint8), np.dtype(np.int32), np.dtype(np.int64)
bool_ = np.dtype(np.bool_)


class Tensor:
    """An n-d array with a gradient tape; `Tensor(array)` wraps a NumPy array without copying it.

    Args:
        array: a NumPy array (shared), or numbers and nested lists of numbers (copied; floats become float32).
        requires_grad: whether `backward()` shall leave a gradient in `.grad`; for floating-point tensors only.
    """

    __slots__ = ("__weakref__", "_array", "_edge", "_hooks", "_version", "grad", "requires_grad")
    __array_ufunc__ = None  # array + tensor asks the tensor

    def __init__(self, array: Any, requires_grad: bool = False, *, _version: list[int] | None = None) -> None:
        self._array: Array = array if isinstance(array, np.ndarray) else _to_array(array)
        self._version = [0] if _version is None else _version  # one counter for all tensors that share memory
        self._edge: tuple[engine.Node, int] | None = None
        self._hooks: dict[int, Callable[[Tensor], Tensor | None]] | None = None
        self.grad: Tensor | None = None
        self.requires_grad = False
        if requires_grad:
            self.requires_grad_()

    # ------------------------------------------------------------------------------------------------- what it holds

    @property
    def array(self) -> Array:
        """The NumPy array itself, to read; writing into it is not noticed by the tape."""
        return self._array

    @property
    def data(self) -> Tensor:
        """The same memory as a tensor outside the tape; assigning to it replaces the values."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor | Array) -> None:
        array = np.asarray(value.array if isinstance(value, Tensor) else value)
        if array.dtype.kind != self._array.dtype.kind:
            raise TypeError(
                f"data: cannot put {array.dtype} values into a tensor of {self.dtype}; convert them with .to()"
            )
        self._array = array
        self._version[0] += 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The size along each axis."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._array.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._array.ndim

    @property
    def device(self) -> Device:
        """Where the memory is."""
        return Device("cpu")

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user and not by a recorded operation."""
        return self._edge is None

    @property
    def grad_fn(self) -> engine.Node | None:
        """The recorded call that made it."""
        return self._edge[0] if self._edge else None

    def size(self, dim: int | None = None) -> Any:
        """The shape, or its entry `dim`."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of axes."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self._array.size

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    # ----------------------------------------------------------------------------------------------- out of the tensor

    def numpy(self) -> Array:
        """The NumPy array, sharing memory."""
        if self.requires_grad:
            raise RuntimeError(
                "numpy: the tensor requires a gradient, which an array cannot carry; use tensor.detach().numpy()"
            )
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> Any:
        """The one element as a Python number."""
        if self._array.size != 1:
            raise RuntimeError(
                f"item: a tensor of shape {self.shape} has {self.numel()} elements, not one; use tolist()"
            )
        return self._array.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self._array.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise RuntimeError(
                f"bool: the truth of {self.numel()} elements is ambiguous; "
                "reduce them to one, or use .numpy().any() or .all()"
            )
        return bool(self._array.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iub":
            raise TypeError(f"only an integer tensor is an index, got {self.dtype}")
        return int(self.item())

    def __repr__(self) -> str:
        body = np.array2string(self._array, separator=", ", prefix="tensor(", threshold=1000, precision=4)
        extra = "" if self.dtype in (float32, int64, bool_) else f", dtype={self.dtype}"
        extra += f", grad_fn={self.grad_fn}" if self._edge else ", requires_grad=True" if self.requires_grad else ""
        return f"tensor({body}{extra})"

    # ------------------------------------------------------------------------------------------------------- the tape

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for a gradient, or stop asking, in place."""
        if requires_grad and self.dtype.kind not in "fc":
            raise RuntimeError(f"requires_grad: only floating-point tensors have gradients, this one is {self.dtype}")
        if not requires_grad and self._edge:
            raise RuntimeError("requires_grad: a computed tensor cannot stop requiring a gradient; use detach()")
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """The same memory outside the tape."""
        return Tensor(self._array, _version=self._version)

    def backward(self, gradient: Tensor | None = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Compute the gradient of this tensor with respect to every leaf it was computed from, and add it to its
        `.grad`.

        Args:
            gradient: the upstream gradient, of this tensor's shape; 1 for a scalar.
            retain_graph: keep what the record saved, so that one can walk through it again.
            create_graph: not supported.
        """
        if create_graph:
            raise NotImplementedError("backward: create_graph=True (a gradient of the gradient) is not supported")
        engine.backward([self], [engine.upstream(self, gradient)], retain_graph)

    def retain_grad(self) -> None:
        """Keep the gradient of this computed tensor in `.grad` too, as for a leaf."""
        if self._edge:
            import weakref

            me = weakref.ref(self)

            def keep(gradient: Tensor) -> None:
                if (tensor := me()) is not None:
                    total = gradient.array if tensor.grad is None else tensor.grad.array + gradient.array
                    tensor.grad = Tensor(total.copy())

            self.register_hook(keep)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(gradient)` when this tensor's gradient is complete; a result other than None replaces it."""
        if not self.requires_grad:
            raise RuntimeError("register_hook: the tensor does not require a gradient")
        if self._edge:
            node, index = self._edge
            hooks = node.hooks.setdefault(index, {})
        else:
            hooks = self._hooks = {} if self._hooks is None else self._hooks
        return RemovableHandle(hooks, hook)

    # ------------------------------------------------------------------------------------------------ writing in place

    def copy_(self, values: Any) -> Tensor:
        """Overwrite the elements by `values`, broadcast; counted, not recorded."""
        return self._write(..., values, "copy_")

    def fill_(self, value: float) -> Tensor:
        """Overwrite all elements by one value."""
        return self._write(..., value, "fill_")

    def zero_(self) -> Tensor:
        """Overwrite all elements by 0."""
        return self._write(..., 0, "zero_")

    def __setitem__(self, index: Any, values: Any) -> None:
        self._write(index, values, "[...] =")

    def _write(self, index: Any, values: Any, op: str) -> Tensor:
        values = values.detach() if isinstance(values, Tensor) else values
        if self.requires_grad and modes.is_grad_enabled():
            raise RuntimeError(
                f"{op}: writing into a tensor that requires a gradient is not recorded; compute a new tensor, "
                "or write inside no_grad() (or through .data) if the gradient shall not know"
            )
        index = tuple(_raw(i) for i in index) if isinstance(index, tuple) else _raw(index)
        self._array[index] = _raw(values)
        self._version[0] += 1
        return self

    # ------------------------------------------------------------------------------------------------- other types,
    # copies

    def clone(self) -> Tensor:
        """A copy in memory of its own, recorded."""
        return self * 1 if self.requires_grad and modes.is_grad_enabled() else Tensor(self._array.copy(order="K"))

    def cpu(self) -> Tensor:
        """The tensor itself: it is on the CPU."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._edge:
            raise RuntimeError("deepcopy: only leaf tensors can be copied deeply; use detach() first")
        copy = type(self).__new__(type(self))
        Tensor.__init__(copy, self._array.copy(order="K"), self.requires_grad)
        memo[id(self)] = copy
        return copy

    def __hash__(self) -> int:
        return id(self)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    if TYPE_CHECKING:  # entered by minicnn.ops

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
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


class RemovableHandle:
    """Takes a hook away again: `handle.remove()`, or at the end of `with handle:`."""

    _next = 0

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.hooks, self.id = hooks, RemovableHandle._next
        RemovableHandle._next += 1
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def tensor_method(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function of minicnn.ops as the Tensor methods `names`."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            setattr(Tensor, name, function)
        return function

    return enter


def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`: numbers, nested lists, an array or a tensor.

    Python floats become float32 and ints int64; arrays keep their type, unless `dtype` is given.
    """
    Device(device or "cpu")
    array = np.array(_to_array(data), dtype=dtype, copy=True)
    return Tensor(array, requires_grad)


def from_numpy(array: Array) -> Tensor:
    """A tensor on the memory of `array`."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}; use minicnn.tensor")
    return Tensor(array)


def _raw(value: Any) -> Any:
    """The array of a tensor; anything else as it is."""
    return value.array if isinstance(value, Tensor) else value


def _to_array(data: Any) -> Array:
    """Numbers and nested sequences as an array, Python floats as float32."""
    if isinstance(data, Tensor):
        return data.array
    if isinstance(data, (np.ndarray, np.generic)):
        return np.asarray(data)
    if isinstance(data, Sequence) and any(isinstance(item, Tensor) for item in data):
        data = [item.detach().numpy() if isinstance(item, Tensor) else item for item in data]
        return np.asarray(data)
    try:
        array = np.asarray(data)
    except ValueError as error:
        _reject(data, str(error))
    if array.dtype.kind not in "fiub":
        _reject(data, f"elements of type {array.dtype}")
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _reject(data: Any, why: str) -> NoReturn:
    raise TypeError(
        f"tensor: cannot make a tensor of {type(data).__name__} ({why}); pass numbers, nested lists, or an array"
    )
