"""State dicts: writing and loading a module's parameters and buffers with dotted names."""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..autograd import no_grad
from ..autograd.hooks import RemovableHandle
from ..tensor import Tensor
from .parameter import Parameter, is_lazy

EXTRA_STATE = "_extra_state"


class _Keys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


class _IncompatibleKeys(_Keys):
    """The names that `load_state_dict` found on one side only."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if self.missing_keys or self.unexpected_keys else "<All keys matched successfully>"

    __str__ = __repr__


class State:
    """The part of a `Module` that writes and loads state dicts.

    `_save_to_state_dict` and `_load_from_state_dict` handle one module without the modules inside it. A subclass may
    override them; `_version` tells it which version of its format it reads.
    """

    _version: int = 1
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _state_dict_hooks: OrderedDict[int, Any]
    _state_dict_pre_hooks: OrderedDict[int, Any]
    _load_state_dict_pre_hooks: OrderedDict[int, Any]
    _load_state_dict_post_hooks: OrderedDict[int, Any]

    # ----------------------------------------------------------------------------------------------------------- out

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Return parameters and persistent buffers by dotted name; they share the memory of the module.

        Args:
            args: the same arguments by position; deprecated.
            destination: the dict to fill; None means a new ordered dict.
            prefix: put before each name.
            keep_vars: return the parameters themselves instead of detached tensors.

        >>> {name: tuple(value.shape) for name, value in nn.Conv2d(1, 6, 5).state_dict().items()}
        {'weight': (6, 1, 5, 5), 'bias': (6,)}
        """
        if args:
            warnings.warn("Positional args are being deprecated, use kwargs instead.", FutureWarning, stacklevel=2)
            given = (*args, *(destination, prefix, keep_vars)[len(args) :])
            destination, prefix, keep_vars = given
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()  # the version of each module, by its name
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in list(self._state_dict_pre_hooks.values()):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(self._state_dict_hooks.values()):
            changed = hook(self, destination, prefix, metadata)
            if changed is not None and getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = destination if changed is None else changed
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Write this module's own parameters, persistent buffers and extra state."""
        for name, tensor in self._own_state().items():
            destination[prefix + name] = tensor if keep_vars or is_lazy(tensor) else tensor.detach()
        if type(self).get_extra_state is not State.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def _own_state(self) -> dict[str, Tensor]:
        """Return this module's own parameters and persistent buffers."""
        saved = {name: b for name, b in self._buffers.items() if name not in self._non_persistent_buffers_set}
        return {name: tensor for name, tensor in {**self._parameters, **saved}.items() if tensor is not None}

    def get_extra_state(self) -> Any:
        """Return other values that belong to the state; a subclass defines it, together with `set_extra_state`."""
        raise RuntimeError(f"get_extra_state: {type(self).__name__} has no extra state; define the method")

    def set_extra_state(self, state: Any) -> None:
        """Load the values that `get_extra_state` returned."""
        raise RuntimeError(f"set_extra_state: {type(self).__name__} takes no extra state; define the method")

    # ------------------------------------------------------------------------------------------------------------ in

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy the values of a state dict into the parameters and buffers of the same names.

        As in PyTorch, the entries that fit are copied even if an error is raised for others.

        Args:
            state_dict: tensors (or NumPy arrays) by name.
            strict: whether a name that is on one side only is an error.
            assign: make the given tensors the module's own, with their types and memory, instead of copying values.

        Raises:
            RuntimeError: keys are missing or unexpected (if `strict`), or shapes differ; the message lists all of them.

        >>> a, b = nn.Linear(3, 2), nn.Linear(3, 2)
        >>> b.load_state_dict(a.state_dict())
        <All keys matched successfully>
        >>> bool((a.weight == b.weight).all())
        True
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        state: Any = OrderedDict(state_dict)  # a copy, which modules may change
        if metadata is not None:
            state._metadata = metadata
        keys, errors = _IncompatibleKeys([], []), list[str]()
        self._load(state, "", metadata or {}, assign, keys, errors)
        if strict:
            for kind, names in (("Unexpected", keys.unexpected_keys), ("Missing", keys.missing_keys)):
                if names:
                    listed = ", ".join(f'"{name}"' for name in names)
                    errors.insert(0, f"{kind} key(s) in state_dict: {listed}. ")
        if errors:
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(errors))
        return keys

    def _misfits(self, state_dict: Mapping[str, Any]) -> tuple[_IncompatibleKeys, list[str]]:
        """What `load_state_dict` would complain about: keys on one side only, and other errors.

        The module stays as it is: the tensors are assigned, which copies nothing, and then those that were there again.
        """
        whole: Any = self
        keys, errors = _IncompatibleKeys([], []), list[str]()
        metadata = {name: dict(about) for name, about in (getattr(state_dict, "_metadata", None) or {}).items()}
        kept = [(own, dict(own)) for module in whole.modules() for own in (module._parameters, module._buffers)]
        try:
            self._load(OrderedDict(state_dict), "", metadata, True, keys, errors)
        finally:
            for own, before in kept:
                own.clear()
                own.update(before)
        return keys, errors

    def _load(
        self, state: Any, prefix: str, metadata: Any, assign: bool, keys: _IncompatibleKeys, errors: list[str]
    ) -> None:
        """Load this module, then those inside it; each gets its own part of the state."""
        local = metadata.get(prefix[:-1], {})
        if assign:
            local["assign_to_params_buffers"] = assign
        self._load_from_state_dict(state, prefix, local, True, keys.missing_keys, keys.unexpected_keys, errors)
        for name, module in self._modules.items():
            if module is not None:
                inside = f"{prefix}{name}."
                part = {key: value for key, value in state.items() if key.startswith(inside)}
                module._load(part, inside, metadata, assign, keys, errors)
        for hook in list(self._load_state_dict_post_hooks.values()):
            if hook(self, keys) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                    "values, if incompatible_keys need to be modified, it should be done inplace."
                )

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load this module's own part of `state_dict`, and add the errors to the three lists."""
        for hook in list(self._load_state_dict_pre_hooks.values()):
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        own = self._own_state()
        for name, tensor in own.items():
            if prefix + name in state_dict:
                assign = local_metadata.get("assign_to_params_buffers", False)
                error = self._load_tensor(name, tensor, prefix + name, state_dict[prefix + name], assign)
                error_msgs += [error] if error else []
            elif strict:
                missing_keys.append(prefix + name)
        takes_extra = type(self).set_extra_state is not State.set_extra_state
        extra = prefix + EXTRA_STATE
        if takes_extra and extra in state_dict:
            self.set_extra_state(state_dict[extra])
        elif strict and takes_extra != (extra in state_dict):
            (missing_keys if takes_extra else unexpected_keys).append(extra)
        for key in state_dict if strict else ():
            if key.startswith(prefix) and key != extra:
                first, dot, _ = key[len(prefix) :].partition(".")
                if first not in (self._modules if dot else own):
                    unexpected_keys.append(key)

    def _load_tensor(self, name: str, own: Tensor, key: str, given: Any, assign: bool) -> str | None:
        """Copy one tensor, or make it the module's own; return the error text if it does not fit."""
        given = Tensor(given) if isinstance(given, (np.ndarray, np.generic)) else given
        if not isinstance(given, Tensor):
            return (
                f'While copying the parameter named "{key}", expected minicnn.Tensor or Tensor-like object from '
                f"checkpoint but received {type(given)}"
            )
        if not is_lazy(own):
            if own.ndim == 0 and tuple(given.shape) == (1,):  # from old files, written before there were 0-d tensors
                given = given.reshape(())
            if given.shape != own.shape:
                return (
                    f"size mismatch for {key}: copying a param with shape {given.shape!r} from checkpoint, "
                    f"the shape in current model is {own.shape!r}."
                )
        if own.is_meta and not given.is_meta and not assign:
            warnings.warn(
                f"for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the current "
                "model, which is a no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary "
                "to their corresponding key in the module instead of copying them in place?)",
                stacklevel=2,
            )
        try:
            with no_grad():
                if assign:
                    setattr(self, name, _as_part(given, own))
                else:
                    _copy(own, given)
        except Exception as error:
            return (
                f'While copying the parameter named "{key}", whose dimensions in the model are {own.size()!r} and '
                f"whose dimensions in the checkpoint are {given.size()!r}, an exception occurred : {error.args}."
            )
        return None

    # --------------------------------------------------------------------------------------------------------- hooks

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` reads the module."""
        return RemovableHandle(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)`, which may change the dict in place."""
        hook._from_public_api = True  # type: ignore[attr-defined]  # the hook must return None
        return RemovableHandle(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """The same as `register_state_dict_post_hook`, except that a dict returned by the hook replaces the result."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously registered via "
                "register_state_dict_post_hook"
            )
        return RemovableHandle(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`
        before the module reads its part of the dict, which the hook may change.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        """The same as `register_load_state_dict_pre_hook`; the hook gets the module only if `with_module`."""
        return RemovableHandle(self._load_state_dict_pre_hooks, _WithModule(hook, self) if with_module else hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after the module and those inside it are loaded; the hook may change
        the lists of keys, which are checked afterwards.
        """
        return RemovableHandle(self._load_state_dict_post_hooks, hook)


class _WithModule:
    """A hook with its module as first argument; an object, not a closure, so that it can be copied and pickled.

    The module owns the hook, so the hook holds the module weakly: a circle would keep it until a garbage collection.
    """

    def __init__(self, hook: Callable[..., Any], module: State) -> None:
        self.hook, self.module = hook, weakref.ref(module)

    def __call__(self, *args: Any) -> Any:
        return self.hook(self.module(), *args)

    def __getstate__(self) -> dict[str, Any]:
        return {"hook": self.hook, "module": self.module()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _as_part(given: Tensor, own: Tensor) -> Tensor:
    """Convert a tensor of a state dict to the type of `own`, which it will replace: a parameter for a parameter."""
    if not isinstance(own, Parameter):
        return given
    if not isinstance(given, Parameter):
        return Parameter(given, own.requires_grad)
    given.requires_grad_(own.requires_grad)
    return given


def _copy(own: Tensor, given: Tensor) -> None:
    """Copy values from a state dict into a module's tensor."""
    if is_lazy(own) and is_lazy(given):
        return
    if given.is_meta and not own.is_meta:
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    own.copy_(given)
