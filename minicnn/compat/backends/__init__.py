"""`minicnn.backends`: the switches of PyTorch's libraries. They change nothing; programs that set them run.

`minicnn.use` chooses the kernels.
"""

from __future__ import annotations

from ..doors import door as _door
from . import cuda, cudnn, mkldnn, mps

__all__ = ["cuda", "cudnn", "mkldnn", "mps"]

_door(globals())
