"""VGG: K. Simonyan, A. Zisserman, 2014."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import nn
from ..tensor import Tensor
from .alexnet import local_response_norm
from .start_values import he_normal
from .weights import with_weights

# Table 1 of the paper. A number is a 3x3 convolution with that many channels, "1x1-256" a 1x1 convolution, "M" a 2x2
# max pooling, "LRN" local response normalisation. A to E have 11, 13, 16, 16 and 19 layers with weights.
cfgs: dict[str, list[int | str]] = {
    "A": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "A-LRN": [64, "LRN", "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "B": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "C": [64, 64, "M", 128, 128, "M", 256, 256, "1x1-256", "M", 512, 512, "1x1-512", "M", 512, 512, "1x1-512", "M"],
    "D": [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
    "E": [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"],
}


class VGG(nn.Module):
    """Deep nets of nothing but 3x3 convolutions: two of them see 5x5 pixels, three see 7x7, with fewer weights.

        input 3 x 224 x 224      A (VGG-11)   B (VGG-13)   C              D (VGG-16)   E (VGG-19)
        64 x 224 x 224           1 conv       2            2              2            2
        2x2 pooling, 128 x 112   1            2            2              2            2
        2x2 pooling, 256 x 56    2            2            2 + 1x1        3            4
        2x2 pooling, 512 x 28    2            2            2 + 1x1        3            4
        2x2 pooling, 512 x 14    2            2            2 + 1x1        3            4
        2x2 pooling, 512 x 7, then linear 4096, 4096, 1000 with ReLU and dropout
        parameters               132,863,336  133,047,848  133,638,952    138,357,544  143,667,240

    Every convolution is padded to keep the size, and is followed by ReLU. A-LRN has local response normalisation after
    the first ReLU, which did not help. Batch norm, behind each convolution, is newer than the paper.

    Weights are drawn as torchvision draws them: convolutions from N(0, 2/n) with n weights per input channel (He),
    linear layers from N(0, 0.01^2), biases are 0.

    Args:
        features: the convolutions, of `make_layers`; 512 channels come out of them.
        num_classes: outputs.
        init_weights: draw the weights as above; False keeps what the layers have.
        dropout: the probability of dropout.
        hidden: the outputs of the first two linear layers.

    Shape: (N, 3, H, W), H and W at least 32 -> logits (N, num_classes). Other sizes than 224 are averaged to 7 x 7
    places at the end.

    K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014,
    https://arxiv.org/abs/1409.1556.
    """

    def __init__(
        self,
        features: nn.Module,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
        hidden: int = 4096,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, hidden), nn.ReLU(True), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.ReLU(True), nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )  # fmt: skip
        if init_weights:
            he_normal(self, linear=lambda weight: nn.init.normal_(weight, 0, 0.01))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, num_classes)."""
        x = self.avgpool(self.features(x))
        logits: Tensor = self.classifier(x.flatten(1))  # (N, 512, 7, 7) -> (N, 25088)
        return logits


def make_layers(cfg: Sequence[int | str], batch_norm: bool = False, in_channels: int = 3) -> nn.Sequential:
    """The convolutions and pools of a column of the paper's table: `make_layers(cfgs["D"])`.

    Args:
        cfg: numbers, "1x1-256", "M" and "LRN", as in `cfgs`.
        batch_norm: put batch norm behind each convolution.
        in_channels: 3 for colour images.
    """
    layers: list[nn.Module] = []
    for entry in cfg:
        if entry == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        elif entry == "LRN":
            layers.append(local_response_norm())
        else:
            kernel = 1 if str(entry).startswith("1x1-") else 3
            number = str(entry).removeprefix("1x1-")
            if not number.isdecimal():
                raise ValueError(f"make_layers: an entry is a number, '1x1-256', 'M' or 'LRN', got {entry!r} in {cfg}")
            channels = int(number)
            layers.append(nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2))
            layers += [nn.BatchNorm2d(channels)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            in_channels = channels
    return nn.Sequential(*layers)


_builder = with_weights(trained={"init_weights": False})  # they would be drawn in vain


def _vgg(cfg: str, batch_norm: bool, in_channels: int = 3, **kwargs: Any) -> VGG:
    return VGG(make_layers(cfgs[cfg], batch_norm, in_channels), **kwargs)


@_builder
def vgg11(**kwargs: Any) -> VGG:
    """VGG-11, configuration A."""
    return _vgg("A", False, **kwargs)


@_builder
def vgg11_lrn(**kwargs: Any) -> VGG:
    """VGG-11 with local response normalisation, configuration A-LRN."""
    return _vgg("A-LRN", False, **kwargs)


@_builder
def vgg11_bn(**kwargs: Any) -> VGG:
    """VGG-11 with batch norm."""
    return _vgg("A", True, **kwargs)


@_builder
def vgg13(**kwargs: Any) -> VGG:
    """VGG-13, configuration B."""
    return _vgg("B", False, **kwargs)


@_builder
def vgg13_bn(**kwargs: Any) -> VGG:
    """VGG-13 with batch norm."""
    return _vgg("B", True, **kwargs)


@_builder
def vgg16_c(**kwargs: Any) -> VGG:
    """VGG-16 with three 1x1 convolutions, configuration C."""
    return _vgg("C", False, **kwargs)


@_builder
def vgg16_c_bn(**kwargs: Any) -> VGG:
    """VGG-16 with three 1x1 convolutions and batch norm."""
    return _vgg("C", True, **kwargs)


@_builder
def vgg16(**kwargs: Any) -> VGG:
    """VGG-16, configuration D.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.vgg16(), minicnn.zeros(1, 3, 224, 224)
    >>> net.features(x).shape, net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 512, 7, 7]), minicnn.Size([1, 1000]), 138357544)
    >>> sum(p.numel() for p in net.classifier.parameters())  # most of them are in three linear layers
    123642856
    """
    return _vgg("D", False, **kwargs)


@_builder
def vgg16_bn(**kwargs: Any) -> VGG:
    """VGG-16 with batch norm."""
    return _vgg("D", True, **kwargs)


@_builder
def vgg19(**kwargs: Any) -> VGG:
    """VGG-19, configuration E."""
    return _vgg("E", False, **kwargs)


@_builder
def vgg19_bn(**kwargs: Any) -> VGG:
    """VGG-19 with batch norm."""
    return _vgg("E", True, **kwargs)
