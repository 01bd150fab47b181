"""Looking ahead in the graph: which nodes must run for the gradients of some inputs, and which lead to a leaf."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from .engine import Array, Edge, Node


class Subgraph:
    """The nodes between some results and some inputs: those that must run for the gradients of these inputs alone.

    Attributes:
        runs: the nodes that must run.
        receives: where gradients are sent: these nodes, the nodes of the inputs, and the ids of inputs that are leaves.
        found: the gradients of the inputs that are not leaves.
    """

    def __init__(self, roots: Sequence[Edge], inputs: Sequence[Edge], run: bool) -> None:
        """Find the nodes; with `run`, the nodes of the inputs themselves run too, as PyTorch's backward does."""
        edges = [edge for edge in inputs if type(edge) is tuple]
        leaves = {id(edge) for edge in inputs if type(edge) is not tuple}
        nodes = {node for node, _ in edges}
        self.found: dict[tuple[Node, int], Array | None] = {} if run else dict.fromkeys(edges)
        self.runs: set[Node] = set(nodes) if run else set()
        least = 0 if leaves else min(node.number for node in nodes)  # nodes recorded earlier lead to no input
        reached = reachable([edge[0] for edge in roots if type(edge) is tuple], least)
        for node in sorted(reached, key=lambda node: node.number):
            for edge in node.inputs:
                if (edge[0] in self.runs or edge[0] in nodes) if type(edge) is tuple else id(edge) in leaves:
                    self.runs.add(node)
                    break
        self.receives: set[Any] = self.runs | nodes | leaves

    def leads_to(self, edge: Edge) -> bool:
        """Return whether the gradient along an edge is needed."""
        return (edge[0] if type(edge) is tuple else id(edge)) in self.receives

    def needs(self, node: Node) -> tuple[bool, ...]:
        """Return, for each input of a node, whether its gradient is needed."""
        return tuple([edge is not None and self.leads_to(edge) for edge in node.inputs])

    def keep(self, node: Node, ups: Sequence[Array | None]) -> None:
        """Store the gradients of a node's results that are gradients of inputs."""
        for index, up in enumerate(ups):
            if up is not None and (node, index) in self.found:
                self.found[node, index] = up


def last_nodes(nodes: Iterable[Node], subgraph: Subgraph | None) -> dict[int, int]:
    """Return, by id of each leaf, the number of the node that adds to its gradient last, seen from these nodes."""
    numbers: dict[int, int] = {}
    for node in reachable(nodes, 0, None if subgraph is None else subgraph.receives):
        for edge in node.inputs:
            if edge is not None and type(edge) is not tuple:
                numbers[id(edge)] = min(node.number, numbers.get(id(edge), node.number))
    return numbers


def reachable(nodes: Iterable[Node], least: int, among: Container[Node] | None = None) -> set[Node]:
    """Return the nodes that gradients from `nodes` pass through, down to the number `least`."""
    reached: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node.number >= least and node not in reached and (among is None or node in among):
            reached.add(node)
            waiting.extend([edge[0] for edge in node.inputs if type(edge) is tuple])
    return reached
