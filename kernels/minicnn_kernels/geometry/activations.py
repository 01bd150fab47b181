"""Checks of the shapes of prelu, which has a weight, and glu, which halves an axis."""

from __future__ import annotations

from .sizes import Shape, ShapeError, whole


def check_prelu(x: Shape, w: Shape) -> None:
    """Check the slopes (C,), (1,) or () of `prelu` against its input (N, C, ...).

    Raises:
        ShapeError: there is neither one slope nor one slope per channel.
    """
    if len(w) > 1:
        raise ShapeError(f"prelu: weight must have at most one axis, (1,) or (channels,), got shape {w}")
    channels = x[1] if len(x) > 1 else 1
    if w not in ((), (1,), (channels,)):
        raise ShapeError(
            f"prelu: an input of shape {x} has {channels} channel(s) on axis 1, but weight has shape {w}; "
            f"give one slope or {channels}"
        )


def check_glu(x: Shape, dim: int) -> tuple[int, int]:
    """The axis that `glu` halves, counted from the front, and half its length.

    Raises:
        IndexError: x has no such axis.
        ShapeError: the axis has an odd size.
    """
    if not -len(x) <= whole(dim, "glu", "dim") < len(x):
        raise IndexError(f"glu: dim {dim} is not an axis of shape {x}")
    if x[dim] % 2:
        raise ShapeError(f"glu: side {x[dim]} of axis {dim % len(x)} of shape {x} cannot be halved; it must be even")
    return dim % len(x), x[dim] // 2
