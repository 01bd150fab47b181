"""`Function` for users: a differentiable function on tensors, under PyTorch's names.

The operations of minicnn itself are subclasses of `engine.Function`, which works on bare arrays. This class adds
PyTorch's interface: `forward` and `backward` receive and return tensors, and have a context of their own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import share_memory

from ..compat.missing import answer as _answer
from ..device import of as device_of
from . import engine, inplace
from .engine import Array
from .modes import is_grad_enabled, no_grad

if TYPE_CHECKING:
    from ..tensor import Tensor


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors, and attributes of the user's choice.

    Attributes:
        needs_input_grad: for each argument of `forward`, whether its gradient is wanted.
    """

    _node: Any = None  # inside `backward`, the node of the call

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._to_save: tuple[Any, ...] = ()
        self._places: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._materialize = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors, or None, for the backward pass, which raises if one of them has been changed by then."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, engine._tensor):
                raise TypeError(
                    f"save_for_backward: only tensors can be saved, got {type(tensor).__name__}; "
                    "keep other things as attributes, ctx.name = value"
                )
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """Return the tensors of `save_for_backward`, checked to be unchanged; to be read inside `backward`."""
        if self._node is None:
            if not self._places:  # inside forward
                return ()
            raise RuntimeError("saved_tensors: read them inside backward()")
        pairs = zip(self._node.saved, self._places, strict=True)
        return tuple([None if array is None else self._tensor(array, *place) for array, place in pairs])

    def _tensor(self, array: Any, leaf: Any, edge: Any) -> Any:
        """Return a saved tensor: a leaf that requires a gradient as it is, another one with its place in the graph."""
        if leaf is not None:
            return leaf
        tensor = engine._tensor(array)
        tensor._edge = (self._node, edge) if isinstance(edge, int) else edge
        tensor._requires_grad = edge is not None
        return tensor

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Declare that some outputs, such as indices, have no gradient."""
        self._constant = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Declare the inputs that `forward` changes in place and returns."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Choose whether `backward` gets zeros (True) or None for an output that the loss does not depend on."""
        self._materialize = value


