"""Which parameters of a net are trained, and how fast: freezing, gradual unfreezing, a learning rate for each part.

Parameters are named by patterns: the dotted name of a layer or of a part of the net means all parameters inside it, and
`*`, `?` and `[...]` stand for other letters, as in file names: "features", "layer[12]", "*.bias".

J. Howard, S. Ruder, "Universal language model fine-tuning for text classification", 2018 (gradual unfreezing and
discriminative rates), https://arxiv.org/abs/1801.06146
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from minicnn_kernels.geometry import whole

from ..nn import Conv1d, Conv2d, Linear, Module, ModuleDict, ModuleList, Sequential
from ..nn.batchnorm import _NormBase
from ..nn.module import check_module
from ..nn.parameter import Parameter

Patterns = str | Iterable[str] | None
_LEARNED = (Conv1d, Conv2d, Linear)


def freeze(model: Module, patterns: Patterns = None, *, statistics: bool = True) -> list[str]:
    """Stop training some parameters: their `requires_grad` becomes False, and their gradients are removed.

    A frozen batch normalisation also stays in evaluation mode when the net is in training mode, until `unfreeze`.
    Otherwise its running mean and variance would follow the new images, and the frozen part would change.

    Args:
        model: the net.
        patterns: which parameters, see this file; None: all.
        statistics: whether frozen normalisations keep their running statistics.

    Returns:
        The names of the frozen parameters.

    Raises:
        ValueError: a pattern fits no parameter.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    >>> minicnn.train.freeze(net, ["0", "1"])
    ['0.weight', '0.bias', '1.weight', '1.bias']
    >>> net.train()[1].training, net[3].training
    (False, True)
    """
    wanted = _listed("freeze", patterns)
    found = _matching("freeze", model, wanted)
    for parameter in found.values():
        parameter.requires_grad_(False)
        parameter.grad = None  # an optimiser would go on with it
    if statistics:
        for norm in _norms(model, found, wanted):
            norm.keeps_statistics = True
            norm.eval()
    return list(found)


def unfreeze(model: Module, patterns: Patterns = None) -> list[str]:
    """Train some parameters again; normalisations among them get the mode of the net, and new statistics in training.

    Args:
        model: the net.
        patterns: which parameters, see this file; None: all.

    Returns:
        The names of the parameters.

    Raises:
        ValueError: a pattern fits no parameter.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)).requires_grad_(False)
    >>> minicnn.train.unfreeze(net, "1"), net[0].weight.requires_grad
    (['1.weight', '1.bias'], False)
    """
    wanted = _listed("unfreeze", patterns)
    found = _matching("unfreeze", model, wanted)
    for parameter in found.values():
        parameter.requires_grad_(True)
    for norm in _norms(model, found, wanted):
        if norm.keeps_statistics:
            norm.keeps_statistics = False
            norm.train(model.training)
    return list(found)


def net_parts(model: Module) -> list[list[str]]:
    """The parts of a net from input to output: names of layers and blocks, with what follows without weights to learn.

    A part is a convolution, a linear layer or a block, with the normalisations and scales after it. `Sequential` and
    lists are opened; other modules, such as residual blocks, are one part. The order is that in which the net registers
    them, which is the order of the forward pass in most nets. A net that is one layer is the part "".

    Raises:
        ValueError: the net has no parameters.

    >>> minicnn.train.net_parts(minicnn.models.resnet18(num_classes=2))[:2]
    [['conv1', 'bn1'], ['layer1.0']]
    """
    check_module("net_parts", model)
    parts: list[list[str]] = []
    for name, module in _blocks(model, ""):
        if not parts or any(isinstance(inner, _LEARNED) for inner in module.modules()):
            parts.append([])
        parts[-1].append(name)
    if next(model.parameters(), None) is None:
        raise ValueError(f"net_parts: the {type(model).__name__} has no parameters")
    return parts or [[""]]


def rates_by_depth(model: Module, factors: Sequence[float] = (0.01, 0.1, 1.0)) -> dict[str, float]:
    """Factors of the learning rate from input to output: the last is that of the head, its last part.

    The other parts are divided evenly among the other factors, in their order. The default is a common rule for
    fine-tuning: the full rate for a new head, a tenth for the upper layers, and a hundredth for those below.

    Args:
        model: the net.
        factors: from the input to the head, at least one.

    Returns:
        Names and factors, for `parameter_groups`.

    Raises:
        ValueError: there are no factors, or one is not above 0.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    >>> minicnn.train.rates_by_depth(net)
    {'0': 0.01, '1': 0.01, '2': 0.1, '3': 0.1, '4': 1.0}
    """
    factors = [_factor("rates_by_depth", "a factor", factor) for factor in factors]
    if not factors:
        raise ValueError("rates_by_depth: there are no factors; give one for each depth, such as (0.01, 0.1, 1)")
    *body, head = net_parts(model)
    below = factors[:-1] or factors
    rates = {}
    for place, part in enumerate(body):
        for name in part:
            rates[name] = below[place * len(below) // len(body)]
    return rates | dict.fromkeys(head, factors[-1])


def parameter_groups(
    model: Module, lr: float, rates: Mapping[str, float] | None = None, *, weight_decay: float | None = None,
    decay: str = "all",
) -> list[dict[str, Any]]:  # fmt: skip
    """Groups for an optimiser: each parameter's learning rate is `lr` times the factor of the first pattern that fits.

    All parameters are in a group, the frozen ones too: an optimiser leaves them alone as long as they have no gradient,
    and after `unfreeze` they are trained.

    Args:
        model: the net.
        lr: the full learning rate.
        rates: pattern -> factor, see this file and `rates_by_depth`; what no pattern fits has the factor 1.
        weight_decay: of the optimiser; None: what the optimiser has.
        decay: "weights": parameters of one dimension (biases, and the scales of normalisations) have no weight decay.

    Raises:
        ValueError: a pattern fits no parameter, a factor or `lr` is not above 0, or `decay` is another word.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    >>> groups = minicnn.train.parameter_groups(net, 0.5, {"0": 0.01, "*": 0.1, "2": 1.0})  # "2" comes too late
    >>> [(len(group["params"]), group["lr"]) for group in minicnn.optim.SGD(groups).param_groups]
    [(2, 0.005), (4, 0.05)]
    """
    op = "parameter_groups"
    lr = _factor(op, "lr", lr)
    if decay not in ("all", "weights"):
        raise ValueError(f"{op}: decay must be 'all' or 'weights', got {decay!r}")
    factors: dict[str, float] = {}
    for pattern, factor in (rates or {}).items():
        factor = _factor(op, f"the factor of {pattern!r}", factor)
        for name in _matching(op, model, pattern):
            factors.setdefault(name, factor)
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        factor, bare = factors.get(name, 1.0), decay == "weights" and parameter.ndim <= 1
        group = groups.setdefault((factor, bare), {"params": [], "lr": lr * factor})
        group["params"].append(parameter)
        if bare or weight_decay is not None:
            group["weight_decay"] = 0.0 if bare else float(weight_decay or 0.0)
    return list(groups.values())


class GradualUnfreezing:
    """Unfreezes a net from its head down to its input, a part after each `every` epochs.

    At once, all but the head is frozen. The optimiser must have all parameters, as from `parameter_groups`.

    Args:
        model: the net.
        every: after how many calls of `step` the next part is unfrozen.
        parts: patterns or lists of patterns, from input to output, the head last; None: `net_parts`.
        statistics: whether frozen normalisations keep their running statistics.

    Attributes:
        frozen: how many parts are frozen.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    >>> thaw = minicnn.train.GradualUnfreezing(net)
    >>> for epoch in range(3):
    ...     print([layer.weight.requires_grad for layer in net])  # an epoch of training
    ...     thaw.step()
    [False, False, True]
    [False, True, True]
    [True, True, True]
    """

    def __init__(
        self, model: Module, every: int = 1, parts: Sequence[Patterns] | None = None, *, statistics: bool = True
    ) -> None:
        self.every = whole(every, "GradualUnfreezing", "every", 1)
        self.parts = [_listed("GradualUnfreezing", part) for part in (net_parts(model) if parts is None else parts)]
        if not self.parts:
            raise ValueError("GradualUnfreezing: there are no parts; give lists of patterns, from input to output")
        for part in self.parts:
            _matching("GradualUnfreezing", model, part)  # before anything is frozen
        self.model, self.steps, self.statistics = model, 0, statistics
        for part in self.parts[:-1]:
            freeze(model, part, statistics=statistics)
        unfreeze(model, self.parts[-1])

    @property
    def frozen(self) -> int:
        """How many parts are frozen."""
        return max(0, len(self.parts) - 1 - self.steps // self.every)

    def step(self) -> None:
        """Call it after each epoch."""
        before = self.frozen
        self.steps += 1
        self._change(before)

    def _change(self, before: int) -> None:
        """Freeze or unfreeze the parts that are so now, and were not when `before` parts were frozen."""
        for part in self.parts[self.frozen : before]:
            unfreeze(self.model, part)
        for part in self.parts[before : self.frozen]:
            freeze(self.model, part, statistics=self.statistics)

    def state_dict(self) -> dict[str, int]:
        """The calls of `step` so far."""
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a state, forwards or back: the parts of the net are frozen or unfrozen as after that many calls.

        Raises:
            ValueError: it is no state of `state_dict`.
        """
        if set(state) != {"steps"}:
            raise ValueError(f"GradualUnfreezing: expected a state with the entry steps, got {state!r}")
        before, self.steps = self.frozen, whole(state["steps"], "GradualUnfreezing", "steps", 0)
        self._change(before)


