"""What the tape holds after a forward pass, and what flows back along it: operations, tensors, numbers. No drawing.

    leaves       a ----.
                       Mul --- Add --- Tanh --- result        operations, in the order in which they ran
                 b ----'        |
                 c -------------'

A backward pass visits the operations in the opposite order. At each step one operation receives the gradient of its
result and contributes to the gradients of its inputs; the gradient of a tensor is the sum of what its users contribute.
`recorded.py` makes a `Tape` of a loss, `collapsed.py` shows whole modules as one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array, host

from ..device import Meta
from .sums import number

Shape = tuple[int, ...]
KEPT = 64  # an array of more elements is kept as its mean, its norm and so on
PART = 1 << 16  # elements
SMALL = 1e-6


class Numbers(NamedTuple):
    """What is known of an array after it is gone: all its values if they are few, else what they are like.

    Attributes:
        shape, dtype: of the array.
        values: a copy of at most 64 values, else None.
        mean, std, norm: of all values, in float64; the norm is the root of the sum of squares. NaN if a value is.
        nans, infs, zeros: how many values are NaN, infinite, or exactly 0.
    """

    shape: Shape
    dtype: Any
    values: Array | None
    mean: float
    std: float
    norm: float
    nans: int
    infs: int
    zeros: int

    @staticmethod
    def of(array: Any) -> Numbers | None:
        """Return the numbers of an array of NumPy or CuPy; None if it has no values, as on the meta device."""
        if array is None or type(array) is Meta:
            return None
        values = host(array) if hasattr(array, "dtype") else np.asarray(array)
        if values.dtype.kind not in "fiub":
            return None
        kept = values.copy() if values.size <= KEPT else None
        return Numbers(values.shape, values.dtype, kept, *_statistics(values.ravel("K")))

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def wrong(self) -> str:
        """ "2 NaN of 8", "1 Inf of 8", or "" if all values are finite."""
        kinds = [f"{count} {name}" for count, name in ((self.nans, "NaN"), (self.infs, "Inf")) if count]
        return f"{' and '.join(kinds)} of {self.size}" if kinds else ""

    def text(self, most: int = 4) -> str:
        """Up to `most` values as they are, "[1 2.5]"; of more what is wrong with them, or norm, mean and deviation."""
        if self.values is not None and self.size <= most:
            return _nested(self.values.tolist())
        if self.wrong:
            return self.wrong
        if self.zeros == self.size:
            return "all 0"
        return f"norm {self.norm:.3g}, mean {self.mean:.2g}, std {self.std:.2g}"

    def spread(self) -> str:
        """Up to 4 values as they are; of more values what is wrong with them, or mean and deviation."""
        return self.text().rpartition("norm ")[2].partition(", ")[2] or self.text()

    def brief(self) -> str:
        """Up to 2 values as they are; of more values what is wrong with them, or the norm."""
        return self.text(2).partition(", mean")[0]


def _statistics(values: Array) -> tuple[float, float, float, int, int, int]:
    """Mean, deviation, norm, NaNs, infinities, zeros; in parts that stay in the cache, as nets have large arrays."""
    total = squares = spread = 0.0
    nans = infs = zeros = 0
    parts = [values[i : i + PART] for i in range(0, values.size, PART)]
    with np.errstate(all="ignore"):
        for part in parts:
            wide = part.astype(np.float64)
            total, square = total + float(wide.sum()), float(wide @ wide)
            squares, zeros = squares + square, zeros + wide.size - int(np.count_nonzero(wide))
            if not math.isfinite(square):
                nans, infs = nans + int(np.isnan(wide).sum()), infs + int(np.isinf(wide).sum())
        mean = total / values.size if parts else math.nan
        for part in parts:
            wide = part.astype(np.float64) - mean
            spread += float(wide @ wide)
    return mean, math.sqrt(spread / values.size) if parts else math.nan, math.sqrt(squares), nans, infs, zeros


def _nested(value: Any) -> str:
    return f"[{' '.join(map(_nested, value))}]" if isinstance(value, list) else number(value)


@dataclass(eq=False)
class Frame:
    """One call of a module, around the operations that ran in it.

    Attributes:
        name: the dotted name of the module; "" for the net itself.
        kind: its class.
        call: how many times the module had been called before.
    """

    name: str
    kind: str
    call: int = 0

    @property
    def title(self) -> str:
        """ "layer1.0: BasicBlock"; with the number of the call after the first one."""
        again = f" (call {self.call + 1})" if self.call else ""
        return (f"{self.name}: {self.kind}" if self.name else self.kind) + again


class Contribution(NamedTuple):
    """A gradient on its way along one edge.

    Attributes:
        step: of the backward pass that sent it; 0 for the gradient that the pass starts from.
        by: the operation that computed it; None for the start.
        argument: the number of the argument of `by` that it is the gradient of.
        gradient: its numbers; None on the meta device.
    """

    step: int
    by: Operation | None
    argument: int
    gradient: Numbers | None


@dataclass(eq=False)
class Value:
    """A tensor of the graph.

    Attributes:
        shape, dtype: of the tensor.
        maker: the operation or the leaf that it comes from.
        index: its number among the results of the operation.
        name: of a variable or a parameter, if it is known; else "".
        numbers: its values, if they are known. The tape does not keep the results of operations.
        contributions: the gradients that the operations which use it have sent, in the order of the backward pass.
        gradient: their sum, after hooks; None if there is none.
        hooked: whether hooks may have changed the gradient.
    """

    shape: Shape
    dtype: Any
    maker: Operation | Leaf = field(repr=False)
    index: int = 0
    name: str = ""
    numbers: Numbers | None = field(default=None, repr=False)
    contributions: list[Contribution] = field(default_factory=list, repr=False)
    gradient: Numbers | None = field(default=None, repr=False)
    hooked: bool = False

    def until(self, step: int | None) -> tuple[list[Contribution], Numbers | None]:
        """The contributions that have arrived after a step of the backward pass (None: after the last), and their sum.

        The sum is the engine's if all have arrived. Before that it is added up here if all values are known, else None.
        """
        found = [c for c in self.contributions if step is None or c.step <= step]
        if len(found) == len(self.contributions) and self.gradient is not None:
            return found, self.gradient if found else None
        arrays = [None if c.gradient is None else c.gradient.values for c in found]
        if not arrays or any(a is None for a in arrays):
            return found, None
        return found, Numbers.of(np.sum(np.stack(arrays), axis=0, dtype=self.dtype))  # type: ignore[arg-type]


@dataclass(eq=False)
class Leaf:
    """A tensor that no recorded operation made.

    Attributes:
        kind: "parameter" of the net, "input": another tensor that gets a gradient, "frozen": a parameter of the net
            that gets none, "buffer" of the net, or "constant": another tensor that gets none.
        name: the dotted name of a parameter or buffer, the name of a variable, or "".
        value: the tensor.
        source: of a constant, the operation that made it without recording; else "".
    """

    kind: str
    name: str = ""
    value: Value = field(init=False, repr=False)
    source: str = ""


class Input(NamedTuple):
    """An argument of an operation that is a tensor: its number, and the tensor."""

    argument: int
    value: Value


@dataclass(eq=False)
class Operation:
    """A node of the tape: one recorded call of a `Function`.

    Attributes:
        number: its place in the forward pass, from 0.
        name: as `y.grad_fn` shows it, such as "Mul".
        frames: the calls of modules around it, from outside to inside.
        inputs: its tensors, as far as they are known: those that get no gradient are not on the tape.
        outputs: its results.
        saved: the arrays kept for the backward pass, with their names or "".
        freed: whether a backward pass has freed them.
        step: when the backward pass visits it, from 1; None if it does not, because no gradient arrives.
        error: why its backward failed; else "".
    """

    number: int
    name: str
    frames: tuple[Frame, ...] = ()
    inputs: list[Input] = field(default_factory=list, repr=False)
    outputs: list[Value] = field(default_factory=list, repr=False)
    saved: list[tuple[str, Numbers]] = field(default_factory=list, repr=False)
    freed: bool = False
    step: int | None = None
    error: str = ""

    @property
    def within(self) -> str:
        """The dotted name of the innermost module; its class for a net; "" outside of modules."""
        return (self.frames[-1].name or self.frames[-1].kind) if self.frames else ""

    @property
    def sent(self) -> list[tuple[Value, Contribution]]:
        """The gradients that its backward computed, each with the tensor that it belongs to."""
        values = {id(one.value): one.value for one in self.inputs}
        return [(value, c) for value in values.values() for c in value.contributions if c.by is self]


@dataclass(eq=False)
class Tape:
    """The graph of one result; see this file.

    Attributes:
        operations: in the order in which they ran.
        leaves: parameters, inputs and constants, in the order in which they were used first.
        result: the tensor that the backward pass starts from.
        backward: whether a backward pass has been followed.
        error: the exception that ended it before its end, else None.
        notes: what else is to be known, in words.
    """

    operations: list[Operation]
    leaves: list[Leaf]
    result: Value
    backward: bool = False
    error: Exception | None = field(default=None, repr=False)
    notes: list[str] = field(default_factory=list, repr=False)

    @property
    def steps(self) -> list[Operation]:
        """The operations in the order in which a backward pass visits them."""
        return sorted((o for o in self.operations if o.step is not None), key=lambda o: o.step or 0)

    @property
    def values(self) -> Iterator[Value]:
        """Iterate over all tensors: leaves, then results."""
        yield from (leaf.value for leaf in self.leaves)
        for operation in self.operations:
            yield from operation.outputs

    @property
    def findings(self) -> list[str]:
        """What is wrong with the gradients: where NaN or Inf begin, where it is 0, nearly 0 or missing, what failed.

        If there is NaN or Inf in the result or in a gradient, also where they begin in the values, if these are known.
        """
        sent: dict[int, list[tuple[Value, Contribution]]] = {}
        for value in self.values:
            for c in value.contributions:
                sent.setdefault(id(c.by), []).append((value, c))
        found = [finding for o in self.steps if (finding := _finding(o, sent.get(id(o), [])))]
        seen = [self.result.numbers, *(value.gradient for value in self.values)]
        if any(one is not None and one.wrong for one in seen):
            found[:0] = _first_wrong(self.operations)
        found += _vanishing(self.steps)
        silent = [_named(operation) for operation in self.operations if operation.step is None]
        if self.backward and self.error is None and silent:
            more = f" and {len(silent) - 5} more" if len(silent) > 5 else ""
            found.append(f"No gradient arrives at {', '.join(silent[:5])}{more}: what uses the result returned none.")
        if self.error is not None and not any(o.error for o in self.operations):
            found.append(f"The backward pass failed: {self.error}")
        return found


def _first_wrong(operations: Sequence[Operation]) -> Iterator[str]:
    """The first operation of the forward pass whose result has NaN or Inf, and whether one of its arguments had."""
    for operation in operations:
        if bad := next((v.numbers.wrong for v in operation.outputs if v.numbers is not None and v.numbers.wrong), ""):
            had = [
                f"{value.name or f'the {value.maker.kind}'} already has {value.numbers.wrong}"
                for _, value in operation.inputs
                if isinstance(value.maker, Leaf) and value.numbers is not None and value.numbers.wrong
            ]
            known = all(value.numbers is not None for _, value in operation.inputs)
            cause = "; ".join(had) or ("its arguments are finite" if known else "")
            yield f"{_named(operation)}: the result has {bad}{f'; {cause}' if cause else ''}."
            return


def _finding(operation: Operation, contributions: Sequence[tuple[Value, Contribution]]) -> str:
    """What is wrong with the gradients that an operation sends, if it is not wrong with those that it received."""
    where = _where(operation)
    if operation.error:
        return f"{where}: the backward pass ended here. {operation.error}"
    came = [value.gradient for value in operation.outputs if value.gradient is not None]
    in_order = sorted(contributions, key=lambda pair: pair[1].argument)
    sent = [(value, c.gradient) for value, c in in_order if c.gradient is not None]
    if not any(g.wrong for g in came):
        for value, gradient in sent:
            if gradient.wrong:
                of = f" for {value.name}" if value.name else ""
                return f"{where}: the gradient that it computes{of} has {gradient.wrong}; what arrives is finite."
    if any(g.zeros < g.size for g in came) and sent and all(g.size and g.zeros == g.size for _, g in sent):
        return f"{where}: all gradients that it computes are 0; what arrives is not."
    return ""


def _vanishing(steps: Sequence[Operation]) -> Iterator[str]:
    """The first step at which what arrives is less than a millionth of what arrived at an earlier one, but not 0."""
    largest, at = 0.0, 0
    for operation in steps:
        norms = [value.gradient.norm for value in operation.outputs if value.gradient is not None]
        norm = max(norms, default=0.0)
        if 0 < norm < SMALL * largest:
            norms_ = f"Its norm is {norm:.1e} here, and {largest:.1e} at step {at}."
            yield f"{_where(operation)}: the gradient vanishes. {norms_}"
            return
        if norm > largest and math.isfinite(norm):
            largest, at = norm, operation.step or 0


def _where(operation: Operation) -> str:
    return f"Step {operation.step}, {_named(operation)}"


def _named(operation: Operation) -> str:
    return operation.name + (f" in {operation.within}" if operation.within else "")
