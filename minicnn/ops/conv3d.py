"""Convolution of volumes: the slices of a window become channels, and `conv2d` does the rest.

Output slice e of a convolution along D, H and W sees the KD input slices e*SD - PD + k*DD. Laid on each other, they are
an image with C*KD channels; the weight (O, C/G, KD, KH, KW), read as (O, C/G*KD, KH, KW), has its numbers in that
order. So the N*OD slabs are a batch of images, and one convolution in two dimensions gives all output slices:

    (N, C, D, H, W)  -- slabs -->  (N*OD, C*KD, H, W)  -- conv2d -->  (N*OD, O, OH, OW)  -->  (N, O, OD, OH, OW)

The transposed convolution goes the other way: conv_transpose2d, then the slabs are added up, the transpose of `slabs`.
A slab is a copy, so that the memory of x is needed about KD/SD times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn_kernels import geometry
from minicnn_kernels.arrays import xp
from minicnn_kernels.geometry import IntOrTriple, Shape, Slabs

from ..tensor import Array, Tensor
from .conv import Convolution, batched, check, conv2d
from .conv_gradients import InputGradient, WeightGradient
from .conv_transpose import TransposedConvolution
from .pad import pad
from .tensor.linear_map import LinearMapRow, Map
from .tensor.shape import reshape, transpose

__all__ = ["conv3d", "conv3d_input", "conv3d_weight", "conv_transpose3d"]


def _slices(s: Slabs, k: int) -> tuple[slice, slice]:
    """Return which slabs have a slice k inside the volume, and which slices of the volume these are."""
    shift = k * s.dilation - s.padding  # slab e has slice e*stride + shift
    first = max(0, -(shift // s.stride))
    last = min(s.out, (s.size - 1 - shift) // s.stride + 1)
    if first >= last:
        return slice(0, 0), slice(0, 0)
    begin = first * s.stride + shift
    return slice(first, last), slice(begin, begin + (last - first - 1) * s.stride + 1, s.stride)


def _slabs(x: Array, s: Slabs) -> Array:
    """(N, C, D, H, W) -> (N*OD, C*KD, H, W), 0 outside the volume."""
    n, c, _, *sides = x.shape
    y = xp(x).zeros((n, s.out, c, s.kernel, *sides), x.dtype)
    for k in range(s.kernel):
        slabs, slices = _slices(s, k)
        y[:, slabs, :, k] = x[:, :, slices].swapaxes(1, 2)
    return y.reshape(n * s.out, c * s.kernel, *sides)


def _volume(y: Array, s: Slabs) -> Array:
    """(N*OD, C*KD, H, W) -> (N, C, D, H, W): each slice is the sum of all that are in slabs."""
    n, c, sides = len(y) // s.out, y.shape[1] // s.kernel, y.shape[2:]
    y = y.reshape(n, s.out, c, s.kernel, *sides)
    x = xp(y).zeros((n, c, s.size, *sides), y.dtype)
    for k in range(s.kernel):
        slabs, slices = _slices(s, k)
        x[:, :, slices] += y[:, slabs, :, k].swapaxes(1, 2)
    return x


def _slabs_shape(shape: Shape, s: Slabs) -> Shape:
    return shape[0] * s.out, shape[1] * s.kernel, *shape[3:]


def _volume_shape(shape: Shape, s: Slabs) -> Shape:
    return shape[0] // s.out, shape[1] // s.kernel, s.size, *shape[2:]


SLABS = LinearMapRow("Slabs", _slabs, lambda gy, shape, s: _volume(gy, s), _slabs_shape)
VOLUME = LinearMapRow("Volume", _volume, lambda gy, shape, s: _slabs(gy, s), _volume_shape)


def _single(depth: int, y: Tensor, unbatched: bool) -> Tensor:
    """(N*D, O, H, W) -> (N, O, D, H, W) in new memory, or (O, D, H, W)."""
    n, (o, *sides) = y.shape[0] // depth, y.shape[1:]
    y = transpose(reshape(y, (n, depth, o, *sides)), 1, 2).contiguous()
    return reshape(y, (o, depth, *sides)) if unbatched else y


def _images(x: Tensor) -> Tensor:
    """(N, C, D, H, W) -> (N*D, C, H, W)."""
    n, c, depth, *sides = x.shape
    return reshape(transpose(x, 1, 2), (n * depth, c, *sides))


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: IntOrTriple = 1,
    padding: IntOrTriple | str = 0, dilation: IntOrTriple = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Slide filters over volumes, such as videos or scans: `conv2d` with a third axis.

        y[n, o, e, i, j] = b[o] + sum_{c, k, a, b} w[o, c, k, a, b] * x[n, c, e*SD - PD + k*DD, ..., ...]

    Args:
        input: (N, C, D, H, W), or one volume (C, D, H, W).
        weight: (O, C/groups, KD, KH, KW).
        bias: (O,) or None.
        stride, padding, dilation: an int or (depth, vertical, horizontal). Padding "valid" and "same" as in `conv2d`.
        groups: the number of independent blocks that the input and output channels are divided into.

    Returns:
        (N, O, OD, OH, OW), each side as in `conv2d`; or without the N.

    Raises:
        ShapeError: the shapes do not fit together.
        TypeError: the types do not fit together.

    >>> x = minicnn.arange(8.0).reshape(1, 1, 2, 2, 2)
    >>> F.conv3d(x, minicnn.ones(1, 1, 2, 1, 2))  # 0 + 1 + 4 + 5, 2 + 3 + 6 + 7
    tensor([[[[[10.],
               [18.]]]]])
    """
    check("conv3d", input, weight, bias)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise geometry.ShapeError(f"conv3d: padding must be a number, a tuple, 'valid' or 'same', got {padding!r}")
        if padding == "same":
            sides = geometry.same_padding3d(weight.shape[2:], stride, dilation)
            input = pad(input, [n for side in reversed(sides) for n in side])
        padding = 0
    shape = batched(input, 3)
    slabs, plane = geometry.conv3d(
        shape, weight.shape, None if bias is None else bias.shape, stride, padding, dilation, groups
    )
    w = reshape(weight, plane.w_shape)
    if (
        slabs.stride, slabs.padding, slabs.kernel, plane.kh, plane.kw, plane.sh * plane.sw, plane.ph, plane.pw
    ) == (1, 0, 1, 1, 1, 1, 0, 0):  # fmt: skip
        n, c, depth, height, width = shape  # each pixel by itself: a volume is an image of D*H rows
        y = conv2d(reshape(input, (n, c, depth * height, width)), w, bias, groups=plane.groups)
        return reshape(y.contiguous(), (*input.shape[:-4], plane.o, depth, height, width))
    x = Map.apply(reshape(input, shape), SLABS, slabs)
    y = Convolution.apply(x, w, bias, plane, plane.y_shape, False, {})
    return _single(slabs.out, y, input.ndim == 4)


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: IntOrTriple = 1, padding: IntOrTriple = 0,
    output_padding: IntOrTriple = 0, groups: int = 1, dilation: IntOrTriple = 1,
) -> Tensor:  # fmt: skip
    """The transpose of `conv3d`, which makes large volumes from small ones; see `conv_transpose2d`.

    Args:
        input: (N, C, D, H, W), or one volume (C, D, H, W).
        weight: (C, O/groups, KD, KH, KW): the weight of the convolution from O to C channels.
        bias: (O,) or None.
        stride, padding, output_padding, dilation: an int or (depth, vertical, horizontal).
        groups: of the convolution.

    Raises:
        ShapeError: the shapes do not fit together, or output_padding is not less than the stride or the dilation.
        TypeError: the types do not fit together.

    >>> x = minicnn.tensor([1.0, 2.0]).reshape(1, 1, 2, 1, 1)
    >>> F.conv_transpose3d(x, minicnn.tensor([1.0, 10.0]).reshape(1, 1, 2, 1, 1)).flatten()  # 1, 10 + 2, 20
    tensor([ 1., 12., 20.])
    """
    check("conv_transpose3d", input, weight, bias)
    shape, b = batched(input, 3), None if bias is None else bias.shape
    slabs, plane = geometry.conv_transpose3d(
        shape, weight.shape, b, stride, padding, output_padding, groups, dilation
    )  # fmt: skip
    x, w = _images(reshape(input, shape)), reshape(weight, plane.w_shape)
    y = Map.apply(TransposedConvolution.apply(x, w, None, plane, plane.x_shape), VOLUME, slabs)
    if bias is not None:
        y = y + reshape(bias, (-1, 1, 1, 1))
    return reshape(y, y.shape[1:]) if input.ndim == 4 else y


