"""Densely connected nets: G. Huang et al., "Densely connected convolutional networks", 2016."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from .. import nn
from ..nn import functional as F
from ..ops.tensor.concatenate import cat
from ..tensor import Tensor
from ..utils.checkpoint import checkpoint
from .start_values import he_normal
from .weights import with_weights

OLD_KEY = re.compile(r"(norm|conv)\.([12]\.(?:weight|bias|running_mean|running_var|num_batches_tracked))")


class _DenseLayer(nn.Module):
    """The k new channels of a layer: norm, ReLU, 1x1 convolution to bn_size k channels, norm, ReLU, 3x3 convolution.

    The 1x1 convolution keeps the cost of the 3x3 one constant, however many channels there are already.

    Args:
        num_input_features: channels of all features before.
        growth_rate: k.
        bn_size: the channels between the convolutions / k; None leaves the 1x1 convolution out.
        drop_rate: the probability of zeroing a new value in training.
        memory_efficient: do not keep the joined features and what is computed from them up to the 1x1 convolution, but
            compute them again in the backward pass.

    Shape: features (N, C_i, H, W), one or a list, of num_input_features channels in all -> (N, k, H, W).
    """

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int | None,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        if bn_size is None:
            self.conv1 = nn.Conv2d(num_input_features, growth_rate, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(num_input_features, bn_size * growth_rate, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
            self.relu2 = nn.ReLU(inplace=True)
            self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.bottleneck, self.drop_rate, self.memory_efficient = bn_size is not None, float(drop_rate), memory_efficient

    def bn_function(self, *features: Tensor) -> Tensor:
        """Join the features and take them through the first norm, ReLU and convolution."""
        y: Tensor = self.conv1(self.relu1(self.norm1(cat(features, 1))))
        return y

    def forward(self, input: Tensor | Sequence[Tensor]) -> Tensor:
        """Return the new features, (N, k, H, W), of all features before."""
        features = [input] if isinstance(input, Tensor) else input
        if self.memory_efficient and any(f.requires_grad for f in features):
            new = checkpoint(self.bn_function, *features, use_reentrant=False)
        else:
            new = self.bn_function(*features)
        if self.bottleneck:
            new = self.conv2(self.relu2(self.norm2(new)))
        y: Tensor = F.dropout(new, self.drop_rate, self.training) if self.drop_rate > 0 else new
        return y

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """Take the names of torchvision's published files, too: `norm.1.weight` is `norm1.weight`."""
        for key in list(state_dict):
            if key.startswith(prefix) and (old := OLD_KEY.fullmatch(key[len(prefix) :])):
                state_dict[prefix + old[1] + old[2]] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)


class _DenseBlock(nn.ModuleDict):
    """Layers each of which sees the block's input and the results of all layers before it.

    Shape: (N, C, H, W) -> (N, C + num_layers k, H, W), the input and all results, joined. The arguments are those of
    `_DenseLayer`.
    """

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int | None,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        for i in range(num_layers):
            channels = num_input_features + i * growth_rate
            self[f"denselayer{i + 1}"] = _DenseLayer(channels, growth_rate, bn_size, drop_rate, memory_efficient)

    def forward(self, init_features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + num_layers k, H, W)."""
        features = [init_features]
        for layer in self.values():
            features.append(layer(features))
        return cat(features, 1)


class _Transition(nn.Sequential):
    """Between two blocks: norm, ReLU, 1x1 convolution, and averages of 2x2 pixels.

    Shape: (N, num_input_features, H, W) -> (N, num_output_features, H/2, W/2).
    """

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, 1, bias=False)
        self.pool = nn.AvgPool2d(2)


class DenseNet(nn.Module):
    """Each layer sees all features before it in its block, joined; so it need only add a few, k, of its own.

    After l layers there are k0 + l k channels. The gradient has a short way to each layer, and no feature has to be
    computed twice. Stages, for an image of 3 x 224 x 224:

                     output     DenseNet-121, 169, 201 with k = 32                          DenseNet-161 with k = 48
        conv0        112 x 112  7x7, 64, stride 2; norm, ReLU                               96
        pool0        56 x 56    3x3 max pool, stride 2
        denseblock1  56 x 56    6 layers -> 256 channels                                    6 -> 384
        transition1  28 x 28    half the channels, 2x2 average pool -> 128                  192
        denseblock2  28 x 28    12 layers -> 512                                            12 -> 768
        transition2  14 x 14    256                                                         384
        denseblock3  14 x 14    24, 32, 48 layers -> 1024, 1280, 1792                       36 -> 2112
        transition3  7 x 7      512, 640, 896                                               1056
        denseblock4  7 x 7      16, 32, 32 layers -> 1024, 1664, 1920                       24 -> 2208
        norm5, classifier       ReLU, average of each channel, fc -> num_classes
        parameters              7,978,856, 14,149,480, 20,013,928                           28,681,000

    Args:
        growth_rate: k.
        block_config: how many layers each block has.
        num_init_features: channels of the first convolution, 2k in the paper.
        bn_size: the channels between the two convolutions of a layer are bn_size k.
        drop_rate: the probability of zeroing a new value in training.
        num_classes: outputs.
        memory_efficient: much less memory for more computation; see `_DenseLayer`.
        in_channels: 3 for colour images.

    Convolutions start as in `he_normal` with "fan_in", and the bias of the last layer at 0.
    Shape: (N, in_channels, H, W) -> logits (N, num_classes).

    G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger, "Densely connected convolutional networks", 2016,
    https://arxiv.org/abs/1608.06993. G. Pleiss et al., "Memory-efficient implementation of DenseNets", 2017,
    https://arxiv.org/abs/1707.06990.
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        channels = num_init_features
        stages: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(channels),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(3, stride=2, padding=1),
        )
        for i, layers in enumerate(block_config, 1):
            stages[f"denseblock{i}"] = _DenseBlock(layers, channels, bn_size, growth_rate, drop_rate, memory_efficient)
            channels += layers * growth_rate
            if i < len(block_config):
                stages[f"transition{i}"] = _Transition(channels, channels // 2)
                channels //= 2
        stages["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(stages)
        self.classifier = nn.Linear(channels, num_classes)
        he_normal(self, "fan_in")
        nn.init.zeros_(self.classifier.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        features = F.relu(self.features(x), inplace=True)  # (N, C, H/32, W/32)
        pooled = F.adaptive_avg_pool2d(features, 1).flatten(1)  # (N, C, 1, 1) -> (N, C)
        y: Tensor = self.classifier(pooled)
        return y


@with_weights
def densenet121(**kwargs: Any) -> DenseNet:
    """DenseNet-121: k = 32.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.densenet121(), minicnn.zeros(1, 3, 224, 224)
    >>> net.features(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1024, 7, 7]), 7978856)
    """
    return DenseNet(32, (6, 12, 24, 16), 64, **kwargs)


@with_weights
def densenet161(**kwargs: Any) -> DenseNet:
    """DenseNet-161: k = 48."""
    return DenseNet(48, (6, 12, 36, 24), 96, **kwargs)


@with_weights
def densenet169(**kwargs: Any) -> DenseNet:
    """DenseNet-169: k = 32."""
    return DenseNet(32, (6, 12, 32, 32), 64, **kwargs)


@with_weights
def densenet201(**kwargs: Any) -> DenseNet:
    """DenseNet-201: k = 32."""
    return DenseNet(32, (6, 12, 48, 32), 64, **kwargs)
