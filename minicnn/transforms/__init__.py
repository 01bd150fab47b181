"""Transforms of images, under torchvision's names: of PIL images and of Tensors (..., C, H, W), singly or in batches.

    base.py        Transform, Compose, Lambda, and the kinds of images
    convert.py     ToTensor, PILToTensor, ConvertImageDtype, Normalize
    resize.py      Resize, InterpolationMode
    geometry.py    Pad, CenterCrop, RandomCrop, RandomHorizontalFlip

A random transform draws from the stream of its sample (`minicnn.utils.data.randomness`).
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .base import Compose, Lambda, Transform
from .convert import ConvertImageDtype, Normalize, PILToTensor, ToTensor
from .geometry import CenterCrop, Pad, RandomCrop, RandomHorizontalFlip
from .resize import InterpolationMode, Resize

__all__ = [
    "CenterCrop",
    "Compose",
    "ConvertImageDtype",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Resize",
    "ToTensor",
    "Transform",
]

_answer(globals())
