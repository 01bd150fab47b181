"""Blocks of several layers: highway gates, and the blocks of `torchvision.ops`, with its names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minicnn_kernels.geometry import IntOrPair, ShapeError, pair

from ..ops.batchnorm import batch_norm
from ..ops.drop_block import drop_block2d, stochastic_depth
from ..ops.tensor.creation import full
from ..tensor import Tensor
from . import init
from .activation import ReLU, Sigmoid
from .batchnorm import BatchNorm2d
from .container import Sequential
from .conv import Conv2d
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .pooling import AdaptiveAvgPool2d

__all__ = [
    "MLP", "Conv2dNormActivation", "DropBlock2d", "FrozenBatchNorm2d", "Highway", "Permute", "SqueezeExcitation",
    "StochasticDepth",
]  # fmt: skip

Maker = Callable[..., Module]


class Highway(Module):
    """y = H(x) T(x) + x (1 - T(x)) with T(x) = sigmoid(gate(x)), the share of x that is replaced, for each value.

    With T near 0 at first, the block passes x on, and the gradient too. So nets of a hundred layers and more can be
    trained. `Highway.linear` and `Highway.conv2d` make the blocks of the paper.

    Args:
        body: H; its result must have the shape of its input.
        gate: a layer with a bias, whose result must have this shape too.
        gate_bias: the start value of the bias, negative: sigmoid(-2) = 0.12; None keeps the layer's own bias.

    R. K. Srivastava et al., "Highway networks", 2015, https://arxiv.org/abs/1505.00387.

    >>> block = nn.Highway.linear(50)
    >>> sum(p.numel() for p in block.parameters())  # 2 (50 + 1) 50
    5100
    >>> nn.Highway.conv2d(16)(minicnn.zeros(1, 16, 8, 8)).shape
    minicnn.Size([1, 16, 8, 8])
    """

    def __init__(self, body: Module, gate: Module, gate_bias: float | None = -2.0) -> None:
        super().__init__()
        self.body, self.gate = body, gate
        if gate_bias is not None:
            if getattr(gate, "bias", None) is None:
                raise ValueError(f"Highway: gate_bias={gate_bias} needs a gate with a bias, got {gate}")
            init.constant_(gate.bias, gate_bias)

    @classmethod
    def linear(
        cls, features: int, activation: Maker = ReLU, gate_bias: float = -2.0, device: Any = None, dtype: Any = None
    ) -> Highway:
        """Make a fully connected block: (..., features) -> (..., features), 2 (features + 1) features parameters."""
        body = Sequential(Linear(features, features, device=device, dtype=dtype), activation())
        return cls(body, Linear(features, features, device=device, dtype=dtype), gate_bias)

    @classmethod
    def conv2d(
        cls,
        channels: int,
        kernel_size: IntOrPair = 3,
        activation: Maker = ReLU,
        gate_bias: float = -2.0,
        device: Any = None,
        dtype: Any = None,
    ) -> Highway:
        """Make a block of convolutions, padded to keep the size: (N, channels, H, W) -> (N, channels, H, W)."""
        body, gate = (
            Conv2d(channels, channels, kernel_size, padding="same", device=device, dtype=dtype) for _ in range(2)
        )
        return cls(Sequential(body, activation()), gate, gate_bias)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the block to an input that the body takes; the shape stays."""
        changed, share = self.body(input), self.gate(input).sigmoid()
        if not input.shape == changed.shape == share.shape:
            raise ShapeError(
                f"Highway: body and gate must keep the shape, {tuple(input.shape)}, got {tuple(changed.shape)} and "
                f"{tuple(share.shape)}; project the input before the block"
            )
        y: Tensor = changed * share + input * (1 - share)
        return y


class SqueezeExcitation(Module):
    """y = x s, with one scale per channel and image: s = sigma(fc2(delta(fc1(mean of x over H and W)))).

    Shape: (N, C, H, W) -> (N, C, H, W). The weights `fc1`, (S, C, 1, 1), and `fc2`, (C, S, 1, 1), are 1x1 convolutions.

    Args:
        input_channels: C.
        squeeze_channels: S, C/16 in the paper.
        activation: the class of delta.
        scale_activation: the class of sigma.

    J. Hu et al., "Squeeze-and-excitation networks", 2018, https://arxiv.org/abs/1709.01507.

    >>> block = nn.SqueezeExcitation(64, 4)
    >>> block(minicnn.zeros(2, 64, 7, 7)).shape
    minicnn.Size([2, 64, 7, 7])
    >>> sum(p.numel() for p in block.parameters())  # (64 + 1) 4 + (4 + 1) 64
    580
    """

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Maker = ReLU,
        scale_activation: Maker = Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc1 = Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = Conv2d(squeeze_channels, input_channels, 1)
        self.activation, self.scale_activation = activation(), scale_activation()

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        scale = self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(input)))))  # (N, C, 1, 1)
        y: Tensor = scale * input
        return y


