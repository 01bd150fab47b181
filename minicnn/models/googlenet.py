"""GoogLeNet: C. Szegedy et al., "Going deeper with convolutions", 2014, https://arxiv.org/abs/1409.4842."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from .. import nn
from ..nn import functional as F
from ..tensor import Tensor
from .inception_parts import BasicConv2d, Branches, Maker, PlainConv2d, as_tensorflow, leave_out
from .weights import with_weights

# Table 1 of the paper: channels of the input, 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, projection of the pool
MODULES = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


class GoogLeNetOutputs(NamedTuple):
    """What the net returns in training: the logits, and those of the auxiliary heads after modules 4d and 4a."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class NaiveInception(Branches):
    """The module as first drawn (figure 2a): filters of three sizes and a max pool side by side.

    The pool keeps all channels of its input, so that the channels grow from module to module, and the large filters
    read all of them. With 256 x 28 x 28 as input and 128, 192 and 96 filters that is 854,196,224 multiplications;
    `Inception`, whose 1x1 convolutions reduce the channels first (to 64, and the pool's too), needs 271,351,808.

    Args:
        in_channels: C.
        ch1x1, ch3x3, ch5x5: the filters of each size.
        conv_block: makes a convolution with what follows it: `BasicConv2d` (also if None), `PlainConv2d` ...

    Shape: (N, C, H, W) -> (N, ch1x1 + ch3x3 + ch5x5 + C, H, W).

    >>> minicnn.models.NaiveInception(192, 64, 128, 32)(minicnn.zeros(1, 192, 28, 28)).shape
    minicnn.Size([1, 416, 28, 28])
    """

    def __init__(self, in_channels: int, ch1x1: int, ch3x3: int, ch5x5: int, conv_block: Maker | None = None) -> None:
        conv = conv_block or BasicConv2d
        super().__init__(
            branch1=conv(in_channels, ch1x1, kernel_size=1),
            branch2=conv(in_channels, ch3x3, kernel_size=3, padding=1),
            branch3=conv(in_channels, ch5x5, kernel_size=5, padding=2),
            branch4=nn.MaxPool2d(3, stride=1, padding=1),
        )


