"""A loss or gradient that is NaN, infinite or absurdly large: noticed before it reaches the weights, and explained."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import on_gpu

from ..autograd import AnomalyError, detect_anomaly
from ..nn import Module
from ..optim import Optimizer
from ..random import fork_rng, set_rng_state
from ..tensor import Array
from .metrics import Running
from .progress import Epoch

ABSURD = 10.0  # a mean loss this many times that of the untrained net, or 1 if that is more, is a diverged training


class DivergedError(RuntimeError):
    """The loss or a gradient became NaN, infinite or absurdly large.

    The message names the epoch, the step, the learning rate, where possible the operation and the layer, and remedies.
    """


def check_step(
    model: Module, optimizer: Optimizer, running: Running, repeat: Callable[[], Any] | None, chance: Any, epoch: int
) -> None:  # fmt: skip
    """Raise a DivergedError if the loss of the step or a gradient is not finite; the weights are still good then.

    Gradients on a GPU are not looked at, since the program would have to wait for them: the next losses tell.

    Args:
        model: the net.
        optimizer: has the parameters whose gradients were computed.
        running: the sums of the epoch, which has counted the loss of the step.
        repeat: computes the step's loss again, and its gradients, to find out which operation is at fault; None: only
            the losses are checked, which have just been fetched.
        chance: the state of the random numbers before the step.
        epoch: of this step, from 1.
    """
    what, step = "", running.batches
    if running.diverged:
        step, loss = running.diverged
        what = f"the loss is {loss}"
    elif repeat is not None and (bad := _bad_gradient(model, optimizer)) is not None:
        what = f"the loss is finite, but the gradient of {bad} is not"
    if what:
        here = repeat is not None and step == running.batches and not any(on_gpu(p.array) for p in model.parameters())
        found = _cause(optimizer, repeat, chance) if here and repeat is not None else ""
        raise DivergedError(f"train: {what} at epoch {epoch}, step {step}, {advice(optimizer, found)}")


def _bad_gradient(model: Module, optimizer: Optimizer) -> str | None:
    """The name of a parameter whose gradient is not finite; None if all are."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is not None and not _finite(p.grad.array):
                return next((name for name, one in model.named_parameters() if one is p), "a parameter")
    return None


def _finite(array: Array) -> bool:
    """Whether all numbers are finite. Their squares are summed first, which takes one pass and no memory."""
    if on_gpu(array) or not array.size:
        return True
    flat = array.ravel(order="K")  # (elements,)
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(np.dot(flat, flat)) or bool(np.isfinite(flat).all())


def _cause(optimizer: Optimizer, repeat: Callable[[], Any], chance: Any) -> str:
    """What a repetition of the step under `detect_anomaly` finds: the operation, the layer and the line."""
    try:
        with fork_rng(), detect_anomaly():
            set_rng_state(chance)
            optimizer.zero_grad()
            repeat()
    except AnomalyError as error:
        return re.sub(r", called at .*? \((?=all its|input)", " (", str(error).removeprefix("detect_anomaly: "))
    return ""


def absurd(last: Epoch, first: float) -> str:
    """The text of the error for an epoch whose mean loss is finite but far too large; empty for other epochs.

    Args:
        last: the epoch.
        first: the loss of the first step, before any weight had changed.
    """
    if abs(last.train_loss) <= ABSURD * max(abs(first), 1.0):
        return ""
    return (
        f"the mean loss of epoch {last.epoch} is {last.train_loss:.4g}, and before training it was {first:.4g}: the "
        "weights have diverged"
    )


def advice(optimizer: Optimizer, found: str = "") -> str:
    """What to try when training diverges, as text; `found` says which operation is at fault, if that is known."""
    rates = sorted({float(group["lr"]) for group in optimizer.param_groups})
    shown, smaller = ", ".join(f"{rate:g}" for rate in rates), f"{rates[-1] / 10:g}"
    where = f": {found}" if found else ""
    more = "" if found else "; or find the operation by training inside minicnn.autograd.detect_anomaly()"
    return (
        f"with learning rate {shown}{where}. Try a smaller one, such as {smaller}"
        f"{', or better 0.1' if rates[-1] > 1 else ''}, or a warm-up, or clip the gradients (clip_norm); check that "
        f"the images hold no NaN{more}"
    )
