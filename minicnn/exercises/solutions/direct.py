"""Convolution by its definition, its gradients, and the transposed convolution."""

from __future__ import annotations

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array
from minicnn_kernels.conv2d.direct import backward_python, forward_python

Pair = tuple[int, int]


def conv2d_forward(x: Array, w: Array, b: Array, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """A convolution: every output is the sum of a window of x times a filter.

        y[n, o, i, j] = b[o] + sum over c, a, k of  w[o, c, a, k] * x[n, c, i*SH - PH + a*DH, j*SW - PW + k*DW]

    Outside of the image x is 0: that is the padding.

    Args:
        x: images, (N, C, H, W).
        w: filters, (O, C, KH, KW).
        b: bias, (O,).
        stride: (SH, SW), rows and columns between neighbouring windows.
        padding: (PH, PW), rows of zeros above and below the image, columns left and right of it.
        dilation: (DH, DW), rows and columns between neighbouring cells of a window; (1, 1) if they touch.

    Returns:
        y, (N, O, OH, OW), with OH = floor((H + 2*PH - DH*(KH - 1) - 1) / SH) + 1, and OW in the same way. Rows at the
        end that fill no window are left out.
    """
    return forward_python(x, w, b, geometry.conv2d(x.shape, w.shape, b.shape, stride, padding, dilation))


def conv2d_groups(x: Array, w: Array, b: Array, stride: Pair, padding: Pair, groups: int) -> Array:
    """A convolution in groups: every output channel sees only the input channels of its group.

    The C input channels and the O output channels are divided into G groups of neighbours. Output channel o is in the
    group g = o // (O/G), and reads the C/G channels that begin at g*(C/G):

        y[n, o, i, j] = b[o] + sum over c, a, k of  w[o, c, a, k] * x[n, g*(C/G) + c, i*SH - PH + a, j*SW - PW + k]

    Args:
        x: images, (N, C, H, W).
        w: filters, (O, C/G, KH, KW).
        b: bias, (O,).
        stride: (SH, SW).
        padding: (PH, PW), of zeros.
        groups: G, which divides C and O.

    Returns:
        y, (N, O, OH, OW), with OH = floor((H + 2*PH - KH) / SH) + 1, and OW in the same way.
    """
    return forward_python(x, w, b, geometry.conv2d(x.shape, w.shape, b.shape, stride, padding, 1, groups))


def conv2d_backward(
    gy: Array, x: Array, w: Array, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[Array | None, ...]:  # fmt: skip
    """The gradients of a convolution: of its input, its filters and its bias.

    gy is the gradient of the loss by y, the result of `conv2d_forward`. Every product of the forward pass,

        y[n, o, i, j] += w[o, c, a, k] * x[n, c, p, q]     with p = i*SH - PH + a*DH and q = j*SW - PW + k*DW,

    gives a part to two gradients, if (p, q) is in the image:

        gx[n, c, p, q]   gets  gy[n, o, i, j] * w[o, c, a, k]
        gw[o, c, a, k]   gets  gy[n, o, i, j] * x[n, c, p, q]
        gb[o]            gets  gy[n, o, i, j], once for each output

    Args:
        gy: upstream gradient, (N, O, OH, OW).
        x: the images of the forward pass, (N, C, H, W).
        w: filters, (O, C, KH, KW).
        stride: (SH, SW).
        padding: (PH, PW), of zeros.
        dilation: (DH, DW).

    Returns:
        gx (N, C, H, W), gw (O, C, KH, KW), gb (O,).
    """
    g = geometry.conv2d(x.shape, w.shape, None, stride, padding, dilation)
    return backward_python(gy, x, w, g, (True, True, True))


def conv_transpose2d(x: Array, w: Array, b: Array, stride: Pair, padding: Pair, output_padding: Pair) -> Array:
    """A transposed convolution: every input puts its multiple of the filter onto a window of the result.

        full[n, o, i*SH + a, j*SW + k]  gets  x[n, c, i, j] * w[c, o, a, k]     for all c, i, j, a, k; parts are added
        y = full without its first PH rows and PW columns, (N, O, OH, OW), plus b[o]

    It is the gradient gx of a convolution, as a function of gy. Nets that enlarge their maps use it.

    Args:
        x: maps, (N, C, H, W).
        w: filters, (C, O, KH, KW): the input channel first.
        b: bias, (O,).
        stride: (SH, SW), between neighbouring windows of the result.
        padding: (PH, PW), rows and columns that are cut off on each side.
        output_padding: (EH, EW), more rows below and columns on the right, where no window needs to reach.

    Returns:
        y, (N, O, OH, OW), with OH = (H - 1)*SH - 2*PH + KH + EH, and OW in the same way.
    """
    g = geometry.conv_transpose2d(x.shape, w.shape, b.shape, stride, padding, output_padding)
    y = backward_python(x, None, w, g, (True, False, False))[0]
    assert y is not None
    return y + b[:, None, None]


def conv_transpose2d_backward(
    gy: Array, x: Array, w: Array, stride: Pair, padding: Pair
) -> tuple[Array, Array | None, Array]:  # fmt: skip
    """The gradients of a transposed convolution: its gx is a plain convolution of gy.

    The forward pass adds x[n, c, i, j] * w[c, o, a, k] to y[n, o, p, q], with p = i*SH - PH + a and q = j*SW - PW + k,
    if (p, q) is in y. So each of these products gives a part to two gradients:

        gx[n, c, i, j]   gets  gy[n, o, p, q] * w[c, o, a, k]
        gw[c, o, a, k]   gets  gy[n, o, p, q] * x[n, c, i, j]
        gb[o]            is the sum of gy[n, o, p, q] over n, p and q

    Args:
        gy: upstream gradient, (N, O, OH, OW).
        x: the maps of the forward pass, (N, C, H, W).
        w: filters, (C, O, KH, KW): the input channel first.
        stride: (SH, SW), between neighbouring windows of y.
        padding: (PH, PW), rows and columns that were cut off from y on each side.

    Returns:
        gx (N, C, H, W), gw (C, O, KH, KW), gb (O,).
    """
    g = geometry.conv2d(gy.shape, w.shape, None, stride, padding)  # from y to x
    gw = backward_python(x, gy, None, g, (False, True, False))[1]
    return forward_python(gy, w, None, g), gw, gy.sum((0, 2, 3))
