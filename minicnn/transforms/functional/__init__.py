"""Transforms as functions of one image, under torchvision's names: PIL images and Tensors (..., C, H, W).

    from minicnn.transforms import functional as TF
    TF.rotate(image, 30)

Nothing is random here: the classes of `minicnn.transforms` draw the arguments and call these functions.

    images.py      get_dimensions, get_image_size, get_image_num_channels
    convert.py     to_tensor, pil_to_tensor, to_pil_image, convert_image_dtype, normalize
    resizing.py    resize, InterpolationMode
    colour.py      adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue, adjust_gamma, rgb_to_grayscale,
                   to_grayscale, permute_channels
    levels.py      invert, posterize, solarize, autocontrast, equalize
    filters.py     gaussian_blur, adjust_sharpness, gaussian_noise
    geometry.py    pad, crop, center_crop, resized_crop, five_crop, ten_crop, hflip, vflip, erase
    warping.py     rotate, affine, perspective
    distortion.py  elastic_transform, lens_distortion
"""

from __future__ import annotations

from ...compat.missing import answer as _answer
from .colour import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    permute_channels,
    rgb_to_grayscale,
    to_grayscale,
)
from .convert import convert_image_dtype, normalize, pil_to_tensor, to_pil_image, to_tensor
from .distortion import elastic_transform, lens_distortion
from .filters import adjust_sharpness, gaussian_blur, gaussian_noise
from .geometry import center_crop, crop, erase, five_crop, hflip, pad, resized_crop, ten_crop, vflip
from .images import get_dimensions, get_image_num_channels, get_image_size
from .levels import autocontrast, equalize, invert, posterize, solarize
from .resizing import InterpolationMode, resize
from .warping import affine, perspective, rotate

__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "autocontrast",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "elastic_transform",
    "equalize",
    "erase",
    "five_crop",
    "gaussian_blur",
    "gaussian_noise",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "invert",
    "lens_distortion",
    "normalize",
    "pad",
    "permute_channels",
    "perspective",
    "pil_to_tensor",
    "posterize",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "solarize",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]

_answer(globals())
