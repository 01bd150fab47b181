"""Nodes as programs see them: `y.grad_fn`, the nodes before it, their names and their hooks.

The graph itself needs less (`engine.py`). What is here is made when a program asks for it: the type with PyTorch's
name, the node of a leaf, the dictionary of metadata. So recording an operation costs nothing more.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from .handles import RemovableHandle

if TYPE_CHECKING:
    from ..tensor import Tensor


class GraphNode:
    """A node of the graph: the call of an operation (`grad_fn` of its results), or the end of the graph at a leaf.

    >>> x = minicnn.tensor([1., 2.], requires_grad=True)
    >>> y = (x * 3).sum()
    >>> y.grad_fn.name(), y.grad_fn.next_functions
    ('SumBackward0', ((<MulBackward0>, 0),))
    >>> y.grad_fn.next_functions[0][0].next_functions[0][0].variable is x
    True
    """

    known = False  # whether the type has the name that programs know it by
    pre_hooks: dict[int, Callable[..., Any]] | None = None
    post_hooks: dict[int, Callable[..., Any]] | None = None

    def name(self) -> str:
        """Return the name of the operation's backward, as in PyTorch: "MulBackward0"."""
        return type(seen(self)).__name__

    @property
    def next_functions(self) -> tuple[tuple[GraphNode | None, int], ...]:
        """For each input, the node that computed it and which of its results it is; (None, 0) for a constant."""
        return ()

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for the program's own use."""
        found: dict[Any, Any] = self.__dict__.setdefault("_metadata", {})
        return found

    def register_prehook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(grad_outputs)` before the backward of this node runs; it may return other gradients.

        >>> x = minicnn.tensor([1., 2.], requires_grad=True)
        >>> y = x * 3
        >>> handle = y.grad_fn.register_prehook(lambda grads: (10 * grads[0],))
        >>> y.sum().backward()
        >>> x.grad
        tensor([30., 30.])
        """
        if self.pre_hooks is None:
            self.pre_hooks = {}
        return RemovableHandle(self.pre_hooks, hook)

    def register_hook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(grad_inputs, grad_outputs)` after the backward has run; it may return other `grad_inputs`.

        >>> x = minicnn.tensor([1., 2.], requires_grad=True)
        >>> y = x * 3
        >>> handle = y.grad_fn.register_hook(lambda inputs, outputs: print(inputs[0], outputs[0]))
        >>> y.sum().backward()
        tensor([3., 3.]) tensor([1., 1.])
        """
        inner = getattr(self, "within", None)
        if inner is not None:  # of several operations, the last one knows grad_outputs and the first one grad_inputs
            arrived: list[Any] = []
            GraphNode._hook(self, lambda _, grad_outputs: arrived.__setitem__(slice(None), grad_outputs))
            return GraphNode._hook(inner, lambda grad_inputs, _: hook(grad_inputs, tuple(arrived)))
        return self._hook(hook)

    def _hook(self, hook: Callable[..., Any]) -> Any:
        if self.post_hooks is None:
            self.post_hooks = {}
        return RemovableHandle(self.post_hooks, hook)

    def _public_type(self) -> type[GraphNode]:
        return type(self)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


def seen(node: Any) -> Any:
    """Return a node that a program is going to see, after giving it the type with PyTorch's name."""
    if not node.known:
        node.__class__ = node._public_type()
    return node


_types: dict[str, type[GraphNode]] = {}


def type_named(name: str, base: type[GraphNode]) -> type[GraphNode]:
    """Return the type of the nodes with this name."""
    found = _types.get(name)
    if found is None:
        content = {"known": True, "__doc__": base.__doc__, "__getattr__": _attribute}
        found = _types[name] = type(name, (base,), content)
    return found


def _attribute(node: Any, name: str) -> Any:
    """Return what an operation says of an attribute that its node lacks.

    Only nodes that a program has seen ask: a class with `__getattr__` is slower at every attribute.
    """
    if name == "function":  # of a node that is being made
        raise AttributeError(name)
    return node.function.attribute(node, name)


# ------------------------------------------------------------------------------------------------------------ of leaves


