"""Hooks: functions that a module calls before and after its forward, and when gradients pass through it.

A module with backward hooks has two gates around it: identity functions in the graph. The gradient that arrives at the
outer gate is `grad_output`; the gradient that leaves the module through the inner gate is `grad_input`:

    args -> [inner gate] -> forward -> [outer gate] -> result
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..autograd import anomaly, is_grad_enabled, observe
from ..autograd.engine import Function
from ..autograd.hooks import RemovableHandle
from ..autograd.modes import thread
from ..ops.tensor.arguments import check_operands
from ..tensor import Array, Tensor

KINDS = (
    "_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs",
)  # fmt: skip
observers = observe.observers
_REGISTRATIONS = ("buffer", "module", "parameter")
# The hooks of all modules:
EVERYWHERE: dict[str, OrderedDict[int, Any]] = {kind: OrderedDict() for kind in KINDS + _REGISTRATIONS}


def _register(
    kinds: dict[str, OrderedDict[int, Any]], kind: str, hook: Any, prepend: bool, *flags: str
) -> RemovableHandle:
    """Add `hook` to those of its `kind`, and its number to the sets of its flags."""
    handle = RemovableHandle(kinds[kind], hook)
    if prepend:
        kinds[kind].move_to_end(handle.id, last=False)
    for flag in flags:
        kinds[flag][handle.id] = True
    return handle


def _check_tensors(module: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Raise an error that names the expected arguments, if a layer of minicnn was given something else."""
    forward = type(module).forward
    if forward.__module__.startswith(__package__):
        check_operands(type(module).__name__, forward.__annotations__, args, options)


class Hooks:
    """The part of a `Module` that calls `forward` and the hooks around it."""

    _backward_pre_hooks: OrderedDict[int, Any]
    _backward_hooks: OrderedDict[int, Any]
    _is_full_backward_hook: bool | None
    _forward_hooks: OrderedDict[int, Any]
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _forward_pre_hooks: OrderedDict[int, Any]
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]

    def forward(self, *input: Any) -> Any:
        """Compute the output; the subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` with the hooks around it."""
        if thread.watching or observers:
            with anomaly.layer(self):
                return observe.call(self, self._call_impl, args, kwargs)
        return self._call_impl(*args, **kwargs)

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        own = self.__dict__
        for kind in _CALLED:
            if own[kind] or EVERYWHERE[kind]:
                break
        else:
            try:
                return self.forward(*args, **kwargs)
            except (AttributeError, TypeError):  # perhaps because an argument is not a tensor
                _check_tensors(self, args, kwargs)
                raise
        call = _Call(self, args, kwargs)
        try:
            return call.run()
        except Exception as error:
            call.run_the_always_called()
            if isinstance(error, (AttributeError, TypeError)):
                _check_tensors(self, args, kwargs)
            raise

    # ------------------------------------------------------------------------------------------------- registering

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each forward; a result other than None replaces the arguments.

        Args:
            hook: the function.
            prepend: call it before the existing hooks.
            with_kwargs: call `hook(module, args, kwargs)`, which returns None or (args, kwargs).
        """
        flags = ["_forward_pre_hooks_with_kwargs"] if with_kwargs else []
        return _register(self.__dict__, "_forward_pre_hooks", hook, prepend, *flags)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each forward; a result other than None replaces the output.

        Args:
            hook: the function.
            prepend: call it before the existing hooks.
            with_kwargs: call `hook(module, args, kwargs, output)`.
            always_call: also call it after an exception, with the output so far.
        """
        flags = ["_forward_hooks_with_kwargs"] * with_kwargs + ["_forward_hooks_always_called"] * always_call
        return _register(self.__dict__, "_forward_hooks", hook, prepend, *flags)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the gradients of the outputs are known; its result replaces them."""
        return _register(self.__dict__, "_backward_pre_hooks", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the positional inputs are known.

        Both are tuples, with None for arguments that are not tensors or need no gradient; a result other than None
        replaces `grad_input`. If no input needs a gradient, the hook is called when those of the outputs are known.
        """
        return self._register_backward(hook, prepend, full=True)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """The older form of `register_full_backward_hook`; a module can have only one of the two forms.

        PyTorch's form passes the gradients of the inputs of the last operation inside the module. This one always
        passes the gradients of the inputs of the module.
        """
        return self._register_backward(hook, False, full=False)

    def _register_backward(self, hook: Callable[..., Any], prepend: bool, *, full: bool) -> RemovableHandle:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. "
                "Please use only one of them."
            )
        self._is_full_backward_hook = full
        return _register(self.__dict__, "_backward_hooks", hook, prepend)


