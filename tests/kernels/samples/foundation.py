"""Samples of the basic kernels, and helpers for all samples: geometries, random arrays, special values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.optimizers import Weights
from minicnn_kernels.pooling.largest import window

Arguments = tuple[Any, ...]
Sample = Callable[[np.random.Generator, Any], Arguments]
Shape = tuple[int, ...]

ALL = (True, True, True)


def normal(rng: np.random.Generator, dtype: Any, shape: Shape | None) -> Any:
    return None if shape is None else rng.standard_normal(shape).astype(dtype)


def shapes(*wanted: Shape | None) -> Sample:
    """Normally distributed arrays of these shapes, None for None."""
    return lambda rng, dtype: tuple(normal(rng, dtype, shape) for shape in wanted)


def every_array(change: Callable[[Any], Any], args: Any) -> Any:
    """Arguments with every array changed, in lists and among weights too."""
    if isinstance(args, Weights):
        return Weights(every_array(change, args.xs), *every_array(change, args.buffers))
    if type(args) in (list, tuple):
        return type(args)(every_array(change, a) for a in args)
    return np.asarray(change(args)) if isinstance(args, np.ndarray) else args


def arrays_in(args: Any) -> list[Any]:
    """All arrays among arguments."""
    if isinstance(args, Weights):
        return arrays_in([args.xs, *args.buffers])
    if type(args) in (list, tuple):
        return [a for part in args for a in arrays_in(part)]
    return [args] if isinstance(args, np.ndarray) else []


def twin(a: Any) -> Any:
    """A copy with the same memory layout as the array, but every element in a place of its own."""
    if a.size == 0 or any(step == 0 and size > 1 for size, step in zip(a.shape, a.strides, strict=True)):
        return a.copy()
    ways = [(size - 1) * step for size, step in zip(a.shape, a.strides, strict=True)]
    memory = np.zeros(sum(map(abs, ways)) + a.itemsize, np.uint8)
    y: Any = np.ndarray(a.shape, a.dtype, memory, -sum(way for way in ways if way < 0), a.strides)
    y[...] = a
    return y


def run(kernel: Callable[..., Any], args: Arguments) -> Any:
    """The results of a kernel; if it changes weights, the changed copies, and the arguments stay unchanged."""
    if not isinstance(args[0], Weights):
        return kernel(*args)
    weights = every_array(twin, args[0])
    kernel(weights, *args[1:])
    return tuple(arrays_in(weights))


# ----------------------------------------------------------------------------------------------------- geometries

CONVS: dict[str, geometry.Conv] = {
    "plain": geometry.conv2d((2, 3, 5, 6), (4, 3, 3, 2)),
    "one pixel": geometry.conv2d((1, 1, 1, 1), (1, 1, 1, 1)),
    "1x1": geometry.conv2d((3, 5, 2, 3), (4, 5, 1, 1)),
    "stride does not fit": geometry.conv2d((2, 2, 8, 7), (3, 2, 3, 3), stride=(2, 3)),
    "stride beyond the window": geometry.conv2d((1, 2, 7, 8), (2, 2, 2, 1), stride=(3, 4)),
    "padded": geometry.conv2d((2, 2, 4, 3), (3, 2, 3, 2), padding=(1, 2)),
    "padded, with a stride": geometry.conv2d((2, 2, 7, 9), (2, 2, 3, 4), padding=(2, 3), stride=(3, 2)),
    "padding larger than the window": geometry.conv2d((1, 2, 3, 2), (2, 2, 2, 3), padding=(4, 3), stride=(2, 1)),
    "dilated": geometry.conv2d((2, 2, 9, 8), (2, 2, 3, 2), padding=(2, 0), dilation=(2, 3), stride=(1, 2)),
    "groups": geometry.conv2d((2, 4, 5, 4), (6, 2, 3, 3), padding=1, groups=2),
    "depthwise": geometry.conv2d((2, 3, 6, 5), (6, 1, 3, 2), stride=(2, 1), padding=(0, 1), groups=3),
    "window as large as the image": geometry.conv2d((3, 2, 4, 3), (5, 2, 4, 3)),
    "one row": geometry.conv2d((2, 3, 1, 9), (2, 3, 1, 4), stride=(1, 2)),
    "batch 0": geometry.conv2d((0, 2, 4, 5), (3, 2, 3, 3), padding=1),
    "five taps, several images": geometry.conv2d((7, 2, 9, 8), (3, 2, 5, 5), padding=(4, 1)),
    "more than 8 filters": geometry.conv2d((3, 3, 6, 7), (11, 3, 3, 3), padding=1),
    "nine taps in a row": geometry.conv2d((2, 2, 5, 13), (3, 2, 2, 9), padding=(1, 3)),
    "several pieces": geometry.conv2d((2, 1, 40, 41), (2, 1, 4, 3)),
    "1x1, strided": geometry.conv2d((3, 4, 7, 6), (5, 4, 1, 1), stride=(3, 2)),
    "1x1, more channels than pixels": geometry.conv2d((1, 3, 2, 2), (7, 3, 1, 1)),
    "1x1 of one pixel": geometry.conv2d((5, 6, 1, 1), (3, 6, 1, 1)),
    "1x1 to one pixel": geometry.conv2d((2, 3, 2, 3), (4, 3, 1, 1), stride=3),
    "1x1, more pixels than windows": geometry.conv_transpose2d(
        (2, 3, 4, 5), (3, 4, 1, 1), output_padding=(1, 1), dilation=2
    ),
    "1x1, batch 0": geometry.conv2d((0, 3, 4, 5), (2, 3, 1, 1)),
    "depthwise 3x3": geometry.conv2d((2, 5, 6, 7), (5, 1, 3, 3), padding=1, groups=5),
    "depthwise 3x3, strided": geometry.conv2d((3, 4, 7, 8), (4, 1, 3, 3), stride=2, padding=1, groups=4),
    "depthwise 5x5, dilated": geometry.conv2d((1, 3, 9, 10), (6, 1, 5, 5), None, (1, 3), (4, 5), 2, groups=3),
    "depthwise, stride beyond the window": geometry.conv2d((2, 2, 9, 8), (2, 1, 2, 1), stride=(4, 3), groups=2),
    "depthwise, many channels": geometry.conv2d((1, 520, 3, 4), (520, 1, 3, 3), padding=1, groups=520),
    "the window is the whole image": geometry.conv2d((3, 4, 3, 2), (5, 4, 3, 2)),
    "the window is the whole row": geometry.conv2d((2, 3, 1, 5), (4, 3, 1, 5), stride=2),
    "depthwise, last vector overlaps": geometry.conv2d((2, 37, 5, 11), (37, 1, 3, 3), padding=1, groups=37),
    "depthwise, long rows": geometry.conv2d((1, 20, 5, 27), (20, 1, 5, 5), padding=2, groups=20),
    "depthwise, short rows": geometry.conv2d((1, 43, 7, 9), (43, 1, 3, 5), padding=(1, 2), groups=43),
    "depthwise, one pixel of many": geometry.conv2d((1, 101, 2, 3), (101, 1, 5, 5), padding=2, groups=101),
    "depthwise, phases": geometry.conv2d((1, 17, 9, 8), (17, 1, 5, 4), None, (4, 3), (3, 1), (2, 1), groups=17),
    "depthwise, two filters each": geometry.conv2d((2, 9, 6, 5), (18, 1, 3, 3), stride=2, padding=1, groups=9),
    "groups of 2": geometry.conv2d((2, 22, 5, 11), (22, 2, 3, 3), padding=1, groups=11),
    "groups of 4, strided": geometry.conv2d((2, 36, 7, 8), (36, 4, 3, 3), stride=2, padding=1, groups=9),
    "groups of 8, long rows": geometry.conv2d((1, 24, 3, 13), (24, 8, 2, 3), None, 1, (0, 2), (1, 2), groups=3),
    "groups of 4, few channels": geometry.conv2d((2, 4, 4, 3), (4, 4, 3, 3), padding=1, groups=1),
    "groups of 2, batch 0": geometry.conv2d((0, 4, 4, 5), (4, 2, 3, 3), padding=1, groups=2),
    "depthwise, batch 0": geometry.conv2d((0, 2, 4, 5), (2, 1, 3, 3), padding=1, groups=2),
    "small images": geometry.conv2d((7, 3, 2, 3), (4, 3, 3, 3), padding=1),
    "six filters, rows of two vectors": geometry.conv2d((2, 2, 8, 21), (6, 2, 3, 4), padding=(1, 0)),
    "eight filters, five taps": geometry.conv2d((1, 2, 7, 23), (8, 2, 5, 5), padding=(0, 1)),
    "wide rows": geometry.conv2d((1, 1, 5, 40), (2, 1, 2, 5)),
    "3x3, not square": geometry.conv2d((2, 3, 9, 6), (5, 3, 3, 3), padding=(1, 0)),
    "3x3, groups, much padding": geometry.conv2d((2, 4, 5, 10), (6, 2, 3, 3), padding=(2, 1), groups=2),
    "3x3, one pixel": geometry.conv2d((3, 2, 1, 1), (2, 2, 3, 3), padding=1),
    "3x3, channels in several blocks": geometry.conv2d((1, 3, 4, 4), (70, 3, 3, 3), padding=1),
    "whole vectors, rows in several tiles": geometry.conv2d((2, 3, 5, 19), (48, 3, 3, 3), padding=1),
    "whole vectors, strided": geometry.conv2d((1, 16, 6, 37), (16, 16, 3, 3), stride=2, padding=(1, 2)),
    "several bands": geometry.conv2d((2, 2, 70, 9), (3, 2, 4, 1), stride=(3, 1), padding=(2, 0)),
}
POOLS: dict[str, geometry.Pool] = {
    "2x2": geometry.pool2d((2, 3, 4, 6), 2),
    "2x2, a row and a column left": geometry.pool2d((2, 5, 5, 7), 2),
    "2x2, many channels": geometry.pool2d((1, 17, 2, 34), 2),
    "2x2, rows of two blocks": geometry.pool2d((3, 2, 6, 46), 2),
    "2x2, rows of a block and more": geometry.pool2d((4, 3, 5, 37), 2),
    "2x2, rows of whole blocks, a column left": geometry.pool2d((4, 3, 6, 33), 2),
    "2x2, rows of 14 windows": geometry.pool2d((3, 5, 7, 28), 2),
    "2x2, rows of 5 windows": geometry.pool2d((4, 3, 11, 11), 2),
    "2x2, one column of windows": geometry.pool2d((5, 4, 6, 3), 2),
    "not square": geometry.pool2d((1, 2, 7, 5), (3, 2), (2, 1), (1, 0)),
    "overlapping": geometry.pool2d((2, 2, 7, 8), 3, 2),
    "padded": geometry.pool2d((2, 1, 5, 5), 3, 1, 1),
    "stride beyond the window": geometry.pool2d((1, 2, 9, 11), 2, (3, 4)),
    "over the edge": geometry.pool2d((2, 2, 7, 8), 3, 2, ceil_mode=True),
    "2x2 over the edge": geometry.pool2d((1, 2, 5, 3), 2, ceil_mode=True),
    "over the padding": geometry.pool2d((1, 2, 6, 6), (4, 3), 3, (2, 1), ceil_mode=True),
    "padding not counted": geometry.pool2d((1, 2, 6, 5), (4, 3), 3, (2, 1), ceil_mode=True, count_include_pad=False),
    "whole image": geometry.pool2d((3, 4, 5, 3), (5, 3)),
    "whole image, many channels": geometry.pool2d((2, 67, 7, 6), (7, 6)),
    "large windows": geometry.pool2d((1, 3, 12, 11), (7, 6), 3, (3, 2), ceil_mode=True, count_include_pad=False),
    "1x1": geometry.pool2d((1, 3, 2, 2), 1),
    "batch 0": geometry.pool2d((0, 2, 4, 4), 2),
}
MAX_POOLS: dict[str, geometry.Pool] = {
    **POOLS,
    "dilated": geometry.pool2d((2, 2, 7, 9), (2, 3), 1, 1, (2, 3)),
    "windows wholly in the padding": geometry.pool2d((1, 2, 2, 5), 2, 1, 1, 3),
}


def conv(g: geometry.Conv, bias: bool = True) -> Sample:
    return lambda rng, dtype: (*shapes(g.x_shape, g.w_shape, (g.o,) if bias else None)(rng, dtype), g)


def conv_backward(g: geometry.Conv, needs_grad: tuple[bool, ...] = ALL) -> Sample:
    return lambda rng, dtype: (*shapes(g.y_shape, g.x_shape, g.w_shape)(rng, dtype), g, needs_grad)


# ------------------------------------------------------------------------------------------------- special inputs


def special(*arrays: list[float]) -> Sample:
    """Given values."""
    return lambda rng, dtype: tuple(np.array(values, dtype) for values in arrays)


def ties(g: geometry.Pool) -> Sample:
    """Few different values, including NaN and Inf, so that windows have several maxima."""

    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        x = rng.integers(-2, 3, g.x_shape).astype(dtype)
        chance = rng.random(g.x_shape)
        x[chance < 0.1], x[chance > 0.8], x[(chance > 0.1) & (chance < 0.2)] = np.nan, -np.inf, np.inf
        return x, g

    return make


def max_backward(g: geometry.Pool) -> Sample:
    """Random pixels of each window, where overlapping windows may have the same; -1 for a window without pixels."""

    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        index = np.full(g.y_shape, -1, np.int32)
        for i, j in np.ndindex(g.oh, g.ow):
            pixels = [p * g.w + q for p, q in window(g, i, j)]
            index[:, :, i, j] = rng.choice(pixels or [-1], index.shape[:2])
        return normal(rng, dtype, g.y_shape), index, g

    return make


def softmax(n: int, k: int, scale: float = 3.0) -> Sample:
    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        return normal(rng, dtype, (n, k)) * np.dtype(dtype).type(scale), rng.integers(0, max(1, k), n)

    return make


def softmax_backward(n: int, k: int) -> Sample:
    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        p = rng.random((n, k)) + 0.1
        p = (p / p.sum(1, keepdims=True)).astype(dtype)
        return normal(rng, dtype, (n,)), p, rng.integers(0, max(1, k), n)

    return make


def batch_norm(
    shape: Shape, gamma: bool, beta: bool, *, mean: float = 1.0, given: bool = False, relu: bool = False
) -> Sample:
    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        c = shape[1:2]
        x = normal(rng, dtype, shape) + np.dtype(dtype).type(mean)
        vectors = normal(rng, dtype, c if gamma else None), normal(rng, dtype, c if beta else None)
        statistics = (normal(rng, dtype, c), rng.random(c).astype(dtype)) if given else ()
        return (x, *vectors, *statistics, 1e-5, relu)

    return make


def batch_norm_backward(
    shape: Shape, gamma: bool, needs_grad: tuple[bool, ...] = ALL, *, given: bool = False, relu: bool = False
) -> Sample:
    """`given`: for evaluation, with a given variance and eps; else with 1/std."""

    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        c = shape[1:2]
        gy, x, g, beta, mean = shapes(shape, shape, c if gamma else None, c if gamma else None, c)(rng, dtype)
        spread = (rng.random(c) + 0.5).astype(dtype)
        return (gy, x, g, beta, mean, spread, *([1e-5] if given else []), needs_grad, relu)

    return make


# ---------------------------------------------------------------------------------------------------------- table

POINTS: list[Shape] = [(2, 3, 4, 5), (), (0, 3), (7,), (3, 1, 2), (1, 70)]
EDGES = [0.0, -0.0, 1e-40, -1e-40, 1e-7, 0.54, -0.56, 9.0, -9.1, 88.0, -88.0, -104.0, 1e4, -1e4, np.inf, np.nan]
NEEDS = [(True, False, False), (False, True, False), (False, False, True), (False, True, True)]
LINEARS = [
    (4, 3, 5),
    (1, 6, 4),
    (33, 2, 3),
    (2, 1, 1),
    (0, 3, 2),
    (2, 0, 3),
    (3, 2, 0),
    (4, 270, 250),
    (3, 12500, 7),
]  # N, I, O
STACKS: list[tuple[Shape, Shape]] = [  # shapes of a and b
    ((2, 3, 4), (2, 4, 5)),
    ((3, 2, 17, 20), (3, 2, 20, 66)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((3, 4), (2, 4, 3)),
    ((1, 3, 4), (2, 3, 4, 5)),
    ((2, 1, 3, 1, 2, 3), (1, 2, 1, 2, 3, 2)),
    ((1, 2, 1, 2, 1, 2, 3), (2, 2, 2, 2, 2, 3, 2)),
    ((2, 3, 700), (2, 700, 4)),
    ((3, 4), (150, 4, 5)),
    ((0, 2, 3), (0, 3, 1)),
    ((0, 2, 3), (3, 1)),
    ((2, 2, 0), (2, 0, 3)),
]
IMAGES: list[Shape] = [(3, 2, 4, 5), (1, 3, 2, 2), (4, 17, 3, 3), (2, 3, 1, 1)]
LARGER: list[Shape] = [(3, 5, 37, 33), (5, 1, 65, 64), (2, 301, 6, 7)]  # on all threads, with blocks that are not full


def points(*more: Sample) -> list[Sample]:
    return [*(shapes(shape) for shape in POINTS), *more]


def points_backward() -> list[Sample]:
    return [
        *(shapes(shape, shape) for shape in POINTS),
        special([3.0, -1.0, 2.0, np.inf, 1.0], [0.0, 1.0, -1.0, 0.5, np.nan]),
    ]


SAMPLES: dict[str, list[Sample]] = {
    "relu": points(special([*EDGES, -np.inf]), shapes(LARGER[0])),
    "relu backward": [*points_backward(), special([np.inf, 1.0], [0.0, -0.0]), shapes(LARGER[0], LARGER[0])],
    "tanh": points(special([*EDGES, -np.inf]), lambda rng, dtype: (rng.standard_normal(5000).astype(dtype) * 4,)),
    "tanh backward": points_backward(),
    "sigmoid": points(special([*EDGES, -np.inf]), lambda rng, dtype: (rng.standard_normal(5000).astype(dtype) * 20,)),
    "sigmoid backward": points_backward(),
    "arithmetic": [
        *(
            lambda rng, dtype, op=op, shape=shape: (op, *shapes(shape, shape)(rng, dtype))
            for op in ("add", "sub", "mul")
            for shape in ((2, 3, 4, 5), (0, 3), (3, 5, 37, 33))
        ),
        lambda rng, dtype: ("mul", np.array([np.inf, np.nan, 2.0], dtype), np.array([0.0, 1.0, -np.inf], dtype)),
    ],
    "sum of products": [
        lambda rng, dtype, each=each, shape=shape: (*shapes(shape, shape)(rng, dtype), each)
        for each in (True, False)
        for shape in ((3, 5, 4, 6), (2, 40, 17, 19), (1, 3, 1, 1))
    ],
    "conv2d": [*(conv(g) for g in CONVS.values()), conv(CONVS["plain"], False), conv(CONVS["groups"], False)],
    "conv2d backward": [
        *(conv_backward(g) for g in CONVS.values()),
        *(conv_backward(CONVS["groups"], needs_grad) for needs_grad in NEEDS),
    ],
    "max_pool2d": [ties(g) for g in MAX_POOLS.values()],
    "max_pool2d backward": [max_backward(g) for g in MAX_POOLS.values()],
    "avg_pool2d": [
        *(lambda rng, dtype, g=g: (normal(rng, dtype, g.x_shape), g, None) for g in POOLS.values()),
        *(lambda rng, dtype, g=g: (normal(rng, dtype, g.x_shape), g, 3) for g in POOLS.values()),
        lambda rng, dtype: (np.full((1, 2, 90, 95), 0.1, dtype), geometry.pool2d((1, 2, 90, 95), (90, 95)), None),
    ],
    "avg_pool2d backward": [
        *(lambda rng, dtype, g=g: (normal(rng, dtype, g.y_shape), g, None) for g in POOLS.values()),
        *(lambda rng, dtype, g=g: (normal(rng, dtype, g.y_shape), g, -2) for g in POOLS.values()),
    ],
    "linear": [
        *(shapes((n, i), (o, i), (o,)) for n, i, o in LINEARS),
        *(shapes((n, i), (o, i), None) for n, i, o in LINEARS),
    ],
    "linear backward": [
        *(
            lambda rng, dtype, n=n, i=i, o=o, needs_grad=needs_grad: (
                *shapes((n, o), (n, i), (o, i))(rng, dtype),
                needs_grad,
            )
            for n, i, o in LINEARS
            for needs_grad in (ALL, *NEEDS[:2])
        )
    ],
    "matmul": [*(shapes((n, i), (i, o)) for n, i, o in LINEARS), *(shapes(a, b) for a, b in STACKS)],
    "matmul backward": [
        *(
            lambda rng, dtype, n=n, i=i, o=o, needs_grad=needs_grad: (
                *shapes((n, o), (n, i), (i, o))(rng, dtype),
                needs_grad,
            )
            for n, i, o in LINEARS
            for needs_grad in ((True, True), (True, False), (False, True))
        ),
        *(
            lambda rng, dtype, a=a, b=b, needs_grad=needs_grad: (
                *shapes((*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1]), a, b)(rng, dtype),
                needs_grad,
            )
            for a, b in STACKS
            for needs_grad in ((True, True), (True, False), (False, True))
        ),
    ],
    "softmax_xent": [softmax(4, 5), softmax(1, 1), softmax(0, 3), softmax(7, 2, 1e4), softmax(3, 40, 50)],
    "softmax_xent backward": [softmax_backward(n, k) for n, k in ((4, 5), (1, 1), (0, 3), (9, 2))],
    "batch_norm": [
        *(batch_norm(shape, gamma, beta) for shape in IMAGES for gamma in (True, False) for beta in (True, False)),
        batch_norm((5, 3), True, True),
        batch_norm((2, 3, 4), True, False),
        batch_norm((2, 3, 2, 1, 4), False, True),
        batch_norm((4, 3, 5, 2), True, True, mean=30.0),
        batch_norm((0, 3, 2, 2), True, True),
        *(batch_norm(shape, True, True, relu=True) for shape in (*IMAGES, *LARGER)),
        *(batch_norm(shape, False, False, mean=0.0, relu=True) for shape in IMAGES[:2]),
    ],
    "batch_norm backward": [
        *(batch_norm_backward(shape, gamma) for shape in IMAGES for gamma in (True, False)),
        *(batch_norm_backward(IMAGES[0], True, needs_grad) for needs_grad in NEEDS),
        batch_norm_backward((5, 3), True),
        batch_norm_backward((2, 3, 4), False),
        batch_norm_backward((0, 3, 2, 2), True),
        *(batch_norm_backward(shape, True, relu=True) for shape in (*IMAGES, *LARGER)),
        batch_norm_backward(IMAGES[0], False, relu=True),
    ],
    "batch_norm evaluation": [
        *(batch_norm(shape, True, True, given=True) for shape in IMAGES),
        batch_norm((5, 3), False, True, given=True),
        batch_norm((2, 3, 4), True, False, given=True),
        batch_norm((0, 3, 2, 2), True, True, given=True),
        *(batch_norm(shape, True, True, given=True, relu=True) for shape in (IMAGES[0], *LARGER)),
    ],
    "batch_norm evaluation backward": [
        *(batch_norm_backward(shape, True, given=True) for shape in IMAGES),
        *(batch_norm_backward(IMAGES[0], False, needs_grad, given=True) for needs_grad in NEEDS),
        batch_norm_backward((5, 3), True, given=True),
        batch_norm_backward((0, 3, 2, 2), True, given=True),
        *(batch_norm_backward(shape, True, given=True, relu=True) for shape in (IMAGES[0], *LARGER)),
        batch_norm_backward((5, 3), True, NEEDS[0], given=True, relu=True),
    ],
}
