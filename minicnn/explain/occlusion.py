"""Occlusion: what a net says if a part of the image is covered.

M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", 2013, https://arxiv.org/abs/1311.2901.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.geometry import IntOrPair, ShapeError

from ..autograd import no_grad
from ..nn import Module
from ..tensor import Tensor
from .scores import Target, chosen, evaluating, targets

BATCH = 64  # as many covered images are computed together


def occlusion(
    model: Module, x: Tensor, target: Target = None, *, window: IntOrPair = 8, stride: IntOrPair | None = None,
    baseline: float = 0.0, progress: bool = False,
) -> Tensor:  # fmt: skip
    """How much the score of a class falls if a window of the image, in all channels, is covered.

    Each pixel gets the mean of S(x) - S(covered x) over all windows that cover it. Windows begin at multiples of the
    stride; the last ones end with the image.

    Args:
        window: (height, width) of the window in pixels, or one number for both.
        stride: how far windows are apart; None: half a window.
        baseline: the number that covers.
        progress: show how far it is, on stderr.

    Returns:
        A tensor of the shape of x, the same in all channels.

    Raises:
        ShapeError: x is not (N, C, H, W), or the window is larger than the image.

    Other arguments, and errors: `attribution.saliency`.

    >>> from minicnn.explain import occlusion
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    >>> _ = net[1].weight.data.copy_(minicnn.tensor([[1., 2., 3., 4.]]))
    >>> occlusion(net, minicnn.ones(1, 1, 2, 2), window=1)
    tensor([[[[1., 2.],
              [3., 4.]]]])
    """
    x = x.detach()
    if x.ndim != 4:
        raise ShapeError(f"occlusion: x must be (N, C, H, W), got shape {tuple(x.shape)}")
    size = geometry.pair(window, "occlusion", "window", 1)
    step = (
        (max(1, size[0] // 2), max(1, size[1] // 2)) if stride is None
        else geometry.pair(stride, "occlusion", "stride", 1)
    )  # fmt: skip
    height, width = x.shape[2:]
    if size[0] > height or size[1] > width:
        raise ShapeError(f"occlusion: the window {size} must not be larger than the image {(height, width)}")
    rows, columns = (
        [k * s for k in range(math.ceil((n - w) / s) + 1)]
        for n, w, s in ((height, size[0], step[0]), (width, size[1], step[1]))
    )
    places = [(p, q) for p in rows for q in columns]
    total, count = x.new_zeros(x.shape), x.new_zeros((1, 1, height, width))
    with evaluating("occlusion", model), no_grad():
        classes = targets("occlusion", model, x, target)
        before = chosen("occlusion", model(x), classes)
        each = max(1, BATCH // max(1, len(x)))
        for start in range(0, len(places), each):
            some = places[start : start + each]
            covered = x.unsqueeze(0).repeat(len(some), 1, 1, 1, 1)
            for k, (p, q) in enumerate(some):
                covered[k, :, :, p : p + size[0], q : q + size[1]] = baseline
            flat = covered.reshape(-1, *x.shape[1:])
            after = chosen("occlusion", model(flat), np.tile(classes, len(some)))
            falls = before - after.reshape(len(some), -1)
            for k, (p, q) in enumerate(some):
                total[:, :, p : p + size[0], q : q + size[1]] += falls[k].reshape(-1, 1, 1, 1)
                count[:, :, p : p + size[0], q : q + size[1]] += 1
            if progress:
                done = start + len(some)
                print(
                    f"\roccluded {done:,} of {len(places):,}", end="\n" if done == len(places) else "", file=sys.stderr
                )
    return total / count.clamp(min=1)
