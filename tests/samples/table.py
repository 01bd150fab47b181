"""The parts of a row of the table of samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Sample(NamedTuple):
    """One call: shapes of the inputs (None for an input left out) and keyword options."""

    shapes: tuple[Shape | None, ...]
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    torch: bool = True  # whether PyTorch takes it


class Op(NamedTuple):
    """One operation: how it is called, its samples, and the special properties of its inputs.

    `call` is the operation's dotted name, the same in minicnn and PyTorch ("nn.functional.conv2d"), or a function of
    the library and the inputs: `lambda lib, x, **options: lib.where(x > 0, x, 0)`.
    """

    call: str | Callable[..., Any]
    samples: list[Sample]
    linear: tuple[int, ...] = ()  # the inputs in which the result is linear, for the adjoint test
    draw: Callable[[np.random.Generator, Shape], np.ndarray] = lambda rng, s: rng.standard_normal(s)
    torch: bool = True  # whether PyTorch has it
    kernels: tuple[tuple[str, ...], ...] = (("numpy",), ("numba",))  # the choices of `minicnn.use` that change it

    def run(self, lib: Any, *inputs: Any, **options: Any) -> Any:
        """Call it in a library, minicnn or torch; of several results, take the first, which is differentiable."""
        if isinstance(self.call, str):
            result = reduce(getattr, self.call.split("."), lib)(*inputs, **options)
        else:
            result = self.call(lib, *inputs, **options)
        return result[0] if isinstance(result, tuple) else result


def S(*shapes: Shape | None, **options: Any) -> Sample:
    return Sample(shapes, options)


def beyond(*shapes: Shape | None, **options: Any) -> Sample:
    """A sample that PyTorch refuses, or calls with other arguments."""
    return Sample(shapes, options, torch=False)


def positive(rng: np.random.Generator, s: Shape) -> np.ndarray:
    return rng.random(s) + 0.5


def apart(rng: np.random.Generator, s: Shape) -> np.ndarray:
    """Values at least 0.05 from each other and from 0, so that finite differences meet no kink (relu, max)."""
    values = (np.arange(int(np.prod(s))) + 1) * 0.05
    return rng.permutation(values * np.where(np.arange(values.size) % 2, 1, -1)).reshape(s)


BROADCAST = [S((2, 3), (2, 3)), S((4, 1, 3), (2, 1)), S((), (3,)), S((2, 0), (1,)), S((2, 3, 2, 2), (1, 3, 1, 1))]
POINTS = [S((2, 3, 4, 5)), S(()), S((0, 3)), S((7,))]
