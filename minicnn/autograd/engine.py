"""The tape: functions record their calls and so build a graph; `backpropagation.py` goes back through it.

A tensor that a `Function` computed points to a `Node`. The node points to the nodes (or leaf tensors) of its inputs,
never to its output. So the graph has no cycles: it is freed when the last result is deleted, without waiting for the
garbage collector.

    x ----.                        leaf tensors: x, w
          Conv2d --- Tanh --- y    nodes; y.grad_fn is the Tanh node
    w ----'

Each new node gets the next number, so the node of an input always has a smaller number. The backward pass takes the
largest number first. So every node has received all of its gradient before it passes any on, and no recursion is
needed, however deep the graph is.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence, Set
from typing import TYPE_CHECKING, Any

from numpy import ndarray

from minicnn_kernels.arrays import GPU_TYPES, Array

from ..device import Meta, meta, out_of_memory
from . import anomaly, gpu, observe, own_order, saved_tensors
from .modes import thread
from .nodes import GraphNode, public_name, seen_edge, shown_places, type_named

if TYPE_CHECKING:
    from ..tensor import Tensor


observers = observe.observers
_tensor: Any = None  # the class Tensor: tensor.py, which imports this file, sets it


class Node(GraphNode):
    """One recorded call of a `Function`; forward and backward get it as `ctx`.

    Attributes:
        title: the name of the operation, for errors.
        needs_input_grad: for each positional argument of `apply`, whether its gradient is wanted.
        saved: the arrays kept by `save_for_backward`.

    A forward may keep anything else as an attribute with a name of its own.
    """

    _numbers = itertools.count()

    # Class attributes hold the usual values: a node is made at every call of an operation, so its constructor is short.
    inputs: tuple[Edge, ...] = ()
    outputs: Sequence[tuple[tuple[int, ...], Any]] = ()  # shape and dtype of each output
    hooks: dict[int, dict[int, Callable[[Tensor], Tensor | None]]] | None = None  # output -> hooks of that tensor
    retained: dict[int, weakref.ref[Tensor]] | None = None  # output -> the tensor that keeps its gradient
    origin: anomaly.Origin | None = None
    materialize = True  # whether backward gets zeros, or None, for an output that nothing depends on
    _saved: tuple[Array | None, ...] | None = ()
    _versions: Sequence[tuple[list[int], int] | None] = ()
    _packed = False  # whether hooks of the program have replaced saved arrays
    _constant: Set[int] = frozenset()  # ids of outputs without a gradient
    reordered: Array | None = None  # the first argument, if forward has brought it into another order of memory
    gpu: int | None = None  # the number of the GPU that forward ran on
    from_cpu: tuple[int, ...] = ()  # the arguments that forward got from the CPU, if it ran on a GPU
    tied: Set[int] = frozenset()  # outputs that a user's function made as views of its inputs
    floats: Sequence[bool] | None = None  # which arguments are tensors of floats
    face: str | None = None  # the name that programs know the node by, if it is not the operation's
    within: Node | None = None  # the node whose inputs programs see as those of this one; see nodes.shown_as

    def __init__(self, function: type[Function], needs_input_grad: tuple[bool, ...]) -> None:
        self.function = function
        self.title = function.__name__
        self.needs_input_grad = needs_input_grad
        self.number = next(Node._numbers)

    def save_for_backward(self, *arrays: Array | None) -> None:
        """Keep arrays for the backward pass, which raises if one of them has been changed by then."""
        self._saved = arrays

    def mark_non_differentiable(self, *arrays: Array) -> None:
        """Declare that some outputs, such as indices, have no gradient."""
        self._constant = self._constant | {id(array) for array in arrays}

    @property
    def saved(self) -> tuple[Any, ...]:
        """Return the saved arrays, after checking that they were neither freed nor changed."""
        if self._saved is None:
            raise RuntimeError(
                f"backward: the backward of {self.title} has already run and its saved arrays were freed. Trying "
                "to backward through the graph a second time (or directly access saved tensors after they have already "
                "been freed)? Specify retain_graph=True in the first call of backward() or autograd.grad()"
            )
        for array, version in zip(self._saved, self._versions, strict=True):
            if version is not None and version[0][0] != version[1]:
                shape = None if array is None else array.shape
                raise RuntimeError(
                    "backward: one of the variables needed for gradient computation has been modified by an inplace "
                    f"operation: an array of shape {shape} that {self.title} saved was changed in place afterwards (is "
                    f"at version {version[0][0]}; expected version {version[1]}), so its gradient would be wrong; "
                    "change a clone, or call backward() before changing it"
                )
        return saved_tensors.unpacked(self, _tensor) if self._packed else self._saved

    @property
    def unchanged(self) -> tuple[Any, ...]:
        """Return the saved arrays, with None for a changed one, for a backward that can do without it."""
        if self._saved is None or self._packed:
            return self.saved
        pairs = zip(self._saved, self._versions or (), strict=True)
        return tuple([None if v is not None and v[0][0] != v[1] else array for array, v in pairs])

    @property
    def next_functions(self) -> tuple[tuple[GraphNode | None, int], ...]:
        """For each input, the node that computed it and which of its results it is; (None, 0) for a constant."""
        node = self.within or self
        edges = [node.inputs[i] for i in node.function.shown(node)]
        return tuple([(None, 0) if edge is None else seen_edge(edge) for edge in edges])

    def free(self) -> None:
        """Free the saved arrays."""
        self._saved = None

    def _public_type(self) -> type[GraphNode]:
        name, base = self.function.public(self)
        return type_named(self.face or name, base)

    if TYPE_CHECKING:  # what forward keeps; at run time only the types that programs see have this method

        def __getattr__(self, name: str) -> Any: ...

    def at_input(self, i: int, array: Array) -> Tensor:
        """Return an array that equals argument i as a tensor with the argument's place in the graph."""
        edge = self.inputs[i]
        if edge is None or type(edge) is tuple:
            tensor: Tensor = own_order.mark(_tensor(array))
            tensor._requires_grad, tensor._edge = edge is not None, edge
            return tensor
        # otherwise a leaf whose memory has been exchanged since, or an array that hooks have kept
        return edge if edge._array is array else at_leaf(edge, array)

    def computed(
        self, function: type[Function], of: int | Tensor, array: Array, *saved: Array, arguments: int = 1, **state: Any
    ) -> Tensor:
        """Return an array that equals a function of argument `of`, or of a tensor, as a tensor with that place.

        The function's node is made as if it had been recorded: with its saved arrays, and its attributes `state`.
        `arguments` is the number of arguments of the function, of which the first needs a gradient.
        """
        node = Node(function, (True, *[False] * (arguments - 1)))
        node.inputs = (self.inputs[of] if isinstance(of, int) else of._edge or of, *[None] * (arguments - 1))
        node.outputs, node._saved, node._versions = [(array.shape, array.dtype)], saved, (None,) * len(saved)
        node.gpu = self.gpu
        vars(node).update(state)
        return node.at_output(0, array)

    @staticmethod
    def as_tensor(array: Array) -> Tensor:
        """Return an array as a tensor without a place in the graph."""
        tensor: Tensor = own_order.mark(_tensor(array))
        return tensor

    def at_output(self, j: int, array: Array) -> Tensor:
        """Return an array that equals result j as a tensor with the result's place in the graph."""
        tensor: Tensor = own_order.mark(_tensor(array))
        tensor._requires_grad, tensor._edge = True, (self, j)
        return tensor


