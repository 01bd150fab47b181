"""Random numbers that belong to a sample, and do not depend on when they are drawn.

A random crop must not depend on the number of workers, on which of them is faster, or on earlier random numbers. So
every sample has its own random stream, fixed by four integers:

    stream(seed, epoch, index, repeat)    repeat: how often this index occurred earlier in the same epoch

(a sampler with replacement gives one image several times, and each time it should get another crop). The stream is
Philox 4x64-10, a *counter-based* generator: its n-th number is a keyed bijection of n, so a stream needs no warm-up,
and any two streams differ in key or counter:

    key     = (seed, epoch)                     128 bits
    counter = (n, level, repeat, index)         256 bits; level 0: one sample, level 1: a whole batch

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

The `DataLoader` opens the streams of a batch around the dataset's code (`keyed_samples`). Inside,
`minicnn.random.default_generator` is the stream of the current sample: `minicnn.rand`, random transforms, `manual_seed`
and `set_rng_state` affect that sample only. A transform that works on a whole batch at once calls
`sample_generators(count)`; both ways draw the same numbers.

In a worker process, Python's `random` and NumPy's `np.random` are seeded from the same four integers before each sample
and before the collation of the batch. In the process of the training loop they are not changed: they belong to the
program.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ...random import Generator, default_generator, sample_stream, stream

__all__ = [
    "GlobalStreams",
    "SampleKeys",
    "derived_seed",
    "each_sample",
    "index_key",
    "keyed_samples",
    "sample_generator",
    "sample_generators",
]

T = TypeVar("T")
_WORD = (1 << 64) - 1
_NOTHING = np.zeros(4, dtype=np.uint64)


class SampleKeys(NamedTuple):
    """The integers that fix the random streams of a batch: the seed, the epoch, and index and repeat of each sample.

    `repeats` None means zeros: no index of the batch has occurred before.
    """

    seed: int
    epoch: int
    indices: Sequence[Any]
    repeats: Sequence[int] | None = None

    def counter(self, position: int | None) -> tuple[int, int, int]:
        """(level, repeat, index) of the sample at a position; None: of the batch, with the key of its first sample."""
        level, first = (1, 0) if position is None else (0, position)
        repeat = 0 if self.repeats is None else self.repeats[first]
        return level, repeat, index_key(self.indices[first])


class _Streams:
    """The random streams of the batch that is being made; each is opened at its first use."""

    __slots__ = ("_globals", "_key", "_keys", "_ours", "_seeded", "position", "replaced")

    def __init__(self, keys: SampleKeys, global_streams: GlobalStreams | None) -> None:
        self._keys, self._globals = keys, global_streams
        self._key = np.array([keys.seed & _WORD, keys.epoch & _WORD], dtype=np.uint64)
        self._ours: dict[int | None, np.random.Generator] = {}
        self.replaced: dict[int | None, np.random.Generator] = {}  # by manual_seed or set_rng_state
        self._seeded: dict[int | None, int] = {}  # and their seeds
        self.position: int | None = (
            0 if len(keys.indices) == 1 else None
        )  # None: the batch as a whole, not a single sample
        self.switch(self.position)

    def __len__(self) -> int:
        return len(self._keys.indices)

    def switch(self, position: int | None) -> None:
        """From now on the sample at `position` is made; None: the batch as a whole."""
        self.position = position
        if self._globals is not None:
            self._globals.start(self._keys, position)

    def shorten(self, count: int) -> None:
        """The batch has become `count` samples only."""
        keys = self._keys
        self._keys = keys._replace(indices=keys.indices[:count], repeats=keys.repeats and keys.repeats[:count])

    def generator(self, position: int | None) -> np.random.Generator:
        """The stream of the sample at `position`."""
        if position in self.replaced:
            return self.replaced[position]
        if position not in self._ours:
            level, repeat, index = self._keys.counter(position)
            generator = _idle_generator()
            generator.bit_generator.state = {
                "bit_generator": "Philox",
                "state": {
                    "counter": np.array([0, level, repeat, index], dtype=np.uint64),
                    "key": self._key,
                },
                "buffer": _NOTHING,
                "buffer_pos": 4,  # empty: the next number comes from the counter
                "has_uint32": 0,
                "uinteger": 0,
            }
            self._ours[position] = generator
        return self._ours[position]

    # The default generator uses these properties of the sample's stream.

    @property
    def numpy(self) -> np.random.Generator:
        return self.generator(self.position)

    @numpy.setter
    def numpy(self, generator: np.random.Generator) -> None:
        self.replaced[self.position] = generator

    @property
    def seed(self) -> int:
        """As in PyTorch, the seed of the worker or of the program, unless the sample was seeded."""
        return self._seeded.get(self.position, default_generator._own_seed)

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seeded[self.position] = seed

    def close(self) -> None:
        if len(_idle) < _IDLE:
            _idle.extend(islice(self._ours.values(), _IDLE))
        self._ours.clear()


# Making a generator takes 8 us, but only 2 us to give an idle one another key and counter; batches have hundreds.
_IDLE = 1024  # about how many of them are kept
_idle: list[np.random.Generator] = []
_current: ContextVar[_Streams | None] = ContextVar("minicnn_sample_streams", default=None)


def _idle_generator() -> np.random.Generator:
    try:
        return _idle.pop()
    except IndexError:
        return np.random.Generator(np.random.Philox(key=0))


@contextmanager
def keyed_samples(keys: SampleKeys, global_streams: GlobalStreams | None = None) -> Iterator[_Streams]:
    """Inside the `with` block, the default generator draws from the streams that `keys` names.

    The generators are valid inside the block only; afterwards they are used for other samples.

    Args:
        global_streams: in a worker process, the object that seeds `random` and `np.random` too.
    """
    streams = _Streams(keys, global_streams)
    ours = global_streams is None or "minicnn" not in global_streams.taken
    token = _current.set(streams if ours else None)
    drawn = sample_stream.set(streams if ours else None)
    try:
        yield streams
    finally:
        sample_stream.reset(drawn)
        _current.reset(token)
        streams.close()


def each_sample(indices: Iterable[T]) -> Iterator[T]:
    """Iterate over the indices of a batch and switch to the random stream of each.

    For a dataset that writes its own `__getitems__`: `[self[i] for i in each_sample(indices)]`. Outside a loader it
    is a plain iteration.

    >>> [index for index in minicnn.utils.data.each_sample([3, 5])]
    [3, 5]
    """
    streams = _current.get()
    if streams is None:
        yield from indices
        return
    before = streams.position
    try:
        for position, index in enumerate(indices):
            if position >= len(streams):
                raise ValueError(f"each_sample: the batch has {len(streams)} samples, but more indices were given")
            streams.switch(position)
            yield index
    finally:
        streams.switch(before)


def sample_generator() -> np.random.Generator:
    """The random stream of the current sample; that of the batch, if there is no single current sample.

    Outside a `DataLoader`: `minicnn.random.default_generator`. Get it at each use, and do not keep it.

    >>> minicnn.utils.data.sample_generator().integers(10, size=3).shape
    (3,)
    """
    return stream()


def sample_generators(count: int) -> Sequence[np.random.Generator]:
    """The random streams of the `count` samples of the current batch, in order.

    Outside a `DataLoader`: `count` times the default generator, so that the samples draw one after the other.

    Raises:
        ValueError: the loader's batch does not have `count` samples.

    >>> len(minicnn.utils.data.sample_generators(8))
    8
    """
    streams = _current.get()
    if streams is None or None in streams.replaced:  # the dataset has seeded the stream of its batch
        return [default_generator.numpy] * count
    if count != len(streams):
        raise ValueError(f"sample_generators({count}): the current batch has {len(streams)} samples")
    return [streams.generator(position) for position in range(count)]


def index_key(index: Any) -> int:
    """An index as a 64-bit integer: integers stand for themselves, anything else for the hash of its repr."""
    if type(index) is int:
        return index & _WORD
    if hasattr(index, "__index__"):
        return int(index) & _WORD
    return int.from_bytes(blake2b(repr(index).encode(), digest_size=8).digest(), "little")


def derived_seed(*words: int) -> int:
    """A seed of 63 bits, computed from integers of 64 bits."""
    packed = struct.pack(f"<{len(words)}Q", *(word & _WORD for word in words))
    return int.from_bytes(blake2b(packed, digest_size=8).digest(), "little") >> 1


# ------------------------------------------------------------------------------------- the streams of a whole process


class GlobalStreams:
    """A worker process's three streams: Python's `random`, NumPy's `np.random`, and the default generator.

    `begin` seeds them by the worker's own seed, as PyTorch does, so that a `worker_init_fn` finds them seeded. Later
    the first two are seeded again for each sample (`start`), and the third is replaced by the sample's stream. A stream
    that the `worker_init_fn` has seeded with another seed is `taken`: it continues from there, as in PyTorch. The usual
    `worker_init_fn`, which seeds with `initial_seed()`, does the same as `begin`, and takes nothing.
    """

    def __init__(self) -> None:
        self.taken: frozenset[str] = frozenset()

    def begin(self, seed: int) -> None:
        """Seed all streams that are not taken with a worker's seed, which fits in 63 bits."""
        for name, source in _sources(seed).items():
            if name not in self.taken:
                source.seed()

    def note_taken(self, seed: int) -> None:
        """Find the streams whose state differs from that after seeding with `seed`."""
        self.taken = frozenset(name for name, source in _sources(seed).items() if source.moved())

    def start(self, keys: SampleKeys, position: int | None) -> None:
        """Seed `random` and `np.random` for a sample, or for a whole batch."""
        if self.taken >= {"random", "numpy"}:
            return
        seed = derived_seed(keys.seed, keys.epoch, *keys.counter(position))
        if "random" not in self.taken:
            random.seed(seed)
        if "numpy" not in self.taken:
            np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002  for datasets that draw from the global stream


class _Source(NamedTuple):
    """A stream of the process: a function that seeds it, and one that tells if its state has changed since."""

    seed: Any
    moved: Any


def _sources(seed: int) -> dict[str, _Source]:
    short = seed % 2**32  # np.random takes 32 bits; the usual `worker_init_fn` uses them for `random` too

    def random_moved() -> bool:
        return random.getstate() not in [random.Random(s).getstate() for s in (seed, short)]

    def numpy_moved() -> bool:
        here, there = np.random.get_state(), np.random.RandomState(short).get_state()  # noqa: NPY002
        return not all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))

    def minicnn_moved() -> bool:
        return default_generator.get_state() not in [Generator().manual_seed(s).get_state() for s in (seed, short)]

    return {
        "random": _Source(lambda: random.seed(seed), random_moved),
        "numpy": _Source(lambda: np.random.seed(short), numpy_moved),  # noqa: NPY002
        "minicnn": _Source(lambda: default_generator.manual_seed(seed), minicnn_moved),
    }
