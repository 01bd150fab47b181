"""`Function` for users: a differentiable function on tensors, under PyTorch's names.

The operations of minicnn itself are subclasses of `engine.Function`, which works on bare arrays. This class adds
PyTorch's interface: `forward` and `backward` receive and return tensors, and have a context of their own.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from ..compat.missing import answer as _answer
from . import engine, own_order
from .engine import Array
from .modes import is_grad_enabled, no_grad
from .user_call import Call, FunctionCtx, UserCall

__all__ = ["Function", "FunctionCtx", "InplaceFunction", "once_differentiable"]


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
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what `backward` needs; the subclass defines it if its `forward` takes no ctx."""
        raise NotImplementedError("the subclass must define setup_context(ctx, inputs, output)")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute the gradients of the arguments; the subclass defines it."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD: a static method backward(ctx, *grad_outputs)"
        )

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """Compute the derivative along a direction; a subclass may define it, but minicnn has no forward mode."""
        raise NotImplementedError("minicnn has no forward mode; autograd.functional.jvp computes the same")

    vjp = backward

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """Warn: the methods are static, so an object is of no use."""
        warnings.warn(
            f"{cls.__name__} should not be instantiated. Methods on autograd functions are all static, so you should "
            f"invoke them on the class itself: {cls.__name__}.apply(...)",
            DeprecationWarning,
            stacklevel=2,
        )
        return super().__new__(cls)

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
        for each in (*args, *options.values()):
            if isinstance(each, engine._tensor):
                own_order.settle(each)
        call = UserCall(cls, args, options)
        made = Call.apply(*args, *options.values(), call=call)
        return call.result(made)

    @classmethod
    def _backward(cls) -> Callable[..., Any]:
        """Return the subclass's backward, which it may have called `vjp`.

        Raises:
            RuntimeError: it has both.
        """
        if cls.backward is not Function.backward and cls.vjp is not Function.vjp:
            raise RuntimeError(
                f"{cls.__name__}: Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You "
                "should only implement one of them."
            )
        return cls.vjp if cls.backward is Function.backward else cls.backward

    @classmethod
    def _is_apart(cls) -> bool:
        """Return whether the subclass defines `setup_context`, so that its `forward` gets no ctx."""
        return cls.setup_context is not Function.setup_context

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Raise an error: as in PyTorch, a Function is not callable."""
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated: make forward and backward static "
            f"methods, and call {type(self).__name__}.apply(...)"
        )


class InplaceFunction(Function):
    """A `Function` of old code that keeps whether it works in place; `apply` is the same.

    >>> issubclass(minicnn.autograd.function.InplaceFunction, minicnn.autograd.Function)
    True
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace


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
