"""Softmax layers."""

from __future__ import annotations

import numpy as np

from minicnn_kernels.geometry import ShapeError

from ..ops import softmax as ops
from ..ops.tensor.creation import tensor
from ..tensor import Tensor
from .module import Module
from .parameter import Parameter

__all__ = ["LogSoftmax", "Softmax", "Softmax2d", "Softmin", "TemperatureSoftmax"]


class Softmax(Module):
    """Probabilities along `dim`: e^x / sum e^x. Shape: any, unchanged.

    Args:
        dim: the axis whose values sum to 1. None is deprecated: it means 0 for inputs of 0, 1 or 3 axes, else 1.

    >>> nn.Softmax(dim=0)(minicnn.tensor([1.0, 2.0, 5.0]).log())  # 1/8, 2/8, 5/8
    tensor([0.1250, 0.2500, 0.6250])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        return ops.softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """The logarithm of `Softmax`, without its underflow, with the same argument.

    >>> nn.LogSoftmax(dim=0)(minicnn.zeros(2))  # log(1/2)
    tensor([-0.6931, -0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        return ops.log_softmax(input, self.dim, _stacklevel=5)


class Softmin(Softmax):
    """`Softmax` of the negated input, with the same argument.

    >>> nn.Softmin(dim=0)(minicnn.tensor([1.0, 3.0]).log())  # as 1 to 1/3
    tensor([0.7500, 0.2500])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        return ops.softmin(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """Softmax over the channels at each pixel. Shape: (N, C, H, W) or (C, H, W), unchanged.

    >>> nn.Softmax2d()(minicnn.zeros(4, 1, 2))[0]
    tensor([[0.2500, 0.2500]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        if input.ndim not in (3, 4):
            raise ShapeError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return ops.softmax(input, -3)


class TemperatureSoftmax(Module):
    """Softmax of x / temperature (not in PyTorch): `nn.functional.temperature_softmax`. Shape: any, unchanged.

    Args:
        temperature: positive; below 1 it sharpens, above 1 it flattens.
        learnable: make `temperature` a parameter.
        dim: the axis whose values sum to 1.

    Raises:
        ValueError: the temperature, which may be learned, is not positive.

    >>> scores = minicnn.tensor([1.0, 2.0])
    >>> nn.TemperatureSoftmax(1.0)(scores), nn.TemperatureSoftmax(10.0)(scores)
    (tensor([0.2689, 0.7311]), tensor([0.4750, 0.5250]))
    """

    temperature: float | Parameter

    def __init__(self, temperature: float = 1.0, learnable: bool = False, dim: int = -1) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"TemperatureSoftmax: the temperature must be positive, got {temperature}")
        self.temperature = Parameter(tensor(temperature, dtype=np.float32)) if learnable else float(temperature)
        self.learnable, self.dim = learnable, dim

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        return ops.temperature_softmax(input, self.temperature, self.dim)

    def extra_repr(self) -> str:
        """Return the current temperature and the axis, for the repr."""
        now = self.temperature.item() if isinstance(self.temperature, Parameter) else self.temperature
        return f"temperature={now:g}, learnable={self.learnable}, dim={self.dim}"
