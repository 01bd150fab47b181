"""Adafactor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels.arrays import xp

from ..tensor import Array, Tensor
from .first_order import FirstOrder, Group, State, WithGradient, count_step, filled, number, scalar
from .optimizer import Params

__all__ = ["Adafactor"]


class Adafactor(FirstOrder):
    """The gradient over the root of its mean square, which is kept as one number for each row and each column:

        s <- t^beta2_decay
        r <- (1 - s) r + s * mean of g^2 over each row,    c <- (1 - s) c + s * mean of g^2 over each column
        u <- g / sqrt(r c^T / mean(r))
        x <- x - a u / max(1, rms(u) / d),    a = max(eps[1], rms(x)) * min(lr, 1 / sqrt(t))

    Here t counts the steps, rms is the root of the mean square, and g is the gradient, negated if maximize. Before, x
    is multiplied by 1 - lr * weight_decay. Rows and columns are the last two axes; a parameter with fewer keeps the
    mean squares of all its elements. Divisors are at least eps[0], by default the smallest step of the type near 1.

    N. Shazeer, M. Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018,
    https://arxiv.org/abs/1804.04235

    Args:
        params: tensors or groups.
        lr, beta2_decay, eps, d, weight_decay, maximize: as above; each group may have its own.
        foreach: without effect.

    Raises:
        ValueError: lr, eps or weight_decay is negative, beta2_decay is positive, or d is below 1.

    >>> x = nn.Parameter(minicnn.ones(2, 3))
    >>> optimizer = minicnn.optim.Adafactor([x], lr=0.1)
    >>> x.sum().backward()
    >>> optimizer.step()
    >>> x.data[0], optimizer.state[x]["row_var"].shape, optimizer.state[x]["col_var"].shape
    (tensor([0.9000, 0.9000, 0.9000]), minicnn.Size([2, 1]), minicnn.Size([1, 3]))
    """

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-2, beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0, weight_decay: float = 0.0, *,
        foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults: dict[str, Any] = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def initial_state(self, p: Tensor, group: Group) -> State:
        """The number of steps, and the mean squares of rows (..., R, 1) and columns (..., 1, C), all 0."""
        if p.ndim < 2:
            return {"step": scalar(0), "variance": filled(p)}
        return {"step": scalar(0), "row_var": filled(p[..., :1]), "col_var": filled(p[..., :1, :])}

    def update_one(self, group: Group, state: State, p: WithGradient) -> None:
        """The update of the class docstring."""
        step = count_step(state)
        lr, share = number(group["lr"]), step ** group["beta2_decay"]
        x: Array = p._array
        if not x.size:
            return
        g = -p._grad._array if group["maximize"] else p._grad._array
        small = float(np.finfo(x.dtype).eps) if group["eps"][0] is None else group["eps"][0]
        rate = xp(x).maximum(_rms(x), group["eps"][1]) * min(float(lr), 1 / math.sqrt(step))
        x *= float(1 - lr * group["weight_decay"])
        square = g * g
        if x.ndim < 2:
            mean = state["variance"]._array
            mean += share * (square - mean)
        else:
            rows, columns = state["row_var"]._array, state["col_var"]._array
            rows += share * (square.mean(-1, keepdims=True) - rows)  # (..., R, 1)
            columns += share * (square.mean(-2, keepdims=True) - columns)  # (..., 1, C)
            mean = rows * columns / xp(x).maximum(rows.mean(-2, keepdims=True), small)
        u = g / xp(x).sqrt(xp(x).maximum(mean, small**2))
        x -= rate / xp(x).maximum(_rms(u) / group["d"], 1) * u


def _rms(x: Array) -> Array:
    """The root of the mean square, a 0-d array: a step does not wait for a GPU."""
    return xp(x).sqrt((x * x).mean())
