"""RMSprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Array, Tensor
from .first_order import FirstOrder, Group, State, checked, count_step, filled, number, real, scalar, update_in_pieces
from .optimizer import Params

__all__ = ["RMSprop"]


class RMSprop(FirstOrder):
    """The gradient divided by its running root mean square, or by its running standard deviation if centered:

        v <- alpha * v + (1 - alpha) * g^2
        a <- alpha * a + (1 - alpha) * g                 if centered, else a = 0
        d <- g / (sqrt(v - a^2) + eps)
        b <- momentum * b + d                            b = d without momentum
        x <- x - lr * b

    Here g is the gradient, negated if maximize, plus weight_decay * x.

    G. Hinton, "Neural networks for machine learning", lecture 6,
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf; centered: A. Graves, "Generating sequences
    with recurrent neural networks", 2013, https://arxiv.org/abs/1308.0850

    Args:
        params: tensors or groups.
        lr, alpha, eps, weight_decay, momentum, centered, maximize: as above; each group may have its own.
        foreach: without effect.
        differentiable: record the steps, so that gradients flow through them.
        capturable: not supported.

    Raises:
        ValueError: an option is negative.

    >>> x = nn.Parameter(minicnn.tensor([1.0]))
    >>> optimizer = minicnn.optim.RMSprop([x], lr=0.1, alpha=0.75)
    >>> x.grad = minicnn.tensor([8.0])
    >>> optimizer.step()  # v = 0.25 * 64, so the step is 0.1 * 8 / 4
    >>> x.data
    tensor([0.8000])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = checked(
            lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered, weight_decay=weight_decay,
            capturable=capturable, foreach=foreach, maximize=maximize, differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def _buffers(group: Group) -> tuple[str, ...]:
        extra = [name for name, used in (("momentum_buffer", group["momentum"] > 0), ("grad_avg", group["centered"]))
                 if used]  # fmt: skip
        return ("square_avg", *extra)

    def initial_state(self, p: Tensor, group: Group) -> State:
        """The number of steps and the means, all 0."""
        return {"step": scalar(0), **{name: filled(p) for name in self._buffers(group)}}

    def update_one(self, group: Group, state: State, p: Tensor) -> None:
        """The update of the class docstring."""
        count_step(state)
        lr, alpha, eps, momentum = real(number(group["lr"])), group["alpha"], group["eps"], group["momentum"]
        centered = group["centered"]

        def update(x: Array, g: Array, v: Array, *others: Any) -> None:
            v *= alpha
            v += (1 - alpha) * g * g
            if centered:
                a = others[-1]
                a += (1 - alpha) * (g - a)
                v = v - np.minimum(
                    a * a, np.finfo(a.dtype).max
                )  # so that an infinite v stays infinite: inf - inf is NaN
            d = g / (np.sqrt(v) + eps)
            if momentum > 0:
                b = others[0]
                b *= momentum
                b += d
                d = b
            x -= lr * d

        update_in_pieces(update, group, p, *(state[name] for name in self._buffers(group)))
