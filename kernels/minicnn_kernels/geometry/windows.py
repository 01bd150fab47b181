"""Geometry of pooling and of unpooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .sizes import MOST, IntOrPair, KindError, Shape, ShapeError, fits, listed, output_size, pair, shown, triple, whole


class Pool(NamedTuple):
    """Geometry of a 2-d pooling: x (N, C, H, W) -> y (N, C, OH, OW); a 1-d pooling has images one pixel high.

    `adaptive` windows are as equal in size as possible for any OH and OW: window i has the rows from floor(i H / OH) to
    before ceil((i + 1) H / OH), and KH, KW are the sizes of the largest window.
    """

    n: int
    c: int
    h: int
    w: int
    kh: int
    kw: int
    sh: int
    sw: int
    ph: int
    pw: int
    dh: int
    dw: int
    oh: int
    ow: int
    count_include_pad: int = 1  # an int like the other fields: compiled kernels take the whole tuple
    adaptive: int = 0

    @property
    def x_shape(self) -> Shape:
        """(N, C, H, W)."""
        return self.n, self.c, self.h, self.w

    @property
    def y_shape(self) -> Shape:
        """(N, C, OH, OW)."""
        return self.n, self.c, self.oh, self.ow


def pool2d(
    x: Shape,
    kernel: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    op: str = "max_pool2d",
    fit: str | None = None,
    dims: int = 2,
) -> Pool:
    """The geometry of a pooling of x, (N, C, H, W) or (C, H, W); a stride of None or () means the kernel size.

    With `dims=1`, x is (N, C, W) or (C, W), and all other arguments are an int or a tuple of one int.

    Raises:
        ShapeError: a wrong rank, nothing to pool, a window that does not fit, or padding of more than half the kernel
            size (a window could then see only padding).

    >>> from minicnn_kernels import geometry
    >>> geometry.pool2d((8, 6, 28, 28), 2).y_shape, geometry.pool2d((8, 6, 7, 7), 2, ceil_mode=True).y_shape
    ((8, 6, 14, 14), (8, 6, 4, 4))
    """
    n, c, h, width = _batched(x, dims, op, channels=True)
    stride = kernel if stride is None or (isinstance(stride, Sequence) and not stride) else stride
    kh, kw = _sides(kernel, dims, op, "kernel_size", 1)
    sh, sw = _sides(stride, dims, op, "stride", 1)
    ph, pw = _sides(padding, dims, op, "padding", 0)
    dh, dw = _sides(dilation, dims, op, "dilation", 1)
    if 2 * ph > kh or 2 * pw > kw:
        raise ShapeError(
            f"{op}: padding {ph, pw} must be at most half of kernel_size {kh, kw}; pad the input before pooling"
        )
    fit = fit or ("ceil" if ceil_mode else "floor")
    oh = 1 if dims == 1 else output_size(h, kh, sh, ph, dh, fit=fit, op=op, side="height")
    ow = output_size(width, kw, sw, pw, dw, fit=fit, op=op, side="width" if dims == 2 else "length")
    if oh > 2 * h or ow > 2 * width:  # padding is at most half of a window, so this is so only for tiny images
        fits(op, (n, c, oh, ow))
    return Pool(n, c, h, width, kh, kw, sh, sw, ph, pw, dh, dw, oh, ow, int(count_include_pad))


def adaptive_pool2d(
    x: Shape, output_size: int | Sequence[int | None], op: str = "adaptive_avg_pool2d", dims: int = 2
) -> Pool:
    """The geometry of a pooling of x, (N, C, H, W) or (C, H, W), to `output_size`, where None means the size of x.

    If OH divides H and OW divides W, it is the geometry of plain pooling, which is faster.

    Raises:
        ShapeError: a wrong rank, nothing to pool, or an output size below 0.

    >>> from minicnn_kernels import geometry
    >>> geometry.adaptive_pool2d((8, 512, 7, 7), 1).y_shape
    (8, 512, 1, 1)
    """
    n, c, h, w = _batched(x, dims, op, channels=op.startswith("adaptive_max"))
    output_size = output_size if type(output_size) is int else listed(output_size)
    if dims == 2 and isinstance(output_size, Sequence):
        if len(output_size) != 2 or isinstance(output_size, (str, bytes)):
            raise KindError(f"{op}: output_size must be an int or a pair of (height, width), got {shown(output_size)}")
        output_size = [own if side is None else side for side, own in zip(output_size, (h, w), strict=True)]
    oh, ow = _sides(output_size, dims, op, "output_size", 0, 2**63 - 1)  # type: ignore[arg-type]
    fits(op, (n, c, oh, ow))
    if oh and ow and h % oh == 0 and w % ow == 0:
        kh, kw = h // oh, w // ow
        return Pool(n, c, h, w, kh, kw, kh, kw, 0, 0, 1, 1, oh, ow)
    kh = max((-(-(i + 1) * h // oh) - i * h // oh for i in range(oh)), default=0)
    kw = max((-(-(j + 1) * w // ow) - j * w // ow for j in range(ow)), default=0)
    return Pool(n, c, h, w, kh, kw, 1, 1, 0, 0, 1, 1, oh, ow, count_include_pad=0, adaptive=1)


def fractional_pool(
    x: Shape, kernel: IntOrPair, output_size: IntOrPair, op: str = "fractional_max_pool2d"
) -> tuple[Shape, Shape, Shape, Shape]:
    """(N, C), the sides of x, those of the windows and their numbers, for windows at random, unequal distances.

    x is (N, C, H, W) or (C, H, W), or if `op` ends in 3d (N, C, D, H, W) or (C, D, H, W).

    Raises:
        ShapeError: a wrong rank, nothing to pool, or more windows than there are places for them.
    """
    dims = int(op[-2])
    each = pair if dims == 2 else triple
    leading = (1,) * (len(x) == dims + 1) + tuple(x[:-dims])
    axes = ("(N, C, H, W) or (C, H, W)", "(N, C, D, H, W) or (C, D, H, W)")[dims - 2]
    if len(leading) != 2 or 0 in x[-dims - 1 :]:
        raise ShapeError(f"{op}: Expected input {axes}, of which only the batch may be empty, got shape {x}")
    for name, value in (("kernel_size", kernel), ("output_size", output_size)):
        if isinstance(value, Sequence) and len(value) != dims:
            raise KindError(f"{op}: {name} must either be a single int or {dims} ints, got {shown(value)}")
    sides, windows = tuple(x[-dims:]), each(kernel, op, "kernel_size", 1)
    outs = each(output_size, op, "output_size", 0, 2**63 - 1)
    room = [side - k + 1 for side, k in zip(sides, windows, strict=True)]
    if any(out > most for out, most in zip(outs, room, strict=True)):
        a, b, c, d = (" x ".join(map(str, numbers)) for numbers in (outs, windows, sides, room))
        raise ShapeError(
            f"{op}: {a} windows of {b} do not fit into {c}: each window begins at least one pixel after the one "
            f"before; at most {d} windows fit"
        )
    return leading, sides, windows, outs


def max_unpool2d(
    x: Shape,
    index: Shape,
    kernel: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    size: Sequence[int] | None = None,
    op: str = "max_unpool2d",
    dims: int = 2,
) -> Pool:
    """The geometry of the pooling that gave x, (N, C, OH, OW) or (C, OH, OW).

    H = (OH - 1) SH + KH - 2 PH, unless `size` gives another: (H, W) or a whole shape. Several sizes give the same OH,
    since pooling drops the last rows that fill no window.

    Raises:
        ShapeError: a wrong rank, indices of another shape, or a size that does not pool to that of x.

    >>> from minicnn_kernels import geometry
    >>> geometry.max_unpool2d((8, 6, 14, 14), (8, 6, 14, 14), 2).x_shape
    (8, 6, 28, 28)
    """
    n, c, oh, ow = _batched(x, dims, op)
    if index != x:
        raise ShapeError(
            f"{op}: indices must have the shape of the input, {x}, got {index}; pass both results of one pooling"
        )
    kh, kw = _sides(kernel, dims, op, "kernel_size", 1)
    sh, sw = _sides(kernel if stride is None else stride, dims, op, "stride", 1)
    ph, pw = _sides(padding, dims, op, "padding", 0)
    default = ((oh - 1) * sh + kh - 2 * ph, (ow - 1) * sw + kw - 2 * pw)
    h, w = default
    if size is not None:
        if not isinstance(size, Sequence) or len(size) not in (dims, dims + 2):
            raise KindError(f"{op}: output_size must have {dims} or {dims + 2} entries, got {shown(size)}")
        sides = [whole(side, op, "output_size", 0) for side in (size[2:] if len(size) == dims + 2 else size)]
        h, w = sides if dims == 2 else (1, *sides)
        if not (abs(h - default[0]) < sh and abs(w - default[1]) < sw):
            raise ShapeError(
                f"{op}: output_size {size!r} does not pool to {x[-dims:]}: it must differ from {default[-dims:]} by "
                f"less than the stride {(sh, sw)[-dims:]}"
            )
    if h < 0 or w < 0:
        raise ShapeError(
            f"{op}: padding {(ph, pw)[-dims:]} leaves an output of {(h, w)[-dims:]}; use the padding of the pooling"
        )
    fits(op, (n, c, h, w))
    return Pool(n, c, h, w, kh, kw, sh, sw, ph, pw, 1, 1, oh, ow)


def _sides(value: IntOrPair, dims: int, op: str, name: str, least: int, most: int = MOST) -> tuple[int, int]:
    """`pair`; in one dimension the vertical number is that of an image one pixel high."""
    if dims == 2:
        return pair(value, op, name, least, most)
    if isinstance(value, Sequence) and len(value) != 1:
        raise KindError(f"{op}: {name} must be an int or a tuple of one, got {value!r}")
    return 0 if name == "padding" else 1, pair(value, op, name, least, most)[1]


def _batched(x: Shape, dims: int, op: str, channels: bool = False) -> Shape:
    """(N, C, H, W) of a batch of images or signals, or of a single one; `channels`: there must be a channel."""
    if len(x) not in (dims + 1, dims + 2):
        one = ("(C, L)", "(C, H, W)")[dims - 1]
        raise ShapeError(
            f"{op}: input must be {dims + 2}-d (N, {one[1:]} or {dims + 1}-d {one}, got shape {x}; "
            "add or merge axes with reshape"
        )
    if 0 in x[-dims - channels :]:
        raise ShapeError(
            f"{op}: Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with non-zero size for non-batch "
            f"dimensions, got shape {x}; a window needs pixels"
        )
    n, c, *sides = (1,) * (dims + 2 - len(x)) + tuple(x)
    return (n, c, *sides) if dims == 2 else (n, c, 1, *sides)
