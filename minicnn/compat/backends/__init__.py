"""`minicnn.backends`: the switches of PyTorch's libraries, so that programs that set them run; none changes anything.

Which kernels run is chosen by `minicnn.use`.
"""

from __future__ import annotations

from ..doors import door as _door
from . import cudnn, mps

__all__ = ["cudnn", "mps"]

_door(globals())
