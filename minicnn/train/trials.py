"""One setting trained with several seeds, so that settings can be compared fairly: a single run is one draw.

Two settings that get the same seeds see the same batches in the same order, whatever their nets draw. What differs from
seed to seed within a setting is chance; a difference between settings that is smaller than that says nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..nn import CrossEntropyLoss, Module
from ..optim import Optimizer
from ..random import Generator, fork_rng, manual_seed
from ..utils.data import DataLoader
from .divergence import DivergedError
from .evaluation import Loss
from .loop import train
from .progress import Epoch
from .recipes.settings import EVAL_BATCH


@dataclass(frozen=True, eq=False)
class Trials:
    """What `train_with_seeds` returns; entry i of each list is of the seed i.

    Attributes:
        seeds: the seeds.
        histories: the finished epochs; fewer than asked for if the training diverged.
        models: the nets as they were at the end.
        diverged: why a training ended early; empty for one that did not.
    """

    seeds: tuple[int, ...]
    histories: list[list[Epoch]]
    models: list[Module]
    diverged: list[str]

    def last(self, what: str) -> list[float]:
        """A field of `Epoch` after the last epoch, for each seed; NaN for a training that diverged."""
        return [
            math.nan if why or not history else float(getattr(history[-1], what))
            for history, why in zip(self.histories, self.diverged, strict=True)
        ]

    def mean(self, what: str) -> list[float]:
        """A field of `Epoch` for each epoch, the mean over the seeds; up to the last epoch that all have finished."""
        return [statistics.fmean(getattr(row, what) for row in rows) for rows in zip(*self.histories, strict=False)]

    @property
    def seconds(self) -> float:
        """The time of all training steps of all seeds together."""
        return sum(row.seconds for history in self.histories for row in history)


def train_with_seeds(
    make_model: Callable[[], Module], make_optimizer: Callable[[Module], Optimizer], train_set: Any, val_set: Any,
    epochs: int, *, seeds: Iterable[int] = (0, 1, 2), batch_size: int = 64, loss_fn: Loss | None = None,
    make_scheduler: Callable[[Optimizer, int], Any] | None = None, schedule_every: str = "step",
    after_epoch: Callable[[Module, list[Epoch]], None] | None = None,
) -> Trials:  # fmt: skip
    """Train fresh nets of one setting, one for each seed, without printing anything.

    A training that diverges is part of the result: its epochs end early. The program's random numbers stay as they
    were.

    Args:
        make_model: makes a net; the seed is set before each call.
        make_optimizer: net -> its optimiser.
        train_set, val_set: datasets of (image, class). Without a val_set, None, its loss and accuracy are NaN.
        epochs: how often each net sees the training set.
        seeds: of start values, order of the images, dropout and augmentation.
        batch_size: of the training images.
        loss_fn: (scores, targets) -> the batch's mean loss; None: cross entropy.
        make_scheduler: (optimiser, number of all steps) -> a schedule; None: the learning rate is constant.
        schedule_every: "step" or "epoch", after which the schedule's `step()` is called.
        after_epoch: called after each epoch with the net and its finished epochs.

    Raises:
        ValueError: a loader gives no batches.
        TypeError: the seeds are no list.

    >>> from minicnn import datasets, nn, optim, transforms
    >>> from minicnn.train import spread, train_with_seeds
    >>> data = datasets.Digits(transform=transforms.ToTensor())
    >>> found = train_with_seeds(
    ...     lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
    ...     lambda net: optim.SGD(net.parameters(), lr=0.1), data, data, epochs=2, seeds=(0, 1))
    >>> len(found.last("val_top1")), [len(history) for history in found.histories]
    (2, [2, 2])
    """
    if not isinstance(seeds, Iterable):
        raise TypeError(f"train_with_seeds: give a list of seeds, such as range({seeds}), not {seeds!r}")
    found = Trials(tuple(seeds), [], [], [])
    loss = loss_fn or CrossEntropyLoss()
    val_loader: DataLoader[Any] | None = None if val_set is None else DataLoader(val_set, EVAL_BATCH)
    for seed in found.seeds:
        with fork_rng():
            manual_seed(seed)
            model = make_model()
            manual_seed(seed)  # as much as the net may have drawn
            loader: DataLoader[Any] = DataLoader(
                train_set, batch_size, shuffle=True, generator=Generator().manual_seed(seed)
            )
            optimizer = make_optimizer(model)
            schedule = None if make_scheduler is None else make_scheduler(optimizer, epochs * len(loader))
            history: list[Epoch] = []
            why = _run(
                model, loader, val_loader, optimizer, loss, epochs, schedule, schedule_every, history, after_epoch
            )
        found.histories.append(history)
        found.models.append(model)
        found.diverged.append(why)
    return found


def _run(
    model: Module, loader: Any, val_loader: Any, optimizer: Optimizer, loss: Loss, epochs: int, schedule: Any,
    every: str, history: list[Epoch], after_epoch: Callable[[Module, list[Epoch]], None] | None,
) -> str:  # fmt: skip
    """Train one net and fill `history`; why it diverged, or an empty text."""

    def keep(epochs_so_far: list[Epoch]) -> None:
        history.append(epochs_so_far[-1])
        if after_epoch is not None:
            after_epoch(model, history)

    try:
        train(
            model, loader, val_loader, optimizer, loss, epochs, save=keep, scheduler=schedule, schedule_every=every,
            quiet=True,
        )  # fmt: skip
    except DivergedError as error:
        return str(error)
    return ""


def spread(values: Sequence[float], digits: int = 1, scale: float = 1.0) -> str:
    """The mean, and the range in brackets: "61.2 (60.1 to 62.4)"; "diverged" if a value is NaN.

    Args:
        values: one for each seed; a single one is shown without a range.
        digits: after the point.
        scale: a factor, such as 100 for percentages.

    Raises:
        ValueError: there are no values.
    """
    if not len(values):
        raise ValueError("spread: there are no values")
    shown = [scale * value for value in values]
    if any(math.isnan(value) for value in shown):
        return "diverged"
    mean = f"{statistics.fmean(shown):.{digits}f}"
    return mean if len(shown) == 1 else f"{mean} ({min(shown):.{digits}f} to {max(shown):.{digits}f})"
