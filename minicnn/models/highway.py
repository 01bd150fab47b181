"""Highway networks: R. K. Srivastava, K. Greff, J. Schmidhuber, 2015."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from .weights import with_weights

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def _activation(owner: str, name: str) -> type[nn.Module]:
    if name not in ACTIVATIONS:
        raise ValueError(f"{owner}: activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]


class HighwayNet(nn.Module):
    """The thin, deep net that showed that gates let gradients through a hundred layers, a half-year before ResNet.

        flatten                     C x H x W -> 784
        linear, activation          width
        (depth - 1) x highway       width             y = H(x) T(x) + x (1 - T(x)), see `nn.Highway`
        linear                      num_classes

    A highway layer of width d has 2 (d d + d) parameters: 5,100 for the 50 of the paper. It compares with plain nets of
    width 71, which have as many: `MLP(hidden_sizes=[71] * depth)`. Those of 20 layers and more are hard to train.

    Args:
        num_classes: outputs.
        depth: hidden layers, the first one included: 10, 20, 50 and 100 in the paper.
        width: of every layer.
        in_features: C*H*W of an image.
        activation: of H: "relu" or "tanh"; the paper's search chose among the two for each depth.
        gate_bias: the start value of the gates' biases, negative: at first most of x passes, sigmoid(-2) = 0.12.

    Shape: (N, C, H, W) with C*H*W = in_features -> logits (N, num_classes).

    R. K. Srivastava, K. Greff, J. Schmidhuber, "Highway networks", 2015, https://arxiv.org/abs/1505.00387, and
    "Training very deep networks", 2015, https://arxiv.org/abs/1507.06228.
    """

    def __init__(
        self,
        num_classes: int = 10,
        depth: int = 10,
        width: int = 50,
        in_features: int = 28 * 28,
        activation: str = "relu",
        gate_bias: float = -2.0,
    ) -> None:
        super().__init__()
        act = _activation("HighwayNet", activation)
        if depth < 1:
            raise ValueError(f"HighwayNet: depth must be at least 1, the first linear layer, got {depth}")
        self.first = nn.Sequential(nn.Flatten(), nn.Linear(in_features, width), act())
        self.highway = nn.Sequential(*(nn.Highway.linear(width, act, gate_bias) for _ in range(depth - 1)))
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes)."""
        logits: Tensor = self.classifier(self.highway(self.first(input)))
        return logits


class HighwayConvNet(nn.Module):
    """A highway net of convolutions. Its widths are this project's choice; the papers' are not all published.

        for each width: conv 3x3 to that width, activation; `blocks` highway blocks of 3x3 convolutions; 2x2 pooling
        then the mean of each channel, and a linear layer

    Args:
        num_classes: outputs.
        widths: the channels of the stages.
        blocks: highway blocks in each stage.
        in_channels: 3 for colour images.
        activation, gate_bias: as in `HighwayNet`.

    Shape: (N, in_channels, H, W), H and W at least 2^stages -> logits (N, num_classes).
    """

    def __init__(
        self,
        num_classes: int = 10,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 3,
        in_channels: int = 3,
        activation: str = "relu",
        gate_bias: float = -2.0,
    ) -> None:
        super().__init__()
        act = _activation("HighwayConvNet", activation)
        self.features = nn.Sequential()
        for width in widths:
            self.features.extend([nn.Conv2d(in_channels, width, 3, padding=1), act()])
            self.features.extend([nn.Highway.conv2d(width, 3, act, gate_bias) for _ in range(blocks)])
            self.features.append(nn.MaxPool2d(2))
            in_channels = width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(in_channels, num_classes)

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        logits: Tensor = self.classifier(self.avgpool(self.features(input)).flatten(1))  # (N, C, 1, 1) -> (N, C)
        return logits


@with_weights
def highway10(**kwargs: Any) -> HighwayNet:
    """A highway net of 10 hidden layers of width 50.

    >>> net = minicnn.models.highway10()
    >>> net(minicnn.zeros(8, 1, 28, 28)).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([8, 10]), 85660)
    """
    return HighwayNet(depth=10, **kwargs)


@with_weights
def highway20(**kwargs: Any) -> HighwayNet:
    """A highway net of 20 hidden layers of width 50."""
    return HighwayNet(depth=20, **kwargs)


@with_weights
def highway50(**kwargs: Any) -> HighwayNet:
    """A highway net of 50 hidden layers of width 50."""
    return HighwayNet(depth=50, **kwargs)


@with_weights
def highway100(**kwargs: Any) -> HighwayNet:
    """A highway net of 100 hidden layers of width 50."""
    return HighwayNet(depth=100, **kwargs)
