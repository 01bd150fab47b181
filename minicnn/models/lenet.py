"""LeNet-5: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998."""

from __future__ import annotations

from .. import nn
from ..tensor import Tensor

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}
POOLS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


class LeNet5(nn.Module):
    """The first famous convolutional net, as the courses teach it, with 61,706 parameters.

        input     1 x 32 x 32
        conv 5x5  6 x 28 x 28        156 parameters       then activation, 2x2 pooling -> 6 x 14 x 14
        conv 5x5  16 x 10 x 10     2,416                  then activation, 2x2 pooling -> 16 x 5 x 5
        linear    120             48,120                  then activation
        linear    84              10,164                  then activation
        linear    10                 850

    The paper's net differs: its second convolution connects each output channel to some of the input channels only,
    its pooling has weights, and its output layer measures distances to fixed images.

    Args:
        num_classes: outputs.
        activation: "tanh" or "relu".
        pool: "max" or "avg".
        in_channels: 1 for grey images.

    Shape: (N, in_channels, 32, 32) -> logits (N, num_classes).
    """

    def __init__(
        self, num_classes: int = 10, activation: str = "tanh", pool: str = "max", in_channels: int = 1
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS or pool not in POOLS:
            raise ValueError(
                f"LeNet5: activation must be one of {', '.join(ACTIVATIONS)} and pool one of {', '.join(POOLS)}, "
                f"got {activation!r} and {pool!r}"
            )
        act, down = ACTIVATIONS[activation], POOLS[pool]
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5), act(), down(2),
            nn.Conv2d(6, 16, 5), act(), down(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(400, 120), act(),
            nn.Linear(120, 84), act(),
            nn.Linear(84, num_classes),
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_channels, 32, 32) -> (N, num_classes)."""
        logits: Tensor = self.classifier(self.features(input))
        return logits