Edge = Any  # where an input's gradient goes: (Node, output index), a leaf Tensor, or None


def like(edge: Edge) -> tuple[tuple[int, ...], Any]:
    """Return the shape and dtype of the tensor that an edge leads to."""
    return edge[0].outputs[edge[1]] if type(edge) is tuple else (edge._array.shape, edge._array.dtype)


class Function:
    """A differentiable function on arrays; a subclass defines it by two static methods.

        class Square(Function):
            @staticmethod
            def forward(ctx, x):            # arrays in, an array or a tuple of arrays out
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, gy):          # in: a gradient per output; out: one, or None, per argument of forward
                (x,) = ctx.saved
                return 2 * x * gy

        y = Square.apply(tensor)

    Keyword arguments of `apply` go to `forward` and have no gradient. `view = True` says that the output shares the
    memory of its input, so that writing to one counts as changing the other.

    For a gradient of the gradient, a subclass has one of two more methods; `second_order.py` explains them.

        def derivative(ctx, gy):            # backward once more, with operations on tensors, which are recorded
            (x,) = ctx.saved
            return 2 * ctx.at_input(0, x) * gy

        def tangent(ctx, v):                # if backward is linear and depends on no input: its transpose,
            return v[ctx.index]             # which is the derivative of forward along v, on arrays

    On meta tensors `infer`, the shape rule, runs instead of `forward`. Users write their own functions with
    `minicnn.autograd.Function`, which works on tensors and has PyTorch's names.
    """

    view = False
    any_device = False  # whether forward takes arrays of several devices
    on_cpu = False  # whether CuPy cannot do it: arrays on a GPU are moved to the CPU, and the results back
    # What `ownership.py` may assume about the gradients that backward returns. If both are False, each gradient is a
    # new array, or gy, a saved array, or a view of one of these.
    backward_allocates = False  # each gradient is in newly allocated memory of its own
    backward_is_users = False  # the user's code returns them and may keep them

    @staticmethod
    def forward(ctx: Any, *args: Any, **options: Any) -> Any:
        """Compute the output; the subclass defines it."""
        raise NotImplementedError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the inputs; the subclass defines it."""
        raise NotImplementedError("a Function that is recorded needs a static method backward(ctx, gy)")

    derivative: Callable[..., Any] | None = None
    tangent: Callable[..., Any] | None = None
    order: Sequence[int] | None = None  # that of the arguments, as programs know it
    shown: Callable[..., list[int]] = staticmethod(shown_places)  # which arguments programs see
    bends_in: tuple[int, ...] = ()  # beside `tangent`: the arguments with which the fixed derivative can jump

    @staticmethod
    def infer(*args: Any, **options: Any) -> Any:
        """Return what `forward` would return, as `Meta` arrays; by default the shape and dtype of the first tensor."""
        first = next(a for a in args if isinstance(a, Meta))
        return meta(first.shape, first.dtype)

    @staticmethod
    def public(node: Any) -> tuple[str, type[GraphNode]]:
        """Return the name of a node's type for programs, and the type that it extends."""
        return public_name(node.title), Node

    @staticmethod
    def attribute(node: Any, name: str) -> Any:
        """Return an attribute that a node lacks; by default it is an error."""
        return saved_tensors.attribute(node, name)

    @classmethod
    def apply(cls, *args: Any, **options: Any) -> Any:
        """Run `forward` on the tensors' arrays, and record the call if a gradient will be wanted."""
        tensors: list[Tensor | None] = []  # plain loops: a small net spends much of its time here
        arrays, needs, elsewhere, hidden, record = [], [], False, False, thread.recording
        for a in args:
            if isinstance(a, _tensor):
                tensors.append(a)
                needs.append(record and a._requires_grad)
                if a._order is not None:
                    hidden = True
                a = a.array
            else:
                tensors.append(None)
                needs.append(False)
            arrays.append(a)
            kind = type(a)
            if kind is not ndarray and (kind is Meta or kind in GPU_TYPES):
                elsewhere = True
        if hidden and cls.view and len(tensors) - tensors.count(None) > 1:  # views of several tensors
            arrays = [a if t is None else own_order.settle(t).array for t, a in zip(tensors, arrays, strict=True)]
            hidden = False
        node = Node(cls, tuple(needs))
        watched = thread.watching
        if watched:
            node.origin = anomaly.Origin.here()
        on_meta = elsewhere and any(type(a) is Meta for a in arrays)
        if on_meta:
            result = _on_meta(cls, node, tensors, arrays, options)
        else:
            try:
                result = gpu.forward(node, *arrays, **options) if elsewhere else cls.forward(node, *arrays, **options)
            except MemoryError as error:
                raise out_of_memory(node.title, error) from None
        several = isinstance(result, tuple)
        results = result if several else (result,)
        if watched and not on_meta:
            anomaly.check_forward(node.title, node.origin, results, arrays)
        if cls.view:
            source = next(t for t in tensors if t is not None)
            if hidden:
                results = own_order.viewed(source, results, again := cls._again(tensors, arrays, needs, options))
            outputs = tuple([_tensor(array, _counter=source._counter) for array in results])
            _share(source, outputs)
            if hidden:
                own_order.follow_all(source, outputs, again)
        else:
            outputs = tuple([_tensor(array) for array in results]) if several else (_tensor(result),)
            if hidden or node.reordered is not None:
                for output in outputs:
                    own_order.mark(output)
        if True in needs:
            _record(node, tensors, outputs)
        if observers:
            observe.operation(cls, node.title, args, options, outputs)
        return outputs if several else outputs[0]

    @classmethod
    def _again(
        cls, tensors: list[Tensor | None], arrays: list[Any], needs: list[bool], options: dict[str, Any]
    ) -> Callable[[Array], Any]:
        """Return what a view's forward is as a function of the array of its tensor, the first among the arguments."""
        at = next(i for i, t in enumerate(tensors) if t is not None)
        before, after, wanted = arrays[:at], arrays[at + 1 :], tuple(needs)
        return lambda array: cls.forward(Node(cls, wanted), *before, array, *after, **options)


