"""One compiled call for all tensors of a group.

A net has many small tensors: of the ten of LeNet-5 eight hold fewer than 3000 numbers. With a call for each, Python
takes several times as long as the arithmetic. So a step looks whether everything still lies where it lay in the step
before, notes where the new gradients are, and makes one call of `compiled.run`. What it looks at is kept in a `Plan`.

Some tensors cannot take part: those of another type than float32 or float64, with gaps in memory, or that share memory
with others, so that it matters which comes first. Their rule runs piece by piece, as without Numba.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from operator import attrgetter, is_
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.dispatch import compiles
from minicnn_kernels.layout import as_order

from ..device import Meta
from ..tensor import Array, Tensor
from . import compiled
from .elementwise import Elementwise, Group, Rule, State, by_pieces

_LAST = 0, 2, 3, 1  # the axes of (N, C, H, W) as they lie in channels-last memory
_first: Any = ctypes.c_char.from_buffer  # the first byte of an array, which must be C-contiguous and writable
_shape, _dtype, _writable = attrgetter("shape"), attrgetter("dtype"), attrgetter("flags.writeable")


class Loop(NamedTuple):
    """A rule in NumPy operations, the buffers in the state that it changes, and the same compiled, if it is: which of
    the loops of `compiled`, and its numbers. The loop also does what `maximize`, `weight_decay` and
    `decoupled_weight_decay` ask for.
    """

    rule: Rule
    buffers: tuple[str, ...]
    loop: int | None = None
    numbers: tuple[float, ...] = ()


class Together(Elementwise):
    """An optimiser whose rule is also a compiled loop. A subclass gives `turn` and `loop` instead of `rule`."""

    _plans: dict[int, Plan]  # of the groups, by their ids

    def turn(self, group: Group, state: State, p: Tensor) -> float:
        """Count the step in the state; give the number that the rule depends on besides the options of the group."""
        raise NotImplementedError

    def loop(self, group: Group, turn: float) -> Loop:
        """The rule for all parameters of a group whose `turn` this is."""
        raise NotImplementedError

    def rule(self, group: Group, state: State, p: Tensor) -> tuple[Rule, tuple[str, ...]]:
        """The rule of `loop` in NumPy operations."""
        loop = self.loop(group, self.turn(group, state, p))
        return loop.rule, loop.buffers

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._plans = {}

    def _update_group(self, group: Group) -> None:
        params = [p for p in group["params"] if p._grad is not None]
        if not params or not compiles():
            self._plans.pop(id(group), None)
            return super()._update_group(group)
        xs, gs = [p._array for p in params], [p._grad._array for p in params]
        plan = self._plans.get(id(group))
        if plan is None or not plan.fits(xs, gs) or group.get("capturable"):
            if any(type(x) is Meta for x in xs):
                return super()._update_group(group)
            for p, g in zip(params, gs, strict=True):
                self._check(group, p, g)
            plan = None
            there = {id(group) for group in self.param_groups}
            self._plans = {key: kept for key, kept in self._plans.items() if key in there}
        states = [self.state[p] or self._started(group, p) for p in params]
        turns = [self.turn(group, state, p) for state, p in zip(states, params, strict=True)]
        loops = {turn: self.loop(group, turn) for turn in dict.fromkeys(turns)}
        one = loops[turns[0]]
        buffers = [[state[name]._array for state in states] for name in one.buffers]
        if plan is None or not plan.goes_on(buffers):
            plan = self._plans[id(group)] = Plan(xs, buffers, one.loop is not None)
        done = plan.run(gs, turns, loops)
        for p in params:
            p._version[0] += 1
        if plan.rest or not done:
            with np.errstate(all="ignore"):
                for i in plan.rest if done else range(len(params)):
                    by_pieces(loops[turns[i]].rule, group, [xs[i], gs[i], *(arrays[i] for arrays in buffers)])
        return None


class Plan:
    """Where the parameters of a group lie that have a gradient, and their buffers.

    The memory of an array does not move, unless somebody resizes it. So the plan holds as long as the arrays are the
    same objects of the same shapes.

    Args:
        xs: the arrays of the parameters.
        buffers: for each buffer of the rule, the arrays of all parameters.
        looped: whether the rule has a compiled loop.
    """

    def __init__(self, xs: list[Array], buffers: list[list[Array]], looped: bool) -> None:
        self.xs, self.buffers = xs, buffers
        self.shapes = [x.shape for x in xs]
        written = list(zip(xs, *buffers, strict=True))
        kinds = [x.dtype for x in xs if x.dtype in (np.float32, np.float64)]
        alone = _overlapping(written) if looped and kinds else range(len(xs))
        self.rows = [
            i for i, x in enumerate(xs) if i not in alone and all(_lies_like(a, x, kinds[0]) for a in written[i])
        ]
        self.rest = sorted({*range(len(xs))}.difference(self.rows))
        if self.rows:
            self.orders = [_order(xs[i]) for i in self.rows]
            self.dtypes = [kinds[0]] * len(self.rows)
            self.like: Array = np.empty(0, kinds[0])
            self.total = sum(xs[i].size for i in self.rows)
            rows = [(xs[i].size, *(a.ctypes.data for a in written[i])) for i in self.rows]
            self.zeros = np.zeros(len(self.rows), np.int64)
            self.table = np.array(rows, np.int64).T.copy()
            spans = sorted(_span(a) for arrays in written for a in arrays if a.size)
            self.spans = np.array(spans, np.int64).T.copy()
            self.spans[1] = np.maximum.accumulate(self.spans[1])  # the rest may overlap

    def fits(self, xs: list[Array], gs: list[Array]) -> bool:
        """Whether these are the arrays of the parameters, as they were, and the gradients have their shapes."""
        same = _same(xs, self.xs) and list(map(_shape, xs)) == self.shapes == list(map(_shape, gs))
        return same and all(map(_writable, xs))

    def goes_on(self, buffers: list[list[Array]]) -> bool:
        """Whether these are the buffers, and those of the compiled loop may still be written to."""
        if len(buffers) != len(self.buffers) or not all(map(_same, buffers, self.buffers)):
            return False
        return all(list(map(_shape, arrays)) == self.shapes and all(map(_writable, arrays)) for arrays in buffers)

    def run(self, gs: list[Array], turns: list[float], loops: dict[float, Loop]) -> bool:
        """Run the compiled loop over all tensors but the rest. False, and nothing done, if they must go one by one."""
        if not self.rows:
            return True
        if self.rest:
            if any(self.touches(gs[i]) for i in self.rest):
                return False
            gs, turns = [gs[i] for i in self.rows], [turns[i] for i in self.rows]
        found = self.gradients(gs)
        if found is None:
            return False
        _lines, addresses = found  # _lines, copies in part, live until the end of the call
        numbers = np.array([loop.numbers for loop in loops.values()], np.float64)
        which = self.zeros
        if len(loops) > 1:
            row = {turn: k for k, turn in enumerate(loops)}
            which = np.array([row[turn] for turn in turns], np.int64)
        loop = loops[turns[0]].loop
        assert loop is not None
        return compiled.run(loop, self.total, self.like, self.table, self.spans, addresses, which, numbers)

    def gradients(self, gs: list[Array]) -> tuple[list[Array], Array] | None:
        """The gradients as they lie in memory, copied if it is in another order than the parameter or of another type;
        and their addresses. None if what would be copied may change before its turn.
        """
        lines = [g if order is None else g.transpose(order) for g, order in zip(gs, self.orders, strict=True)]
        if list(map(_dtype, gs)) == self.dtypes:
            try:
                addresses = [ctypes.addressof(_first(line)) for line in lines]  # a quarter of the time of `.ctypes`
                return lines, np.array(addresses, np.int64)
            except TypeError:  # not contiguous, or read-only
                pass
        for i, (g, order) in enumerate(zip(gs, self.orders, strict=True)):
            if g.dtype == self.like.dtype and lines[i].flags.c_contiguous:
                continue
            if self.touches(g):
                return None
            g = g.astype(self.like.dtype, casting="same_kind", copy=False)
            if order in (None, _LAST):
                g = as_order(g, order == _LAST)
            lines[i] = np.ascontiguousarray(g if order is None else g.transpose(order))
        return lines, np.array([line.ctypes.data for line in lines], np.int64)

    def touches(self, g: Array) -> bool:
        """Whether a gradient overlaps what a step writes, as `compiled.run` finds out for those it is given."""
        begin, end = _span(g)
        return bool((self.spans[1, self.spans[0] < end] > begin).any())


def _same(found: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Whether two lists hold the same objects."""
    return len(found) == len(expected) and all(map(is_, found, expected))


