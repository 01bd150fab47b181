"""The data flow of a net: nodes, edges, shapes, and that the net stays as it was."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import minicnn
from minicnn import ShapeError, analysis, nn
from minicnn.analysis import Graph, trace
from minicnn.analysis.graph import is_layer
from minicnn.nn import functional as F
from minicnn.utils.checkpoint import checkpoint

Tensor = minicnn.Tensor


def flow(graph: Graph) -> dict[str, list[str]]:
    """For each node, where its inputs come from."""
    return {node.name: ["x" if s is None else s.name for s in node.sources] for node in graph.nodes}


class Block(nn.Module):
    """A residual block with all that a graph must see: in-place, a layer used twice, F.conv2d, split, cat."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.relu, self.drop, self.short = nn.ReLU(inplace=True), nn.Dropout(), nn.Identity()
        self.point = nn.Parameter(minicnn.zeros(channels, channels, 1, 1))

    def forward(self, x: Tensor) -> dict[str, Any]:
        y = self.drop(self.relu(self.bn(self.conv(x))))
        a, b = F.conv2d(y, self.point).chunk(2, 1)
        y = minicnn.cat([b, a], 1)
        y += self.short(x)
        return {"map": self.relu(y), "vector": (y.mean((2, 3)),)}


EXPECTED = {
    "0": ["x"],
    "1.conv": ["0"], "1.bn": ["1.conv"], "1.relu": ["1.bn"], "1.drop": ["1.relu"],
    "1.conv2d": ["1.drop"], "1.split": ["1.conv2d"], "1.cat": ["1.split", "1.split"],
    "1.short": ["0"], "1.add": ["1.cat", "1.short"],
    "1.relu (2)": ["1.add"], "1.mean": ["1.relu (2)"],
}  # fmt: skip


def test_nodes_and_edges() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), Block(8))
    graph = trace(net, (3, 16, 12))
    assert graph.error is None and flow(graph) == EXPECTED
    by_name = {node.name: node for node in graph.nodes}
    assert by_name["1.split"].output_shapes == [(2, 4, 14, 10)] * 2
    assert by_name["1.conv"].module is net[1].conv and by_name["1.conv2d"].module is None
    assert by_name["1.conv2d"].within == "1" and by_name["0"].within == ""
    assert [(p.name, p.tensor is net[1].point) for p in by_name["1.conv2d"].parameters] == [("1.point", True)]
    assert [v.shape for v in graph.outputs] == [(2, 8, 14, 10), (2, 8)]
    assert [e.source.name for e in graph.edges if e.target is None and e.source] == ["1.relu (2)", "1.mean"]
    assert [c.name for c in graph.root.calls][:4] == ["", "0", "1", "1.conv"]
    assert [c.earlier for c in graph.root.calls if c.name == "1.relu"] == [0, 1]


def test_the_run_on_numbers_gives_the_same_graph() -> None:
    """A net that reads numbers runs on zeros on its own device, also if it was first tried without."""

    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3), Block(8))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.body(x if x.sum().item() == 0 else x + 1)["map"]
            return y

    graph = trace(Reads(), (3, 16, 12))
    assert graph.error is None
    assert flow(graph) == {"sum": ["x"]} | {
        f"body.{k}": [v if v == "x" else f"body.{v}" for v in vs] for k, vs in EXPECTED.items()
    }


def test_the_net_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), Block(8))
    net[1].bn.eval()
    before = [(m, dict(vars(m))) for m in net.modules()]
    arrays = [t._array.copy() for t in net.state_dict().values()]
    for training in (False, True):
        trace(net, (3, 16, 12), training=training)
        trace(net, (4, 16, 12), training=training)  # raises inside
        for module, attributes in before:
            assert vars(module).keys() == attributes.keys()
            assert all(vars(module)[k] is v for k, v in attributes.items())
    assert all(np.array_equal(t._array, a) for t, a in zip(net.state_dict().values(), arrays, strict=True))


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


