"""Images that a net makes: what excites a unit, and what a net adds to a picture.

Both are gradient ascent on the input: x <- x + rate g/|g|, with g the gradient of an activation with respect to x. The
net runs in evaluation mode and is left as it was.

D. Erhan et al., "Visualizing higher-layer features of a deep network", 2009; A. Mordvintsev, C. Olah, M. Tyka,
"Inceptionism: going deeper into neural networks", 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minicnn_kernels import geometry
from minicnn_kernels.geometry import ShapeError, shown

from ..autograd import enable_grad, grad
from ..nn import Module
from ..nn import functional as F
from ..ops.tensor.sampling import randn
from ..tensor import Tensor
from .attribution import layer_of
from .scores import evaluating


def maximize_activation(
    model: Module, layer: Module | str, channel: int, input_size: Sequence[int], *, steps: int = 100,
    rate: float = 0.1, decay: float = 0.01, smooth: bool = True,
) -> Tensor:  # fmt: skip
    """Find an image that excites a channel of a layer: gradient ascent from noise.

        maximize  mean of A_channel(x)  -  decay/2 * mean of x^2

    Args:
        model: the net.
        layer: a layer, or its name as in `named_modules`; its output is (N, C, h, w) or (N, C).
        channel: of that output.
        input_size: (C, H, W) of the image.
        steps: of the ascent.
        rate: how far the first step goes, in the mean absolute value of a pixel; the last one goes almost nowhere.
        decay: keeps pixels small.
        smooth: blur the gradient over 3 x 3 pixels, so that the image does not fall apart into single pixels.
            Each step still goes uphill, but slowly where a unit likes the finest patterns.

    Returns:
        The best image on the way, (1, C, H, W), around 0, on the device of the net and of its type. If the net takes
        normalised images, undo that to look at it.

    Raises:
        ValueError: there is no such layer or channel, or the layer is not called.

    >>> from minicnn.explain import maximize_activation
    >>> maximize_activation(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), "0", 2, (3, 8, 8), steps=2).shape
    minicnn.Size([1, 3, 8, 8])
    """
    steps = geometry.whole(steps, "maximize_activation", "steps", 1)
    channel = geometry.whole(channel, "maximize_activation", "channel")

    def goal(maps: Tensor, x: Tensor) -> Tensor:
        if maps.ndim not in (2, 4):
            given = tuple(maps.shape)
            raise ShapeError(f"maximize_activation: the layer must give (N, C) or (N, C, h, w), it gives {given}")
        if not -maps.shape[1] <= channel < maps.shape[1]:
            raise ValueError(f"maximize_activation: there is no channel {channel} among {maps.shape[1]}")
        return maps[:, channel].mean() - (x * x).mean() * (decay / 2)

    x = randn(1, *input_size) * 0.1
    first = next((p for p in model.parameters() if p.dtype.kind == "f"), x)
    x = x.to(first.device, first.dtype)
    with evaluating("maximize_activation", model):
        best, most = x, -math.inf
        for step in range(steps + 1):
            after, value = _step("maximize_activation", model, layer, x, goal, rate * (1 - step / steps), smooth)
            if value > most:
                best, most = x, value
            x = after
    return best


def deep_dream(
    model: Module, x: Tensor, layer: Module | str, *, steps: int = 10, rate: float = 0.05, octaves: int = 3,
    scale: float = 1.4,
) -> Tensor:  # fmt: skip
    """Amplify what a layer sees in an image: gradient ascent on the mean square of its output, at several sizes.

    The image is made smaller `octaves - 1` times by `scale`. From the smallest size on, it is changed by `steps` steps,
    and what was added is brought to the next size.

    Args:
        model: the net; it must take images of other sizes if octaves > 1.
        x: images (N, C, H, W).
        layer: a layer, or its name.
        steps: at each size.
        rate: how far a step goes, in the mean absolute value of a pixel.
        octaves: sizes.
        scale: from one size to the next.

    Returns:
        The images, of the shape of x.

    Raises:
        ValueError: there is no such layer, or it is not called; octaves or scale are out of range.
        ShapeError: x is not (N, C, H, W).

    >>> from minicnn.explain import deep_dream
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    >>> deep_dream(net, minicnn.rand(1, 3, 16, 16), "1", steps=1, octaves=2).shape
    minicnn.Size([1, 3, 16, 16])
    """
    steps, octaves = (geometry.whole(n, "deep_dream", name, 1) for n, name in ((steps, "steps"), (octaves, "octaves")))
    if not (math.isfinite(scale) and scale > 1):
        raise ValueError(f"deep_dream: scale must be above 1, got {scale}")
    if x.ndim != 4:
        raise ShapeError(f"deep_dream: x must be (N, C, H, W), got shape {tuple(x.shape)}")
    original = x.detach()
    height, width = original.shape[2:]
    sizes = [(max(1, round(height / scale**k)), max(1, round(width / scale**k))) for k in reversed(range(octaves))]

    def goal(maps: Tensor, x: Tensor) -> Tensor:
        return (maps * maps).mean()

    added: Tensor | None = None
    with evaluating("deep_dream", model):
        for size in sizes:
            base = original if size == (height, width) else _sized(original, size)
            image = base if added is None else base + _sized(added, size)
            for _ in range(steps):
                image, _ = _step("deep_dream", model, layer, image, goal, rate, smooth=True)
            added = image - base
    return original if added is None else original + added


def _sized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def _step(
    op: str, model: Module, layer: Any, x: Tensor, goal: Callable[[Tensor, Tensor], Tensor], rate: float, smooth: bool
) -> tuple[Tensor, float]:
    """A step uphill, x + rate g/mean|g|, and how high the goal was before it."""
    kept: list[Any] = []

    def keep(module: Module, args: Any, output: Any) -> Any:
        kept.append(output)
        return output.clone() if isinstance(output, Tensor) else None  # a layer after it may write in place

    leaf = x.detach().clone().requires_grad_()
    handle = layer_of(op, model, layer).register_forward_hook(keep)
    try:
        with enable_grad():
            model(leaf)
    finally:
        handle.remove()
    if not kept or not isinstance(kept[-1], Tensor):
        raise ValueError(f"{op}: the net does not call the layer {shown(layer)}, or it gives no tensor")
    with enable_grad():
        height = goal(kept[-1], leaf)
    (found,) = grad(height, leaf)
    assert found is not None
    if smooth:
        found = _blurred(found)
    return (x + found * (rate / (float(found.abs().mean()) + 1e-12))).detach(), height.item()


def _blurred(x: Tensor) -> Tensor:
    """The weighted mean over 3 x 3 pixels, with the weights 1 2 1 along each side; outside of the image is 0.

    That is a mean over 2 x 2 pixels and its transpose, A^T A x, so x and the result never point in opposite directions:
    <x, A^T A x> = |A x|^2. A plain mean over 3 x 3 turns stripes of one pixel around.
    """
    return F.avg_pool2d(F.avg_pool2d(x, 2, 1, 1), 2, 1)
