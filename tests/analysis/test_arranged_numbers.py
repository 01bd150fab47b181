"""Sizes, strides and measured fields of maps in other arrangements of axes than (N, C, H, W)."""

from __future__ import annotations

import re

import pytest
from arranged import Net, Tokens, channels_last, conv, convnext, in_windows

import minicnn
from minicnn import ShapeError, nn
from minicnn.analysis import Box, empirical_receptive_field, properties, receptive_field
from minicnn.nn import functional as F


def test_size_stride_offset_and_cells() -> None:
    field = receptive_field(Net(channels_last, conv(3, 8, 3, 1, 1), nn.Linear(8, 8)), (3, 8, 8))
    assert (field.size, field.stride, field.offset, field.cells) == ((3, 3), (1, 1), (0, 0), (8, 8))
    assert [layer.field.cells for layer in field.layers] == [(8, 8)] * 4 and field.grid
    field = receptive_field(convnext(), (3, 16, 20))
    assert (field.size, field.stride, field.offset, field.cells) == ((6, 6), (2, 2), (0.5, 0.5), (8, 10))
    assert not field.context and field.box(3, 4) == Box(4, 6, 9, 11)
    for first in (False, True):
        field = receptive_field(Tokens(first), (1, 8, 12))
        assert (field.size, field.stride, field.cells) == ((2, 2), (2, 2), (1, 24 + first)) and not field.grid
        assert field.box(0, 7 + first) == Box(2, 2, 3, 3) and field.offset == (0.5, 0.5)
    assert receptive_field(Tokens(True), (1, 8, 12)).box(0, 0) == Box(0, 0, -1, -1)
    field = receptive_field(Net(in_windows, conv(1, 2, 3, 1, 1), nn.Linear(2, 2)), (1, 8, 12))
    assert (field.size, field.stride, field.cells) == ((3, 3), (1, 1), (24, 4))
    assert field.box(7, 1) == Box(1, 2, 3, 4)
    field = receptive_field(nn.Sequential(nn.Flatten(), nn.Unflatten(1, (1, 8, 12)), conv(1, 1)), (1, 8, 12))
    assert (field.size, field.stride, field.cells) == ((3, 3), (1, 1), (6, 10))


def test_the_table_of_a_summary() -> None:
    lines = str(minicnn.summary(convnext(), (3, 16, 20), verbose=0)).splitlines()
    rows = [line for line in lines if re.match(r" +([1234] \(|gelu|add)", line)]
    assert len(rows) == 6 and all(re.search(r" 6     2( |$)", row) for row in rows)


def test_flips_and_turns() -> None:
    """After a flip the window moves the other way; the rows of cells are those of the tensor."""
    field = receptive_field(Net(lambda x, c: c(x.flip(3)), conv(1, 1, 3, 1, 1)), (1, 8, 12))
    assert (field.stride, field.offset) == ((1, -1), (0, 11))
    assert field.box(0, 0) == Box(0, 10, 1, 11) and field.box(0, 0, clipped=False) == Box(-1, 10, 1, 12)
    field = receptive_field(Net(lambda x, c: c(x.transpose(2, 3)), conv(1, 1, (1, 3))), (1, 8, 12))
    assert field.cells == (12, 6) and field.box(3, 5) == Box(5, 3, 7, 3) and not field.grid


def test_context_in_other_arrangements() -> None:
    """A summary of the map leaves the window as it is, however it is spread over the map."""
    for spread in (
        lambda m: m, lambda m: m.expand(-1, -1, 8, 9), lambda m: m.flatten(1).view(-1, 1, 1, 1).expand(-1, 1, 8, 9)
    ):  # fmt: skip
        net = Net(lambda x, c, s=spread: c(x) * s(F.adaptive_avg_pool2d(x, 1)), conv(1, 1, 3, 1, 1))
        field = receptive_field(net, (1, 8, 9))
        assert field.size == (3, 3) and field.context and field.covers
        assert field.box(4, 4, clipped=False) == Box(3, 3, 5, 5)
    joined = Net(lambda x, c: minicnn.cat([c(x), x.mean((2, 3), keepdim=True).expand(-1, -1, 8, 9)], 1), conv(1, 1))
    field = receptive_field(Net(joined.function, conv(1, 1, 3, 1, 1)), (1, 8, 9))
    assert field.size == (3, 3) and field.context and field.covers
    norm = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False))
    assert receptive_field(norm, (1, 8, 9)).context and receptive_field(norm, (1, 8, 9)).covers
    assert receptive_field(nn.Sequential(nn.Flatten(), nn.LayerNorm(72)), (1, 8, 9)).covers
    assert not receptive_field(Net(lambda x, n: n(x.permute(0, 2, 3, 1)), nn.LayerNorm(2)), (2, 8, 9)).context
    largest = Net(lambda x, c: c(minicnn.cat([x.mean(1, True), x.max(1, True)[0]], 1)), conv(2, 1, 7))
    assert receptive_field(largest, (4, 9, 9)).size == (7, 7)
    for tokens in (Tokens(True, lambda y: y + (y @ y.transpose(1, 2)).softmax(-1) @ y), Tokens(False, lambda y: y)):
        assert receptive_field(tokens, (1, 8, 8)).size == (2, 2)


def test_long_axes_are_an_upper_bound() -> None:
    """An operation along an axis that was joined from too many places sees all of it."""
    lazy = Net(lambda x, c: c(x.flatten(1).unflatten(1, (1, 400, 400))), conv(1, 1))
    assert receptive_field(lazy, (1, 400, 400)).box(2, 3) == Box(2, 3, 4, 5)
    along = receptive_field(Net(lambda x: x.flatten(1)[:, 5:]), (1, 400, 400))
    assert along.box(0, 0) == Box(0, 0, 399, 399)


def test_measured_fields_of_other_arrangements() -> None:
    minicnn.manual_seed(0)
    for net, size, cell in (
        (Net(lambda x, c, n: n(c(x).permute(0, 2, 3, 1)), conv(1, 4), nn.Linear(4, 4)), (1, 9, 8), (2, 3)),
        (Tokens(False), (1, 6, 8), (0, 5)),
        (Tokens(False, lambda y: y.transpose(0, 1)), (1, 6, 8), (0, 5)),
        (Net(in_windows, conv(1, 2, 3, 1, 1), nn.Linear(2, 2)), (1, 8, 12), (7, 1)),
        (Net(lambda x, c: c(x).mean(3), conv(1, 2)), (1, 8, 9), (0, 1)),
    ):
        found = empirical_receptive_field(net, size, cell=cell)
        assert found.box == receptive_field(net, size).box(*cell)
    with pytest.raises(ValueError, match=r"no cell \(0, 12\) in a map of \(1, 12\)"):
        empirical_receptive_field(Tokens(False), (1, 6, 8), cell=(0, 12))


def test_nets_that_return_nothing() -> None:
    for function in (receptive_field, properties):
        with pytest.raises(ShapeError, match="the net returned no tensor; its forward must compute the result"):
            function(Net(lambda x: None), (1, 4, 4))  # type: ignore[operator,return-value,arg-type]
        with pytest.raises(ShapeError, match=r"no output of the net depends on the input; it returned \(2, 3\); its"):
            function(Net(lambda x: minicnn.zeros(2, 3)), (1, 4, 4))  # type: ignore[operator]