class StochasticDepth(Module):
    """Leaving out rows of a residual branch at random in training; see `stochastic_depth`.

    >>> drop = nn.StochasticDepth(0.5, "row")
    >>> sorted(set(drop(minicnn.ones(100, 3)).sum(1).tolist()))  # whole rows: 0, or 3/(1 - 0.5)
    [0.0, 6.0]
    """

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, input: Tensor) -> Tensor:
        """(N, ...) -> (N, ...)."""
        return stochastic_depth(input, self.p, self.mode, self.training)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as torchvision prints it."""
        return f"p={self.p}, mode={self.mode}"


class DropBlock2d(Module):
    """Leaving out squares of pixels at random in training; see `drop_block2d`.

    >>> nn.DropBlock2d(0.1, block_size=3)(minicnn.ones(2, 4, 8, 8)).shape
    minicnn.Size([2, 4, 8, 8])
    """

    def __init__(self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-6) -> None:
        super().__init__()
        self.p, self.block_size, self.inplace, self.eps = p, block_size, inplace, eps

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return drop_block2d(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as torchvision prints it."""
        return f"p={self.p}, block_size={self.block_size}, inplace={self.inplace}"


class Conv2dNormActivation(Sequential):
    """A convolution, a norm of its channels and an activation, in sequence; norm or activation may be None.

    Args:
        in_channels, out_channels, kernel_size, stride, groups, dilation: of the convolution.
        padding: of the convolution; None keeps the size of the image at stride 1, for odd kernels.
        norm_layer: a class or function that makes the norm from `out_channels`.
        activation_layer: the class of the activation.
        inplace: passed to `activation_layer`, unless it is None.
        bias: of the convolution; None means a bias only if there is no norm, since the norm would remove it again.

    >>> nn.Conv2dNormActivation(3, 16, 3, stride=2)
    Conv2dNormActivation(
      (0): Conv2d(3, 16, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
      (1): BatchNorm2d(16, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
      (2): ReLU(inplace=True)
    )
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair = 3,
        stride: IntOrPair = 1,
        padding: IntOrPair | str | None = None,
        groups: int = 1,
        norm_layer: Maker | None = BatchNorm2d,
        activation_layer: Maker | None = ReLU,
        dilation: IntOrPair = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        if padding is None:
            sides = zip(*(pair(v, "Conv2dNormActivation", "size", 1) for v in (kernel_size, dilation)), strict=True)
            padding = tuple((k - 1) // 2 * d for k, d in sides)
        bias = norm_layer is None if bias is None else bias
        layers: list[Module] = [Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer(**_option(inplace)))
        super().__init__(*layers)
        self.out_channels = out_channels


class MLP(Sequential):
    """Fully connected layers, with norm, activation and dropout after each, except that the last one has only dropout.

    Args:
        in_channels: the channels of the input.
        hidden_channels: the channels of each layer; the last number is that of the result.
        norm_layer: a class or function that makes a norm from the channels, or None.
        activation_layer: the class of the activations.
        inplace: passed to activations and dropouts, unless it is None.
        bias: whether the layers have a bias.
        dropout: the probability of dropout.

    >>> nn.MLP(784, [300, 10])(minicnn.zeros(2, 784)).shape
    minicnn.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: Sequence[int],
        norm_layer: Maker | None = None,
        activation_layer: Maker | None = ReLU,
        inplace: bool | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        layers: list[Module] = []
        for i, channels in enumerate(hidden_channels, 1):
            layers.append(Linear(in_channels, channels, bias))
            if i < len(hidden_channels):
                layers += [norm_layer(channels)] if norm_layer else []
                layers += [activation_layer(**_option(inplace))] if activation_layer else []
            layers.append(Dropout(dropout, **_option(inplace)))
            in_channels = channels
        super().__init__(*layers)


class Permute(Module):
    """Reordering the axes as in `dims`.

    >>> nn.Permute((0, 2, 3, 1))(minicnn.zeros(1, 3, 8, 6)).shape
    minicnn.Size([1, 8, 6, 3])
    """

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, input: Tensor) -> Tensor:
        """Return the input with its axes in another order."""
        y: Tensor = input.permute(*self.dims)
        return y


class FrozenBatchNorm2d(Module):
    """Batch norm with constant statistics and parameters: y = weight (x - mean)/sqrt(var + eps) + bias.

    It is used for fine-tuning on small batches, whose own statistics would be poor. Buffers: weight, bias, running_mean
    and running_var, (C,) each.

    >>> norm = nn.FrozenBatchNorm2d(4)
    >>> norm(minicnn.zeros(1, 4, 2, 2)).shape, len(list(norm.parameters())), len(list(norm.buffers()))
    (minicnn.Size([1, 4, 2, 2]), 0, 4)
    """

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, full((num_features,), value))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        state_dict.pop(prefix + "num_batches_tracked", None)  # written by the batch norm that this layer replaces
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.weight.shape[0]}, eps={self.eps})"


def _option(inplace: bool | None) -> dict[str, Any]:
    return {} if inplace is None else {"inplace": inplace}
