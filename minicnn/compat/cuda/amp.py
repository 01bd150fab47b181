"""`minicnn.cuda.amp`: the older name of `minicnn.amp`, whose `autocast` took no device."""

from __future__ import annotations

from typing import Any

from ..amp import GradScaler
from ..amp import autocast as _autocast
from ..doors import door as _door

__all__ = ["GradScaler", "autocast"]


class autocast(_autocast):
    """`with autocast():` computes in the types of the tensors, with a warning."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled)


_door(globals())
