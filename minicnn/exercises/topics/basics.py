"""Sizes, receptive fields, first weights, and numerical gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array

from ..candidates import results
from ..exercise import Case, Exercise, Wrong
from ..solutions.arithmetic import initial_scale, numerical_gradient, output_size, receptive_field
from .numbers import reals, wholes

# ---------------------------------------------------------------------------------------------------------- output_size


def _sizes() -> list[Case]:
    rows = [
        ("7 pixels, 3 cells", 7, 3, 1, 0, 1), ("stride 2", 7, 3, 2, 0, 1),
        ("stride 3: two pixels are left out", 9, 4, 3, 0, 1),
        ("padding that keeps the size", 32, 5, 1, 2, 1), ("stride and padding", 224, 7, 2, 3, 1),
        ("dilation 2", 9, 3, 1, 0, 2), ("all of them", 20, 3, 2, 1, 3),
        ("the window is as large as the input", 5, 5, 2, 0, 1),
        ("the window does not fit", 2, 7, 2, 1, 1), ("a window of 1", 6, 1, 4, 0, 1),
    ]  # fmt: skip
    names = ("size", "kernel", "stride", "padding", "dilation")
    return [Case(title, dict(zip(names, numbers, strict=True))) for title, *numbers in rows]


def _size(
    change: Callable[[int, int, int, int, int], float],
) -> Callable[[int, int, int, int, int], int]:
    """A wrong size, which is not negative."""
    return lambda n, k, s, p, d: max(0, int(change(n, k, s, p, d)))


_FITS = "windows begin at 0, stride, 2*stride ...: floor((size + 2*padding - dilation*(kernel - 1) - 1) / stride) + 1"
_SIZE_WRONG = [
    Wrong("the first window is not counted: + 1 is missing", _FITS,
          _size(lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) // s)),
    Wrong("+ 1 is inside of the division", _FITS, _size(lambda n, k, s, p, d: (n + 2 * p - d * (k - 1)) // s)),
    Wrong("the padding counts once", "it is on both sides: 2*padding",
          _size(lambda n, k, s, p, d: (n + p - d * (k - 1) - 1) // s + 1)),
    Wrong("the padding is left out", "it is on both sides: 2*padding",
          _size(lambda n, k, s, p, d: (n - d * (k - 1) - 1) // s + 1)),
    Wrong("the dilation is left out", "a window reaches over dilation*(kernel - 1) + 1 pixels",
          _size(lambda n, k, s, p, d: (n + 2 * p - k) // s + 1)),
    Wrong("a window reaches over dilation*kernel pixels", "it reaches over dilation*(kernel - 1) + 1 pixels",
          _size(lambda n, k, s, p, d: (n + 2 * p - d * k) // s + 1)),
    Wrong("it is rounded up: a window that does not fit is counted", "round down (//)",
          _size(lambda n, k, s, p, d: -(-(n + 2 * p - d * (k - 1) - 1) // s) + 1)),
    Wrong("it is rounded to the nearest number", "round down (//)",
          _size(lambda n, k, s, p, d: round((n + 2 * p - d * (k - 1) - 1) / s) + 1)),
    Wrong("the result is negative where no window fits", "return 0 there: max(0, ...)",
          lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) // s + 1),
    Wrong("the stride is left out", _FITS, _size(lambda n, k, s, p, d: n + 2 * p - d * (k - 1))),
]  # fmt: skip

# ------------------------------------------------------------------------------------------------------ receptive_field


def _nets() -> list[Case]:
    rows: list[tuple[str, list[tuple[int, int, int]]]] = [
        ("no layer", []), ("one layer", [(3, 1, 1)]), ("three layers of 3 cells see 7 pixels", [(3, 1, 1)] * 3),
        ("stride 2 in the first layer", [(3, 2, 1), (3, 1, 1)]), ("dilation", [(3, 1, 2), (3, 1, 4)]),
        ("a convolution, a pooling, a convolution", [(5, 1, 1), (2, 2, 1), (5, 1, 1)]),
        ("all of them", [(7, 2, 1), (3, 2, 1), (3, 1, 2), (1, 1, 1), (3, 2, 3)]),
    ]  # fmt: skip
    return [Case(title, {"layers": layers}) for title, layers in rows]


Step = Callable[[int, int, int, int, int], tuple[float, float]]


def _walk(step: Step, start: tuple[int, int] = (1, 1)) -> Callable[[Sequence[tuple[int, int, int]]], Any]:
    def answer(layers: Sequence[tuple[int, int, int]]) -> Any:
        field, jump = start
        for k, s, d in layers:
            field, jump = step(field, jump, k, s, d)  # type: ignore[assignment]
        return field, jump

    return answer


_GROWS = "field <- field + (K - 1) * D * jump, then jump <- jump * S"
_FIELD_WRONG = [
    Wrong("the strides of the layers before are left out", _GROWS,
          _walk(lambda f, j, k, s, d: (f + (k - 1) * d, j * s))),
    Wrong("the stride of the layer itself is used already", f"{_GROWS}: in this order",
          _walk(lambda f, j, k, s, d: (f + (k - 1) * d * j * s, j * s))),
    Wrong("a layer adds K, not K - 1", _GROWS, _walk(lambda f, j, k, s, d: (f + k * d * j, j * s))),
    Wrong("the dilation is left out", _GROWS, _walk(lambda f, j, k, s, d: (f + (k - 1) * j, j * s))),
    Wrong("the field is multiplied, not added to", _GROWS, _walk(lambda f, j, k, s, d: (f * k, j * s))),
    Wrong("the field begins at 0", "one pixel sees itself: field = 1",
          _walk(lambda f, j, k, s, d: (f + (k - 1) * d * j, j * s), (0, 1))),
    Wrong("the strides are added, not multiplied", _GROWS,
          _walk(lambda f, j, k, s, d: (f + (k - 1) * d * j, j + s - 1))),
    Wrong("only the stride of the last layer is kept", _GROWS, _walk(lambda f, j, k, s, d: (f + (k - 1) * d * j, s))),
]  # fmt: skip

# -------------------------------------------------------------------------------------------------------- initial_scale


def _scales() -> list[Case]:
    shapes = [
        ("a linear layer", (3, 5)),
        ("a convolution", (8, 4, 3, 3)),
        ("a filter that is not square", (6, 2, 1, 5)),
    ]
    return [
        Case(f"{scheme}, {title}", {"shape": shape, "scheme": scheme})
        for scheme in ("xavier_normal", "xavier_uniform", "he_normal", "he_uniform")
        for title, shape in shapes
    ]


# --------------------------------------------------------------------------------------------------- numerical_gradient


class Cubic:
    """f(x) = sum of a x^3 + (sum of b x)^2: each derivative depends on all numbers, and on eps.

    The central difference is 3 a x^2 + a eps^2 + 2 b sum(b x), which no other formula gives.
    """

    def __init__(self, a: Array, b: Array) -> None:
        self.a, self.b = a, b

    def __call__(self, x: Array) -> float:
        """The value at x."""
        return float((self.a * x**3).sum() + (self.b * x).sum() ** 2)

    def __repr__(self) -> str:
        return f"lambda x: (a * x**3).sum() + (b * x).sum()**2, with a = {self.a.tolist()}, b = {self.b.tolist()}"


def _functions() -> list[Case]:
    found = []
    for number, (title, shape, eps) in enumerate((
        ("one number", (1,), 0.5), ("three numbers", (3,), 0.5), ("two axes", (2, 3), 0.25), ("no axis", (), 0.5),
        ("four axes", (2, 1, 3, 2), 0.125),
    )):  # fmt: skip
        f = Cubic(wholes(3 * number, *shape), wholes(3 * number + 1, *shape))
        found.append(Case(title, {"f": f, "x": wholes(3 * number + 2, *shape), "eps": eps}))
    f, x = Cubic(reals(30, 4), reals(31, 4)), reals(32, 4)
    return [*found, Case("a small step", {"f": f, "x": x, "eps": 1e-3})]


def _difference(ends: tuple[float, float], by: float) -> Callable[..., Array]:
    def answer(f: Callable[[Array], float], x: Array, eps: float) -> Array:
        g = np.zeros(x.shape)
        for place in np.ndindex(*x.shape):
            values = []
            for end in ends:
                moved = x.copy()
                moved[place] += end * eps
                values.append(f(moved))
            g[place] = (values[0] - values[1]) / (by * eps)
        return g

    return answer


def _not_restored(f: Callable[[Array], float], x: Array, eps: float) -> Array:
    x, g = x.copy(), np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        x[place] += eps
        above = f(x)
        x[place] -= 2 * eps
        g[place] = (above - f(x)) / (2 * eps)
    return g


def _all_together(f: Callable[[Array], float], x: Array, eps: float) -> Array:
    return np.full(x.shape, (f(x + eps) - f(x - eps)) / (2 * eps))


_CENTRAL = "g = (f(x + eps) - f(x - eps)) / (2*eps): its error is of the order eps^2"
_GRADIENT_WRONG = [
    Wrong("it is the forward difference: (f(x + eps) - f(x)) / eps", _CENTRAL, _difference((1, 0), 1)),
    Wrong("it is the backward difference: (f(x) - f(x - eps)) / eps", _CENTRAL, _difference((0, -1), 1)),
    Wrong("it is divided by eps, not by 2*eps", _CENTRAL, _difference((1, -1), 1)),
    Wrong("one end is f(x) itself, but it is divided by 2*eps", _CENTRAL, _difference((1, 0), 2)),
    Wrong("the step is eps/2 on each side", _CENTRAL, _difference((0.5, -0.5), 1)),
    Wrong("the sign is wrong", _CENTRAL, _difference((-1, 1), 2)),
    Wrong("the numbers before stay moved", "put x[i] back before the next place, or move a copy", _not_restored),
    Wrong("all numbers are moved at once", "move one number at a time: the others stay", _all_together),
]  # fmt: skip

EXERCISES = [
    Exercise(
        "output_size", "basics", 1, output_size, ("count",), _sizes,
        ("The first window ends at pixel dilation*(kernel - 1) of the padded input. How many pixels are left after it?",
         "Every `stride` of these pixels make room for one more window: (left // stride) + 1."),
        wrong=_SIZE_WRONG, whole=True,
    ),
    Exercise(
        "receptive_field", "basics", 1, receptive_field, ("field", "jump"), _nets,
        ("A loop over the layers, with two lines inside.", "field += (k - 1) * d * jump, and after it jump *= s."),
        wrong=_FIELD_WRONG, whole=True,
    ),
    Exercise(
        "initial_scale", "basics", 1, initial_scale, ("scale",), _scales,
        ("math.prod(shape[2:]) is KH*KW, and 1 for a linear layer.",
         "std = sqrt(variance). For a uniform distribution, a^2/3 = variance, so a = sqrt(3 * variance)."),
        results("initial_scale", names={"scale": "y"}),
    ),
    Exercise(
        "numerical_gradient", "basics", 1, numerical_gradient, ("g",), _functions,
        ("for place in np.ndindex(*x.shape) visits all places, for any number of axes.",
         "Take a copy of x, add eps at the place, and call f; then the same with -eps."),
        wrong=_GRADIENT_WRONG,
    ),
]  # fmt: skip
