"""How fast a layer is on this machine, and what stands in its way.

compare.py      one convolution by every algorithm on every backend
pytorch.py      PyTorch's convolution, to compare with
timing.py       contenders that take turns
doctor.py       what minicnn runs on: processor, libraries, threads, caches, speed
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .compare import Comparison, compare_algorithms

__all__ = ["Comparison", "compare_algorithms"]

_answer(globals())
