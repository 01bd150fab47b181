"""A run on shapes: what it leaves in the net and in the program, which is nothing, and what it does not show."""

from __future__ import annotations

import types
from collections import deque
from typing import Any

import pytest

import minicnn
from minicnn import ShapeError, models, nn


class Keeps(nn.Module):
    """A net that keeps tensors of its runs, in attributes, containers and an object of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.unused = nn.Linear(4, 4), nn.Parameter(minicnn.zeros(7))
        self.cache: dict[int, Any] = {}
        self.seen: list[Any] = []
        self.inner = types.SimpleNamespace(last=None, pairs=[(deque(), {1})])

    def forward(self, x: Any) -> Any:
        n = x.shape[0]
        if n not in self.cache:
            self.cache[n] = minicnn.arange(n, device=x.device, dtype=x.dtype)[:, None]
        self.seen.append(x)
        self.inner.last = x
        self.inner.pairs[0][0].append(x)
        self.inner.pairs[0][1].add(n)
        return self.linear(x) + self.cache[n]


def test_what_a_net_keeps_of_its_runs_is_as_before() -> None:
    net = Keeps()
    net(minicnn.ones(3, 4))
    cache, seen = dict(net.cache), list(net.seen)
    found = minicnn.summary(net, (4,), verbose=0)
    assert net.cache == cache and net.seen == seen and net.inner.last is seen[0]
    assert net.inner.pairs == [(deque(seen), {1, 3})]
    assert tuple(net(minicnn.ones(2, 4)).shape) == (2, 4)
    assert found.unused == {"unused": 7} and "Not used in evaluation: unused (7 parameters)" in str(found)
    assert found.total_params == 27 == found.layers[0].parameters


def test_random_numbers_go_on_as_without_a_summary() -> None:
    class Draws(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * float(minicnn.randn_like(x).sum())

    minicnn.manual_seed(0)
    expected = minicnn.rand(2).tolist()
    minicnn.manual_seed(0)
    minicnn.summary(Draws(), (3,), verbose=0)
    assert minicnn.rand(2).tolist() == expected


def test_small_types_cost_what_others_do() -> None:
    for net, size in ((models.LeNet5(), (1, 32, 32)), (models.mlp(), (1, 28, 28)), (nn.Linear(4, 2), (3, 4))):
        expected = minicnn.summary(net, size, verbose=0)
        found = minicnn.summary(net.half(), size, verbose=0)
        assert (found.total_macs, found.total_flops) == (expected.total_macs, expected.total_flops)
        assert [layer.arithmetic for layer in found.layers] == [layer.arithmetic for layer in expected.layers]
        assert found.output_bytes * 2 == expected.output_bytes


def test_the_batch_of_the_run_is_nowhere() -> None:
    found = minicnn.summary(nn.Sequential(nn.Linear(4, 4)), (7, 4), verbose=0)
    assert found.layers[-1].arithmetic == "4 -> 4"
    with pytest.raises(ShapeError, match=r"the input \(1, 3, 32, 32\) has 3"):
        minicnn.summary(nn.Sequential(nn.Conv2d(4, 3, 3)), (3, 32, 32), verbose=0)
    with pytest.raises(ValueError, match="108 elements"):

        class Wrong(nn.Module):
            def forward(self, x: Any) -> Any:
                return x.view(x.shape[0], 5, -1)

        minicnn.summary(Wrong(), (3, 6, 6), verbose=0)
