"""Module: a layer, or a net of layers, with named parameters and buffers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from minicnn_kernels.geometry import shown

from ..tensor import Tensor
from .conversion import Conversion
from .hooks import KINDS, Hooks, registered
from .parameter import Buffer, Parameter, typename
from .state import State
from .state import _IncompatibleKeys as _IncompatibleKeys

__all__ = ["Module"]

M = TypeVar("M", bound="Module")
_PARTS = ("_parameters", "_buffers", "_modules")
_DICTS = (*KINDS, "_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks",
          "_load_state_dict_post_hooks")  # fmt: skip


class Module(Hooks, State, Conversion):
    """The base class of all layers and nets: define `__init__` with the parts and `forward` with the computation.

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 6, 5)       # attributes are registered as parts
            def forward(self, x):
                return self.conv(x).relu()

    Parameters, buffers and modules that are assigned as attributes are registered with the attribute's name. The names
    of nested ones are joined with dots ("features.0.weight"), also in state dicts.

    >>> net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU())
    >>> [name for name, p in net.named_parameters()], sum(p.numel() for p in net.parameters())
    (['0.weight', '0.bias'], 156)
    """

    training: bool
    call_super_init: bool = False
    T_destination = TypeVar("T_destination", bound=dict[str, Any])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if (args or kwargs) and not self.call_super_init:
            what = f"keyword argument {next(iter(kwargs))!r}" if kwargs else f"{len(args)} positional argument(s)"
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected {what}")
        self.__dict__.update(training=True, _is_full_backward_hook=None, _non_persistent_buffers_set=set())
        self.__dict__.update({name: {} for name in _PARTS}, **{name: OrderedDict() for name in _DICTS})
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def __setstate__(self, state: dict[str, Any]) -> None:
        Module.__init__(self) if not self.call_super_init else None
        self.__dict__.update(state)

    # ---------------------------------------------------------------------------------------------- registering parts

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, (Parameter, Module)):
            kind = "_parameters" if isinstance(value, Parameter) else "_modules"
            if kind not in own:
                what = "parameters" if isinstance(value, Parameter) else "module"
                raise AttributeError(f"cannot assign {what} before Module.__init__() call; call super().__init__()")
            for others in (own, *(own[part] for part in _PARTS if part != kind)):
                others.pop(name, None)
            self._non_persistent_buffers_set.discard(name)
            if isinstance(value, Parameter):
                self.register_parameter(name, value)
            else:
                self._modules[name] = registered("module", self, name, value)
        elif name in own.get("_parameters", ()) or name in own.get("_modules", ()):
            if value is not None:
                a_parameter = name in self._parameters
                raise TypeError(
                    f"cannot assign '{typename(value)}' as {'parameter' if a_parameter else 'child module'} '{name}' "
                    f"(minicnn.nn.{'Parameter' if a_parameter else 'Module'} or None expected)"
                )
            (self._parameters if name in self._parameters else self._modules)[name] = None
        elif isinstance(value, Buffer) or name in own.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{typename(value)}' as buffer '{name}' "
                    "(minicnn.nn.Buffer, minicnn.Tensor or None expected)"
                )
            kept = value.persistent if isinstance(value, Buffer) else name not in self._non_persistent_buffers_set
            self.register_buffer(name, value, *(() if kept else (False,)))
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for kind in _PARTS:
            if kind in own and name in own[kind]:
                return own[kind][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for kind in _PARTS:
            if name in self.__dict__[kind]:
                del self.__dict__[kind][name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = [*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers]
        return sorted(name for name in names if not name[:1].isdigit())

    def _check_name(self, what: str, name: Any, parts: str) -> None:
        """Refuse a name that is not a string, has dots, is empty or is an attribute of another kind."""
        if parts not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {typename(name)}")
        if hasattr(self, name) and name not in self.__dict__[parts]:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Register a tensor that is not trained, such as a running mean; `persistent` ones are part of the state.

        >>> net = nn.Module()
        >>> net.register_buffer("mean", minicnn.zeros(3))
        >>> list(net.state_dict()), list(net.parameters())
        (['mean'], [])
        """
        self._check_name("buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' (minicnn Tensor or None required)"
            )
        self._buffers[name] = registered("buffer", self, name, tensor)
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Register a parameter; None states that there is no parameter with this name."""
        self._check_name("parameter", name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{typename(param)}' object to parameter '{name}' "
                "(minicnn.nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To "
                f"express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param if param is None else registered("parameter", self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Register a module; its name need not be an identifier, for example "0"."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{typename(module)} is not a Module subclass")
        self._check_name("module", name, "_modules")
        self._modules[name] = registered("module", self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    # ------------------------------------------------------------------------------------------ parts by dotted names

    def get_submodule(self, target: str) -> Module:
        """Return the module with a dotted name, such as "features.0"; this module itself for "".

        Raises:
            AttributeError: there is no such attribute, or it is not a module.

        >>> nn.Sequential(nn.Sequential(nn.ReLU())).get_submodule("0.0")
        ReLU()
        """
        module: Any = self
        for name in target.split(".") if target else ():
            module = _attribute(module, name, Module, "an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module under a dotted name; it replaces another one or, unless `strict`, is added."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict or hasattr(parent, name):
            _attribute(parent, name, Module, "an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter with a dotted name, such as "features.0.weight"."""
        path, _, name = target.rpartition(".")
        found: Parameter = _attribute(self.get_submodule(path), name, Parameter, "an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer with a dotted name, such as "norm.running_mean"."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found: Tensor = _attribute(module, name, object, "a buffer")
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    # ---------------------------------------------------------------------------------------------- walking the parts

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Iterate over this module and all inside it, by dotted names; each once unless `remove_duplicate` is False.

        >>> net = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())
        >>> [name for name, module in net.named_modules()]
        ['', '0', '0.0', '1']
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Iterate over this module and all modules inside it."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Iterate over the modules directly inside, each once, with their names.

        >>> net = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())
        >>> [name for name, module in net.named_children()]
        ['0', '1']
        """
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """Iterate over the modules directly inside, each once."""
        return (module for _, module in self.named_children())

    def _named_members(
        self,
        get_members_fn: Callable[[Any], Any],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        """Iterate over the (name, value) pairs of `get_members_fn`, for this module and those inside it."""
        seen: set[int] = set()
        named = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in named:
            for name, value in get_members_fn(module):
                if value is not None and id(value) not in seen:
                    if remove_duplicate:
                        seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Iterate over all parameters with dotted names, each once unless `remove_duplicate` is False.

        >>> [(name, tuple(p.shape)) for name, p in nn.Linear(3, 2).named_parameters()]
        [('weight', (2, 3)), ('bias', (2,))]
        """
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Iterate over all buffers with dotted names."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Every buffer."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    # ---------------------------------------------------------------------------------------------- modes and changes

    def train(self: M, mode: bool = True) -> M:
        """Switch dropout, batch norm and the like to training (or evaluation), in this module and all inside it.

        >>> net = nn.Sequential(nn.Dropout(0.5))
        >>> net.eval()[0].training, net.train()[0].training
        (False, True)
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: M) -> M:
        """Switch to evaluation, as `train(False)`."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Set whether all parameters need gradients; False freezes them.

        >>> net = nn.Linear(3, 2).requires_grad_(False)
        >>> [p.requires_grad for p in net.parameters()]
        [False, False]
        """
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Remove the gradients of all parameters, or set the existing ones to 0.

        >>> net = nn.Linear(3, 2)
        >>> net(minicnn.ones(1, 3)).sum().backward()
        >>> net.zero_grad()
        >>> net.weight.grad is None
        True
        """
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    def apply(self: M, fn: Callable[[Module], None]) -> M:
        """Call `fn` on every module inside, then on this one.

        >>> def zero(module):
        ...     if isinstance(module, nn.Linear):
        ...         nn.init.zeros_(module.weight)
        >>> nn.Sequential(nn.Linear(2, 1), nn.ReLU()).apply(zero)[0].weight.detach()
        tensor([[0., 0.]])
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ----------------------------------------------------------------------------------------------------------- repr

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, one or more lines."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self._modules.items()]
        if len(lines) <= 1 and not children:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join([*lines, *children]) + "\n)"


def _attribute(module: Module, name: str, kind: type, what: str) -> Any:
    """Return an attribute of a module, after checking that it exists and has the given type."""
    if not hasattr(module, name):
        raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
    found = getattr(module, name)
    if not isinstance(found, kind):
        raise AttributeError(f"`{name}` is not {what}")
    return found


def check_module(op: str, model: Any) -> None:
    """Check that what a function was given as a net is one; `op` is the function.

    Raises:
        TypeError: it is something else; the message says what to give.
    """
    if isinstance(model, Module):
        return
    remedy = "give a net, such as minicnn.models.LeNet5()"
    if isinstance(model, type) and issubclass(model, Module):
        remedy = f"{model.__name__} is a class: give {model.__name__}(...)"
    elif isinstance(model, str):
        remedy = f"give a net; minicnn.models.get_model({model!r}) builds one from its name"
    elif callable(model):
        name = getattr(model, "__name__", "it")
        remedy = f"a function has no layers: give {name}(...) if {name} builds a net, or a net that calls it"
    raise TypeError(f"{op}: the net must be a Module, got {shown(model)}; {remedy}")
