"""What the nets of the Inception family share: convolutions, branches side by side, the loss of auxiliary heads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from minicnn_kernels.geometry import ShapeError

from .. import nn
from ..nn import functional as F
from ..ops.tensor.concatenate import cat
from ..tensor import Tensor
from .start_values import he_normal

Maker = Callable[..., Any]


class BasicConv2d(nn.Sequential):
    """Convolution, batch norm (eps = 0.001), ReLU. All arguments are those of `Conv2d`, but bias is False by default.

    Shape: (N, in_channels, H, W) -> (N, out_channels, OH, OW).
    """

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        conv = nn.Conv2d(in_channels, out_channels, **{"bias": False, **kwargs})
        norm = nn.BatchNorm2d(out_channels, eps=0.001)
        super().__init__(OrderedDict(conv=conv, bn=norm, relu=nn.ReLU(inplace=True)))


class PlainConv2d(nn.Sequential):
    """Convolution with bias, ReLU: without batch norm, which did not exist in 2014. Arguments as in `Conv2d`.

    The weights are initialised by `he_normal`. Shape: (N, in_channels, H, W) -> (N, out_channels, OH, OW).
    """

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        conv = nn.Conv2d(in_channels, out_channels, **kwargs)
        super().__init__(OrderedDict(conv=conv, relu=nn.ReLU(inplace=True)))
        he_normal(self, "fan_in")


class Branches(nn.ModuleDict):
    """Modules side by side: each takes the same input, and the results are concatenated by channels.

    Shape: (N, C, H, W) -> (N, sum of the branches' channels, OH, OW).
    """

    def __init__(self, **branches: Any) -> None:
        super().__init__(branches)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, sum of the branches' channels, OH, OW)."""
        return cat([branch(input) for branch in self.values()], 1)


def as_tensorflow(x: Tensor) -> Tensor:
    """Images normalised with ImageNet's mean and deviation -> (image - 0.5)/0.5; (N, 3, H, W), unchanged in shape.

    (x - mean)/std was applied before, so each colour is multiplied by std/0.5, and (mean - 0.5)/0.5 is added.

    Raises:
        ShapeError: the images do not have 3 channels; one channel would be broadcast to 3 without a word.
    """
    if x.ndim != 4 or x.shape[1] != 3:
        raise ShapeError(
            f"transform_input=True needs images of 3 channels, (N, 3, H, W), got {tuple(x.shape)}; make grey images "
            "coloured by x.expand(-1, 3, -1, -1), or build the net with transform_input=False"
        )
    mean, std = (x.new_tensor(v).reshape(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    return x * (std / 0.5) + (mean - 0.5) / 0.5


def leave_out(state_dict: dict[str, Any], *prefixes: str) -> None:
    """Take the entries out whose names start with one of the prefixes."""
    for name in [name for name in state_dict if name.startswith(prefixes)]:
        del state_dict[name]


def auxiliary_loss(
    outputs: Any, target: Tensor, weight: float = 0.3, loss_fn: Callable[[Any, Tensor], Tensor] = F.cross_entropy
) -> Tensor:
    """L + weight L1 + weight L2 ...: the loss of a net with auxiliary heads, in training and in evaluation.

    Args:
        outputs: what `GoogLeNet` or `Inception3` returned. The first of a tuple are the logits of the net, the others
            those of its heads, where None is left out; a tensor alone has no heads: its loss is L.
        target: the classes, (N,), or what `loss_fn` takes.
        weight: 0.3 in the paper of GoogLeNet; 0.4 is common for Inception-v3.
        loss_fn: gives the loss of one output.

    Raises:
        TypeError: `outputs` is neither a tensor nor a tuple of tensors.

    >>> same = minicnn.zeros(2, 10)  # all ten classes alike, so each loss is log(10)
    >>> minicnn.models.auxiliary_loss((same, same, same), minicnn.tensor([3, 7]), weight=0.3)  # 1.6 log(10)
    tensor(3.6841)
    """
    main, *heads = outputs if isinstance(outputs, tuple) else (outputs,)
    wrong = [output for output in (main, *heads) if not isinstance(output, Tensor) and output is not None]
    if main is None or wrong:
        raise TypeError(
            "auxiliary_loss: outputs must be the tensor or the tuple of tensors that a net returned, got "
            f"{type(outputs).__name__}"
        )
    loss = loss_fn(main, target)
    for head in heads:
        loss = loss if head is None else loss + weight * loss_fn(head, target)
    return loss
