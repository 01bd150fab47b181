"""Activations and dropout as layers without parameters."""

from __future__ import annotations

from ..ops import activation, dropout
from ..tensor import Tensor
from .module import Module


class ReLU(Module):
    """max(x, 0), elementwise. `inplace` is accepted for PyTorch's sake; the result is always a new tensor."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        return activation.relu(input)

    def extra_repr(self) -> str:
        """As PyTorch prints it."""
        return "inplace=True" if self.inplace else ""


class Tanh(Module):
    """tanh(x), elementwise."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        return activation.tanh(input)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), elementwise."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        return activation.sigmoid(input)


class Identity(Module):
    """The input itself; takes any arguments, so that it can stand in for a layer."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """Give it back."""
        return input


class Dropout(Module):
    """In training, zero each element with probability p and scale the others by 1/(1 - p); in evaluation, nothing."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must be a probability between 0 and 1, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        return dropout.dropout(input, self.p, self.training, False)

    def extra_repr(self) -> str:
        """As PyTorch prints it."""
        return f"p={self.p}, inplace={self.inplace}"
