"""Averaged stochastic gradient descent."""

from __future__ import annotations

from ..tensor import Array, Tensor
from .first_order import FirstOrder, Group, State, checked, count_step, filled, kept_rate, scalar, update_in_pieces
from .optimizer import Params

__all__ = ["ASGD"]


class ASGD(FirstOrder):
    """Gradient descent with a falling rate eta; it also computes a, the mean of the parameters from step t0 on:

        x <- (1 - lambd * eta) * x - eta * g
        a <- a + mu * (x - a)
        eta <- lr / (1 + lambd * lr * t)^alpha                   starts at lr
        mu <- 1 / max(1, t - t0)                                 starts at 1

    in step t = 1, 2, ... Here g is the gradient, negated if maximize, plus weight_decay * x. The mean is
    `state[p]["ax"]`; the caller may use it.

    B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 30, 1992,
    https://doi.org/10.1137/0330046

    Args:
        params: tensors or groups.
        lr, lambd, alpha, t0, weight_decay, maximize: as above; each group may have its own.
        foreach: without effect.
        differentiable: record the steps, so that gradients flow through them.
        capturable: not supported.

    Raises:
        ValueError: lr or weight_decay is negative.

    >>> x = nn.Parameter(minicnn.tensor([1.0]))
    >>> optimizer = minicnn.optim.ASGD([x], lr=0.1)
    >>> (x**2).sum().backward()
    >>> optimizer.step()
    >>> x.data
    tensor([0.8000])
    """

    counters = ("step", "eta", "mu")

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        options = checked(
            lr=lr, weight_decay=weight_decay, foreach=foreach, maximize=maximize, differentiable=differentiable,
            capturable=capturable,
        )  # fmt: skip
        super().__init__(params, {**options, "lambd": lambd, "alpha": alpha, "t0": t0})

    def initial_state(self, p: Tensor, group: Group) -> State:
        """No steps, the first rate, and the mean, which the first step sets to the parameter."""
        return {"step": scalar(0), "eta": scalar(float(kept_rate(group))), "mu": scalar(1), "ax": filled(p)}

    def update_one(self, group: Group, state: State, p: Tensor) -> None:
        """The update of the class docstring."""
        t, lr, lambd = count_step(state), kept_rate(group), group["lambd"]
        eta, mu = float(state["eta"]), float(state["mu"])
        state["eta"].array[...] = lr / (1 + lambd * lr * t) ** group["alpha"]
        state["mu"].array[...] = 1 / max(1, t - group["t0"])

        def update(x: Array, g: Array, a: Array) -> None:
            x *= 1 - lambd * eta
            x -= eta * g
            if mu == 1:
                a[...] = x
            else:
                a += mu * (x - a)

        update_in_pieces(update, group, p, state["ax"])
