"""One call of a user's `Function`: its context, and the call as the engine sees it, on arrays."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import share_memory

from ..device import of as device_of
from . import engine, inplace, own_order
from .modes import no_grad
from .nodes import GraphNode

if TYPE_CHECKING:
    from ..tensor import Tensor
    from .function import Function


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors, and attributes of the user's choice.

    Attributes:
        needs_input_grad: for each argument of `forward`, whether its gradient is wanted.
    """

    _node: Any = None  # inside `backward`, the node of the call
    saved_for_forward: tuple[Any, ...] = ()  # for a forward mode, which minicnn does not have

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
            return leaf if leaf._array is array else engine.at_leaf(leaf, array)
        tensor = engine._tensor(array)
        tensor._edge = (self._node, edge) if isinstance(edge, int) else edge
        tensor._requires_grad = edge is not None
        return tensor

    @property
    def saved_variables(self) -> tuple[Any, ...]:
        """The old name of `saved_tensors`."""
        warnings.warn("'saved_variables' is deprecated; use 'saved_tensors'", DeprecationWarning, stacklevel=2)
        return self.saved_tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Declare that some outputs, such as indices, have no gradient."""
        self._constant = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Declare the inputs that `forward` changes in place and returns."""
        self._dirty = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Do nothing: this is for `jvp`, which minicnn does not call."""
        self.saved_for_forward = tensors

    def __getattr__(self, name: str) -> Any:
        node = None if name.startswith("__") else self.__dict__.get("_node")
        if node is not None and (name in vars(GraphNode)):  # next_functions, metadata, register_hook ...
            return getattr(node, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def set_materialize_grads(self, value: bool) -> None:
        """Choose whether `backward` gets zeros (True) or None for an output that the loss does not depend on."""
        self._materialize = value


class UserCall:
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
            first = next((i for i in range(index) if self.tensors[i] is old), None)
            if first is not None:  # returned twice
                found.append(found[first])
                continue
            if any(old is d for d in self.dirty):
                if new._requires_grad:
                    inplace.check_writable(old, self.function.__name__)
                    inplace.replace(old, new)
                found.append(old)
                continue
            new._counter = old._counter
            shared = next((x for x in inputs if share_memory(x._array, new._array)), None)
            if shared is not None:
                engine._share(shared, (new,))
                if new._edge:
                    new._edge[0].tied |= {index}
            found.append(new)
        rest = iter(found)
        returned = [next(rest) if isinstance(r, engine._tensor) else r for r in self.returned]
        return tuple(returned) if self.several else returned[0]


class Call(engine.Function):
    """One call of a user's function as the engine sees it: on arrays."""

    backward_is_users = True
    any_device = True

    @staticmethod
    def forward(ctx: Any, *arrays: Any, call: UserCall) -> Any:
        """Run the user's forward on the tensors."""
        ctx.title, ctx.user, ctx.named = call.function.__name__, call.function, len(call.options)
        ctx.devices = [device_of(a) for a in arrays]
        context = ctx.context = FunctionCtx(ctx.needs_input_grad)
        outputs = call.run(context)
        for tensor in context._dirty:
            tensor._counter[0] += 1
        saved = context._to_save
        ctx.save_for_backward(*[None if t is None else t.array for t in saved])
        ctx._versions = [None if t is None else (t._counter, t._counter[0]) for t in saved]
        context._places = tuple([(None, None) if t is None else call.place(t) for t in saved])
        ctx.mark_non_differentiable(*(t.array for t in context._constant))
        ctx.materialize = context._materialize
        ctx.are_tensors = [isinstance(r, engine._tensor) for r in call.returned]
        context._to_save, context._constant, context._dirty = (), (), ()
        return tuple([o.array for o in outputs])

    @staticmethod
    def public(node: Any) -> tuple[str, type[GraphNode]]:
        """Return the name of the type that programs see: that of the user's class."""
        return f"{node.title}Backward", engine.Node

    @staticmethod
    def attribute(node: Any, name: str) -> Any:
        """Return what the user's forward left on its ctx, such as its saved tensors."""
        context = vars(node).get("context")
        if context is None or name.startswith("__"):
            return engine.Function.attribute(node, name)
        outer, context._node = context._node, node
        try:
            return getattr(context, name)
        finally:
            context._node = outer

    @staticmethod
    def infer(*arrays: Any, call: UserCall) -> Any:
        """Run the user's forward on meta tensors."""
        return tuple([o.array for o in call.run(FunctionCtx((False,) * len(arrays)))])

    @staticmethod
    def backward(ctx: Any, *gys: Any) -> Any:
        """Run the user's backward on tensors, and convert its gradients to the types and shapes of the arguments."""
        found = Call.derivative(ctx, *[None if g is None else own_order.mark(engine._tensor(g)) for g in gys])
        return tuple([None if g is None else g.array for g in found])

    @staticmethod
    def derivative(ctx: Any, *gys: Any) -> Any:
        """The same on tensors, which is recorded if the caller records."""
        tensor, context = engine._tensor, ctx.context
        outer, context._node = context._node, ctx
        ups = iter(gys)
        try:
            found = ctx.user._backward()(context, *[next(ups) if is_tensor else None for is_tensor in ctx.are_tensors])
        finally:
            context._node = outer
        found = found if isinstance(found, (tuple, list)) else (found,)
        wanted = len(ctx.inputs)
        if wanted - ctx.named <= len(found) < wanted:  # arguments given by name may be left out at the end
            found = (*found, *[None] * (wanted - len(found)))
        if any(g is not None for g in found[wanted:]):
            raise RuntimeError(f"{ctx.title}: backward gave {len(found)} gradients for {wanted} arguments of forward")
        for g in found:
            if g is not None and not isinstance(g, tensor):
                raise TypeError(f"{ctx.title}: backward must return tensors or None, got {type(g).__name__}")
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
                f"{ctx.title}: backward returned an invalid gradient at index {i} - expected device {device} but got "
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
