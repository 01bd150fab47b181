"""Tensor: an array that remembers how it was computed.

    tensor.py       the class: its values, its place in the graph, conversions to other types
    copying.py      copying and pickling
    printing.py     the printed text

The class, the graph of `minicnn.autograd` that its operations build, and the printed text, which is computed with
tensors, are one concept in several files, and each file needs the others. Therefore some imports here are inside
functions, and `autograd.engine` gets the class `Tensor` from this package.
"""

from __future__ import annotations

from .tensor import Array, Tensor, tensor_method

__all__ = ["Array", "Tensor", "tensor_method"]
