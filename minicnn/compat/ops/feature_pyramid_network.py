"""`minicnn.ops.feature_pyramid_network`: the layers of torchvision's file. They are defined above `minicnn.ops`."""

from __future__ import annotations

from ...nn.detection import ExtraFPNBlock, FeaturePyramidNetwork, LastLevelMaxPool, LastLevelP6P7
from ..doors import door as _door

__all__ = ["ExtraFPNBlock", "FeaturePyramidNetwork", "LastLevelMaxPool", "LastLevelP6P7"]

_door(globals())
