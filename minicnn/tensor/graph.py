"""The members of `Tensor` that concern the graph: gradients, `backward`, hooks, and what programs see of the tape."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..autograd import backpropagation, ends, engine, own_order
from ..autograd.hooks import RemovableHandle
from ..autograd.nodes import GraphNode, LeafHooks, leaf_hooks, seen

if TYPE_CHECKING:
    from .tensor import Tensor


class InGraph:
    """The part of `Tensor` that knows the graph."""

    __slots__ = ("_array", "_counter", "_edge", "_grad", "_hooks", "_leaf_hooks", "_order", "_requires_grad", "_views")

    _array: Any
    _counter: list[int]
    _edge: tuple[engine.Node, int] | None
    _grad: Tensor | None
    _requires_grad: bool
    _hooks: dict[int, Callable[[Tensor], Tensor | None]] | None
    _leaf_hooks: LeafHooks | None
    _views: list[Any] | None
    _order: own_order.Shared | None

    @property
    def requires_grad(self) -> bool:
        """Whether `backward()` computes a gradient for it, or for a tensor that it was computed from."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad()` was called on this computed tensor."""
        return "_retains_grad" in self.__dict__

    @property
    def is_leaf(self) -> bool:
        """Whether the user made the tensor, and no recorded operation computed it."""
        return self._edge is None

    @property
    def grad_fn(self) -> GraphNode | None:
        """The node of the recorded call that computed the tensor."""
        return seen(self._edge[0]) if self._edge else None

    @grad_fn.deleter
    def grad_fn(self) -> None:
        raise RuntimeError("grad_fn: cannot be deleted; detach_() takes the tensor out of the graph")

    @property
    def output_nr(self) -> int:
        """Which result of its `grad_fn` the tensor is."""
        return self._edge[1] if self._edge else 0

    def _is_view(self) -> bool:
        """Whether an operation made the tensor as a view of another one."""
        return self._views is not None and self._views[0]() is not self

    @property
    def _base(self) -> Any:
        """The tensor that it is a view of, if that one still exists."""
        return self._views[0]() if self._views is not None and self._is_view() else None

    @property
    def _version(self) -> int:
        """How often the memory was written through a tensor."""
        return self._counter[0]

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward()` has added up; None before that, and for computed tensors."""
        if self._grad is None and self._edge is not None and not self.retains_grad:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute "
                "won't be populated during autograd.backward(). If you indeed want the .grad field to be populated "
                "for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor.",
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            own: Any = self
            if not isinstance(value, engine._tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if value is self:
                raise RuntimeError("grad: can't assign Variable as its own grad; use a clone()")
            if value.shape != own.shape or value.dtype != own.dtype or value.device != own.device:
                what = "size" if value.shape != own.shape else "dtype" if value.dtype != own.dtype else "device"
                raise RuntimeError(
                    f"assigned grad has data of a different {what}: a gradient of shape {value.shape} and type "
                    f"{value.dtype} on {value.device} does not fit a tensor of shape {own.shape} and type "
                    f"{own.dtype} on {own.device}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Set in place whether `backward()` computes a gradient for this tensor."""
        if not isinstance(requires_grad, bool):
            raise TypeError(f"requires_grad: expected a bool, got {type(requires_grad).__name__}")
        if requires_grad and self._array.dtype.kind not in "fc":
            raise RuntimeError(
                "requires_grad: only floating-point tensors have gradients (PyTorch: only Tensors of floating point "
                f"dtype can require gradients), and this is {self._array.dtype}"
            )
        if not requires_grad and self._edge:
            raise RuntimeError(
                "requires_grad: you can only change requires_grad flags of leaf variables, and this tensor was "
                "computed; use x.detach() in a part of the graph that does not require a gradient"
            )
        self._requires_grad = requires_grad
        return self

    def detach(self) -> Any:
        """Return a tensor on the same memory, detached from the graph.

        >>> y = minicnn.ones(2, requires_grad=True) * 2
        >>> y.detach().requires_grad
        False
        """
        own: Any = self
        detached = engine._tensor(self._array, _counter=self._counter)
        own_order.follow(own, detached)
        return detached

    def detach_(self) -> Any:
        """Detach the tensor from the graph, in place.

        Raises:
            RuntimeError: it is a view.
        """
        if self._requires_grad and self._is_view():
            raise RuntimeError("Can't detach views in-place, use detach() instead.")
        self._edge, self._requires_grad = None, False
        return self

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
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
        own: Any = self
        up = ends.upstream(own, gradient, create_graph)
        retain = create_graph if retain_graph is None else retain_graph
        backpropagation.backward([own], [up], retain, inputs, create_graph)

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
        if not self._requires_grad:
            raise RuntimeError("retain_grad: can't retain_grad on Tensor that has requires_grad=False")
        if self._edge and not self.retains_grad:
            self.__dict__["_retains_grad"] = True
            node, index = self._edge
            own: Any = self
            node.retained = {**(node.retained or {}), index: weakref.ref(own)}

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(gradient)` when this tensor's gradient is complete; a tensor that it returns replaces it.

        >>> x = minicnn.tensor([1., 2.], requires_grad=True)
        >>> handle = x.register_hook(lambda gradient: gradient * 10)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        if not self._requires_grad:
            raise RuntimeError("register_hook: cannot register a hook on a tensor that doesn't require gradient")
        if self._edge:
            node, index = self._edge
            node.hooks = {} if node.hooks is None else node.hooks
            hooks = node.hooks.setdefault(index, {})
        else:
            hooks = self._hooks = {} if self._hooks is None else self._hooks
        return RemovableHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], None]) -> RemovableHandle:
        """Call `hook(tensor)` after a backward pass has added to this leaf's `.grad`.

        >>> x = minicnn.tensor([1., 2.], requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda leaf: print(leaf.grad))
        >>> (3 * x).sum().backward()
        tensor([3., 3.])
        """
        if not self._requires_grad:
            raise RuntimeError(
                "register_post_accumulate_grad_hook: cannot register a hook on a tensor that doesn't require gradient"
            )
        if self._edge:
            raise RuntimeError(
                "register_post_accumulate_grad_hook: post accumulate grad hooks cannot be registered on non-leaf "
                "tensors; use register_hook"
            )
        return RemovableHandle(leaf_hooks(self).after, hook)
