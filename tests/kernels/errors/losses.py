"""Errors of geometry/losses.py and geometry/activations.py."""

from __future__ import annotations

from minicnn_kernels import geometry as G
from minicnn_kernels.geometry import activations as A
from minicnn_kernels.geometry import losses as L

from .table import Error

ERRORS: list[Error] = [
    (lambda: G.cross_entropy((), ()), ["cross_entropy: scores must be (N, classes)", "got a 0-d tensor"]),
    (lambda: G.cross_entropy((3,), (3,)), ["cross_entropy: scores of shape (3,), 3 classes on axis 0", "(), got (3,)"]),
    (lambda: G.cross_entropy((3, 4), (2,)), ["scores of shape (3, 4), 4 classes on axis 1", "(3,), got (2,)"]),
    (
        lambda: G.cross_entropy((3, 4, 5), (3,), op="nll_loss"),
        ["nll_loss: scores", "need as many class indices, (3, 5)"],
    ),
    (
        lambda: G.cross_entropy((3, 4), (3,), None, (3,)),
        ["weight must have one value for each of the 4 classes", "(3,)"],
    ),
    (
        lambda: G.cross_entropy((3, 4), (3,), (0, 4)),
        ["cross_entropy: target 4 is not a class", "4 logits per row allow 0..3"],
    ),
    (lambda: G.cross_entropy((3, 4), (3,), (-1, 2)), ["cross_entropy: target -1 is not a class"]),
    (lambda: L.probabilities((), None), ["cross_entropy: scores must be", "0-d tensor"]),
    (lambda: L.probabilities((2, 3, 4), (4,)), ["weight must have one value for each of the 3 classes", "(4,)"]),
    (lambda: L.class_rows("f", (2, 3, 4), (2,)), ["f: input must be (N, classes) or (classes,)", "(2, 3, 4)"]),
    (lambda: L.class_rows("f", (2, 0), (2,)), ["f: input must be", "at least one class", "(2, 0)"]),
    (lambda: L.class_rows("f", (2, 3), (3,)), ["f: an input of shape (2, 3) needs a target of shape (2,)", "(3,)"]),
    (lambda: L.class_rows("f", (2, 3), (2,), many=True), ["needs a target of shape (2, 3), got (2,)"]),
    (
        lambda: L.same_rank("f", a=(2, 3), b=(2,)),
        ["f: all inputs must have the same number of axes", "a (2, 3), b (2,)"],
    ),
    (lambda: L.embedding_pairs("f", (2, 3), (2, 3), ()), ["f: takes inputs (N, D) with a target (N,)", "(2, 3)"]),
    (lambda: A.check_prelu((2, 3, 4), (4,)), ["prelu", "(2, 3, 4) has 3 channel(s) on axis 1", "(4,)", "or 3"]),
    (lambda: A.check_prelu((2, 3), (3, 1)), ["prelu: weight must have at most one axis", "(3, 1)"]),
    (lambda: A.check_glu((2, 3), 1), ["glu: side 3 of axis 1", "cannot be halved", "even"]),
    (lambda: A.check_glu((2, 3), 2), ["glu: dim 2 is not an axis of shape (2, 3)"]),
]
