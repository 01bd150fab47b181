"""Saving memory at the cost of time: activations that are not kept, but computed again in the backward pass.

T. Chen et al., "Training deep nets with sublinear memory cost", 2016, https://arxiv.org/abs/1604.06174.

The function runs once and is recorded as usual, but each array that a node would save is replaced by a `_Place`, the
number of that array among all that the function saves. When the backward pass asks for the first of them, the function
runs again on the same inputs, and the arrays that it saves this time are put into the places by their numbers.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from minicnn_kernels.dispatch import same_choice

from ..autograd import enable_grad, engine, is_grad_enabled
from ..autograd.graph import saved_tensors_hooks
from ..autograd.modes import no_grad as no_grad  # part of the module since version 0.1.0
from ..autograd.modes import thread
from ..compat.missing import answer as _answer
from ..nn import Sequential
from ..random import default_generator
from ..tensor import Tensor

__all__ = [
    "CheckpointError",
    "checkpoint",
    "checkpoint_sequential",
    "noop_context_fn",
    "set_checkpoint_early_stop",
]

Contexts = Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]]

_stop_early: bool | None = None  # what an open `set_checkpoint_early_stop` says


class CheckpointError(RuntimeError):
    """A checkpointed function did something else when it was called again."""


class _Stop(BaseException):
    """All arrays have been computed again; it is no Exception, so that the function's own handlers let it through."""


class Checkpoint(engine.Function):
    """The record of a call's arguments; a checkpoint around this one replaces what it saves, and computes it again."""


class _Place:
    """The place of one saved array: empty, but while a backward pass runs that has computed it again."""

    def __init__(self, call: _Call, number: int, tensor: Tensor) -> None:
        self.call, self.number = call, number
        self.form = tuple(tensor.shape), tensor.dtype, tensor.device
        # backward pass -> tensor: it goes with the pass, or before, when the node frees this place
        self.found: weakref.WeakKeyDictionary[Any, Tensor] = weakref.WeakKeyDictionary()


class _Call:
    """One checkpointed call: how to repeat it, and the places of what it saved."""

    def __init__(self, run: Callable[[list[Tensor]], Any], inputs: list[Tensor], again: Any, early_stop: bool) -> None:
        self.run, self.again, self.early_stop, self.compare = run, again, early_stop, True
        self.complete = False  # whether the first run has ended
        self.places: list[weakref.ref[_Place]] = []  # the nodes own them
        self.needs = [x.requires_grad for x in inputs]
        self.kept = engine.Node(Checkpoint, tuple(self.needs))
        self.kept.save_for_backward(*[x.array for x in inputs])
        engine._record(self.kept, list(inputs), ())

    def pack(self, tensor: Tensor) -> _Place:
        """Keep the number of a saved tensor, not the tensor."""
        place = _Place(self, len(self.places), tensor)
        self.places.append(weakref.ref(place))
        return place

    def unpack(self, place: _Place) -> Tensor:
        """Return a saved tensor, after running the function again if this backward pass has not done so."""
        walk = thread.walk
        if walk is not None and (tensor := place.found.get(walk)) is not None:
            return tensor
        found = self.repeated()
        if len(found) < len(self.places):
            raise CheckpointError(
                "checkpoint: A different number of tensors was saved during the original forward and recomputation: "
                f"{len(self.places)} and {len(found)}; the function must do the same at each call"
            )
        for reference, tensor in zip(self.places, found, strict=False):
            other = reference()
            if other is None:
                continue
            form = tuple(tensor.shape), tensor.dtype, tensor.device
            if self.compare and form != other.form:
                raise CheckpointError(
                    "checkpoint: Recomputed values for the following tensors have different metadata than during the "
                    f"forward pass: tensor {other.number} of {len(self.places)} had the shape, type and device "
                    f"{other.form}, and now {form}; the function must do the same at each call"
                )
            if walk is not None:
                other.found[walk] = tensor
        return found[place.number]

    def repeated(self) -> list[Tensor]:
        """Run the function again and return the tensors that it saves."""
        found: list[Tensor] = []
        wanted = len(self.places)

        def pack(tensor: Tensor) -> Tensor:
            found.append(tensor)
            if self.early_stop and len(found) == wanted:
                raise _Stop
            return tensor

        inputs = [Tensor(array, needed) for array, needed in zip(self.kept.saved, self.needs, strict=True)]
        with enable_grad(), self.again(), saved_tensors_hooks(pack, lambda tensor: tensor):
            try:
                self.run(inputs)
            except _Stop:
                return found
        if len(found) > wanted and self.complete:  # else the function itself runs a backward pass
            raise CheckpointError(
                "checkpoint: trying to save more tensors during recomputation than during the original forward pass, "
                f"{len(found)} and {wanted}; the function must do the same at each call"
            )
        return found