def _order(x: Array) -> tuple[int, ...] | None:
    """The axes in which a dense array lies in memory, None for their own order."""
    return None if x.flags.c_contiguous else tuple(sorted(range(x.ndim), key=lambda axis: -x.strides[axis]))


def _lies_like(a: Array, x: Array, dtype: Any) -> bool:
    """Whether a compiled loop can go along both arrays, and write to `a`."""
    order = _order(x)
    same = a.size and a.dtype == dtype and a.shape == x.shape
    return bool(same and a.transpose(order or range(a.ndim)).flags.carray)  # contiguous, aligned and writable


def _span(a: Array) -> tuple[int, int]:
    """The addresses at which the memory of an array begins and ends."""
    steps = [(size - 1) * stride for size, stride in zip(a.shape, a.strides, strict=True)]
    start = a.ctypes.data
    return start + sum(s for s in steps if s < 0), start + sum(s for s in steps if s > 0) + a.itemsize


def _overlapping(written: list[tuple[Array, ...]]) -> set[int]:
    """The parameters with an array that overlaps another one."""
    found: set[int] = set()
    reach, last = 0, -1  # the end of what came so far, and whose it is
    for begin, end, i in sorted((*_span(a), i) for i, arrays in enumerate(written) for a in arrays if a.size):
        if begin < reach:
            found |= {i, last}
        if end > reach:
            reach, last = end, i
    return found
