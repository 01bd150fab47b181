"""What all losses have in common: a function of `minicnn.ops.loss`, called with stored arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops.loss.reduction import check
from ..tensor import Tensor
from .module import Module


class _Loss(Module):
    """The base class: a function of the arguments of `forward` and of the attributes named in `__constants__`.

    Args:
        reduction: "mean", "sum" or "none"; checked when the loss is computed.
        size_average, reduce: the deprecated forms of `reduction`.
    """

    function: Callable[..., Tensor]
    __constants__: tuple[str, ...] = ("reduction",)
    reduction: str

    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean", **arguments: Any
    ) -> None:
        super().__init__()
        old = size_average is not None or reduce is not None
        self.reduction = check(type(self).__name__, reduction, size_average, reduce) if old else reduction
        for name, value in arguments.items():
            setattr(self, name, value)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return self._loss(input, target)

    def _loss(self, *inputs: Tensor) -> Tensor:
        return type(self).function(*inputs, **{name: getattr(self, name) for name in self.__constants__})


class _WeightedLoss(_Loss):
    """A loss with a buffer `weight`, or None."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        **arguments: Any,
    ) -> None:
        super().__init__(size_average, reduce, reduction, **arguments)
        self.register_buffer("weight", weight)
