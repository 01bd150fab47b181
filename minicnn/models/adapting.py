"""Fits a state dict to a net: finds it in a checkpoint, renames its entries, and says what does not fit and why."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from minicnn_kernels.geometry import counted, shown

from ..nn import Conv2d, Linear, Module
from ..ops.tensor.creation import tensor
from ..ops.tensor.interchange import from_dlpack
from ..serialization import CheckpointError
from ..tensor import Tensor

Rename = Mapping[str, str] | Callable[[str], str | None]

_PLACES = ("state_dict", "model_state_dict", "model", "net", "module", "network", "weights", "params")
_DEPTH = 5  # of a state dict in a checkpoint: {"checkpoint": {"model": {"state_dict": ...}}}
_SHOWN = 5  # names in a message


def state_in(found: Any, file: str) -> Mapping[str, Any]:
    """The state dict in what a file has: itself, or its entry "state_dict", "model" or the like.

    Raises:
        CheckpointError: there is none, or several.
    """
    for _ in range(_DEPTH):
        inner = {k: v for k, v in found.items() if isinstance(v, Mapping)} if isinstance(found, Mapping) else {}
        inner.pop("optimizer", None)
        known = [name for name in _PLACES if name in inner and _has_tensors(inner[name], _DEPTH)]
        if not known and isinstance(found, Mapping) and any(isinstance(value, Tensor) for value in found.values()):
            return found  # with a known place, its tensors are figures beside the state dict, such as the best accuracy
        if not known and len(inner) != 1:
            break
        found = inner[known[0]] if known else next(iter(inner.values()))
    what = f"the entries {_short(found)}" if isinstance(found, Mapping) else f"a {type(found).__name__}"
    raise CheckpointError(
        f"{file}: no state dict, which has names and tensors, but {what}; pass the part that is one: "
        "load_weights(model, minicnn.load(path)[...])"
    )


def own_tensors(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same content with minicnn's tensors instead of PyTorch's and of arrays, also in mappings inside.

    Raises:
        TypeError: a tensor of another library cannot be read, such as one of bfloat16.
    """
    return _own("", found, _DEPTH)


def _own(name: str, value: Any, depth: int) -> Any:
    if isinstance(value, Mapping) and depth >= 0:
        inside = {key: _own(str(key), inner, depth - 1) for key, inner in value.items()}
        if all(new is old for new, old in zip(inside.values(), value.values(), strict=True)):
            return value
        result: OrderedDict[str, Any] = OrderedDict(inside)
        if hasattr(value, "_metadata"):
            result._metadata = value._metadata  # type: ignore[attr-defined]
        return result
    if isinstance(value, Tensor) or not hasattr(value, "__dlpack__"):
        return value
    try:
        return tensor(value) if isinstance(value, np.ndarray) else from_dlpack(_detached(value))
    except Exception as error:  # each library has its own
        raise TypeError(
            f"load_weights: {name} is a {type(value).__module__}.{type(value).__name__} that cannot be read ({error}); "
            "give minicnn's tensors: {name: minicnn.tensor(value.float().cpu().numpy()) for name, value in ...}"
        ) from error


def _detached(value: Any) -> Any:
    return value.detach() if hasattr(value, "detach") else value


def check_rename(rename: Any) -> None:
    """Check that `rename` is None, names, or a function.

    Raises:
        TypeError: it is something else.
    """
    names = isinstance(rename, Mapping) and all(isinstance(name, str) for pair in rename.items() for name in pair)
    if not (rename is None or callable(rename) or names):
        raise TypeError(
            "load_weights: rename must be a dict from beginnings of names to new beginnings, such as "
            f"{{'backbone.': ''}}, or a function of the name, got {shown(rename)}"
        )


def renamed(state: Mapping[str, Any], rename: Rename | None, model: Module) -> OrderedDict[str, Any]:
    """The state dict with the net's names: after `rename`, and without a beginning that all entries share.

    Raises:
        TypeError, ValueError: `rename` gives something else than a name, or two entries the same.
    """
    result: OrderedDict[str, Any] = OrderedDict()
    metadata = dict(getattr(state, "_metadata", None) or {})
    for key, value in state.items():
        new = _new_name(str(key), rename)
        if new in result:
            raise ValueError(f"load_weights: rename gives two entries the name {new!r}")
        if new is not None:
            result[new] = value
    own = [name.partition(".")[0] for name in model.state_dict()]
    while result and len(begin := {key.partition(".")[0] for key in result}) == 1:
        first = f"{next(iter(begin))}."
        if first[:-1] in own or not all(key.startswith(first) for key in result):
            break  # the net has a part of this name
        result = OrderedDict((key[len(first) :], value) for key, value in result.items())
        metadata = {name[len(first) :]: v for name, v in metadata.items() if name.startswith(first)} | {
            "": metadata.get(first[:-1], {})
        }
    if metadata:
        result._metadata = metadata  # type: ignore[attr-defined]
    return result


