"""`minicnn.backends.cuda`: switches without effect; CuPy and its libraries choose how they multiply."""

from __future__ import annotations

from ... import cuda as _cuda
from ..doors import door as _door


class _Matmul:
    """The switches for products of matrices. minicnn never lowers the precision of float32 by itself."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


matmul = _Matmul()


def is_built() -> bool:
    """Whether there is a GPU that minicnn can use, as `minicnn.cuda.is_available` says."""
    return _cuda.is_available()


_door(globals())
