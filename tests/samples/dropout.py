"""Samples of dropout with probabilities that leave nothing to chance."""

from __future__ import annotations

from .table import Op, S

F = "nn.functional."
POINTS = [
    S((2, 3, 4, 5), p=1.0),
    S((2, 3, 4, 5), p=0.0),
    S((2, 3, 4, 5), p=0.4, training=False),
    S((0, 3, 2, 2), p=0.5),
]

OPS = {
    "dropout": Op(F + "dropout", [*POINTS, S((), p=1.0)], linear=(0,)),
    "dropout1d": Op(
        F + "dropout1d", [S((2, 3, 4), p=1.0), S((3, 4), p=1.0), S((3, 4), training=False), S((0, 3, 4))], linear=(0,)
    ),
    "dropout2d": Op(F + "dropout2d", POINTS, linear=(0,)),
    "dropout3d": Op(F + "dropout3d", [*POINTS, S((2, 3, 1, 4, 5), p=1.0)], linear=(0,)),
    "alpha_dropout": Op(
        F + "alpha_dropout", [S((3, 4), p=1.0, training=True), S((3, 4)), S((3, 4), p=0.0, training=True)]
    ),
    "feature_alpha_dropout": Op(F + "feature_alpha_dropout", [S((3, 4, 2), p=1.0, training=True), S((3, 4, 2))]),
}
