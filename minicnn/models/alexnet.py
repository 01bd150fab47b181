"""AlexNet in the versions that courses and libraries mean by it: A. Krizhevsky, I. Sutskever, G. E. Hinton, 2012."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import nn
from ..tensor import Tensor
from .weights import with_weights


class Variant(NamedTuple):
    """What the versions of AlexNet differ in.

    Attributes:
        widths: the channels of the five convolutions.
        padding: of the first one: 0 for images of 227 x 227, 2 for 224 x 224.
        groups: of the convolutions; 2 is for two GPUs that see each other's maps in the third one only.
        norm: "", "batch" after each convolution, or "lrn", local response normalisation in the first two stages.
        norm_after_pool: LRN follows the pooling and not the ReLU.
        dropout_first: dropout is before the first two linear layers, and not behind them.
        hidden: the outputs of the first two linear layers.
    """

    widths: tuple[int, int, int, int, int]
    padding: int = 2
    groups: tuple[int, int, int, int, int] = (1, 1, 1, 1, 1)
    norm: str = ""
    norm_after_pool: bool = False
    dropout_first: bool = False
    hidden: int = 4096


PAPER = (96, 256, 384, 384, 256)
VARIANTS = {
    "torchvision": Variant((64, 192, 384, 256, 256), dropout_first=True),
    "lrn": Variant(PAPER, padding=0, norm="lrn", norm_after_pool=True),
    "two_towers": Variant(PAPER, padding=0, groups=(1, 2, 1, 2, 2), norm="lrn"),
    "batch_norm": Variant(PAPER, norm="batch"),
    "simple": Variant((96, 192, 384, 256, 256)),
}


class AlexNet(nn.Module):
    """The net that won ImageNet in 2012 by ten points, and made deep convolutional nets with ReLU and dropout common.

    There are several; `variant` names one, or is a `Variant` of your own:

        variant         input   widths                  parameters    what it is
        torchvision     224     64 192 384 256 256      61,100,840    of "One weird trick", as torchvision has it
        lrn             227     96 256 384 384 256      62,378,344    one tower; pooling, then LRN (course CS231n)
        two_towers      227     96 256 384 384 256      60,965,224    the paper: groups 1 2 1 2 2; LRN, then pooling
        batch_norm      224     96 256 384 384 256      62,381,096    batch norm after each convolution
        simple          224     96 192 384 256 256      61,266,088    widths of a course; between the first two

    The stages of the paper, for 227 x 227:

        conv 11x11/4    96 x 55 x 55        then ReLU, LRN, 3x3/2 pooling -> 96 x 27 x 27
        conv 5x5        256 x 27 x 27       pad 2, then ReLU, LRN, 3x3/2 pooling -> 256 x 13 x 13
        conv 3x3        384 x 13 x 13       pad 1, then ReLU
        conv 3x3        384 x 13 x 13       pad 1, then ReLU
        conv 3x3        256 x 13 x 13       pad 1, then ReLU, 3x3/2 pooling -> 256 x 6 x 6
        linear          4096, 4096, 1000    dropout and ReLU between them

    The paper says 224 x 224, but 55 needs 227, or a padding of 2. The "simple" list of widths mixes the first layer of
    one net with the rest of the other, and is given without the linear layers; here they are those of all versions.

    Weights are drawn as PyTorch's layers draw them. The paper draws from N(0, 0.01^2), with biases of 1 in layers 2, 4,
    5, 6 and 7. LRN has its constants: k = 2, n = 5, alpha = 1e-4 per channel, beta = 0.75.

    Args:
        num_classes: outputs.
        dropout: the probability of dropout.
        variant: a name of the table, or a `Variant`.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, H, W) -> logits (N, num_classes); other sizes work too, from 63 on, or 67 without padding.

    A. Krizhevsky, I. Sutskever, G. E. Hinton, "ImageNet classification with deep convolutional neural networks", NIPS
    2012, https://papers.nips.cc/paper/4824. A. Krizhevsky, "One weird trick for parallelizing convolutional neural
    networks", 2014, https://arxiv.org/abs/1404.5997.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.5,
        variant: str | Variant = "torchvision",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if isinstance(variant, str) and variant not in VARIANTS:
            raise ValueError(f"AlexNet: variant must be one of {', '.join(VARIANTS)}, or a Variant; got {variant!r}")
        made = VARIANTS[variant] if isinstance(variant, str) else variant
        self.features = _features(made, in_channels)
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = classifier(made.widths[4] * 6 * 6, made.hidden, num_classes, dropout, made.dropout_first)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.avgpool(self.features(x))
        logits: Tensor = self.classifier(x.flatten(1))  # (N, C, 6, 6) -> (N, 36 C)
        return logits


def local_response_norm() -> nn.LocalResponseNorm:
    """LRN with the constants of the paper; PyTorch divides alpha by the 5 channels, the paper does not."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)


def _features(made: Variant, in_channels: int) -> nn.Sequential:
    layers = nn.Sequential()
    geometry = [(11, 4, made.padding), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1)]  # kernel, stride, padding
    for stage, (width, groups, (kernel, stride, padding)) in enumerate(
        zip(made.widths, made.groups, geometry, strict=True)
    ):
        layers.append(nn.Conv2d(in_channels, width, kernel, stride, padding, groups=groups))
        if made.norm == "batch":
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
        lrn = made.norm == "lrn" and stage < 2
        if lrn and not made.norm_after_pool:
            layers.append(local_response_norm())
        if stage in (0, 1, 4):
            layers.append(nn.MaxPool2d(3, 2))
        if lrn and made.norm_after_pool:
            layers.append(local_response_norm())
        in_channels = width
    return layers


def classifier(
    features: int, hidden: int, num_classes: int, dropout: float, dropout_first: bool = False
) -> nn.Sequential:
    """The three linear layers of AlexNet and its relatives, with dropout before the first two, or else behind them."""
    layers = nn.Sequential()
    for inputs in (features, hidden):
        layer = [nn.Linear(inputs, hidden), nn.ReLU(inplace=True)]
        drop = [nn.Dropout(dropout)]
        layers.extend(drop + layer if dropout_first else layer + drop)
    layers.append(nn.Linear(hidden, num_classes))
    return layers


@with_weights
def alexnet(**kwargs: Any) -> AlexNet:
    """AlexNet as torchvision has it: the single tower of "One weird trick", 2014.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.alexnet(), minicnn.zeros(1, 3, 224, 224)
    >>> net.features(x).shape, net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 256, 6, 6]), minicnn.Size([1, 1000]), 61100840)
    """
    return AlexNet(**kwargs)


@with_weights
def alexnet_lrn(**kwargs: Any) -> AlexNet:
    """AlexNet in one tower for images of 227 x 227, with local response normalisation, as course CS231n lists it."""
    return AlexNet(variant="lrn", **kwargs)


@with_weights
def alexnet_two_towers(**kwargs: Any) -> AlexNet:
    """AlexNet of the paper: two towers as groups, for images of 227 x 227, with local response normalisation."""
    return AlexNet(variant="two_towers", **kwargs)


@with_weights
def alexnet_bn(**kwargs: Any) -> AlexNet:
    """AlexNet in one tower for images of 224 x 224, with batch norm."""
    return AlexNet(variant="batch_norm", **kwargs)


@with_weights
def alexnet_simple(**kwargs: Any) -> AlexNet:
    """AlexNet without any normalisation, with the widths 96, 192, 384, 256, 256."""
    return AlexNet(variant="simple", **kwargs)
