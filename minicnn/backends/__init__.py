"""`minicnn.backends`: the switches of PyTorch's libraries, so that programs that set them run; none changes anything.

Which kernels run is chosen by `minicnn.use`.
"""

from __future__ import annotations

from ..missing import answer as _answer
from . import cudnn, mps

__all__ = ["cudnn", "mps"]

_answer(globals())
