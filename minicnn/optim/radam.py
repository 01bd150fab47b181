"""RAdam."""

from __future__ import annotations

import numpy as np

from ..tensor import Array, Tensor
from .first_order import FirstOrder, Group, State, checked, count_step, filled, number, real, scalar, update_in_pieces
from .optimizer import Params

__all__ = ["RAdam"]


class RAdam(FirstOrder):
    """Adam without the division by the root, as long as the mean of the squares comes from too few steps:

        m <- beta1 * m + (1 - beta1) * g
        v <- beta2 * v + (1 - beta2) * g^2
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2^t / (1 - beta2^t)          about the number of steps that v is a mean of
        d <- m / (1 - beta1^t)
        if rho > 5:
            r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
            d <- d * r / ((sqrt(v) + eps) / sqrt(1 - beta2^t))
        x <- x - lr * d

    Here g is the gradient, negated if maximize, plus weight_decay * x; with decoupled_weight_decay, g has no such
    term, and x is first multiplied by 1 - lr * weight_decay.

    L. Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020,
    https://arxiv.org/abs/1908.03265

    Args:
        params: tensors or groups.
        lr, betas, eps, weight_decay, decoupled_weight_decay, maximize: as above.
        foreach: without effect.
        differentiable: record the steps, so that gradients flow through them.
        capturable: not supported.

    Raises:
        ValueError: an option is negative, or a beta is outside [0, 1).

    >>> x = nn.Parameter(minicnn.tensor([1.0]))
    >>> optimizer = minicnn.optim.RAdam([x], lr=0.1)
    >>> (x**2).sum().backward()  # the gradient is 2: in the first steps there is no division
    >>> optimizer.step()
    >>> x.data
    tensor([0.8000])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = checked(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize, foreach=foreach,
            capturable=capturable, decoupled_weight_decay=decoupled_weight_decay, differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def initial_state(self, p: Tensor, group: Group) -> State:
        """The number of steps and the means, all 0."""
        return {"step": scalar(0), "exp_avg": filled(p), "exp_avg_sq": filled(p)}

    def update_one(self, group: Group, state: State, p: Tensor) -> None:
        """The update of the class docstring."""
        t, (beta1, beta2), eps = count_step(state), group["betas"], group["eps"]
        correction = 1 - beta2**t
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * t * beta2**t / correction
        size = real(number(group["lr"])) / (1 - beta1**t)
        if rectified := length > 5:
            size *= ((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) ** 0.5
            size *= correction**0.5

        def update(x: Array, g: Array, m: Array, v: Array) -> None:
            m += (1 - beta1) * (g - m)
            v *= beta2
            v += (1 - beta2) * g * g
            d = size * m
            if rectified:
                d /= np.sqrt(v) + eps
            x -= d

        update_in_pieces(update, group, p, state["exp_avg"], state["exp_avg_sq"])