def check_head(model: Module, trained: Module, file: str) -> None:
    """Check that a net has as many classes as the one whose weights it is to get; its other parts may differ.

    Raises:
        CheckpointError: it has another number; the message says what to do.
    """
    own, state = model.state_dict(), trained.state_dict()
    wrong = [key for key in state if key in own and _shape(state[key]) != tuple(own[key].shape)]
    if heads := _heads(model, state, wrong):
        raise CheckpointError(_wrong_head(model, state, file, heads))


def fit(model: Module, state: OrderedDict[str, Any], file: str, skip_head: bool) -> OrderedDict[str, Any]:
    """The entries to load, after checking that they fit; the net stays as it is.

    Parts that the net was built without, such as auxiliary classifiers, which are None in it, are left out.

    Raises:
        CheckpointError: entries are missing, unknown or of another shape.
    """
    own = model.state_dict()
    wrong = [key for key in state if key in own and _shape(state[key]) != tuple(own[key].shape)]
    heads = _heads(model, state, wrong)
    if skip_head:
        left = [layer for layer in heads or [_last_layer(model)] if layer]
        keys = {f"{layer}.{part}" for layer in left for part in ("weight", "bias")}
        if heads or not keys & set(state):
            state = _with(state, {key: own[key] for key in own if key in keys})
    elif heads:
        raise CheckpointError(_wrong_head(model, state, file, heads))
    found, errors = model._misfits(state)
    unknown = [key for key in found.unexpected_keys if not _built_without(model, key)]
    if found.missing_keys or unknown or errors:
        raise CheckpointError(_misfit(model, state, file, found.missing_keys, unknown, errors))
    return state


def _has_tensors(value: Any, depth: int) -> bool:
    """Whether a mapping has a tensor, in itself or in a mapping inside."""
    if isinstance(value, Mapping):
        return depth > 0 and any(_has_tensors(inner, depth - 1) for inner in value.values())
    return isinstance(value, Tensor)


def _new_name(key: str, rename: Rename | None) -> str | None:
    if callable(rename):
        new: Any = rename(key)
        if new is not None and not isinstance(new, str):
            raise TypeError(
                f"load_weights: rename({key!r}) must return a name, or None to leave the entry out, got {shown(new)}"
            )
        return new
    for old, new in sorted((rename or {}).items(), key=lambda pair: -len(pair[0])):
        if key.startswith(old):
            return new + key[len(old) :]
    return key


def _with(state: OrderedDict[str, Any], more: Mapping[str, Any]) -> OrderedDict[str, Any]:
    """A copy with other values for some names."""
    result = OrderedDict(state)
    result.update(more)
    if hasattr(state, "_metadata"):
        result._metadata = state._metadata  # type: ignore[attr-defined]
    return result


def _heads(model: Module, state: Mapping[str, Any], wrong: list[str]) -> list[str]:
    """The layers that give the classes, if all that does not fit are such layers with another number of classes."""
    layers = list(dict.fromkeys(key.rpartition(".")[0] for key in wrong))
    modules = dict(model.named_modules())
    numbers = set()
    for layer in layers:
        module, given = modules.get(layer), _shape(state.get(f"{layer}.weight"))
        if not isinstance(module, (Linear, Conv2d)) or given is None:
            return []
        size = tuple(module.weight.shape)
        if given[1:] != size[1:] or given[0] == size[0]:
            return []
        numbers.add((given[0], size[0]))
    return layers if len(numbers) == 1 and _last_layer(model) in layers else []


def _last_layer(model: Module) -> str:
    """The name of the last convolution or linear layer."""
    return next((n for n, m in reversed([*model.named_modules()]) if isinstance(m, (Linear, Conv2d))), "")


def outputs(model: Module) -> int | None:
    """The channels or values that the last convolution or linear layer gives; None without one."""
    layer: Any = model.get_submodule(_last_layer(model))
    weight = getattr(layer, "weight", None) if isinstance(layer, (Linear, Conv2d)) else None
    return None if weight is None else int(_shape(weight)[0])


