"""Shapes of normalisation layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from .sizes import Shape, ShapeError, counted, whole

Vectors = Mapping[str, Shape | None]


class Channels(NamedTuple):
    """Memory of (N, C, ...) as (rows, C, S): S = H*W in NCHW memory, 1 if the channels of a pixel lie together.

    A kernel that has channels side by side cuts them into `tiles`.
    """

    rows: int
    channels: int
    size: int
    tiles: int


class Groups(NamedTuple):
    """Memory of (N, C, ...) whose channels form `groups` in each image, as (items, rows, across, per).

    A row has `per` values of each of `across` groups. Of them, `size` side by side have one channel. A block of a
    kernel has `many` groups side by side.
    """

    items: int
    rows: int
    across: int
    per: int
    many: int
    groups: int
    channels: int
    size: int


def batch_norm(x: Shape, training: bool, vectors: Vectors) -> None:
    """Check batch normalisation of x (N, C, ...) with vectors of one value per channel.

    Raises:
        ShapeError: fewer than 2 axes, a vector that is not (C,), or in training only one value per channel (its
            variance is 0, so the result would be beta for every input).
    """
    _channels("batch_norm", x, vectors)
    if training and math.prod((x[0], *x[2:])) == 1:
        raise ShapeError(
            f"batch_norm: Expected more than 1 value per channel when training, got input size {x}; "
            "use a larger batch, or model.eval()"
        )


def _channels(op: str, x: Shape, vectors: Vectors) -> None:
    if len(x) < 2:
        raise ShapeError(f"{op}: input must be (N, C, ...), got shape {x}")
    for name, shape in vectors.items():
        if shape is not None and shape != (x[1],):
            raise ShapeError(
                f"{op}: {name} should contain {x[1]} elements not {math.prod(shape)}: it has shape {shape}, and the "
                f"input {x} has {counted(x[1], 'channel')}"
            )


def instance_norm(x: Shape, use_input_stats: bool, vectors: Vectors) -> None:
    """Check instance normalisation of x (N, C, ...) with vectors of one value per channel.

    Raises:
        ShapeError: fewer than 2 axes, a vector that is not (C,), or, if the statistics are the input's, only one value
            per channel of an image.
    """
    _channels("instance_norm", x, vectors)
    if use_input_stats and math.prod(x[2:]) == 1:
        raise ShapeError(
            f"instance_norm: Expected more than 1 spatial element when training, got input size {x}; use larger "
            "images, or running statistics"
        )


def group_norm(x: Shape, groups: int, vectors: Vectors) -> None:
    """Check group normalisation of x (N, C, ...) with vectors of one value per channel.

    Raises:
        ShapeError: fewer than 2 axes, a number of groups that does not divide C, a vector that is not (C,), or a batch
            of one group of one value (its variance is 0, so the result would be beta for every input).
    """
    _channels("group_norm", x, vectors)
    if groups < 1 or x[1] % groups:
        raise ShapeError(
            "group_norm: Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{x} and num_groups={groups}; it must be at least 1 and divide {x[1]}"
        )
    if math.prod((x[0] * x[1] // groups, *x[2:])) == 1:
        raise ShapeError(
            f"group_norm: Expected more than 1 value per channel when training, got input size {x}; a group of one "
            "value has no variance, use fewer groups"
        )


def layer_norm(x: Shape, normalized: Shape, weights: Vectors, op: str = "layer_norm") -> None:
    """Check normalisation over the last axes of x, of the shape `normalized`, with weights of the same shape.

    Raises:
        ShapeError: `normalized` is empty, is not the shape of the last axes of x, or is not the shape of a weight.
    """
    if not normalized:
        raise ShapeError(f"{op}: Expected normalized_shape to be at least 1-dimensional, got {normalized}")
    for name, shape in weights.items():
        if shape is not None and shape != normalized:
            raise ShapeError(
                f"{op}: Expected {name} to be of same shape as normalized_shape, but got {name} of shape {shape} and "
                f"normalized_shape = {normalized}"
            )
    if x[len(x) - len(normalized) :] != normalized or len(x) < len(normalized):
        wanted = ", ".join(("*", *map(str, normalized)))
        raise ShapeError(
            f"{op}: Given normalized_shape={normalized}, expected input with shape ({wanted}), but got input of size "
            f"{x}"
        )


def local_response_norm(x: Shape, size: int) -> None:
    """Check local response normalisation of x (N, C, ...) over windows of `size` channels.

    Raises:
        ShapeError: fewer than 3 axes, or an empty window.
    """
    if len(x) < 3:
        raise ShapeError(
            f"local_response_norm: Expected 3D or higher dimensionality input, (N, C, ...) got {len(x)} dimensions, {x}"
        )
    whole(size, "local_response_norm", "size", 1)
