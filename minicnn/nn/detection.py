"""Parts of detectors, under torchvision's names: a pyramid of features, and what takes the features in boxes."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minicnn_kernels.geometry import IntOrPair, pair

from ..ops.boxes import box_area
from ..ops.interpolate import interpolate
from ..ops.pooling import max_pool2d
from ..ops.roi import Boxes, boxes_with_image, ps_roi_align, roi_align, roi_pool
from ..ops.tensor.concatenate import cat
from ..tensor import Tensor
from . import init
from .activation import ReLU
from .blocks import Conv2dNormActivation
from .container import ModuleList
from .conv import Conv2d
from .module import Module

__all__ = [
    "ExtraFPNBlock", "FeaturePyramidNetwork", "LastLevelMaxPool", "LastLevelP6P7", "MultiScaleRoIAlign", "PSRoIAlign",
    "RoIAlign", "RoIPool",
]  # fmt: skip


class _OfBoxes(Module):
    """A module for a function of features and boxes; `options` are the attributes that it is called with."""

    function: Callable[..., Tensor]
    options: tuple[str, ...]

    def forward(self, input: Tensor, rois: Boxes) -> Tensor:
        """Return the features of each box, of one size."""
        return type(self).function(input, rois, *(getattr(self, name) for name in self.options))

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={getattr(self, name)}" for name in self.options)
        return f"{type(self).__name__}({options})"


class RoIAlign(_OfBoxes):
    """`ops.roi_align` as a layer.

    >>> from minicnn.ops import RoIAlign
    >>> RoIAlign(7, spatial_scale=1 / 16, sampling_ratio=2)(minicnn.rand(2, 8, 9, 9), minicnn.zeros(5, 5)).shape
    minicnn.Size([5, 8, 7, 7])
    """

    function, options = roi_align, ("output_size", "spatial_scale", "sampling_ratio", "aligned")

    def __init__(
        self, output_size: IntOrPair, spatial_scale: float, sampling_ratio: int, aligned: bool = False
    ) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale
        self.sampling_ratio, self.aligned = sampling_ratio, aligned


class PSRoIAlign(_OfBoxes):
    """`ops.ps_roi_align` as a layer.

    >>> from minicnn.ops import PSRoIAlign
    >>> PSRoIAlign(2, spatial_scale=1, sampling_ratio=2)(minicnn.rand(2, 8, 9, 9), minicnn.zeros(5, 5)).shape
    minicnn.Size([5, 2, 2, 2])
    """

    function, options = ps_roi_align, ("output_size", "spatial_scale", "sampling_ratio")

    def __init__(self, output_size: IntOrPair, spatial_scale: float, sampling_ratio: int) -> None:
        super().__init__()
        self.output_size, self.spatial_scale, self.sampling_ratio = output_size, spatial_scale, sampling_ratio


class RoIPool(_OfBoxes):
    """`ops.roi_pool` as a layer.

    >>> from minicnn.ops import RoIPool
    >>> RoIPool((3, 2), spatial_scale=1)(minicnn.rand(2, 8, 9, 9), minicnn.zeros(5, 5)).shape
    minicnn.Size([5, 8, 3, 2])
    """

    function, options = roi_pool, ("output_size", "spatial_scale")

    def __init__(self, output_size: IntOrPair, spatial_scale: float) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale


class MultiScaleRoIAlign(Module):
    """`roi_align` on a pyramid, where a large box takes its features from a small map.

    A box of width w and height h takes them from level

        k = floor(k0 + log2(sqrt(w h) / s0)),    k0 = canonical_level, s0 = canonical_scale

    or from the nearest level that there is; level k has 1/2^k of the image's size. T.-Y. Lin et al., "Feature pyramid
    networks for object detection", 2017, https://arxiv.org/abs/1612.03144, equation 1.

    Args:
        featmap_names: the levels of the pyramid that are used, by their names.
        output_size: PH and PW, or one number for both.
        sampling_ratio: as in `roi_align`.
        canonical_scale: s0, the side of a box that belongs to level k0.
        canonical_level: k0.

    >>> from minicnn.ops import MultiScaleRoIAlign
    >>> pyramid = {"a": minicnn.rand(1, 5, 64, 64), "b": minicnn.rand(1, 5, 32, 32)}
    >>> boxes = [minicnn.tensor([[0.0, 0.0, 30.0, 40.0], [0.0, 0.0, 250.0, 200.0]])]
    >>> MultiScaleRoIAlign(["a", "b"], 3, 2)(pyramid, boxes, [(256, 256)]).shape
    minicnn.Size([2, 5, 3, 3])
    """

    def __init__(
        self, featmap_names: list[str], output_size: IntOrPair, sampling_ratio: int, *, canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:  # fmt: skip
        super().__init__()
        self.featmap_names = featmap_names
        self.sampling_ratio = sampling_ratio
        self.output_size = pair(output_size, "MultiScaleRoIAlign", "output_size", least=1)
        self.scales: list[float] | None = None
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def forward(self, x: Mapping[str, Tensor], boxes: list[Tensor], image_shapes: Sequence[tuple[int, int]]) -> Tensor:
        """Return the features (K, C, PH, PW) of all boxes.

        Args:
            x: the levels (N, C, H, W), largest first.
            boxes: for each image the boxes (L, 4), in pixels of the image.
            image_shapes: the heights and widths of the images; the scales of the first call are kept.
        """
        levels = [features for name, features in x.items() if name in self.featmap_names]
        if self.scales is None:
            if not image_shapes:
                raise ValueError("images list should not be empty")
            height = max(shape[0] for shape in image_shapes)
            self.scales = [2.0 ** round(math.log2(level.shape[-2] / height)) for level in levels]
        rois = boxes_with_image("MultiScaleRoIAlign", levels[0], boxes)
        if len(levels) == 1:
            return roi_align(levels[0], rois, self.output_size, self.scales[0], self.sampling_ratio)
        lowest, highest = (-round(math.log2(scale)) for scale in (self.scales[0], self.scales[-1]))
        k = (self.canonical_level + (box_area(rois[:, 1:]).sqrt() / self.canonical_scale).log2() + 1e-6).floor()
        k = k.clamp(lowest, highest).long() - lowest
        parts, places = [], []
        for number, (level, scale) in enumerate(zip(levels, self.scales, strict=True)):
            here = (k == number).nonzero(as_tuple=True)[0]
            places.append(here)
            parts.append(roi_align(level, rois[here], self.output_size, scale, self.sampling_ratio))
        return cat(parts)[cat(places).argsort()]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio})"
        )


class ExtraFPNBlock(Module):
    """What adds levels to a pyramid: a subclass has `forward(results, x, names) -> (results, names)`.

    `results` are the pyramid's features, `x` what the pyramid was built from, largest first.
    """

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        """Return all levels and their names."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: it returns the levels and their names")


