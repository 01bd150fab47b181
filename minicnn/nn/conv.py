"""Convolution layers and transposed convolution layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minicnn_kernels.geometry import IntOrPair, IntOrTriple, KindError, shown, whole, wholes

from ..ops.conv import conv1d, conv2d
from ..ops.conv3d import conv3d, conv_transpose3d
from ..ops.conv_transpose import conv_transpose1d, conv_transpose2d
from ..ops.pad import pad
from ..ops.tensor.creation import empty
from ..tensor import Tensor
from . import init
from .module import Module
from .parameter import Parameter
from .tuples import _ntuple, _pair, _reverse_repeat_tuple, _single, _triple

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

Numbers = tuple[int, ...]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def _ints(sizes: Numbers, op: str, name: str) -> Numbers:
    """The sizes, one per axis, as ints; an error shows the single number that the user gave for all axes.

    Raises:
        KindError: a size is not an int.
    """
    try:
        return tuple(whole(size, op, name) for size in sizes)
    except KindError:
        given = sizes[0] if all(size is sizes[0] for size in sizes) else sizes
        raise KindError(f"{op}: {name} must be an int or a tuple of ints, got {shown(given)}") from None


class _ConvNd(Module):
    """The common part of all convolution layers: parameters, their start values, attributes with PyTorch's names.

    `weight` is (O, C/groups, ...), transposed (C, O/groups, ...), and `bias` is (O,) or None; both are drawn from
    U(-1/sqrt(fan_in), 1/sqrt(fan_in)) as in PyTorch. The sizes are tuples with one number per axis.

    Raises:
        ValueError: groups does not divide the channels, the padding or padding mode is unknown, or padding is "same"
            with a stride.
    """

    bias: Parameter | None
    fit: str = "floor"
    flipped: bool = False

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Numbers, stride: Numbers, padding: Numbers | str,
        dilation: Numbers, transposed: bool, output_padding: Numbers, groups: int, bias: bool, padding_mode: str,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        name = type(self).__name__
        self.in_channels = whole(in_channels, name, "in_channels", 0)
        self.out_channels = whole(out_channels, name, "out_channels", 0)
        self.kernel_size = _ints(kernel_size, name, "kernel_size")
        self.stride, self.dilation = _ints(stride, name, "stride"), _ints(dilation, name, "dilation")
        self.padding = padding if isinstance(padding, str) else _ints(padding, name, "padding")
        self.output_padding = _ints(output_padding, name, "output_padding")
        self.groups = whole(groups, name, "groups")
        self.transposed, self.padding_mode = transposed, padding_mode
        self._check()
        self._reversed_padding_repeated_twice = self._padding_at_ends()
        channels = (self.in_channels, self.out_channels) if transposed else (self.out_channels, self.in_channels)
        shape = (channels[0], channels[1] // self.groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(self.out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check(self) -> None:
        """Check that the arguments fit together."""
        name, groups, padding = type(self).__name__, self.groups, self.padding
        if min(self.kernel_size, default=0) < 0:
            raise ValueError(f"{name}: kernel_size must not be negative, got {self.kernel_size}")
        if groups <= 0:
            raise ValueError(f"{name}: groups must be a positive integer, got {groups}")
        for side in ("in_channels", "out_channels"):
            if getattr(self, side) % groups:
                raise ValueError(f"{name}: {side} must be divisible by groups, got {getattr(self, side)} and {groups=}")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"{name}: Invalid padding string {padding!r}, should be one of 'same', 'valid'")
        if padding == "same" and any(s != 1 for s in self.stride):
            raise ValueError(
                f"{name}: padding='same' is not supported for strided convolutions, got stride={self.stride}"
            )
        if self.padding_mode not in PADDING_MODES:
            raise ValueError(
                f"{name}: padding_mode must be one of {PADDING_MODES}, but got padding_mode={self.padding_mode!r}"
            )

    def _padding_at_ends(self) -> Numbers:
        """Return the padding in the form of `pad`, the last axis first: (before, after) of each axis."""
        if not isinstance(self.padding, str):
            return _reverse_repeat_tuple(self.padding, 2)
        pairs = zip(reversed(self.kernel_size), reversed(self.dilation), strict=True)
        spare = [d * (k - 1) if self.padding == "same" else 0 for k, d in pairs]
        return tuple([n for both in spare for n in (both // 2, both - both // 2)])

    def _padded(self, input: Tensor) -> tuple[Tensor, Any]:
        """Return the input padded as `padding_mode` says, and the padding that is left for the convolution: none."""
        return pad(input, self._reversed_padding_repeated_twice, self.padding_mode), 0

    def reset_parameters(self) -> None:
        """Draw new start values for the parameters."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # the same as U(-1/sqrt(fan_in), 1/sqrt(fan_in))
        if self.bias is not None:
            fan_in = init.fans(self.weight.shape)[0]
            bound = 1 / math.sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it, then the other arguments."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        rank = len(self.kernel_size)
        text += f", padding={self.padding}" if self.padding != (0,) * rank else ""
        text += f", dilation={self.dilation}" if self.dilation != (1,) * rank else ""
        text += f", output_padding={self.output_padding}" if self.output_padding != (0,) * rank else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        text += f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else ""
        text += f", fit={self.fit}" if self.fit != "floor" else ""
        return text + (", flipped=True" if self.flipped else "")


