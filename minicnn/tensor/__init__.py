"""Tensor: an array that remembers how it was computed.

    tensor.py       the class: what it holds, its place in the graph, the ways out of it
    copying.py      copies, and what is pickled of one
    printing.py     how it prints

The class, the graph of `minicnn.autograd` that its operations build, and the printing of a tensor, which computes with
tensors, are one concept in several files: each needs the others, so these are the imports inside functions, and the
entry of `Tensor` in `autograd.engine`, that point both ways.
"""

from __future__ import annotations

from .tensor import Array, Tensor, tensor_method

__all__ = ["Array", "Tensor", "tensor_method"]
