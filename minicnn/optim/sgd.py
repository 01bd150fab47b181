"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from ..tensor import Array, Tensor
from . import compiled
from .elementwise import Group, State, checked, filled, number
from .optimizer import Params
from .together import Loop, Together

__all__ = ["SGD"]


class SGD(Together):
    """x <- x - lr * d, with momentum and weight decay, in PyTorch's order:

        g <- gradient (negated if maximize) + weight_decay * x
        b <- momentum * b + (1 - dampening) * g          the first time b <- g
        d <- g + momentum * b if nesterov else b         d = g without momentum

    I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013,
    https://proceedings.mlr.press/v28/sutskever13.html

    Args:
        params: tensors or groups.
        lr, momentum, dampening, weight_decay, nesterov, maximize: as above; each group may have its own.
        foreach, fused: PyTorch's choice of implementation; without effect.
        differentiable: not supported.

    Raises:
        ValueError: a negative lr, momentum or weight_decay; Nesterov without momentum or with dampening.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = checked(
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
            maximize=maximize, foreach=foreach, differentiable=differentiable, fused=fused,
        )  # fmt: skip
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, defaults)

    def turn(self, group: Group, state: State, p: Tensor) -> float:
        """The part of the gradient that is added to b."""
        if group["momentum"] != 0 and state.get("momentum_buffer") is None:
            state["momentum_buffer"] = filled(p)  # zeros, so that adding all of g makes the first b the gradient
            return 1.0
        return float(1 - group["dampening"])

    def loop(self, group: Group, turn: float) -> Loop:
        """The update of the class docstring."""
        lr, momentum, nesterov = float(number(group["lr"])), float(group["momentum"]), bool(group["nesterov"])
        gain = turn

        def rule(x: Array, g: Array, *buffers: Any) -> None:
            for b in buffers:  # the momentum, if there is one
                b *= momentum
                b += gain * g
                g = g + momentum * b if nesterov else b
            x -= lr * g

        numbers = lr, -1.0 if group["maximize"] else 1.0, float(number(group["weight_decay"]))
        if momentum == 0:
            return Loop(rule, (), compiled.DESCEND, numbers)
        return Loop(rule, ("momentum_buffer",), compiled.MOMENTUM, (*numbers, momentum, gain, nesterov))
