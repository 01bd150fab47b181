"""Helpers beside the network itself; so far `minicnn.utils.data`, the road from a dataset to batches."""

from __future__ import annotations

from . import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack"]
