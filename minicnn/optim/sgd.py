"""Stochastic gradient descent."""

from __future__ import annotations

from minicnn_kernels import optimizers
from minicnn_kernels.dispatch import Table

from ..tensor import Tensor
from .first_order import Group, KernelOptimizer, State, checked, decay, filled, number, real
from .optimizer import Params

__all__ = ["SGD"]


class SGD(KernelOptimizer):
    """x <- x - lr * d, with momentum and weight decay, in PyTorch's order:

        g <- gradient (negated if maximize) + weight_decay * x
        b <- momentum * b + (1 - dampening) * g          in the first step b <- g
        d <- g + momentum * b if nesterov else b         without momentum d = g

    I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013,
    https://proceedings.mlr.press/v28/sutskever13.html

    Args:
        params: tensors or groups.
        lr, momentum, dampening, weight_decay, nesterov, maximize: as above; each group may have its own.
        foreach, fused: PyTorch's choice of implementation; without effect.
        differentiable: record the steps, so that gradients flow through them.

    Raises:
        ValueError: lr, momentum or weight_decay is negative; or nesterov without momentum or with dampening.

    >>> x = nn.Parameter(minicnn.tensor([1.0]))
    >>> optimizer = minicnn.optim.SGD([x], lr=0.1, momentum=0.9)
    >>> for step in range(3):
    ...     optimizer.zero_grad()
    ...     (x**2).sum().backward()  # the gradient is 2 x
    ...     optimizer.step()
    ...     print(round(x.item(), 4))
    0.8
    0.46
    0.062
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = checked(
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
            maximize=maximize, foreach=foreach, differentiable=differentiable, fused=fused,
        )  # fmt: skip
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, defaults)

    def kernel(self, group: Group) -> tuple[Table, tuple[str, ...]]:
        """The kernel in `minicnn_kernels/optimizers/sgd.py`, and its buffers."""
        return optimizers.SGD, ("momentum_buffer",) if group["momentum"] != 0 else ()

    def step_number(self, group: Group, state: State, p: Tensor) -> float:
        """1 in the first step with momentum, 2 in all later steps: SGD does not need their exact number."""
        if group["momentum"] != 0 and state.get("momentum_buffer") is None:
            state["momentum_buffer"] = filled(p)  # zeros, so that adding all of g makes the first b the gradient
            return 1
        return 2

    def hyperparameters(self, group: Group, step_number: float) -> optimizers.SGDNumbers:
        """The options, and how much of the gradient is added to b."""
        gain = 1.0 if step_number == 1 else float(1 - group["dampening"])
        lr, sign, (weight_decay, _) = real(number(group["lr"])), -1.0 if group["maximize"] else 1.0, decay(group)
        return optimizers.SGDNumbers(lr, sign, weight_decay, float(group["momentum"]), gain, bool(group["nesterov"]))
