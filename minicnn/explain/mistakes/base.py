"""A call of an operation, a mistake, and the mistakes that can be made in every backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array

OVER_BATCH = "add (+=) over all samples of the batch"
Arrays = dict[str, Array]


class Call(NamedTuple):
    """A call of an operation, and what is right.

    Attributes:
        inputs: by name: x, w, b ...
        options: stride, padding ...
        y: the result.
        gy: the upstream gradient.
        right: the gradients, by the names of the inputs; or, where results are checked, these by their names.
    """

    inputs: Arrays
    options: dict[str, Any]
    y: Array
    gy: Array
    right: Arrays


class Mistake(NamedTuple):
    """A mistake, in words, and the gradient (or the result) that it gives; None where it cannot be made."""

    name: str
    remedy: str
    gradient: Callable[[Call], Array | None]


def common(call: Call, name: str, ones: Arrays) -> Iterator[tuple[str, str, Array]]:
    """(name, remedy, gradient) of mistakes that can be made in every backward pass.

    Args:
        call: the call.
        name: of the input.
        ones: the right gradients for an upstream gradient of ones.
    """
    right = call.right[name]
    yield "the gradient is zero", "check that it is computed and returned", np.zeros_like(right)
    yield "the sign is wrong", "change the sign", -right
    yield "the upstream gradient is left out", "multiply by gy (the chain rule)", ones[name]
    yield "the upstream gradient comes in twice", "multiply by gy once", right * _mean_of(call.gy, right)
    for other, gradient in call.right.items():
        if other != name and gradient.shape == right.shape:
            yield f"this is the gradient of {other}", "return the gradients in the order of the inputs", gradient
    batch = call.gy.shape[0] if call.gy.ndim else 1
    pixels = call.gy.size // max(1, batch)
    for count, what in (
        (batch, "the batch size"), (pixels, "the number of outputs of a sample"),
        (call.gy.size, "the number of outputs"), (2, "a factor that is not there"),
    ):  # fmt: skip
        if count > 1:
            yield f"it is {count} times too large, {what}: a mean is missing", f"divide by {count}", right * count
            yield f"it is {count} times too small, {what}: a mean too many", f"do not divide by {count}", right / count
    if right.ndim >= 2:
        for first, second in ((-1, -2), (0, 1)):
            swapped = right.swapaxes(first, second)
            if swapped.shape == right.shape:
                axes = "last" if first == -1 else "first"
                yield f"its {axes} two axes are swapped", "check the order of the indices", swapped
        yield "it is flipped along its last two axes", "do not turn it by 180 degrees", np.flip(right, (-1, -2))


def common_results(call: Call, name: str) -> Iterator[tuple[str, str, Array]]:
    """(name, remedy, result) of mistakes that can be made in every result."""
    right = call.right[name]
    yield "it is zero everywhere", "check that it is computed and returned", np.zeros_like(right)
    yield "the sign is wrong", "change the sign", -right
    yield "it is twice as large", "check what is added twice", right * 2
    yield "it is half as large", "check what is left out", right / 2
    for other, result in call.right.items():
        if other != name and result.shape == right.shape:
            yield f"this is {other}", "return the results in the order of the docstring", result
    for given, array in call.inputs.items():
        if array.shape == right.shape:
            yield f"this is {given} as it was given", "compute the result and return that", array
    if right.ndim >= 2:
        for first, second in ((-1, -2), (0, 1)):
            axes = "last" if first == -1 else "first"
            yield f"its {axes} two axes are swapped", "check the order of the indices", right.swapaxes(first, second)
        yield "it is flipped along its last two axes", "do not turn it by 180 degrees", np.flip(right, (-1, -2))


def _mean_of(gy: Array, right: Array) -> Any:
    return gy if gy.shape == right.shape else np.nan