class Inception(Branches):
    """The module with reduced channels (figure 2b): 1x1 convolutions before the 3x3 and the 5x5, and after the pool.

        input ─┬─ 1x1 ────────────────────┐
               ├─ 1x1 (reduce) ─ 3x3 ─────┤
               ├─ 1x1 (reduce) ─ 5x5 ─────┼─ concatenate
               └─ 3x3 max pool ─ 1x1 ─────┘

    Args:
        in_channels: C.
        ch1x1, ch3x3red, ch3x3, ch5x5red, ch5x5, pool_proj: the filters of each convolution.
        conv_block: makes a convolution with what follows it; None means `BasicConv2d`.
        kernel_size: of the filters of the third branch: 5 in the paper; torchvision's module has 3.

    Shape: (N, C, H, W) -> (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W).
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        conv_block: Maker | None = None,
        kernel_size: int = 3,
    ) -> None:
        conv = conv_block or BasicConv2d
        super().__init__(
            branch1=conv(in_channels, ch1x1, kernel_size=1),
            branch2=nn.Sequential(
                conv(in_channels, ch3x3red, kernel_size=1),
                conv(ch3x3red, ch3x3, kernel_size=3, padding=1),
            ),
            branch3=nn.Sequential(
                conv(in_channels, ch5x5red, kernel_size=1),
                conv(ch5x5red, ch5x5, kernel_size=kernel_size, padding=kernel_size // 2),
            ),
            branch4=nn.Sequential(
                nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
                conv(in_channels, pool_proj, kernel_size=1),
            ),
        )


class InceptionAux(nn.Module):
    """An auxiliary head: it classifies from the middle of the net, in training only.

    Args:
        in_channels: C.
        num_classes: outputs.
        conv_block: makes a convolution with what follows it; None means `BasicConv2d`.
        dropout: probability of dropout before the last layer.
        pool: the average pooling to 4 x 4; None takes images of any size, as torchvision's head. The paper has windows
            of 5 x 5 with stride 3, which give 4 x 4 for images of 224 x 224.

    Shape: (N, C, H, W) -> logits (N, num_classes).
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        conv_block: Maker | None = None,
        dropout: float = 0.7,
        pool: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.pool = pool or partial(F.adaptive_avg_pool2d, output_size=(4, 4))
        self.conv = (conv_block or BasicConv2d)(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes)."""
        x = self.conv(self.pool(x)).flatten(1)  # (N, C, 4, 4) -> (N, 128, 4, 4) -> (N, 2048)
        logits: Tensor = self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))
        return logits


class GoogLeNet(nn.Module):
    """Inception-v1, the winner of ILSVRC 2014: 22 layers with weights, and few parameters.

    It introduced modules that look at each place with filters of several sizes side by side, 1x1 convolutions that
    make this affordable, global average pooling instead of large linear layers, and auxiliary heads: classifiers in
    the middle whose losses bring gradients to the lower layers. A helper for these losses is `auxiliary_loss`.

        input            3 x 224 x 224
        conv 7x7/2      64 x 112 x 112     max pool 3x3/2 ->  64 x 56 x 56
        conv 1x1, 3x3  192 x  56 x  56     max pool 3x3/2 -> 192 x 28 x 28
        inception 3a   256 x  28 x  28
        inception 3b   480 x  28 x  28     max pool /2    -> 480 x 14 x 14
        inception 4a   512 x  14 x  14     -> auxiliary head 1
        inception 4b   512, 4c 512
        inception 4d   528 x  14 x  14     -> auxiliary head 2
        inception 4e   832 x  14 x  14     max pool /2    -> 832 x 7 x 7
        inception 5a   832 x   7 x   7
        inception 5b  1024 x   7 x   7     average pool   -> 1024
        dropout, linear 1000

    Three flavours: `googlenet` is torchvision's, with batch norm and, against the paper, 3x3 in place of every 5x5
    filter; `googlenet_2014` is the paper's; `googlenet_bn` has batch norm and true 5x5 filters.

    Args:
        num_classes: outputs.
        aux_logits: whether there are auxiliary heads. Without them the net also takes the weights of one that has
            them, and leaves out the heads'.
        transform_input: the input is normalised with ImageNet's mean and deviation of each colour, as usual, but the
            weights expect (x - 0.5)/0.5: convert it. The weights published by torchvision need this.
        init_weights: draw the weights from a normal distribution of deviation 0.01; None means yes. False leaves those
            of the blocks.
        blocks: makers of convolutions, modules and auxiliary heads; None means `BasicConv2d`, `Inception`,
            `InceptionAux`.
        dropout: probability before the last layer.
        dropout_aux: the same in the auxiliary heads.
        lrn: local response normalisation after the first max pool and before the second, as in the paper.
        pool4: window of the last max pool: 3 in the paper, 2 in torchvision.
        in_channels: 3 for colour images.

    Shape: (N, in_channels, 224, 224) -> logits (N, num_classes), or in training, with auxiliary heads,
    `GoogLeNetOutputs`.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        blocks: Sequence[Maker] | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
        lrn: bool = False,
        pool4: int = 2,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        blocks = [BasicConv2d, Inception, InceptionAux] if blocks is None else blocks
        if len(blocks) != 3:
            raise ValueError(
                f"GoogLeNet: blocks must be 3 makers, of convolutions, modules and auxiliary heads, got {len(blocks)}"
            )
        conv, inception, head = blocks
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = conv(in_channels, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1: nn.Module = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2: nn.Module = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        if lrn:
            self.maxpool1 = nn.Sequential(self.maxpool1, nn.LocalResponseNorm(5))
            self.maxpool2 = nn.Sequential(nn.LocalResponseNorm(5), self.maxpool2)
        for name, channels in MODULES.items():  # in the order of the calls, as `children()` gives them
            setattr(self, f"inception{name}", inception(*channels))
            if name == "3b":
                self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
            elif name == "4e":
                self.maxpool4 = nn.MaxPool2d(pool4, stride=2, ceil_mode=True)
        self.aux1: Any = head(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2: Any = head(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights or init_weights is None:
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=0.01)

    def forward(self, x: Tensor) -> Any:
        """(N, in_channels, H, W) -> (N, num_classes), or `GoogLeNetOutputs` in training with auxiliary heads."""
        heads = self.training and self.aux_logits
        if self.transform_input:
            x = as_tensorflow(x)
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4a(x)
        aux1 = self.aux1(x) if heads else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        aux2 = self.aux2(x) if heads else None
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))  # (N, 1024, 1, 1) -> (N, 1024)
        return GoogLeNetOutputs(logits, aux2, aux1) if heads else logits

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        if not self.aux_logits:
            leave_out(state_dict, prefix + "aux1.", prefix + "aux2.")
        super()._load_from_state_dict(state_dict, prefix, *rest)


@with_weights(published={"transform_input": True, "aux_logits": False, "init_weights": False})
def googlenet(**kwargs: Any) -> GoogLeNet:
    """GoogLeNet as in torchvision: batch norm, 3x3 filters in place of 5x5.

    With published weights, `transform_input` is True and there are no auxiliary heads, unless you ask for them.

    >>> with minicnn.device("meta"):  # shapes without weights in memory
    ...     net, x = minicnn.models.googlenet(aux_logits=False), minicnn.zeros(1, 3, 224, 224)
    >>> net(x).shape, sum(p.numel() for p in net.parameters())
    (minicnn.Size([1, 1000]), 6624904)
    """
    return GoogLeNet(**kwargs)


@with_weights
def googlenet_2014(**kwargs: Any) -> GoogLeNet:
    """GoogLeNet as in the paper: 5x5 filters, biases, local response normalisation, no batch norm; 224 x 224 images.

    The paper does not say how the weights were initialised; here as K. He et al., 2015, found for nets with ReLU.
    """
    blocks = [
        PlainConv2d,
        partial(Inception, conv_block=PlainConv2d, kernel_size=5),
        partial(InceptionAux, conv_block=PlainConv2d, pool=partial(F.avg_pool2d, kernel_size=5, stride=3)),
    ]
    paper = {"blocks": blocks, "init_weights": False, "dropout": 0.4, "lrn": True, "pool4": 3}
    return GoogLeNet(**{**paper, **kwargs})


@with_weights
def googlenet_bn(**kwargs: Any) -> GoogLeNet:
    """GoogLeNet with the paper's 5x5 filters, and batch norm in place of biases and local response normalisation."""
    blocks = [BasicConv2d, partial(Inception, kernel_size=5), InceptionAux]
    return GoogLeNet(**{"blocks": blocks, "pool4": 3, **kwargs})
