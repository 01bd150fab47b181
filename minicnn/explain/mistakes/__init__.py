"""The mistakes that are made in layers, as code: each gives the numbers that somebody who makes it gets.

`MISTAKES[op][input]` lists those in the gradients of an operation, the likeliest first; `common` gives those of any
gradient. `RESULTS[op][output]` lists those in its results. `../diagnosis.py` looks for the one that gives what a user's
function gave. All arrays are float64.
"""

from __future__ import annotations

from .base import Arrays, Call, Mistake, common, common_results
from .convolution import CONV_B, CONV_W, CONV_X
from .dense import LINEAR, NORM_B, NORM_W, NORM_X
from .dropout import DROPOUT_X, DROPOUT_Y, another_mask
from .elementwise import CROSS_ENTROPY, CROSS_ENTROPY_Y, RELU, SIGMOID, SOFTMAX, SOFTMAX_Y, TANH
from .forward import CONV_Y, FOLD_Y, UNFOLD_Y
from .initial import SCALE
from .normalization import NORM_Y, RUNNING_MEAN, RUNNING_VAR
from .optimizers import ADAM_M, ADAM_V, ADAM_X, SGD_V, SGD_X
from .pooling import AVG_POOL, AVG_POOL_Y, MAX_POOL, MAX_POOL_Y
from .transposed import TRANSPOSED, TRANSPOSED_Y

__all__ = ["MISTAKES", "RESULTS", "Arrays", "Call", "Mistake", "another_mask", "common", "common_results"]

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
    "conv_transpose2d": TRANSPOSED,
    "dropout": {"x": DROPOUT_X},
}
RESULTS: dict[str, dict[str, list[Mistake]]] = {
    "conv2d": {"y": CONV_Y},
    "conv_transpose2d": {"y": TRANSPOSED_Y},
    "unfold": {"y": UNFOLD_Y},
    "fold": {"y": FOLD_Y},
    "max_pool2d": {"y": MAX_POOL_Y},
    "avg_pool2d": {"y": AVG_POOL_Y},
    "batch_norm": {"y": NORM_Y, "running_mean": RUNNING_MEAN, "running_var": RUNNING_VAR},
    "softmax": {"y": SOFTMAX_Y},
    "cross_entropy": {"y": CROSS_ENTROPY_Y},
    "dropout": {"y": DROPOUT_Y},
    "sgd": {"x": SGD_X, "v": SGD_V},
    "adam": {"x": ADAM_X, "m": ADAM_M, "v": ADAM_V},
    "initial_scale": {"y": SCALE},
}
