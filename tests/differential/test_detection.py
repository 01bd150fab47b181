"""torchvision.ops in both libraries: boxes, features in boxes, losses, and the layers of detectors."""

from __future__ import annotations

from collections import OrderedDict
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from differential.scenarios import Scenario, assert_same, double, filled

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
import_module("differential.model_pairs")  # before torchvision
pytest.importorskip("torchvision", reason="torchvision is not installed: pip install torchvision")


def ops(lib: Any) -> Any:
    return import_module("torchvision.ops" if lib is torch else "minicnn.ops")


def boxes(lib: Any, n: int, seed: int = 0, side: float = 20.0) -> Any:
    """Boxes (n, 4) in float64, some of which overlap."""
    draw = np.random.default_rng(seed)
    corner = draw.uniform(-2, side, (n, 2))
    return lib.tensor(np.concatenate([corner, corner + draw.uniform(0.5, side, (n, 2))], 1))


def measured(name: str, *arguments: Any, pairs: bool = False) -> Scenario:
    """A function of two sets of boxes, and its gradients."""

    def scenario(lib: Any) -> Any:
        a, b = boxes(lib, 6).requires_grad_(), boxes(lib, 6 if pairs else 4, 1).requires_grad_()
        y = getattr(ops(lib), name)(a, b, *arguments)
        (y * double(lib, *y.shape)).sum().backward()
        return y, a.grad, b.grad

    return scenario


def converted(lib: Any, given: str, wanted: str) -> Any:
    x = boxes(lib, 5).requires_grad_()
    y = ops(lib).box_convert(x, given, wanted)
    (y * double(lib, 5, 4)).sum().backward()
    return y, x.grad, ops(lib).box_convert(boxes(lib, 4).int().reshape(2, 2, 4), given, wanted)


def masks(lib: Any) -> Any:
    found = lib.zeros(4, 6, 7, dtype=lib.uint8)
    found[0, 2:4, 3:6], found[1, 5, 0], found[2] = 1, 1, 2
    return ops(lib).masks_to_boxes(found), ops(lib).masks_to_boxes(found.bool()[:0])


def aligned(lib: Any, size: Any, scale: float, ratio: int, half: bool, listed: bool = False) -> Any:
    """roi_align and its gradient, on boxes that reach to the border, and one without an area.

    What is more than a pixel outside is left out: there torchvision's two implementations differ.
    """
    x = double(lib, 2, 3, 9, 7).requires_grad_()
    corner, side = 3 * double(lib, 5, 2).sigmoid() - 0.4, 3 * double(lib, 5, 2, seed=1).sigmoid()
    found: Any = lib.cat([corner, corner + side], 1) / scale
    if not half:  # else a box without an area gives 0 / 0 there
        found[4, 2:] = found[4, :2]
    if listed:
        found = [found[:2], found[2:]]
    else:
        found = lib.cat([lib.tensor([[0.0], [1], [1], [0], [1]], dtype=lib.float64), found], 1)
    layer = ops(lib).RoIAlign(size, scale, ratio, half)
    y = layer(x, found)
    (y * double(lib, *y.shape)).sum().backward()
    return y, x.grad, repr(layer)


def pyramid(lib: Any, *, extra: str = "", norm: bool = False) -> Any:
    nn, library = lib.nn, ops(lib)
    blocks = {"": lambda: None, "pool": library.feature_pyramid_network.LastLevelMaxPool,
              "p5": lambda: library.feature_pyramid_network.LastLevelP6P7(4, 4),
              "c5": lambda: library.feature_pyramid_network.LastLevelP6P7(6, 4)}[extra]()  # fmt: skip
    options = {"norm_layer": nn.BatchNorm2d} if norm else {}
    fpn = filled(lib, library.FeaturePyramidNetwork([2, 3, 6], 4, blocks, **options))
    maps = [double(lib, 2, c, *s).requires_grad_() for c, s in ((2, (9, 8)), (3, (5, 4)), (6, (3, 2)))]
    y = fpn(OrderedDict(zip("abc", maps, strict=True)))
    sum((level * double(lib, *level.shape)).sum() for level in y.values()).backward()
    return (
        y,
        [m.grad for m in maps],
        [p.grad for _, p in sorted(fpn.named_parameters())],
        list(fpn.state_dict()),
        repr(fpn),
    )


