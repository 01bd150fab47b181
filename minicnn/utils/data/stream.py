"""Batches of an iterable-style dataset: how samples are taken from its iterator, and which worker is asked next.

A batch is not made from indices, but from the next samples of an iterator that stays where it is: in the caller, in the
thread, or in each worker process. A worker whose iterator has ended answers `End.OF_STREAM`, and is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from itertools import repeat
from typing import Any, NamedTuple

from .fetch import Fetcher, Task
from .randomness import GlobalStreams, SampleKeys, each_sample, keyed_samples
from .sampler import Sampler

__all__ = ["AnyFetcher", "End", "Endless", "Portion", "StreamFetcher", "StreamTasks"]


class Endless(Sampler[None]):
    """The sampler of an iterable-style dataset, as in PyTorch: no index, again and again."""

    def __iter__(self) -> Iterator[None]:
        return repeat(None)


class End(Enum):
    """The answer of a worker instead of a batch."""

    OF_STREAM = "its iterator has no more samples"


class Portion(NamedTuple):
    """The next samples of a stream: at most so many, in this iteration over the dataset."""

    iteration: int
    samples: int


class StreamTasks(Iterator[Task]):
    """The tasks of an epoch: the workers take turns, and those that have `ended` are left out.

    Sample n of worker w has the random stream (seed, epoch, index n, repeat w), so that workers which give the same
    samples change them in different ways.
    """

    def __init__(self, count: int, workers: int, seed: int, epoch: int, iteration: int) -> None:
        self._portion, self._seed, self._epoch = Portion(iteration, count), seed, epoch
        self._asked = [0] * max(workers, 1)  # how many batches each worker has been asked for
        self._living = set(range(len(self._asked)))
        self._turn = 0

    def __next__(self) -> Task:
        if not self._living:
            raise StopIteration
        while self._turn not in self._living:
            self._turn = (self._turn + 1) % len(self._asked)
        worker, self._turn = self._turn, (self._turn + 1) % len(self._asked)
        batch, self._asked[worker] = self._asked[worker], self._asked[worker] + 1
        count = self._portion.samples
        keys = SampleKeys(self._seed, self._epoch, range(batch * count, (batch + 1) * count), [worker] * count)
        return Task(batch * len(self._asked) + worker, self._portion, keys)

    def ended(self, task: Task) -> None:
        """The worker of this task has no more samples."""
        self._living.discard(task.number % len(self._asked))


class StreamFetcher:
    """Makes batches from the samples of an iterable-style dataset; it keeps the iterator from one batch to the next.

    A task of a new iteration starts a new iterator, so that a worker process can be used for several epochs.
    """

    def __init__(self, dataset: Any, collate_fn: Callable[[Any], Any], batched: bool, drop_last: bool) -> None:
        self.dataset, self.collate_fn, self.batched, self.drop_last = dataset, collate_fn, batched, drop_last
        self._iteration = -1
        self._iterator: Iterator[Any] | None = None

    def __call__(self, task: Task, global_streams: GlobalStreams | None = None) -> Any:
        """The next batch, or `End.OF_STREAM`."""
        portion: Portion = task.indices
        if portion.iteration < self._iteration:
            raise RuntimeError(
                "DataLoader: a later iteration over the same loader has started the iterable-style dataset anew; "
                "finish one iteration before the next, or take persistent_workers=False"
            )
        with keyed_samples(task.keys, global_streams) as streams:
            if portion.iteration > self._iteration:
                self._iterator, self._iteration = iter(self.dataset), portion.iteration
            samples = self._take(portion.samples)
            if not samples or (self.drop_last and len(samples) < portion.samples):
                return End.OF_STREAM
            streams.shorten(len(samples))
            try:
                return self.collate_fn(samples if self.batched else samples[0])
            except StopIteration as error:
                raise RuntimeError("DataLoader: the collate_fn raised StopIteration") from error

    def _take(self, count: int) -> list[Any]:
        samples: list[Any] = []
        for _ in each_sample(range(count)):
            if self._iterator is None:  # it has ended, and an iterator is not asked again after its end
                break
            try:
                samples.append(next(self._iterator))
            except StopIteration:
                self._iterator = None
        return samples


AnyFetcher = Fetcher | StreamFetcher
