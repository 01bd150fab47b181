"""What programs name as the ends of a backward pass, tensors or edges, and the gradients that it starts from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels.arrays import GPU_TYPES, as_array, on_device, on_device_of
from minicnn_kernels.arrays import gpu as gpu_module

from ..device import Meta
from ..device import of as device_of
from ..dtypes import Size
from . import engine
from .engine import Array, Edge, like
from .nodes import AccumulateGrad, GradientEdge


def sequence(given: Any) -> list[Any]:
    """Return one or several tensors or edges as a list."""
    return [given] if isinstance(given, (engine._tensor, GradientEdge)) else list(given)


def end(given: Any) -> Edge:
    """Return where the gradient of a tensor arrives: (node, index), or a leaf; the program may name it by an edge."""
    if isinstance(given, engine._tensor):
        return given._edge or given
    if not isinstance(given, GradientEdge):
        raise TypeError(f"backward: expected a Tensor or a GradientEdge, got {type(given).__name__}")
    node = given.node
    return node.variable if isinstance(node, AccumulateGrad) else (node, given.output_nr)


def upstream(output: Any, gradient: Any, create_graph: bool = False, number: int = 0) -> Any:
    """Return what a backward pass starts from: the given gradient, checked, or 1 for a scalar.

    It is an array; with `create_graph` a tensor, of a given tensor with its place in the graph.
    """
    array = _checked(output, gradient, number)
    if not create_graph:
        return array
    if not isinstance(gradient, engine._tensor):
        return engine._tensor(array)
    return gradient.to(array.dtype)


def _checked(output: Any, gradient: Any, number: int) -> Array:
    is_tensor = isinstance(output, engine._tensor)
    if is_tensor and not output.requires_grad:
        raise RuntimeError(
            "backward: the tensor does not require grad and does not have a grad_fn: it was not computed from one that "
            "requires a gradient. Set requires_grad=True on an input, and do not compute it inside no_grad()"
        )
    place = end(output)
    shape, dtype = like(place)
    size = math.prod(shape)
    if gradient is None:
        if size != 1:
            raise RuntimeError(
                f"backward: the result has shape {tuple(shape)}, but grad can be implicitly created only for scalar "
                "outputs. Reduce it with .sum() or .mean(), or pass a gradient of that shape"
            )
        on = place[0].gpu if type(place) is tuple else None
        like_it = output.array if is_tensor else np.empty(shape, dtype) if on is None else None
        if type(like_it) is Meta:
            return like_it
        if like_it is None and on is not None:
            with on_device(on):
                return gpu_module().ones(shape, dtype)
        with on_device_of(like_it):
            return np.ones_like(like_it)
    array = gradient.array if isinstance(gradient, engine._tensor) else as_array(gradient)
    if array.shape != shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{number}] has a shape of {Size(array.shape)!r} and output[{number}] has a "
            f"shape of {Size(shape)!r}."
        )
    if array.dtype.kind == "c":
        raise RuntimeError("backward: the gradient and the tensor are required to have the same dtype, not complex")
    maybe_apart = is_tensor and (type(array) is not type(output.array) or type(array) in GPU_TYPES)
    if maybe_apart and device_of(array) != output.device:
        raise RuntimeError(
            f"backward: the gradient is on {device_of(array)}, but the tensor is on {output.device}; move the gradient "
            f"with .to('{output.device}')"
        )
    return array.astype(dtype, copy=False)
