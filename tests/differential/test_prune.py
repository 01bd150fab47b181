"""nn.utils.prune in both libraries."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import pytest
from differential.scenarios import Scenario, assert_same, double, filled

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
import_module("torch.nn.utils.prune")


def pruned(*calls: tuple[str, tuple[Any, ...]], removed: bool = False, name: str = "weight") -> Scenario:
    """A convolution that some functions prune, one after another."""

    def scenario(lib: Any) -> Any:
        prune, layer = lib.nn.utils.prune, filled(lib, lib.nn.Conv2d(3, 4, 2))
        for function, arguments in calls:
            assert getattr(prune, function)(layer, name, *arguments) is layer
        y = layer(double(lib, 1, 3, 4, 4))
        y.sum().backward()
        gradients = [p.grad for _, p in sorted(layer.named_parameters())]
        if removed:
            prune.remove(layer, name)
        hooks = [
            ([type(m).__name__ for m in hook] if hasattr(hook, "__len__") else type(hook).__name__)
            for hook in layer._forward_pre_hooks.values()
        ]
        return layer.state_dict(), y, gradients, repr(layer), hooks, prune.is_pruned(layer), getattr(layer, name)

    return scenario


def chosen(method: str, *arguments: Any, shape: tuple[int, ...] = (4, 5)) -> Scenario:
    """The mask of a method, after a mask that holds already, and the pruned tensor."""

    def scenario(lib: Any) -> Any:
        t, mask = double(lib, *shape), (double(lib, *shape, seed=1) > -0.5).double()
        one = getattr(lib.nn.utils.prune, method)(*arguments)
        return (
            one.compute_mask(t, mask),
            one.prune(t),
            one.prune(t, mask, importance_scores=double(lib, *shape, seed=2)),
        )

    return scenario


def together(lib: Any, kind: str = "L1Unstructured", amount: Any = 0.4, scores: bool = False) -> Any:
    prune, layers = lib.nn.utils.prune, [filled(lib, lib.nn.Linear(3, n), seed=n) for n in (2, 5)]
    prune.l1_unstructured(layers[0], "weight", 2)
    pairs = [(layer, name) for layer in layers for name in ("weight", "bias")]
    given = {pairs[2]: double(lib, 5, 3)} if scores else None
    prune.global_unstructured(pairs, getattr(prune, kind), importance_scores=given, amount=amount)
    return [layer.state_dict() for layer in layers]


def masked(lib: Any, *shape: int) -> Any:
    layer = filled(lib, lib.nn.Linear(3, 4))
    mask = (double(lib, *shape) > 0).int()
    return lib.nn.utils.prune.custom_from_mask(layer, "weight", mask).state_dict()


L1, LN = "l1_unstructured", "ln_structured"
SCENARIOS: dict[str, Scenario] = {
    "identity": pruned(("identity", ())),
    "bias": pruned((L1, (2,)), name="bias"),
    "twice": pruned((L1, (0.3,)), (L1, (5,))),
    "structured": pruned((LN, (0.5, 2, 0))),
    "mixed": pruned((L1, (0.3,)), (LN, (1, 1, -1)), (L1, (0.2,)), (LN, (1, 2, 1))),
    "removed": pruned((L1, (0.3,)), (LN, (1, math.inf, 1)), removed=True),
    "nothing": pruned((L1, (0,))),
    "everything": pruned((L1, (1.0,))),
    "too many": pruned((L1, (100,))),
    "fraction": pruned((L1, (1.2,))),
    "negative": pruned((L1, (-1,))),
    "text": pruned((L1, ("a",))),
    "one axis": pruned((LN, (1, 2, 0)), name="bias"),
    "no axis": pruned((LN, (1, 2, 4))),
    "no parameter": pruned((L1, (1,)), name="gain"),
    "L1Unstructured": chosen("L1Unstructured", 7),
    "L1Unstructured: a fraction": chosen("L1Unstructured", 0.33, shape=(3, 2, 4)),
    **{f"LnStructured: {n} {dim}": chosen("LnStructured", 2, n, dim) for n in (1, 2, 0.5, math.inf) for dim in (0, -1)},
    "Identity": chosen("Identity"),
    "together": together,
    "together: scores": lambda lib: together(lib, scores=True),
    "together: a number": lambda lib: together(lib, amount=20),
    "together: too many": lambda lib: together(lib, amount=200),
    "custom": lambda lib: masked(lib, 4, 3),
    "custom: no fit": lambda lib: lib.nn.utils.prune.remove(lib.nn.Linear(1, 1), "weight"),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_in_pytorch(name: str) -> None:
    assert_same(SCENARIOS[name], minicnn, torch)
