"""`Resize`: a step of a chain that resizes images; `functional/resizing.py` has the mathematics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import AnyImage, Transform
from .functional.resizing import InterpolationMode, ResizeRule, interpolation_matrix

__all__ = ["InterpolationMode", "Resize", "interpolation_matrix"]


class Resize(Transform):
    """Resize images to `size`.

    Interpolation is linear and separable, so for each channel it is two matrix products:

        Y = R_h X R_w^T          (OH, OW) = (OH, H) (H, W) (W, OW)        `interpolation_matrix` gives R

    Integer tensors are interpolated in float32, rounded and clipped to their type. PIL images are resized by
    PIL, which always antialiases.

    Args:
        size: (h, w), or the length of the shorter side; the other keeps the ratio, rounded down.
        interpolation: an `InterpolationMode`, or PIL's number for it.
        max_size: only with a single `size`: the limit of the longer side; if necessary, the shorter one is reduced.
        antialias: widen the kernel when a Tensor shrinks (bilinear and bicubic).

    Raises:
        ValueError: an impossible size, or an interpolation that tensors do not have.

    >>> minicnn.transforms.Resize(32)(minicnn.zeros(3, 28, 28)).shape
    minicnn.Size([3, 32, 32])
    >>> minicnn.transforms.Resize(256)(minicnn.zeros(3, 512, 768)).shape
    minicnn.Size([3, 256, 384])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        rule = ResizeRule.of("Resize", size, interpolation, max_size, antialias)
        self.size, self.interpolation, self.max_size, self.antialias = size, rule.mode, rule.max_size, antialias

    @property
    def _rule(self) -> ResizeRule:
        return ResizeRule.of("Resize", self.size, self.interpolation, self.max_size, self.antialias)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """The size (OH, OW) that an image (H, W) gets."""
        return self._rule.output_size(height, width)

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        return self._rule.apply(image)

    def batch(self, images: Any) -> Any:
        """A Tensor (N, C, H, W), or images (N, H, W[, C]) with the same rounding as PIL's."""
        return self._rule.apply_to_batch(images)

    def __repr__(self) -> str:
        return (
            f"Resize(size={self.size}, interpolation={self.interpolation.value}, max_size={self.max_size}, "
            f"antialias={self.antialias})"
        )
