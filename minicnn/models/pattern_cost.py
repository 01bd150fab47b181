"""What the nets of a pattern cost: one of them, the budget, and the least that any of them can cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from minicnn_kernels.geometry import real, shown

from .. import nn
from ..autograd.modes import no_grad
from ..device import Device
from ..ops.tensor.creation import zeros
from .pattern import HIDDEN, Builder, conv_net
from .pattern_grammar import MOST_LAYERS, Group, Layer, Node, Parser, PatternError

Costs = tuple[int, int]  # parameters and multiply-accumulates


def cost(text: str, input_size: Sequence[int], num_classes: int = 10, **options: Any) -> Costs:
    """Parameters, and multiply-accumulates for one image without biases, of `conv_net(text, ...)`; takes no memory."""
    with Device("meta"):
        return _cost(conv_net(text, input_size, num_classes, **options), input_size)


def _cost(layers: Iterable[nn.Module], input_size: Sequence[int]) -> Costs:
    """Parameters and multiply-accumulates of layers on the meta device."""
    params = macs = 0
    with Device("meta"), no_grad():
        x = zeros(1, *input_size)
        for layer in layers:
            x = layer.eval()(x)
            params += sum(p.numel() for p in layer.parameters())
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                macs += x.numel() * layer.weight[0].numel()  # each output is a sum of that many products
    return params, macs


class Budget(NamedTuple):
    """The most that a net may cost; None for any."""

    macs: float | None
    params: float | None

    def allows(self, params: int, macs: int) -> bool:
        """Whether a net of this cost is within the budget."""
        return (self.macs is None or macs <= self.macs) and (self.params is None or params <= self.params)

    def __str__(self) -> str:
        parts = (self.macs, "multiply-accumulates"), (self.params, "parameters")
        return " and ".join(f"{limit:,.15g} {what}" for limit, what in parts if limit is not None)


def limit(name: str, value: Any) -> Any:
    """The most that a net may cost, after a check."""
    if value is not None and (isinstance(value, bool) or not real(value, "random_search", name) > 0):
        raise ValueError(f"random_search: {name} must be above 0, or None for any, got {shown(value)}")
    return value


def check_possible(
    least: Costs | None, budget: Budget, cheapest: tuple[Costs, str] | None, fault: PatternError | None
) -> None:
    """Raise an error if no net can be within the budget, or if the pattern gives none."""
    if least is None:
        raise ValueError(f"random_search: the pattern gives no net for this input; a text that was drawn:\n{fault}")
    if not budget.allows(*least):
        raise ValueError(
            f"random_search: no net of the pattern is within the budget of {budget}: each has at least {least[1]:,} "
            f"multiply-accumulates and {least[0]:,} parameters. {remedy(cheapest)}"
        )


def remedy(cheapest: tuple[Costs, str] | None) -> str:
    """What to do, after the cheapest net that was drawn."""
    drawn = ""
    if cheapest is not None:
        (params, macs), text = cheapest
        drawn = f"The cheapest that was drawn, {text}, has {macs:,} multiply-accumulates and {params:,} parameters. "
    return f"{drawn}Raise the budget, or give smaller counts, channels and hidden"


class Choices(NamedTuple):
    """What a net is drawn from: the least and largest value of each letter, and the sizes."""

    limits: dict[str, tuple[int, int]]
    kernels: Sequence[int]
    channels: Sequence[int]
    hidden: Sequence[int]


def ends(nodes: list[Node], i: int) -> bool:
    """Whether a layer is the last one of its part, or comes right before SOFTMAX."""
    return i + 1 == len(nodes) or getattr(nodes[i + 1], "name", "") == "SOFTMAX"


def conv_word(layer: Layer, kernel: Any, width: int | str) -> str:
    """The word of a convolution with these sizes."""
    size = f"{kernel[0]}x{kernel[1]}" if isinstance(kernel, tuple) else str(kernel)
    return f"CONV{size}-{width}" + "".join(f"{letter}{value}" for letter, value in layer.options.items())


State = tuple[tuple[int, ...], bool]  # the shape of one image; whether an FC or GAP gave it


class Least:
    """Finds the least that a net of a pattern costs, without drawing.

    From left to right it keeps, for each shape that can be there, the least of each cost that leads to it. That parts
    without counts and "?" are repeated as equals is left out, so the result can be below the cost of any net.
    """

    def __init__(self, nodes: list[Node], choices: Choices, num_classes: int, pooling: str) -> None:
        self.nodes, self.choices, self.classes, self.pooling = nodes, choices, num_classes, pooling
        self.grouped = _grouped(nodes)
        self.known: dict[tuple[State, str], tuple[State, Costs] | None] = {}
        self.repetitions = 0

    def cost(self, size: tuple[int, ...]) -> Costs | None:
        """The least parameters and the least multiply-accumulates; None if the pattern gives no net."""
        found = self.through(self.nodes, {(size, False): (0, 0)}).values()
        if self.repetitions > MOST_LAYERS:
            return 0, 0
        return (min(params for params, _ in found), min(macs for _, macs in found)) if found else None

    def through(self, nodes: list[Node], states: dict[State, Costs]) -> dict[State, Costs]:
        """The states after a list of parts."""
        for i, node in enumerate(nodes):
            states = self.group(node, states) if isinstance(node, Group) else self.layer(node, ends(nodes, i), states)
        return states

    def group(self, node: Group, states: dict[State, Costs]) -> dict[State, Costs]:
        """The states after any number of repetitions that can be drawn."""
        least, most = self.choices.limits[node.times] if isinstance(node.times, str) else (node.times, node.times)
        found = dict(states) if node.optional or least == 0 else {}
        for count in range(1, most + 1):
            self.repetitions += 1
            if self.repetitions > MOST_LAYERS:  # more than a net can have, and too many to follow
                break
            states = self.through(node.body, states)
            if count >= least:
                for state, cost in states.items():
                    _keep(found, state, cost)
        return found

    def layer(self, layer: Layer, last: bool, states: dict[State, Costs]) -> dict[State, Costs]:
        """The states after a layer, with each word that can be drawn for it."""
        found: dict[State, Costs] = {}
        for word in self.words(layer, last):
            for state, (params, macs) in states.items():
                if (state, word) not in self.known:
                    self.known[state, word] = self.step(state, word)
                if (step := self.known[state, word]) is not None:
                    after, (more_params, more_macs) = step
                    _keep(found, after, (params + more_params, macs + more_macs))
        return found

    def words(self, layer: Layer, last: bool) -> list[str]:
        """The words to look at, of all that can be drawn."""
        if layer.name == "CONV":
            kernels = [layer.kernel] if layer.kernel else self.choices.kernels
            widths = [layer.width] if layer.width else self.fewest(self.choices.channels)
            return [conv_word(layer, kernel, width) for kernel in kernels for width in widths]
        if layer.name == "FC" and layer.width is None:
            return [f"FC-{n}" for n in ((self.classes, HIDDEN) if last else self.fewest(self.choices.hidden))]
        return [layer.source]

    def fewest(self, sizes: Sequence[int]) -> list[int]:
        """The sizes that can lead to the least cost: the smallest one, and the number of classes, with which SOFTMAX
        needs no layer of its own; but any, if there are groups, which must divide them."""
        return [n for n in sizes if self.grouped or n in (min(sizes), self.classes)]

    def step(self, state: State, word: str) -> tuple[State, Costs] | None:
        """The state after a word, and what its layers cost; None if it does not fit."""
        (layer,) = Parser(word).parse()
        assert isinstance(layer, Layer)
        shape, given = state
        builder = Builder(word, shape, self.classes, 0, 0, self.pooling)
        try:
            builder.add(layer, layer._replace(name="FC") if given else None, None)
        except PatternError:
            return None
        with Device("meta"):
            costs = _cost([make() for make in builder.made.values()], shape)
        return (builder.shape, layer.name in ("FC", "GAP")), costs


def _keep(found: dict[State, Costs], state: State, cost: Costs) -> None:
    """Keep the least of each cost."""
    before = found.get(state, cost)
    found[state] = min(before[0], cost[0]), min(before[1], cost[1])


def _grouped(nodes: list[Node]) -> bool:
    """Whether a convolution has groups."""
    return any("g" in n.options if isinstance(n, Layer) else _grouped(n.body) for n in nodes)
