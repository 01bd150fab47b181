"""The tape: numbers that remember how they were computed, and find their gradients from that."""

from __future__ import annotations


class Value:
    """The tape: a number remembers how it was computed, so that `backward` can find the gradients.

    Attributes:
        data: the number.
        grad: the gradient of the result that `backward` was called on, by this number; 0 before.

    Write the four methods. `y = a * b` makes a new Value, which must remember a and b, and what to add to their
    gradients: with gy = y.grad,

        y = a + b          a.grad += gy              b.grad += gy
        y = a * b          a.grad += gy * b.data     b.grad += gy * a.data
        y = max(a, 0)      a.grad += gy if a.data > 0

    A number that is used several times gets a part from each use. a or b may be a plain number, as in a + 1.
    """

    def __init__(self, data: float) -> None:
        self.data = data
        self.grad = 0.0
        self._parents: list[Value] = []  # the Values that this one was computed from
        self._slopes: list[float] = []  # the derivative of this one by each of them

    def _made(self, data: float, parents: list[tuple[Value, float]]) -> Value:
        # a new Value, from the Values that it was computed from and its derivative by each of them
        value = type(self)(data)
        value._parents, value._slopes = [parent for parent, _ in parents], [slope for _, slope in parents]
        return value

    def __add__(self, other: Value | float) -> Value:
        """The sum of two numbers."""
        other = other if isinstance(other, Value) else type(self)(other)
        return self._made(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other: Value | float) -> Value:
        """The product of two numbers."""
        other = other if isinstance(other, Value) else type(self)(other)
        return self._made(self.data * other.data, [(self, other.data), (other, self.data)])

    def relu(self) -> Value:
        """The larger of this number and 0."""
        return self._made(max(self.data, 0.0), [(self, 1.0 if self.data > 0 else 0.0)])

    def backward(self) -> None:
        """Find the gradient of this number by all numbers that it was computed from.

        This one has the gradient 1. A number may pass its gradient on only when it has received all parts of it: first
        find an order in which every Value comes after all its parents, then walk it from the end (without recursion,
        which ends at a depth of 1000).
        """
        order: list[Value] = []
        seen: set[int] = set()
        stack = [(self, False)]
        while stack:
            value, parents_done = stack.pop()
            if parents_done:
                order.append(value)
            elif id(value) not in seen:
                seen.add(id(value))
                stack.append((value, True))
                stack += [(parent, False) for parent in value._parents]
        self.grad = 1.0
        for value in reversed(order):
            for parent, slope in zip(value._parents, value._slopes, strict=True):
                parent.grad += value.grad * slope

    __radd__, __rmul__ = __add__, __mul__  # 1 + a and 2 * a

    def __neg__(self) -> Value:
        return self * -1.0

    def __sub__(self, other: Value | float) -> Value:
        return self + (-other)
