"""The mistakes that are made in backward passes, as code: each gives the gradient that somebody who makes it gets.

`MISTAKES[op][input]` lists those of an operation, the likeliest first; `common` gives those of any gradient.
`../diagnosis.py` looks for the one that gives what a user's backward pass gave. All arrays are float64.
"""

from __future__ import annotations

from .base import Arrays, Call, Mistake, common
from .convolution import CONV_B, CONV_W, CONV_X
from .dense import LINEAR, NORM_B, NORM_W, NORM_X
from .elementwise import CROSS_ENTROPY, RELU, SIGMOID, SOFTMAX, TANH
from .pooling import AVG_POOL, MAX_POOL

__all__ = ["MISTAKES", "Arrays", "Call", "Mistake", "common"]

MISTAKES: dict[str, dict[str, list[Mistake]]] = {
    "conv2d": {"x": CONV_X, "w": CONV_W, "b": CONV_B},
    "linear": LINEAR,
    "relu": {"x": RELU},
    "tanh": {"x": TANH},
    "sigmoid": {"x": SIGMOID},
    "max_pool2d": {"x": MAX_POOL},
    "avg_pool2d": {"x": AVG_POOL},
    "batch_norm": {"x": NORM_X, "w": NORM_W, "b": NORM_B},
    "softmax": {"x": SOFTMAX},
    "cross_entropy": {"x": CROSS_ENTROPY},
}
