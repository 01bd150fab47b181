"""The table of test samples: one row per operation; `ops/test_ops.py` puts every row through every check.

A sample is the shapes of the tensor inputs and the options of the call. To test a new operation, add its row here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor
from minicnn.ops import arithmetic, reduction, shape

Shape = tuple[int, ...]


class Sample(NamedTuple):
    """One call: shapes of the inputs (None for an input left out) and keyword options."""

    shapes: tuple[Shape | None, ...]
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


class Op(NamedTuple):
    """One operation: how to call it, its samples, and what is special about its inputs."""

    call: Callable[..., Any]
    samples: list[Sample]
    linear: tuple[int, ...] = ()  # the inputs the result is linear in, for the adjoint test
    draw: Callable[[np.random.Generator, Shape], np.ndarray] = lambda rng, s: rng.standard_normal(s)


def positive(rng: np.random.Generator, s: Shape) -> np.ndarray:
    return rng.random(s) + 0.5


def apart(rng: np.random.Generator, s: Shape) -> np.ndarray:
    """Values at least 0.05 from each other and from 0: no kink (relu, max) within a finite difference."""
    values = (np.arange(int(np.prod(s))) + 1) * 0.05
    return rng.permutation(values * np.where(np.arange(values.size) % 2, 1, -1)).reshape(s)


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """A running mean and variance for the channels of x."""
    mean = np.linspace(-1, 1, x.shape[1]).astype(x.dtype)
    return Tensor(mean), Tensor(mean * mean + mean.dtype.type(0.5))


def S(*shapes: Shape | None, **options: Any) -> Sample:
    return Sample(shapes, options)


CONV = [
    S((2, 3, 5, 6), (4, 3, 3, 2), (4,)),
    S((1, 1, 7, 7), (1, 1, 3, 3), None, stride=3),  # does not fit: the last row and column are in no window
    S((2, 4, 6, 5), (6, 2, 3, 3), (6,), groups=2, padding=1, stride=(2, 1)),
    S((2, 3, 7, 4), (3, 1, 2, 3), None, groups=3, padding=(0, 2), dilation=(3, 1)),  # depthwise
    S((2, 2, 3, 3), (2, 2, 3, 3), (2,), padding=4, dilation=2, stride=2),  # windows wholly in the padding
    S((3, 5, 2, 3), (4, 5, 1, 1), (4,)),
    S((0, 2, 4, 4), (3, 2, 3, 3), (3,), padding="same"),
    S((2, 5, 4), (3, 2, 2, 2), None),  # one picture without a batch axis
]
POOL = [
    S((2, 3, 4, 6), kernel_size=2),
    S((1, 2, 7, 5), kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)),
    S((2, 2, 7, 8), kernel_size=3, stride=2, ceil_mode=True),
    S((1, 2, 2, 6), kernel_size=3, stride=4, ceil_mode=True),  # larger than the input, but allowed to hang over
    S((2, 1, 5, 5), kernel_size=3, stride=1, padding=1),
    S((0, 2, 4, 4), kernel_size=2),
    S((2, 6, 4), kernel_size=(2, 3)),
]
BROADCAST = [S((2, 3), (2, 3)), S((4, 1, 3), (2, 1)), S((), (3,)), S((2, 0), (1,)), S((2, 3, 2, 2), (1, 3, 1, 1))]
POINTS = [S((2, 3, 4, 5)), S(()), S((0, 3)), S((7,))]

OPS: dict[str, Op] = {
    "conv2d": Op(F.conv2d, CONV, linear=(0, 1)),
    "linear": Op(
        F.linear,
        [S((3, 4), (5, 4), (5,)), S((4,), (2, 4), None), S((2, 3, 4), (1, 4), (1,)), S((0, 4), (2, 4), (2,))],
        (0, 1),
    ),
    "matmul": Op(
        minicnn.matmul,
        [
            S((3, 4), (4, 2)),
            S((4,), (4,)),
            S((4,), (4, 3)),
            S((2, 3), (3,)),
            S((2, 1, 3, 4), (5, 4, 2)),
            S((0, 3), (3, 2)),
        ],
        (0, 1),
    ),
    "max_pool2d": Op(F.max_pool2d, [*POOL, S((2, 2, 7, 7), kernel_size=2, dilation=2, stride=1)], draw=apart),
    "avg_pool2d": Op(
        F.avg_pool2d,
        [
            *POOL,
            S((2, 2, 5, 4), kernel_size=3, stride=2, padding=1, count_include_pad=False),
            S((1, 2, 4, 4), kernel_size=2, divisor_override=3),
        ],
        (0,),
    ),
    "relu": Op(F.relu, POINTS, draw=apart),
    "tanh": Op(F.tanh, POINTS),
    "sigmoid": Op(F.sigmoid, POINTS),
    "batch_norm (training)": Op(
        lambda x, w, b, **o: F.batch_norm(x, None, None, w, b, training=True, **o),
        [
            S((3, 2, 4, 5), (2,), (2,)),
            S((4, 3), (3,), None, eps=0.1),
            S((2, 2, 3), None, None),
            S((1, 2, 3, 3), (2,), (2,)),
        ],
    ),
    "batch_norm (evaluation)": Op(
        lambda x, w, b, **o: F.batch_norm(x, *statistics(x), w, b, training=False, **o),
        [S((3, 2, 4, 5), (2,), (2,)), S((1, 3), (3,), None), S((0, 2, 2, 2), None, None)],
    ),
    "cross_entropy": Op(
        lambda x, **o: F.cross_entropy(x, minicnn.tensor(np.arange(x.shape[0]) * 2 % max(x.shape[1], 1)), **o),
        [S((4, 5)), S((1, 1)), S((3, 2), reduction="sum"), S((3, 4), reduction="none"), S((0, 3), reduction="sum")],
    ),
    "add": Op(arithmetic.add, BROADCAST),
    "sub": Op(arithmetic.sub, BROADCAST),
    "mul": Op(arithmetic.mul, BROADCAST, linear=(0, 1)),
    "div": Op(arithmetic.div, BROADCAST, draw=positive),
    "pow": Op(arithmetic.pow, BROADCAST, draw=positive),
    "pow (number)": Op(lambda x, p: x**p, [S((2, 3), p=2), S((2, 3), p=-1.5), S((3,), p=0)], draw=positive),
    "neg": Op(arithmetic.neg, POINTS, linear=(0,)),
    "exp": Op(arithmetic.exp, POINTS),
    "log": Op(arithmetic.log, POINTS, draw=positive),
    "sqrt": Op(arithmetic.sqrt, POINTS, draw=positive),
    "abs": Op(arithmetic.abs, POINTS, draw=apart),
    "sum": Op(
        reduction.sum,
        [S((2, 3, 4)), S((2, 3, 4), dim=1), S((2, 3), dim=(0, 1), keepdim=True), S(()), S((0, 2), dim=0)],
        (0,),
    ),
    "mean": Op(reduction.mean, [S((2, 3, 4)), S((2, 3, 4), dim=-1, keepdim=True), S((3, 2), dim=(1, 0))], (0,)),
    "reshape": Op(
        lambda x, to: shape.reshape(x, *to),
        [S((2, 6), to=(3, -1)), S((2, 3, 2, 2), to=(2, 12)), S((0, 2), to=(0, 4))],
        (0,),
    ),
    "flatten": Op(shape.flatten, [S((2, 3, 4, 5), start_dim=1), S(()), S((2, 3, 4), start_dim=0, end_dim=1)], (0,)),
    "permute": Op(lambda x, to: shape.permute(x, *to), [S((2, 3, 4), to=(2, 0, 1)), S((2, 0), to=(1, 0))], (0,)),
    "transpose": Op(shape.transpose, [S((2, 3, 4), dim0=0, dim1=-1)], (0,)),
    "index": Op(
        lambda x, at: x[at],
        [
            S((4, 5), at=1),
            S((4, 5), at=(slice(3, 0, -2), slice(1, None))),
            S((4, 5), at=(np.array([0, 2, 2]), np.array([1, 1, 1]))),
            S((3, 2), at=np.array([True, False, True])),
            S((2, 3), at=(Ellipsis, None, 0)),
            S((4, 5), at=([1, 1],)),
        ],
        (0,),
    ),
}
