"""Adadelta."""

from __future__ import annotations

import numpy as np

from ..tensor import Array, Tensor
from .first_order import FirstOrder, Group, State, checked, count_step, filled, number, real, scalar, update_in_pieces
from .optimizer import Params

__all__ = ["Adadelta"]


class Adadelta(FirstOrder):
    """The gradient scaled to the size of the recent updates:

        v <- rho * v + (1 - rho) * g^2
        d <- g * sqrt(u + eps) / sqrt(v + eps)
        u <- rho * u + (1 - rho) * d^2
        x <- x - lr * d

    Here g is the gradient, negated if maximize, plus weight_decay * x.

    M. Zeiler, "ADADELTA: an adaptive learning rate method", 2012, https://arxiv.org/abs/1212.5701

    Args:
        params: tensors or groups.
        lr, rho, eps, weight_decay, maximize: as above; each group may have its own.
        foreach: without effect.
        differentiable: record the steps, so that gradients flow through them.
        capturable: not supported.

    Raises:
        ValueError: an option is negative, or rho is above 1.

    >>> x = nn.Parameter(minicnn.tensor([1.0]))
    >>> optimizer = minicnn.optim.Adadelta([x], lr=1.0)
    >>> (x**2).sum().backward()
    >>> optimizer.step()
    >>> x.data
    tensor([0.9968])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not 0 <= rho <= 1:
            raise ValueError(f"Invalid rho value: {rho}")
        defaults = checked(
            lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize, capturable=capturable,
            foreach=foreach, differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def initial_state(self, p: Tensor, group: Group) -> State:
        """The number of steps and the two means, all 0."""
        return {"step": scalar(0), "square_avg": filled(p), "acc_delta": filled(p)}

    def update_one(self, group: Group, state: State, p: Tensor) -> None:
        """The update of the class docstring."""
        count_step(state)
        lr, rho, eps = real(number(group["lr"])), group["rho"], group["eps"]

        def update(x: Array, g: Array, v: Array, u: Array) -> None:
            v *= rho
            v += (1 - rho) * g * g
            d = np.sqrt(u + eps)
            d /= np.sqrt(v + eps)
            d *= g
            u *= rho
            u += (1 - rho) * d * d
            x -= lr * d

        update_in_pieces(update, group, p, state["square_avg"], state["acc_delta"])
