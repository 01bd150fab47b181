"""AdamW."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .adam import Adam
from .optimizer import Params

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam with decoupled weight decay: x <- (1 - lr * weight_decay) * x, then Adam's step, with the gradient alone.

    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019, https://arxiv.org/abs/1711.05101

    Args:
        params, lr, betas, eps, weight_decay, amsgrad, maximize, foreach, capturable, differentiable, fused: as in Adam.

    >>> x = nn.Parameter(minicnn.tensor([1.0]))
    >>> optimizer = minicnn.optim.AdamW([x], lr=0.1, weight_decay=0.5)
    >>> x.grad = minicnn.zeros(1)
    >>> optimizer.step()
    >>> x.data
    tensor([0.9500])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # a state of Adam may be loaded into AdamW
            group["decoupled_weight_decay"] = True
