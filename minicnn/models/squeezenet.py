"""SqueezeNet: F. N. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016."""

from __future__ import annotations

from typing import Any

from .. import nn
from ..ops.tensor.concatenate import cat
from ..tensor import Tensor
from .weights import with_weights

# Table 1 of the paper, and of version 1.1 in the authors' repository: the first convolution (kernel size, channels),
# then the maximum pools and fire modules (squeeze, expand), which expand to as many channels by 1x1 as by 3x3.
Stages = list[str | tuple[int, int]]
VERSIONS: dict[str, tuple[tuple[int, int], Stages]] = {
    "1_0": (
        (7, 96),
        ["pool", (16, 64), (16, 64), (32, 128), "pool", (32, 128), (48, 192), (48, 192), (64, 256), "pool", (64, 256)],
    ),
    "1_1": (
        (3, 64),
        ["pool", (16, 64), (16, 64), "pool", (32, 128), (32, 128), "pool", (48, 192), (48, 192), (64, 256), (64, 256)],
    ),
}


class Fire(nn.Module):
    """Squeeze to few channels by 1x1 convolutions, then expand by 1x1 and 3x3 convolutions side by side.

        x -> squeeze 1x1 -> relu -+-> expand 1x1 -> relu -+-> cat
                                  +-> expand 3x3 -> relu -+

    The 3x3 filters, with nine weights for each input channel, see only the squeezed channels.

    Shape: (N, inplanes, H, W) -> (N, expand1x1_planes + expand3x3_planes, H, W).
    """

    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, 1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, 3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, expand1x1_planes + expand3x3_planes, H, W)."""
        squeezed = self.squeeze_activation(self.squeeze(x))
        return cat(
            [
                self.expand1x1_activation(self.expand1x1(squeezed)),
                self.expand3x3_activation(self.expand3x3(squeezed)),
            ],
            1,
        )


class SqueezeNet(nn.Module):
    """AlexNet's accuracy with 1/50 of its parameters: fire modules, late pooling, and no fully connected layer.

        version 1_0                       1,248,424   version 1_1                      1,235,496 parameters
        input            3 x 224 x 224                input            3 x 224 x 224
        conv 7x7 / 2    96 x 109 x 109       14,208   conv 3x3 / 2    64 x 111 x 111       1,792
        max pool 3x3/2  96 x  54 x  54                max pool 3x3/2  64 x  55 x  55
        fire2, 3       128 x  54 x  54       24,336   fire2, 3       128 x  55 x  55      23,824
        fire4          256 x  54 x  54       45,344   max pool 3x3/2 128 x  27 x  27
        max pool 3x3/2 256 x  27 x  27                fire4, 5       256 x  27 x  27      94,784
        fire5          256 x  27 x  27       49,440   max pool 3x3/2 256 x  13 x  13
        fire6, 7       384 x  27 x  27      215,712   fire6, 7       384 x  13 x  13     215,712
        fire8          512 x  27 x  27      188,992   fire8, 9       512 x  13 x  13     386,384
        max pool 3x3/2 512 x  13 x  13                conv 1x1      1000 x  13 x  13     513,000
        fire9          512 x  13 x  13      197,184   average       1000
        conv 1x1      1000 x  13 x  13      513,000
        average       1000

    Version 1.1 pools earlier: 2.3 times less computation. The start values are torchvision's: He-uniform for the fire
    modules, N(0, 0.01^2) for the last convolution, biases 0.

    Args:
        version: "1_0" or "1_1".
        num_classes: outputs.
        dropout: the probability of dropout before the last convolution.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, H, W) -> logits (N, num_classes); H and W at least 21 (1.0) or 17 (1.1), 224 as published.

    F. N. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016,
    https://arxiv.org/abs/1602.07360. The half megabyte is what remains after compression; float32 needs 5 MB.
    """

    def __init__(
        self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5, *, in_channels: int = 3
    ) -> None:
        super().__init__()
        if version not in VERSIONS:
            raise ValueError(f"SqueezeNet: version must be one of {', '.join(VERSIONS)}, got {version!r}")
        self.num_classes = num_classes
        (kernel_size, channels), stages = VERSIONS[version]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, channels, kernel_size, stride=2), nn.ReLU(inplace=True)]
        for stage in stages:
            if isinstance(stage, str):
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            else:
                squeeze, expand = stage
                layers.append(Fire(channels, squeeze, expand, expand))
                channels = 2 * expand
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Conv2d(channels, num_classes, 1), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip
        self._draw()

    def _draw(self) -> None:
        """Draw the start values."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is self.classifier[1]:
                    nn.init.normal_(module.weight, 0.0, 0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # every convolution has one

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        logits: Tensor = self.classifier(self.features(x)).flatten(1)  # (N, num_classes, 1, 1) -> (N, num_classes)
        return logits


@with_weights
def squeezenet1_0(**kwargs: Any) -> SqueezeNet:
    """SqueezeNet of the paper: 1,248,424 parameters, 819 million multiply-accumulates."""
    return SqueezeNet("1_0", **kwargs)


@with_weights
def squeezenet1_1(**kwargs: Any) -> SqueezeNet:
    """SqueezeNet 1.1, which pools earlier: 1,235,496 parameters, 349 million multiply-accumulates.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.squeezenet1_1(), minicnn.zeros(1, 3, 224, 224)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1000]), 1235496)
    """
    return SqueezeNet("1_1", **kwargs)
