"""Automatic differentiation: the gradient tape, and `gradcheck`, which compares gradients with finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn_kernels.geometry import counted

from ..compat.missing import answer as _answer
from . import backpropagation, engine, function, functional
from .anomaly import AnomalyError, detect_anomaly, set_detect_anomaly
from .backpropagation import grad
from .function import Function
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

__all__ = [
    "AnomalyError",
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradient of sum_i <tensors_i, grad_tensors_i> to the `.grad` of the leaves, or of those in `inputs`.

    >>> x = minicnn.tensor(3.0, requires_grad=True)
    >>> minicnn.autograd.backward([x**2, 10 * x])
    >>> x.grad  # 2 x + 10
    tensor(16.)
    """
    roots = list(tensors) if isinstance(tensors, Sequence) else [tensors]
    given = list(grad_tensors) if isinstance(grad_tensors, Sequence) else [grad_tensors] * len(roots)
    if len(given) != len(roots):
        raise RuntimeError(
            f"backward: {counted(len(roots), 'tensor')} and {counted(len(given), 'gradient')}; pass one gradient per "
            "tensor"
        )
    ups = [backpropagation.upstream(root, gradient, create_graph) for root, gradient in zip(roots, given, strict=True)]
    retain = create_graph if retain_graph is None else retain_graph
    backpropagation.backward(roots, ups, retain, inputs, create_graph)


class _TensorType(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, engine._tensor)


class Variable(metaclass=_TensorType):
    """`Variable(x)` of old code: x's memory as a new tensor, detached from the graph; every tensor is an instance.

    >>> isinstance(minicnn.zeros(2), minicnn.autograd.Variable)
    True
    """

    def __new__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        """Make the tensor; `volatile` has no effect."""
        return data.detach().requires_grad_(requires_grad)


_answer(globals())
