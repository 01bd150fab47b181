"""DLPack: arrays handed from library to library without a copy, as `torch.utils.dlpack`."""

from __future__ import annotations

from ...ops.tensor.interchange import from_dlpack, to_dlpack
from ..doors import door as _door

__all__ = ["from_dlpack", "to_dlpack"]

_door(globals())
