"""An exponential moving average (EMA) of a net's weights in training; it often does better than the last weights.

B. T. Polyak, A. B. Juditsky, "Acceleration of stochastic approximation by averaging", 1992,
https://doi.org/10.1137/0330046
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from minicnn_kernels.geometry import real

from ..autograd import no_grad
from ..nn import Module
from ..nn.module import check_module
from ..optim.swa_utils import AveragedModel
from ..tensor import Tensor


class ExponentialAverage(AveragedModel):
    """A copy of a net whose weights follow those of the net in training, a <- d a + (1 - d) w after each step.

    The weights of the last 1/(1 - d) steps count most: 1,000 steps with the decay d = 0.999. In the first steps there
    are no such many weights, so d is at most (1 + n) / (10 + n) after n updates, unless `warmup` is False: otherwise
    the random weights of the start would stay in the average for thousands of steps. Buffers of real numbers, such as
    the running mean and variance of batch normalisation, are averaged too; others are copied.

    Use it as a net: `evaluate(average, loader, loss_fn)`. `average.module` is the averaged net itself. The `state_dict`
    is all it needs to go on later. The average is `AveragedModel` of `optim.swa_utils` with these rules.

    Args:
        model: the net that is trained; it stays as it is.
        decay: d, from 0 (a copy of the last weights) to below 1.
        warmup: whether d is smaller in the first steps.

    Raises:
        ValueError: the decay is outside [0, 1).
        TypeError: the model is no net, or the decay no number.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> average = minicnn.train.ExponentialAverage(net, decay=0.5, warmup=False)
    >>> for weight in (1.0, 2.0, 4.0):
    ...     _ = net.weight.data.fill_(weight)  # what a step of the optimiser does
    ...     average.update_parameters(net)
    >>> average.module.weight.item()  # 1, then 0.5 * 1 + 0.5 * 2 = 1.5, then 0.5 * 1.5 + 0.5 * 4
    2.75
    """

    def __init__(self, model: Module, decay: float = 0.999, warmup: bool = True) -> None:
        check_module("ExponentialAverage", model)
        if not 0 <= real(decay, "ExponentialAverage", "decay") < 1:
            raise ValueError(f"ExponentialAverage: the decay must be from 0 to below 1, such as 0.999, got {decay}")
        super().__init__(model, multi_avg_fn=partial(_average, float(decay), bool(warmup)), use_buffers=True)
        self.module.requires_grad_(False)
        self.eval()


@no_grad()
def _average(decay: float, warmup: bool, averages: Sequence[Tensor], currents: Sequence[Tensor], updates: Any) -> None:
    """Move averages towards the current values, in place."""
    n = int(updates)
    d = min(decay, (1 + n) / (10 + n)) if warmup else decay
    for average, current in zip(averages, currents, strict=True):
        if average.is_floating_point():
            average.lerp_(current, 1 - d)
        else:
            average.copy_(current)
