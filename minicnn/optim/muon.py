"""Muon."""

from __future__ import annotations

import math

from minicnn_kernels.arrays import xp

from ..tensor import Array, Tensor
from .first_order import FirstOrder, Group, State, WithGradient, filled, number
from .optimizer import Params

__all__ = ["Muon"]


class Muon(FirstOrder):
    """Momentum whose matrix is made nearly orthogonal: all its singular values are brought near 1.

        m <- momentum * m + (1 - momentum) * g
        u <- (1 - momentum) * g + momentum * m  if nesterov, else m
        x <- (1 - lr * weight_decay) * x - lr * k * orthogonal(u)

    `orthogonal` divides u by its norm and repeats, with a, b, c the `ns_coefficients` (Newton and Schulz),

        u <- a u + (b A + c A A) u,    A = u u^T

    For a matrix with R rows and C columns k = sqrt(max(1, R / C)), or 0.2 sqrt(max(R, C)) with
    adjust_lr_fn="match_rms_adamw", for which learning rates of AdamW fit. PyTorch repeats in bfloat16, so its steps
    differ from these, in the type of the parameter, by about 1 %.

    It is for the matrices of hidden layers; give biases, and the weights of convolutions, to another optimiser.
    K. Jordan et al., 2024, https://kellerjordan.github.io/posts/muon; J. Liu et al., "Muon is scalable for LLM
    training", 2025, https://arxiv.org/abs/2502.16982

    Args:
        params: matrices, or groups of them.
        lr, weight_decay, momentum, nesterov, ns_coefficients: as above; each group may have its own.
        eps: the smallest norm to divide by.
        ns_steps: how often to repeat, below 100.
        adjust_lr_fn: None or "original", or "match_rms_adamw".

    Raises:
        ValueError: an option is negative or unknown, or a parameter is not a matrix.

    >>> x = nn.Parameter(minicnn.zeros(2, 2))
    >>> optimizer = minicnn.optim.Muon([x], lr=0.1)
    >>> (x * minicnn.tensor([[3.0, 0.0], [0.0, 1.0]])).sum().backward()
    >>> optimizer.step()
    >>> bool((x.data.diagonal() < -0.06).all())  # both directions alike, though the gradients are 3 and 1
    True
    """

    def __init__(
        self, params: Params, lr: float | Tensor = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95,
        nesterov: bool = True, ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7, ns_steps: int = 5, adjust_lr_fn: str | None = None,
    ) -> None:  # fmt: skip
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not momentum >= 0:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not weight_decay >= 0:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(
            params,
            {
                "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
                "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
            },
        )  # fmt: skip
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.shape}"
                    )

    def initial_state(self, p: Tensor, group: Group) -> State:
        """The momentum, 0."""
        return {"momentum_buffer": filled(p)}

    def update_one(self, group: Group, state: State, p: WithGradient) -> None:
        """The update of the class docstring."""
        x, g, m = p._array, p._grad._array, state["momentum_buffer"]._array
        lr, momentum, (rows, columns) = number(group["lr"]), group["momentum"], x.shape
        m += (1 - momentum) * (g - m)
        u = g + momentum * (m - g) if group["nesterov"] else m
        if group["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * math.sqrt(max(rows, columns))
        else:
            scale = math.sqrt(max(1.0, rows / max(columns, 1)))
        x *= float(1 - lr * group["weight_decay"])
        x -= float(lr * scale) * _orthogonal(u, group["ns_coefficients"], group["ns_steps"], group["eps"])


def _orthogonal(u: Array, coefficients: tuple[float, float, float], steps: int, eps: float) -> Array:
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = u.shape[0] > u.shape[1]
    u = u.T if tall else u  # so that A is the smaller one of the two products
    u = u / xp(u).maximum(xp(u).sqrt((u * u).sum()), eps)
    for _ in range(steps):
        product = u @ u.T
        u = a * u + (b * product + c * (product @ product)) @ u
    return u.T if tall else u
