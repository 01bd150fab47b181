"""Adam."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Array, Tensor
from . import compiled
from .elementwise import Group, State, checked, count, filled, number, scalar
from .optimizer import Params
from .together import Loop, Together

__all__ = ["Adam"]


class Adam(Together):
    """A step of about lr in every element, from running means of the gradient and of its square:

        m <- beta1 * m + (1 - beta1) * g
        v <- beta2 * v + (1 - beta2) * g^2
        w <- max(w, v) if amsgrad else v
        x <- x - lr * m / (1 - beta1^t) / (sqrt(w / (1 - beta2^t)) + eps)

    in step t = 1, 2, ... Here g is the gradient, negated if maximize, plus weight_decay * x; if
    decoupled_weight_decay, x is multiplied by 1 - lr * weight_decay first instead.

    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, https://arxiv.org/abs/1412.6980; amsgrad:
    S. Reddi et al., "On the convergence of Adam and beyond", ICLR 2018, https://openreview.net/forum?id=ryQu7f-RZ

    Args:
        params: tensors or groups.
        lr, betas, eps, weight_decay, amsgrad, maximize, decoupled_weight_decay: as above; each group may have its own.
        foreach, fused: PyTorch's choice of implementation; without effect.
        capturable, differentiable: for CUDA graphs, and for gradients through a step; not supported.

    Raises:
        ValueError: a negative lr, eps or weight_decay, or a beta outside [0, 1).
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        tensors = [name for name, value in (("lr", lr), ("betas[0]", betas[0]), ("betas[1]", betas[1]))
                   if isinstance(value, Tensor)]  # fmt: skip
        if tensors and foreach and not capturable:
            raise ValueError(f"{tensors[0]} as a Tensor is not supported for capturable=False and foreach=True")
        if len({isinstance(beta, Tensor) for beta in betas}) == 2:
            raise ValueError("betas must be either both floats or both Tensors")
        defaults = checked(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize, foreach=foreach,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=decoupled_weight_decay,
        )  # fmt: skip
        super().__init__(params, defaults)

    def start(self, p: Tensor, group: Group) -> State:
        """No steps, means of zero."""
        names = ("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else []))
        return {"step": scalar(0), **{name: filled(p) for name in names}}

    def turn(self, group: Group, state: State, p: Tensor) -> float:
        """The number t of the step."""
        return count(state)

    def loop(self, group: Group, turn: float) -> Loop:
        """The update of the class docstring."""
        t, (beta1, beta2), eps = turn, map(number, group["betas"]), group["eps"]
        gain1, gain2, decay2 = float(1 - beta1), float(1 - beta2), float(beta2)
        size = float(number(group["lr"]) / (1 - beta1**t))
        scale = float((1 - beta2**t) ** 0.5)

        def rule(x: Array, g: Array, m: Array, v: Array, *maxima: Any) -> None:
            m += gain1 * (g - m)
            v *= decay2
            v += gain2 * g * g
            for w in maxima:
                np.maximum(w, v, out=w)
                v = w
            d = np.sqrt(v)
            d /= scale
            d += eps
            np.divide(m, d, out=d)
            d *= size
            x -= d

        if group["amsgrad"]:
            return Loop(rule, ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"))
        sign, decay = -1.0 if group["maximize"] else 1.0, float(group["weight_decay"])
        shrink = 1.0
        if group["decoupled_weight_decay"]:
            shrink, decay = float(1 - number(group["lr"]) * decay), 0.0
        numbers = sign, decay, shrink, gain1, decay2, gain2, size, scale, float(eps)
        return Loop(rule, ("exp_avg", "exp_avg_sq"), compiled.ADAM, numbers)
