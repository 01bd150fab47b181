"""Transforms as functions of one image, under torchvision's names: PIL images and Tensors (..., C, H, W).

    from minicnn.transforms import functional as TF
    TF.rotate(image, 30)

Nothing is random here: the classes of `minicnn.transforms` draw the arguments and call these functions.

    images.py      get_dimensions, get_image_size, get_image_num_channels
    convert.py     to_tensor, pil_to_tensor, to_pil_image, convert_image_dtype, normalize
    resizing.py    resize, InterpolationMode
    geometry.py    pad, crop, center_crop, resized_crop, five_crop, ten_crop, hflip, vflip, erase
    warping.py     rotate, affine, perspective
    distortion.py  elastic_transform, lens_distortion
"""

from __future__ import annotations

from ...compat.missing import answer as _answer
from .convert import convert_image_dtype, normalize, pil_to_tensor, to_pil_image, to_tensor
from .distortion import elastic_transform, lens_distortion
from .geometry import center_crop, crop, erase, five_crop, hflip, pad, resized_crop, ten_crop, vflip
from .images import get_dimensions, get_image_num_channels, get_image_size
from .resizing import InterpolationMode, resize
from .warping import affine, perspective, rotate

__all__ = [
    "InterpolationMode",
    "affine",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "elastic_transform",
    "erase",
    "five_crop",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "lens_distortion",
    "normalize",
    "pad",
    "perspective",
    "pil_to_tensor",
    "resize",
    "resized_crop",
    "rotate",
    "ten_crop",
    "to_pil_image",
    "to_tensor",
    "vflip",
]

_answer(globals())
