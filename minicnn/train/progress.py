"""How far a training has come: the finished epochs, the sums of the current one, and what the user sees of it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..optim import Optimizer
from .metrics import Running


class Epoch(NamedTuple):
    """The results of one epoch. The accuracies are from 0 to 1.

    `train_loss` and `train_top1` are averages over the epoch, while the net was changing. So they can be worse than the
    validation results, which are measured with the net at the end of the epoch; these are NaN without a validation set.
    `seconds` and `images_per_second` are of the training part only, `lr` is the learning rate of the last step (of the
    optimiser's first group of parameters).
    """

    epoch: int
    train_loss: float
    train_top1: float
    val_loss: float
    val_top1: float
    seconds: float
    images_per_second: float
    lr: float = math.nan


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """The epoch with the highest validation accuracy; among equals the lowest validation loss, then the first.

    Without validation: the last epoch.

    Raises:
        ValueError: there are no epochs.
    """
    if not history:
        raise ValueError("best_epoch: there is no finished epoch")
    judged = [row for row in history if math.isfinite(row.val_top1)]
    return max(judged, key=lambda row: (row.val_top1, -row.val_loss)) if judged else history[-1]


class Progress:
    """What changes during a training besides the net, its optimiser and the random numbers.

    `train(..., so_far=progress)` continues where `progress` is, and keeps it up to date after every step.

    Attributes:
        history: the finished epochs.
        running: the sums of the current epoch.
        first: the loss of the very first step, before any weight had changed.
        lr: the learning rate of the last step.
        enough: why the training ended before its last epoch, such as early stopping; empty if it did not.
    """

    def __init__(self) -> None:
        self.history: list[Epoch] = []
        self.running = Running()
        self.first, self.lr, self.enough = math.nan, math.nan, ""
        self._seconds, self._since = 0.0, None  # type: float, float | None

    @property
    def epoch(self) -> int:
        """The current epoch, from 1."""
        return len(self.history) + 1

    @property
    def seconds(self) -> float:
        """How long the current epoch has been trained."""
        return self._seconds + (0.0 if self._since is None else time.perf_counter() - self._since)

    def count_step(self, optimizer: Optimizer) -> None:
        """Note the loss of the very first step, and the learning rate of this one."""
        if math.isnan(self.first) and not self.history:
            self.first = self.running.first
        self.lr = float(optimizer.param_groups[0]["lr"])

    @contextmanager
    def clock(self) -> Iterator[None]:
        """Inside the `with` block, the time counts for the current epoch."""
        self._since = time.perf_counter()
        try:
            yield
        finally:
            self._seconds, self._since = self.seconds, None

    def finish(self, val_loss: float, val_top1: float) -> Epoch:
        """End the current epoch, and return its results."""
        done, seconds = self.running, self._seconds
        speed = done.samples / seconds if seconds else math.inf
        row = Epoch(self.epoch, done.loss, done.top1, val_loss, val_top1, seconds, speed, self.lr)
        self.history.append(row)
        self.running, self._seconds = Running(), 0.0
        return row

    def state_dict(self) -> dict[str, Any]:
        """All of it as numbers, texts and lists."""
        return {
            "history": [list(row) for row in self.history], "running": self.running.state_dict(),
            "seconds": self.seconds, "first": self.first, "lr": self.lr, "enough": self.enough,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self.history[:] = [Epoch(*row) for row in state["history"]]
        self.running = Running()
        self.running.load_state_dict(state["running"])
        self._seconds = state["seconds"]
        self.first, self.lr, self.enough = state["first"], state["lr"], state["enough"]


# ------------------------------------------------------------------------------------------------- what the user sees


def say(text: str, *, err: bool = False) -> None:
    """Print a line at once. If stdout goes to a full disk, training goes on without the line."""
    try:
        print(text, file=sys.stderr if err else sys.stdout, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        pass


@contextmanager
def progress_bar(loader: Any, label: str, wanted: bool, done: int = 0) -> Iterator[Callable[[int], Any]]:
    """Yields a function that takes the number of images done: a bar on a terminal, else some lines.

    Args:
        loader: its dataset tells how many images there are.
        label: in front of the bar.
        wanted: False: show nothing.
        done: the images that were done earlier, of an epoch that is continued.
    """
    dataset: Any = getattr(loader, "dataset", None)
    total = len(dataset) if hasattr(dataset, "__len__") else None
    if not wanted:
        yield lambda images: None
    elif not sys.stderr.isatty():
        yield _Lines(label, total, done).add
    else:
        from tqdm import tqdm

        shown: dict[str, Any] = {"unit": " images", "leave": False, "dynamic_ncols": True, "file": sys.stderr}
        with tqdm(total=total, desc=label, initial=done, **shown) as bar:
            yield bar.update


class _Lines:
    """Progress for a file or a pipe: a line on stderr every 30 s, and so none where an epoch is short."""

    every: float = 30.0

    def __init__(self, label: str, total: int | None, done: int) -> None:
        self.label, self.of = label, "" if total is None else f" of {total:,}"
        self.images, self.before, self.start = done, done, time.perf_counter()
        self.next = self.start + self.every

    def add(self, images: int) -> None:
        """Count images that are done."""
        self.images += images
        now = time.perf_counter()
        if now >= self.next:
            self.next = now + self.every
            speed = (self.images - self.before) / (now - self.start)
            say(f"{self.label}: {self.images:,}{self.of} images, {speed:,.0f} images/s", err=True)