class Conv1d(_ConvNd):
    """Slide filters over signals: y[o] = b[o] + sum_c w[o, c] (*) x[c]; (N, C, L) -> (N, O, OL); see `Conv2d`.

    >>> nn.Conv1d(1, 8, 5, padding=2)(minicnn.zeros(4, 1, 100)).shape
    minicnn.Size([4, 8, 100])
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: IntOrPair, stride: IntOrPair = 1,
        padding: IntOrPair | str = 0, dilation: IntOrPair = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None, *, fit: str = "floor",
        flipped: bool = False,
    ) -> None:  # fmt: skip
        padding = padding if isinstance(padding, str) else _single(padding)
        super().__init__(
            in_channels, out_channels, _single(kernel_size), _single(stride), padding, _single(dilation),
            False, _single(0), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip
        self.fit, self.flipped = fit, flipped

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, L) -> (N, O, OL)."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = (input, self.padding) if self.padding_mode == "zeros" else self._padded(input)
        return conv1d(
            x, weight, bias, self.stride, padding, self.dilation, self.groups, fit=self.fit, flipped=self.flipped
        )


class Conv2d(_ConvNd):
    """Slide `out_channels` filters over the image: y[o] = b[o] + sum_c w[o, c] (*) x[c].

    Shape: (N, C, H, W) -> (N, O, OH, OW), OH = floor((H + 2*padding - dilation*(kernel_size - 1) - 1)/stride) + 1; also
    without the batch axis. Parameters: `weight` (O, C/groups, KH, KW) and `bias` (O,), together O*(C/groups*KH*KW + 1)
    numbers, drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)) as in PyTorch.

    Args:
        in_channels, out_channels: C and O.
        kernel_size, stride, padding, dilation: an int or (vertical, horizontal); padding also "valid" or "same".
        groups: the number of independent channel blocks; groups=in_channels is a depthwise convolution.
        bias: whether there is a bias.
        padding_mode: the padded values: "zeros", or as in `functional.pad` "reflect", "replicate", "circular".
        device, dtype: of the parameters.
        fit: "floor" drops rows that fill no window, "strict" refuses such an input (not in PyTorch).
        flipped: turn the filters by 180 degrees: the convolution of mathematics (not in PyTorch).

    Raises:
        KindError: a size, or a number of channels, is not an int.
        ValueError: groups does not divide the channels, the padding is unknown, or it is "same" with a stride.

    >>> conv = nn.Conv2d(3, 16, 5, stride=2, padding=2)
    >>> conv(minicnn.zeros(1, 3, 32, 32)).shape  # (32 + 2*2 - 5)/2 + 1 = 16.5, rounded down
    minicnn.Size([1, 16, 16, 16])
    >>> sum(p.numel() for p in conv.parameters())  # 16*(3*5*5 + 1)
    1216
    >>> nn.Conv2d(16, 16, 3, groups=16, bias=False).weight.numel()  # depthwise: 16*3*3, not 16*16*3*3
    144
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair | str = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        fit: str = "floor",
        flipped: bool = False,
    ) -> None:
        padding = padding if isinstance(padding, str) else _pair(padding)
        super().__init__(
            in_channels, out_channels, _pair(kernel_size), _pair(stride), padding, _pair(dilation),
            False, _pair(0), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip
        self.fit, self.flipped = fit, flipped

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, OH, OW)."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve with a given weight and bias; subclasses written for PyTorch call it with other parameters."""
        x, padding = (input, self.padding) if self.padding_mode == "zeros" else self._padded(input)
        return conv2d(
            x, weight, bias, self.stride, padding, self.dilation, self.groups, fit=self.fit, flipped=self.flipped
        )


