"""The tape: gradients of numbers that remember how they were computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..exercise import Arguments, Case, Exercise, Wrong
from ..solutions.tape import Value


def _run(answer: Any, args: Arguments) -> tuple[float, Any]:
    """Run the program with Values of the numbers, go back from its y, and take the gradients of the numbers."""
    values = {name: answer(value) for name, value in args.items() if name != "program"}

    def repeated(x: Any, count: int) -> Any:
        total = x
        for _ in range(count - 1):
            total = total + x
        return total

    space = {"__builtins__": {}, "repeated": repeated, **values}
    exec(args["program"], space)
    result: Any = space["y"]
    result.backward()
    return result.data, np.array([value.grad for value in values.values()])


def _cases() -> list[Case]:
    rows: list[tuple[str, str, dict[str, float]]] = [
        ("a sum", "y = a + b", {"a": 2, "b": 3}),
        ("a product", "y = a * b", {"a": 2, "b": 5}),
        ("a product of three", "y = a * b * c", {"a": 2, "b": 5, "c": 3}),
        ("plain numbers", "y = a * 3 + 1", {"a": 2}),
        ("a number that is used twice", "y = a * a + a", {"a": 3}),
        ("ReLU of a negative and of a positive number", "y = (a * b).relu() + b.relu() * 4", {"a": -2, "b": 3}),
        ("a result that is used twice", "s = a * b; y = s * s", {"a": 2, "b": 3}),
        ("a diamond: one way is longer than the other", "s = a + b; y = (s * c).relu() * c + s",
         {"a": 2, "b": 3, "c": 7}),
        ("a result that is used at three depths", "s = a * b; y = (s + c) * s + s * d",
         {"a": 2, "b": 3, "c": 5, "d": 7}),
        ("a neuron, and the square of its weight", "s = (w * x + b).relu(); y = s * s + w * w",
         {"w": 2, "x": 3, "b": -1}),
        ("a chain of 3000 sums: no recursion", "y = repeated(a, 3000) * b", {"a": 2, "b": 3}),
    ]  # fmt: skip
    return [
        Case(title, {"program": program, **{name: float(number) for name, number in numbers.items()}})
        for title, program, numbers in rows
    ]


class _Overwritten(Value):
    def backward(self) -> None:
        self.grad = 1.0
        for value in _ordered(self):
            for parent, slope in zip(value._parents, value._slopes, strict=True):
                parent.grad = value.grad * slope


class _NoSeed(Value):
    def backward(self) -> None:
        """Nothing begins: all gradients stay 0."""


class _AtOnce(Value):
    def backward(self) -> None:
        self.grad = 1.0
        _pass_on(self)


class _Breadth(Value):
    def backward(self) -> None:
        self.grad = 1.0
        queue, seen = [self], {id(self)}
        for value in queue:
            for parent, slope in zip(value._parents, value._slopes, strict=True):
                parent.grad += value.grad * slope
                if id(parent) not in seen:
                    seen.add(id(parent))
                    queue.append(parent)  # type: ignore[arg-type]


class _OwnFactor(Value):
    def __mul__(self, other: Value | float) -> Value:
        other = other if isinstance(other, Value) else type(self)(other)
        return self._made(self.data * other.data, [(self, self.data), (other, other.data)])

    __rmul__ = __mul__


class _OpenRelu(Value):
    def relu(self) -> Value:
        return self._made(max(self.data, 0.0), [(self, 1.0)])


class _NoChain(Value):
    def backward(self) -> None:
        self.grad = 1.0
        for value in _ordered(self):
            for parent, slope in zip(value._parents, value._slopes, strict=True):
                parent.grad += slope


def _pass_on(value: Value) -> None:
    for parent, slope in zip(value._parents, value._slopes, strict=True):
        parent.grad += value.grad * slope
        _pass_on(parent)


def _ordered(value: Value) -> list[Value]:
    """The result first, every Value before its parents."""
    order: list[Value] = []
    seen: set[int] = set()
    stack = [(value, False)]
    while stack:
        one, done = stack.pop()
        if done:
            order.append(one)
        elif id(one) not in seen:
            seen.add(id(one))
            stack.append((one, True))
            stack += [(parent, False) for parent in one._parents]
    return order[::-1]


_ADD = "add with += : a number that is used several times gets a part from each use"
_ORDER = "first find an order in which every Value comes after its parents, then walk it from the end"
EXERCISES = [
    Exercise(
        "tape", "gradients", 3, Value, ("data", "gradients"), _cases,
        (
            "`_made` keeps what is needed. a + b is self._made(a.data + b.data, [(a, 1.0), (b, 1.0)]): 1 is the "
            "derivative of the sum by each of them. A plain number becomes a Value first.",
            "backward: set self.grad = 1. For a Value whose gradient is complete, parent.grad += value.grad * slope "
            "for each parent and slope.",
            "A gradient is complete when all that used the Value have passed theirs on. Depth-first order: put a Value "
            "into a list after all its parents are in it; walked from the end, this list is right.",
            "Without recursion: a list as a stack, of pairs (value, whether its parents are done).",
        ),
        wrong=(
            Wrong("gradients are overwritten, not added", _ADD, _Overwritten),
            Wrong("the result has no gradient to begin with", "set self.grad = 1 first in backward", _NoSeed),
            Wrong("a Value passes on its gradient before it is complete, at each part", _ORDER, _AtOnce),
            Wrong("a Value passes on its gradient before it is complete", _ORDER, _Breadth),
            Wrong("the factors are exchanged: a gets a.data", "by y = a * b, a gets gy * b.data", _OwnFactor),
            Wrong("ReLU lets everything back", "the gradient passes only where the number was positive", _OpenRelu),
            Wrong("the chain rule is missing: the slopes are not multiplied", "multiply by value.grad", _NoChain),
        ),
        call=_run,
    ),
]  # fmt: skip
