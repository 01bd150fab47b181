"""Beside the network itself: `data`, the road from a dataset to batches; recomputation in backward; DLPack."""

from __future__ import annotations

from . import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack"]
