"""Samples of activations."""

from __future__ import annotations

import numpy as np

from .table import POINTS, Op, S, apart

F = "nn.functional."


def spread(rng: np.random.Generator, s: tuple[int, ...]) -> np.ndarray:
    """Values of `apart`, stretched so that they cover all pieces of an activation, and moved off the whole numbers."""
    return apart(rng, s) * 1.7 + 0.0123


def away(rng: np.random.Generator, s: tuple[int, ...]) -> np.ndarray:
    """Normal values, none of them at a kink."""
    x = rng.standard_normal(s) * 2
    return x + np.where(np.abs(x) < 0.01, 0.1, 0)


SMALL = [S((2, 3, 4, 5)), S(()), S((0, 3))]
EVEN = [S((2, 6)), S((4, 3, 5), dim=0), S((3, 4, 2, 1), dim=1), S((0, 4)), S((3, 0))]

OPS = {
    "relu": Op(F + "relu", POINTS, draw=apart),
    "tanh": Op(F + "tanh", POINTS),
    "sigmoid": Op(F + "sigmoid", POINTS),
    "relu6": Op(F + "relu6", SMALL, draw=spread),
    "hardtanh": Op(F + "hardtanh", [*SMALL, S((7,), min_val=-0.5, max_val=2.0)], draw=spread),
    "hardswish": Op(F + "hardswish", SMALL, draw=spread),
    "hardsigmoid": Op(F + "hardsigmoid", SMALL, draw=spread),
    "threshold": Op(F + "threshold", [S((3, 5), threshold=0.4, value=-2.0), S((), threshold=1, value=2)], draw=spread),
    "hardshrink": Op(F + "hardshrink", [*SMALL, S((3, 5), lambd=1.1)], draw=spread),
    "softshrink": Op(F + "softshrink", [*SMALL, S((3, 5), lambd=0.0), S((3, 5), lambd=1.1)], draw=spread),
    "leaky_relu": Op(F + "leaky_relu", [*SMALL, S((3, 5), negative_slope=0.3)], draw=away),
    "elu": Op(F + "elu", [*SMALL, S((3, 5), alpha=0.4)], draw=away),
    "celu": Op(F + "celu", [*SMALL, S((3, 5), alpha=0.4)], draw=away),
    "selu": Op(F + "selu", SMALL, draw=away),
    "softplus": Op(F + "softplus", [*SMALL, S((4, 5), beta=2.0, threshold=1.5)], draw=away),
    "logsigmoid": Op(F + "logsigmoid", SMALL, draw=away),
    "silu": Op(F + "silu", SMALL, draw=away),
    "mish": Op(F + "mish", SMALL, draw=away),
    "gelu": Op(F + "gelu", [*SMALL, S((3, 5), approximate="tanh")], draw=away),
    "softsign": Op(F + "softsign", SMALL, draw=away),
    "tanhshrink": Op(F + "tanhshrink", SMALL, draw=away),
    "glu": Op(F + "glu", EVEN),
    "rrelu (evaluation)": Op(F + "rrelu", [*SMALL, S((3, 5), lower=0.1, upper=0.5)], draw=away),
    "prelu": Op(
        F + "prelu",
        [
            S((2, 3, 4, 5), (3,)),
            S((2, 3, 4, 5), (1,)),
            S((4, 3), (3,)),
            S((5,), (1,)),
            S((), ()),
            S((2, 3, 4), ()),
            S((0, 3, 2), (3,)),
            S((2, 3, 0), (3,)),
            S((1, 1, 3, 2), (1,)),
        ],
        draw=away,
    ),
    "relu, in place": Op(lambda lib, x: lib.nn.functional.relu(x * 2, inplace=True) * 3, [S((3, 4))], draw=away),
    "hardswish, in place": Op(
        lambda lib, x: lib.nn.functional.hardswish(x * 2, inplace=True).tanh(), [S((3, 4))], draw=away
    ),
    "elu_": Op(lambda lib, x: lib.nn.functional.elu_(x * 2, 0.7), [S((3, 4))], draw=away),
}
