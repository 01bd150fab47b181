"""DLPack: arrays handed from library to library without a copy, as `torch.utils.dlpack`."""

from __future__ import annotations

from ..ops.interchange import from_dlpack, to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
