"""The first step of a training, rehearsed: so all its kernels are compiled before it, on all cores at once."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minicnn_kernels import ahead

from ..nn import Module
from ..nn.utils import clip_grad_norm_
from ..optim import Optimizer
from ..random import fork_rng
from ..tensor import Tensor
from .evaluation import Loss, evaluate
from .loop import scores_and_loss

Batches = Iterable[tuple[Tensor, Tensor]]


def warmup(
    model: Module, train: Batches, val: Batches | None = None, *, loss_fn: Loss, optimizer: Optimizer,
    step: Callable[[Module, Optimizer, Tensor, Tensor], Any] | None = None, name: str = "",
) -> int:  # fmt: skip
    """Compile all kernels that training and evaluation need, on all cores, if their machine code is not on disk yet.

    A step is taken with copies of the net and of the optimiser, with kernels that do nothing but say their names. So
    the net, the optimiser and the program's random numbers stay as they are.

    Args:
        model: the net.
        train: batches (images, targets) as in training; one is enough, if all have the same size.
        val: batches as in evaluation; None: it is not needed.
        loss_fn: (scores, targets) -> the batch's mean loss.
        optimizer: of the net's parameters.
        step: a training step (net, optimiser, images, targets), for steps that do more than those of `train`.
        name: what is trained; under a name that was used before on this machine, nothing is done.

    Returns:
        How many kernels were compiled.

    >>> net = nn.Linear(4, 3)
    >>> batch = minicnn.randn(2, 4), minicnn.tensor([0, 2])
    >>> optimizer = minicnn.optim.SGD(net.parameters(), lr=0.1)
    >>> _ = minicnn.train.warmup(net, [batch], loss_fn=nn.CrossEntropyLoss(), optimizer=optimizer)
    """
    if name and ahead.is_done(name):
        return 0
    take = step or (lambda net, optimizer, images, targets: plain_step(net, optimizer, images, targets, loss_fn))
    with warnings.catch_warnings(), np.errstate(all="ignore"), fork_rng(), ahead.compiled(name) as done:
        warnings.simplefilter("ignore")  # the results are whatever the memory held
        net, its_optimizer = copy.deepcopy((model, optimizer))
        net.train()
        for images, targets in train:
            take(net, its_optimizer, images, targets)
        if val is not None:
            evaluate(net, val, loss_fn)
    return done[0]


def plain_step(
    net: Module, optimizer: Optimizer, images: Tensor, targets: Tensor, loss_fn: Loss, clip_norm: float | None = None
) -> None:
    """A training step, as in `train`."""
    optimizer.zero_grad()
    scores_and_loss(net(images), targets, loss_fn)[1].backward()
    if clip_norm is not None:
        clip_grad_norm_(net.parameters(), clip_norm)
    optimizer.step()