def _factor(op: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{op}: {name} must be a number above 0, got {value!r}; to train not at all, use freeze")
    return float(value)


def _fits(name: str, pattern: str) -> bool:
    """Whether a pattern names a parameter or module, or something that it is in."""
    return pattern == "" or fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _listed(op: str, patterns: Patterns) -> list[str]:
    found = [""] if patterns is None else [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(found, Iterable) or isinstance(found, Module):
        raise TypeError(f"{op}: give patterns, such as 'features' or ['features', '*.bias'], not {patterns!r}")
    return list(found)


def _matching(op: str, model: Module, patterns: Patterns) -> dict[str, Parameter]:
    """The parameters that patterns fit, in the order of the net, by name; a shared one by its first."""
    check_module(op, model)
    named, buffers = dict(model.named_parameters()), [name for name, _ in model.named_buffers()]
    every = list(model.named_parameters(remove_duplicate=False))  # a shared parameter has several names
    wanted = _listed(op, patterns)
    for pattern in wanted:
        if not isinstance(pattern, str):
            raise TypeError(f"{op}: a pattern must be a name such as 'features' or '*.bias', got {pattern!r}")
        if not any(_fits(name, pattern) for name in (*dict(every), *buffers)):
            begins = list(dict.fromkeys(name.partition(".")[0] for name in named))
            raise ValueError(
                f"{op}: {pattern!r} fits no parameter of the {type(model).__name__}; their names begin with "
                f"{', '.join(begins) or 'nothing, as there are none'}"
            )
    meant = {id(one) for name, one in every if any(_fits(name, pattern) for pattern in wanted)}
    return {name: one for name, one in named.items() if id(one) in meant}


def _norms(model: Module, parameters: Mapping[str, Parameter], patterns: Sequence[str]) -> Iterator[_NormBase]:
    """The normalisations with running statistics all of whose parameters are meant, or that are meant themselves."""
    meant = {id(parameter) for parameter in parameters.values()}
    for name, module in model.named_modules():
        if isinstance(module, _NormBase) and module.track_running_stats:
            own = list(module.parameters())
            if all(id(one) in meant for one in own) if own else any(_fits(name, p) for p in patterns):
                yield module


def _blocks(module: Module, name: str) -> Iterator[tuple[str, Module]]:
    """The children with parameters or statistics, by name; those inside if a child is a container, or the only one."""
    children = [(child_name, child) for child_name, child in module.named_children() if _has_state(child)]
    for child_name, child in children:
        full = f"{name}.{child_name}" if name else child_name
        alone = len(children) == 1 and any(_has_state(inner) for inner in child.children())
        if type(child) in (Sequential, ModuleList, ModuleDict) or alone:
            yield from _blocks(child, full)
        else:
            yield full, child


def _has_state(module: Module) -> bool:
    """Whether there are parameters or statistics, in the module or inside."""
    return next(module.parameters(), None) is not None or next(module.buffers(), None) is not None
