"""The words in the boxes and at the edges of a drawn tape; text, Mermaid, DOT and figures use the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import prod, sqrt
from typing import NamedTuple

import numpy as np

from ..explain.collapsed import Box, Link
from ..explain.tape import Contribution, Numbers, Value
from .style import size_of


class Look(NamedTuple):
    """What is shown: values, gradients, and when: after so many steps of the backward pass, or None for its end."""

    values: bool = True
    gradients: bool = True
    step: int | None = None


class Line(NamedTuple):
    """A line of text in a box; its role is "title", "note", "value", "gradient" or "error"."""

    text: str
    role: str


def lines(box: Box, look: Look) -> list[Line]:
    """The text of a box: what it is, when the backward pass is in it, and its tensors."""
    found = [Line(box.title, "title")]
    if notes := ", ".join(_notes(box, look)):
        found.append(Line(notes, "note"))
    several = len(box.values) > 1
    if look.values and box.kind == "operation" and (kept := saved(box, short=True)):
        found.append(Line(f"saved {kept}", "note"))
    for i, value in enumerate(box.values):
        if look.values and (text := value_of(value, several, box.kind)):
            found.append(Line(text, "value"))
        if look.gradients and (text := _gradient_line(box, value, look)):
            found.append(Line(f"{i}: {text}" if several else text, "gradient"))
    if box.kind == "module" and look.gradients and (text := parameters_gradient(box, look)):
        found.append(Line(f"gradient of its parameters: {text}", "gradient"))
    if box.error and reached(box, look.step):
        found.append(Line("the backward pass failed here", "error"))
    return found


def _notes(box: Box, look: Look) -> Iterable[str]:
    if box.operations and look.gradients:
        yield steps_of(box)
    if box.kind == "module":
        if len(box.operations) > 1:
            yield f"{len(box.operations)} operations"
        parameters = [leaf for leaf in box.leaves if leaf.kind in ("parameter", "frozen")]
        count = sum(prod(leaf.value.shape) for leaf in parameters)
        if count:
            yield f"{count:,} parameters"
    if len(box.values) == 1 and box.values[0].shape:
        yield size_of(box.values[0].shape) if len(box.values[0].shape) > 1 else f"shape {box.values[0].shape[0]}"
    if box.kind in ("constant", "frozen"):
        yield "no gradient" if box.kind == "constant" else "frozen"


def saved(box: Box, short: bool = False) -> str:
    """The arrays that an operation keeps for its backward pass: "2, -3", or their shapes; arguments, then results.

    With `short`, "" if one of them has more than two values.
    """
    if box.operations[0].freed:
        return "freed"
    arrays = box.operations[0].saved
    if short and any(numbers.size > 2 for _, numbers in arrays):
        return ""
    in_order = sorted(arrays, key=lambda pair: pair[0])  # rows of operations call them a, b and y
    return ", ".join(n.text() if n.size <= 2 else size_of(n.shape) for _, n in in_order)


def steps_of(box: Box) -> str:
    """ "step 3", "steps 3 to 7", or "not reached" if no gradient arrives."""
    steps = box.steps
    if not steps:
        return "not reached"
    return f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"


def value_of(value: Value, several: bool = False, kind: str = "operation") -> str:
    """ "d = 0.5", or what is known of it."""
    name = value.name if kind in ("operation", "module") else ""
    text = "" if value.numbers is None else value.numbers.spread()
    if several:
        shape = f" {size_of(value.shape)}" if value.shape else ""
        name = f"{value.index}{': ' + name if name else ''}{shape}"
    return f"{name} = {text}" if name and text else name or text


def gradient_of(value: Value, step: int | None = None) -> str:
    """The gradient of a tensor after a step: "3 + ..." if more are to come, at the end "3 + 4 = 7"; "" for none."""
    found, total = value.until(step)
    if not found:
        return ""
    texts = [term(c) for c in found]
    waits = len(value.contributions) - len(found)
    if waits:
        every = len(value.contributions)
        return f"{len(found)} of {every} arrived" if every > 4 else f"{' + '.join(texts)} + ..."
    sum_ = "" if total is None else total.text()
    if value.hooked and total is not None and not _same(found, total):
        came = f"sum of {len(found)}" if len(found) > 4 else " + ".join(texts)
        return f"{came}, after a hook {sum_}"
    if len(found) == 1:
        return sum_ or "of this shape"
    if len(found) > 4 or not all(c.gradient is not None and c.gradient.size <= 2 for c in found):
        return f"sum of {len(found)}: {sum_}" if sum_ else f"sum of {len(found)}"
    return f"{' + '.join(texts)} = {sum_}"


def term(c: Contribution) -> str:
    """A gradient in a sum: a negative number in brackets."""
    if c.gradient is None:
        return "a gradient"
    text = c.gradient.brief()
    return f"({text})" if text.startswith("-") else text


def _same(found: Sequence[Contribution], total: Numbers) -> bool:
    """Whether the total is the sum of the contributions; False if that is not known."""
    gradients = [c.gradient for c in found if c.gradient is not None]
    if len(found) == 1 and gradients and gradients[0].values is None:
        return gradients[0][3:] == total[3:]
    arrays = [gradient.values for gradient in gradients if gradient.values is not None]
    if total.values is None or len(arrays) != len(found):
        return False
    return np.allclose(sum(arrays), total.values, equal_nan=True)


def _gradient_line(box: Box, value: Value, look: Look) -> str:
    if box.kind == "result":
        start = [c.gradient for c in value.contributions if c.by is None]
        return f"the gradient starts as {start[0].text()}" if start and start[0] is not None else ""
    text = gradient_of(value, look.step)
    return f"gradient {text}" if text else ""


def parameters_gradient(box: Box, look: Look) -> str:
    """The norm of the gradients of all parameters inside a module."""
    inside = [leaf.value for leaf in box.leaves if leaf.kind == "parameter"]
    found = [total for value in inside if (total := value.until(look.step)[1]) is not None]
    if not found:
        return ""
    if any(total.wrong for total in found):
        return "NaN or Inf"
    return f"norm {sqrt(sum(total.norm**2 for total in found)):.3g}"


def arrived(link: Link, step: int | None) -> list[Contribution]:
    """The gradients that have come back along a link after a step."""
    return [c for c in link.contributions if step is None or c.step <= step]


def edge_label(link: Link, look: Look) -> str:
    """The gradients that came back along a link: "0.5", or "0.5 + 2" if its target uses the tensor twice."""
    found = arrived(link, look.step) if look.gradients else []
    return " + ".join(c.gradient.brief() for c in found if c.gradient is not None)


def reached(box: Box, step: int | None) -> bool:
    """Whether the backward pass has come to a box after a step."""
    if box.kind == "result":
        return True
    if box.operations:
        return bool(box.steps) and (step is None or box.steps[0] <= step)
    return any(step is None or c.step <= step for value in box.values for c in value.contributions)


def wrong(box: Box) -> bool:
    """Whether a gradient of a tensor that leaves the box is NaN or infinite."""
    return any(value.gradient is not None and bool(value.gradient.wrong) for value in box.values)


def caption(boxes: Sequence[Box], step: int, last: int) -> str:
    """What happens in a step of the backward pass, in words."""
    if step == 0:
        return f"Step 0 of {last}: the backward pass starts at the result."
    box = next(box for box in boxes if step in box.steps)
    operation = next(o for o in box.operations if o.step == step)
    came = [value.gradient.brief() for value in operation.outputs if value.gradient is not None]
    where = f" in {operation.within}" if box.kind == "module" else ""
    text = f"Step {step} of {last}: {operation.name}{where} receives {' and '.join(came) or 'a gradient'}"
    sent = [c.gradient.brief() for _, c in operation.sent if c.gradient is not None]
    if operation.error:
        return f"{text}, and fails."
    return f"{text} and sends {' and '.join(sent)}." if sent else f"{text}."


def ranges(steps: Sequence[int]) -> str:
    """[1, 2, 3, 7] -> "1-3, 7"."""
    starts = [steps[0], *(b for a, b in pairwise(steps) if b != a + 1)] if steps else []
    ends = [*(a for a, b in pairwise(steps) if b != a + 1), steps[-1]] if steps else []
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))
