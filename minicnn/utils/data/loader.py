"""The `DataLoader`: batches of a dataset, whose order and random numbers depend only on (seed, epoch)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ... import cuda
from ...random import Generator, default_generator
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset
from .fetch import Background, InPlace, Task
from .iteration import BatchIterator, Position, epoch_tasks
from .order import draw_order, held_streams, set_streams, states
from .pinning import Pinned, pins
from .randomness import derived_seed
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from .stream import AnyFetcher, Endless, StreamTasks

if TYPE_CHECKING:
    from .workers import ProcessWorkers

__all__ = ["DataLoader"]

T_co = TypeVar("T_co", covariant=True)
_AHEAD = 2  # batches, by default
_STATE = ("seed", "epoch", "step")
_SETTLED = {"batch_size", "batch_sampler", "dataset", "drop_last", "num_workers", "persistent_workers", "sampler"}


class DataLoader(Generic[T_co]):
    """Iterate over the batches of a dataset; the arguments are PyTorch's.

        for images, labels in DataLoader(dataset, batch_size=100, shuffle=True): ...

    Order and randomness: as in PyTorch each iteration draws a seed from `generator` (the default generator), so a
    `manual_seed` or `set_rng_state` before it gives the same batches again. The seed fixes the order, and a random
    stream for each sample, which replaces the default generator while the sample is made (randomness.py). So batches
    are the same for any `num_workers` and `prefetch_factor`, and seeding inside a dataset affects only the current
    sample. With `seed=s`, epoch e is fixed by (s, e); epochs are counted from 0, and `set_epoch` chooses one. A sampler
    that you pass in draws from its own generator; if it has a `set_epoch`, that of the loader calls it.

    Where batches are made: with `num_workers=0` the caller makes a batch when it asks for it: the dataset sees the
    current state of the program. With a `prefetch_factor`, a thread makes that many batches ahead during the training;
    this helps if a batch takes long and cores are idle. `random` and `np.random`, which belong to the whole program,
    are then shared with the training loop, and their numbers in a dataset differ from run to run.

    With workers, process k makes the batches k, k + num_workers, ... of an epoch. There `random` and `np.random` are
    seeded for each sample too, unless the `worker_init_fn` has seeded them with another seed. A dataset with a
    `fetch_batch` method (see `Dataset`) makes a batch at once instead of sample by sample. Worker processes inherit
    nothing: dataset and functions are pickled, and a script needs `if __name__ == "__main__":`.

    An `IterableDataset` has no indices: each worker takes batches from an iterator of its own, and the random streams
    are those of (seed, epoch, number of the sample, worker).

    Args:
        dataset: has `dataset[index]` and `len(dataset)`, or is an `IterableDataset`.
        batch_size: samples per batch; None: single samples, without a batch dimension.
        shuffle: a new random order each epoch.
        sampler: an iterable of indices instead of `shuffle`.
        batch_sampler: an iterable of lists of indices instead of `batch_size`, `shuffle`, `sampler`, `drop_last`.
        num_workers: the number of processes that make batches; 0: the caller makes them.
        collate_fn: list of samples -> batch; by default `default_collate` (`default_convert` for `batch_size=None`).
        pin_memory: whether the tensors of a batch are in page-locked memory, so that `x.to("cuda", non_blocking=True)`
            copies them while the program goes on. The thread that makes batches ahead also copies them there. Without a
            GPU it warns, and changes nothing.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a batch from worker processes before a RuntimeError; 0: for ever.
        worker_init_fn: called with the worker's id in each worker process.
        multiprocessing_context: only "spawn" (Numba's threads do not survive a fork).
        generator: gives the seed of each iteration; by default the default generator.
        prefetch_factor: batches made ahead, per worker; 0: none. The default is 2 with workers, and none without.
        persistent_workers: keep the processes from one epoch to the next (the dataset is not sent again).
        in_order: must be True.
        pin_memory_device: has no effect; page-locked memory is for all GPUs.
        seed: not in PyTorch: one seed for all epochs, instead of `generator`.

    Raises:
        ValueError, TypeError: arguments that exclude each other or are out of range, or no dataset.

    >>> data = minicnn.datasets.Digits(transform=minicnn.transforms.ToTensor())
    >>> loader = minicnn.utils.data.DataLoader(data, batch_size=32, shuffle=True)
    >>> images, labels = next(iter(loader))
    >>> images.shape, labels.shape, len(loader)
    (minicnn.Size([32, 1, 8, 8]), minicnn.Size([32]), 45)
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
        pin_memory_device: str = "",
        seed: int | None = None,
    ) -> None:
        self._streams = isinstance(dataset, IterableDataset)
        _check_dataset(dataset, shuffle=shuffle, sampler=sampler, batch_sampler=batch_sampler)
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

        self.dataset, self.num_workers, self.timeout, self.drop_last = dataset, num_workers, timeout, drop_last
        self.worker_init_fn, self.persistent_workers, self.generator = worker_init_fn, persistent_workers, generator
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.prefetch_factor = _AHEAD if prefetch_factor is None and num_workers else prefetch_factor
        self._order = Generator()  # shuffles; seeded with (seed, epoch) at the start of each epoch
        self._given = {"sampler": sampler, "batch_sampler": batch_sampler}
        if self._streams:
            sampler = Endless()
        elif sampler is None:
            sampler = RandomSampler(dataset, generator=self._order) if shuffle else SequentialSampler(dataset)
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.sampler, self.batch_sampler = batch_size, sampler, batch_sampler
        batched = batch_sampler is not None
        self.collate_fn = collate_fn if collate_fn is not None else default_collate if batched else default_convert

        self._seed = seed  # None: each iteration draws its seed
        self._next = Position(None, 0)
        self._latest: Position | None = None  # the position of the latest iteration
        self._workers: ProcessWorkers | None = None  # the persistent ones
        self._iterations = 0
        self._reported: int | None = None  # the length that an iterable-style dataset gave when it was asked
        self._ready = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SETTLED and getattr(self, "_ready", False):
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if self._streams:
            self._reported = len(self.dataset)
        return self._count(self._reported)

    def _count(self, samples: int | None) -> int:
        """The number of batches; the iterable-style dataset has `samples`."""
        if samples is None:
            return len(self._index_source)
        batch = self.batch_size or 1
        return samples // batch if self.drop_last else -(-samples // batch)

    def __iter__(self) -> Iterator[T_co]:
        return BatchIterator(self, pins(self.pin_memory))

    @property
    def _index_source(self) -> Any:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    # ------------------------------------------------------------------------------------ seed, epoch and position

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration epoch `epoch` (>= 0) of the given seed, and call `set_epoch` of the samplers.

        Without a `seed` each iteration has its own seed, and this only affects samplers with a `set_epoch`.
        """
        if isinstance(epoch, bool) or not hasattr(epoch, "__index__") or epoch < 0:
            raise ValueError(f"set_epoch: the epoch must be an integer >= 0, got {epoch!r}")
        self._next = Position(None, int(epoch), chosen=True)
        self._latest = None

    def state_dict(self) -> dict[str, Any]:
        """The position of the latest iteration: the seed, the epoch, and how many batches of it have been returned.

        Together with `minicnn.get_rng_state()` it is all that a checkpoint needs to get the same batches. It is plain
        data, for JSON too. The seed is None before an iteration that has not drawn its seed yet; `drawn` says that
        later epochs draw their seeds. `streams` has the states of the generators that you passed in, or that your
        samplers hold; `order` those of the streams, also of the program, from which this epoch's order was drawn.
        """
        state = (self._latest or self._next).state(self._seed)
        held = states(self._held())
        return {**state, "streams": held} if held else state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue in the next iteration after `step` batches of that epoch; these batches are not made again.

        The order is drawn again for that. A sampler of your own class must draw all its random numbers before it gives
        its first index, from the program's streams or from generators that are its attributes.

        Raises:
            ValueError: the state is damaged, is of a loader with other samplers, or is of the middle of an epoch of an
                iterable-style dataset, whose first samples could only be skipped by making them all again.
        """
        missing = {"seed", "epoch", "step"} - set(state)
        if missing:
            raise ValueError(f"DataLoader.load_state_dict: the state lacks {sorted(missing)}")
        drawn = bool(state.get("drawn", False))
        numbers = [state[key] for key in _STATE if not (drawn and key == "seed" and state[key] is None)]
        if any(not isinstance(number, int) or number < 0 for number in numbers):
            raise ValueError(
                f"DataLoader.load_state_dict: seed, epoch and step should be integers >= 0 in {dict(state)}"
            )
        if self._streams and state["step"]:
            raise ValueError(
                f"DataLoader.load_state_dict: the state is {state['step']} batches into an epoch, where an "
                "iterable-style dataset cannot start: take a checkpoint of the end of an epoch, or a map-style dataset"
            )
        order, streams, held = state.get("order", {}), state.get("streams", {}), self._held()
        if not isinstance(order, Mapping) or not isinstance(streams, Mapping) or set(streams) != set(held):
            raise ValueError(
                f"DataLoader.load_state_dict: the state has the random streams {sorted(streams)}, "
                f"but the generator and the samplers of this loader have {sorted(held)}"
            )
        set_streams(held, streams)
        self._seed = None if drawn else state["seed"]
        seed = state["seed"] if drawn else None
        self._next = Position(seed, state["epoch"], state["step"], chosen=True, order=dict(order))
        self._latest = None

    @contextmanager
    def place_kept(self) -> Iterator[None]:
        """A context that leaves the place in the epochs, and the generators that the loader holds, as they were.

        Not in PyTorch.

        >>> loader = minicnn.utils.data.DataLoader(list(range(6)), shuffle=True, seed=0)
        >>> with loader.place_kept():
        ...     first = [batch.item() for batch in loader]
        >>> first == [batch.item() for batch in loader]
        True
        """
        held = self._held()
        kept, place, latest = states(held), copy.copy(self._next), copy.copy(self._latest)
        try:
            yield
        finally:
            set_streams(held, kept)
            self._next, self._latest = place, latest

    def _claim(self) -> Position:
        """The position where a new iteration starts."""
        position, self._next = self._next, Position(None, self._next.epoch + 1)
        self._latest = position
        return position

    def _start_epoch(self, position: Position) -> tuple[Iterator[Task], int]:
        """Fix seed and order; return the remaining tasks of the epoch, and a seed for worker processes."""
        if position.seed is None and self._seed is None:
            source = default_generator if self.generator is None else self.generator
            position.seed = int(source.numpy.integers(1 << 63))
        seed, epoch = (position.seed, 0) if self._seed is None else (self._seed, position.epoch)
        assert seed is not None
        self._order.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1))
        for sampler in (self.sampler, self.batch_sampler):
            if position.chosen and hasattr(sampler, "set_epoch"):
                sampler.set_epoch(position.epoch)
        if self._streams:
            self._iterations += 1
            portion = self.batch_size or 1
            return StreamTasks(portion, self.num_workers, seed, epoch, self._iterations), derived_seed(seed, epoch)
        # The order is drawn now: another iteration may start before the first batch of this one.
        indices, position.order = draw_order(self._index_source, self._held(), position.order)
        tasks = epoch_tasks(indices, self.batch_sampler is not None, seed, epoch)
        return islice(tasks, position.step, None), derived_seed(seed, epoch)

    def _held(self) -> dict[str, Any]:
        """The random streams of the generator and the samplers that were passed in."""
        return held_streams(generator=self.generator, **self._given)

    def _start_workers(self, fetch: AnyFetcher, seed: int, pinned: bool) -> Any:
        """The object that makes the batches of an iteration (fetch.py)."""
        if self.num_workers == 0:
            make: Any = Pinned(fetch, cuda.current_device()) if pinned else fetch
            return Background(make, self.prefetch_factor) if self.prefetch_factor else InPlace(make)
        if self._workers is not None and self._workers.usable:
            return self._workers
        from .workers import ProcessWorkers

        depth = (self.prefetch_factor or 0) * self.num_workers
        workers = ProcessWorkers(fetch, self.num_workers, depth, seed, self.worker_init_fn)
        if self.persistent_workers:
            self._workers = workers
        return workers


def _check_dataset(dataset: Any, **options: Any) -> None:
    """Raise an error for what is no dataset, and for options about indices if the dataset has none."""
    if isinstance(dataset, IterableDataset):
        for name, value in options.items():
            if value is not None and value is not False:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}; "
                    "the samples come in the order in which the dataset gives them"
                )
    elif getattr(type(dataset), "__getitem__", Dataset.__getitem__) is Dataset.__getitem__:
        raise TypeError(
            f"DataLoader: {type(dataset).__name__} has no __getitem__: write a map-style Dataset (dataset[i] and "
            "len(dataset)), derive from IterableDataset if it has an __iter__, or put the samples into a list"
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
        raise ValueError(
            f"timeout={timeout} needs worker processes, since a thread cannot be stopped; use num_workers > 0"
        )
    if num_workers == 0 and context is not None:
        raise ValueError("multiprocessing_context can only be used with num_workers > 0")
    if context is not None:
        method = context if isinstance(context, str) else getattr(context, "get_start_method", lambda: context)()
        if method != "spawn":
            raise ValueError(f"multiprocessing_context: only 'spawn' is supported (threads do not survive {method!r})")
