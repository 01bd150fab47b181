"""Why a net does not take an input: the layer, its input, what it needs, and the remedy."""

from __future__ import annotations

import re
from typing import Any

from minicnn_kernels.geometry import ShapeError, counted

from .costs import arithmetic
from .graph import Call, Graph, Value

# What a layer fixes about its input: the attribute with the size, and the axis of the input it is about.
_NEEDS = (("in_channels", 1), ("num_features", 1), ("num_channels", 1), ("in_features", -1))

_SIDES = ("D", "H", "W")


def explanation(graph: Graph) -> str:
    """Return the message of the error that ended a run, with the layer, its input and the remedy."""
    call = graph.failed
    if graph.error is None or call is None:
        return ""
    text = f"{graph.error}".rstrip(".") + f". This happens in {_title(call)}"
    x = call.inputs[0] if call.inputs else None
    if x is not None and has_other_axes(graph):
        axes = _axes(call)
        size, layout = tuple(x.shape[1:]), f"({', '.join(axes)})"
        if len(size) == len(axes) + 1:
            remedy = f"input_size is without the batch axis: give {size[1:]} instead of {size}"
            return f"{remedy}. {_title(call)} takes inputs {layout}."
        given = f"input_size {size} has {len(size)} {'axis' if len(size) == 1 else 'axes'}"
        return f"{given}, and {_title(call)} takes inputs of {len(axes)}, {layout}, without the batch axis."
    if x is None:
        return text + "."
    text += f", whose input of shape {tuple(x.shape[1:])} for each image is {_origin(x)}"
    return f"{text}. {_remedy(call, x)}".rstrip()


def explained(graph: Graph) -> Exception | None:
    """Return the error that ended a run, one about shapes with its explanation; None if the run did not fail."""
    error = graph.error
    if not isinstance(error, ShapeError) or graph.failed is None:
        return error
    told = type(error)(explanation(graph))
    told.__cause__ = error
    return told


def has_other_axes(graph: Graph) -> bool:
    """Return whether the run ended in a layer that takes inputs of more or fewer axes than the net's input has."""
    x = graph.failed.inputs[0] if graph.failed is not None and graph.failed.inputs else None
    if graph.failed is None or x is None or x.kind != "input":
        return False
    axes = _axes(graph.failed)
    return bool(axes) and len(x.shape) - 1 != len(axes)


def _title(call: Call) -> str:
    return f"{call.name} ({call.kind})" if call.name else f"the forward of {call.kind} itself"


def _axes(call: Call) -> tuple[str, ...]:
    """Return the axes of one input of a layer for signals, images or volumes; () of other layers."""
    for kind in type(call.module).__mro__:
        if (kind.__module__ or "").startswith("minicnn.nn."):
            found = re.search(r"([123])d$", kind.__name__)
            both = kind.__name__ == "BatchNorm1d"  # takes (C,) and (C, W)
            return ("C", *_SIDES[-int(found[1]) :]) if found and not both else ()
    return ()


def _origin(x: Value) -> str:
    """Return where a tensor comes from, with the arithmetic of its size."""
    if x.producer is None:
        return "the net's own" if x.kind == "input" else f"a {x.kind}"
    made = x.producer
    sizes = arithmetic(made)
    source = made.call.name or made.name
    kind = made.call.kind if made.call.name else "a function"
    return f"that which {source} ({kind}) gives" + (f" ({sizes})" if sizes else "")


def _remedy(call: Call, x: Value) -> str:
    """Return what the layer needs, and what to do."""
    module: Any = call.module
    for attribute, axis in _NEEDS:
        wanted = getattr(module, attribute, None)
        if not isinstance(wanted, int) or len(x.shape) < 2 or x.shape[axis] == wanted:
            continue
        got, kind = x.shape[axis], call.kind
        what = counted(wanted, "value" if axis == -1 else "channel")
        needs = f"It needs {what} and gets {got}: build it with {kind}({got}, ...)"
        if attribute == "in_features" and x.producer is not None:
            return f"{needs}, or give images of the size that the net is made for, or pool to a fixed size before " \
                   "(nn.AdaptiveAvgPool2d)."  # fmt: skip
        if x.kind == "input":
            return f"{needs}, or give inputs with {what}."
        return f"{needs}, or let the layer before give {wanted}."
    return ""
