"""Utilities: `data`, from a dataset to batches; pictures of images side by side, with boxes or masks; `checkpoint`,
recomputation in the backward pass; `dlpack`.
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from ..compat.utils import dlpack, hooks, model_zoo
from . import checkpoint, data
from .drawing import draw_bounding_boxes, draw_keypoints, draw_segmentation_masks, flow_to_image
from .grid import make_grid, save_image

__all__ = [
    "checkpoint", "data", "dlpack", "draw_bounding_boxes", "draw_keypoints", "draw_segmentation_masks",
    "flow_to_image", "hooks", "make_grid", "model_zoo", "save_image",
]  # fmt: skip

_answer(globals())
