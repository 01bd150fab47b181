"""Fully connected layers, and what leads to them."""

from __future__ import annotations

import math

import numpy as np

from ..ops.linear import linear
from ..ops.shape import flatten
from ..tensor import Tensor
from . import init
from .module import Module, Parameter


class Linear(Module):
    """y = x w^T + b: every output sees every input.

    Shape: (..., in_features) -> (..., out_features). Parameters: `weight` (out, in) and `bias` (out,), (in + 1)*out in
    all, drawn from U(-1/sqrt(in), 1/sqrt(in)) as in PyTorch.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: str | None = None, dtype: object = None
    ) -> None:
        super().__init__()
        if min(in_features, out_features) < 1:
            raise ValueError(f"Linear: in_features={in_features} and out_features={out_features} must be at least 1")
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), dtype or np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_features, dtype or np.float32)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """As PyTorch prints it."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Flatten(Module):
    """Join axes start_dim to end_dim into one: (N, C, H, W) -> (N, C*H*W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Flatten."""
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """As PyTorch prints it."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