def _wrong_head(model: Module, state: Mapping[str, Any], file: str, heads: list[str]) -> str:
    modules, fresh = dict(model.named_modules()), []
    for name in heads:
        head: Any = modules[name]
        place = "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in name.split("."))
        if isinstance(head, Linear):
            fresh.append(f"model{place} = nn.Linear({head.in_features}, {head.out_features})")
        else:
            fresh.append(f"model{place} = nn.Conv2d({head.in_channels}, {head.out_channels}, {head.kernel_size[0]})")
    head = modules[heads[0]]
    given, here = _shape(state[f"{heads[0]}.weight"])[0], head.weight.shape[0]
    return (
        f"{file}: the weights are those of a net with {counted(given, 'class')}, and this {type(model).__name__} has "
        f"{here} ({', '.join(heads)}). Build it with num_classes={given}, load them, and give it a new head: "
        f"{'; '.join(fresh)}. Or load all but the head: minicnn.models.load_weights(model, weights, skip_head=True)"
    )


def _misfit(
    model: Module, state: Mapping[str, Any], file: str, missing: list[str], unknown: list[str], errors: list[str]
) -> str:
    name, own = type(model).__name__, model.state_dict()
    lines = [f"{file}: the weights do not fit this {name}, which stays as it was:"]
    if missing:
        lines.append(f"  {len(missing)} of its {len(own)} entries are missing: {_short(missing)}")
    if unknown:
        lines.append(f"  {len(unknown)} of the file's {len(state)} entries are unknown: {_short(unknown)}")
    lines += [f"  {error}" for error in errors[:_SHOWN]]
    lines += [f"  and {len(errors) - _SHOWN} more such errors"] if len(errors) > _SHOWN else []
    if missing and unknown:
        lines.append(
            "If only the names differ, load them with minicnn.models.load_weights(model, weights, rename=...), a dict "
            "from old to new beginnings or a function of the name. Else they are the weights of another net"
        )
    else:
        lines.append(
            _without(model, [] if unknown or errors else missing)
            or _other_images(model, state)
            or "They are the weights of another net, or of one that was built with other options"
        )
    return "\n".join(lines)


def _without(model: Module, missing: list[str]) -> str:
    """What to do if nothing is missing but the layer that gives the classes, or auxiliary heads; else ""."""
    last = _last_layer(model)
    auxiliary = {key.partition(".")[0] for key in missing if key.lower().startswith("aux")}
    head = {key.rpartition(".")[0] for key in missing if key.partition(".")[0] not in auxiliary}
    if not missing or not head <= {last} or (auxiliary and not hasattr(model, "aux_logits")):
        return ""
    name, parts, ways = type(model).__name__, [], []
    if auxiliary:
        parts.append(f"auxiliary heads ({', '.join(sorted(auxiliary))})")
        ways.append(f"build the {name} with aux_logits=False")
    if head:
        parts.append(f"a head ({last})")
        ways.append("load all but the head: minicnn.models.load_weights(model, weights, skip_head=True)")
    return f"They are the weights of a net without {' and without '.join(parts)}: {', and '.join(ways)}"


def _other_images(model: Module, state: Mapping[str, Any]) -> str:
    """What to do if the first convolution takes images with another number of channels; else ""."""
    layer = next((n for n, m in model.named_modules() if isinstance(m, Conv2d)), None)
    here, given = _shape(model.state_dict().get(f"{layer}.weight")), _shape(state.get(f"{layer}.weight"))
    if here is None or given is None or len(given) != 4 or (here[0], *here[2:]) != (given[0], *given[2:]):
        return ""
    return "" if here[1] == given[1] else (
        f"They are the weights of a net for images of {counted(given[1], 'channel')}, and this one is for {here[1]}: "
        f"build it with in_channels={given[1]}, or give {layer}.weight of the file the shape {here}, for example by a "
        "sum over its channels"
    )  # fmt: skip


def _built_without(model: Module, key: str) -> bool:
    """Whether an entry belongs to a part that is None in the net."""
    module: Any = model
    for part in key.split("."):
        module = getattr(module, part, False)
        if module is None:
            return True
        if not isinstance(module, Module):
            return False
    return False


def _shape(value: Any) -> Any:
    return tuple(value.shape) if hasattr(value, "shape") else None


def _short(names: Iterable[Any]) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(str(name)[:80] for name in names[:_SHOWN]) + more
