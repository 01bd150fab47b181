"""The learning-rate range test: raise the rate in every step, and watch the loss.

L. N. Smith, "Cyclical learning rates for training neural networks", 2017, https://arxiv.org/abs/1506.01186
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.geometry import whole

from ..nn import Module
from ..nn.module import check_module
from ..optim import Optimizer
from ..random import fork_rng
from ..tensor import Array, Tensor
from ..utils.data import DataLoader
from .evaluation import beside_model
from .loop import scores_and_loss

SMOOTHING, WORST = 0.9, 4.0  # of the losses; how many times the lowest smooth loss, if that is positive, ends the test


class LearningRates(NamedTuple):
    """What `find_learning_rate` measured.

    Attributes:
        rates: the learning rate of each step, rising by a constant factor, (steps,).
        losses: the loss of each batch before its step, (steps,).
        smooth: the same as a running mean.
        suggested: a tenth of the rate with the lowest smooth loss: training diverges not far above that.
    """

    rates: Array
    losses: Array
    smooth: Array
    suggested: float


def find_learning_rate(
    model: Module, loader: Iterable[Any], optimizer: Optimizer, loss_fn: Callable[[Tensor, Tensor], Tensor],
    lowest: float = 1e-5, highest: float = 10.0, steps: int = 100,
) -> LearningRates:  # fmt: skip
    """Train for some steps with a rate that rises from `lowest` to `highest`, then undo it all.

    The test ends early when the smooth loss is four times its lowest, or not finite. The net, its modes, the optimiser
    with all that it trains, the program's random numbers and the place of a `DataLoader` in its epochs are then as
    before; groups with different rates keep their proportions.

    Args:
        model: the net.
        loader: gives batches (images, targets); it starts again when it is at its end, so an iterator must be long.
        optimizer: the optimiser that will train, with its momentum and weight decay.
        loss_fn: (scores, targets) -> the batch's mean loss.
        lowest, highest: the first and the last learning rate.
        steps: how many.

    Raises:
        ValueError: the rates do not rise, the loader is empty or does not start again, or the first loss is not finite.

    >>> data = [(minicnn.rand(8, 4), minicnn.arange(8) % 2)]
    >>> net = nn.Linear(4, 2)
    >>> optimizer = minicnn.optim.SGD(net.parameters(), lr=0.1)
    >>> found = minicnn.train.find_learning_rate(net, data, optimizer, nn.CrossEntropyLoss(), 0.001, 1.0, steps=4)
    >>> found.rates.round(4).tolist(), optimizer.param_groups[0]["lr"]
    ([0.001, 0.01, 0.1, 1.0], 0.1)
    """
    op = "find_learning_rate"
    check_module(op, model)
    steps = whole(steps, op, "steps", 2)
    if not 0 < lowest < highest < math.inf:
        raise ValueError(f"{op}: the rates must rise from above 0, got {lowest} to {highest}")
    state = {name: value.clone() for name, value in model.state_dict().items()}
    trained = {id(p): p for p in model.parameters()}
    others = [p for group in optimizer.param_groups for p in group["params"] if id(p) not in trained]  # of a loss, say
    kept = [(p, p.grad, p.detach().clone()) for p in others]
    kept += [(p, p.grad, None) for p in trained.values()]
    modes = [(module, module.training) for module in model.modules()]
    before = copy.deepcopy(optimizer.state_dict())
    own = [float(group["lr"]) for group in optimizer.param_groups]
    shares = [lr / max(own) if max(own) > 0 else 1.0 for lr in own]
    losses: list[float] = []
    smooth: list[float] = []
    try:
        with fork_rng(), loader.place_kept() if isinstance(loader, DataLoader) else nullcontext():
            model.train()
            for rate, (images, targets) in zip(
                np.geomspace(lowest, highest, steps), beside_model(_endless(op, loader), model), strict=False
            ):
                for group, share in zip(optimizer.param_groups, shares, strict=True):
                    group["lr"] = float(rate) * share
                optimizer.zero_grad()
                _, loss = scores_and_loss(model(images), targets, loss_fn)
                losses.append(loss.item())
                smooth.append(_smooth(losses))
                if not smooth[-1] - min(smooth) <= (WORST - 1) * abs(min(smooth)):
                    break
                loss.backward()
                optimizer.step()
    finally:
        model.load_state_dict(state)
        optimizer.load_state_dict(before)
        for parameter, gradient, value in kept:
            parameter.grad = gradient
            if value is not None:
                parameter.data.copy_(value)
        for module, mode in modes:
            module.training = mode
    if not math.isfinite(losses[0]):
        raise ValueError(f"{op}: the loss of the first batch, before any step, is {losses[0]}; check images and net")
    count = len(losses) - (not math.isfinite(losses[-1]))
    rates = np.geomspace(lowest, highest, steps)[:count]
    best = float(rates[int(np.argmin(smooth[:count]))])
    return LearningRates(rates, np.array(losses[:count]), np.array(smooth[:count]), best / 10)


def _endless(op: str, loader: Iterable[Any]) -> Iterator[Any]:
    given = before = 0
    while True:
        for batch in loader:
            given += 1
            yield batch
        if not given:
            raise ValueError(f"{op}: the loader gave no batches")
        if given == before:
            raise ValueError(
                f"{op}: the loader gave {given} batches and does not start again, as iterators do not; give a "
                f"DataLoader or a list of batches, or steps={given}"
            )
        before = given


def _smooth(losses: list[float]) -> float:
    """The mean of all losses so far, each with 0.9 times the weight of the next."""
    weights = SMOOTHING ** np.arange(len(losses))[::-1]
    return float(weights @ losses / weights.sum())
