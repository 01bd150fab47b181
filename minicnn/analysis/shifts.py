"""What a net does to a shift of its input, from what each operation does to the sides of the image.

A tensor is bound to places if an operation treated one place otherwise than another: by a weight, a bias or a constant
of its own for each place, by taking one of the rows, by an order such as that of a running sum. What is bound is
neither equivariant nor invariant. Of the rest, a map whose rows and columns move with the image is equivariant, and
what has none any more is invariant.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..ops.adaptive_pooling import MaxUnpool
from ..ops.batchnorm import BatchNormEvaluation, BatchNormTraining
from ..ops.conv import Convolution
from ..ops.conv_transpose import TransposedConvolution
from ..ops.linear import Linear
from ..ops.normalization import GroupNorm
from ..ops.pooling import AvgPool, MaxPool
from ..ops.slopes import PRelu
from ..ops.tensor.concatenate import Cat
from ..ops.tensor.cumulative import Cumulative, CumulativeOnCpu, RunningExtremum
from ..ops.tensor.diagonal import DIAGONAL, TRIL, TRIU
from ..ops.tensor.elementwise import Elementwise
from ..ops.tensor.expand import EXPAND
from ..ops.tensor.gather import Gather
from ..ops.tensor.indexing import Index, Put
from ..ops.tensor.linear_map import Map, View
from ..ops.tensor.matmul import Matmul
from ..ops.tensor.max_min import Pick, PickOnCpu
from ..ops.tensor.reduction import Reduction
from ..ops.tensor.sorting import Ordered
from ..ops.tensor.types import Cast
from .fields import Side
from .graph import Graph, Operation, Value
from .moves import without_ellipsis
from .propagation import Sides, has_rule

_POOLS = (MaxPool, AvgPool)
_WEIGHED = (Convolution, TransposedConvolution, Linear, Matmul, MaxUnpool, *_POOLS)  # with the same weights everywhere
_PICKS = (Pick, PickOnCpu)
_ALIKE = (Reduction, *_PICKS, *_POOLS)  # what they make of many places does not depend on their order
_ORDERS = {Cumulative: 2, CumulativeOnCpu: 2, RunningExtremum: 2, Ordered: 1, Gather: 2}  # the argument with the axis


def shift_of(graph: Graph, sides: dict[int, Sides], output: Value) -> str:
    """Return what a net does to a shift: "equivariant", "invariant" or "neither"."""
    bound: set[int] = set()
    for operation in graph.operations:
        pairs = [sides.get(id(v)) for v in operation.inputs]
        if not any(pairs):
            continue
        used = {id(v) for v in operation.inputs}
        origins = {id(_origin(v)) for v in operation.inputs if v.by_image}
        if operation.function is Cat and len(origins) == 1:  # parts of one tensor, put together again
            used = origins
        old = not used.isdisjoint(bound)
        for number, value in enumerate(operation.outputs):
            if old or any(_binds(operation, number, pairs, sides[id(value)], which) for which in (0, 1)):
                bound.add(id(value))
    moving = [side for side in sides[id(output)] if side.placed]
    if id(output) in bound:
        return "neither"
    if not moving:
        return "invariant"
    lying = [side.lying() for side in moving]
    apart = all(len(axes) == 1 for axes in lying) and (len(lying) == 1 or lying[0] < lying[1])
    ahead = apart and all(side.step(axes[0]) > 0 for side, axes in zip(moving, lying, strict=True))
    return "equivariant" if ahead else "neither"


def _binds(operation: Operation, number: int, pairs: Sequence[Sides | None], after: Sides, which: int) -> bool:
    """Return whether an operation treats the places along a side of the image differently."""
    given = [None if pair is None else pair[which] for pair in pairs]
    moving = [side for side in given if side is not None and side.placed]
    function, y = operation.function, after[which]
    if function is Cat and y.placed and operation.options["dim"] in y.moving() and _joins_parts(operation, y):
        return True
    if not moving:
        return False
    if not has_rule(operation) or not (y.placed or _is_alike(operation, given)):
        return True
    if function in _ORDERS:
        return operation.arguments[_ORDERS[function]] in moving[0].moving()
    if function in _PICKS and number:  # the places of the largest values
        return operation.arguments[2] in moving[0].moving()
    if function is Reduction and operation.name in ("argmax", "argmin"):
        return any(axis in moving[0].moving() for axis in operation.options["axes"])
    if function in _WEIGHED:
        return False
    if function is Index:
        return _picks(operation, moving[0])
    if function in (Map, View):
        return _cuts(operation, moving[0])
    if function is Put and _writes_constant(operation, given, moving[0]):
        return True
    return len(_ways(operation, given)) > 1 or any(_has_places(operation, axis) for axis in _coarse(y))


def _is_alike(operation: Operation, given: Sequence[Side | None]) -> bool:
    return operation.function in _ALIKE or (operation.function is Matmul and None not in given)


def _coarse(side: Side) -> set[int]:
    """Return the axes along which the window moves the furthest: in others, places repeat after each of its steps."""
    jumps = [abs(jump) if n > 1 else 0.0 for jump, n in zip(side.jumps, side.parts, strict=True)]
    return {axis for axis in range(len(side.groups)) if any(jumps[d] == max(jumps) > 0 for d in side.dims(axis))}


def _ways(operation: Operation, given: Sequence[Side | None]) -> set[tuple[int, float]]:
    """Return how the windows of the operands move along the same axis, if they do not all move in the same way."""
    rank = len(operation.outputs[0].shape)
    found = [
        (axis + rank - len(side.groups), round(side.step(axis), 6))
        for side in given if side is not None and side.placed
        for axis in side.moving() if side.shape[axis] > 1
    ]  # fmt: skip
    return {way for way in found for other in found if way[0] == other[0] and way[1] != other[1]}


def _picks(operation: Operation, side: Side) -> bool:
    """Return whether index tensors take rows of the image in another order than theirs."""
    where = [axis for axis in operation.options["where"] if axis in side.moving()]
    if not where:
        return False
    numbers = operation.inputs[1].numbers
    if numbers is None or len(operation.options["where"]) > 1:
        return True
    steps, rows = np.diff(numbers.ravel()), side.shape[where[0]]
    repeats = len(numbers.ravel()) // max(rows, 1)
    even = len(steps) > 0 and steps[0] > 0 and (steps == steps[0]).all()
    return not (even or np.array_equal(numbers.ravel(), np.repeat(np.arange(rows), max(repeats, 1))))


def _cuts(operation: Operation, side: Side) -> bool:
    """Return whether a map takes a triangle or diagonal of the image."""
    row, rank = operation.arguments[1], len(side.groups)
    axes = operation.arguments[3:5] if row is DIAGONAL else (rank - 2, rank - 1) if row in (TRIL, TRIU) else ()
    return any(axis in side.moving() for axis in axes)


def _writes_constant(operation: Operation, given: Sequence[Side | None], side: Side) -> bool:
    """Return whether a constant overwrites some places of the image and not others."""
    if given[0] is None or given[1] is not None:
        return False
    at = [one for one in without_ellipsis(operation.options["view"], len(side.groups)) if one is not None]
    part = [
        axis for axis, (one, n) in enumerate(zip(at, side.shape, strict=True))
        if not isinstance(one, slice) or range(*one.indices(n)) != range(n)
    ]  # fmt: skip
    return bool(operation.options["where"]) or any(axis in side.moving() for axis in part)


def _joins_parts(operation: Operation, after: Side) -> bool:
    """Return whether different things come one after the other along a side of the image, or its rows in any order."""
    parts = [v for v in operation.inputs if v.by_image]
    if len(parts) < 2 or len({id(_origin(v)) for v in parts}) > 1:
        return len(parts) > 1
    d = after.dims(operation.options["dim"]).start
    line = np.moveaxis(after.begin, d, -1).reshape(-1, after.begin.shape[d])[0]
    with np.errstate(invalid="ignore"):  # Inf - Inf, of rows without pixels
        return int((np.diff(line) != after.jumps[d]).sum()) > 2  # more than a roll, or a padding at both ends


def _origin(value: Value) -> Value:
    """Return the tensor whose elements were only moved to make this one."""
    while value.producer is not None and value.producer.function in (Map, View):
        value = value.producer.inputs[0]
    return value


def _has_places(operation: Operation, axis: int) -> bool:
    """Return whether an operand that the image does not change has different values along an axis of the result."""
    function, rank = operation.function, len(operation.outputs[0].shape)
    constants = [(v, rank - len(v.shape)) for v in operation.inputs if not v.by_image]
    if function in (BatchNormEvaluation, BatchNormTraining, PRelu):
        constants = [(v, 1) for v, _ in constants]  # a number for each channel
    elif function is GroupNorm and operation.options["shape"] == operation.inputs[0].shape:
        constants = [(v, 1) for v, _ in constants]
    elif function is Cat and axis == operation.options["dim"]:
        return False  # before or after the image, as a padding
    elif function is Put:  # what is there before is a canvas; its values are seldom known
        constants = [(v, first) for v, first in constants if v is not operation.inputs[0]]
    return any(0 <= axis - first < len(v.shape) and varies(v, axis - first) for v, first in constants)


def varies(value: Value, axis: int) -> bool:
    """Return whether a tensor that the image does not change may have different values along an axis."""
    n = value.shape[axis]
    if n == 1:
        return False
    if value.numbers is not None:
        return not bool((value.numbers == value.numbers.take([0], axis)).all())
    made = value.producer
    if made is None:
        return True
    if made.function is Elementwise or made.function is Cast:
        first = [(v, axis - len(value.shape) + len(v.shape)) for v in made.inputs]
        return any(place >= 0 and varies(v, place) for v, place in first)
    if made.function is View and made.arguments[1] is EXPAND:
        source = made.inputs[0]
        place = axis - len(value.shape) + len(source.shape)
        return place >= 0 and varies(source, place)
    return True
