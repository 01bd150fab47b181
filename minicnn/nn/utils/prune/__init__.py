"""Pruning: weights set to zero for good by a mask, w = m * v.

The parameter `weight` becomes `weight_orig` (v, which is trained), and the buffer `weight_mask` (m, zeros and ones) is
added. Before each forward the module computes `weight` from them, so a pruned weight gets no gradient.

    prune.l1_unstructured(layer, "weight", amount=0.3)    # 30 % of the weights: the smallest absolute values
    prune.remove(layer, "weight")                         # `weight` is a parameter again; its zeros stay

To prune a tensor again combines the masks: the methods are then in a `PruningContainer`.
S. Han et al., "Learning both weights and connections for efficient neural networks", 2015,
https://arxiv.org/abs/1506.02626.
"""

# ruff: noqa: F401 - programs look up the checks of amounts here

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from ....compat.missing import answer as _answer
from ....ops.tensor.concatenate import cat
from ....ops.tensor.zeros_like import ones_like
from ....tensor import Tensor
from ...module import Module
from .base import BasePruningMethod, PruningContainer, prunes
from .methods import (
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    RandomStructured,
    RandomUnstructured,
    _compute_norm,
    _compute_nparams_toprune,
    _validate_pruning_amount,
    _validate_pruning_amount_init,
    _validate_pruning_dim,
    _validate_structured_pruning,
)

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer",
    "RandomStructured", "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned",
    "l1_unstructured", "ln_structured", "random_structured", "random_unstructured", "remove",
]  # fmt: skip

M = TypeVar("M", bound=Module)


def identity(module: M, name: str) -> M:
    """Give a parameter the form of a pruned one, with a mask of ones, and return the module.

    >>> fc = nn.utils.prune.identity(nn.Linear(2, 3), "bias")
    >>> fc.bias_mask
    tensor([1., 1., 1.])
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: M, name: str, amount: int | float) -> M:
    """Prune entries of a parameter drawn at random: `amount` is a fraction of them, or their number.

    >>> fc = nn.utils.prune.random_unstructured(nn.Linear(5, 4), "weight", amount=0.3)
    >>> int((fc.weight == 0).sum())
    6
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: M, name: str, amount: int | float, importance_scores: Tensor | None = None) -> M:
    """Prune the entries of a parameter with the lowest absolute values: a fraction of them, or their number.

    Args:
        module: the module, which is changed and returned.
        name: the parameter.
        amount: a fraction in [0, 1] as a float, or a count as an int.
        importance_scores: rank by their absolute values instead, of the same shape.

    >>> fc = nn.Linear(4, 1)
    >>> fc.weight.data = minicnn.tensor([[3.0, -1.0, 2.0, 4.0]])
    >>> nn.utils.prune.l1_unstructured(fc, "weight", amount=0.5).weight_mask
    tensor([[1., 0., 0., 1.]])
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: M, name: str, amount: int | float, dim: int) -> M:
    """Prune slices of a parameter along `dim`, drawn at random: a fraction of them, or their number.

    >>> conv = nn.utils.prune.random_structured(nn.Conv2d(3, 8, 3), "weight", amount=2, dim=0)
    >>> int((conv.weight_mask.sum((1, 2, 3)) == 0).sum())  # output channels
    2
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: M, name: str, amount: int | float, n: Any, dim: int, importance_scores: Tensor | None = None
) -> M:
    """Prune the slices of a parameter along `dim` with the lowest n-norms.

    Args:
        module: the module, which is changed and returned.
        name: the parameter.
        amount: a fraction in [0, 1] of the slices as a float, or their number as an int.
        n: the norm: a number, `float("inf")`, `"fro"` or `"nuc"`.
        dim: the axis: 0 for output channels of a convolution.
        importance_scores: take the norms of these instead, of the same shape.

    >>> conv = nn.utils.prune.ln_structured(nn.Conv2d(3, 8, 3), "weight", amount=0.25, n=2, dim=0)
    >>> int((conv.weight_mask.sum((1, 2, 3)) == 0).sum())
    2
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: M, name: str, mask: Tensor) -> M:
    """Prune a parameter by a mask of its shape: 0 prunes an entry, 1 keeps it.

    >>> fc = nn.utils.prune.custom_from_mask(nn.Linear(2, 3), "bias", minicnn.tensor([0, 1, 0]))
    >>> fc.bias_mask
    tensor([0., 1., 0.])
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]], pruning_method: type[BasePruningMethod],
    importance_scores: Mapping[tuple[Module, str], Tensor] | None = None, **kwargs: Any,
) -> None:  # fmt: skip
    """Prune entries of several parameters together: the amount counts over all of them.

    Args:
        parameters: pairs of a module and the name of its parameter.
        pruning_method: an unstructured method, such as `L1Unstructured`.
        importance_scores: for some of these pairs, what to choose by, of the parameter's shape.
        kwargs: go to the method's constructor: `amount=`.

    >>> net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    >>> pairs = [(net[0], "weight"), (net[1], "weight")]
    >>> nn.utils.prune.global_unstructured(pairs, nn.utils.prune.L1Unstructured, amount=10)
    >>> sum(int((layer.weight == 0).sum()) for layer in net)
    10
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    pairs = list(parameters)
    given = {} if importance_scores is None else importance_scores
    if not isinstance(given, Mapping):
        raise TypeError("global_unstructured(): importance_scores is not a Mapping")
    scores = [given.get((module, name), getattr(module, name)) for module, name in pairs]
    masks = [getattr(module, f"{name}_mask", ones_like(getattr(module, name))) for module, name in pairs]
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    container.add_pruning_method(method)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. '
            f"Found method {pruning_method} of type {method.PRUNING_TYPE}"
        )
    final = container.compute_mask(
        cat([s.detach().reshape(-1) for s in scores]), cat([mask.reshape(-1) for mask in masks])
    )
    start = 0
    for (module, name), mask in zip(pairs, masks, strict=True):
        custom_from_mask(module, name, final[start : start + mask.numel()].reshape(mask.shape))
        start += mask.numel()


def remove(module: M, name: str) -> M:
    """Make a pruned tensor an ordinary parameter again, with its zeros, and return the module.

    >>> fc = nn.utils.prune.remove(nn.utils.prune.l1_unstructured(nn.Linear(2, 3), "weight", amount=2), "weight")
    >>> list(fc.state_dict()), int((fc.weight == 0).sum())
    (['bias', 'weight'], 2)
    """
    for number, hook in module._forward_pre_hooks.items():
        if prunes(hook, name):
            hook.remove(module)
            del module._forward_pre_hooks[number]
            return module
    raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")


def is_pruned(module: Module) -> bool:
    """Return whether a parameter of the module, or of a module inside it, is pruned.

    >>> fc = nn.Linear(2, 3)
    >>> nn.utils.prune.is_pruned(fc), nn.utils.prune.is_pruned(nn.utils.prune.identity(fc, "bias"))
    (False, True)
    """
    return any(
        isinstance(hook, BasePruningMethod) for each in module.modules() for hook in each._forward_pre_hooks.values()
    )


_answer(globals())
