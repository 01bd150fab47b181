"""NAdam."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.tensor.recorded import Recorded
from ..tensor import Array, Tensor
from .first_order import (
    FirstOrder,
    Group,
    State,
    checked,
    count_step,
    filled,
    is_recorded,
    number,
    real,
    scalar,
    update_in_pieces,
)
from .optimizer import Params

__all__ = ["NAdam"]


class NAdam(FirstOrder):
    """Adam with Nesterov momentum, whose weight mu grows from beta1 / 2 to beta1:

        mu_t <- beta1 * (1 - 0.96^(t * momentum_decay) / 2)
        m <- beta1 * m + (1 - beta1) * g
        v <- beta2 * v + (1 - beta2) * g^2
        d <- mu_{t+1} * m / (1 - mu_1 ... mu_{t+1}) + (1 - mu_t) * g / (1 - mu_1 ... mu_t)
        x <- x - lr * d / (sqrt(v / (1 - beta2^t)) + eps)

    Here g is the gradient, negated if maximize, plus weight_decay * x; with decoupled_weight_decay, g has no such
    term, and x is first multiplied by 1 - lr * weight_decay.

    T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016,
    https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ

    Args:
        params: tensors or groups.
        lr, betas, eps, weight_decay, momentum_decay, decoupled_weight_decay, maximize: as above.
        foreach: without effect.
        differentiable: record the steps, so that gradients flow through them.
        capturable: not supported.

    Raises:
        ValueError: an option is negative, or a beta is outside [0, 1).

    >>> x = nn.Parameter(minicnn.tensor([1.0]))
    >>> optimizer = minicnn.optim.NAdam([x], lr=0.1)
    >>> (x**2).sum().backward()
    >>> optimizer.step()
    >>> x.data
    tensor([0.8944])
    """

    counters = ("step", "mu_product")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = checked(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize, foreach=foreach, capturable=capturable,
            differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def initial_state(self, p: Tensor, group: Group) -> State:
        """No steps, the empty product of mu, which is 1, and means of 0."""
        return {"step": scalar(0), "mu_product": scalar(1), "exp_avg": filled(p), "exp_avg_sq": filled(p)}

    def update_one(self, group: Group, state: State, p: Tensor) -> None:
        """The update of the class docstring."""
        t, (beta1, beta2), eps, lr = count_step(state), group["betas"], group["eps"], number(group["lr"])
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (n * group["momentum_decay"])) for n in (t, t + 1))
        if is_recorded(group):
            product: Any = Recorded(state["mu_product"]) * mu
            state["mu_product"] = product.tensor
        else:
            state["mu_product"].array[...] *= mu  # in the type of the state, which is the default type
            product = state["mu_product"].item()
        of_g = real(lr * (1 - mu) / (1 - product))
        of_m = real(lr * mu_next / (1 - product * mu_next))
        correction = 1 - beta2**t

        def update(x: Array, g: Array, m: Array, v: Array) -> None:
            m += (1 - beta1) * (g - m)
            v *= beta2
            v += (1 - beta2) * g * g
            d = np.sqrt(v / correction)
            d += eps
            x -= of_g * g / d
            x -= of_m * m / d

        update_in_pieces(update, group, p, state["exp_avg"], state["exp_avg_sq"])
