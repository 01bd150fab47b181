"""Receptive fields of maps in every arrangement of axes: channels last, tokens, windows, channels made of pixels ..."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from arranged import (
    Net,
    Tokens,
    attention,
    channels_last,
    conv,
    convnext,
    depth_to_space,
    in_windows,
    space_to_depth,
    together,
    windows,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import nn
from minicnn.analysis import Box, receptive_field
from minicnn.nn import functional as F

Tensor = minicnn.Tensor


def check(net: nn.Module, size: tuple[int, ...]) -> None:
    """Compare the box of each cell with the pixels that change it if they become NaN."""
    net.double().eval()
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    field = receptive_field(net, size)
    seen = np.zeros((*field.cells, *size[1:]), bool)
    with minicnn.no_grad():
        x = minicnn.ones(1, *size, dtype=minicnn.float64)
        before = net(x)  # of weights of one
        others = [axis for axis in range(before.ndim) if axis not in field.axes]
        for i, j in np.ndindex(*size[1:]):
            changed = x.clone()
            changed[:, :, i, j] = np.nan
            moved = (net(changed) != before).numpy().transpose(*others, *field.axes)
            seen[:, :, i, j] = moved.reshape(-1, *field.cells).any(0)
    for cell in np.ndindex(*field.cells):
        rows, columns = (np.nonzero(seen[cell].any(axis))[0] for axis in (1, 0))
        box = Box(rows[0], columns[0], rows[-1], columns[-1]) if len(rows) else Box(0, 0, -1, -1)
        ours = field.box(*cell)
        assert (ours.height * ours.width, box.height * box.width) == (0, 0) or ours == box, (cell, ours, box)


# ------------------------------------------------------------------------------------------------ blocks of known nets


BLOCKS = [
    Net(channels_last, conv(3, 4), nn.Linear(4, 2)),
    Net(lambda x, c, linear: linear(c(x).permute(0, 2, 3, 1)), conv(3, 4), nn.Linear(4, 2)),
    convnext(),
    Tokens(False), Tokens(True),
    Tokens(True, lambda y: y[:, 1:].transpose(1, 2).reshape(-1, 3, 3, 2)),
    Tokens(False, lambda y: y.transpose(1, 2).unflatten(2, (3, 2))),
    Tokens(False, lambda y: y.transpose(0, 1)),
    Tokens(True, lambda y: y[:, 0]),
    Tokens(True, lambda y: y + (y @ y.transpose(1, 2)) @ y),
    Net(in_windows, conv(1, 2, 3, 1, 1), nn.Linear(2, 2)),
    Net(lambda x, c, linear: in_windows(x, c, linear).reshape(-1, 2, 2, 2), conv(1, 2, 3, 1, 1), nn.Linear(2, 2)),
    Net(lambda x, c, linear: together(in_windows(x, c, linear), 6, 4), conv(1, 2, 3, 1, 1), nn.Linear(2, 2)),
    Net(attention, conv(1, 2, 3, 1, 1), nn.Linear(2, 2)),
    Net(space_to_depth, conv(4, 2, 2)), Net(space_to_depth, conv(4, 4, 2, groups=4)), nn.PixelUnshuffle(2),
    nn.Sequential(Net(depth_to_space, conv(1, 4, 3, 1, 1)), conv(1, 1, (2, 3))),
    nn.Sequential(Net(depth_to_space, conv(1, 4, 3, 1, 1)), nn.PixelUnshuffle(2), conv(4, 4, 1, groups=2)),
]  # fmt: skip


@pytest.mark.parametrize("net", BLOCKS)
def test_blocks_of_known_nets(net: nn.Module) -> None:
    check(net, (next((m.in_channels for m in net.modules() if isinstance(m, nn.Conv2d)), 1) % 4 or 1, 6, 4))


# ---------------------------------------------------------------------------------------------- one operation at a time

# of y, (N, 2, 4, 4), which is a convolution of (N, 1, 6, 5)
OPERATIONS: list[Callable[[Tensor], Tensor]] = [
    lambda y: y.flatten(2).reshape(y.shape),
    lambda y: y.flatten(1).unflatten(1, (2, 4, 4)),
    lambda y: y.flatten(2),
    lambda y: y.flatten(1)[:, 3:-2],
    lambda y: y.reshape(-1, 4).reshape(y.shape),
    lambda y: (y.permute(0, 2, 3, 1).reshape(-1, 2) * 2).reshape(-1, 4, 4, 2),
    lambda y: y.reshape(-1, 4, 4).mean(1).reshape(-1, 2, 4),
    lambda y: y.reshape(-1, 1, 4, 4).transpose(2, 3).reshape(y.shape),
    lambda y: y.reshape(-1, 2, 8, 2),
    lambda y: y.reshape(-1, 2, 2, 8).flip(3).reshape(y.shape),
    lambda y: y.flatten(1)[:, 1:31].reshape(-1, 3, 10),
    lambda y: y.flatten(1)[:, 2:].reshape(-1, 5, 3, 2).mean(2),
    lambda y: y.mean(3), lambda y: y.mean(2), lambda y: y.mean(2, keepdim=True), lambda y: y.amax((1, 3)),
    lambda y: y.max(2)[0], lambda y: y.max(1, keepdim=True)[1].double() + y, lambda y: y.std(3),
    lambda y: y + y.transpose(2, 3), lambda y: y + y.flip(2), lambda y: y @ y.transpose(2, 3), lambda y: y @ y,
    lambda y: minicnn.stack(y.unbind(2), 2), lambda y: minicnn.stack(y.unbind(3)[::-1], 1),
    lambda y: minicnn.stack([y[:, :, i].cumsum(2) for i in (2, 0, 3)], 2),
    lambda y: minicnn.cat([row[:, None, :, None] * 2 for row in y[:, 0].unbind(1)], 3),
    lambda y: y.repeat_interleave(2, 3), lambda y: y.repeat_interleave(minicnn.tensor([1, 0, 3, 1]), dim=2),
    lambda y: y.repeat(1, 2, 3, 1), lambda y: y.tile(2).reshape(-1, 4, 2, 8),
    lambda y: y.unsqueeze(3).expand(-1, -1, -1, 3, -1).reshape(-1, 2, 12, 4),
    lambda y: minicnn.roll(y, 1, 3), lambda y: minicnn.roll(y, (1, -2), (2, 3)), lambda y: y[:, 0].rot90(1, (1, 2)),
    lambda y: minicnn.stack([minicnn.roll(one, 3) for one in y.unbind(0)], 0),
    lambda y: minicnn.cat([y.chunk(2, 3)[1], y.chunk(2, 3)[0]], 3),
    lambda y: minicnn.cat([y[:, :1, 1:], y[:, 1:, :-1]], 1), lambda y: minicnn.cat([y, y.mean(3, keepdim=True)], 3),
    lambda y: minicnn.cat([minicnn.zeros(y.shape[0], 2, 1, 4, dtype=y.dtype), y], 2),
    lambda y: y.unfold(2, 3, 1), lambda y: y.unfold(3, 2, 2).sum(3), lambda y: F.unfold(y, 2),
    lambda y: F.fold(F.unfold(y, 2, stride=2), (4, 4), 2, stride=2), lambda y: F.fold(F.unfold(y, 2), (4, 4), 2),
    lambda y: F.unfold(y, 3).reshape(-1, 2, 9, 4).sum(2).reshape(-1, 2, 2, 2),
    lambda y: y.cumsum(2), lambda y: y.tril(), lambda y: y.triu(1), lambda y: y.diagonal(0, 2, 3),
    lambda y: minicnn.einsum("nchw->nwh", y), lambda y: minicnn.einsum("nchh->nch", y),
    lambda y: y[:, [1, 0], :, [2, 2]], lambda y: y[:, :, [[0, 3], [1, 1]]],
    lambda y: y[..., None, 1:, -1], lambda y: F.conv1d(y.flatten(2), minicnn.ones(1, 2, 3, dtype=y.dtype)),
    lambda y: F.interpolate(y.flatten(2), scale_factor=2), lambda y: F.max_pool1d(y.flatten(2), 4),
    lambda y: F.group_norm(y.permute(0, 2, 1, 3), 2), lambda y: F.layer_norm(y.flatten(2), (16,)),
]  # fmt: skip


def after(function: Callable[[Tensor], Tensor]) -> Net:
    """Return a function of the result of a convolution, of (1, 6, 5) to (2, 4, 4)."""
    return Net(lambda x, c: function(c(x)), conv(1, 2, (3, 2)))


@pytest.mark.parametrize("number", range(len(OPERATIONS)))
def test_operations(number: int) -> None:
    """After a convolution, and before another one if the result is a map."""
    net = after(OPERATIONS[number])
    shape = tuple(net(minicnn.zeros(1, 1, 6, 5)).shape)
    check(net, (1, 6, 5))
    if len(shape) == 4 and min(shape[2:]) > 1:
        check(nn.Sequential(net, conv(shape[1], 1, 2, 1, 1)), (1, 6, 5))


def _writes(x: Tensor, kind: str) -> Tensor:
    y = x * 1 if kind != "canvas" else minicnn.zeros(x.shape[0], 2, 6, 9, dtype=x.dtype)
    if kind == "canvas":
        y[:, :, 1:5, ::2] = x.reshape(-1, 2, 4, 4).repeat(1, 1, 1, 2)[..., :5]
    elif kind == "channel":
        y[:, 1] = x[:, 0].transpose(1, 2)
    elif kind == "row":
        y[:, :, 2] = 0
    elif kind == "view":
        view = y[..., 1]
        view += x[:, :, 0]
    elif kind == "other view":
        view = y.transpose(2, 3)
        y[:, :, 0] = x[:, :, 3]
        y = view * 1
    elif kind == "turned":
        view = y.transpose(2, 3)
        view[:, :, 0] = x[..., 3, :]
    elif kind == "shifts":
        y = minicnn.zeros_like(x)
        y[:, :1, 1:] = x[:, :1, :-1]
        y[:, 1:, :, :-1] = x[:, 1:, :, 1:]
    return y


@pytest.mark.parametrize("kind", ["canvas", "channel", "row", "view", "other view", "turned", "shifts"])
def test_writes(kind: str) -> None:
    net = after(lambda y: _writes(y, kind))
    check(net, (1, 6, 5))
    check(nn.Sequential(net, conv(2, 2, 2, groups=2)), (1, 6, 5))


# --------------------------------------------------------------------------------------------------------- in any order


NAMES = [
    "conv", "depthwise", "pool", "linear", "permute", "flatten", "unflatten", "reshape", "flip", "roll", "slice", "int",
    "cat", "zeros", "stack", "repeat", "interleave", "mean", "add", "turn", "windows", "put", "batch", "unfold",
    "unsqueeze", "squeeze",
]  # fmt: skip


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    names = st.sampled_from(NAMES)
    return draw(st.lists(st.tuples(names, st.integers(0, 5), st.integers(0, 5)), max_size=5))


def step(x: Tensor, name: str, a: int, b: int) -> Tensor:
    """Return the result of an operation that the two numbers make concrete, or the input if it does not take it."""
    axis, other, rank = 1 + a % (x.ndim - 1), 1 + b % (x.ndim - 1), x.ndim
    n = x.shape[axis]
    ones = {"dtype": x.dtype, "device": x.device}
    images = rank == 4 and min(x.shape[2:]) > 2
    front = (slice(None),) * axis
    if name == "conv" and images:
        return F.conv2d(x, minicnn.ones(2, x.shape[1], 1 + a % 3, 1 + b % 3, **ones), padding=a % 2, stride=1 + b % 2)
    if name == "depthwise" and images:
        return F.conv2d(x, minicnn.ones(x.shape[1], 1, 2, 3, **ones), groups=x.shape[1])
    if name == "pool" and images:
        return F.avg_pool2d(x, 2, 1 + a % 2)
    if name == "linear":
        return F.linear(x, minicnn.ones(1 + a % 3, x.shape[-1], **ones))
    if name == "permute":
        order = [*range(1, rank)]
        return x.permute(0, *order[a % (rank - 1) :], *order[: a % (rank - 1)])
    if name == "flatten":
        return x.flatten(min(axis, other), max(axis, other))
    if name == "unflatten":
        return x.unflatten(axis, (-1, 2 + b % 2)) if n % (2 + b % 2) == 0 else x
    if name == "reshape":
        count = math.prod(x.shape[1:])
        sizes = [k for k in range(1, count + 1) if count % k == 0]
        return x.reshape(x.shape[0], sizes[len(sizes) * a // 6], -1)
    if name == "flip":
        return x.flip(axis)
    if name == "roll":
        return minicnn.roll(x, 1 + b, axis)
    if name == "slice":
        return x[(*front, slice(b % n, None, 1 + a % 2))]
    if name == "int":
        return x[(*front, b % n)] if rank > 2 else x
    if name == "cat":
        return minicnn.cat([x, x.narrow(axis, 0, 1 + b % n)], axis)
    if name == "zeros":
        return minicnn.cat([minicnn.zeros_like(x.narrow(axis, 0, 1)), x], axis)
    if name == "stack":
        return minicnn.stack([one * 2 for one in x.unbind(axis)[:: (-1) ** b]], other)
    if name == "repeat":
        return x.repeat(*[2 if i == axis else 1 for i in range(rank)])
    if name == "interleave":
        return x.repeat_interleave(2, axis)
    if name == "mean":
        return x.mean(axis, keepdim=rank < 3 or b % 2 == 0)
    if name == "add":
        return x + x.mean(axis, keepdim=True)
    if name == "turn":
        return x + x.transpose(axis, other) if n == x.shape[other] else x
    if name == "windows" and images and x.shape[2] % 2 == x.shape[3] % 2 == 0:
        y = windows(x.permute(0, 2, 3, 1))
        return together(y + y.mean(1, keepdim=True), x.shape[2], x.shape[3]).permute(0, 3, 1, 2)
    if name == "put":
        y = minicnn.zeros_like(x)
        y[(*front, slice(b % n, None))] = x[(*front, slice(None, n - b % n))]
        return y
    if name == "batch" and rank > 2:
        return (x.reshape(-1, *x.shape[2:]) * 2).reshape(x.shape)
    if name == "unfold":
        return x.unfold(axis, 1 + b % n, 1 + a % 2)
    if name == "unsqueeze":
        return x.unsqueeze(axis)
    if name == "squeeze":
        return x.squeeze(axis) if rank > 2 else x
    return x


@settings(max_examples=60, deadline=None)
@given(steps(), st.sampled_from([(1, 4, 6), (2, 4, 4), (3, 5, 3)]))
def test_operations_in_any_order(rules: list[tuple[str, int, int]], size: tuple[int, int, int]) -> None:
    def run(x: Tensor) -> Tensor:
        for rule in rules:
            y = step(x, *rule)
            x = y if y.numel() <= 500 * y.shape[0] and y.ndim < 7 else x
        return x * 1

    check(Net(run), size)


def test_channels_that_are_split_and_shuffled_again_and_again() -> None:
    """As in ShuffleNet v2: half of the channels see more than the others; the windows stay where they are."""

    class Unit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            a, b = x.chunk(2, 1)
            n, _, h, w = x.shape
            return minicnn.cat([a, self.conv(b)], 1).reshape(n, 2, 4, h, w).transpose(1, 2).reshape(n, 8, h, w)

    for count in range(1, 9):
        field = receptive_field(nn.Sequential(nn.Conv2d(1, 8, 1), *[Unit() for _ in range(count)]), (1, 32, 32))
        assert (field.size, field.offset) == ((1 + 2 * count, 1 + 2 * count), (0, 0)), count
