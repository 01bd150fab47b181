"""How to choose what is pruned: at random, by absolute values, by norms of slices, by a mask that is given."""

from __future__ import annotations

import numbers
from typing import Any

from ....ops.tensor.norm import norm
from ....ops.tensor.sampling import rand
from ....ops.tensor.sorting import topk
from ....ops.tensor.zeros_like import zeros_like
from ....tensor import Tensor
from .base import BasePruningMethod

__all__ = [
    "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "RandomStructured", "RandomUnstructured",
]  # fmt: skip


def _validate_pruning_amount_init(amount: Any) -> None:
    """Refuse an amount that fits no tensor: a fraction in [0, 1], or a count from 0, is wanted."""
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if (isinstance(amount, numbers.Integral) and int(amount) < 0) or (
        not isinstance(amount, numbers.Integral) and not 0 <= float(amount) <= 1
    ):
        raise ValueError(f"amount={amount!r} should either be a float in the range [0, 1] or a non-negative integer")


def _validate_pruning_amount(amount: Any, tensor_size: int) -> None:
    """Refuse a count above the number of things there are."""
    if isinstance(amount, numbers.Integral) and int(amount) > tensor_size:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={tensor_size}")


def _compute_nparams_toprune(amount: Any, tensor_size: int) -> int:
    """Return how many of `tensor_size` to prune: a fraction of them, or the count itself."""
    return int(amount) if isinstance(amount, numbers.Integral) else round(amount * tensor_size)


def _validate_structured_pruning(t: Tensor) -> None:
    """Refuse a tensor without channels."""
    if t.ndim <= 1:
        raise ValueError(
            f"Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
            f"{t.shape!r} with {t.ndim} dims"
        )


def _validate_pruning_dim(t: Tensor, dim: int) -> None:
    """Refuse an axis that the tensor does not have."""
    if not -t.ndim <= dim < t.ndim:
        raise IndexError(f"Invalid index {dim} for tensor of size {t.shape!r}")


def _compute_norm(t: Tensor, n: Any, dim: int) -> Tensor:
    """Return the n-norm of each slice along `dim`."""
    return norm(t, p=n, dim=[axis for axis in range(t.ndim) if axis != dim % t.ndim])


class Identity(BasePruningMethod):
    """A mask of ones: nothing is pruned yet, but the tensor has the form of a pruned one."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask unchanged."""
        return default_mask


class _Amount(BasePruningMethod):
    """A method with an amount: a fraction in [0, 1] as a float, or a count as an int."""

    def __init__(self, amount: int | float) -> None:
        _validate_pruning_amount_init(amount)
        self.amount = amount

    def _count(self, size: int) -> int:
        _validate_pruning_amount(self.amount, size)
        return _compute_nparams_toprune(self.amount, size)


class _Unstructured(_Amount):
    """Prune the entries with the lowest scores; the subclass has `scores`."""

    PRUNING_TYPE = "unstructured"

    def scores(self, t: Tensor) -> Tensor:
        """Return what the entries are ranked by."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask with zeros at the entries of the lowest scores; equal scores count one by one."""
        count = self._count(t.numel())
        mask = default_mask.clone()
        if count:
            lowest = topk(self.scores(t).reshape(-1), count, largest=False).indices
            flat = mask.reshape(-1)
            flat[lowest] = 0
            mask = flat.reshape(mask.shape)
        return mask


class RandomUnstructured(_Unstructured):
    """Prune entries drawn at random."""

    def scores(self, t: Tensor) -> Tensor:
        """Return random numbers."""
        return rand(t.shape, device=t.device)


class L1Unstructured(_Unstructured):
    """Prune the entries with the lowest absolute values."""

    def scores(self, t: Tensor) -> Tensor:
        """Return the absolute values."""
        return t.detach().abs()


class _Structured(_Amount):
    """Prune the slices along an axis with the lowest scores; the subclass has `scores`."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: int | float, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def scores(self, t: Tensor) -> Tensor:
        """Return what the slices are ranked by, one score for each."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask with zeros in the slices of the lowest scores."""
        _validate_structured_pruning(t)
        _validate_pruning_dim(t, self.dim)
        size = t.shape[self.dim]
        count = self._count(size)
        if not count:
            return default_mask
        kept = topk(self.scores(t), size - count, largest=True).indices
        chosen = zeros_like(t)
        chosen[tuple(kept if axis == self.dim % t.ndim else slice(None) for axis in range(t.ndim))] = 1
        return chosen * default_mask.to(chosen.dtype)


class RandomStructured(_Structured):
    """Prune slices along `dim` drawn at random, such as output channels with dim=0."""

    def scores(self, t: Tensor) -> Tensor:
        """Return random numbers."""
        return rand(t.shape[self.dim], device=t.device)


class LnStructured(_Structured):
    """Prune the slices along `dim` with the lowest n-norms, such as output channels with dim=0.

    Args:
        amount: a fraction of the slices, or their number.
        n: the norm: a number, `float("inf")`, `"fro"` or `"nuc"`.
        dim: the axis.
    """

    def __init__(self, amount: int | float, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def scores(self, t: Tensor) -> Tensor:
        """Return the norms."""
        return _compute_norm(t.detach(), self.n, self.dim)


class CustomFromMask(BasePruningMethod):
    """Prune by a mask that is given."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the product of both masks."""
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"the mask should have the shape of the tensor: {tuple(self.mask.shape)} is not "
                f"{tuple(default_mask.shape)}"
            )
        return default_mask * self.mask.to(default_mask.dtype)
