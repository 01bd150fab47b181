"""What one layer costs, from a run on shapes alone; the convention is that of `analysis/costs.py`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from ...nn import Module
from ..costs import flops, macs
from ..explanation import explained
from ..graph import Node
from ..trace import trace

BYTES = 4  # of a float32


class Cost(NamedTuple):
    """Of a layer, or of several: sums, and the output of the last one.

    Attributes:
        parameters: weights and biases.
        weights: parameters without biases, which have one axis.
        macs: multiply-accumulates for one image.
        flops: floating-point operations for one image.
        output: the shape for one image, without the batch axis.
    """

    parameters: int
    weights: int
    macs: int
    flops: int
    output: tuple[int, ...]

    @property
    def output_bytes(self) -> int:
        """Memory of the output of one image in float32."""
        return BYTES * math.prod(self.output)


def layer_costs(net: Module, size: Iterable[int]) -> dict[str, Cost]:
    """The cost of every layer and of every function between layers, by its name, in the order of the run.

    A layer that runs again has its parameters in the first run only.

    Args:
        net: the net; nothing is computed.
        size: the shape of one image, (C, H, W).

    Raises:
        ValueError: the net does not take such an image.
    """
    graph = trace(net, tuple(size), op="comparisons")
    if (error := explained(graph)) is not None:
        raise error
    seen: set[int] = set()
    return {node.name: _cost(node, graph.batch, seen) for node in graph.nodes}


def cost(net: Module, size: Iterable[int]) -> Cost:
    """The cost of a net, or of a part of one, for one image (C, H, W).

    >>> from minicnn.analysis.comparisons.costs import cost
    >>> found = cost(nn.Conv2d(3, 6, 5), (3, 32, 32))
    >>> found.parameters, found.macs, found.output
    (456, 352800, (6, 28, 28))
    """
    layers = list(layer_costs(net, size).values())
    return Cost(
        parameters=sum(layer.parameters for layer in layers),
        weights=sum(layer.weights for layer in layers),
        macs=sum(layer.macs for layer in layers),
        flops=sum(layer.flops for layer in layers),
        output=layers[-1].output,
    )


def _cost(node: Node, batch: int, seen: set[int]) -> Cost:
    own = [value for value in node.parameters if id(value) not in seen]
    seen.update(map(id, own))
    return Cost(
        parameters=sum(value.size for value in own),
        weights=sum(value.size for value in own if len(value.shape) > 1),
        macs=sum(macs(operation) for operation in node.operations) // batch,
        flops=sum(flops(operation) for operation in node.operations) // batch,
        output=node.output_shapes[-1][1:],
    )
