"""Loss and accuracy along a line through the weights: why training follows the cross entropy and not the accuracy.

Accuracy counts, so it is constant between jumps: its gradient is 0 nearly everywhere, and no gradient descent can
follow it. Cross entropy changes with every weight, smoothly, and is low where the accuracy is high.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minicnn_kernels.geometry import whole

from ..autograd import no_grad
from ..nn import Module
from ..nn import functional as F
from ..nn.module import check_module
from ..tensor import Array, Tensor
from .evaluation import evaluating
from .metrics import accuracy


class LineScan(NamedTuple):
    """Loss and accuracy at places of a line.

    Attributes:
        distances: t, how far from the present weights in lengths of the direction, (points,).
        losses: the mean cross entropy, (points,).
        accuracies: from 0 to 1, (points,).
    """

    distances: Array
    losses: Array
    accuracies: Array


@no_grad()
def line_scan(
    model: Module, images: Tensor, targets: Tensor, direction: dict[str, Tensor], reach: float = 1.0, points: int = 101
) -> LineScan:
    """Move the weights along a direction, w + t d for t from -reach to reach, and measure; then move them back.

    Args:
        model: the net; it is measured in evaluation mode.
        images, targets: a batch and its classes, (N,).
        direction: d, a tensor for each parameter that is moved, by its name.
        reach: the largest t.
        points: how many places; with an odd number the present weights are one of them.

    Raises:
        ValueError: there is no direction, a name is no parameter, a shape does not fit, or reach is not above 0.

    >>> net = nn.Linear(1, 2, bias=False)
    >>> _ = net.weight.data.zero_()
    >>> direction = {"weight": minicnn.tensor([[-1.], [1.]])}  # towards class 1 for positive numbers
    >>> found = minicnn.train.line_scan(net, minicnn.tensor([[2.]]), minicnn.tensor([1]), direction, points=3)
    >>> found.accuracies, found.losses.round(3)
    (array([0., 0., 1.]), array([4.018, 0.693, 0.018]))
    """
    op = "line_scan"
    check_module(op, model)
    count = whole(points, op, "points", 2)
    if not 0 < reach < math.inf:
        raise ValueError(f"{op}: reach must be above 0, got {reach}")
    if not direction:
        raise ValueError(f"{op}: there is no direction; give a tensor for each parameter that is moved, by its name")
    named = dict(model.named_parameters())
    for name, d in direction.items():
        if name not in named:
            raise ValueError(f"{op}: the net has no parameter {name!r}; it has {', '.join(list(named)[:8])}")
        if not isinstance(d, Tensor) or d.shape != named[name].shape:
            got = f"the shape {d.shape}" if isinstance(d, Tensor) else f"a {type(d).__name__}"
            raise ValueError(
                f"{op}: the direction of {name} must be a tensor of the shape {named[name].shape}, as the parameter, "
                f"got {got}"
            )
    start = {name: named[name].detach().clone() for name in direction}
    distances = np.linspace(-reach, reach, count)
    losses, accuracies = [], []
    try:
        with evaluating(model):
            for t in distances:
                for name, d in direction.items():
                    named[name].copy_(start[name] + float(t) * d)
                scores = model(images)
                losses.append(F.cross_entropy(scores, targets).item())
                accuracies.append(accuracy(scores, targets)[0])
    finally:
        for name, value in start.items():
            named[name].copy_(value)
    return LineScan(distances, np.array(losses), np.array(accuracies))
