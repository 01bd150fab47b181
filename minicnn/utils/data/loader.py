"""The `DataLoader`: batches of a dataset, in an order and with a randomness that only (seed, epoch) decide."""

from __future__ import annotations

import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from ...random import Generator, default_generator
from .collate import default_collate, default_convert
from .dataset import Dataset
from .fetch import Fetcher, ProcessWorkers, Task, ThreadWorker
from .randomness import SampleKeys, index_key
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

__all__ = ["DataLoader"]

T_co = TypeVar("T_co", covariant=True)
_SETTLED = {"batch_size", "batch_sampler", "dataset", "drop_last", "num_workers", "persistent_workers", "sampler"}


class DataLoader(Generic[T_co]):
    """Iterate over the batches of a map-style dataset; PyTorch's arguments and meanings.

        for pictures, labels in DataLoader(dataset, batch_size=100, shuffle=True): ...

    **Order and randomness.** Epoch e of a loader with seed s shuffles with a generator seeded by (s, e), and gives
    every sample a random stream of its own (`minicnn.utils.data.randomness`). Batches are therefore the same for any
    `num_workers` and `prefetch_factor`. Epochs count up by themselves from 0; `set_epoch` chooses one. A sampler
    passed in draws from its own generator; if it has a `set_epoch`, it is called.

    **Speed.** Batches are made ahead: with `num_workers=0` by one background thread, else by spawned processes. A
    dataset with a `fetch_batch` method (see `Dataset`) makes a batch at once instead of sample by sample. Worker
    processes inherit nothing: dataset and functions are pickled, and a script needs `if __name__ == "__main__":`.

    Args:
        dataset: has `dataset[index]` and `len(dataset)`.
        batch_size: samples per batch; None: single samples, without a batch dimension.
        shuffle: a new random order each epoch.
        sampler: an iterable of indices instead of `shuffle`.
        batch_sampler: an iterable of lists of indices instead of `batch_size`, `shuffle`, `sampler`, `drop_last`.
        num_workers: processes that make batches; 0: the background thread.
        collate_fn: list of samples -> batch; by default `default_collate` (`default_convert` for `batch_size=None`).
        pin_memory: has no effect and warns so; arrays here live in ordinary memory.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a batch from worker processes before a RuntimeError; 0: for ever.
        worker_init_fn: called with the worker's id in each worker process.
        multiprocessing_context: only "spawn" (Numba's threads do not survive a fork).
        generator: where the seed comes from, the default generator by default. It is drawn at the first iteration, and
            again (with epoch 0) after a `manual_seed`, so that seeding and running again gives the same batches.
        prefetch_factor: batches made ahead, per worker; by default 2. 0: none, each batch is made when it is asked for.
        persistent_workers: keep the processes from one epoch to the next (the dataset is not sent again).
        in_order: only True.
        seed: beyond PyTorch: the seed itself, instead of `generator`.

    Raises:
        ValueError, TypeError: arguments that exclude each other or are out of range; an iterable-style dataset.
    """

    dataset: Any
    batch_size: int | None
    sampler: Any
    batch_sampler: Any

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        in_order: bool = True,
        seed: int | None = None,
    ) -> None:
        _check_dataset(dataset)
        _check_workers(num_workers, timeout, worker_init_fn, multiprocessing_context, prefetch_factor)
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        if not in_order:
            raise ValueError("in_order=False is not supported: batches come in the order of the sampler")
        _check_seed(generator, seed)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
            )
        if batch_sampler is None and batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if pin_memory:
            warnings.warn("DataLoader: pin_memory=True has no effect, batches are in ordinary memory", stacklevel=2)

        self.dataset, self.num_workers, self.timeout, self.drop_last = dataset, num_workers, timeout, drop_last
        self.worker_init_fn, self.persistent_workers, self.generator = worker_init_fn, persistent_workers, generator
        self.pin_memory = pin_memory
        self.prefetch_factor = 2 if prefetch_factor is None else prefetch_factor
        self._order = Generator()  # what shuffles; seeded by (seed, epoch) at the start of each epoch
        if sampler is None:
            sampler = RandomSampler(dataset, generator=self._order) if shuffle else SequentialSampler(dataset)
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.sampler, self.batch_sampler = batch_size, sampler, batch_sampler
        batched = batch_sampler is not None
        self.collate_fn = collate_fn if collate_fn is not None else default_collate if batched else default_convert

        self._seed, self._seed_given = seed, seed is not None
        self._seeded_by: Any = None  # the NumPy generator that the seed was drawn from
        self._next_epoch, self._epoch_given = 0, False
        self._skip = 0  # batches of the next epoch that were consumed before a checkpoint
        self._position = _Position(None, 0)
        self._workers: ProcessWorkers | None = None  # the persistent ones
        self._ready = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SETTLED and getattr(self, "_ready", False):
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        return len(self._index_source)

    def __iter__(self) -> Iterator[T_co]:
        return _Iterator(self)

    @property
    def _index_source(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    # ------------------------------------------------------------------------------------ seed, epoch and position

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration epoch `epoch` (>= 0)."""
        if isinstance(epoch, bool) or not hasattr(epoch, "__index__") or epoch < 0:
            raise ValueError(f"set_epoch: the epoch must be an integer >= 0, got {epoch!r}")
        self._next_epoch, self._epoch_given, self._skip = int(epoch), True, 0
        self._position = _Position(None, self._next_epoch)

    def state_dict(self) -> dict[str, int]:
        """Where the latest iteration stands: the seed, the epoch, and how many of its batches have been handed out."""
        position = self._position
        if position.seed is None:  # no iteration yet
            return {"seed": self._settle_seed(), "epoch": self._next_epoch, "step": self._skip}
        return {"seed": position.seed, "epoch": position.epoch, "step": position.step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Make the next iteration go on after batch `step` of that epoch; batches before it are not made again.

        A sampler passed in with its own generator has to be brought back to the start of that epoch by its owner.
        """
        missing = {"seed", "epoch", "step"} - set(state)
        if missing:
            raise ValueError(f"DataLoader.load_state_dict: the state lacks {sorted(missing)}")
        if any(state[key] < 0 for key in ("seed", "epoch", "step")):
            raise ValueError(f"DataLoader.load_state_dict: negative value in {dict(state)}")
        self._seed, self._seed_given = state["seed"], True
        self.set_epoch(state["epoch"])
        self._skip = state["step"]

    def _settle_seed(self) -> int:
        """The seed in force: as given, else drawn once from the generator, and anew when that was seeded again."""
        if not self._seed_given:
            source = (default_generator if self.generator is None else self.generator).numpy
            if source is not self._seeded_by:
                self._seed, self._seeded_by = int(source.integers(1 << 63)), source
                if not self._epoch_given:
                    self._next_epoch = 0
        assert self._seed is not None
        return self._seed

    def _start_epoch(self) -> tuple[Iterator[Task], _Position]:
        """Settle seed and epoch, let the sampler draw, and give the tasks of the epoch still to be done."""
        seed = self._settle_seed()
        epoch, self._next_epoch, self._epoch_given = self._next_epoch, self._next_epoch + 1, False
        skip, self._skip = self._skip, 0
        self._order.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1))
        for sampler in (self.sampler, self.batch_sampler):
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)
        position = self._position = _Position(seed, epoch, skip)
        tasks = _tasks(iter(self._index_source), self.batch_sampler is not None, seed, epoch)
        return islice(tasks, skip, None), position

    def _start_workers(self, fetch: Fetcher) -> ThreadWorker | ProcessWorkers | None:
        """What makes the batches of an iteration; None: the consumer itself."""
        if self.num_workers == 0:
            return ThreadWorker(fetch) if self.prefetch_factor else None
        if self._workers is not None and not self._workers.closed:
            return self._workers
        workers = ProcessWorkers(fetch, self.num_workers, self._settle_seed(), self.worker_init_fn)
        if self.persistent_workers:
            self._workers = workers
        return workers


