"""Transforms of images, under torchvision's names: of PIL images and of Tensors (..., C, H, W), singly or in batches.

    functional/    all that is not random, as functions of one image
    base.py        Transform, Compose, Lambda, and the kinds of images
    convert.py     ToTensor, PILToTensor, ToPILImage, ConvertImageDtype, Grayscale, Normalize
    resize.py      Resize, InterpolationMode
    geometry.py    Pad, CenterCrop, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip
    colour.py      ColorJitter, GaussianBlur, RandomGrayscale, RandomInvert, RandomPosterize, RandomSolarize,
                   RandomAdjustSharpness, RandomAutocontrast, RandomEqualize
    random_choice.py   RandomApply, RandomChoice, RandomOrder
    statistics.py  LinearTransformation, PCAColorJitter, SubtractMeanImage, and the statistics that they need
    mixing.py      MixUp, CutMix

A random transform draws from the stream of its sample (`minicnn.utils.data.randomness`).
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from . import functional
from .base import Compose, Lambda, Transform
from .colour import (
    ColorJitter,
    GaussianBlur,
    RandomAdjustSharpness,
    RandomAutocontrast,
    RandomEqualize,
    RandomGrayscale,
    RandomInvert,
    RandomPosterize,
    RandomSolarize,
)
from .convert import ConvertImageDtype, Grayscale, Normalize, PILToTensor, ToPILImage, ToTensor
from .geometry import CenterCrop, Pad, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip
from .mixing import CutMix, MixUp, cutmix, mixup
from .random_choice import RandomApply, RandomChoice, RandomOrder
from .resize import InterpolationMode, Resize
from .statistics import (
    IMAGENET_COLOR_PCA,
    ColorPCA,
    LinearTransformation,
    PCAColorJitter,
    SubtractMeanImage,
    color_pca,
    mean_image,
    whitening,
)

__all__ = [
    "IMAGENET_COLOR_PCA",
    "CenterCrop",
    "ColorJitter",
    "ColorPCA",
    "Compose",
    "ConvertImageDtype",
    "CutMix",
    "GaussianBlur",
    "Grayscale",
    "InterpolationMode",
    "Lambda",
    "LinearTransformation",
    "MixUp",
    "Normalize",
    "PCAColorJitter",
    "PILToTensor",
    "Pad",
    "RandomAdjustSharpness",
    "RandomApply",
    "RandomAutocontrast",
    "RandomChoice",
    "RandomCrop",
    "RandomEqualize",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomOrder",
    "RandomPosterize",
    "RandomSolarize",
    "RandomVerticalFlip",
    "Resize",
    "SubtractMeanImage",
    "ToPILImage",
    "ToTensor",
    "Transform",
    "color_pca",
    "cutmix",
    "functional",
    "mean_image",
    "mixup",
    "whitening",
]

_answer(globals())
