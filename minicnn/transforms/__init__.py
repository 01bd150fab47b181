"""Transforms of images, under torchvision's names: of PIL images and of Tensors (..., C, H, W), singly or in batches.

    functional/    all that is not random, as functions of one image
    base.py        Transform, Compose, Lambda, and the kinds of images
    convert.py     ToTensor, PILToTensor, ToPILImage, ConvertImageDtype, Grayscale, Normalize
    resize.py      Resize, InterpolationMode
    geometry.py    Pad, CenterCrop, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip
    crops.py       RandomResizedCrop, FiveCrop, TenCrop, RandomErasing
    warping.py     RandomRotation, RandomAffine, RandomPerspective
    distortion.py  ElasticTransform, RandomLensDistortion
    colour.py      ColorJitter, GaussianBlur, RandomGrayscale, RandomInvert, RandomPosterize, RandomSolarize,
                   RandomAdjustSharpness, RandomAutocontrast, RandomEqualize
    random_choice.py   RandomApply, RandomChoice, RandomOrder
    autoaugment.py     AutoAugment, RandAugment, TrivialAugmentWide, AugMix
    statistics.py  LinearTransformation, PCAColorJitter, SubtractMeanImage, and the statistics that they need
    mixing.py      MixUp, CutMix
    v2/            torchvision's second version: the same classes, and some more
    transforms.py  torchvision's name of the file that has most of them

A random transform draws from the stream of its sample (`minicnn.utils.data.randomness`).

Normalize, Resize, Pad, crops, flips and RandomErasing may stand before a net whose input wants a gradient, as in
attacks; the others refuse a tensor that wants one, since their result would lose it.
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from . import functional
from .autoaugment import AugMix, AutoAugment, AutoAugmentPolicy, RandAugment, TrivialAugmentWide
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
from .crops import FiveCrop, RandomErasing, RandomResizedCrop, TenCrop
from .distortion import ElasticTransform, RandomLensDistortion
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
from .warping import RandomAffine, RandomPerspective, RandomRotation

__all__ = [
    "IMAGENET_COLOR_PCA",
    "AugMix",
    "AutoAugment",
    "AutoAugmentPolicy",
    "CenterCrop",
    "ColorJitter",
    "ColorPCA",
    "Compose",
    "ConvertImageDtype",
    "CutMix",
    "ElasticTransform",
    "FiveCrop",
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
    "RandAugment",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomApply",
    "RandomAutocontrast",
    "RandomChoice",
    "RandomCrop",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomLensDistortion",
    "RandomOrder",
    "RandomPerspective",
    "RandomPosterize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSolarize",
    "RandomVerticalFlip",
    "Resize",
    "SubtractMeanImage",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
    "Transform",
    "TrivialAugmentWide",
    "color_pca",
    "cutmix",
    "functional",
    "mean_image",
    "mixup",
    "whitening",
]

_answer(globals())
