"""A sum of products, term by term: what every number of a convolution, of its gradients and of a linear layer is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array


@dataclass(frozen=True)
class Factor:
    """One of the two factors of each term.

    Attributes:
        name: of the array: "x", "w", "gy".
        cells: (T, rank), where the factor of each term is in that array; -1 along an axis: outside, in the padding.
        values: (T,), the numbers there; 0 in the padding.
    """

    name: str
    cells: Array
    values: Array

    def cell(self, term: int) -> str:
        """ "x[0, 1, 2, 3]", or "0 (padding)"; the name alone of a constant."""
        where = self.cells[term].tolist()
        if not where:
            return self.name
        return "0 (padding)" if -1 in where else f"{self.name}{where}"

    @property
    def inside(self) -> Array:
        """(T,) whether a factor is in the array, not in its padding."""
        return np.all(self.cells >= 0, 1)


@dataclass(frozen=True)
class Sum:
    """value = start + sum over t of left.values[t] * right.values[t].

    Attributes:
        of: the array that the number is in: "y".
        place: where it is there.
        left, right: the factors of all terms.
        value: what the kernel that trains computed.
        start: what the terms are added to: a bias, or 0.
        start_name: "b[0]", or None if there is nothing.
        word: what the terms give: "sum", or "largest" for the one term that max pooling takes.
    """

    of: str
    place: tuple[int, ...]
    left: Factor
    right: Factor
    value: float
    start: float = 0.0
    start_name: str | None = None
    word: str = "sum"

    @property
    def name(self) -> str:
        """ "y[0, 0, 1, 2]"."""
        return f"{self.of}{list(self.place)}"

    @property
    def products(self) -> Array:
        """(T,) the terms, in float64."""
        return self.left.values.astype(np.float64) * self.right.values

    @property
    def total(self) -> float:
        """The sum of the terms and the start, in float64; the kernel rounds otherwise, and may add in another order."""
        return float(self.products.sum() + self.start)

    def lines(self, most: int = 50) -> list[str]:
        """A line for each term that is not padding, the first `most` of them, and a line for the sum."""
        inside = np.flatnonzero(self.left.inside & self.right.inside)
        shown = inside[:most]
        cells = [(self.left.cell(t), self.right.cell(t)) for t in shown]
        numbers = [[number(v) for v in (self.left.values[t], self.right.values[t], self.products[t])] for t in shown]
        lines = []
        for (a, b), (u, v, p) in zip(columns(cells), columns(numbers, right=True), strict=True):
            lines.append(f"{a} * {b}  =  {u} * {v}  =  {p}")
        if len(inside) > most:
            lines.append(f"... and {len(inside) - most:,} more terms")
        return [*lines, self.result()]

    def result(self) -> str:
        """ "sum 10 + b[0] 0.5 = 10.5; the kernel computed 10.5"."""
        text = f"{self.word} {number(self.products.sum())}"
        if self.start_name is not None:
            text += f" + {self.start_name} {number(self.start)} = {number(self.total)}"
        return f"{text}; the kernel computed {number(self.value)}"


def factor(name: str, array: Array, place: Sequence[Array]) -> Factor:
    """The factors at a place of an array: an index array for each of its axes, with -1 for outside."""
    where = np.stack(place, -1)
    inside = (where >= 0).all(1)
    values = np.zeros(len(where), array.dtype)
    values[inside] = array[tuple(where[inside].T)]
    return Factor(name, where, values)


def constant(name: str, value: float, count: int) -> Factor:
    """The same number in each term: "1/9"."""
    return Factor(name, np.zeros((count, 0), int), np.full(count, value))


def number(value: Any) -> str:
    """A number as short text: whole numbers without a point, others with four digits after the first that counts."""
    value = float(value)
    if value.is_integer() and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"


def columns(rows: Sequence[Sequence[str]], right: bool = False) -> list[list[str]]:
    """The texts of a table, padded so that those of a column are equally long; `right` aligns at the right."""
    widths = [max(map(len, column), default=0) for column in zip(*rows, strict=True)]
    pad = str.rjust if right else str.ljust
    return [[pad(text, width) for text, width in zip(row, widths, strict=True)] for row in rows]