@dataclass
class _Position:
    """How far an iteration has come; `epoch` and `step` name the next batch to hand out."""

    seed: int | None
    epoch: int
    step: int = 0


def _tasks(indices: Iterator[Any], batched: bool, seed: int, epoch: int) -> Iterator[Task]:
    """The tasks of one epoch, with the random keys of their samples."""
    seen: set[Any] = set()
    repeats: dict[Any, int] = {}
    for item in indices:
        batch = item if batched else (item,)
        try:
            new = set(batch)
        except TypeError:  # indices that cannot be hashed
            batch = [index_key(index) for index in batch]
            new = set(batch)
        if len(new) == len(batch) and seen.isdisjoint(new):  # the rule; it costs next to nothing
            counts = None
        else:
            counts = []
            for index in batch:
                repeats[index] = repeats[index] + 1 if index in repeats else int(index in seen)
                seen.add(index)
                counts.append(repeats[index])
        seen |= new
        yield Task(item, SampleKeys(seed, epoch, batch, counts))


class _Iterator(Iterator[Any]):
    """One pass over the loader. It keeps a bounded queue of batches under way and hands them out in order.

    Its thread or processes end with the last batch, at an exception, at `close()`, or with the last reference to it.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._fetch = Fetcher(loader.dataset, loader.collate_fn, loader.batch_sampler is not None)
        self._source = loader._index_source
        self._tasks, self._position = loader._start_epoch()
        self._timeout = loader.timeout
        self._depth = loader.prefetch_factor * max(1, loader.num_workers)
        self._pending: deque[Future[Any]] = deque()
        self._workers = loader._start_workers(self._fetch)
        self._closed = False
        keep = self._workers is not None and self._workers is loader._workers
        self._finalizer = weakref.finalize(self, _abandon, self._workers, self._pending, keep)

    def __len__(self) -> int:
        return len(self._source)

    def __next__(self) -> Any:
        if self._closed:
            raise StopIteration
        try:
            batch = self._next()
        except StopIteration:
            self._position.epoch, self._position.step = self._position.epoch + 1, 0
            self.close()
            raise
        except BaseException:  # Ctrl-C, or what the dataset raised: nothing may stay behind
            self.close()
            raise
        self._position.step += 1
        return batch

    def _next(self) -> Any:
        if self._workers is None:
            return self._fetch(next(self._tasks))
        self._top_up()
        if not self._pending:
            raise StopIteration
        return self._workers.result(self._pending.popleft(), self._timeout)

    def _top_up(self) -> None:
        """Have one batch under way for now, and `depth` more for the time that the consumer works on it."""
        assert self._workers is not None
        try:
            for task in islice(self._tasks, 1 + self._depth - len(self._pending)):
                self._pending.append(self._workers.submit(task))
        except Exception as error:  # the sampler's, or of workers that died: it comes after the batches before it
            failed: Future[Any] = Future()
            failed.set_exception(error)
            self._pending.append(failed)
            self._tasks = iter(())

    def close(self) -> None:
        """End the iteration now: no further batch, no thread or process left."""
        self._closed = True
        self._finalizer()


def _abandon(workers: ThreadWorker | ProcessWorkers | None, pending: deque[Future[Any]], keep: bool) -> None:
    """Drop the batches under way, and end the workers unless the loader keeps them."""
    while pending:
        pending.pop().cancel()
    if workers is not None and not keep:
        workers.close()


def _check_dataset(dataset: Any) -> None:
    if getattr(type(dataset), "__getitem__", Dataset.__getitem__) is Dataset.__getitem__:
        raise TypeError(
            f"DataLoader: {type(dataset).__name__} has no __getitem__; iterable-style datasets are not supported: "
            "write a map-style Dataset (dataset[i] and len(dataset)), or put the samples into a list"
        )


def _check_seed(generator: Any, seed: Any) -> None:
    if generator is not None and seed is not None:
        raise ValueError("generator and seed are mutually exclusive: give one of them")
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"generator should be a minicnn.Generator, got a {type(generator).__name__}")
    if seed is not None and (not isinstance(seed, int) or not 0 <= seed < 1 << 64):
        raise ValueError(f"seed should be an integer in [0, 2**64), got {seed!r}")


def _check_workers(num_workers: Any, timeout: Any, worker_init_fn: Any, context: Any, prefetch_factor: Any) -> None:
    """Raise a ValueError for arguments about workers that are out of range or do not fit together."""
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
        raise ValueError(
            f"num_workers option should be a non-negative integer, got {num_workers!r}; 0: no worker processes"
        )
    if not timeout >= 0:
        raise ValueError(f"timeout option should be non-negative, got {timeout!r}")
    if prefetch_factor is not None and (not isinstance(prefetch_factor, int) or prefetch_factor < 0):
        raise ValueError(f"prefetch_factor option should be a non-negative integer, got {prefetch_factor!r}")
    if num_workers == 0 and timeout:
        raise ValueError(f"timeout={timeout} needs worker processes: a thread cannot be ended; use num_workers > 0")
    if num_workers == 0 and context is not None:
        raise ValueError("multiprocessing_context can only be used with num_workers > 0")
    if context is not None:
        method = context if isinstance(context, str) else getattr(context, "get_start_method", lambda: context)()
        if method != "spawn":
            raise ValueError(f"multiprocessing_context: only 'spawn' is supported (threads do not survive {method!r})")
