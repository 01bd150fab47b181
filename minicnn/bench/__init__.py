"""The speed of layers on this machine, and what slows it down.

compare.py      one convolution with every algorithm and backend
pytorch.py      PyTorch's convolution, for comparison
timing.py       measures functions in turns
doctor.py       what minicnn runs on: processor, libraries, threads, caches, speed
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .compare import Comparison, compare_algorithms

__all__ = ["Comparison", "compare_algorithms"]

_answer(globals())