_CALLED = ("_backward_hooks", "_backward_pre_hooks", "_forward_hooks", "_forward_pre_hooks")


def is_plain(module: Any, forward: Callable[..., Any]) -> bool:
    """Return whether calling the module only calls `forward`: nothing watches, and `forward` is not replaced."""
    own = module.__dict__
    if "forward" in own or type(module).forward is not forward or thread.watching or observers:
        return False
    return not any(own[kind] or EVERYWHERE[kind] for kind in _CALLED)


class _Call:
    """One call of a module with hooks."""

    def __init__(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.module, self.args, self.kwargs = module, args, kwargs
        self.result: Any = None
        self.called: set[int] = set()

    def hooks(self, kind: str) -> list[tuple[int, Any]]:
        """Return the hooks of all modules, then the module's own hooks, with their numbers."""
        return [*EVERYWHERE[kind].items(), *self.module.__dict__[kind].items()]

    def flagged(self, kind: str, number: int) -> bool:
        """Return whether a hook was registered with a flag."""
        return number in self.module.__dict__[kind] or number in EVERYWHERE[kind]

    def run(self) -> Any:
        for number, hook in self.hooks("_forward_pre_hooks"):
            self.before(hook, self.flagged("_forward_pre_hooks_with_kwargs", number))
        full, pre = self.hooks("_backward_hooks"), self.hooks("_backward_pre_hooks")
        gates = _Gates(self.module, [h for _, h in full], [h for _, h in pre]) if full or pre else None
        if gates:
            self.args = gates.around_inputs(self.args)
        self.result = self.module.forward(*self.args, **self.kwargs)
        for number, hook in self.hooks("_forward_hooks"):
            self.called.add(number)
            self.after(number, hook)
        return gates.around_outputs(self.result) if gates else self.result

    def before(self, hook: Any, with_kwargs: bool) -> None:
        if not with_kwargs:
            changed = hook(self.module, self.args)
            if changed is not None:
                self.args = changed if isinstance(changed, tuple) else (changed,)
            return
        changed = hook(self.module, self.args, self.kwargs)
        if changed is not None:
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                )
            self.args, self.kwargs = changed

    def after(self, number: int, hook: Any) -> None:
        given = (self.args, self.kwargs) if self.flagged("_forward_hooks_with_kwargs", number) else (self.args,)
        changed = hook(self.module, *given, self.result)
        self.result = self.result if changed is None else changed

    def run_the_always_called(self) -> None:
        """Call the hooks with `always_call` after an exception; their own exceptions become warnings."""
        for number, hook in self.hooks("_forward_hooks"):
            if self.flagged("_forward_hooks_always_called", number) and number not in self.called:
                try:
                    self.after(number, hook)
                except Exception as error:
                    warnings.warn(
                        "module forward hook with ``always_call=True`` raised an exception that was silenced as "
                        f"another error was raised in forward: {error}",
                        stacklevel=4,
                    )


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
        found = ctx.gradients(tuple(None if gy is None else Tensor(gy) for gy in gys))
        return tuple(None if gradient is None else gradient.array for gradient in found)


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
            tensor._version = values[place]._version  # each is a view of its own input
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


# ---------------------------------------------------------------------------------------------------------------------
# Hooks of all modules
# ---------------------------------------------------------------------------------------------------------------------


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, args)` before each forward of every module."""
    return _register(EVERYWHERE, "_forward_pre_hooks", hook, False)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after each forward of every module."""
    flags = ["_forward_hooks_with_kwargs"] * with_kwargs + ["_forward_hooks_always_called"] * always_call
    return _register(EVERYWHERE, "_forward_hooks", hook, False, *flags)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, grad_output)` for every module that gradients arrive at."""
    return _register(EVERYWHERE, "_backward_pre_hooks", hook, False)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` for every module that gradients pass through."""
    return _register(EVERYWHERE, "_backward_hooks", hook, False)


def register_module_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """The same as `register_module_full_backward_hook`; PyTorch's older name."""
    return register_module_full_backward_hook(hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, buffer)` when a buffer is registered; a returned value replaces it."""
    return _register(EVERYWHERE, "buffer", hook, False)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, submodule)` when a module is registered; a returned value replaces it."""
    return _register(EVERYWHERE, "module", hook, False)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, parameter)` when a parameter is registered; a returned value replaces it."""
    return _register(EVERYWHERE, "parameter", hook, False)


def registered(kind: str, owner: Any, name: str, value: Any) -> Any:
    """Return the value to be registered, after the hooks of its kind have run."""
    for hook in list(EVERYWHERE[kind].values()):
        changed = hook(owner, name, value)
        value = value if changed is None else changed
    return value
