"""Dropout layers: they drop values in training and do nothing in evaluation."""

from __future__ import annotations

from collections.abc import Callable

from ..ops import dropout
from ..tensor import Tensor
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _DropoutNd(Module):
    """The base class: a function of input, p, training and inplace."""

    function: Callable[..., Tensor]
    __constants__ = ("p", "inplace")

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            name = type(self).__name__
            raise ValueError(f"{name}: dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        return type(self).function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """In training, zero each element with probability p and scale the others by 1/(1 - p); in evaluation, y = x.

    Raises:
        ValueError: p is outside [0, 1].

    >>> drop = nn.Dropout(0.5)
    >>> sorted(set(drop(minicnn.ones(1000)).tolist()))  # dropped, or scaled by 1/(1 - p)
    [0.0, 2.0]
    >>> drop.eval()(minicnn.ones(3))
    tensor([1., 1., 1.])
    """

    function = staticmethod(dropout.dropout)


class Dropout1d(_DropoutNd):
    """`Dropout` of whole channels of (N, C, L) or (C, L).

    >>> y = nn.Dropout1d(0.5)(minicnn.ones(8, 16, 10))
    >>> set((y / 2).mean(2).flatten().tolist()) <= {0.0, 1.0}  # whole channels
    True
    """

    function = staticmethod(dropout.dropout1d)


class Dropout2d(_DropoutNd):
    """`Dropout` of whole channels of (N, C, H, W).

    >>> y = nn.Dropout2d(0.5)(minicnn.ones(8, 16, 4, 4))
    >>> set((y / 2).mean((2, 3)).flatten().tolist()) <= {0.0, 1.0}  # whole channels
    True
    """

    function = staticmethod(dropout.dropout2d)


class Dropout3d(_DropoutNd):
    """`Dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W).

    >>> y = nn.Dropout3d(0.5)(minicnn.ones(8, 16, 2, 4, 4))
    >>> set((y / 2).mean((2, 3, 4)).flatten().tolist()) <= {0.0, 1.0}  # whole channels
    True
    """

    function = staticmethod(dropout.dropout3d)


class AlphaDropout(_DropoutNd):
    """Dropout for nets with `SELU` that keeps mean and variance.

    >>> len(set(nn.AlphaDropout(0.5)(minicnn.zeros(1000)).tolist()))  # two values: dropped, and kept
    2
    """

    function = staticmethod(dropout.alpha_dropout)


class FeatureAlphaDropout(_DropoutNd):
    """`AlphaDropout` of whole channels of (N, C, ...).

    >>> y = nn.FeatureAlphaDropout(0.5)(minicnn.ones(8, 16, 4))
    >>> bool((y == y[:, :, :1]).all())  # whole channels
    True
    """

    function = staticmethod(dropout.feature_alpha_dropout)