class FeaturePyramidNetwork(Module):
    """Features of several sizes with the same number of channels, in which small maps are added to larger ones.

    From the smallest to the largest map x_i: p_i = inner_i(x_i) + (p_{i+1}, enlarged); the result is layer_i(p_i).
    `inner` is a 1x1 convolution, `layer` a 3x3 one. The paper is that of `MultiScaleRoIAlign`.

    Args:
        in_channels_list: the channels of the maps.
        out_channels: the channels of the results.
        extra_blocks: adds levels at the end.
        norm_layer: a normalisation after each convolution.

    >>> from minicnn.ops import FeaturePyramidNetwork
    >>> fpn = FeaturePyramidNetwork([10, 20], 5)
    >>> y = fpn({"a": minicnn.rand(1, 10, 8, 8), "b": minicnn.rand(1, 20, 4, 4)})
    >>> {name: tuple(level.shape) for name, level in y.items()}
    {'a': (1, 5, 8, 8), 'b': (1, 5, 4, 4)}
    """

    _version = 2

    def __init__(
        self, in_channels_list: list[int], out_channels: int, extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., Module] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.inner_blocks, self.layer_blocks = ModuleList(), ModuleList()
        options: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": None}
        for channels in in_channels_list:
            if channels == 0:
                raise ValueError("in_channels=0 is currently not supported")
            self.inner_blocks.append(Conv2dNormActivation(channels, out_channels, 1, padding=0, **options))
            self.layer_blocks.append(Conv2dNormActivation(out_channels, out_channels, 3, **options))
        for module in self.modules():
            if isinstance(module, Conv2d):
                _start(module)
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            raise TypeError(f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}")
        self.extra_blocks = extra_blocks

    def forward(self, x: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the levels, largest first, under the names of the maps."""
        names, maps = list(x), list(x.values())
        below: Tensor | None = None
        results: list[Tensor] = []
        for map, inner, layer in reversed(list(zip(maps, self.inner_blocks, self.layer_blocks, strict=False))):
            level = inner(map)
            if below is not None:
                level = level + interpolate(below, size=tuple(level.shape[-2:]), mode="nearest")
            results.insert(0, layer(level))
            below = level
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=False))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: Any, *rest: Any) -> None:
        """Read also the names of the first version, whose blocks were convolutions without a container."""
        if (local_metadata.get("version") or 1) < 2:
            for block in ("inner_blocks", "layer_blocks"):
                for number in range(len(self.inner_blocks)):
                    for part in ("weight", "bias"):
                        old = f"{prefix}{block}.{number}.{part}"
                        if old in state_dict:
                            state_dict[f"{prefix}{block}.{number}.0.{part}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


def _start(convolution: Conv2d) -> None:
    init.kaiming_uniform_(convolution.weight, a=1)
    if convolution.bias is not None:
        init.zeros_(convolution.bias)


class LastLevelMaxPool(ExtraFPNBlock):
    """A further level, "pool": each second row and column of the smallest.

    >>> from minicnn.ops.feature_pyramid_network import LastLevelMaxPool
    >>> levels, names = LastLevelMaxPool()([minicnn.rand(1, 5, 8, 8)], [], ["a"])
    >>> names, levels[-1].shape
    (['a', 'pool'], minicnn.Size([1, 5, 4, 4]))
    """

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        """Append the level and its name."""
        return [*results, max_pool2d(results[-1], 1, 2)], [*names, "pool"]


class LastLevelP6P7(ExtraFPNBlock):
    """Two further levels, "p6" and "p7", by convolutions with stride 2: those of RetinaNet.

    The first one takes the smallest level, or the map that it was built from if `in_channels` differs from
    `out_channels`.

    >>> from minicnn.ops.feature_pyramid_network import LastLevelP6P7
    >>> levels, names = LastLevelP6P7(5, 5)([minicnn.rand(1, 5, 8, 8)], [minicnn.rand(1, 9, 8, 8)], ["a"])
    >>> names, [tuple(level.shape[2:]) for level in levels]
    (['a', 'p6', 'p7'], [(8, 8), (4, 4), (2, 2)])
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = Conv2d(out_channels, out_channels, 3, 2, 1)
        self.use_P5 = in_channels == out_channels
        for convolution in (self.p6, self.p7):
            _start(convolution)

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        """Append the levels and their names."""
        p6 = self.p6((results if self.use_P5 else x)[-1])
        return [*results, p6, self.p7(ReLU()(p6))], [*names, "p6", "p7"]
