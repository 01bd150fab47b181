"""One pass over a `DataLoader`: its tasks, its position, and the batches in progress."""

from __future__ import annotations

import os
import warnings
import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from .fetch import Fetcher, Task
from .pinning import pin_memory
from .randomness import SampleKeys, index_key
from .stream import AnyFetcher, End, StreamFetcher, StreamTasks

if TYPE_CHECKING:
    from .loader import DataLoader

__all__ = ["BatchIterator", "Position", "epoch_tasks"]


@dataclass
class Position:
    """The position of an iteration; `epoch` and `step` name the next batch to return.

    `seed` is the seed that the iteration has drawn; None: not yet, or the loader has one seed for all epochs. `order`
    has the random streams from which the samplers have drawn, as they were before (order.py).
    """

    seed: int | None
    epoch: int
    step: int = 0
    chosen: bool = False  # by `set_epoch` or a checkpoint, not by counting
    order: dict[str, Any] = field(default_factory=dict)

    def state(self, given: int | None) -> dict[str, Any]:
        """The position as data; `given` is the seed for all epochs, if there is one."""
        state: dict[str, Any] = {"seed": self.seed, "epoch": self.epoch, "step": self.step, "drawn": True}
        if given is not None:
            state = {"seed": given, "epoch": self.epoch, "step": self.step}
        return {**state, "order": self.order} if self.order else state

    def advance(self) -> None:
        """Go to the start of the next epoch."""
        self.seed, self.epoch, self.step, self.order = None, self.epoch + 1, 0, {}


def epoch_tasks(indices: Iterator[Any], batched: bool, seed: int, epoch: int) -> Iterator[Task]:
    """The tasks of one epoch, with the random keys of their samples."""
    seen: set[Any] = set()
    repeats: dict[Any, int] = {}
    for number, item in enumerate(indices):
        batch = item if batched else (item,)
        try:
            new = set(batch)
        except TypeError:  # indices that cannot be hashed
            batch = [index_key(index) for index in batch]
            new = set(batch)
        if len(new) == len(batch) and seen.isdisjoint(new):  # the usual case, which takes hardly any time
            counts = None
        else:
            counts = []
            for index in batch:
                repeats[index] = repeats[index] + 1 if index in repeats else int(index in seen)
                seen.add(index)
                counts.append(repeats[index])
        seen |= new
        yield Task(number, item, SampleKeys(seed, epoch, batch, counts))


class BatchIterator(Iterator[Any]):
    """One pass over the loader. It keeps a bounded queue of batches in progress and returns them in order.

    Its thread or processes end with the last batch, at Ctrl-C, at `close()`, or with the last reference to it. After an
    exception of the dataset it continues with the next batch, as PyTorch does. In a forked child process it continues
    with new workers. Worker processes know nothing of GPUs: `pinned` batches are copied to page-locked memory here.
    """

    def __init__(self, loader: DataLoader[Any], pinned: bool = False) -> None:
        self._loader, self._pinned = loader, pinned
        batched = loader.batch_sampler is not None
        self._fetch: AnyFetcher
        if loader._streams:
            self._fetch = StreamFetcher(loader.dataset, loader.collate_fn, batched, loader.drop_last)
        else:
            self._fetch = Fetcher(loader.dataset, loader.collate_fn, batched)
        self._position = loader._claim()
        self._tasks: Iterator[Task] | None = None
        self._pending: deque[tuple[Task | None, Any]] = deque()  # tasks with the tickets of their batches
        self._workers: Any = None
        self._closed = False
        self._reported, self._returned = loader._reported, 0
        self._finalizer: Any = lambda: None
        if loader.num_workers:
            self._start()

    def _start(self) -> None:
        """Draw the order and start the workers: at once for processes, else at the first batch, as in PyTorch."""
        self._tasks, self._seed = self._loader._start_epoch(self._position)
        self._start_workers()

    def _start_workers(self) -> None:
        self._pid = os.getpid()
        self._workers = self._loader._start_workers(self._fetch, self._seed, self._pinned)
        keep = self._workers is self._loader._workers
        self._finalizer = weakref.finalize(self, _abandon, self._workers, self._pending, keep, self._pid)

    def __len__(self) -> int:
        return self._loader._count(len(self._loader.dataset) if self._loader._streams else None)

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        try:
            batch = self._next()
        except StopIteration:
            self._position.advance()
            self.close()
            raise
        except Exception:  # from the dataset, or because a worker died
            self._position.step += 1
            if not getattr(self._workers, "usable", True):
                self.close()
            raise
        except BaseException:  # Ctrl-C: end all workers
            self.close()
            raise
        self._position.step += 1
        self._returned += 1
        if self._reported is not None and self._returned == self._reported + 1:
            warnings.warn(
                f"Length of IterableDataset {self._loader.dataset} was reported to be {self._reported} (when accessing "
                f"len(dataloader)), but {self._returned} samples have been fetched. With worker processes, each of "
                "which has a copy of the dataset, its __iter__ must take the worker's share: see get_worker_info",
                stacklevel=2,
            )
        return batch

    def _next(self) -> Any:
        if self._tasks is None:
            self._start()
        elif self._pid != os.getpid():
            self._start_again()
        while True:
            self._top_up()
            if not self._pending:
                raise StopIteration
            task, ticket = self._pending.popleft()
            if task is None:  # the ticket is an exception, and there are no tasks after it
                self.close()
                raise ticket
            batch = self._workers.result(ticket, self._loader.timeout)
            if batch is not End.OF_STREAM:
                return pin_memory(batch) if self._pinned and self._loader.num_workers else batch
            assert isinstance(self._tasks, StreamTasks)
            self._tasks.ended(task)

    def _top_up(self) -> None:
        """Keep one batch in progress for this call, and `depth` more for the time in which the consumer works."""
        assert self._tasks is not None
        try:
            for task in islice(self._tasks, 1 + self._workers.depth - len(self._pending)):
                self._pending.append((task, self._workers.submit(task)))
        except Exception as error:  # from the sampler, or because a worker died; raised after the earlier batches
            self._pending.append((None, error))
            self._tasks = iter(())

    def _start_again(self) -> None:
        """In a forked child process, which has neither the thread nor the worker processes: start new workers, and give
        them the tasks in progress.
        """
        if self._loader._streams and self._workers.depth + self._loader.num_workers:
            raise RuntimeError(
                "DataLoader: an iteration over an iterable-style dataset cannot go on in a forked process, which has "
                "neither its thread nor its worker processes; start a new one there"
            )
        self._finalizer.detach()
        tasks, self._pending = self._pending, deque()
        self._start_workers()
        for task, ticket in tasks:
            self._pending.append((task, ticket if task is None else self._workers.submit(task)))

    def close(self) -> None:
        """End the iteration now, with its thread or processes; there are no further batches."""
        self._closed = True
        self._finalizer()


def _abandon(workers: Any, pending: deque[tuple[Task | None, Any]], keep: bool, pid: int) -> None:
    """Drop the batches in progress, and end the workers unless the loader keeps them."""
    if os.getpid() != pid:
        return
    tickets = [ticket for task, ticket in pending if task is not None]
    pending.clear()
    workers.forget(tickets)
    if not keep:
        workers.close()
