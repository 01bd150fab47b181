"""`Function` for users: a differentiable function on tensors, under PyTorch's names.

The operations of minicnn itself are `engine.Function`s, which work on bare arrays. This class puts PyTorch's face on
that one: `forward` and `backward` get and give tensors, and keep what they need in a context of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..missing import answer as _answer
from . import engine
from .modes import no_grad


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors, and any attribute of the user's choice.

    Attributes:
        needs_input_grad: for each argument of `forward`, whether its gradient is wanted.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._to_save: tuple[Any, ...] = ()
        self._saved: tuple[Any, ...] | None = ()
        self._constant: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._materialize = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors, or None, for the backward pass; changing one of them before then is noticed."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, engine._tensor):
                raise TypeError(
                    f"save_for_backward: only tensors can be saved, got {type(tensor).__name__}; "
                    "keep other things as attributes, ctx.name = value"
                )
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors of `save_for_backward`, checked to be unchanged; inside `backward`."""
        if self._saved is None:
            raise RuntimeError("saved_tensors: read them inside backward()")
        return self._saved

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Declare outputs, such as indices, that have no gradient."""
        self._constant = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Declare inputs that `forward` changed in place and returns."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (True) or None for an output that the loss does not depend on."""
        self._materialize = value


class Function:
    """A differentiable function, by PyTorch's rules: subclass it, and call `apply`.

        class Square(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, grad_output):        # one gradient per output in, one per argument of forward out
                (x,) = ctx.saved_tensors
                return 2 * x * grad_output

        y = Square.apply(x)

    `forward` is not recorded. Without the `ctx` argument it may stand beside `setup_context(ctx, inputs, output)`,
    which saves what is needed. A gradient may be None. `backward` itself cannot be differentiated.
    """

    @staticmethod
    def forward(*args: Any) -> Any:
        """Compute the output; to be given by the subclass."""
        raise NotImplementedError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what `backward` needs, where `forward` takes no ctx."""
        raise NotImplementedError("setup_context(ctx, inputs, output) is to be given by the subclass")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute the gradients of the arguments; to be given by the subclass."""
        raise NotImplementedError("a Function that is recorded needs a static method backward(ctx, *grad_outputs)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record the call."""
        dirty: list[tuple[Any, int]] = []
        result = _Call.apply(*args, function=cls, given=args, dirty=dirty)
        outputs = list(result) if isinstance(result, tuple) else [result]
        for tensor, index in dirty:  # the changed input is the output, and goes on from here in the record
            made = outputs[index]
            if made.requires_grad:
                if tensor.is_leaf and tensor.requires_grad:
                    raise RuntimeError(
                        f"{cls.__name__}: a leaf tensor that requires a gradient was changed in place; use a clone"
                    )
                tensor._requires_grad, tensor._edge = True, made._edge
            outputs[index] = tensor
        return tuple(outputs) if isinstance(result, tuple) else outputs[0]

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Not callable, as in PyTorch."""
        raise RuntimeError(f"{type(self).__name__} is used through {type(self).__name__}.apply(...)")


class _Call(engine.Function):
    """One call of a user's function, on arrays for the engine."""

    fresh = False

    @staticmethod
    def forward(
        ctx: Any, *arrays: Any, function: type[Function], given: tuple[Any, ...], dirty: list[tuple[Any, int]]
    ) -> Any:
        """Run the user's forward on the tensors."""
        ctx.name, ctx.user = function.__name__, function
        context = ctx.context = FunctionCtx(ctx.needs_input_grad)
        with no_grad():
            if function.setup_context is Function.setup_context:
                result = function.forward(context, *given)
            else:
                result = function.forward(*given)
                function.setup_context(context, given, result)
        outputs = result if isinstance(result, tuple) else (result,)
        for output in outputs:
            if not isinstance(output, engine._tensor):
                raise TypeError(f"{ctx.name}: forward must return tensors, got {type(output).__name__}")
        dirty.extend((t, outputs.index(t)) for t in context._dirty if any(o is t for o in outputs))
        for tensor in context._dirty:
            tensor._version[0] += 1
        ctx.save_for_backward(*(None if t is None else t.array for t in context._to_save))
        ctx.mark_non_differentiable(*(t.array for t in context._constant))
        ctx.materialize = context._materialize
        context._to_save, context._constant, context._dirty, context._saved = (), (), (), None
        arrays_out = tuple(o.array for o in outputs)
        return arrays_out if isinstance(result, tuple) else arrays_out[0]

    @staticmethod
    def infer(*arrays: Any, function: type[Function], given: tuple[Any, ...], **_: Any) -> Any:
        """The user's forward, run on meta tensors."""
        context = FunctionCtx((False,) * len(given))
        with no_grad():
            plain = function.setup_context is not Function.setup_context
            result = function.forward(*given) if plain else function.forward(context, *given)
        return tuple(o.array for o in result) if isinstance(result, tuple) else result.array

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """Run the user's backward on tensors."""
        tensor, context = engine._tensor, ctx.context
        context._saved = tuple(None if a is None else tensor(a) for a in ctx.saved)
        try:
            found = ctx.user.backward(context, *(None if g is None else tensor(g) for g in gradients))
        finally:
            context._saved = None
        found = found if isinstance(found, (tuple, list)) else (found,)
        wanted = len(ctx.inputs)
        if any(g is not None for g in found[wanted:]):
            raise RuntimeError(f"{ctx.name}: backward gave {len(found)} gradients for {wanted} arguments of forward")
        for g in found:
            if g is not None and not isinstance(g, tensor):
                raise TypeError(f"{ctx.name}: backward must return tensors or None, got {type(g).__name__}")
        return tuple(None if g is None else g.array for g in found[:wanted])


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare a `backward` that cannot be differentiated again, which here holds for all."""
    return function


_answer(globals())
