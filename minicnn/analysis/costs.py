"""What an operation costs: multiply-accumulates, floating-point operations, the im2col buffer; and its sizes explained.

    operation                                   FLOPs
    convolution, transposed one, linear         2 per multiply-accumulate (MAC), and 1 per output for the bias
    matrix product                              2 per product
    max pooling of K pixels                     K - 1 comparisons per output
    average pooling of K pixels                 K per output: K - 1 additions and a division
    batch normalisation in evaluation           2 per value: a scale and a shift
    group and layer normalisation               8 per value: mean 1, variance 3, normalisation and scale 4
    local response normalisation over S         2 S + 3 per value
    softmax                                     3 per value: exponential, sum, division
    sum, mean, largest value                    1 per value that is added or compared
    interpolation                               2 per pixel that an output is made of
    all other functions of numbers              1 per output: relu, sigmoid, addition, product ...
    copies and changes of shape                 0

MACs are those of convolutions, transposed convolutions and linear layers; biases do not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from minicnn_kernels.geometry import Conv, Pool

from ..ops.adaptive_pooling import MaxUnpool
from ..ops.batchnorm import BatchNormEvaluation, BatchNormTraining
from ..ops.conv import Convolution
from ..ops.conv_transpose import TransposedConvolution
from ..ops.embedding import Embedding
from ..ops.linear import Linear
from ..ops.normalization import GroupNorm, LocalResponseNorm
from ..ops.pad import RESAMPLE
from ..ops.pooling import AvgPool, MaxPool
from ..ops.softmax import LogSoftmax, Softmax
from ..ops.tensor.concatenate import Cat, Split, Unbind
from ..ops.tensor.gather import Gather, Scatter
from ..ops.tensor.indexing import Index, Put
from ..ops.tensor.linear_map import Map, View
from ..ops.tensor.matmul import Matmul
from ..ops.tensor.max_min import Pick
from ..ops.tensor.reduction import Reduction
from ..ops.tensor.types import Cast, ToDevice
from .graph import Operation, Value

CONVOLUTIONS = (Convolution, TransposedConvolution)


def macs(operation: Operation) -> int:
    """Return the multiply-accumulates of a convolution, a transposed one or a linear layer, of the whole batch; else 0.

    A convolution: N O OH OW (C/G) KH KW. A linear layer: rows * in * out.
    """
    if operation.function in CONVOLUTIONS:
        g = operation.argument(Conv)
        return int(g.n * g.o * g.oh * g.ow * (g.c // g.groups) * g.kh * g.kw)
    if operation.function is Linear:
        x, w = operation.inputs[:2]
        return x.size // max(x.shape[-1], 1) * w.size
    return 0


def flops(operation: Operation) -> int:
    """Return the floating-point operations of the whole batch; see the table of this file."""
    if operation.function in _FLOPS:
        return _FLOPS[operation.function](operation)
    return operation.outputs[0].size if operation.function is not None and operation.outputs else 0


def _products(operation: Operation) -> int:
    bias = len(operation.inputs) > 2
    return 2 * macs(operation) + (operation.outputs[0].size if bias else 0)


def window_pixels(g: Pool) -> int:
    """Return the number of pixels in all windows of one channel of one image; padding counts."""
    if not g.adaptive:
        return g.oh * g.ow * g.kh * g.kw
    rows, columns = (sum(-(-(i + 1) * n // out) - i * n // out for i in range(out)) for n, out in _sides(g))
    return rows * columns


def _sides(g: Pool) -> list[tuple[int, int]]:
    return [(g.h, g.oh), (g.w, g.ow)]


def _pooled(operation: Operation, per_window: int) -> int:
    g = operation.argument(Pool)
    return g.n * g.c * (window_pixels(g) - per_window * g.oh * g.ow)


def _matmul(operation: Operation) -> int:
    return 2 * operation.outputs[0].size * operation.inputs[0].shape[-1]


def _local_response(operation: Operation) -> int:
    before, after = operation.arguments[1:3]
    return (2 * (before + after + 1) + 3) * operation.outputs[0].size


def _moved(operation: Operation) -> int:
    """Interpolation is a map too: taps of one pixel are copies."""
    if len(operation.arguments) < 4 or operation.arguments[1] is not RESAMPLE:
        return 0
    taps = operation.arguments[3]
    total = int(taps.start[-1])
    return 2 * total * (operation.outputs[0].size // taps.out) if total > taps.out else 0


def _none(operation: Operation) -> int:
    return 0


def _each(count: int) -> Callable[[Operation], int]:
    return lambda operation: count * operation.outputs[0].size


def _input(operation: Operation) -> int:
    return operation.inputs[0].size


_FLOPS: dict[type, Callable[[Operation], int]] = {
    **dict.fromkeys((Convolution, TransposedConvolution, Linear), _products),
    Matmul: _matmul,
    MaxPool: lambda operation: _pooled(operation, 1),
    AvgPool: lambda operation: _pooled(operation, 0),
    **dict.fromkeys((BatchNormEvaluation,), _each(2)),
    **dict.fromkeys((BatchNormTraining, GroupNorm), _each(8)),
    LocalResponseNorm: _local_response,
    **dict.fromkeys((Softmax, LogSoftmax), _each(3)),
    **dict.fromkeys((Reduction, Pick), _input),
    **dict.fromkeys((Map, View), _moved),
    **dict.fromkeys((Cat, Split, Unbind, Index, Put, Gather, Scatter, Embedding, Cast, ToDevice, MaxUnpool), _none),
}


def im2col_bytes(operation: Operation) -> int:
    """Return the bytes of the matrix of all windows of one image, (C KH KW) x (OH OW): what im2col multiplies.

    The library's im2col does not hold it whole: it works through bands of rows, in a buffer per thread.
    """
    if operation.function not in CONVOLUTIONS:
        return 0
    g = operation.argument(Conv)
    return int(g.c * g.kh * g.kw * g.oh * g.ow) * operation.outputs[0].dtype.itemsize


# ------------------------------------------------------------------------------------------------------ arithmetic


def arithmetic(operation: Operation) -> str:
    """Return the arithmetic that gives the output's size, such as "(224 + 2*3 - 7) // 2 + 1 = 112", or ""."""
    function = operation.function
    if function is Convolution:
        g = operation.argument(Conv)
        return _both(_side(g.h, g.kh, g.sh, g.ph, g.dh, g.oh), _side(g.w, g.kw, g.sw, g.pw, g.dw, g.ow), g.h)
    if function is TransposedConvolution:
        g = operation.argument(Conv)  # of the convolution from the output to the input
        rows = _opened(g.oh, g.kh, g.sh, g.ph, g.dh, g.h)
        return _both(rows, _opened(g.ow, g.kw, g.sw, g.pw, g.dw, g.w), g.h)
    if function in (MaxPool, AvgPool):
        pool = operation.argument(Pool)
        if pool.adaptive or (function is AvgPool and (pool.kh, pool.kw) == (pool.h, pool.w)):
            rows, columns = (f"{n} -> {out}" if out > 1 else f"all {n} -> 1" for n, out in _sides(pool))
            return _both(rows, columns, pool.h)
        rows = _side(pool.h, pool.kh, pool.sh, pool.ph, pool.dh, pool.oh)
        return _both(rows, _side(pool.w, pool.kw, pool.sw, pool.pw, pool.dw, pool.ow), pool.h)
    if function is Linear:
        return f"{operation.inputs[1].shape[1]} -> {operation.inputs[1].shape[0]}"
    if function is Cat:
        dim, parts = operation.options["dim"], operation.inputs
        sizes = " + ".join(str(v.shape[dim]) for v in parts)
        return f"{sizes} = {operation.outputs[0].shape[dim]}" if len(parts) < 9 else ""
    if operation.name == "reshape":
        return _joined_axes(operation.inputs[0], operation.outputs[0])
    return ""


