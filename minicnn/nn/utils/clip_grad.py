"""Limiting gradients: R. Pascanu et al., "On the difficulty of training recurrent neural networks", 2013."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from typing import Any

from minicnn_kernels.arrays import GPU_TYPES

from ...autograd import no_grad
from ...ops.tensor.concatenate import stack
from ...ops.tensor.creation import tensor
from ...ops.tensor.norm import vector_norm
from ...tensor import Tensor

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Tensors = Tensor | Iterable[Tensor]


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensors) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


@no_grad()
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """Return the p-norm of all elements of all tensors together, with p = `norm_type`, which may be inf.

    Args:
        tensors: one tensor or several.
        norm_type: p.
        error_if_nonfinite: raise if the norm is NaN or infinite.
        foreach: the method of PyTorch's computation; has no effect.

    Raises:
        RuntimeError: the norm is NaN or infinite, if `error_if_nonfinite`.

    >>> nn.utils.get_total_norm([minicnn.tensor([3.0, 0.0]), minicnn.tensor([4.0])])
    tensor(5.)
    """
    found, norm_type = _listed(tensors), float(norm_type)
    if not found:
        return tensor(0.0)
    norms = [vector_norm(t, norm_type) for t in found]
    if GPU_TYPES:  # a net may lie on several devices
        norms = [norm.to(norms[0].device) for norm in norms]
    total: Tensor = vector_norm(stack(norms), norm_type)
    if error_if_nonfinite and not total.is_meta and not total.isfinite():
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Multiply the gradients of `parameters` by min(1, max_norm / (total_norm + 1e-6)).

    >>> w = nn.Parameter(minicnn.zeros(2))
    >>> w.grad = minicnn.tensor([3.0, 4.0])
    >>> nn.utils.clip_grads_with_norm_(w, max_norm=1.0, total_norm=minicnn.tensor(5.0))
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for gradient in _gradients(parameters):
        gradient.mul_(factor.to(gradient.device) if GPU_TYPES else factor)


@no_grad()
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients down, in place, if the p-norm of all of them together is above `max_norm`.

    Returns:
        The norm before scaling, as a 0-d tensor.

    Raises:
        RuntimeError: the norm is NaN or infinite, if `error_if_nonfinite`.

    >>> w = nn.Parameter(minicnn.zeros(2))
    >>> w.grad = minicnn.tensor([3.0, 4.0])
    >>> nn.utils.clip_grad_norm_(w, max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    found = _listed(parameters)
    if isinstance(parameters, types.GeneratorType) and not found:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    total = get_total_norm(_gradients(found), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(found, max_norm, total, foreach)
    return total


def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """The same as `clip_grad_norm_`; deprecated."""
    warnings.warn(
        "`nn.utils.clip_grad_norm` is now deprecated in favor of `nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(*args, **kwargs)


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Clip each element of the gradients to [-clip_value, clip_value], in place.

    >>> w = nn.Parameter(minicnn.zeros(2))
    >>> w.grad = minicnn.tensor([-3.0, 0.5])
    >>> nn.utils.clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([-1.0000,  0.5000])
    """
    for gradient in _gradients(parameters):
        gradient.clamp_(-float(clip_value), float(clip_value))
