"""Checks of the shapes of matrix products."""

from __future__ import annotations

from .sizes import Shape, ShapeError, bias, broadcast


def linear(x: Shape, w: Shape, b: Shape | None = None) -> None:
    """Check y = x w^T + b: x (..., in), w (out, in), b (out,) or None."""
    if len(w) != 2:
        raise ShapeError(f"linear: weight must be 2-d (out_features, in_features), got shape {w}")
    if not x or x[-1] != w[1]:
        remedy = "flatten the image first: nn.Flatten()" if len(x) == 4 else f"make in_features {x[-1]}" if x else ""
        raise ShapeError(
            f"linear: weight {w} takes {w[1]} input features on the last axis, but the input has shape {x}"
            + (f"; {remedy}" if remedy else "")
        )
    bias("linear", b, w[0])


def matmul(a: Shape, b: Shape) -> None:
    """Check a @ b for NumPy's matmul: (..., n, k) @ (..., k, m); a 1-d a is a row, a 1-d b is a column."""
    if not a or not b:
        raise ShapeError(f"matmul: both operands need at least one axis, got {a} and {b}; use * for a scalar")
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        raise ShapeError(
            f"matmul: {a} @ {b}: the last axis of the first ({a[-1]}) must equal axis {-min(len(b), 2)} of the second "
            f"({inner})"
        )
    broadcast("matmul", a[:-2], b[:-2])
