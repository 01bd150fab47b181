"""Which module made a node of the tape, if the run is over: told from the parameters that the nodes use.

A call of a module is one stretch of time. So an operation that ran between two operations of a module ran in that
module as well, provided that the module was called once:

    conv1  BN  ReLU  conv2  BN  Add          ReLU uses no parameter, but ran between two operations of layer1.0
    '----- layer1.0 ------'   ?              Add may be in layer1.0 or after it: only what is certain is said
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

from ..nn import Module
from .tape import Frame, Leaf, Operation

_LISTS = ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict")  # they are never called


def enclose(operations: Sequence[Operation], model: Module) -> None:
    """Give the operations of a run of `model` their frames; `operations` are in the order of the run.

    Each frame is true, but there may be more: an operation before the first parameter or after the last one is outside.
    """
    users: dict[Leaf, list[Operation]] = {}
    for operation in operations:
        for leaf in _parameters(operation):
            users.setdefault(leaf, []).append(operation)
    again = {_owner(leaf) for leaf, used in users.items() if len(used) > 1}
    own = [_common([_owner(leaf) for leaf in _parameters(operation)]) for operation in operations]
    before, after = _nearest(own), _nearest(own[::-1])[::-1]
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    calls: Counter[str] = Counter()
    open_: list[Frame] = []
    for i, operation in enumerate(operations):
        path = own[i]
        if path is None:
            ends = before[i], after[i]
            path = None if None in ends else _common([end for end in ends if end is not None])
            while path is not None and any(_inside(name, path) for name in again):
                path = path.rpartition(".")[0] if path else None  # called twice: the stretch may be of two calls
        names = [] if path is None else [n for n in _chain(path) if kinds.get(n, _LISTS[0]) not in _LISTS]
        shared = sum(1 for _ in takewhile(lambda pair: pair[0].name == pair[1], zip(open_, names, strict=False)))
        open_ = open_[:shared]
        for name in names[shared:]:
            open_.append(Frame(name, kinds[name], calls[name]))
            calls[name] += 1
        operation.frames = tuple(open_)


def _parameters(operation: Operation) -> list[Leaf]:
    """The named parameters among its inputs."""
    makers = [one.value.maker for one in operation.inputs]
    return [leaf for leaf in makers if isinstance(leaf, Leaf) and leaf.kind == "parameter" and leaf.name]


def _owner(leaf: Leaf) -> str:
    """The dotted name of the module that has a parameter."""
    return leaf.name.rpartition(".")[0]


def _chain(path: str) -> list[str]:
    """ "a.b" -> "", "a", "a.b": the modules around, from outside to inside."""
    parts = path.split(".") if path else []
    return ["", *(".".join(parts[: i + 1]) for i in range(len(parts)))]


def _common(paths: Sequence[str]) -> str | None:
    """The innermost module that all are in; None of none."""
    if not paths:
        return None
    chains = [_chain(path) for path in paths]
    same = takewhile(lambda names: len(set(names)) == 1, zip(*chains, strict=False))
    return [names[0] for names in same][-1]


def _inside(name: str, path: str) -> bool:
    return not path or name == path or name.startswith(path + ".")


def _nearest(own: Sequence[str | None]) -> list[str | None]:
    """For each place, the last known module before it."""
    found: list[str | None] = []
    last: str | None = None
    for path in own:
        found.append(last)
        last = last if path is None else path
    return found
