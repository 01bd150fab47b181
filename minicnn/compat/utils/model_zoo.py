"""`minicnn.utils.model_zoo`: the older place of `minicnn.hub.load_url`."""

from __future__ import annotations

from ..doors import door as _door
from ..hub import load_url

__all__ = ["load_url"]

_door(globals())
