"""Random sizes that only torchvision's second version has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn_kernels.geometry import real, shown, whole

from ...utils.data.randomness import sample_generator
from ..base import AnyImage, Transform, edge_size, probability, sample, spatial_size
from ..functional import InterpolationMode, pad, resize
from ..functional.resizing import interpolation_mode

__all__ = ["RandomResize", "RandomShortestSize", "RandomZoomOut", "ScaleJitter"]


class _Resizing(Transform):
    """A transform that resizes to a size that it draws."""

    interpolation: InterpolationMode
    antialias: bool | None

    def _resized(self, image: Any, height: float, width: float) -> Any:
        size = [max(int(height), 1), max(int(width), 1)]
        return resize(image, size, self.interpolation, antialias=self.antialias)


class RandomResize(_Resizing):
    """Resize so that the shorter side is a random number from min_size to max_size - 1.

    >>> from minicnn.transforms import v2
    >>> v2.RandomResize(16, 17)(minicnn.rand(3, 8, 12)).shape
    minicnn.Size([3, 16, 24])
    """

    def __init__(
        self,
        min_size: int,
        max_size: int,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        self.min_size = whole(min_size, "RandomResize", "min_size", 1)
        self.max_size = whole(max_size, "RandomResize", "max_size", 1)
        if self.max_size <= self.min_size:
            raise ValueError(f"RandomResize: max_size {max_size} should be above min_size {min_size}")
        self.interpolation, self.antialias = interpolation_mode("RandomResize", interpolation), antialias

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        side = int(sample_generator().integers(self.min_size, self.max_size))
        return resize(image, [side], self.interpolation, antialias=self.antialias)

    def __repr__(self) -> str:
        return (
            f"RandomResize(min_size={self.min_size}, max_size={self.max_size}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class RandomShortestSize(_Resizing):
    """Resize so that the shorter side is one of several numbers, or the longer side is `max_size` at most.

    Args:
        min_size: a number, or several of which one is drawn.
        max_size: the limit of the longer side; None: there is none.

    >>> from minicnn.transforms import v2
    >>> v2.RandomShortestSize([16], max_size=20)(minicnn.rand(3, 8, 16)).shape
    minicnn.Size([3, 10, 20])
    """

    def __init__(
        self,
        min_size: int | Sequence[int],
        max_size: int | None = None,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        several = min_size if isinstance(min_size, list | tuple) else [min_size]
        self.min_size = [whole(one, "RandomShortestSize", "min_size", 1) for one in several]
        if not self.min_size:
            raise ValueError("RandomShortestSize: min_size should have one number or several, got none")
        self.max_size = max_size if max_size is None else whole(max_size, "RandomShortestSize", "max_size", 1)
        self.interpolation, self.antialias = interpolation_mode("RandomShortestSize", interpolation), antialias

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        height, width = spatial_size("RandomShortestSize", sample("RandomShortestSize", image))
        ratio = self.min_size[int(sample_generator().integers(len(self.min_size)))] / min(height, width)
        if self.max_size is not None:
            ratio = min(ratio, self.max_size / max(height, width))
        return self._resized(image, height * ratio, width * ratio)

    def __repr__(self) -> str:
        return (
            f"RandomShortestSize(min_size={self.min_size}, max_size={self.max_size}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class ScaleJitter(_Resizing):
    """Resize to a random multiple of the largest size that fits into `target_size` (h, w).

    Args:
        scale_range: (least, most) of the multiple, which is uniform.

    Source: G. Ghiasi et al., "Simple copy-paste is a strong data augmentation method for instance segmentation", 2020.

    >>> from minicnn.transforms import v2
    >>> v2.ScaleJitter((16, 16), scale_range=(1.0, 1.0))(minicnn.rand(3, 8, 4)).shape
    minicnn.Size([3, 16, 8])
    """

    def __init__(
        self,
        target_size: tuple[int, int],
        scale_range: tuple[float, float] = (0.1, 2.0),
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        self.target_size = edge_size("ScaleJitter", target_size)
        self.scale_range = _range("ScaleJitter", "scale_range", scale_range, 0.0)
        self.interpolation, self.antialias = interpolation_mode("ScaleJitter", interpolation), antialias

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        height, width = spatial_size("ScaleJitter", sample("ScaleJitter", image))
        fits = min(self.target_size[1] / height, self.target_size[0] / width)
        ratio = float(sample_generator().uniform(*self.scale_range)) * fits
        return self._resized(image, height * ratio, width * ratio)

    def __repr__(self) -> str:
        return (
            f"ScaleJitter(target_size={self.target_size}, scale_range={self.scale_range}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


class RandomZoomOut(Transform):
    """With probability p, place the image somewhere on a larger canvas.

    Args:
        fill: the colour of the canvas.
        side_range: (least, most) of the canvas's sides, as a multiple of the image's.

    Source: W. Liu et al., "SSD: Single shot multibox detector", ECCV 2016.

    >>> from minicnn.transforms import v2
    >>> v2.RandomZoomOut(side_range=(2.0, 2.0), p=1.0)(minicnn.rand(3, 8, 8)).shape
    minicnn.Size([3, 16, 16])
    """

    def __init__(self, fill: Any = 0, side_range: Sequence[float] = (1.0, 4.0), p: float = 0.5) -> None:
        self.p, self.fill = probability("RandomZoomOut", p), fill
        self.side_range = _range("RandomZoomOut", "side_range", side_range, 1.0)

    def forward(self, image: AnyImage) -> AnyImage:
        """A PIL image or a Tensor (..., C, H, W)."""
        generator = sample_generator()
        height, width = spatial_size("RandomZoomOut", sample("RandomZoomOut", image))
        if generator.random() >= self.p:
            return image
        ratio = float(generator.uniform(*self.side_range))
        more_w, more_h = int(width * ratio) - width, int(height * ratio) - height
        left, top = int(more_w * generator.random()), int(more_h * generator.random())
        return pad(image, [left, top, more_w - left, more_h - top], self.fill)

    def __repr__(self) -> str:
        return f"RandomZoomOut(p={self.p}, fill={self.fill}, side_range={self.side_range})"


def _range(name: str, what: str, limits: Sequence[float], low: float) -> tuple[float, float]:
    found = [float(real(limit, name, what)) for limit in limits] if isinstance(limits, Sequence) else []
    if len(found) != 2 or not (low <= found[0] <= found[1] < float("inf") and found[1] > 0):
        raise ValueError(f"{name}: {what} should be (least, most), at least {low}, got {shown(limits)}")
    return found[0], found[1]
