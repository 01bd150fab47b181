"""Beside the network itself: `data`, the road from a dataset to batches; recomputation in backward; DLPack."""

from __future__ import annotations

from ..missing import answer as _answer
from . import checkpoint, data, dlpack, hooks, model_zoo

__all__ = ["checkpoint", "data", "dlpack", "hooks", "model_zoo"]

_answer(globals())
