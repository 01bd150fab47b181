"""The graph as programs see it: nodes and edges, hooks on several gradients at once, and hooks on saved tensors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..compat.missing import answer as _answer
from . import engine
from .handles import RemovableHandle
from .modes import thread
from .nodes import GradientEdge, accumulator, seen
from .nodes import GraphNode as Node
from .subgraph import reachable

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """Return the tensor's place in the graph, which `autograd.grad` and `backward` take instead of the tensor.

    Raises:
        RuntimeError: the tensor does not require a gradient.

    >>> from minicnn.autograd.graph import get_gradient_edge
    >>> x = minicnn.tensor([1., 2.], requires_grad=True)
    >>> y = x * 3
    >>> edge = get_gradient_edge(y)
    >>> edge
    GradientEdge(node=<MulBackward0>, output_nr=0)
    >>> minicnn.autograd.grad((y * y).sum(), edge)
    (tensor([ 6., 12.]),)
    """
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    node = seen(tensor._edge[0]) if tensor._edge else accumulator(tensor)
    return GradientEdge(node, tensor.output_nr)


def increment_version(tensor: Any) -> None:
    """Say that the memory of a tensor, or of several, was written in a way that minicnn has not seen.

    >>> x = minicnn.zeros(2)
    >>> x.numpy()[0] = 1
    >>> minicnn.autograd.graph.increment_version(x)
    >>> x._version
    1
    """
    for each in [tensor] if isinstance(tensor, engine._tensor) else tensor:
        each._counter[0] += 1


# -------------------------------------------------------------------------------------------------------- saved tensors


class saved_tensors_hooks:
    """While the block is open, what is saved for the backward pass is kept as `pack_hook(tensor)`.

    The backward pass calls `unpack_hook` on that, which gives the tensor back. So activations can be compressed, or
    written to a file. A tensor that is kept in this way is not checked for later changes in place.

    Args:
        pack_hook: gets a tensor that it may not change, and returns anything.
        unpack_hook: gets what pack_hook returned, and returns a tensor with the same values.

    Raises:
        RuntimeError: `disable_saved_tensors_hooks` forbids it.

    >>> def pack(tensor):
    ...     print("saved a tensor of shape", tuple(tensor.shape))
    ...     return tensor.numpy().astype(np.float16)
    >>> x = minicnn.tensor([1., 2.], requires_grad=True)
    >>> with minicnn.autograd.graph.saved_tensors_hooks(pack, lambda half: minicnn.tensor(half).float()):
    ...     y = x.exp()
    saved a tensor of shape (2,)
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7188, 7.3906])
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if thread.packing_refused is not None:
            raise RuntimeError(thread.packing_refused)
        thread.packing = (*thread.packing, (self.pack_hook, self.unpack_hook))

    def __exit__(self, *error: object) -> None:
        thread.packing = thread.packing[:-1]


class save_on_cpu(saved_tensors_hooks):
    """While the block is open, tensors that are saved for the backward pass wait on the CPU, not on the GPU.

    Args:
        pin_memory: keep them in page-locked memory, from which they are copied faster.
        device_type: without effect: there is one type of GPU.

    >>> x = minicnn.tensor([1., 2.], requires_grad=True)
    >>> with minicnn.autograd.graph.save_on_cpu():
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(tensor: Any) -> Any:
            there = tensor.cpu()
            return tensor.device, there.pin_memory() if pin_memory and tensor.device.type != "cpu" else there

        def unpack(packed: Any) -> Any:
            device, tensor = packed
            return tensor.to(device, non_blocking=pin_memory)

        super().__init__(pack, unpack)


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Forbid hooks on saved tensors inside: they raise a RuntimeError with this message.

    >>> with minicnn.autograd.graph.disable_saved_tensors_hooks("no hooks here"):
    ...     with minicnn.autograd.graph.save_on_cpu():
    ...         pass
    Traceback (most recent call last):
        ...
    RuntimeError: no hooks here
    """
    if thread.packing:
        raise RuntimeError(error_message)
    outer, thread.packing_refused = thread.packing_refused, error_message
    try:
        yield
    finally:
        thread.packing_refused = outer


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[None]:
    """Let a program change saved tensors in place inside: what is saved for the backward pass is copied.

    PyTorch copies a tensor only when it is changed; here each is copied when it is saved, which takes more memory.

    >>> x = minicnn.tensor([2.], requires_grad=True)
    >>> with minicnn.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x.clone()
    ...     z = y**2
    ...     _ = y.zero_()
    >>> z.backward()
    >>> x.grad  # 2 x
    tensor([4.])
    """
    if any(pack is _cloned for pack, _ in thread.packing):
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    with saved_tensors_hooks(_cloned, lambda kept: kept):
        yield


