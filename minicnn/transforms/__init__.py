"""Transforms of images, under torchvision's names: of PIL images and of Tensors (..., C, H, W), singly or in batches.

    functional/    all that is not random, as functions of one image
    base.py        Transform, Compose, Lambda, and the kinds of images
    convert.py     ToTensor, PILToTensor, ToPILImage, ConvertImageDtype, Grayscale, Normalize
    resize.py      Resize, InterpolationMode
    geometry.py    Pad, CenterCrop, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip
    crops.py       RandomResizedCrop, FiveCrop, TenCrop, RandomErasing
    warping.py     RandomRotation, RandomAffine, RandomPerspective
    distortion.py  ElasticTransform, RandomLensDistortion

A random transform draws from the stream of its sample (`minicnn.utils.data.randomness`).
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from . import functional
from .base import Compose, Lambda, Transform
from .convert import ConvertImageDtype, Grayscale, Normalize, PILToTensor, ToPILImage, ToTensor
from .crops import FiveCrop, RandomErasing, RandomResizedCrop, TenCrop
from .distortion import ElasticTransform, RandomLensDistortion
from .geometry import CenterCrop, Pad, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip
from .resize import InterpolationMode, Resize
from .warping import RandomAffine, RandomPerspective, RandomRotation

__all__ = [
    "CenterCrop",
    "Compose",
    "ConvertImageDtype",
    "ElasticTransform",
    "FiveCrop",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomLensDistortion",
    "RandomPerspective",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
    "Transform",
    "functional",
]

_answer(globals())
