"""The base of all optimisers: groups of parameters, their state, state dicts and hooks."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable
from copy import deepcopy
from typing import Any

import numpy as np

from ..autograd.hooks import RemovableHandle
from ..device import CPU
from ..tensor import Tensor

__all__ = [
    "Optimizer", "Params", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required",
]  # fmt: skip

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
Hook = Callable[..., Any]


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required: Any = _Required()  # as a default: every group must give this option

_before_every_step: OrderedDict[int, Hook] = OrderedDict()
_after_every_step: OrderedDict[int, Hook] = OrderedDict()
_HOOKS = tuple(
    f"_optimizer_{call}_{when}_hooks" for call in ("step", "state_dict", "load_state_dict") for when in ("pre", "post")
)


def register_optimizer_step_pre_hook(hook: Hook) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before the step of every optimiser; see `register_step_pre_hook`.

    >>> handle = minicnn.optim.optimizer.register_optimizer_step_pre_hook(lambda optimizer, *_: print("step"))
    >>> minicnn.optim.SGD([nn.Parameter(minicnn.zeros(1))]).step()
    step
    >>> handle.remove()
    """
    return RemovableHandle(_before_every_step, hook)


def register_optimizer_step_post_hook(hook: Hook) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after the step of every optimiser.

    >>> handle = minicnn.optim.optimizer.register_optimizer_step_post_hook(lambda optimizer, *_: print("done"))
    >>> minicnn.optim.SGD([nn.Parameter(minicnn.zeros(1))]).step()
    done
    >>> handle.remove()
    """
    return RemovableHandle(_after_every_step, hook)


def _before(optimizer: Optimizer, args: Any, options: Any) -> tuple[Any, Any]:
    """Call the hooks before a step; return the arguments, which hooks may change."""
    own = optimizer.__dict__.get("_optimizer_step_pre_hooks", {})
    for hook in (*_before_every_step.values(), *own.values()):
        changed = hook(optimizer, args, options)
        if changed is not None:
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(
                    f"{type(optimizer).__name__}.step: a hook before it must return None or a tuple of (new_args, "
                    f"new_kwargs), but got {changed}."
                )
            args, options = changed
    return args, options


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """The method `step` with the hooks around it; they are not called again if a subclass calls it through super()."""

    @functools.wraps(step)
    def wrapper(self: Optimizer, *args: Any, **options: Any) -> Any:
        if type(self).step is not wrapper:
            return step(self, *args, **options)
        args = (self, *args)
        own = self.__dict__  # one around another optimiser may have no hooks, as it does not call __init__
        if _before_every_step or own.get("_optimizer_step_pre_hooks"):
            args, options = _before(self, args, options)
        result = step(*args, **options)
        if _after_every_step or own.get("_optimizer_step_post_hooks"):
            for hook in (*own.get("_optimizer_step_post_hooks", {}).values(), *_after_every_step.values()):
                hook(self, args, options)
        return result

    return wrapper


class Optimizer:
    """Holds parameters in groups, each a dict {"params": [...], "lr": ..., ...} that may be changed during training.

    A subclass gives `step`. It keeps its data about a parameter p in `self.state[p]`, a dict made at the first use.
    Numbers, tensors and lists of them in this dict go into the state dict. Tensors whose names are in `counters` stay
    on the CPU, so that a step never waits for a GPU.

    Args:
        params: tensors, pairs (name, tensor) as from `named_parameters()`, or dicts with one of these under "params"
            and the options of that group.
        defaults: the options of groups that do not give them.

    Raises:
        ValueError: there are no parameters; one is in two groups, or was computed; or only some parameters have names.
        TypeError: a parameter is not a tensor.

    >>> net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Linear(10, 10))
    >>> groups = [{"params": net[0].parameters(), "lr": 0.001}, {"params": net[1].parameters()}]
    >>> [group["lr"] for group in minicnn.optim.SGD(groups, lr=0.1).param_groups]
    [0.001, 0.1]
    """

    counters: tuple[str, ...] = ("step",)
    _optimizer_step_pre_hooks: OrderedDict[int, Hook]
    _optimizer_step_post_hooks: OrderedDict[int, Hook]
    _optimizer_state_dict_pre_hooks: OrderedDict[int, Hook]
    _optimizer_state_dict_post_hooks: OrderedDict[int, Hook]
    _optimizer_load_state_dict_pre_hooks: OrderedDict[int, Hook]
    _optimizer_load_state_dict_post_hooks: OrderedDict[int, Hook]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in cls.__dict__:
            setattr(cls, "step", _with_hooks(cls.__dict__["step"]))  # noqa: B010

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self.__setstate__({})
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, such as "
                f"model.parameters(), but got {type(params).__name__}"
            )
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list; was the generator parameters() used up before?")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for hooks in _HOOKS:
            self.__dict__.setdefault(hooks, OrderedDict())

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for number, group in enumerate(self.param_groups):
            text += f"\nParameter Group {number}\n"
            text += "".join(f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
        return text + ")"

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters with its own options; options that it does not give get the defaults.

        The dict itself becomes the group.

        >>> optimizer = minicnn.optim.SGD([nn.Parameter(minicnn.ones(2))], lr=0.1)
        >>> optimizer.add_param_group({"params": [nn.Parameter(minicnn.ones(2))], "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        param_group["params"] = params = [p[1] if isinstance(p, tuple) else p for p in params]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        if names:
            param_group["param_names"] = names
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not (p.is_leaf or p.retains_grad or self.defaults.get("differentiable")):
                raise ValueError(f"can't optimize a non-leaf Tensor; this one was computed by {p.grad_fn}")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        own = {id(p) for p in params}
        if len(own) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters, which a step changes twice",
                stacklevel=3,
            )
        for group in self.param_groups:
            if ("param_names" in param_group) != ("param_names" in group):
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param group "
                    f"{'with' if 'param_names' in param_group else 'without'} names to the optimizer"
                )
            if not own.isdisjoint(map(id, group["params"])):
                raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients to None, or to zeros; a step leaves out parameters whose gradient is None.

        >>> x = nn.Parameter(minicnn.ones(2))
        >>> optimizer = minicnn.optim.SGD([x])
        >>> x.sum().backward()
        >>> optimizer.zero_grad()
        >>> print(x.grad)
        None
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None  # without the checks of `grad`, to save time
                elif p.grad is not None:
                    p.grad = p.grad.detach().zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters by their gradients; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} has no step(); define one")

    # ---------------------------------------------------------------------------------------------------- state dicts

    def state_dict(self) -> dict[str, Any]:
        """The options of the groups and the state of the parameters, which are numbered in the order of the groups.

        Its tensors are those of the optimiser, and change with the next step.

        >>> optimizer = minicnn.optim.SGD([nn.Parameter(minicnn.ones(2))], lr=0.1)
        >>> optimizer.state_dict()["param_groups"][0]["lr"]
        0.1
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        count, groups = 0, []
        for group in self.param_groups:
            for number, p in enumerate(group["params"], count):
                numbers.setdefault(id(p), number)
            count += len(group["params"])
            packed = {key: value for key, value in group.items() if key != "params"}
            groups.append({**packed, "params": [numbers[id(p)] for p in group["params"]]})
        state = {numbers[id(p)] if isinstance(p, Tensor) else p: value for p, value in self.state.items()}
        found: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            changed = hook(self, found)
            found = found if changed is None else changed
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict`, of this class or of PyTorch's optimiser of the same name.

        Tensors, arrays and tensors of other libraries are copied, in the type and to the device of their parameter;
        "step" keeps its type, and `counters` stay on the CPU.

        Raises:
            ValueError: the number of groups, or of the parameters in a group, differs.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        ours, theirs = self.param_groups, deepcopy(state_dict["param_groups"])
        if len(ours) != len(theirs):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(theirs)} instead of {len(ours)}"
            )
        params: dict[Hashable, tuple[Tensor, bool]] = {}
        for number, (group, loaded) in enumerate(zip(ours, theirs, strict=True)):
            if len(group["params"]) != len(loaded["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"group {number} has {len(loaded['params'])} parameters, the optimizer's {len(group['params'])}"
                )
            single = bool(loaded.get("capturable") or loaded.get("fused"))  # PyTorch counts their steps in float32
            params.update({key: (p, single) for key, p in zip(loaded["params"], group["params"], strict=True)})
            loaded["params"] = group["params"]
            if "param_names" in group:
                loaded.setdefault("param_names", group["param_names"])
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in params:
                state[params[key][0]] = _converted(value, *params[key], self.counters)
            else:
                state[key] = value
        self.__setstate__({"state": state, "param_groups": theirs})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    # ---------------------------------------------------------------------------------------------------------- hooks

    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new (args, kwargs), where args[0] is
        the optimiser.
        """
        return RemovableHandle(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return RemovableHandle(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` before each `state_dict`; before the other hooks if `prepend`."""
        return _registered(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` after each `state_dict`; a result other than None replaces it."""
        return _registered(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before each loading; a result other than None is loaded instead."""
        return _registered(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` after each loading."""
        return _registered(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def _registered(hooks: OrderedDict[int, Hook], hook: Hook, prepend: bool) -> RemovableHandle:
    handle = RemovableHandle(hooks, hook)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def _converted(value: Any, p: Tensor, single: bool, counters: tuple[str, ...], key: Hashable = None) -> Any:
    """A copy of a loaded state: tensors in the type of their parameter, the count of steps in its own type."""
    if isinstance(value, dict):
        return {name: _converted(part, p, single, counters, name) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_converted(part, p, single, counters) for part in value)
    if isinstance(value, np.generic) or not hasattr(value, "__array__"):
        return value
    given = value.detach() if isinstance(value, Tensor) else Tensor(np.asarray(value))
    kind = (np.float32 if single else given.dtype) if key == "step" else p.dtype if p.dtype.kind == "f" else given.dtype
    return given.to(CPU if key in counters else p.device, kind, copy=True)
