"""torchvision's second version of transforms: the classes of `minicnn.transforms`, and those that only it has.

    from minicnn.transforms import v2
    chain = v2.Compose([v2.ToImage(), v2.RandomHorizontalFlip(), v2.ToDtype(minicnn.float32, scale=True)])
    image, label = chain(image, label)

All transforms take a sample of several parts, as (image, label), and change its images. There are no types for boxes,
masks and video (`tv_tensors`): a Tensor with 3 or more dimensions is an image.

    types.py       ToImage, ToDtype, ToPureTensor, RGB, Identity, Lambda
    disturb.py     RandomPhotometricDistort, RandomChannelPermutation, GaussianNoise, JPEG
    sizes.py       RandomResize, RandomShortestSize, ScaleJitter, RandomZoomOut
    functional.py  the functions of `minicnn.transforms.functional`, and those that only the second version has
"""

from __future__ import annotations

from ...compat.missing import answer as _answer
from .. import *  # noqa: F403
from .. import __all__ as _both
from . import functional  # type: ignore[no-redef]
from .disturb import JPEG, GaussianNoise, RandomChannelPermutation, RandomPhotometricDistort
from .sizes import RandomResize, RandomShortestSize, RandomZoomOut, ScaleJitter
from .types import (  # type: ignore[assignment]
    RGB,
    Identity,
    Lambda,
    ToDtype,
    ToImage,
    ToPureTensor,
)

__all__ = [
    "JPEG",
    "RGB",
    "GaussianNoise",
    "Identity",
    "Lambda",
    "RandomChannelPermutation",
    "RandomPhotometricDistort",
    "RandomResize",
    "RandomShortestSize",
    "RandomZoomOut",
    "ScaleJitter",
    "ToDtype",
    "ToImage",
    "ToPureTensor",
    "functional",
]
__all__ += [name for name in _both if name not in __all__]

_answer(globals())
