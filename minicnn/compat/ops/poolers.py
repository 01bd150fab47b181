"""`minicnn.ops.poolers`: the layers of torchvision's file. They are defined above `minicnn.ops`."""

from __future__ import annotations

from ...nn.detection import MultiScaleRoIAlign
from ..doors import door as _door

__all__ = ["MultiScaleRoIAlign"]

_door(globals())
