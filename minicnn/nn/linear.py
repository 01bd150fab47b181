"""Fully connected layers, and the layers that prepare their input."""

from __future__ import annotations

import math
from typing import Any

from minicnn_kernels.geometry import whole

from ..ops.linear import bilinear, linear
from ..ops.tensor.creation import empty
from ..tensor import Tensor
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Bilinear", "Flatten", "Identity", "Linear", "Unflatten"]


class Identity(Module):
    """y = x, a placeholder; takes any arguments and ignores them.

    >>> nn.Identity()(minicnn.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """Return the input itself."""
        return input


class Linear(Module):
    """y = x w^T + b: every output depends on every input.

    Shape: (..., in_features) -> (..., out_features). Parameters: `weight` (out, in) and `bias` (out,), together
    (in + 1)*out numbers, drawn from U(-1/sqrt(in), 1/sqrt(in)) as in PyTorch.

    Raises:
        KindError: a number of features is not an int.
        ValueError: it is negative.

    >>> fc = nn.Linear(400, 120)
    >>> fc(minicnn.zeros(8, 400)).shape
    minicnn.Size([8, 120])
    >>> sum(p.numel() for p in fc.parameters())  # (400 + 1)*120
    48120
    """

    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        in_features = whole(in_features, "Linear", "in_features")
        out_features = whole(out_features, "Linear", "out_features")
        if min(in_features, out_features) < 0:
            raise ValueError(f"Linear: in_features={in_features} and out_features={out_features} must not be negative")
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new start values for the parameters."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class NonDynamicallyQuantizableLinear(Linear):
    """A `Linear`, under the name that it has in PyTorch's attention."""


class Bilinear(Module):
    """y[o] = x1^T w[o] x2 + b[o]: each output depends on every product of an input1 and an input2.

    Shape: (..., in1_features) and (..., in2_features) -> (..., out_features). Parameters: `weight` (out, in1, in2) and
    `bias` (out,), drawn from U(-1/sqrt(in1), 1/sqrt(in1)) as in PyTorch.

    Raises:
        ValueError: there are no in1_features.

    >>> nn.Bilinear(20, 30, 40)(minicnn.zeros(8, 20), minicnn.zeros(8, 30)).shape
    minicnn.Size([8, 40])
    """

    bias: Parameter | None

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in1_features = whole(in1_features, "Bilinear", "in1_features")
        if self.in1_features <= 0:
            raise ValueError(f"Bilinear: in1_features must be > 0, but got (in1_features={in1_features})")
        self.in2_features = whole(in2_features, "Bilinear", "in2_features", 0)
        self.out_features = whole(out_features, "Bilinear", "out_features", 0)
        sizes = self.out_features, self.in1_features, self.in2_features
        self.weight = Parameter(empty(sizes, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new start values for the parameters."""
        bound = 1 / math.sqrt(self.in1_features)
        for parameter in self.parameters(recurse=False):
            init.uniform_(parameter, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """(..., in1_features), (..., in2_features) -> (..., out_features)."""
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Flatten(Module):
    """Join axes start_dim to end_dim into one: (N, C, H, W) -> (N, C*H*W).

    >>> nn.Flatten()(minicnn.zeros(8, 16, 5, 5)).shape
    minicnn.Size([8, 400])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Flatten."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split axis `dim` into several: (N, C*H*W) -> (N, C, H, W) with dim=1 and unflattened_size=(C, H, W).

    >>> nn.Unflatten(1, (16, 5, 5))(minicnn.zeros(8, 400)).shape
    minicnn.Size([8, 16, 5, 5])
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                f"unflattened_size must be a tuple of ints, but found type {type(unflattened_size).__name__}"
            )
        for place, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    "unflattened_size must be tuple of ints, but found element of type "
                    f"{type(size).__name__} at pos {place}"
                )
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        """Unflatten."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
