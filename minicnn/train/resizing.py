"""Progressive resizing: train on small images first, which is fast, and on large ones at the end.

A net whose classifier follows an adaptive or global pooling takes images of any size; its filters stay useful, as edges
look alike in both. fast.ai's entries to the DAWNBench competition of 2018 made it known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from minicnn_kernels.geometry import whole

from ..analysis.trace import trace
from ..nn import Conv2d, Module
from ..nn import functional as F
from ..nn.module import check_module
from ..tensor import Tensor

_ROUNDING = 1e-6  # of a step: 0.7 * 10 is 7.000000000000001


class ProgressiveResizing:
    """Resizes each batch of training images to the size of its time; use it as the `batch_transform` of `train`.

    Resizing is bilinear, with antialiasing where images become smaller. It counts its calls: one for each step.

    Args:
        stages: pairs (share of the training, side in pixels): from which share of the steps on the images have this
            size. The first share is 0. The side None leaves the images as they are.
        steps: of the whole training, epochs times batches.

    Attributes:
        done: the steps so far.

    Raises:
        ValueError: the shares do not rise from 0 to below 1, or there are no stages or steps.

    >>> resize = minicnn.train.ProgressiveResizing(((0, 16), (0.5, 24), (0.75, None)), steps=4)
    >>> [resize(minicnn.zeros(1, 3, 32, 32), None)[0].shape[-1] for _ in range(4)]
    [16, 16, 24, 32]
    """

    def __init__(self, stages: Iterable[Sequence[Any]], steps: int) -> None:
        op = "ProgressiveResizing"
        self.steps = whole(steps, op, "steps", 1)
        self.stages = [(float(share), None if side is None else whole(side, op, "side", 1)) for share, side in stages]
        shares = [share for share, _ in self.stages]
        rising = all(a < b for a, b in pairwise(shares))
        if not shares or shares[0] != 0 or not rising or not shares[-1] < 1:
            raise ValueError(
                f"{op}: the shares must rise from 0 to below 1, such as ((0, 16), (0.5, 24), (0.8, 32)), got {shares}"
            )
        self.done = 0

    @property
    def side(self) -> int | None:
        """Height and width of the images in the next step; None: as they are."""
        return [side for share, side in self.stages if self.done >= share * self.steps - _ROUNDING][-1]

    def __call__(self, images: Tensor, targets: Any) -> tuple[Tensor, Any]:
        """(N, C, H, W) -> (N, C, side, side), and the targets as they are."""
        side = self.side
        self.done += 1
        return (images if side is None else resized(images, side)), targets

    def state_dict(self) -> dict[str, int]:
        """The steps so far."""
        return {"done": self.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after some steps.

        Raises:
            ValueError: it is no state of `state_dict`.
        """
        if set(state) != {"done"}:
            raise ValueError(f"ProgressiveResizing: expected a state with the entry done, got {state!r}")
        self.done = whole(state["done"], "ProgressiveResizing", "done", 0)


def resized(images: Tensor, side: int) -> Tensor:
    """Images (N, C, H, W) as (N, C, side, side): bilinear, with antialiasing where they become smaller.

    >>> minicnn.train.resized(minicnn.tensor([[[[0., 0.], [4., 4.]]]]), 1)
    tensor([[[[2.]]]])
    """
    if tuple(images.shape[-2:]) == (side, side):
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


def check_sizes(model: Module, sides: Iterable[int], channels: int | None = None) -> None:
    """Check, on shapes alone, that a net takes square images of some sizes, and gives as many scores for each.

    Args:
        model: the net.
        sides: heights and widths in pixels.
        channels: of the images; None: those of the net's first convolution.

    Raises:
        ValueError: it does not; the message says at which size, and why.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    >>> minicnn.train.check_sizes(net, [16, 24, 32])
    """
    op = "check_sizes"
    check_module(op, model)
    if channels is None:
        found = (m.in_channels for m in model.modules() if isinstance(m, Conv2d))
        channels = next(found, None)
        if channels is None:
            raise ValueError(f"{op}: the net has no convolution, so say how many channels the images have: channels=3")
    name = type(model).__name__
    shapes = {}
    for side in sides:
        graph = trace(model, (channels, side, side), op=op)
        if graph.error is not None:
            raise ValueError(
                f"{op}: the {name} does not take images of {side}x{side}: {graph.error}. Nets that end with an "
                "adaptive pooling take any size: put nn.AdaptiveAvgPool2d before the first Linear layer, or choose "
                "such a net, for example resnet20; or train with one size"
            ) from graph.error
        shapes[side] = graph.outputs[0].shape[1:]
    if len(set(shapes.values())) > 1:
        shown = ", ".join(f"{shape} for {side}x{side}" for side, shape in shapes.items())
        raise ValueError(
            f"{op}: the {name} gives other scores for other sizes, {shown} for each image; put nn.AdaptiveAvgPool2d(1) "
            "before its classifier"
        )
