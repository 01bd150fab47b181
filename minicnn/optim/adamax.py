"""Adamax."""

from __future__ import annotations

import numpy as np

from ..tensor import Array, Tensor
from .first_order import FirstOrder, Group, State, checked, count_step, filled, number, real, scalar, update_in_pieces
from .optimizer import Params

__all__ = ["Adamax"]


class Adamax(FirstOrder):
    """Adam with the largest recent |g| in place of the mean square:

        m <- beta1 * m + (1 - beta1) * g
        u <- max(beta2 * u, |g| + eps)
        x <- x - lr * m / (1 - beta1^t) / u

    Here g is the gradient, negated if maximize, plus weight_decay * x.

    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7.1,
    https://arxiv.org/abs/1412.6980

    Args:
        params: tensors or groups.
        lr, betas, eps, weight_decay, maximize: as above; each group may have its own.
        foreach: without effect.
        differentiable: record the steps, so that gradients flow through them.
        capturable: not supported.

    Raises:
        ValueError: lr, eps or weight_decay is negative, or a beta is outside [0, 1).

    >>> x = nn.Parameter(minicnn.tensor([1.0, 100.0]))
    >>> optimizer = minicnn.optim.Adamax([x], lr=0.1)
    >>> (x**2).sum().backward()
    >>> optimizer.step()
    >>> x.data
    tensor([ 0.9000, 99.9000])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = checked(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=foreach, maximize=maximize,
            differentiable=differentiable, capturable=capturable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def initial_state(self, p: Tensor, group: Group) -> State:
        """The number of steps, the mean and the maximum, all 0."""
        return {"step": scalar(0), "exp_avg": filled(p), "exp_inf": filled(p)}

    def update_one(self, group: Group, state: State, p: Tensor) -> None:
        """The update of the class docstring."""
        t, (beta1, beta2), eps = count_step(state), group["betas"], group["eps"]
        size = real(number(group["lr"]) / (1 - beta1**t))

        def update(x: Array, g: Array, m: Array, u: Array) -> None:
            m += (1 - beta1) * (g - m)
            u *= beta2
            np.maximum(u, np.abs(g) + eps, out=u)
            x -= size * m / u

        update_in_pieces(update, group, p, state["exp_avg"], state["exp_inf"])