def _cloned(tensor: Any) -> Any:
    return tensor.clone()


# ----------------------------------------------------------------------------------------- hooks on several gradients


def register_multi_grad_hook(tensors: Sequence[Any], fn: Callable[..., None], *, mode: str = "all") -> RemovableHandle:
    """Call `fn` in each backward pass when gradients of several tensors are there.

    Args:
        tensors: they require a gradient.
        fn: with mode "all" it gets a list of all the gradients, once all those that this pass computes are complete;
            the others are None. With mode "any" it gets the gradient that is complete first.
        mode: "all" or "any".

    Returns:
        a handle that removes the hook.

    >>> from minicnn.autograd.graph import register_multi_grad_hook
    >>> a, b = [minicnn.tensor([n], requires_grad=True) for n in (1., 2.)]
    >>> handle = register_multi_grad_hook([a, b], lambda grads: print(grads))
    >>> (a * b).backward()
    [tensor([2.]), tensor([1.])]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    hook = _MultiGradHook(tensors, fn, mode == "all")
    handles = [tensor.register_hook(hook.for_tensor(i)) for i, tensor in enumerate(tensors)]
    return _Handles(handles)


class _Handles(RemovableHandle):
    """Removes several hooks."""

    def __init__(self, handles: Iterable[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        """Remove all of them."""
        for handle in self.handles:
            handle.remove()


class _MultiGradHook:
    """What `register_multi_grad_hook` knows of the backward passes that are running."""

    def __init__(self, tensors: Sequence[Any], fn: Callable[..., None], all_of_them: bool) -> None:
        self.places = [tensor._edge or id(tensor) for tensor in tensors]  # a leaf only by its id: it holds this hook
        self.fn, self.all = fn, all_of_them
        self.lock = threading.Lock()
        self.found: dict[int, tuple[int, list[Any]]] = {}  # by backward pass: how many are to come, and the gradients
        self.last: int | None = None  # the pass that the function was called in, with mode "any"

    def for_tensor(self, i: int) -> Callable[[Any], None]:
        """Return the hook of one tensor."""

        def hook(gradient: Any) -> None:
            walk = thread.walk
            if not self.all:
                with self.lock:
                    first, self.last = self.last != walk.number, walk.number
                if first:
                    self.fn(gradient)
                return
            with self.lock:
                missing, gradients = self.found.pop(walk.number, (0, None))
                if gradients is None:
                    missing, gradients = self.expected(walk, self.places[i]), [None] * len(self.places)
                gradients[i] = gradient
                if missing > 1:
                    self.found[walk.number] = missing - 1, gradients
                    return
            self.fn(gradients)

        return hook

    def expected(self, walk: Any, first: Any) -> int:
        """Return how many of the tensors get a gradient in a backward pass; that at the place `first` gets it now."""
        nodes = reachable(walk.coming(), 0, None if walk.subgraph is None else walk.subgraph.receives)
        leaves = {id(edge) for node in nodes for edge in node.inputs if edge is not None and type(edge) is not tuple}
        leaves |= set(walk.waiting)
        if walk.subgraph is not None:
            leaves &= walk.subgraph.receives
        leaves.add(first)
        return sum([place[0] in nodes if isinstance(place, tuple) else place in leaves for place in self.places])


_answer(globals())
