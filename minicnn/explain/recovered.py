"""Values of a graph whose forward pass is over: what operations saved, and formulas that are computed again.

The tape keeps no results, but enough to show those of a formula such as (a * b + c).tanh():

- an elementwise operation saves operands, a, b and c, or its result y, by name; a ReLU, tanh or sigmoid saves y;
- the result of an elementwise operation with known operands is its row's function of them.

If a tensor has been changed since, for example by an optimiser, a formula gives other values than it gave. So a tensor
that was ever written to is no operand, unless the operation saved it unchanged. Whatever is known in two ways is
compared, the loss above all; if it differs, no formula counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array, host

from ..autograd.engine import Node
from ..ops.activation_functions import Relu, Sigmoid, Tanh
from ..ops.tensor.elementwise import Elementwise
from .tape import Numbers, Operation, Value

_SAVE_THEIR_RESULT = (Relu, Tanh, Sigmoid)
_OPERANDS = "abc"


def recover(nodes: Mapping[Node, Operation], written: Collection[Value]) -> None:
    """Fill in the values that can be told.

    Args:
        nodes: in the order of the forward pass; the numbers of leaves and of the loss are known.
        written: tensors whose numbers may be later ones.
    """
    for node, operation in nodes.items():
        have = _saved(node)
        _fill(operation.outputs[0], have.get("y"))
        for one in operation.inputs:
            _fill(one.value, have.get(_OPERANDS[one.argument]) if one.argument < len(_OPERANDS) else None)
    again: dict[Value, Numbers] = {}
    for node, operation in nodes.items():
        result = operation.outputs[0]
        found = _computed(node, operation, again, written)
        if found is None or found.shape != result.shape:
            continue
        if result.numbers is None:
            numbers = Numbers.of(found.astype(result.dtype))
            assert numbers is not None
            again[result] = numbers
        elif result not in written and not _agree(result.numbers, found):
            return
    for value, numbers in again.items():
        value.numbers = numbers


def _saved(node: Node) -> dict[str, Any]:
    """The saved arrays by name, unless they were freed or changed, or hooks keep them, as those of a checkpoint."""
    if node._saved is None or node._packed:
        return {}
    arrays = node.unchanged if node._versions else node._saved
    if node.function in _SAVE_THEIR_RESULT:
        return {"y": arrays[0]}
    if node.function is not Elementwise:
        return {}
    return dict(zip(node.names, arrays, strict=True))


def _fill(value: Value, saved: Any) -> None:
    if value.numbers is None and saved is not None and np.shape(saved) == value.shape:
        value.numbers = Numbers.of(saved)


def _computed(
    node: Any, operation: Operation, again: Mapping[Value, Numbers], written: Collection[Value]
) -> Array | None:
    """The result of an elementwise operation of small tensors, if all its operands are known."""
    if node.function is not Elementwise or node.options:
        return None
    have, known = _saved(node), {one.argument: one.value for one in operation.inputs if one.value not in written}
    operands: list[Any] = []
    for argument in range(len(node.operands)):
        if argument in known:
            numbers = known[argument].numbers or again.get(known[argument])
            operands.append(None if numbers is None else numbers.values)
        else:
            operands.append(have.get(_OPERANDS[argument]))
    if any(operand is None for operand in operands):
        return None
    dtype = operation.outputs[0].dtype
    with np.errstate(all="ignore"):
        return np.asarray(
            node.row.function(*[np.asarray(host(o) if hasattr(o, "dtype") else o, dtype) for o in operands])
        )


def _agree(numbers: Numbers, found: Array) -> bool:
    return numbers.values is None or bool(np.allclose(numbers.values, found, rtol=1e-4, atol=1e-6, equal_nan=True))
