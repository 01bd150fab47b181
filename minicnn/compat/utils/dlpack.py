"""DLPack: gives arrays from one library to another without a copy, as `torch.utils.dlpack` does."""

from __future__ import annotations

from ...ops.tensor.interchange import from_dlpack, to_dlpack
from ..doors import door as _door

__all__ = ["from_dlpack", "to_dlpack"]

_door(globals())
