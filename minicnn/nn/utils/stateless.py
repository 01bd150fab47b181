"""Calling a module with other parameters than its own, which stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ...compat.missing import answer as _answer
from ...ops.tensor.concatenate import stack
from ...tensor import Tensor
from ..module import Module

__all__ = ["functional_call", "stack_module_state"]

State = Mapping[str, Tensor]


def functional_call(
    module: Module, parameters_and_buffers: State | Sequence[State], args: Any = None,
    kwargs: Mapping[str, Any] | None = None, *, tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """`module(*args, **kwargs)`, as if its parameters and buffers had these values.

    The result is a function of the values given, so that gradients go to them: a step of training can itself be
    differentiated (K. Finn et al., "Model-agnostic meta-learning", 2017), or a net be one of many with stacked weights.
    A buffer that the call changes, such as a running mean, is the one given.

    Args:
        module: the net.
        parameters_and_buffers: tensors by their names in the net, or several such dictionaries; what is not named keeps
            the net's value.
        args: the positional arguments in a tuple, or the only one.
        kwargs: arguments by name.
        tie_weights: a parameter that the net has under two names gets the value that is given under one of them.
        strict: refuse names that the net does not have, and a net with names that are not given.

    Raises:
        RuntimeError: (strict) names are missing or not in the net.
        ValueError: one name in two dictionaries, or two values for a parameter that has two names.
        TypeError: a value is no tensor.

    >>> layer = nn.Linear(2, 1)
    >>> nn.utils.stateless.functional_call(
    ...     layer, {"weight": minicnn.ones(1, 2), "bias": minicnn.zeros(1)}, minicnn.ones(2)
    ... )
    tensor([2.])
    """
    values = _merged(parameters_and_buffers)
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    with replaced(module, values, tie_weights, strict):
        return module(*positional, **(kwargs or {}))


@contextmanager
def replaced(module: Module, values: State, tie_weights: bool = True, strict: bool = False) -> Iterator[None]:
    """Within it, a module has other parameters and buffers, see `functional_call`."""
    homes = _homes(module)
    if strict:
        unknown, missing = sorted(set(values) - set(homes)), sorted(set(homes) - set(values))
        if unknown or missing:
            raise RuntimeError(
                f"functional_call: with strict=True the names must be those of the {type(module).__name__}; not in it: "
                f"{', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}"
            )
    wanted = {name: value for name, value in values.items() if name in homes}
    if tie_weights:
        wanted |= _tied(homes, wanted)
    before = {name: homes[name][0][homes[name][1]] for name in wanted}
    try:
        for name, value in wanted.items():
            slots, key = homes[name]
            slots[key] = value
        yield
    finally:
        for name, value in before.items():
            slots, key = homes[name]
            slots[key] = value


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters of several modules of one kind, stacked, and their buffers: for `vmap` over an ensemble.

    Raises:
        RuntimeError: there is no module, or they are of different classes, or some are in training mode and some not.

    >>> params, buffers = minicnn.func.stack_module_state([nn.Linear(2, 3), nn.Linear(2, 3)])
    >>> params["weight"].shape
    minicnn.Size([2, 3, 2])
    """
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: expected at least one model, got none")
    if len({type(model) for model in models}) > 1:
        raise RuntimeError("stack_module_state: expected all models to be of the same class")
    if len({model.training for model in models}) > 1:
        raise RuntimeError("stack_module_state: expected all models to have the same training/eval mode")
    named = [dict(model.named_parameters()) for model in models]
    parameters = {
        name: stack([one[name] for one in named]).detach().requires_grad_(first.requires_grad)
        for name, first in named[0].items()
    }
    kept = [dict(model.named_buffers()) for model in models]
    return parameters, {name: stack([one[name] for one in kept]) for name in kept[0]}


def _merged(given: State | Sequence[State]) -> dict[str, Tensor]:
    parts = [given] if isinstance(given, Mapping) else list(given)
    values: dict[str, Tensor] = {}
    for part in parts:
        if not isinstance(part, Mapping):
            raise ValueError(
                f"functional_call: parameters_and_buffers should be a dictionary or several, got {type(part).__name__}"
            )
        for name, value in part.items():
            if name in values:
                raise ValueError(f"functional_call: {name} appears in two of the dictionaries; leave one out")
            if not isinstance(value, Tensor):
                raise TypeError(f"functional_call: {name} should be a tensor, got {type(value).__name__}")
            values[name] = value
    return values


def _homes(module: Module) -> dict[str, tuple[dict[str, Any], str]]:
    """Where the parameters and buffers of a module are, by all their names: a dictionary and a key in it."""
    return {
        f"{prefix}.{key}" if prefix else key: (slots, key)
        for prefix, part in module.named_modules(remove_duplicate=False)
        for slots in (part._parameters, part._buffers)
        for key, value in slots.items()
        if value is not None
    }


def _tied(homes: Mapping[str, tuple[dict[str, Any], str]], wanted: State) -> dict[str, Tensor]:
    """The values of other names of the parameters for which values are given."""
    names: dict[int, list[str]] = {}
    for name, (slots, key) in homes.items():
        names.setdefault(id(slots[key]), []).append(name)
    found: dict[str, Tensor] = {}
    for group in names.values():
        given = {id(wanted[name]): wanted[name] for name in group if name in wanted}
        if len(given) > 1:
            raise ValueError(f"functional_call: different values for {' and '.join(group)}, which are one parameter")
        found |= {name: value for value in given.values() for name in group}
    return found


_answer(globals())
