"""Geometry of volumes (N, C, D, H, W): an operation along D, and one on images (H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .convolution import Conv, check_conv, check_conv_transpose, plane, transposed_plane
from .sizes import (
    IntOrTriple,
    KindError,
    Shape,
    ShapeError,
    fits,
    listed,
    output_size,
    shown,
    triple,
    whole,
)
from .windows import Pool, adaptive_pool2d, pool2d


class Slabs(NamedTuple):
    """The slabs of a volume: `out` windows of `kernel` slices each, along its D = `size` slices."""

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    out: int


def conv3d(
    x: Shape, w: Shape, b: Shape | None = None, stride: IntOrTriple = 1, padding: IntOrTriple = 0,
    dilation: IntOrTriple = 1, groups: int = 1, op: str = "conv3d",
) -> tuple[Slabs, Conv]:  # fmt: skip
    """The geometry of a convolution of x (N, C, D, H, W) with w (O, C/G, KD, KH, KW), as one of images.

    The slabs are N*OD images of C*KD channels; so the second geometry is that of (N*OD, C*KD, H, W) with
    (O, C/G*KD, KH, KW).

    Raises:
        ShapeError: as in `conv2d`.

    >>> from minicnn_kernels import geometry
    >>> slabs, plane = geometry.conv3d((2, 3, 8, 32, 32), (16, 3, 3, 5, 5))
    >>> slabs.out, plane.x_shape, plane.y_shape
    (6, (12, 9, 32, 32), (12, 16, 28, 28))
    """
    groups = whole(groups, op, "groups")
    check_conv(op, x, w, b, groups)
    (sd, *s), (pd, *p), (dd, *d) = _steps(op, stride, padding, dilation)
    (n, c, depth, *sides), (o, cg, kd, *kernel) = x, w
    out = output_size(depth, kd, sd, pd, dd, op=op, side="depth")
    if pd > depth:
        fits(op, (n, c, depth + 2 * pd, *sides), what="padded input")
    images = plane(op, (n * out, c * kd, *sides), (o, cg * kd, *kernel), (tuple(s), tuple(p), tuple(d)), groups)
    return Slabs(depth, kd, sd, pd, dd, out), images


def conv_transpose3d(
    x: Shape, w: Shape, b: Shape | None = None, stride: IntOrTriple = 1, padding: IntOrTriple = 0,
    output_padding: IntOrTriple = 0, groups: int = 1, dilation: IntOrTriple = 1, op: str = "conv_transpose3d",
) -> tuple[Slabs, Conv]:  # fmt: skip
    """The geometry of the convolution whose transpose takes x (N, C, D, H, W) with w (C, O/G, KD, KH, KW) to y.

    As in `conv_transpose2d`: the slabs are those of y, and `out` of them is D.

    Raises:
        ShapeError: as in `conv_transpose2d`.

    >>> from minicnn_kernels import geometry
    >>> slabs, plane = geometry.conv_transpose3d((2, 16, 4, 7, 7), (16, 3, 2, 2, 2), stride=2)
    >>> slabs.size, plane.x_shape
    (8, (8, 6, 14, 14))
    """
    groups = whole(groups, op, "groups")
    check_conv_transpose(op, x, w, b, groups)
    (sd, *s), (pd, *p), (dd, *d) = steps = _steps(op, stride, padding, dilation)
    ed, *e = more = triple(output_padding, op, "output_padding", 0)
    if any(e >= max(step, d) for e, step, d in zip(more, steps[0], steps[2], strict=True)):
        raise ShapeError(
            f"{op}: output_padding {output_padding} must be smaller than the stride {stride} or the dilation {dilation}"
        )
    (n, c, depth, *sides), (_, og, kd, *kernel) = x, w
    size = (depth - 1) * sd - 2 * pd + dd * (kd - 1) + 1 + ed
    if size < 1:
        raise ShapeError(
            f"{op}: input {x} gives an output of depth {size}: (size - 1)*stride - 2*padding + dilation*(kernel - 1) + "
            f"output_padding + 1 must be at least 1; use less padding than {padding}"
        )
    images = transposed_plane(
        op, (n * depth, c, *sides), (c, og * kd, *kernel), (tuple(s), tuple(p), tuple(d)), tuple(e), groups
    )
    fits(op, (n, og * groups, size, images.h, images.w))
    return Slabs(size, kd, sd, pd, dd, depth), images


def same_padding3d(kernel: Shape, stride: IntOrTriple, dilation: IntOrTriple, op: str = "conv3d") -> list[Shape]:
    """Padding that keeps the size, (before, after) each axis; an odd number has its extra slice at the end.

    Raises:
        ShapeError: the stride is not 1.
    """
    if any(s != 1 for s in triple(stride, op, "stride", 1)):
        raise ShapeError(f"{op}: padding='same' keeps the size only with stride 1, got stride {stride}")
    spare = [d * (k - 1) for d, k in zip(triple(dilation, op, "dilation", 1), kernel, strict=True)]
    return [(n // 2, n - n // 2) for n in spare]


def pool3d(
    x: Shape,
    kernel: IntOrTriple,
    stride: IntOrTriple | None = None,
    padding: IntOrTriple = 0,
    dilation: IntOrTriple = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    op: str = "max_pool3d",
) -> tuple[Pool, Pool]:
    """The geometry of a pooling of x, (N, C, D, H, W) or (C, D, H, W): first of (H, W), then of D.

    The first is that of images (N, C*D, H, W), the second that of (N, C, D, OH*OW) with windows one pixel wide.

    Raises:
        ShapeError: as in `pool2d`.

    >>> from minicnn_kernels import geometry
    >>> [g.y_shape for g in geometry.pool3d((8, 6, 10, 28, 28), 2)]
    [(8, 60, 14, 14), (8, 6, 5, 196)]
    """
    n, c, depth, h, w = _batched(x, op)
    stride = kernel if stride is None or (isinstance(stride, Sequence) and not stride) else stride
    kd, *k = triple(kernel, op, "kernel_size", 1)
    sd, *s = triple(stride, op, "stride", 1)
    pd, *p = triple(padding, op, "padding", 0)
    dd, *d = triple(dilation, op, "dilation", 1)
    count = bool(count_include_pad)
    plane = pool2d((n, c * depth, h, w), k, s, p, d, ceil_mode, count, op)
    if 2 * pd > kd:
        raise ShapeError(
            f"{op}: padding {pd, *p} must be at most half of kernel_size {kd, *k}; pad the input before pooling"
        )
    out = output_size(depth, kd, sd, pd, dd, fit="ceil" if ceil_mode else "floor", op=op, side="depth")
    pixels = plane.oh * plane.ow
    return plane, Pool(n, c, depth, pixels, kd, 1, sd, 1, pd, 0, dd, 1, out, pixels, int(count))


def adaptive_pool3d(
    x: Shape, output_size: int | Sequence[int | None], op: str = "adaptive_avg_pool3d"
) -> tuple[Pool, Pool]:
    """The geometry of a pooling of x, (N, C, D, H, W) or (C, D, H, W), to `output_size`: of (H, W), then of D.

    Raises:
        ShapeError: as in `adaptive_pool2d`.
    """
    n, c, depth, h, w = _batched(x, op, channels=op.startswith("adaptive_max"))
    output_size = output_size if type(output_size) is int else listed(output_size)
    if isinstance(output_size, Sequence):
        if len(output_size) != 3 or isinstance(output_size, (str, bytes)):
            raise KindError(
                f"{op}: output_size must be an int or three (depth, height, width), got {shown(output_size)}"
            )
        output_size = [own if side is None else side for side, own in zip(output_size, (depth, h, w), strict=True)]
    od, oh, ow = triple(output_size, op, "output_size", 0, 2**63 - 1)  # type: ignore[arg-type]
    fits(op, (n, c, od, oh, ow))
    plane = adaptive_pool2d((n, c * depth, h, w), (oh, ow), op)
    if not oh * ow:  # the second pooling has nothing to pool, and gives nothing
        return plane, Pool(n, c, depth, 0, 1, 1, 1, 1, 0, 0, 1, 1, od, 0)
    return plane, adaptive_pool2d((n, c, depth, oh * ow), (od, oh * ow), op)


def max_unpool3d(
    x: Shape,
    index: Shape,
    kernel: IntOrTriple,
    stride: IntOrTriple | None = None,
    padding: IntOrTriple = 0,
    size: Sequence[int] | None = None,
    op: str = "max_unpool3d",
) -> tuple[Shape, Pool]:
    """(D, H, W) before the pooling that gave x, (N, C, OD, OH, OW) or (C, OD, OH, OW), and it as one of signals.

    Raises:
        ShapeError: as in `max_unpool2d`.

    >>> from minicnn_kernels import geometry
    >>> geometry.max_unpool3d((8, 6, 2, 3, 4), (8, 6, 2, 3, 4), 2)[0]
    (4, 6, 8)
    """
    n, c, *outs = _batched(x, op)
    if index != x:
        raise ShapeError(
            f"{op}: indices must have the shape of the input, {x}, got {index}; pass both results of one pooling"
        )
    k = triple(kernel, op, "kernel_size", 1)
    s = k if stride is None else triple(stride, op, "stride", 1)
    p = triple(padding, op, "padding", 0)
    default = tuple([(o - 1) * s + k - 2 * p for o, s, k, p in zip(outs, s, k, p, strict=True)])
    sides = default
    if size is not None:
        if not isinstance(size, Sequence) or len(size) not in (3, 5):
            raise KindError(f"{op}: output_size must have 3 or 5 entries, got {shown(size)}")
        sides = tuple([whole(side, op, "output_size", 0) for side in size[-3:]])
        if any(abs(a - b) >= s for a, b, s in zip(sides, default, s, strict=True)):
            raise ShapeError(
                f"{op}: output_size {size!r} does not pool to {tuple(outs)}: it must differ from {default} by less "
                f"than the stride {s}"
            )
    if min(sides) < 0:
        raise ShapeError(f"{op}: padding {p} leaves an output of {sides}; use the padding of the pooling")
    fits(op, (n, c, *sides))
    pixels, found = (a * b * c for a, b, c in (sides, outs))
    return sides, Pool(n, c, 1, pixels, 1, 1, 1, 1, 0, 0, 1, 1, 1, found)


def _steps(op: str, stride: IntOrTriple, padding: IntOrTriple, dilation: IntOrTriple) -> tuple[Shape, ...]:
    """Stride, padding and dilation."""
    return (
        triple(stride, op, "stride", 1),
        triple(padding, op, "padding", 0),
        triple(dilation, op, "dilation", 1),
    )


def _batched(x: Shape, op: str, channels: bool = True) -> Shape:
    """(N, C, D, H, W) of a batch of volumes, or of a single one; `channels`: there must be a channel."""
    if len(x) not in (4, 5):
        raise ShapeError(
            f"{op}: input must be 5-d (N, C, D, H, W) or 4-d (C, D, H, W), got shape {x}; add or merge axes with "
            "reshape"
        )
    if 0 in x[-3 - channels :]:
        raise ShapeError(
            f"{op}: Expected 4D or 5D (batch mode) tensor with non-zero size for non-batch dimensions, got shape {x}; "
            "a window needs pixels"
        )
    return (1,) * (5 - len(x)) + tuple(x)
