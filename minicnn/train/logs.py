"""The results of epochs as curves in TensorBoard; the run folder's metrics.csv has the same numbers as a table."""

from __future__ import annotations

import math
from typing import Any

from ..nn import Module

__all__ = ["log_epoch"]


def log_epoch(writer: Any, epoch: Any, model: Module | None = None) -> None:
    """Write what an epoch has given to a `minicnn.utils.tensorboard.SummaryWriter`, at the step of its number.

    Loss and accuracy become the curves "loss/train", "loss/val", "top1/train", "top1/val"; the rest "epoch/lr",
    "epoch/seconds" and "epoch/images_per_second".

    Args:
        writer: the writer; any object with `add_scalar` and `add_histogram`.
        epoch: an `Epoch`.
        model: also write histograms of its parameters, as "weights/NAME", and of their gradients, "gradients/NAME".

    >>> class Printer:
    ...     def add_scalar(self, tag, value, step):
    ...         print(tag, value, step)
    >>> from typing import NamedTuple
    >>> class Row(NamedTuple):
    ...     epoch: int
    ...     train_loss: float
    ...     seconds: float
    >>> minicnn.train.log_epoch(Printer(), Row(3, 0.25, 1.5))
    loss/train 0.25 3
    epoch/seconds 1.5 3
    """
    for name, value in epoch._asdict().items():
        part, _, what = name.partition("_")
        if name != "epoch" and value is not None and not math.isnan(value):  # there may be no validation
            tag = f"{what}/{part}" if part in ("train", "val", "test") else f"epoch/{name}"
            writer.add_scalar(tag, value, epoch.epoch)
    for name, parameter in model.named_parameters() if model is not None else ():
        writer.add_histogram(f"weights/{name}", parameter, epoch.epoch)
        if parameter.grad is not None:
            writer.add_histogram(f"gradients/{name}", parameter.grad, epoch.epoch)
