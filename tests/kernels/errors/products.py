"""Errors of geometry/products.py."""

from __future__ import annotations

from minicnn_kernels import geometry as G

from .table import Error

ERRORS: list[Error] = [
    (lambda: G.linear((3, 4), (5, 3)), ["linear: weight (5, 3) takes 3 input features", "(3, 4); make in_features 4"]),
    (lambda: G.linear((2, 3, 4, 4), (5, 48)), ["linear", "(2, 3, 4, 4)", "nn.Flatten()"]),
    (lambda: G.linear((3, 4), (4,)), ["linear: weight must be 2-d", "(4,)"]),
    (lambda: G.linear((3, 4), (5, 4), (4,)), ["linear: bias must have shape (5,)", "(4,)"]),
    (lambda: G.matmul((2, 3), (4, 5)), ["matmul: (2, 3) @ (4, 5)", "(3)", "axis -2", "(4)"]),
    (lambda: G.matmul((2, 3), (4,)), ["matmul: (2, 3) @ (4,)", "axis -1"]),
    (lambda: G.matmul((), (4,)), ["matmul", "at least one axis", "use *"]),
    (lambda: G.matmul((2, 2, 3), (3, 3, 5)), ["matmul: shapes (2,) and (3,) do not broadcast"]),
]
