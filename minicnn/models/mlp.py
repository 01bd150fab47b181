"""Multilayer perceptrons: fully connected nets, which do not know that pixels have neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from .weights import with_weights

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class MLP(nn.Module):
    """A fully connected net: flatten, then linear layers with an activation after each but the last.

    With the default sizes, it is the net 784-300-100-10 that the paper on LeNet-5 compares with, at 3.05 % errors on
    MNIST. It has 266,610 parameters, four times as many as LeNet-5:

        input     1 x 28 x 28 -> 784
        linear    300            235,500 parameters        then activation
        linear    100             30,100                   then activation
        linear    10               1,010

    Args:
        num_classes: outputs.
        hidden_sizes: the outputs of the layers before the last; () for a linear classifier.
        in_features: C*H*W of an image.
        activation: "relu", "tanh" or "sigmoid"; the net of the paper has a kind of tanh.
        dropout: the probability of dropout after each activation; 0 for none.

    Shape: (N, C, H, W) with C*H*W = in_features -> logits (N, num_classes).

    D. E. Rumelhart, G. E. Hinton, R. J. Williams, "Learning representations by back-propagating errors", Nature 323,
    1986, https://doi.org/10.1038/323533a0. Sizes: Y. LeCun et al., "Gradient-based learning applied to document
    recognition", 1998, section III.C.
    """

    def __init__(
        self,
        num_classes: int = 10,
        hidden_sizes: Sequence[int] = (300, 100),
        in_features: int = 28 * 28,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"MLP: activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        self.layers = nn.Sequential(nn.Flatten())
        size = in_features
        for hidden in hidden_sizes:
            self.layers.extend([nn.Linear(size, hidden), ACTIVATIONS[activation]()])
            if dropout:
                self.layers.append(nn.Dropout(dropout))
            size = hidden
        self.layers.append(nn.Linear(size, num_classes))

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes)."""
        logits: Tensor = self.layers(input)
        return logits


@with_weights
def mlp(**kwargs: Any) -> MLP:
    """A fully connected net, 784-300-100-10 unless `hidden_sizes` says otherwise.

    >>> net = minicnn.models.mlp(hidden_sizes=(50,))
    >>> net(minicnn.zeros(8, 1, 28, 28)).shape, sum(p.numel() for p in net.parameters())  # 785*50 + 51*10
    (minicnn.Size([8, 10]), 39760)
    """
    return MLP(**kwargs)
