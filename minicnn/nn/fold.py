"""Layers that take windows as columns, and that add columns back to windows."""

from __future__ import annotations

from minicnn_kernels.geometry import IntOrPair

from ..ops import fold as ops
from ..tensor import Tensor
from .module import Module

__all__ = ["Fold", "Unfold"]


class _Windows(Module):
    """The windows."""

    def __init__(
        self, kernel_size: IntOrPair, dilation: IntOrPair = 1, padding: IntOrPair = 0, stride: IntOrPair = 1
    ) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Unfold(_Windows):
    """Takes every window as a column: (N, C, H, W) -> (N, C*KH*KW, L); see `functional.unfold`.

    >>> nn.Unfold(3)(minicnn.zeros(1, 2, 5, 5)).shape  # 2*3*3 rows, 3*3 windows
    minicnn.Size([1, 18, 9])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Unfold."""
        return ops.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Windows):
    """Adds columns onto their windows: (N, C*KH*KW, L) -> (N, C, *output_size); see `functional.fold`.

    >>> columns = nn.Unfold(2)(minicnn.ones(1, 1, 3, 3))
    >>> nn.Fold((3, 3), 2)(columns)[0, 0]  # in how many windows a pixel lies
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """

    def __init__(
        self,
        output_size: IntOrPair,
        kernel_size: IntOrPair,
        dilation: IntOrPair = 1,
        padding: IntOrPair = 0,
        stride: IntOrPair = 1,
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Fold."""
        return ops.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"output_size={self.output_size}, {super().extra_repr()}"
