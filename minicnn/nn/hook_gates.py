"""The gates of backward hooks: a module with such hooks has two identity functions of the graph around it.

The gradient that arrives at the outer gate is `grad_output`; the gradient that leaves the module through the inner gate
is `grad_input`:

    args -> [inner gate] -> forward -> [outer gate] -> result
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..autograd import is_grad_enabled
from ..autograd.engine import Function
from ..autograd.own_order import mark
from ..tensor import Array, Tensor


class _Gate(Function):
    """The identity on tensors; its backward passes the gradients to `gradients`, which may change them."""

    view = backward_is_users = any_device = True

    @staticmethod
    def forward(ctx: Any, *arrays: Array, gradients: Callable[[tuple[Any, ...]], tuple[Any, ...]], zeros: bool) -> Any:
        """Return views; `zeros` says whether `gradients` gets zeros or None for a tensor that the loss does not use."""
        ctx.gradients, ctx.materialize = gradients, zeros
        through = tuple(array.view() for array in arrays)
        ctx.mark_non_differentiable(*(a for a, wanted in zip(through, ctx.needs_input_grad, strict=True) if not wanted))
        return through

    @staticmethod
    def backward(ctx: Any, *gys: Array | None) -> tuple[Array | None, ...]:
        """Call the hooks."""
        found = ctx.gradients(tuple(None if gy is None else mark(Tensor(gy)) for gy in gys))
        return tuple(None if gradient is None else gradient.array for gradient in found)

    @staticmethod
    def derivative(ctx: Any, *gys: Tensor | None) -> tuple[Tensor | None, ...]:
        """Call the hooks with the recorded gradients."""
        return ctx.gradients(gys)


def warn_of_older_form(args: tuple[Any, ...], result: Any) -> None:
    """Warn if hooks of the older form get other gradients in PyTorch: those of the module's last operation."""
    last = result.grad_fn if isinstance(result, Tensor) else None
    if last is None or not last.next_functions:
        return
    before = {x.grad_fn for x in args if isinstance(x, Tensor) and x.grad_fn is not None}
    if {node for node, _ in last.next_functions if node is not None} != before:
        warnings.warn(
            "Using a non-full backward hook when the forward contains multiple autograd Nodes is deprecated and will "
            "be removed in future versions: in PyTorch this hook will be missing some grad_input. Please use "
            "register_full_backward_hook to get the documented behavior.",
            FutureWarning,
            stacklevel=5,
        )


class _Gates:
    """The two gates around one call, and the values that they exchange in the backward pass."""

    def __init__(self, module: Any, hooks: list[Any], pre_hooks: list[Any]) -> None:
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.grad_output: tuple[Any, ...] | None = None
        self.inputs: list[int] | None = None  # positions of the tensors among the arguments; None: no gradient wanted
        self.outputs: list[int] = []
        self.input_count = self.output_count = 0

    def around_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments after the inner gate."""
        self.input_count = len(args)
        args, self.inputs = self._pass(args, self._at_inputs, zeros=True)
        return args

    def around_outputs(self, result: Any) -> Any:
        """Return the result after the outer gate; of a tuple, each tensor passes."""
        if not isinstance(result, (Tensor, tuple)):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors "
                f"but received {type(result)}",
                stacklevel=5,
            )
            return result
        results = result if isinstance(result, tuple) else (result,)
        self.output_count = len(results)
        results, places = self._pass(results, self._at_outputs, zeros=False)
        self.outputs = places or []
        if not isinstance(result, tuple):
            return results[0]
        return type(result)(*results) if hasattr(result, "_fields") else results

    @staticmethod
    def _pass(
        values: tuple[Any, ...], gradients: Callable[..., Any], zeros: bool
    ) -> tuple[tuple[Any, ...], list[int] | None]:
        """Return the values after a gate and the positions of the tensors; unchanged if no gradient is wanted."""
        places = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
        if not (is_grad_enabled() and any(values[i].requires_grad for i in places)):
            return values, None
        through = _Gate.apply(*(values[i] for i in places), gradients=gradients, zeros=zeros)
        passed = list(values)
        for place, tensor in zip(places, through, strict=True):
            tensor._counter = values[place]._counter  # each is a view of its own input
            passed[place] = tensor
        return tuple(passed), places

    @staticmethod
    def _spread(gradients: tuple[Any, ...], places: list[int], count: int) -> tuple[Any, ...]:
        """Return the gradients at their positions, None elsewhere."""
        at = dict(zip(places, gradients, strict=True))
        return tuple(at.get(i) for i in range(count))

    def _at_outputs(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        grads = self._spread(gradients, self.outputs, self.output_count)
        for hook in self.pre_hooks:
            changed = hook(self.module, grads)
            if changed is not None:
                changed = (changed,) if isinstance(changed, Tensor) else changed
                self._same_number(changed, grads, "Backward pre hook", "grad_output")
                grads = tuple(changed)
        if self.inputs is None:
            if self.hooks and self.module._is_full_backward_hook is not False:
                warnings.warn(
                    "Full backward hook is firing when gradients are computed with respect to module outputs since no "
                    "inputs require gradients: its grad_input is None.",
                    stacklevel=5,
                )
            for hook in self.hooks:
                given = hook(self.module, (None,) * self.input_count, grads)
                if given is not None and any(g is not None for g in given):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None "
                        "for all gradients."
                    )
        else:
            self.grad_output = grads
        return tuple(grads[i] for i in self.outputs)

    def _at_inputs(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.grad_output is None or self.inputs is None:  # reached on a way around the outputs
            return gradients
        grads = self._spread(gradients, self.inputs, self.input_count)
        for hook in self.hooks:
            changed = hook(self.module, grads, self.grad_output)
            if changed is not None:
                changed = (changed,) if isinstance(changed, Tensor) else changed
                self._same_number(changed, grads, "Backward hook", "grad_input")
                grads = tuple(changed)
        self.grad_output = None
        return tuple(grads[i] for i in self.inputs)

    @staticmethod
    def _same_number(given: Any, wanted: tuple[Any, ...], hook: str, name: str) -> None:
        if len(given) != len(wanted):
            raise RuntimeError(
                f"{hook} returned an invalid number of {name}, got {len(given)}, but expected {len(wanted)}"
            )