class Function:
    """A differentiable function with PyTorch's rules: subclass it, and call `apply`.

    `forward` is not recorded. `backward` takes a gradient for each output, and returns one, or None, for each argument
    of `forward`; it cannot be differentiated itself. If `forward` has no `ctx` argument, the subclass also defines
    `setup_context(ctx, inputs, output)`, which saves what `backward` needs.

    >>> class Square(minicnn.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad_output):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * grad_output
    >>> x = minicnn.tensor([3.0], requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad
    tensor([6.])
    """

    @staticmethod
    def forward(*args: Any) -> Any:
        """Compute the output; the subclass defines it."""
        raise NotImplementedError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what `backward` needs; the subclass defines it if its `forward` takes no ctx."""
        raise NotImplementedError("the subclass must define setup_context(ctx, inputs, output)")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute the gradients of the arguments; the subclass defines it."""
        raise NotImplementedError("a Function that is recorded needs a static method backward(ctx, *grad_outputs)")

    @classmethod
    def apply(cls, *args: Any, **options: Any) -> Any:
        """Run `forward` and record the call; tensors among the keyword arguments get gradients too.

        Raises:
            RuntimeError: `forward` marked a tensor as dirty but did not return it, or may not write to that tensor.
        """
        if cls._is_apart():
            bound = inspect.signature(cls.forward).bind(*args, **options)
            bound.apply_defaults()
            args, options = bound.args, bound.kwargs
        call = _UserCall(cls, args, options)
        made = _Call.apply(*args, *options.values(), call=call)
        return call.result(made)

    @classmethod
    def _is_apart(cls) -> bool:
        """Return whether the subclass defines `setup_context`, so that its `forward` gets no ctx."""
        return cls.setup_context is not Function.setup_context

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Raise an error: as in PyTorch, a Function is not callable."""
        raise RuntimeError(f"{type(self).__name__} is used through {type(self).__name__}.apply(...)")


class _UserCall:
    """One call of a user's function: its arguments and its returned values, tensors and other things."""

    def __init__(self, function: type[Function], args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.function, self.args, self.options = function, args, options
        self.dirty: tuple[Any, ...] = ()

    def run(self, context: FunctionCtx) -> list[Any]:
        """Run the user's forward and return its tensors."""
        function = self.function
        with no_grad():
            if function._is_apart():
                returned = function.forward(*self.args, **self.options)
                function.setup_context(context, self.args, returned)
            else:
                returned = function.forward(context, *self.args, **self.options)
        self.several = isinstance(returned, tuple)
        self.returned = list(returned) if self.several else [returned]
        self.tensors = [r for r in self.returned if isinstance(r, engine._tensor)]
        if not self.several and not self.tensors:
            raise TypeError(f"{function.__name__}: forward must return tensors, got {type(returned).__name__}")
        self.dirty = context._dirty
        for tensor in self.dirty:
            if not any(tensor is t for t in self.tensors):
                raise RuntimeError(
                    f"{function.__name__}: forward marked a tensor of shape {tuple(tensor.shape)} as dirty but does "
                    "not return it; return every input that it changes in place"
                )
        return self.tensors

    def place(self, tensor: Any) -> tuple[Any, Any]:
        """Return where a saved tensor is in the graph: a leaf, an edge, or its number among the results."""
        if not any(tensor is d for d in self.dirty):
            if tensor._requires_grad:
                return (tensor, None) if tensor._edge is None else (None, tensor._edge)
            if any(tensor is a for a in (*self.args, *self.options.values())):
                return None, None
        return None, next((i for i, t in enumerate(self.tensors) if t is tensor), None)

    def result(self, made: tuple[Any, ...]) -> Any:
        """Return what `apply` returns, from the tensors that the engine made of the results of forward.

        A dirty tensor is returned itself, with a new place in the graph. The other results may share an input's memory.
        """
        inputs = [a for a in (*self.args, *self.options.values()) if isinstance(a, engine._tensor) and not a.is_meta]
        found: list[Any] = []
        for index, (old, new) in enumerate(zip(self.tensors, made, strict=True)):
            if any(old is d for d in self.dirty):
                if new._requires_grad:
                    inplace.check_writable(old, self.function.__name__)
                    inplace.replace(old, new)
                found.append(old)
                continue
            new._version = old._version
            shared = next((x for x in inputs if share_memory(x._array, new._array)), None)
            if shared is not None:
                engine._share(shared, (new,))
                if new._edge:
                    new._edge[0].tied |= {index}
            found.append(new)
        rest = iter(found)
        returned = [next(rest) if isinstance(r, engine._tensor) else r for r in self.returned]
        return tuple(returned) if self.several else returned[0]


class _Call(engine.Function):
    """One call of a user's function as the engine sees it: on arrays."""

    backward_is_users = True
    any_device = True

    @staticmethod
    def forward(ctx: Any, *arrays: Any, call: _UserCall) -> Any:
        """Run the user's forward on the tensors."""
        ctx.name, ctx.user = call.function.__name__, call.function
        ctx.devices = [device_of(a) for a in arrays]
        context = ctx.context = FunctionCtx(ctx.needs_input_grad)
        outputs = call.run(context)
        for tensor in context._dirty:
            tensor._version[0] += 1
        saved = context._to_save
        ctx.save_for_backward(*[None if t is None else t.array for t in saved])
        ctx._versions = [None if t is None else (t._version, t._version[0]) for t in saved]
        context._places = tuple([(None, None) if t is None else call.place(t) for t in saved])
        ctx.mark_non_differentiable(*(t.array for t in context._constant))
        ctx.materialize = context._materialize
        ctx.are_tensors = [isinstance(r, engine._tensor) for r in call.returned]
        context._to_save, context._constant, context._dirty = (), (), ()
        return tuple([o.array for o in outputs])

    @staticmethod
    def infer(*arrays: Any, call: _UserCall) -> Any:
        """Run the user's forward on meta tensors."""
        return tuple([o.array for o in call.run(FunctionCtx((False,) * len(arrays)))])

    @staticmethod
    def backward(ctx: Any, *gys: Any) -> Any:
        """Run the user's backward on tensors, and convert its gradients to the types and shapes of the arguments."""
        found = _Call.derivative(ctx, *[None if g is None else engine._tensor(g) for g in gys])
        return tuple([None if g is None else g.array for g in found])

    @staticmethod
    def derivative(ctx: Any, *gys: Any) -> Any:
        """The same on tensors, which is recorded if the caller records."""
        tensor, context = engine._tensor, ctx.context
        outer, context._node = context._node, ctx
        ups = iter(gys)
        try:
            found = ctx.user.backward(context, *[next(ups) if is_tensor else None for is_tensor in ctx.are_tensors])
        finally:
            context._node = outer
        found = found if isinstance(found, (tuple, list)) else (found,)
        wanted = len(ctx.inputs)
        if any(g is not None for g in found[wanted:]):
            raise RuntimeError(f"{ctx.name}: backward gave {len(found)} gradients for {wanted} arguments of forward")
        for g in found:
            if g is not None and not isinstance(g, tensor):
                raise TypeError(f"{ctx.name}: backward must return tensors or None, got {type(g).__name__}")
        return tuple(
            [
                None if g is None or edge is None else _fitted(_moved(ctx, i, g), *engine.like(edge))
                for i, (g, edge) in enumerate(zip(found[:wanted], ctx.inputs, strict=False))
            ]
        )


def _moved(ctx: Any, i: int, gradient: Tensor) -> Tensor:
    """Return the gradient of argument i; as in PyTorch, one of rank 0 counts as a number and may be on any device.

    Raises:
        RuntimeError: the gradient is on another device than the argument.
    """
    device = ctx.devices[i]
    if gradient.device != device:
        if gradient.ndim:
            raise RuntimeError(
                f"{ctx.name}: backward returned an invalid gradient at index {i} - expected device {device} but got "
                f"{gradient.device}"
            )
        gradient = gradient.to(device)
    return gradient


def _fitted(gradient: Tensor, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """Convert a gradient to the type of its argument, and sum over the axes where that was broadcast."""
    found = tuple(gradient.shape)
    if found != shape:
        extra = len(found) - len(shape)
        try:
            broadcast = np.broadcast_shapes(found, shape) == found
        except ValueError:  # reported by `backpropagation.py`
            return gradient
        if broadcast:
            axes = [i for i, n in enumerate(found) if i < extra or (shape[i - extra] == 1 and n != 1)]
            gradient = gradient.sum(axes).reshape(shape)
    return gradient if gradient.dtype == dtype else gradient.to(dtype)


class _Last(engine.Function):
    """y = x, which must not be differentiated."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Array, *_: Array) -> Array:
        """Return x."""
        return x

    @staticmethod
    def backward(ctx: Any, gy: Array) -> Any:
        """Raise an error."""
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")

    derivative = backward


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare that a `backward` cannot be differentiated again: it runs without recording, as if on arrays.

    >>> class Half(minicnn.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x / 2
    ...
    ...     @staticmethod
    ...     @minicnn.autograd.function.once_differentiable
    ...     def backward(ctx, gy):
    ...         return gy / 2
    """

    @functools.wraps(function)
    def backward(ctx: Any, *gys: Any) -> Any:
        with no_grad():
            found = function(ctx, *gys)
        wanted = [g for g in gys if isinstance(g, engine._tensor) and g.requires_grad]
        if not is_grad_enabled() or not wanted:
            return found
        several = isinstance(found, tuple)
        results = [
            _Last.apply(g.detach(), *wanted) if isinstance(g, engine._tensor) else g
            for g in (found if several else (found,))
        ]
        return tuple(results) if several else results[0]

    return backward


_answer(globals())