def _side(n: int, k: int, s: int, p: int, d: int, out: int) -> str:
    """Return the formula of one side of a window operation."""
    extent = f"{k}" if d == 1 else f"({d}*({k} - 1) + 1)"
    room = n + 2 * p - (d * (k - 1) + 1)
    if room // s + 1 == out:
        return f"({n} + 2*{p} - {extent}) // {s} + 1 = {out}"
    return f"ceil(({n} + 2*{p} - {extent}) / {s}) + 1 = {out}"


def _opened(n: int, k: int, s: int, p: int, d: int, out: int) -> str:
    """Return the formula of one side of a transposed convolution."""
    extent = f"{k}" if d == 1 else f"{d}*({k} - 1) + 1"
    more = out - ((n - 1) * s - 2 * p + d * (k - 1) + 1)
    return f"({n} - 1)*{s} - 2*{p} + {extent}{f' + {more}' if more else ''} = {out}"


def _both(rows: str, columns: str, height: int) -> str:
    """Join the formulas of height and width; a signal has no height."""
    if rows == columns or height == 1:
        return columns
    return f"H: {rows}, W: {columns}"


def _joined_axes(before: Value, after: Value) -> str:
    """Return the product of a flattening, such as "16*5*5 = 400"; "" if the axis of the batch is among the joined."""
    a, b = before.shape, after.shape
    first = next((i for i, (m, n) in enumerate(zip(a, b, strict=False)) if m != n), len(b))
    last = len(a) - (len(b) - first - 1)
    joined = a[first:last] if first < len(b) else ()
    if not first or len(a) <= len(b) or first >= len(b) or math.prod(joined) != b[first]:
        return ""
    return f"{'*'.join(map(str, joined))} = {b[first]}"
