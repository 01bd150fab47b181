"""Tensor: an array that remembers how it was computed.

    tensor.py       the class: its values, conversions to other types
    graph.py        its members that concern the graph: requires_grad, grad, backward, hooks
    copying.py      copying and pickling
    printing.py     the printed text
    arrays.py       the numbers alone, wherever they are

A tensor and the graph that its operations build (`minicnn.autograd`) are one concept, and each needs the other.
Therefore this package gives the class `Tensor` to `autograd.engine`, which does not import it.
"""

from __future__ import annotations

from .arrays import array_of
from .tensor import Array, Tensor, tensor_method

__all__ = ["Array", "Tensor", "array_of", "tensor_method"]
