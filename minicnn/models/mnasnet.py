"""MNASNet: M. Tan et al., "MnasNet: Platform-aware neural architecture search for mobile", 2018."""

from __future__ import annotations

import warnings
from typing import Any

from .. import nn
from ..tensor import Tensor
from .mobilenetv2 import _make_divisible
from .start_values import he_normal
from .weights import with_weights

# The B1 variant, which has no squeeze-and-excitation: kernel size, expansion, output channels, blocks, stride of the
# first block
STACKS = [
    (3, 3, 24, 3, 2),
    (5, 3, 40, 3, 2),
    (5, 6, 80, 3, 2),
    (3, 6, 96, 2, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
]
STEM = (32, 16)  # channels of the first convolution and of the first separable one
# The authors keep 0.9997 of the running statistics at each step; PyTorch's momentum is the share that is replaced.
BN_MOMENTUM = 1 - 0.9997


class _InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel alone, project by 1x1; the input is added where shapes allow.

    Shape: (N, in_ch, H, W) -> (N, out_ch, ceil(H/stride), ceil(W/stride)).
    """

    def __init__(
        self, in_ch: int, out_ch: int, kernel_size: int, stride: int, expansion_factor: int, bn_momentum: float = 0.1
    ) -> None:
        super().__init__()
        if stride not in (1, 2) or kernel_size not in (3, 5):
            raise ValueError(
                f"MNASNet: a block's stride should be 1 or 2 and its kernel_size 3 or 5, got {stride} and {kernel_size}"
            )
        mid = in_ch * expansion_factor
        self.apply_residual = in_ch == out_ch and stride == 1
        self.layers = nn.Sequential(
            nn.Conv2d(in_ch, mid, 1, bias=False), nn.BatchNorm2d(mid, momentum=bn_momentum), nn.ReLU(inplace=True),
            nn.Conv2d(mid, mid, kernel_size, stride, kernel_size // 2, groups=mid, bias=False),
            nn.BatchNorm2d(mid, momentum=bn_momentum), nn.ReLU(inplace=True),
            nn.Conv2d(mid, out_ch, 1, bias=False), nn.BatchNorm2d(out_ch, momentum=bn_momentum),
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """(N, in_ch, H, W) -> (N, out_ch, ceil(H/stride), ceil(W/stride))."""
        y: Tensor = self.layers(input)
        return y + input if self.apply_residual else y


class MNASNet(nn.Module):
    """A net found by a search that rewards accuracy and a short run time, measured on a phone (the B1 variant).

        input                             3 x 224 x 224
        conv 3x3 / 2                     32 x 112 x 112        928 parameters
        separable 3x3                    16 x 112 x 112        896
        3 blocks 3x3 / 2, expansion 3    24 x  56 x  56     11,472
        3 blocks 5x5 / 2, expansion 3    40 x  28 x  28     33,096
        3 blocks 5x5 / 2, expansion 6    80 x  14 x  14    217,680
        2 blocks 3x3, expansion 6        96 x  14 x  14    209,184
        4 blocks 5x5 / 2, expansion 6   192 x   7 x   7  1,611,456
        1 block 3x3, expansion 6        320 x   7 x   7    605,440
        conv 1x1                       1280 x   7 x   7    412,160
        average                        1280
        linear                         1000              1,281,000
        all                                              4,383,312

    The start values are torchvision's: those of `models.start_values`, and U(-sqrt(3/O), sqrt(3/O)) for the linear
    layer of O outputs.

    State dicts have a version. In those of version 1, the first layers and the input of the first stack had 32 and 16
    channels for every `alpha`; since version 2 they are scaled too. A state of version 1 is loaded by building these
    layers anew, with a warning; the net then writes version 1 itself. This concerns old files at alpha other than 1:
    torchvision's files for 0.5, 0.75 and 1.3 are of version 2, and at alpha = 1 both versions are the same net. If the
    file does not say its version, as safetensors files do not, the width of the first convolution tells it.

    Args:
        alpha: the width multiplier, above 0.
        num_classes: outputs.
        dropout: the probability of dropout before the linear layer.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, H, W) -> logits (N, num_classes); any H and W, 224 as published.

    M. Tan et al., "MnasNet: Platform-aware neural architecture search for mobile", 2018,
    https://arxiv.org/abs/1807.11626.
    """

    _version: int = 2

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2, *, in_channels: int = 3) -> None:
        super().__init__()
        if not alpha > 0:
            raise ValueError(f"MNASNet: alpha multiplies the channels and must be greater than 0, got {alpha}")
        self.alpha, self.num_classes = alpha, num_classes
        first, second = (_make_divisible(c * alpha, 8) for c in STEM)
        layers, channels = _stem(in_channels, first, second), second
        for kernel_size, expansion, full, blocks, stride in STACKS:
            out = _make_divisible(full * alpha, 8)
            layers.append(_stack(channels, out, kernel_size, stride, expansion, blocks))
            channels = out
        self.layers = nn.Sequential(*layers, *_norm_relu(nn.Conv2d(channels, 1280, 1, bias=False)))
        self.classifier = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(1280, num_classes))
        he_normal(self, linear=lambda weight: nn.init.kaiming_uniform_(weight, mode="fan_out", nonlinearity="sigmoid"))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.layers(x).mean([2, 3])  # the average of each channel: (N, 1280, H, W) -> (N, 1280)
        logits: Tensor = self.classifier(x)
        return logits

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], *rest: Any) -> None:
        """Load a state of version 2, or make this net one of version 1 first."""
        version = local_metadata.get("version")
        if version is None:
            version = self._version_of(state_dict.get(f"{prefix}layers.0.weight"))
        if version not in (1, 2):
            raise ValueError(f"MNASNet: the version of the state should be 1 or 2, got {version}")
        if version == 1 and self._version != 1 and self.alpha != 1:
            self._become_version_1()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def _version_of(self, first: Any) -> int:
        """Return the version of a state, from the weights of its first convolution."""
        scaled = _make_divisible(STEM[0] * self.alpha, 8)
        return 1 if first is not None and first.shape[0] == STEM[0] != scaled else 2

    def _become_version_1(self) -> None:
        """Build the first layers anew, with channels that do not depend on alpha."""
        kernel_size, expansion, full, blocks, stride = STACKS[0]
        stack = _stack(STEM[1], _make_divisible(full * self.alpha, 8), kernel_size, stride, expansion, blocks)
        own = self.layers[0].weight
        for i, layer in enumerate([*_stem(own.shape[1], *STEM), stack]):
            self.layers[i] = layer.to(device=own.device, dtype=own.dtype).train(self.training)
        self._version = 1
        warnings.warn(
            f"MNASNet: this state is of version 1, whose first layers are not scaled by alpha={self.alpha}; the net "
            "now has such layers, too, and works as it did",
            stacklevel=6,
        )


def _norm_relu(conv: nn.Conv2d) -> list[nn.Module]:
    return [conv, nn.BatchNorm2d(conv.out_channels, momentum=BN_MOMENTUM), nn.ReLU(inplace=True)]


def _stem(in_channels: int, first: int, second: int) -> list[nn.Module]:
    """Return the first layers: a convolution, and a separable one without a last activation."""
    return [
        *_norm_relu(nn.Conv2d(in_channels, first, 3, 2, 1, bias=False)),
        *_norm_relu(nn.Conv2d(first, first, 3, 1, 1, groups=first, bias=False)),
        *_norm_relu(nn.Conv2d(first, second, 1, bias=False))[:2],
    ]


def _stack(in_ch: int, out_ch: int, kernel_size: int, stride: int, exp_factor: int, repeats: int) -> nn.Sequential:
    """Return a stack of blocks, of which the first changes channels and size."""
    if repeats < 1:
        raise ValueError(f"MNASNet: repeats should be at least 1, got {repeats}")
    first = _InvertedResidual(in_ch, out_ch, kernel_size, stride, exp_factor, BN_MOMENTUM)
    rest = (_InvertedResidual(out_ch, out_ch, kernel_size, 1, exp_factor, BN_MOMENTUM) for _ in range(repeats - 1))
    return nn.Sequential(first, *rest)


@with_weights
def mnasnet0_5(**kwargs: Any) -> MNASNet:
    """MNASNet of half the channels: 2,218,512 parameters, 104 million multiply-accumulates."""
    return MNASNet(0.5, **kwargs)


@with_weights
def mnasnet0_75(**kwargs: Any) -> MNASNet:
    """MNASNet of 3/4 of the channels: 3,170,208 parameters, 215 million multiply-accumulates."""
    return MNASNet(0.75, **kwargs)


@with_weights
def mnasnet1_0(**kwargs: Any) -> MNASNet:
    """MNASNet: 4,383,312 parameters, 314 million multiply-accumulates.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.mnasnet1_0(), minicnn.zeros(1, 3, 224, 224)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1000]), 4383312)
    """
    return MNASNet(1.0, **kwargs)


@with_weights
def mnasnet1_3(**kwargs: Any) -> MNASNet:
    """MNASNet of 1.3 times the channels: 6,282,256 parameters, 526 million multiply-accumulates."""
    return MNASNet(1.3, **kwargs)
