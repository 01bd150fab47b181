"""An activation function as curves: its value and its slope, from the operations and the tape that train.

Three properties matter for training, and all are seen in these curves. Where the slope almost vanishes, the gradient
does, too (saturation). Outputs that are all positive give all weights of a neuron of the next layer gradients of one
sign (zero-centred or not). An unbounded output lets values grow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minicnn_kernels.arrays import Array

from ..autograd.modes import enable_grad
from ..nn import functional as F
from ..ops.tensor.creation import tensor
from ..tensor import Tensor

SATURATED = 0.05  # a slope below this share of the largest one
_CENTRED = 0.01  # of the mean output for normal inputs


@dataclass(frozen=True)
class ActivationCurve:
    """An activation function on a range.

    Attributes:
        name: of the function.
        x, y, slope: the range, f(x) and f'(x), float64.
        saturated: where |f'(x)| is below 5 % of its largest value on this range.
        mean: of f(x) for x from a standard normal distribution.
    """

    name: str
    x: Array
    y: Array
    slope: Array
    saturated: Array
    mean: float

    @property
    def zero_centred(self) -> bool:
        """Whether the mean output for standard normal inputs is below 0.01 in size."""
        return abs(self.mean) < _CENTRED

    def spans(self) -> list[tuple[float, float]]:
        """The intervals of x that are saturated."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.saturated, [False]]).astype(int)))
        return [(float(self.x[a]), float(self.x[b - 1])) for a, b in edges.reshape(-1, 2)]


def activation_curve(
    function: str | Callable[[Tensor], Tensor], low: float = -5.0, high: float = 5.0, points: int = 1001
) -> ActivationCurve:
    """The value and the slope of a function of numbers.

    Args:
        function: a name of `minicnn.nn.functional`, such as "gelu", or any function of a tensor, elementwise.
        low, high: the range.
        points: on it.

    Raises:
        ValueError: there is no such function, the range is empty, or the function is not elementwise.

    >>> from minicnn.explain import activation_curve
    >>> curve = activation_curve("relu", low=-1, high=1, points=3)
    >>> curve.x, curve.y, curve.slope
    (array([-1.,  0.,  1.]), array([0., 0., 1.]), array([0., 0., 1.]))
    """
    name = function if isinstance(function, str) else getattr(function, "__name__", type(function).__name__)
    of = getattr(F, name, None) if isinstance(function, str) else function
    if not callable(of):
        raise ValueError(f"activation_curve: minicnn.nn.functional has no function {name!r}")
    if not -np.inf < low < high < np.inf or points < 2:
        raise ValueError(
            f"activation_curve: needs finite low < high and 2 points or more, got {low}, {high} and {points}"
        )
    x = np.linspace(low, high, points)
    y, slope = _run(name, of, x)
    normal = np.linspace(-8, 8, 4001)
    density = np.exp(-(normal**2) / 2)
    mean = float((_run(name, of, normal)[0] * density).sum() / density.sum())
    steepness = np.abs(slope)
    return ActivationCurve(name, x, y, slope, steepness < SATURATED * steepness.max(), mean)


def _run(name: str, function: Callable[[Tensor], Tensor], x: Array) -> tuple[Array, Array]:
    at = tensor(x, requires_grad=True)
    with enable_grad():
        y = function(at)
        total = y.sum()
    if tuple(y.shape) != x.shape:
        raise ValueError(f"activation_curve: {name} must be elementwise; it made shape {tuple(y.shape)} of {x.shape}")
    total.backward()
    assert at.grad is not None
    return np.asarray(y.detach().numpy()), np.asarray(at.grad.numpy())
