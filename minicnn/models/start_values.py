"""The start values that most nets share, whatever their layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import nn


def he_normal(net: nn.Module, mode: str = "fan_out", linear: Callable[[Any], Any] | None = None) -> None:
    """Draw new start values for the convolutions of a net, N(0, 2/fan), which suits ReLU; their biases are 0.

    Norms start as the identity.

    Args:
        net: the net; its parameters change in place.
        mode: "fan_out", the fan is KH KW O, which keeps the size of gradients from layer to layer; or "fan_in", it is
            KH KW C, which keeps that of the outputs.
        linear: draws the weights of a linear layer in place, whose bias is then 0. None leaves linear layers as they
            are, with PyTorch's start values.

    K. He et al., "Delving deep into rectifiers", 2015, https://arxiv.org/abs/1502.01852.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
        elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)) and module.weight is not None:
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.Linear) and linear is not None:
            linear(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
