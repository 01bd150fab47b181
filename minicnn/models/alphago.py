"""The policy network of AlphaGo: D. Silver et al., 2016."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..ops.tensor.creation import zeros
from ..tensor import Tensor
from .weights import with_weights


class AlphaGo(nn.Module):
    """The net that proposes moves: a score for each of the 361 points of the board; its softmax is the policy.

        input            48 x 19 x 19       feature planes: stones, liberties, captures, turns since ...
        conv 5x5         192 x 19 x 19      230,592 parameters      pad 2, then ReLU
        11 x conv 3x3    192 x 19 x 19      331,968 each            pad 1, then ReLU
        conv 1x1         1 x 19 x 19            192                 without bias
        position bias    361                    361                 one for each point, then softmax

    Nothing is pooled: the place of each point matters. With 192 filters, as in the matches, these are 3,882,793
    parameters.

    Args:
        filters: of each convolution but the last: 128, 192, 256 and 384 were tried.
        position_bias: a bias for each point, as in the paper; False for the one bias of a usual 1x1 convolution.
        in_channels: feature planes.
        hidden_layers: 3x3 convolutions.
        size: points on a side of the board.

    Shape: (N, in_channels, size, size) -> scores (N, size*size).

    D. Silver et al., "Mastering the game of Go with deep neural networks and tree search", Nature 529, 2016,
    https://doi.org/10.1038/nature16961, section "Neural network architecture".
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        filters: int = 192,
        position_bias: bool = True,
        in_channels: int = 48,
        hidden_layers: int = 11,
        size: int = 19,
    ) -> None:
        super().__init__()
        self.size = size
        self.features = nn.Sequential(nn.Conv2d(in_channels, filters, 5, padding=2), nn.ReLU())
        for _ in range(hidden_layers):
            self.features.extend([nn.Conv2d(filters, filters, 3, padding=1), nn.ReLU()])
        self.scores = nn.Conv2d(filters, 1, 1, bias=not position_bias)
        if position_bias:
            self.bias = nn.Parameter(zeros(size * size))
        else:
            self.register_parameter("bias", None)

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_channels, size, size) -> (N, size*size)."""
        if tuple(input.shape[2:]) != (self.size, self.size):
            raise ValueError(
                f"AlphaGo: the board must have {self.size} x {self.size} points, got {tuple(input.shape)}; "
                "AlphaGo(size=...) takes others"
            )
        scores: Tensor = self.scores(self.features(input)).flatten(1)  # (N, 1, S, S) -> (N, S*S)
        return scores if self.bias is None else scores + self.bias


@with_weights
def alphago(**kwargs: Any) -> AlphaGo:
    """The policy network of AlphaGo, with 192 filters and a bias for each point.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.alphago(), minicnn.zeros(1, 48, 19, 19)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 361]), 3882793)
    """
    return AlphaGo(**kwargs)