class Conv3d(_ConvNd):
    """Slide filters over volumes, such as videos: (N, C, D, H, W) -> (N, O, OD, OH, OW); see `Conv2d`.

    Sizes are an int or (depth, vertical, horizontal).

    >>> nn.Conv3d(3, 8, (3, 5, 5), padding=(1, 2, 2))(minicnn.zeros(1, 3, 4, 16, 16)).shape
    minicnn.Size([1, 8, 4, 16, 16])
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: IntOrTriple, stride: IntOrTriple = 1,
        padding: IntOrTriple | str = 0, dilation: IntOrTriple = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        padding = padding if isinstance(padding, str) else _triple(padding)
        super().__init__(
            in_channels, out_channels, _triple(kernel_size), _triple(stride), padding, _triple(dilation),
            False, _triple(0), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, D, H, W) -> (N, O, OD, OH, OW)."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, padding = (input, self.padding) if self.padding_mode == "zeros" else self._padded(input)
        return conv3d(x, weight, bias, self.stride, padding, self.dilation, self.groups)


class _ConvTransposeNd(_ConvNd):
    """A transposed convolution of one to three axes."""

    rank: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
        output_padding: IntOrPair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: IntOrPair = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}, got {padding_mode=}')
        if isinstance(padding, str):
            raise ValueError(f"{type(self).__name__}: padding must be numbers, got {padding!r}")
        each = _ntuple(self.rank)
        k, s, p, d, o = map(each, (kernel_size, stride, padding, dilation, output_padding))
        super().__init__(in_channels, out_channels, k, s, p, d, True, o, groups, bias, padding_mode, device, dtype)

    def _output_padding(
        self, input: Tensor, output_size: Sequence[int] | None, stride: Sequence[int], padding: Sequence[int],
        kernel_size: Sequence[int], num_spatial_dims: int, dilation: Sequence[int] | None = None,
    ) -> Sequence[int]:  # fmt: skip
        """Return the output padding that gives `output_size`; without it, that of this layer.

        Raises:
            ValueError: no output padding smaller than the stride gives this size.
        """
        if output_size is None:
            return self.output_padding
        name = f"ConvTranspose{num_spatial_dims}d"
        if not isinstance(output_size, Sequence):
            raise KindError(f"{name}: output_size must be a list of ints, got {shown(output_size)}")
        output_size = wholes(output_size, name, "output_size")
        leading = input.ndim - num_spatial_dims
        wanted = tuple(output_size)[leading if len(output_size) == input.ndim else 0 :]
        if len(wanted) != num_spatial_dims:
            raise ValueError(
                f"ConvTranspose{num_spatial_dims}D: for {input.ndim}D input, output_size must have {num_spatial_dims} "
                f"or {input.ndim} elements (got {len(output_size)})"
            )
        sides = zip(input.shape[leading:], stride, padding, kernel_size, dilation or (1,) * len(stride), strict=True)
        least = [(size - 1) * s - 2 * p + d * (k - 1) + 1 for size, s, p, k, d in sides]
        most = [size + s - 1 for size, s in zip(least, stride, strict=True)]
        if any(not low <= size <= high for low, size, high in zip(least, wanted, most, strict=True)):
            raise ValueError(
                f"requested an output size of {wanted}, but valid sizes range from {least} to {most} (for an input of "
                f"{tuple(input.shape[leading:])})"
            )
        return tuple(size - low for size, low in zip(wanted, least, strict=True))

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """(N, C, H, W) -> (N, O, OH, OW); `output_size` chooses among the sizes that the stride allows."""
        stride, kernel_size, dilation, rank = self.stride, self.kernel_size, self.dilation, self.rank
        padding: Any = self.padding
        more: Any = self._output_padding(input, output_size, stride, padding, kernel_size, rank, dilation)
        convolve: Any = (conv_transpose1d, conv_transpose2d, conv_transpose3d)[rank - 1]
        found: Tensor = convolve(input, self.weight, self.bias, stride, padding, more, self.groups, dilation)
        return found


class ConvTranspose1d(_ConvTransposeNd):
    """The transpose of a `Conv1d` from O to C channels: (N, C, L) -> (N, O, OL); see `ConvTranspose2d`.

    >>> nn.ConvTranspose1d(8, 1, 4, stride=2, padding=1)(minicnn.zeros(4, 8, 50)).shape
    minicnn.Size([4, 1, 100])
    """

    rank = 1


class ConvTranspose2d(_ConvTransposeNd):
    """The transpose of a `Conv2d` from `out_channels` to `in_channels`, which enlarges images by its stride.

    Shape: (N, C, H, W) -> (N, O, OH, OW), OH = (H - 1)*stride - 2*padding + dilation*(kernel_size - 1) +
    output_padding + 1; also without the batch axis. Parameters: `weight` (C, O/groups, KH, KW) and `bias` (O,).

    Args:
        in_channels, out_channels: C and O.
        kernel_size, stride, padding, dilation, groups: of the convolution above; padding is cut off the result.
        output_padding: rows and columns added at the end, fewer than the stride.
        bias: whether there is a bias.
        padding_mode: only "zeros".
        device, dtype: of the parameters.

    Raises:
        ValueError: groups does not divide the channels, or the padding mode is not "zeros".

    >>> up = nn.ConvTranspose2d(16, 8, 2, stride=2)
    >>> up(minicnn.zeros(1, 16, 14, 14)).shape  # (14 - 1)*2 + (2 - 1) + 1 = 28
    minicnn.Size([1, 8, 28, 28])
    """

    rank = 2


class ConvTranspose3d(_ConvTransposeNd):
    """The transpose of a `Conv3d` from `out_channels` to `in_channels`; see `ConvTranspose2d`.

    >>> nn.ConvTranspose3d(16, 8, 2, stride=2)(minicnn.zeros(1, 16, 4, 7, 7)).shape
    minicnn.Size([1, 8, 8, 14, 14])
    """

    rank = 3