class Alias(Function):
    """The same array, as another tensor."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        """Return x."""
        return x

    @staticmethod
    def backward(ctx: Any, gy: Array) -> Array:
        """Hand the gradient on."""
        return gy

    @staticmethod
    def tangent(ctx: Any, v: Array) -> Array:
        """Hand v on."""
        return v


def at_leaf(leaf: Tensor, array: Array) -> Tensor:
    """Return an array that equals a leaf as a tensor whose gradient is that of the leaf."""
    alias: Tensor = Alias.apply(leaf)
    alias._array, alias._order = array, None
    return own_order.mark(alias)


def _record(node: Node, tensors: list[Tensor | None], outputs: tuple[Tensor, ...]) -> None:
    """Tell the node where its gradients go and the versions of its saved arrays, and the outputs their node."""
    node.inputs = tuple(
        [
            (t._edge or t) if needs_grad and t is not None else None
            for t, needs_grad in zip(tensors, node.needs_input_grad, strict=True)
        ]
    )
    node.floats = [t is not None and t._array.dtype.kind == "f" for t in tensors]
    node.outputs = [(t._array.shape, t._array.dtype) for t in outputs]
    if node._saved and not node._versions:
        versions = {id(t._array): t._counter for t in tensors if t is not None}
        if node.reordered is not None and tensors[0] is not None:
            versions[id(node.reordered)] = tensors[0]._counter
        for t in outputs:
            versions[id(t._array)] = t._counter
        node._versions = [
            (version, version[0]) if (version := versions.get(id(array))) else None for array in node._saved
        ]
    if thread.packing and node._saved:
        saved_tensors.pack(node, _tensor)
    if node.reordered is not None:
        del node.reordered  # free() frees it with what is saved
    for index, output in enumerate(outputs):
        array = output._array
        if array.dtype.kind == "f" and id(array) not in node._constant:
            output._requires_grad, output._edge = True, (node, index)


def _on_meta(
    function: type[Function], node: Node, tensors: list[Tensor | None], arrays: list[Any], options: dict[str, Any]
) -> Any:
    """Return the result of a function of meta tensors, by its shape rule; NumPy knows the rule of a view."""
    if any(t is not None and type(t.array) is not Meta and t.array.ndim for t in tensors):
        places = ", ".join(f"{t.shape} on {t.device}" for t in tensors if t is not None)
        raise RuntimeError(f"{node.title}: all tensors must be on one device, got {places}; move them with .to(...)")
    if not function.view or function.infer is not Function.infer:
        return function.infer(*arrays, **options)
    result = function.forward(node, *arrays, **options)
    return (
        tuple(meta(a.shape, a.dtype) for a in result) if isinstance(result, tuple) else meta(result.shape, result.dtype)
    )


def _share(source: Tensor, views: tuple[Tensor, ...]) -> None:
    """Note which tensors are views of one memory: a recorded write to one of them changes the others in the graph."""
    if source._views is None:
        source._views = [weakref.ref(source)]
    elif len(source._views) & (len(source._views) - 1) == 0:  # at 1, 2, 4, 8, ...: the cost per view stays the same
        source._views[1:] = [reference for reference in source._views[1:] if reference() is not None]
    for view in views:
        view._views = source._views
        source._views.append(weakref.ref(view))
