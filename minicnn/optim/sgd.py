"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from ..autograd import enable_grad
from ..tensor import Tensor
from .optimizer import Optimizer, Params


class SGD(Optimizer):
    """p <- p - lr * d, with momentum and weight decay, in PyTorch's order:

        g <- gradient (negated if maximize) + weight_decay * p
        b <- momentum * b + (1 - dampening) * g          the first time b <- g
        d <- g + momentum * b if nesterov else b         d = g without momentum

    I. Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.

    Args:
        params: tensors or groups.
        lr, momentum, dampening, weight_decay, nesterov, maximize: as above; each group may have its own.

    Raises:
        ValueError: a negative lr, momentum or weight_decay; Nesterov without momentum or with dampening.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Take on more parameters, with options of their own, checked."""
        options = {**self.defaults, **group}
        for name in ("lr", "momentum", "weight_decay"):
            if not options[name] >= 0:
                raise ValueError(f"SGD: {name} must not be negative, got {options[name]}")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"]):
            raise ValueError("SGD: nesterov=True needs a momentum above 0 and dampening=0")
        super().add_param_group(group)

    def step(self, closure: Any = None) -> Any:
        """Change every parameter that has a gradient; returns what `closure`, called first, returns."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad.array, group)
        return loss

    def _update(self, p: Tensor, g: Any, group: dict[str, Any]) -> None:
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p.array
        if group["momentum"]:
            state = self.state.setdefault(p, {})
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = Tensor(g.copy())
            else:
                buffer = state["momentum_buffer"]
                buffer.copy_(group["momentum"] * buffer.array + (1 - group["dampening"]) * g)
            b = state["momentum_buffer"].array
            g = g + group["momentum"] * b if group["nesterov"] else b
        p.detach().copy_(p.array - group["lr"] * g)
