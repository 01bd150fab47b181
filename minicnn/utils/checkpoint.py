"""Saving memory at the cost of time: activations that are not kept, but computed again in the backward pass.

T. Chen et al., "Training deep nets with sublinear memory cost", 2016, https://arxiv.org/abs/1604.06174.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..autograd import backpropagation, enable_grad, engine, is_grad_enabled, no_grad
from ..compat.missing import answer as _answer
from ..nn import Sequential
from ..random import default_generator
from ..tensor import Array, Tensor

__all__ = ["checkpoint", "checkpoint_sequential"]


class _Recomputed(engine.Function):
    """A call that keeps its inputs only; `backward` runs it again with recording, and goes through that graph."""

    backward_is_users = any_device = True

    @staticmethod
    def forward(ctx: Any, *arrays: Array, call: Callable[..., Any], generator_state: Any) -> Any:
        """Run without recording."""
        ctx.call, ctx.generator_state, ctx.materialize = call, generator_state, False
        ctx.save_for_backward(*arrays)
        return _Recomputed.infer(*arrays, call=call)

    @staticmethod
    def infer(*arrays: Array, call: Callable[..., Any], generator_state: Any = None) -> Any:
        """The results as arrays."""
        with no_grad():
            result = call([Tensor(array) for array in arrays])
        return tuple(t.array for t in result) if isinstance(result, tuple) else result.array

    @staticmethod
    def backward(ctx: Any, *gys: Array | None) -> tuple[Array | None, ...]:
        """Run again with the same random numbers; parameters get their gradients at the same time."""
        inputs = [Tensor(a, needed) for a, needed in zip(ctx.saved, ctx.needs_input_grad, strict=True)]
        used = _Recomputed.again(ctx, inputs, gys)
        # the graph is kept: the function may use a tensor from outside whose graph is needed again
        backpropagation.backward([t for t, _ in used], [gy for _, gy in used], retain_graph=True)
        return tuple(None if t.grad is None else t.grad.array for t in inputs)

    @staticmethod
    def derivative(ctx: Any, *gys: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run again on the inputs' places in the graph; only the inputs get gradients."""
        inputs = [ctx.at_input(i, array) for i, array in enumerate(ctx.saved)]
        used = _Recomputed.again(ctx, inputs, gys)
        wanted = [x for x, needed in zip(inputs, ctx.needs_input_grad, strict=True) if needed]
        results, ups = [t for t, _ in used], [gy for _, gy in used]
        found = iter(backpropagation.grad(results, wanted, ups, True, create_graph=True, allow_unused=True))
        return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)

    @staticmethod
    def again(ctx: Any, inputs: list[Tensor], gys: Any) -> list[tuple[Tensor, Any]]:
        """Run the call with recording and the same random numbers; the results with a gradient, and that gradient."""
        now = default_generator.get_state()
        if ctx.generator_state is not None:
            default_generator.set_state(ctx.generator_state)
        with enable_grad():
            result = ctx.call(inputs)
        if ctx.generator_state is not None:
            default_generator.set_state(now)
        results = result if isinstance(result, tuple) else (result,)
        return [(t, gy) for t, gy in zip(results, gys, strict=True) if gy is not None and t.requires_grad]


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    context_fn: Any = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """Call `function(*args, **kwargs)` without keeping its inner activations: the backward pass computes them again.

    Layers that change something in each forward pass, such as the running statistics of batch normalisation, do so
    twice, as in PyTorch. If no tensor among the arguments needs a gradient, the function just runs.

    Args:
        function: returns a tensor or a tuple of tensors; with the same values when called again.
        args, kwargs: its arguments. `minicnn.autograd.grad` gives gradients of those that are tensors, `backward()`
            also of parameters and other tensors used inside.
        use_reentrant: without effect: PyTorch has two implementations, minicnn one.
        preserve_rng_state: draw the same random numbers again, for dropout.
        context_fn: not supported.
        determinism_check, debug, early_stop: without effect: checks of PyTorch's.

    >>> from minicnn.utils.checkpoint import checkpoint
    >>> x = minicnn.tensor([1., 2.], requires_grad=True)
    >>> checkpoint(lambda x: (x**2).sum(), x).backward()
    >>> x.grad
    tensor([2., 4.])
    """
    if context_fn is not None:
        raise NotImplementedError("checkpoint: context_fn is not supported; enter the contexts inside the function")
    given = [*args, *kwargs.values()]
    places = [i for i, value in enumerate(given) if isinstance(value, Tensor)]
    if not (is_grad_enabled() and any(given[i].requires_grad for i in places)):
        return function(*args, **kwargs)

    def call(tensors: list[Tensor]) -> Any:
        values = list(given)
        for place, tensor in zip(places, tensors, strict=True):
            values[place] = tensor
        result = function(*values[: len(args)], **dict(zip(kwargs, values[len(args) :], strict=True)))
        for value in result if isinstance(result, tuple) else (result,):
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"checkpoint: the function must return a tensor or a tuple of tensors, got {type(value).__name__}"
                )
        return result

    state = default_generator.get_state() if preserve_rng_state else None
    return _Recomputed.apply(*(given[i] for i in places), call=call, generator_state=state)


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
    >>> checkpoint_sequential(net, 2, minicnn.zeros(4, 2)).shape
    minicnn.Size([4, 1])
    """
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
            part(start, start + length), input, use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state
        )
    return part(length * (segments - 1), len(steps))(input)


_answer(globals())
