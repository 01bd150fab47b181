"""What a comparison of several nets found, and what of it chance does not explain."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Compared", "Comparison", "Difference", "differences"]


@dataclass(frozen=True)
class Compared:
    """One training: the entry `name` with a seed.

    Attributes:
        epoch: the chosen one, of `epochs` that were trained.
        val_top1, test_top1, test_loss: accuracies from 0 to 1, of the chosen epoch; NaN if the training diverged,
            `val_top1` also if no images were held out.
        seconds: of all training steps; `images_per_second` in them.
        diverged: why it ended early; empty if it did not.
        curve: (training loss, validation accuracy, seconds since the beginning) after each epoch.
    """

    name: str
    seed: int
    epoch: int
    epochs: int
    val_top1: float
    test_top1: float
    test_loss: float
    seconds: float
    images_per_second: float
    diverged: str = ""
    curve: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Comparison:
    """What `compare` returns.

    Attributes:
        rows: the finished trainings.
        costs: of each entry its net, and the net's parameters and MACs.
        images: how many test images the accuracies are of.
        notes: what else the reader should know, such as what was set equal.
        complete: whether all trainings have finished.
    """

    rows: tuple[Compared, ...]
    costs: Mapping[str, tuple[str, int, int]]
    images: int
    notes: tuple[str, ...] = ()
    complete: bool = True

    def of(self, name: str) -> list[Compared]:
        """The trainings of an entry."""
        return [row for row in self.rows if row.name == name]

    def values(self, name: str, what: str) -> list[float]:
        """A field of the trainings of an entry, a number for each seed."""
        return [float(getattr(row, what)) for row in self.of(name)]

    @property
    def names(self) -> list[str]:
        """The entries with finished trainings; the one with the best mean accuracy on validation images first."""

        def mean(name: str) -> float:
            values = self.values(name, "val_top1")
            return -math.inf if any(map(math.isnan, values)) else statistics.fmean(values)

        return sorted(dict.fromkeys(row.name for row in self.rows), key=mean, reverse=True)


class Difference(NamedTuple):
    """How much higher the test accuracy of `first` is than that of `second`, seed by seed.

    Attributes:
        mean: of the differences, in 0..1.
        low, high: the confidence interval of the mean over all seeds; NaN with fewer than two seeds.
        seeds: in how many seeds both were trained.
        level: of confidence, of this interval; together all intervals hold with 95 %.
    """

    first: str
    second: str
    mean: float
    low: float
    high: float
    seeds: int
    level: float

    def sentence(self) -> str:
        """What follows from it, and what does not."""
        text = f"{self.first} - {self.second}: {100 * self.mean:+.2f} points on the test images"
        if self.seeds < 2:
            return f"{text}, with one seed: chance cannot be told from a difference; use --seeds 3 or more"
        text += (
            f", {100 * self.level:.4g} % interval {100 * self.low:+.2f} to {100 * self.high:+.2f} ({self.seeds} seeds)"
        )
        if self.low <= 0 <= self.high:
            return f"{text}: it includes 0, so these trainings do not show which is better"
        return f"{text}: {self.first if self.mean > 0 else self.second} is better by more than the seeds explain"


def differences(found: Comparison, level: float = 0.95) -> list[Difference]:
    """The entry that is best on validation images against each of the others, in pairs of the same seed.

    The interval is that of Student's t distribution for the mean of paired differences d, mean +- t s / sqrt(n); with m
    intervals, each has the level 1 - (1 - level) / m, so that together they hold with `level` (Bonferroni). It says what
    other seeds could change, not what other test images could.

    >>> from minicnn.train import Compared, Comparison, differences
    >>> rows = [Compared(name, seed, 1, 1, top1, top1, 0.1, 1.0, 1.0) for name, tops in
    ...         {"a": (0.9, 0.92, 0.91), "b": (0.88, 0.89, 0.9)}.items() for seed, top1 in enumerate(tops)]
    >>> print(differences(Comparison(tuple(rows), {}, 100))[0].sentence())
    a - b: +2.00 points on the test images, 95 % interval -0.48 to +4.48 (3 seeds): it includes 0, so these trainings do not show which is better
    """  # noqa: E501
    from scipy import stats

    best, *others = found.names or [""]
    level = 1 - (1 - level) / max(len(others), 1)
    result = []
    for other in others:
        second = {row.seed: row.test_top1 for row in found.of(other) if not row.diverged}
        pairs = [row.test_top1 - second[row.seed] for row in found.of(best) if row.seed in second and not row.diverged]
        if not pairs:
            continue
        mean, n = statistics.fmean(pairs), len(pairs)
        half = (
            math.nan if n < 2 else float(stats.t.ppf((1 + level) / 2, n - 1)) * statistics.stdev(pairs) / math.sqrt(n)
        )
        result.append(Difference(best, other, mean, mean - half, mean + half, n, level))
    return result