def noop_context_fn() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Two contexts that do nothing, the default `context_fn` of `checkpoint`."""
    return nullcontext(), nullcontext()


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Say for the checkpoints made inside whether their second run stops as soon as all it saves is there.

    >>> from minicnn.utils.checkpoint import checkpoint, set_checkpoint_early_stop
    >>> x = minicnn.tensor([1., 2.], requires_grad=True)
    >>> with set_checkpoint_early_stop(False):
    ...     y = checkpoint(minicnn.exp, x, use_reentrant=False)
    """
    global _stop_early
    outer, _stop_early = _stop_early, enable
    try:
        yield
    finally:
        _stop_early = outer


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    context_fn: Contexts = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """Call `function(*args, **kwargs)` without keeping its inner activations: the backward pass computes them again.

    Layers that change something in each forward pass, such as the running statistics of batch normalisation, do so
    twice, as in PyTorch. Checkpoints may be nested.

    Args:
        function: with the same values when called again. It may return anything.
        args, kwargs: its arguments.
        use_reentrant: without effect, but PyTorch asks for it, and None gives its warning: PyTorch has two
            implementations, minicnn has one, which does what that of `use_reentrant=False` does.
        preserve_rng_state: draw the same random numbers again, for dropout.
        context_fn: returns two contexts, one for the first run and one for the second.
        determinism_check: "default" compares shapes, types and devices of both runs, "none" does not.
        debug: without effect.
        early_stop: end the second run as soon as all that the backward pass needs is there.

    Raises:
        ValueError: `context_fn` or keyword arguments together with `use_reentrant=True`, or an unknown
            `determinism_check`.
        CheckpointError: (in the backward pass) the second run saves something else than the first.

    >>> from minicnn.utils.checkpoint import checkpoint
    >>> x = minicnn.tensor([1., 2.], requires_grad=True)
    >>> checkpoint(lambda x: (x**2).sum(), x, use_reentrant=False).backward()
    >>> x.grad
    tensor([2., 4.])
    """
    _explicit("checkpoint", use_reentrant)
    if use_reentrant and context_fn is not noop_context_fn:
        raise ValueError("checkpoint: Passing `context_fn` is only supported when use_reentrant=False.")
    if use_reentrant and kwargs:
        raise ValueError(f"checkpoint: Unexpected keyword arguments: {', '.join(kwargs)}; pass use_reentrant=False")
    if determinism_check not in ("default", "none"):
        raise ValueError(f"checkpoint: determinism_check should be 'default' or 'none', got {determinism_check!r}")
    first, second = context_fn()
    if not is_grad_enabled():
        with first:
            return function(*args, **kwargs)
    given = [*args, *kwargs.values()]
    places = [i for i, value in enumerate(given) if isinstance(value, Tensor)]
    inputs = [given[i] for i in places]
    for i in places:
        given[i] = None  # the record of the call keeps them
    count, names, chosen = len(args), list(kwargs), same_choice()
    state = default_generator.get_state() if preserve_rng_state else None

    def run(tensors: list[Tensor]) -> Any:
        values = list(given)
        for place, tensor in zip(places, tensors, strict=True):
            values[place] = tensor
        return function(*values[:count], **dict(zip(names, values[count:], strict=True)))

    @contextmanager
    def again() -> Iterator[None]:
        now = default_generator.get_state()
        if state is not None:
            default_generator.set_state(state)
        try:
            with chosen(), second:
                yield
        finally:
            if state is not None:
                default_generator.set_state(now)

    call = _Call(run, inputs, again, early_stop if _stop_early is None else _stop_early)
    call.compare = determinism_check == "default"
    with first, saved_tensors_hooks(call.pack, call.unpack):
        result = run(inputs)
    call.complete = True
    return result


def _explicit(name: str, use_reentrant: bool | None) -> None:
    """Warn of a missing `use_reentrant`."""
    if use_reentrant is None:
        warnings.warn(
            f"{name}: the use_reentrant parameter should be passed explicitly, since PyTorch will raise an error "
            "without it; pass use_reentrant=False, which is what minicnn does in any case",
            stacklevel=3,
        )


def checkpoint_sequential(
    functions: Sequential | Iterable[Callable[..., Any]],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """Run functions one after another, in `segments` segments; all but the last one are checkpointed.

    >>> from minicnn.utils.checkpoint import checkpoint_sequential
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> checkpoint_sequential(net, 2, minicnn.zeros(4, 2), use_reentrant=False).shape
    minicnn.Size([4, 1])
    """
    _explicit("checkpoint_sequential", use_reentrant)
    steps = list(functions.children()) if isinstance(functions, Sequential) else list(functions)
    length = len(steps) // segments

    def part(first: int, end: int) -> Callable[..., Any]:
        def run(value: Any) -> Any:
            for step in steps[first:end]:
                value = step(value)
            return value

        return run

    for start in range(0, length * (segments - 1), length):
        input = checkpoint(
            part(start, start + length), input, use_reentrant=bool(use_reentrant), preserve_rng_state=preserve_rng_state
        )
    return part(length * (segments - 1), len(steps))(input)


_answer(globals())
