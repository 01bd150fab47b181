"""The all-convolutional net: J. T. Springenberg et al., 2014."""

from __future__ import annotations

from .. import nn
from .pattern import conv_net
from .weights import with_weights

# Table 2 of the paper, model C, with its dropout. The first two poolings of 3x3/2 have become convolutions.
ALL_CNN_C = """
DROPOUT0.2? - (CONV3-96-RELU)*2 - CONV3-96s2-RELU - DROPOUT? - (CONV3-192-RELU)*2 - CONV3-192s2-RELU - DROPOUT?
- CONV3-192p0-RELU - CONV1-192-RELU - CONV1-CLASSES-RELU - GAP
""".strip()


@with_weights
def all_cnn_c(*, num_classes: int = 10, in_channels: int = 3, dropout: bool = True) -> nn.Sequential:
    """All-CNN-C, with 1,369,738 parameters: convolutions with stride 2 do what pooling does, no linear layer is left.

        conv 3x3    96 x 32 x 32, twice         then 96 x 16 x 16 by stride 2
        conv 3x3    192 x 16 x 16, twice        then 192 x 8 x 8 by stride 2
        conv 3x3    192 x 6 x 6                 without padding
        conv 1x1    192 x 6 x 6
        conv 1x1    num_classes x 6 x 6         then the average of each channel

    ReLU follows each convolution; dropout is 0.2 before the first and 0.5 after those with stride 2. Weights are drawn
    as PyTorch's layers draw them.

    Shape: (N, in_channels, 32, 32) -> scores (N, num_classes), which are not negative.

    J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, "Striving for simplicity: the all convolutional net",
    2014, https://arxiv.org/abs/1412.6806.

    Args:
        num_classes: outputs.
        in_channels: 3 for colour images.
        dropout: False leaves it out.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.all_cnn_c(), minicnn.zeros(1, 3, 32, 32)
    >>> net(x).shape, [type(m).__name__ for m in net.modules() if "Pool" in type(m).__name__]
    (minicnn.Size([1, 10]), ['AdaptiveAvgPool2d'])
    """
    return conv_net(ALL_CNN_C, (in_channels, 32, 32), num_classes, optional=dropout)
