"""`minicnn.utils.hooks`: the handle that removes a hook."""

from __future__ import annotations

from ...autograd.hooks import RemovableHandle
from ..doors import door as _door

__all__ = ["RemovableHandle"]

_door(globals())
