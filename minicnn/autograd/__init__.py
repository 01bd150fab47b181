"""Automatic differentiation: the gradient tape, and `gradcheck`, which compares gradients with finite differences."""

from __future__ import annotations

from typing import Any

from minicnn_kernels.geometry import counted

from ..compat.missing import answer as _answer
from . import backpropagation, ends, function, functional, graph, variable
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
    set_multithreading_enabled,
)
from .variable import Variable

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
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
    "variable",
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
    roots = ends.sequence(tensors)
    given = [None] * len(roots) if grad_tensors is None else ends.sequence(grad_tensors)
    if len(given) != len(roots):
        raise RuntimeError(
            f"backward: {counted(len(roots), 'tensor')} and {counted(len(given), 'gradient')}; pass one gradient per "
            "tensor"
        )
    ups = [ends.upstream(root, gradient, create_graph) for root, gradient in zip(roots, given, strict=True)]
    retain = create_graph if retain_graph is None else retain_graph
    backpropagation.backward(roots, ups, retain, inputs, create_graph)


_answer(globals())
