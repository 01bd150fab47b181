"""Module: a layer, or a net of layers, with its parameters and buffers under names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..autograd import anomaly
from ..tensor import RemovableHandle, Tensor

M = TypeVar("M", bound="Module")


class Parameter(Tensor):
    """A tensor that a module owns and an optimiser changes; it requires a gradient from the start."""

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data.array if isinstance(data, Tensor) else data, requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` found on one side only."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base of all layers and nets: give it `__init__` with the parts and `forward` with the computation.

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 6, 5)       # parts are found by being attributes
            def forward(self, x):
                return self.conv(x).relu()

    Parameters, buffers and modules assigned as attributes are registered under the attribute's name; the names of
    nested ones are joined by dots ("features.0.weight"), in state dicts too.
    """

    training: bool

    def __init__(self) -> None:
        for name, value in (
            ("training", True), ("_parameters", {}), ("_buffers", {}), ("_modules", {}), ("_forward_hooks", {}),
            ("_forward_pre_hooks", {}), ("_not_saved", set()),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def forward(self, *inputs: Any) -> Any:
        """Compute the output; to be given by the subclass."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(); define one")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run the hooks and `forward`."""
        if anomaly.enabled():
            with anomaly.layer(self):
                return self._call(*inputs, **options)
        return self._call(*inputs, **options)

    def _call(self, *inputs: Any, **options: Any) -> Any:
        for pre_hook in list(self._forward_pre_hooks.values()):
            changed = pre_hook(self, inputs)
            if changed is not None:
                inputs = changed if isinstance(changed, tuple) else (changed,)
        output = self.forward(*inputs, **options)
        for hook in list(self._forward_hooks.values()):
            changed = hook(self, inputs, output)
            output = output if changed is None else changed
        return output

    # ------------------------------------------------------------------------------------------------- registering
    # parts

    def __setattr__(self, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning attributes")
        kind = (
            self._parameters if isinstance(value, Parameter) else self._modules if isinstance(value, Module) else None
        )
        if kind is not None:
            for others in (self.__dict__, self._parameters, self._buffers, self._modules):
                if others is not kind:
                    others.pop(name, None)
            kind[name] = value
        elif name in self._parameters or name in self._modules:
            if value is not None:
                wanted = "Parameter" if name in self._parameters else "Module"
                raise TypeError(f"{type(self).__name__}.{name} must be a {wanted} or None, got {type(value).__name__}")
            (self._parameters if name in self._parameters else self._modules)[name] = None
        elif name in self._buffers:
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        for kind in ("_parameters", "_buffers", "_modules"):
            parts = self.__dict__.get(kind, {})
            if name in parts:
                return parts[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for parts in (self._parameters, self._buffers, self._modules):
            if name in parts:
                del parts[name]
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Own a tensor that is not trained, such as a running mean; it is saved with the parameters if `persistent`."""
        self._buffers[name] = tensor
        (self._not_saved.discard if persistent else self._not_saved.add)(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Own a parameter, or state by None that there is none of that name."""
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Own a module under a name that need not be an identifier, such as "0"."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {name!r} must be a Module, got {type(module).__name__}")
        self._modules[name] = module

    def register_forward_hook(self, hook: Callable[[Module, tuple[Any, ...], Any], Any]) -> RemovableHandle:
        """Call `hook(module, inputs, output)` after each forward; a result other than None replaces the output."""
        return RemovableHandle(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: Callable[[Module, tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call `hook(module, inputs)` before each forward; a result other than None replaces the inputs."""
        return RemovableHandle(self._forward_pre_hooks, hook)

    # -------------------------------------------------------------------------------------------------- walking the
    # parts

    def named_modules(self, prefix: str = "", _seen: set[int] | None = None) -> Iterator[tuple[str, Module]]:
        """This module and all inside it with their dotted names, each once."""
        seen = set() if _seen is None else _seen
        if id(self) not in seen:
            seen.add(id(self))
            yield prefix, self
            for name, module in self.named_children():
                yield from module.named_modules(f"{prefix}.{name}" if prefix else name, seen)

    def modules(self) -> Iterator[Module]:
        """This module and all inside it."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside, with their names."""
        return ((name, module) for name, module in self._modules.items() if module is not None)

    def children(self) -> Iterator[Module]:
        """The modules directly inside."""
        return (module for _, module in self.named_children())

    def _named(self, kind: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, value in getattr(module, kind).items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Every parameter with its dotted name, each once."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Every buffer with its dotted name."""
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Every buffer."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    # -------------------------------------------------------------------------------------------------- modes and
    # changes

    def train(self: M, mode: bool = True) -> M:
        """Switch dropout, batch norm and the like to training (or evaluation), here and inside."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Switch to evaluation."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Ask for gradients of all parameters, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    def apply(self: M, function: Callable[[Module], None]) -> M:
        """Call `function` on every module inside, then on this one."""
        for module in self.children():
            module.apply(function)
        function(self)
        return self

    def to(self: M, *target: Any, dtype: Any = None, device: Any = None) -> M:
        """Convert all floating-point parameters and buffers, in place: `net.to(minicnn.float64)`."""
        probe = Tensor(np.zeros(0, np.float32)).to(*target, dtype=dtype, device=device)
        if probe.dtype.kind != "f":
            raise TypeError(f"to: a module's parameters must be floating point, got {probe.dtype}")
        named = any(part is not None and not isinstance(part, str) for part in (*target, dtype))
        for tensor in (*self.parameters(), *self.buffers()) if named else ():
            if tensor.dtype.kind == "f":
                tensor.data = tensor.array.astype(probe.dtype, copy=False)
                tensor.grad = None if tensor.grad is None else Tensor(tensor.grad.array.astype(probe.dtype))
        return self

    def float(self: M) -> M:
        """Convert to float32."""
        return self.to(np.float32)

    def double(self: M) -> M:
        """Convert to float64."""
        return self.to(np.float64)

    def cpu(self: M) -> M:
        """The module itself: it is on the CPU."""
        return self

    # -------------------------------------------------------------------------------------------------------- state
    # dicts

    def state_dict(self, prefix: str = "") -> OrderedDict[str, Tensor]:
        """Parameters and persistent buffers by dotted name, sharing memory with the module."""
        state: OrderedDict[str, Tensor] = OrderedDict()
        for name, parameter in self._parameters.items():
            if parameter is not None:
                state[prefix + name] = parameter.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._not_saved:
                state[prefix + name] = buffer.detach()
        for name, module in self.named_children():
            state.update(module.state_dict(f"{prefix}{name}."))
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy the values of a state dict into the parameters and buffers of the same names.

        Nothing is copied unless all of it fits.

        Raises:
            RuntimeError: keys that are missing or unexpected (if `strict`), or shapes that differ; all of them are
                listed.
        """
        own = self.state_dict()
        keys = IncompatibleKeys([k for k in own if k not in state_dict], [k for k in state_dict if k not in own])
        errors = []
        if strict and keys.unexpected_keys:
            errors.append("Unexpected key(s) in state_dict: " + ", ".join(f'"{k}"' for k in keys.unexpected_keys) + ".")
        if strict and keys.missing_keys:
            errors.append("Missing key(s) in state_dict: " + ", ".join(f'"{k}"' for k in keys.missing_keys) + ".")
        arrays = {k: np.asarray(v.array if isinstance(v, Tensor) else v) for k, v in state_dict.items() if k in own}
        for key, array in arrays.items():
            if array.shape != own[key].shape:
                errors.append(
                    f"size mismatch for {key}: copying a param with shape {array.shape} from checkpoint, "
                    f"the shape in current model is {own[key].shape}."
                )
        if errors:
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(errors))
        for key, array in arrays.items():
            own[key].copy_(array)
        return keys

    # ---------------------------------------------------------------------------------------------------------------
    # repr

    def extra_repr(self) -> str:
        """What the repr shows in the parentheses."""
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self.named_children()]
        extra = self.extra_repr()
        if not children:
            return f"{type(self).__name__}({extra})"
        lines = ([extra] if extra else []) + children
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"
