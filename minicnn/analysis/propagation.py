"""The fields of every tensor of a net, operation by operation, by the rules of `fields.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minicnn_kernels.geometry import Conv, Pool

from ..ops.activation_functions import Activation, Relu, Sigmoid, Tanh
from ..ops.adaptive_pooling import MaxUnpool
from ..ops.batchnorm import BatchNormEvaluation, BatchNormTraining
from ..ops.conv import Convolution
from ..ops.conv_transpose import TransposedConvolution
from ..ops.dropout import Dropout
from ..ops.linear import Linear
from ..ops.normalization import GroupNorm, LocalResponseNorm
from ..ops.pooling import AvgPool, MaxPool
from ..ops.slopes import PRelu, RandomRelu
from ..ops.softmax import LogSoftmax, Softmax
from ..ops.tensor.clamp import Where
from ..ops.tensor.concatenate import Cat, Split, Unbind
from ..ops.tensor.cumulative import Cumulative, CumulativeOnCpu, RunningExtremum
from ..ops.tensor.elementwise import Elementwise
from ..ops.tensor.gather import Gather
from ..ops.tensor.indexing import Index, Put
from ..ops.tensor.linear_map import Map, View
from ..ops.tensor.masks import MaskedFill
from ..ops.tensor.matmul import Matmul
from ..ops.tensor.max_min import Pick, PickOnCpu
from ..ops.tensor.reduction import Reduction
from ..ops.tensor.sorting import Ordered
from ..ops.tensor.types import Cast, PageLocked, ToDevice
from .fields import Shape, Side
from .graph import Graph, Operation, Value
from .moves import MOVES, moved, put, returned, taken
from .unions import joined, nothing, union

Sides = tuple[Side, Side]  # height, width
Given = list[Side | None]  # for each input of an operation; None: it does not depend on the image


def propagate(graph: Graph, image: Value) -> dict[int, Sides]:
    """Return the sides of every tensor that depends on an input of the net, by the id of its `Value`.

    The input is (N, C, H, W), or a signal (N, C, L) or vector (N, F), an image of one row.
    """
    rank = len(image.shape)
    height = Side.of_input(image.shape, rank - 2 if rank > 3 else None)
    found: dict[int, Sides] = {id(image): (height, Side.of_input(image.shape, rank - 1 if rank > 1 else None))}
    for operation in graph.operations:
        given = [found.get(id(v)) for v in operation.inputs]
        if not any(given):
            continue
        rule = _RULES.get(operation.function, _unknown)
        for number, output in enumerate(operation.outputs):
            sides = [[None if pair is None else pair[which] for pair in given] for which in (0, 1)]
            use = _unknown if 0 in output.shape else rule
            found[id(output)] = use(operation, sides[0], number), use(operation, sides[1], number)
    return found


def has_rule(operation: Operation) -> bool:
    """Return whether there is a rule for an operation; without one, every element depends on every other."""
    if operation.function in (Map, View):
        return operation.arguments[1] in MOVES
    return operation.function in _RULES


def _of(operation: Operation, given: Given, number: int, along: Callable[[int, Side], Side]) -> Side:
    """Return the union of what the inputs, by their numbers, give to an output."""
    sides = [along(i, side) for i, side in enumerate(given) if side is not None]
    return union(sides, operation.outputs[number].shape)


def _pointwise(operation: Operation, given: Given, number: int) -> Side:
    """Each element depends on those at its place; operands are broadcast."""
    return _of(operation, given, number, lambda _, side: side)


def _unknown(operation: Operation, given: Given, number: int) -> Side:
    """An operation without a rule: every element depends on every other."""
    shape = operation.outputs[number].shape
    return _of(operation, given, number, lambda _, side: side.everywhere(shape))


def _first(operation: Operation, given: Given, number: int, along: Callable[[Side], Side]) -> Side:
    """The first input by a rule; every element depends on all of the others, such as weights made from the image."""
    shape = operation.outputs[number].shape
    return _of(operation, given, number, lambda i, side: side.everywhere(shape) if i else along(side))


def _channelwise(operation: Operation, given: Given, number: int) -> Side:
    return _first(operation, given, number, lambda side: side)


def _passed(operation: Operation, given: Given, number: int) -> Side:
    """The passage through a layer, or a write to the memory of a view."""
    if operation.name != "overwritten":
        return _pointwise(operation, given, number)
    (x, now), (before, after) = operation.inputs, given
    target = now.producer.inputs[0] if now.producer is not None and now.producer.inputs else None  # what was written to
    if target is not None and after is not None:
        view, made = target.producer, x.producer
        if view is not None and view.function is View and view.inputs[0] is x:
            found = returned(view, before, after, x.shape)
            if found is not None:
                return found
        if made is not None and made.function is View and made.inputs[0] is target:
            return moved(made, after)
    return _unknown(operation, given, number)


def _windows(operation: Operation, given: Given, number: int) -> Side:
    function, x, y = operation.function, operation.inputs[0], operation.outputs[number]
    conv = function in (Convolution, TransposedConvolution)
    g: Any = operation.argument(Conv if conv else Pool)
    rank = len(operation.inputs[1].shape) - 2 if conv else operation.arguments[3 if function is MaxUnpool else 2]
    first = len(x.shape) - rank  # of the axes of the windows

    def along(side: Side) -> Side:
        if conv:
            side = _channels(side, first - 1, g.groups, y.shape[first - 1])
        for axis in range(first, first + rank):
            at = axis - len(x.shape) + 2  # in pairs: 0 for the height, 1 for the width
            k, s, p, d = ((a, b)[at] for a, b in ((g.kh, g.kw), (g.sh, g.sw), (g.ph, g.pw), (g.dh, g.dw)))
            size, out = (g.h, g.w)[at], (g.oh, g.ow)[at]
            if function in (TransposedConvolution, MaxUnpool):
                side = side.transposed(axis, k, s, p, d, size)
            elif not conv and g.adaptive:
                rows = np.arange(out)
                side = side.ranges(axis, rows * size // out, -(-(rows + 1) * size // out))
            else:
                side = side.window(axis, k, s, p, d, out)
        return side

    if function is MaxUnpool:
        return _of(operation, given, number, lambda _, side: along(side))
    return _first(operation, given, number, along)


def _channels(side: Side, axis: int, groups: int, out: int) -> Side:
    """Return the side after a convolution along its axis of channels: each sees all channels of its group."""
    if groups == 1 or side.same(axis):
        return side.pooled((axis,)).resized(axis, out)
    shape = side.shape
    side = side.reshaped((*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :]))
    side = side.pooled((axis + 1,)).resized(axis + 1, out // groups)
    return side.reshaped((*shape[:axis], out, *shape[axis + 1 :]))


def _linear(operation: Operation, given: Given, number: int) -> Side:
    out = operation.outputs[number].shape[-1]
    return _first(operation, given, number, lambda side: side.pooled((1,)).resized(1, out))


def _matmul(operation: Operation, given: Given, number: int) -> Side:
    """An element depends on its row of the left operand and on its column of the right one."""

    def along(i: int, side: Side) -> Side:
        axis = len(side.groups) - (2 if i else 1)
        return side.pooled((axis,)).resized(axis, 1)

    return _of(operation, given, number, along)


def _reduced(side: Side, axes: tuple[int, ...], keepdim: bool, shape: Shape) -> Side:
    found = side.pooled(axes)
    for axis in axes:
        moves = [abs(side.jumps[d]) * side.parts[d] for d in side.dims(axis)]
        found = found.resized(axis, 1, max(moves) if keepdim else 0.0)
    return found if keepdim else found.reshaped(shape)


def _reduction(operation: Operation, given: Given, number: int) -> Side:
    axes, keepdim, shape = operation.options["axes"], operation.options["keepdim"], operation.outputs[number].shape
    return _first(operation, given, number, lambda side: _reduced(side, axes, keepdim, shape))


def _pick(operation: Operation, given: Given, number: int) -> Side:
    """The largest element along an axis, or the median ..."""
    axis, keepdim = operation.arguments[2:4]
    axes, shape = (axis,) if operation.inputs[0].shape else (), operation.outputs[number].shape
    return _first(operation, given, number, lambda side: _reduced(side, axes, keepdim, shape))


def _sort(operation: Operation, given: Given, number: int) -> Side:
    """Each element could come from any place along the axis."""
    axis, rows = operation.arguments[1], operation.outputs[number].shape[operation.arguments[1]]
    return _first(operation, given, number, lambda side: side.pooled((axis,)).resized(axis, rows))


def _running(operation: Operation, given: Given, number: int) -> Side:
    """Each element depends on those before it along an axis."""
    axis = operation.arguments[2]

    def along(side: Side) -> Side:
        if not side.groups or side.same(axis):
            return side
        side = side.single(axis)
        i = side.dims(axis).start
        first, begin = (np.minimum.accumulate(a, i) for a in (side.first, side.begin))
        last, end = (np.maximum.accumulate(a, i) for a in (side.last, side.end))
        return replace(side, first=first, last=last, begin=begin, end=end).measured()

    return _first(operation, given, number, along)


def _softmax(operation: Operation, given: Given, number: int) -> Side:
    return _first(operation, given, number, lambda side: side.mixed((operation.arguments[1],)))


def _group_norm(operation: Operation, given: Given, number: int) -> Side:
    """Normalisation over the last axes, or over the channels of a group and all axes after them."""
    shape, groups, x = operation.options["shape"], operation.options["groups"], operation.inputs[0].shape
    if number:  # the means and variances, (N, groups)
        return _unknown(operation, given, number)

    def along(side: Side) -> Side:
        if shape != x:
            first = next((i for i in range(len(x)) if math.prod(x[i:]) == shape[1]), 0)
            return side.mixed(range(first, len(x)))
        apart = side.reshaped((x[0], groups, x[1] // groups, *x[2:]))
        return apart.mixed(range(2, len(x) + 1)).reshaped(x)

    return _first(operation, given, number, along)


def _batch_norm(operation: Operation, given: Given, number: int) -> Side:
    """Normalisation by the statistics of the channel."""
    if number:
        return _unknown(operation, given, number)
    axes = [axis for axis in range(len(operation.inputs[0].shape)) if axis != 1]
    return _first(operation, given, number, lambda side: side.mixed(axes))


def _local_response(operation: Operation, given: Given, number: int) -> Side:
    """Normalisation by neighbouring channels: as if by all."""
    return _first(operation, given, number, lambda side: side.mixed((1,)))


def _cat(operation: Operation, given: Given, number: int) -> Side:
    dim, y = operation.options["dim"], operation.outputs[number]
    return joined(given, [v.shape[dim] for v in operation.inputs], dim, y.shape)


def _index(operation: Operation, given: Given, number: int) -> Side:
    """Elements at index tensors; where their numbers are not known before the net runs, each could be any."""
    x, indices, where = operation.inputs[0], operation.inputs[1:], operation.options["where"]
    shape = operation.outputs[number].shape
    rest = [axis for axis in range(len(x.shape)) if axis not in where]
    first = where[0] if where[-1] - where[0] == len(where) - 1 else 0  # of the axes of the indices in the result
    sizes = [x.shape[axis] for axis in where]
    common = np.broadcast_shapes(*[v.shape for v in indices])
    known = [v.numbers for v in indices if v.numbers is not None]

    def along(side: Side) -> Side:
        found = side.permuted((*where, *rest)).reshaped((math.prod(sizes), *[x.shape[axis] for axis in rest]))
        if len(known) < len(indices):
            found = found.pooled((0,)).resized(0, math.prod(common))
        else:
            places = [np.broadcast_to(i, common).ravel() % n for i, n in zip(known, sizes, strict=True)]
            found = taken(found, 0, np.ravel_multi_index(places, sizes))
        found = found.reshaped((*common, *[x.shape[axis] for axis in rest]))
        order = list(range(len(common), len(shape)))
        order[first:first] = range(len(common))
        return found.permuted(order)

    return _first(operation, given, number, along)


def _gather(operation: Operation, given: Given, number: int) -> Side:
    """Elements at other places along one axis; along the others each from its own place."""
    dim, shape = operation.arguments[2], operation.outputs[number].shape

    def along(i: int, side: Side) -> Side:
        if i:
            return side
        found = side.pooled((dim,)).resized(dim, shape[dim])
        for axis, n in enumerate(shape):
            found = found if found.shape[axis] == n else taken(found, axis, np.arange(n))
        return found

    return _of(operation, given, number, along)


def _put(operation: Operation, given: Given, number: int) -> Side:
    """Each element depends on what was there before, or on the value that is written there."""
    before, value, *indices = given
    shape, add = operation.outputs[number].shape, operation.options["add"]
    if any(indices) or (value is not None and operation.options["where"]):
        return _unknown(operation, given, number)
    if value is None:  # a constant
        assert before is not None
        if add or operation.options["where"]:
            return before  # where index tensors point to is an upper bound
        value = nothing(operation.inputs[1].shape)
    return put(before, value, operation.options["view"], shape, add)


def _split(operation: Operation, given: Given, number: int) -> Side:
    ends, dim = operation.arguments[1:3]
    cuts = [0, *ends, operation.inputs[0].shape[dim]]
    return _first(operation, given, number, lambda side: taken(side, dim, np.arange(cuts[number], cuts[number + 1])))


def _unbind(operation: Operation, given: Given, number: int) -> Side:
    dim, shape = operation.arguments[1], operation.outputs[number].shape

    def along(side: Side) -> Side:
        return taken(side, dim, np.array([number])).pooled((dim,)).resized(dim, 1).reshaped(shape)

    return _first(operation, given, number, along)


def _map(operation: Operation, given: Given, number: int) -> Side:
    return _first(operation, given, number, lambda side: moved(operation, side))


POINTWISE = (Elementwise, Relu, Tanh, Sigmoid, Activation, Cast, ToDevice, PageLocked, Dropout, Where, MaskedFill)
_RULES: dict[Any, Callable[[Operation, Given, int], Side]] = {
    None: _passed,
    **dict.fromkeys(POINTWISE, _pointwise),
    **dict.fromkeys((PRelu, RandomRelu, BatchNormEvaluation), _channelwise),
    **dict.fromkeys((Convolution, TransposedConvolution, MaxPool, AvgPool, MaxUnpool), _windows),
    Linear: _linear,
    Matmul: _matmul,
    Reduction: _reduction,
    **dict.fromkeys((Pick, PickOnCpu), _pick),
    Ordered: _sort,
    **dict.fromkeys((Cumulative, CumulativeOnCpu, RunningExtremum), _running),
    **dict.fromkeys((Softmax, LogSoftmax), _softmax),
    GroupNorm: _group_norm,
    BatchNormTraining: _batch_norm,
    LocalResponseNorm: _local_response,
    Cat: _cat,
    Index: _index,
    Gather: _gather,
    Put: _put,
    Split: _split,
    Unbind: _unbind,
    **dict.fromkeys((Map, View), _map),
}  # fmt: skip