def _planes(
    op: str, x: Sequence[int], w: Sequence[int], gy: Tensor, *window: Any
) -> tuple[Slabs, geometry.Conv, Tensor]:
    """Return the geometry of a convolution, and the gradient of its result as that of images."""
    slabs, plane = geometry.conv3d(tuple(map(int, x)), tuple(map(int, w)), None, *window)
    y = (int(x[0]), plane.o, slabs.out, plane.oh, plane.ow)
    if tuple(gy.shape) != y:
        raise geometry.ShapeError(
            f"{op}: grad_output must have the shape {y} of the convolution of {tuple(x)} with {tuple(w)}, stride "
            f"{window[0]}, padding {window[1]}, dilation {window[2]}, got {tuple(gy.shape)}"
        )
    return slabs, plane, _images(gy)


def conv3d_input(
    input_size: Sequence[int], weight: Tensor, grad_output: Tensor,
    stride: IntOrTriple = 1, padding: IntOrTriple = 0, dilation: IntOrTriple = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv3d` with respect to its input, (N, C, D, H, W).

    >>> w = minicnn.tensor([1.0, 10.0]).reshape(1, 1, 2, 1, 1)
    >>> nn.grad.conv3d_input((1, 1, 3, 1, 1), w, minicnn.ones(1, 1, 2, 1, 1)).flatten()  # 1, 10 + 1, 10
    tensor([ 1., 11., 10.])
    """
    check("conv3d_input", weight, grad_output, None)
    window = stride, padding, dilation, groups
    slabs, plane, gy = _planes("conv3d_input", input_size, weight.shape, grad_output, *window)
    found = InputGradient.apply(reshape(weight, plane.w_shape), gy, plane, plane.x_shape)
    return Map.apply(found, VOLUME, slabs)


def conv3d_weight(
    input: Tensor, weight_size: Sequence[int], grad_output: Tensor,
    stride: IntOrTriple = 1, padding: IntOrTriple = 0, dilation: IntOrTriple = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """The gradient of `conv3d` with respect to its weight, (O, C/groups, KD, KH, KW).

    >>> x = minicnn.tensor([1.0, 2.0, 4.0]).reshape(1, 1, 3, 1, 1)
    >>> nn.grad.conv3d_weight(x, (1, 1, 2, 1, 1), minicnn.ones(1, 1, 2, 1, 1)).flatten()  # 1 + 2, 2 + 4
    tensor([3., 6.])
    """
    check("conv3d_weight", input, grad_output, None)
    window = stride, padding, dilation, groups
    slabs, plane, gy = _planes("conv3d_weight", input.shape, weight_size, grad_output, *window)
    found = WeightGradient.apply(Map.apply(input, SLABS, slabs), gy, plane, plane.w_shape)
    return reshape(found, tuple(map(int, weight_size)))
