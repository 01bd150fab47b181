"""A convolution and its gradients, number by number: which products each is the sum of.

    y[n, o, i, j]    = b[o] + sum_{c, a, b}  x[n, c, rows[i, a], columns[j, b]] * w[o, c, a, b]
    gx[n, c, p, q]   = sum of gy[n, o, i, j] * w[o, c, a, b] over all i, a with rows[i, a] = p, and j, b with
                       columns[j, b] = q: every output whose window has the pixel
    gw[o, c, a, b]   = sum_{n, i, j}  gy[n, o, i, j] * x[n, c, rows[i, a], columns[j, b]]

A transposed convolution is the gx of a convolution, as a function of gy. So its three sums are these, exchanged.

Letters: `minicnn_kernels/conv2d/__init__.py`; the maps `rows` and `columns`: `windows.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import IntOrPair, ShapeError

from ..autograd import enable_grad
from ..nn import functional as F
from ..tensor import Tensor, array_of
from .sums import Sum, factor
from .windows import Windows, window_map

MODES: dict[str, Any] = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}  # their names in NumPy


@dataclass(frozen=True)
class ConvTrace:
    """A convolution as the kernels that train computed it, forward and backward, and the places of all factors.

    Attributes:
        x, w, b, y: images (N, C, H, W), filters (O, C/G, KH, KW), bias (O,) or None, and the result (N, O, OH, OW).
            Transposed: filters (C, O/G, KH, KW).
        gy, gx, gw: an upstream gradient of y's shape, and the gradients for it.
        windows: which numbers meet. Transposed: of the convolution from y to x.
        transposed: whether it is a transposed convolution.
        flipped: whether the filters are turned by 180 degrees.
    """

    x: Array
    w: Array
    b: Array | None
    y: Array
    gy: Array
    gx: Array
    gw: Array
    windows: Windows
    transposed: bool = False
    flipped: bool = False

    def output(self, *cell: int) -> Sum:
        """The sum that is y[n, o, i, j]."""
        n, o, i, j = at("y", self.y, cell)
        of_x, of_w = (self.windows.of_pixel if self.transposed else self.windows.of_output)(n, o, i, j)
        start, name = (0.0, None) if self.b is None else (float(self.b[o]), f"b[{o}]")
        left, right = factor("x", self.x, of_x), factor("w", self.w, of_w)
        return Sum("y", (n, o, i, j), left, right, self.y[n, o, i, j], start, name)

    def input_gradient(self, *cell: int) -> Sum:
        """The sum that is gx[n, c, p, q]."""
        n, c, p, q = at("gx", self.x, cell)
        of_gy, of_w = (self.windows.of_output if self.transposed else self.windows.of_pixel)(n, c, p, q)
        return Sum("gx", (n, c, p, q), factor("gy", self.gy, of_gy), factor("w", self.w, of_w), self.gx[n, c, p, q])

    def weight_gradient(self, *cell: int) -> Sum:
        """The sum that is gw[o, c, a, b]; transposed, gw[c, o, a, b]."""
        o, c, a, b = at("gw", self.w, cell)
        of_map, of_image = self.windows.of_weight(o, c, a, b)
        of_gy, of_x = (of_image, of_map) if self.transposed else (of_map, of_image)
        return Sum("gw", (o, c, a, b), factor("gy", self.gy, of_gy), factor("x", self.x, of_x), self.gw[o, c, a, b])


def conv_trace(
    x: Tensor, w: Tensor, b: Tensor | None = None, stride: IntOrPair = 1, padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1, groups: int = 1, *, padding_mode: str = "zeros", flipped: bool = False,
    fit: str = "floor", grad: Any = None,
) -> ConvTrace:  # fmt: skip
    """Run `conv2d` and its backward pass by the kernels that train, and find out which numbers meet.

    Args:
        x: (N, C, H, W).
        w, b, stride, padding, dilation, groups, flipped, fit: as for `nn.functional.conv2d`.
        padding_mode: as for `nn.Conv2d`; a pixel that is repeated in the padding is found there.
        grad: the upstream gradient, of the shape of y; None for ones, the gradient of the sum of all outputs.

    Raises:
        ShapeError: the shapes do not fit together.

    >>> from minicnn.explain import conv_trace
    >>> x, w = minicnn.arange(9.0).reshape(1, 1, 3, 3), minicnn.tensor([[[[1., 0.], [0., -1.]]]])
    >>> trace = conv_trace(x, w)
    >>> trace.y[0, 0].tolist(), trace.gx[0, 0].tolist()
    ([[-4.0, -4.0], [-4.0, -4.0]], [[1.0, 1.0, 0.0], [1.0, 0.0, -1.0], [0.0, -1.0, -1.0]])
    >>> print(trace.output(0, 0, 1, 0).products)
    [ 3.  0.  0. -7.]
    """
    before, after = _ends(w.shape[2:], padding, stride, dilation)
    sides = [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]

    def run(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        wide = F.pad(x, sides, "constant" if padding_mode == "zeros" else padding_mode) if any(sides) else x
        return F.conv2d(wide, w, b, stride, 0, dilation, groups, fit=fit, flipped=flipped)

    found = trained(run, x, w, b, grad)
    padded = tuple(n + i + j for n, i, j in zip(x.shape[2:], before, after, strict=True))
    g = geometry.conv2d((*x.shape[:2], *padded), w.shape, None, stride, 0, dilation, groups, fit)
    rows = window_map(g.oh, g.kh, g.sh, 0, g.dh, g.h)
    columns = window_map(g.ow, g.kw, g.sw, 0, g.dw, g.w)
    maps = [
        _pixels(size, i, j, padding_mode)[map]
        for size, i, j, map in zip(x.shape[2:], before, after, (rows, columns), strict=True)
    ]
    if flipped:
        maps = [map[:, ::-1] for map in maps]
    return ConvTrace(*found, Windows(maps[0], maps[1], g.n, g.c // groups, g.o // groups), flipped=flipped)


def conv_transpose_trace(
    x: Tensor, w: Tensor, b: Tensor | None = None, stride: IntOrPair = 1, padding: IntOrPair = 0,
    output_padding: IntOrPair = 0, groups: int = 1, dilation: IntOrPair = 1, *, grad: Any = None,
) -> ConvTrace:  # fmt: skip
    """`conv_trace` of `conv_transpose2d`, with its arguments.

    >>> from minicnn.explain import conv_transpose_trace
    >>> conv_transpose_trace(minicnn.ones(1, 1, 2, 2), minicnn.ones(1, 1, 2, 2)).y[0, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """

    def run(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        return F.conv_transpose2d(x, w, b, stride, padding, output_padding, groups, dilation)

    found = trained(run, x, w, b, grad)
    g = geometry.conv_transpose2d(x.shape, w.shape, None, stride, padding, output_padding, groups, dilation)
    rows = window_map(g.oh, g.kh, g.sh, g.ph, g.dh, g.h)
    columns = window_map(g.ow, g.kw, g.sw, g.pw, g.dw, g.w)
    windows = Windows(rows, columns, g.n, g.c // groups, g.o // groups)
    return ConvTrace(*found, windows, transposed=True)


def _ends(
    kernel: tuple[int, ...], padding: IntOrPair | str, stride: IntOrPair, dilation: IntOrPair
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The pixels that are added before and after each axis; the errors of a wrong padding are those of `conv2d`."""
    if padding == "same":
        both, end = geometry.same_padding(kernel, stride, dilation)
        return both, tuple(n + more for n, more in zip(both, end, strict=True))
    if isinstance(padding, str):
        if padding != "valid":
            raise ShapeError(f"conv2d: padding must be a number, a tuple, 'valid' or 'same', got {padding!r}")
        padding = 0
    both = geometry.pair(padding, "conv2d", "padding", 0)
    return both, both


def _pixels(size: int, before: int, after: int, mode: str) -> Array:
    """The pixel at each place of a padded axis; -1 where it is 0. One more at the end: the place -1 is outside, too."""
    if mode == "zeros":
        found = np.pad(np.arange(size), (before, after), constant_values=-1)
    else:
        found = np.pad(np.arange(size), (before, after), MODES[mode])
    return np.append(found, -1)


def trained(
    run: Any, x: Tensor, w: Tensor | None, b: Tensor | None, grad: Any
) -> tuple[Array, Array, Array | None, Array, Array, Array, Array]:
    """Run a function of copies of its tensors, and its backward pass: (x, w, b, y, gy, gx, gw) as arrays.

    Raises:
        ShapeError: the upstream gradient has not the shape of the result.
    """
    with enable_grad():
        leaves = [None if t is None else t.detach().clone().requires_grad_() for t in (x, w, b)]
        y = run(*leaves)
    gy = y.detach().new_ones(y.shape) if grad is None else y.new_tensor(array_of(grad))
    if gy.shape != y.shape:
        raise ShapeError(f"explain: grad must have the shape of the output, {tuple(y.shape)}, got {tuple(gy.shape)}")
    y.backward(gy)
    arrays: list[Any] = [None if t is None else array_of(t) for t in leaves]
    grads: list[Any] = [None if t is None else array_of(t.grad) for t in leaves[:2]]
    return (*arrays, array_of(y), array_of(gy), *grads)


class CellError(ShapeError, IndexError):
    """There is no such cell in an array."""


def at(name: str, array: Array, cell: tuple[int, ...]) -> tuple[int, ...]:
    """A place in an array; negative numbers count from the end.

    Raises:
        CellError: there is no such place.
    """
    found = tuple(geometry.whole(i, "explain", f"each index of {name}") for i in cell)
    if len(found) != array.ndim or not all(-size <= i < size for i, size in zip(found, array.shape, strict=True)):
        raise CellError(f"explain: there is no cell {found} in {name} of shape {array.shape}")
    return tuple(i % size for i, size in zip(found, array.shape, strict=True))
