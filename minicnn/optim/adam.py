"""Adam."""

from __future__ import annotations

from minicnn_kernels import optimizers
from minicnn_kernels.dispatch import Table

from ..tensor import Tensor
from .first_order import Group, KernelOptimizer, State, checked, count_step, decay, filled, number, real, scalar
from .optimizer import Params

__all__ = ["Adam"]


class Adam(KernelOptimizer):
    """A step of about lr in every element, from running means of the gradient and of its square:

        m <- beta1 * m + (1 - beta1) * g
        v <- beta2 * v + (1 - beta2) * g^2
        w <- max(w, v) if amsgrad else v
        x <- x - lr * m / (1 - beta1^t) / (sqrt(w / (1 - beta2^t)) + eps)

    in step t = 1, 2, ... Here g is the gradient, negated if maximize, plus weight_decay * x; with
    decoupled_weight_decay, g has no such term, and x is first multiplied by 1 - lr * weight_decay.

    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, https://arxiv.org/abs/1412.6980; amsgrad:
    S. Reddi et al., "On the convergence of Adam and beyond", ICLR 2018, https://openreview.net/forum?id=ryQu7f-RZ

    Args:
        params: tensors or groups.
        lr, betas, eps, weight_decay, amsgrad, maximize, decoupled_weight_decay: as above; each group may have its own.
        foreach, fused: PyTorch's choice of implementation; without effect.
        differentiable: record the steps, so that gradients flow through them.
        capturable: for CUDA graphs; not supported.

    Raises:
        ValueError: lr, eps or weight_decay is negative, or a beta is outside [0, 1).

    >>> x = nn.Parameter(minicnn.tensor([1.0, 100.0]))
    >>> optimizer = minicnn.optim.Adam([x], lr=0.1)
    >>> (x**2).sum().backward()
    >>> optimizer.step()
    >>> x.data
    tensor([ 0.9000, 99.9000])
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

    def initial_state(self, p: Tensor, group: Group) -> State:
        """The number of steps and the means, all 0."""
        return {"step": scalar(0), **{name: filled(p) for name in self.kernel(group)[1]}}

    def kernel(self, group: Group) -> tuple[Table, tuple[str, ...]]:
        """The kernel in `minicnn_kernels/optimizers/adam.py`, and its buffers."""
        return optimizers.ADAM, ("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else []))

    def step_number(self, group: Group, state: State, p: Tensor) -> float:
        """The number t in the equations of the class."""
        return count_step(state)

    def hyperparameters(self, group: Group, step_number: float) -> optimizers.AdamNumbers:
        """The options, and the corrections for means that start at 0."""
        t, (beta1, beta2) = step_number, map(number, group["betas"])
        step_size, bias_correction = real(number(group["lr"]) / (1 - beta1**t)), real((1 - beta2**t) ** 0.5)
        sign, (weight_decay, shrink) = -1.0 if group["maximize"] else 1.0, decay(group)
        return optimizers.AdamNumbers(
            step_size, real(1 - beta1), real(beta2), real(1 - beta2), bias_correction, float(group["eps"]), sign,
            weight_decay, shrink,
        )  # fmt: skip