class LeafHooks:
    """What is called when a leaf gets its gradient: the hooks of its node, and those after `.grad` has changed.

    Attributes:
        pre: hooks of the node, before the gradient is added to `.grad`.
        after: hooks of the tensor, after that.
        post: hooks of the node, after that.
        node: a weak reference to the leaf's node, which a program may hold.
    """

    def __init__(self) -> None:
        self.pre: dict[int, Callable[..., Any]] = {}
        self.after: dict[int, Callable[..., Any]] = {}
        self.post: dict[int, Callable[..., Any]] = {}
        self.node: weakref.ref[AccumulateGrad] | None = None

    def __bool__(self) -> bool:
        return bool(self.pre or self.after or self.post)


def leaf_hooks(leaf: Any) -> LeafHooks:
    """Return the hooks of a leaf, to which one may be added."""
    if leaf._leaf_hooks is None:
        leaf._leaf_hooks = LeafHooks()
    found: LeafHooks = leaf._leaf_hooks
    return found


class AccumulateGrad(GraphNode):
    """The node of a leaf: it adds the gradient to `variable.grad`. The leaf keeps its hooks."""

    known = True

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable

    def name(self) -> str:
        """Return its name, which in PyTorch is that of the class in C++."""
        return "minicnn::autograd::AccumulateGrad"

    def __repr__(self) -> str:
        return "<AccumulateGrad>"

    @property
    def pre_hooks(self) -> dict[int, Callable[..., Any]]:  # type: ignore[override]
        """The hooks before the gradient is added."""
        return leaf_hooks(self.variable).pre

    @property
    def post_hooks(self) -> dict[int, Callable[..., Any]]:  # type: ignore[override]
        """The hooks after that."""
        return leaf_hooks(self.variable).post


def accumulator(leaf: Tensor) -> AccumulateGrad:
    """Return the node of a leaf: the same one as long as somebody holds it."""
    hooks = leaf_hooks(leaf)
    node = hooks.node() if hooks.node is not None else None
    if node is None:
        node = AccumulateGrad(leaf)
        hooks.node = weakref.ref(node)
    return node


def seen_edge(edge: Any) -> tuple[GraphNode, int]:
    """Return an edge of the graph as programs see it: that of a leaf leads to the leaf's node."""
    return (seen(edge[0]), edge[1]) if type(edge) is tuple else (accumulator(edge), 0)


def shown_places(node: Any) -> list[int]:
    """Return which arguments of an operation programs see, in their order: tensors of numbers that have gradients."""
    order = range(len(node.inputs)) if node.function.order is None else node.function.order
    return [i for i in order if node.floats is None or node.floats[i]]


class GradientEdge(NamedTuple):
    """The place of a tensor in the graph: a node, and which of its results the tensor is."""

    node: GraphNode
    output_nr: int


# ---------------------------------------------------------------------------------------------------------- their names

# The names in PyTorch of operations that are named otherwise here; all others are the operation's, with "Backward0".
NAMES = {
    "ActivatedMaxPool": "MaxPool2DWithIndices",
    "Alias": "Alias",
    "AvgPool": "AvgPool2D",
    "BatchNormEvaluation": "NativeBatchNorm",
    "BatchNormTraining": "NativeBatchNorm",
    "Argmax": "Max",
    "Argmin": "Min",
    "ConstantPad": "ConstantPadNd",
    "Cast": "ToCopy",
    "Copy_": "Copy",
    "Dropout": "Mul",
    "Fold": "Col2Im",
    "GroupNorm": "NativeGroupNorm",
    "LayerNorm": "NativeLayerNorm",
    "Linear": "Addmm",
    "Logsigmoid": "LogSigmoid",
    "MaxPool": "MaxPool2DWithIndices",
    "NLL": "NllLoss",
    "Overwritten": "AsStrided",
    "PRelu": "PreluKernel",
    "Reshape": "View",
    "RandomRelu": "RreluWithNoise",
    "ToDevice": "ToCopy",
    "TransposedConvolution": "Convolution",
    "Unfold": "Im2Col",
    "VectorNorm": "LinalgVectorNorm",
}


def public_name(title: str) -> str:
    """Return the name that programs see, from the operation's own."""
    name = "".join([word[:1].upper() + word[1:] for word in title.split("_")])
    return f"{NAMES.get(name, name)}Backward0"


def shown_as(y: Any, name: str, first: Any = None) -> Any:
    """Return the result y of several operations that PyTorch has as one, of which programs know the node by `name`.

    With `first`, the result of the first of them, the node shows that one's inputs as its own.
    """
    if y._edge is not None:
        node = y._edge[0]
        node.face = name
        if first is not None and first._edge is not None:
            node.within = first._edge[0]
    return y
