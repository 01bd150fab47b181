"""Geometry of padding."""

from __future__ import annotations

from collections.abc import Sequence

from .sizes import KindError, Shape, ShapeError, fits, shown, wholes

Sides = tuple[tuple[int, int], ...]  # for each axis, how much is added before and after; a negative number crops


def pad(x: Shape, padding: Sequence[int], mode: str) -> Sides:
    """(before, after) for every axis of x, from PyTorch's list, which begins with the last axis: (left, right, ...).

    Raises:
        ShapeError: the list does not fit the axes, cropping leaves a negative size, or the image has too few pixels:
            "reflect" needs more pixels than it adds on a side, "circular" needs as many.
        NotImplementedError: a mode other than "constant" is only for the last 1 to 3 axes of images with channels.

    >>> from minicnn_kernels import geometry
    >>> geometry.pad((1, 3, 8, 8), (1, 2), "constant")
    ((0, 0), (0, 0), (0, 0), (1, 2))
    """
    if not isinstance(padding, Sequence):
        raise KindError(f"pad: the padding must be a list of ints, got {shown(padding)}")
    numbers = wholes(padding, "pad", "the padding", kind="a list of ints")
    axes = len(numbers) // 2
    if len(numbers) % 2 or axes > len(x):
        raise ShapeError(
            f"pad: {numbers} must have two numbers (before, after) for each of at most {len(x)} axes of {x}, last first"
        )
    if mode != "constant" and (axes not in (1, 2, 3) or len(x) not in (axes + 1, axes + 2)):
        raise NotImplementedError(
            f"pad: mode {mode!r} pads the last 1, 2 or 3 axes of (N, C, ...) or (C, ...), so {numbers} does not fit "
            f"{x}; use mode='constant', or add the missing axes with reshape"
        )
    if mode in ("reflect", "replicate") and 0 in x[-axes - 1 :]:
        raise ShapeError(f"pad: mode {mode!r} needs an input in which only the batch may be empty, got {x}")
    sides = ((0, 0),) * (len(x) - axes) + tuple(zip(numbers[-2::-2], numbers[:0:-2], strict=True))
    for size, (before, after) in list(zip(x, sides, strict=True))[len(x) - axes :]:
        left = size + min(before, 0) + min(after, 0)  # after cropping
        if size + before + after < 1 if mode in ("reflect", "replicate") else left < 0:
            raise ShapeError(f"pad: {numbers} leaves nothing of {x}: {size} + {before} + {after}")
        if mode == "reflect" and max(before, after) >= size:
            raise ShapeError(
                f"pad: mode 'reflect' adds at most {size - 1} pixels to a side of {size}, one less than it has, "
                f"got {numbers}"
            )
        if mode == "circular" and (max(before, after) > size or (left == 0 and max(before, after) > 0)):
            raise ShapeError(
                f"pad: mode 'circular' adds at most the {size} pixels of this side of {x} (once around), got {numbers}"
            )
    fits("pad", [size + before + after for size, (before, after) in zip(x, sides, strict=True)])
    return sides