class TwoInputs(nn.Module):
    """Two inputs, a module called twice, a module in two places, a NamedTuple as result."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.again = nn.Sequential(self.linear, nn.Tanh())

    def forward(self, x: Tensor, y: Tensor) -> Pair:
        return Pair(self.linear(x) * self.linear(y), self.again(x.detach()))


def test_inputs_and_nested_results() -> None:
    graph = trace(TwoInputs(), [(4,), (4,)])
    assert flow(graph) == {
        "linear": ["x"], "linear (2)": ["x"], "mul": ["linear", "linear (2)"],
        "linear (3)": ["x"], "again.1": ["linear (3)"],
    }  # fmt: skip
    assert [n.inputs[0].name for n in graph.nodes[:2]] == ["input 0", "input 1"]
    assert graph.nodes[3].inputs[0] is graph.inputs[0]  # detached, the same values
    assert [v.producer.name for v in graph.outputs if v.producer] == ["mul", "tanh"]


def test_views_that_are_written() -> None:
    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            y[:, 0] = x[:, 1]
            part = y[:, 2:]
            part.add_(x[:, 2:])
            return y

    graph = trace(Writes(), (4, 3, 3))
    (result,) = graph.outputs
    assert result.producer is not None and result.producer.name == "overwritten"
    assert [v.producer.name for v in result.producer.inputs if v.producer] == ["setitem", "add"]


def test_a_checkpoint_and_a_users_function_are_seen_through() -> None:
    class Double(minicnn.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = checkpoint(self.conv, Double.apply(x), use_reentrant=False)
            return y.relu()

    assert flow(trace(Net(), (3, 6, 6))) == {"mul": ["x"], "conv": ["mul"], "relu": ["conv"]}


def test_fused_layers_are_seen_one_by_one() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Tanh(), nn.MaxPool2d(2))
    for training in (False, True):
        graph = trace(net, (1, 8, 8), training=training)
        assert [n.kind for n in graph.nodes] == ["Conv2d", "BatchNorm2d", "ReLU", "Tanh", "MaxPool2d"]


def test_an_error_ends_the_graph() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.ReLU(), nn.Linear(7, 2)), nn.ReLU())
    graph = trace(net, (3, 8, 8))
    assert isinstance(graph.error, ShapeError) and graph.failed is not None
    assert (graph.failed.name, graph.failed.inputs[0].shape) == ("1.1", (1, 8, 6, 6))
    assert [n.name for n in graph.nodes] == ["0", "1.0", "1.1"] and graph.outputs == ()


def test_blocks_as_nodes() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), Block(8))
    nodes = trace(net, (3, 16, 12)).grouped(lambda call: call.kind == "Block" or is_layer(call))
    assert [(n.name, n.kind, len(n.outputs)) for n in nodes] == [("0", "Conv2d", 1), ("1", "Block", 2)]


def test_nets_without_modules_or_parameters() -> None:
    class Plain(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.max_pool2d(F.pad(x, (1, 1)), 2).flatten(1)

    assert flow(trace(Plain(), (1, 4, 4))) == {"pad": ["x"], "max_pool2d": ["pad"], "reshape": ["max_pool2d"]}
    assert flow(trace(nn.Conv2d(1, 1, 3), (1, 4, 4))) == {"Conv2d": ["x"]}
    assert flow(trace(nn.Sequential(), (1, 4, 4))) == {"Sequential": ["x"]}


def test_weights_that_are_computed() -> None:
    net = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), nn.ReLU())
    graph = trace(net, (2, 5, 5))
    assert flow(graph) == {"0": ["x"], "1": ["0"]}
    assert {p.name.rpartition(".")[2] for p in graph.nodes[0].parameters} == {"original0", "original1", "bias"}


def test_other_threads_are_not_followed() -> None:
    from threading import Thread

    class Threads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            thread = Thread(target=lambda: nn.Sequential(nn.Tanh(), nn.Tanh())(minicnn.zeros(2)))
            thread.start()
            thread.join()
            y: Tensor = self.relu(x)
            return y

    assert list(flow(trace(Threads(), (4,)))) == ["relu"]


@pytest.mark.parametrize("names", [{}, {"__name__": None}])
def test_a_net_of_a_program_without_a_name(names: dict[str, Any]) -> None:
    """As in a notebook's grader: the class, or its functions, have no module."""
    code = """
from minicnn import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
    def forward(self, x):
        return self.conv(x).relu()
"""
    exec(code, names)
    net = names["Net"]()
    assert analysis.summary(net, (1, 5, 5), verbose=False).parameters == 20
    with pytest.raises(TypeError, match="Conv2d: input must be a Tensor, got int"):
        net(3)
