"""Transforms of images, under torchvision's names: of PIL images and of Tensors (..., C, H, W), singly or in batches.

    functional/    all that is not random, as functions of one image
    base.py        Transform, Compose, Lambda, and the kinds of images
    convert.py     ToTensor, PILToTensor, ToPILImage, ConvertImageDtype, Grayscale, Normalize
    resize.py      Resize, InterpolationMode
    geometry.py    Pad, CenterCrop, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip
    mixing.py      MixUp, CutMix

A random transform draws from the stream of its sample (`minicnn.utils.data.randomness`).
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from . import functional
from .base import Compose, Lambda, Transform
from .convert import ConvertImageDtype, Grayscale, Normalize, PILToTensor, ToPILImage, ToTensor
from .geometry import CenterCrop, Pad, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip
from .mixing import CutMix, MixUp, cutmix, mixup
from .resize import InterpolationMode, Resize

__all__ = [
    "CenterCrop",
    "Compose",
    "ConvertImageDtype",
    "CutMix",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "MixUp",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomVerticalFlip",
    "Resize",
    "ToPILImage",
    "ToTensor",
    "Transform",
    "cutmix",
    "functional",
    "mixup",
]

_answer(globals())
