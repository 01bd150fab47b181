"""Adagrad."""

from __future__ import annotations

import numpy as np

from ..tensor import Array, Tensor
from .first_order import FirstOrder, Group, State, checked, count_step, filled, number, real, scalar, update_in_pieces
from .optimizer import Params

__all__ = ["Adagrad"]


class Adagrad(FirstOrder):
    """The gradient divided by the root of the sum of all its squares so far:

        s <- s + g^2                                             s starts at initial_accumulator_value
        x <- x - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    in step t = 1, 2, ... Here g is the gradient, negated if maximize, plus weight_decay * x.

    J. Duchi et al., "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 12, 2011,
    https://jmlr.org/papers/v12/duchi11a.html

    Args:
        params: tensors or groups.
        lr, lr_decay, weight_decay, initial_accumulator_value, eps, maximize: as above; each group may have its own.
        foreach, fused: PyTorch's choice of implementation; without effect.
        differentiable: record the steps, so that gradients flow through them.

    Raises:
        ValueError: an option is negative.

    >>> x = nn.Parameter(minicnn.tensor([1.0]))
    >>> optimizer = minicnn.optim.Adagrad([x], lr=0.1)
    >>> for step in range(3):  # steps of 0.1, 0.1 / sqrt(2), 0.1 / sqrt(3)
    ...     x.grad = minicnn.ones(1)
    ...     optimizer.step()
    >>> x.data
    tensor([0.7716])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = checked(
            lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, foreach=foreach, maximize=maximize,
            differentiable=differentiable, fused=fused,
        )  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p].update(self.initial_state(p, group))

    def initial_state(self, p: Tensor, group: Group) -> State:
        """The number of steps, 0, and the sum, which starts at the same value in all groups."""
        return {"step": scalar(0), "sum": filled(p, self.defaults["initial_accumulator_value"])}

    def update_one(self, group: Group, state: State, p: Tensor) -> None:
        """The update of the class docstring."""
        size = real(number(group["lr"]) / (1 + (count_step(state) - 1) * group["lr_decay"]))
        eps = group["eps"]

        def update(x: Array, g: Array, s: Array) -> None:
            s += g * g
            x -= size * g / (np.sqrt(s) + eps)

        update_in_pieces(update, group, p, state["sum"])
