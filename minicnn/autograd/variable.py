"""`Variable` of old code, from the time before tensors recorded their operations themselves."""

from __future__ import annotations

from typing import Any

from ..compat.missing import answer as _answer
from . import engine

__all__ = ["Variable"]


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
