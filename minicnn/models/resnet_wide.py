"""Wide residual nets for CIFAR: S. Zagoruyko and N. Komodakis, "Wide residual networks", 2016."""

from __future__ import annotations

from typing import Any

from .resnet_preact import PreActBlock, PreActResNet
from .weights import with_weights


class WideResNet(PreActResNet):
    """Width instead of depth: a net of 16 layers, 8 times as wide, has a smaller error than one of 1001 thin layers.

    A thin layer is slow for what it computes, and with very many blocks only few learn something of use. WRN-d-k is the
    pre-activation net with d = 6n+4 layers (three 1x1 convolutions are counted) and k times the channels:

        conv1   3x3, 16                  16 x 32 x 32
        layer1  n x [16k 16k]            16k x 32 x 32
        layer2  n x [32k 32k]            32k x 16 x 16
        layer3  n x [64k 64k]            64k x 8 x 8
        bn, relu, avgpool, fc            64k -> num_classes

                    WRN-40-4    WRN-16-8     WRN-28-10
        parameters  8,949,210   10,961,370   36,479,194
        error in %  4.53        4.27         4.00          (CIFAR-10, published)

    Args:
        depth: d = 6n+4.
        widen_factor: k.
        num_classes: outputs.
        dropout: the probability of zeroing a value between the two convolutions of a block; 0.3 in the paper.
        in_channels: 3 for colour.

    Convolutions start as in `he_normal`. Shape: (N, in_channels, H, W) -> logits (N, num_classes).

    S. Zagoruyko, N. Komodakis, "Wide residual networks", 2016, https://arxiv.org/abs/1605.07146. The wide nets for
    ImageNet are `wide_resnet50_2` and `wide_resnet101_2`.
    """

    def __init__(
        self,
        depth: int = 28,
        widen_factor: int = 10,
        num_classes: int = 10,
        dropout: float = 0.0,
        in_channels: int = 3,
    ) -> None:
        n, rest = divmod(depth - 4, 6)
        if rest or n < 1:
            raise ValueError(f"WideResNet: depth must be 6n+4 with n >= 1, such as 10, 16, 22, 28 or 40, got {depth}")
        if widen_factor < 1:
            raise ValueError(f"WideResNet: widen_factor must be at least 1, got {widen_factor}")
        super().__init__(
            PreActBlock,
            [n, n, n],
            num_classes,
            small_images=True,
            width=16 * widen_factor,
            dropout=dropout,
            in_channels=in_channels,
        )


@with_weights
def wrn_16_2(**kwargs: Any) -> WideResNet:
    """WRN-16-2: 16 layers, twice as wide; small enough for a few cores.

    >>> sum(p.numel() for p in minicnn.models.wrn_16_2().parameters())
    691674
    """
    return WideResNet(16, 2, **kwargs)


@with_weights
def wrn_16_8(**kwargs: Any) -> WideResNet:
    """WRN-16-8: 16 layers, 8 times as wide.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.wrn_16_8(), minicnn.zeros(8, 3, 32, 32)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([8, 10]), 10961370)
    """
    return WideResNet(16, 8, **kwargs)


@with_weights
def wrn_28_10(**kwargs: Any) -> WideResNet:
    """WRN-28-10: 28 layers, 10 times as wide."""
    return WideResNet(28, 10, **kwargs)


@with_weights
def wrn_40_4(**kwargs: Any) -> WideResNet:
    """WRN-40-4: 40 layers, 4 times as wide."""
    return WideResNet(40, 4, **kwargs)