def of_levels(lib: Any, names: tuple[str, ...] = ("a", "c")) -> Any:
    layer = ops(lib).MultiScaleRoIAlign(list(names), (3, 2), 2)
    maps = {n: double(lib, 2, 3, s, s).requires_grad_() for n, s in (("a", 32), ("b", 16), ("c", 8))}
    where = [boxes(lib, 4, side=60.0) + 2, (boxes(lib, 5, 1, side=120.0) + 2).clamp(0, 120)]
    y = layer(maps, where, [(128, 120), (120, 128)])
    (y * double(lib, *y.shape)).sum().backward()
    return y, [m.grad if m.grad is not None else 0 for m in maps.values()], repr(layer), layer.scales


def focal(lib: Any, **options: Any) -> Any:
    x, t = double(lib, 3, 4).requires_grad_(), (double(lib, 3, 4, seed=1) > 0).double()
    y = ops(lib).sigmoid_focal_loss(x, t, **options)
    y.sum().backward()
    return y, x.grad


@pytest.fixture(autouse=True, scope="module")
def _as_it_is_written() -> None:
    """Let torchvision run its roi_align without compiling it first."""
    module = import_module("torchvision.ops.roi_align")
    if hasattr(module._roi_align, "__wrapped__"):
        module._roi_align = module._roi_align.__wrapped__


FORMS = ("xyxy", "xywh", "cxcywh")
SCENARIOS: dict[str, Scenario] = {
    **{f"box_convert: {a} {b}": lambda lib, a=a, b=b: converted(lib, a, b) for a in FORMS for b in FORMS},
    "box_convert: unknown": lambda lib: ops(lib).box_convert(boxes(lib, 1), "xyxy", "yxyx"),
    "box_area": lambda lib: [ops(lib).box_area(boxes(lib, 5), form) for form in FORMS],
    "box_area: bytes": lambda lib: ops(lib).box_area(lib.tensor([[0, 0, 20, 20]], dtype=lib.uint8)),
    **{f"box_iou: {form}": measured("box_iou", form) for form in FORMS},
    "box_iou: empty": lambda lib: list(ops(lib).box_iou(boxes(lib, 0), boxes(lib, 3)).shape),
    **{name: measured(name) for name in ("generalized_box_iou", "distance_box_iou", "complete_box_iou")},
    **{
        f"{name}: {reduction}": measured(name, reduction, 1e-3, pairs=True)
        for name in ("generalized_box_iou_loss", "distance_box_iou_loss", "complete_box_iou_loss")
        for reduction in ("none", "mean", "sum", "some")
    },
    "clip_boxes_to_image": lambda lib: ops(lib).clip_boxes_to_image(boxes(lib, 6).reshape(2, 3, 4), (12, 9)),
    "remove_small_boxes": lambda lib: ops(lib).remove_small_boxes(boxes(lib, 9), 8),
    "masks_to_boxes": masks,
    **{
        f"roi_align: {size} {scale} {ratio} {half}": lambda lib, a=(size, scale, ratio, half): aligned(lib, *a)
        for size in (2, (3, 4))
        for scale in (1.0, 0.25)
        for ratio in (0, 2, -1)
        for half in (False, True)
    },
    "roi_align: a list": lambda lib: aligned(lib, 3, 0.5, 3, True, listed=True),
    "roi_align: shape": lambda lib: ops(lib).roi_align(double(lib, 1, 1, 4, 4), boxes(lib, 2), 2),
    "MultiScaleRoIAlign": of_levels,
    "MultiScaleRoIAlign: one": lambda lib: of_levels(lib, ("b",)),
    **{f"pyramid: {extra}": lambda lib, extra=extra: pyramid(lib, extra=extra) for extra in ("", "pool", "p5", "c5")},
    "pyramid: normalised": lambda lib: pyramid(lib, norm=True),
    "pyramid: no channels": lambda lib: ops(lib).FeaturePyramidNetwork([0], 2),
    "pyramid: another block": lambda lib: ops(lib).FeaturePyramidNetwork([1], 2, lib.nn.Identity()),
    "sigmoid_focal_loss": focal,
    "sigmoid_focal_loss: mean": lambda lib: focal(lib, alpha=-1, gamma=1.5, reduction="mean"),
    "sigmoid_focal_loss: sum": lambda lib: focal(lib, alpha=0.7, gamma=0, reduction="sum"),
    "sigmoid_focal_loss: alpha": lambda lib: focal(lib, alpha=2),
    "sigmoid_focal_loss: reduction": lambda lib: focal(lib, reduction="all"),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_in_torchvision(name: str) -> None:
    assert_same(SCENARIOS[name], minicnn, torch)
