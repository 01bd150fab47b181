"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ...ops.tensor.concatenate import cat
from ...tensor import Tensor
from ..parameter import typename

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters in one vector, (sum of numel,); recorded."""
    joined: Tensor = cat([parameter.reshape(-1) for parameter in parameters])  # each (numel,)
    return joined


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Make the parameters views of the parts of a vector, in order.

    Raises:
        TypeError: a vector that is no tensor.
        RuntimeError: a vector that is too short.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected minicnn.Tensor, but got: {typename(vec)}")
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        if end > vec.numel():
            raise RuntimeError(
                f"vector_to_parameters: a vector of {vec.numel()} elements ends before a parameter of shape "
                f"{tuple(parameter.shape)} that takes elements {start} to {end - 1}"
            )
        parameter.data = vec.detach()[start:end].reshape(parameter.shape)  # (numel,) -> shape
        start = end
