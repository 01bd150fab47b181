"""Joining all parameters into one vector, and splitting it again."""

from __future__ import annotations

from collections.abc import Iterable

from ...ops.tensor.concatenate import cat
from ...tensor import Tensor
from ..parameter import typename

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Join the elements of all parameters into one vector, (sum of numel,); recorded.

    >>> nn.utils.parameters_to_vector(nn.Linear(3, 2).parameters()).shape  # 3*2 + 2
    minicnn.Size([8])
    """
    joined: Tensor = cat([parameter.reshape(-1) for parameter in parameters])  # each (numel,)
    return joined


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Make the parameters views of consecutive sections of a vector.

    Raises:
        TypeError: the vector is not a tensor.
        RuntimeError: the vector is too short.

    >>> fc = nn.Linear(2, 1)
    >>> nn.utils.vector_to_parameters(minicnn.tensor([1.0, 2.0, 3.0]), fc.parameters())
    >>> fc.weight.detach(), fc.bias.detach()
    (tensor([[1., 2.]]), tensor([3.]))
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected minicnn.Tensor, but got: {typename(vec)}")
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        if end > vec.numel():
            raise RuntimeError(
                f"vector_to_parameters: a vector of {vec.numel()} elements is too short for a parameter of shape "
                f"{tuple(parameter.shape)} that takes elements {start} to {end - 1}"
            )
        parameter.data = vec.detach()[start:end].reshape(parameter.shape)  # (numel,) -> shape
        start = end
