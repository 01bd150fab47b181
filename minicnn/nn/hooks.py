"""Hooks: functions that a module calls before and after its forward, and when gradients pass through it.

Backward hooks need two gates around the module: `hook_gates.py`.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..autograd import anomaly, observe
from ..autograd.hooks import RemovableHandle
from ..autograd.modes import thread
from ..ops.tensor.arguments import check_operands
from .hook_gates import _Gates, warn_of_older_form

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
    handle = RemovableHandle(kinds[kind], hook, *(kinds[flag] for flag in flags))
    if prepend:
        kinds[kind].move_to_end(handle.id, last=False)
    return handle


def _check_tensors(module: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Raise an error that names the expected arguments, if a layer of minicnn was given something else."""
    forward = type(module).forward
    if (forward.__module__ or "").startswith(__package__):  # None in a program that was run without a name
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

        >>> net = nn.Identity()
        >>> handle = net.register_forward_pre_hook(lambda module, args: (10 * args[0],))
        >>> net(minicnn.ones(2))
        tensor([10., 10.])
        >>> handle.remove()
        >>> net(minicnn.ones(2))
        tensor([1., 1.])
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

        >>> net, shapes = nn.Sequential(nn.Conv2d(1, 6, 5), nn.MaxPool2d(2)), []
        >>> for layer in net:
        ...     handle = layer.register_forward_hook(lambda module, args, output: shapes.append(tuple(output.shape)))
        >>> y = net(minicnn.zeros(1, 1, 28, 28))
        >>> shapes
        [(1, 6, 24, 24), (1, 6, 12, 12)]
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

        >>> net, seen = nn.ReLU(), []
        >>> handle = net.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append(grad_input))
        >>> net(minicnn.tensor([-1.0, 2.0], requires_grad=True)).sum().backward()
        >>> seen
        [(tensor([0., 1.]),)]
        """
        return self._register_backward(hook, prepend, full=True)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """The older form of `register_full_backward_hook`; a module can have only one of the two forms.

        PyTorch's form passes the gradients of the inputs of the last operation inside the module. This one always
        passes the gradients of the inputs of the module. Where these are not the same, there is a FutureWarning.
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
        if full and self.module._is_full_backward_hook is False:
            warn_of_older_form(self.args, self.result)
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


# ------------------------------------------------------------------------------------------------------- of all modules


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
