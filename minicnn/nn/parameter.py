"""Tensors that modules own: parameters and buffers, and their forms before the shape is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from minicnn_kernels.arrays import on_gpu

from ..autograd import own_order
from ..compat.missing import answer as _answer
from ..ops.tensor import creation
from ..tensor import Tensor
from ..tensor.copying import copy_of

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]

_NAMES = {"f8": "Double", "f4": "Float", "f2": "Half", "i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char",
          "u1": "Byte", "b1": "Bool"}  # fmt: skip


def typename(value: Any) -> str:
    """Return the name of a value's type for error messages: "minicnn.FloatTensor", "numpy.ndarray", "int"."""
    if isinstance(value, Tensor) and value.dtype.str[1:] in _NAMES:
        return f"minicnn.{'cuda.' if on_gpu(value._array) else ''}{_NAMES[value.dtype.str[1:]]}Tensor"
    kind = value if isinstance(value, type) else type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _own(tensor: Tensor, data: Any, requires_grad: bool) -> None:
    """Initialise a tensor that shares the memory of the tensor `data`; for None, it has no elements."""
    if isinstance(data, Tensor):
        Tensor.__init__(tensor, own_order.settle(data).array, _counter=data._counter)
    else:
        Tensor.__init__(tensor, creation.empty(0).array if data is None else data)
    if requires_grad:
        tensor.requires_grad_()


class Parameter(Tensor):
    """A tensor that a module owns and an optimiser changes: a leaf of the graph.

    Args:
        data: a tensor, whose memory is shared, or an array or numbers; None means an empty tensor.
        requires_grad: whether it is trained; `no_grad` does not change the default.

    >>> net = nn.Module()
    >>> net.scale = nn.Parameter(minicnn.ones(3))
    >>> list(net.named_parameters())
    [('scale', Parameter containing:
    tensor([1., 1., 1.], requires_grad=True))]
    """

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        """Make the object; it is defined for subclasses whose `__new__` hands the data on, as PyTorch's may."""
        return super().__new__(cls)

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        _own(self, data, requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(copy_of(self._array), self.requires_grad)
        copied: Parameter = memo[id(self)]
        return copied


class Buffer(Tensor):
    """A tensor that becomes a module's buffer when it is assigned to an attribute: part of the state, not trained.

    Args:
        data: a tensor, whose memory is shared, or an array or numbers; None means an empty tensor.
        persistent: whether it is in the module's `state_dict`.

    >>> net = nn.Module()
    >>> net.mean = nn.Buffer(minicnn.zeros(2))
    >>> list(net.parameters()), list(net.state_dict())
    ([], ['mean'])
    """

    persistent: bool

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        _own(self, data, isinstance(data, Tensor) and data.requires_grad)
        self.persistent = persistent


def is_lazy(param: Any) -> bool:
    """Return whether a parameter or buffer has no shape yet."""
    return isinstance(param, UninitializedTensorMixin)


class UninitializedTensorMixin:
    """The common part of parameters and buffers without a shape: `materialize`, and errors for everything else."""

    __slots__ = ()
    cls_to_become: ClassVar[type[Tensor]]

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Allocate memory of `shape`, sizes or one size, and change the class.

        The device and the dtype are those given here or at construction.
        """
        own: Any = self
        sizes = shape if isinstance(shape, Iterable) else (shape,)
        own.data = creation.empty(tuple(sizes), device=device or own.device, dtype=dtype or own.dtype)
        own.__class__ = self.cls_to_become

    @property
    def shape(self) -> Any:
        """Raise an error: the shape is not known yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` "
            "to initialize the parameters before accessing their attributes."
        )

    @property
    def array(self) -> Any:
        """Raise an error: there is no memory yet."""
        raise ValueError(
            "Attempted to use an uninitialized parameter. This error happens when you are using a `LazyModule` or "
            f"explicitly manipulating `minicnn.nn.parameter.{type(self).__name__}` objects. When using LazyModules "
            "call `forward` with a dummy batch to initialize the parameters before calling functions on them"
        )

    def numel(self) -> int:
        """Raise an error: the shape is not known yet."""
        size: int = self.array.size  # raises
        return size

    def share_memory_(self) -> Any:
        """Raise an error: there is no memory yet."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the parameters "
            "before calling `module.share_memory()`."
        )

    def to(self, *target: Any, **options: Any) -> Any:
        """Return the empty tensor behind it, converted; a module stores it if it is converted before its first run."""
        own: Any = self
        return own.data.to(*target, **options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            own: Any = self
            memo[id(self)] = type(own)(own.requires_grad, own.device, own.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        own: Any = self
        return type(own), (own.requires_grad, str(own.device), own.dtype)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is found at the first forward; until then only its dtype and device can change.

    >>> nn.LazyLinear(10).weight
    <UninitializedParameter>
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        """Make the object."""
        return super().__new__(cls)

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        Parameter.__init__(self, creation.empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(UninitializedTensorMixin, Buffer):
    """A buffer whose shape is found at the first forward.

    >>> nn.LazyBatchNorm2d().running_mean
    <UninitializedBuffer>
    """

    cls_to_become = Buffer

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> None:
        Buffer.__init__(self, creation.empty(0, device=device, dtype=dtype), persistent=persistent)
        self.requires_grad = requires_grad


_answer(globals())
