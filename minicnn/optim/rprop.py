"""Rprop."""

from __future__ import annotations

import numpy as np

from ..tensor import Array, Tensor
from .first_order import FirstOrder, Group, State, checked, count_step, filled, kept_rate, scalar, update_in_pieces
from .optimizer import Params

__all__ = ["Rprop"]


class Rprop(FirstOrder):
    """Every element has its own step size s, and only the sign of its gradient is used:

        s <- s * eta_plus    where g has the same sign as in the step before
        s <- s * eta_minus   where it has the opposite sign; there g <- 0
        s <- min(max(s, smallest), largest)
        x <- x - s * sign(g)

    with (eta_minus, eta_plus) = etas, (smallest, largest) = step_sizes, and s starting at lr. It is meant for
    gradients of the whole training set: the noise of batches changes signs. A NaN has no sign: it changes neither its
    element nor the step size.

    M. Riedmiller, H. Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", ICNN
    1993, https://doi.org/10.1109/ICNN.1993.298623

    Args:
        params: tensors or groups.
        lr, etas, step_sizes: as above; each group may have its own.
        maximize: negate the gradient.
        foreach: without effect.
        differentiable: record the steps, so that gradients flow through them.
        capturable: not supported.

    Raises:
        ValueError: lr is negative, or 0 < eta_minus < 1 < eta_plus does not hold.

    >>> x = nn.Parameter(minicnn.tensor([1.0, 100.0]))
    >>> optimizer = minicnn.optim.Rprop([x], lr=0.1)
    >>> for step in range(2):  # steps of 0.1 and 0.12, whatever the size of the gradient
    ...     optimizer.zero_grad()
    ...     (x**2).sum().backward()
    ...     optimizer.step()
    >>> x.data
    tensor([ 0.7800, 99.7800])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = checked(
            lr=lr, etas=etas, step_sizes=step_sizes, foreach=foreach, maximize=maximize, differentiable=differentiable,
            capturable=capturable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def initial_state(self, p: Tensor, group: Group) -> State:
        """No steps, a previous gradient of 0, and step sizes of lr."""
        return {"step": scalar(0), "prev": filled(p), "step_size": filled(p, float(kept_rate(group)))}

    def update_one(self, group: Group, state: State, p: Tensor) -> None:
        """The update of the class docstring."""
        count_step(state)
        (shrink, grow), (smallest, largest) = group["etas"], group["step_sizes"]

        def update(x: Array, g: Array, before: Array, s: Array) -> None:
            agree = g * before
            s *= np.where(agree > 0, grow, np.where(agree < 0, shrink, 1))
            np.clip(s, smallest, largest, out=s)
            before[...] = np.where(agree < 0, 0, g)
            x -= s * np.where(np.isnan(before), 0, np.sign(before))

        update_in_pieces(update, group, p, state["prev"], state["step_size"])
