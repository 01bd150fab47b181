"""Randomness that belongs to a sample, not to the moment it is drawn.

A random crop must not depend on how many workers there are, on which of them is faster, or on what was drawn before. So
every sample has a random stream of its own, fixed by four integers:

    stream(seed, epoch, index, repeat)    repeat: how often this index came up earlier in the same epoch

(a sampler with replacement serves one picture several times, and each time deserves another crop). The stream is
Philox 4x64-10, a *counter-based* generator: its n-th number is a keyed bijection of n, so a stream costs no warm-up and
any two differ in key or counter:

    key     = (seed, epoch)                     128 bits
    counter = (n, level, repeat, index)         256 bits; level 0: one sample, level 1: a whole batch

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

The `DataLoader` opens the streams of a batch around the dataset's code (`keyed_samples`). Until that has returned,
`minicnn.random.default_generator` is the stream of the sample at hand: `minicnn.rand`, a random transform,
`manual_seed` and `set_rng_state` there concern that sample alone. A transform that works on a whole batch at once asks
for `sample_generators(count)`; both roads draw the same numbers.

In a worker process Python's `random` and NumPy's `np.random` are seeded from the same four integers, before each sample
and before the batch is put together. In the process of the loop they are left alone: they are the program's.
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


class SampleKeys(NamedTuple):
    """What fixes the random streams of one batch: the seed, the epoch, and index and repeat of each sample.

    `repeats` None stands for zeros: no index of the batch has come up before.
    """

    seed: int
    epoch: int
    indices: Sequence[Any]
    repeats: Sequence[int] | None = None

    def counter(self, position: int | None) -> tuple[int, int, int]:
        """(level, repeat, index) of the sample at a position; None: of the batch, which goes by its first sample."""
        level, first = (1, 0) if position is None else (0, position)
        repeat = 0 if self.repeats is None else self.repeats[first]
        return level, repeat, index_key(self.indices[first])


class _Streams:
    """The random streams of the batch that is being made; each is opened when it is first asked for."""

    __slots__ = ("_globals", "_keys", "_ours", "_seeded", "position", "replaced")

    def __init__(self, keys: SampleKeys, global_streams: GlobalStreams | None) -> None:
        self._keys, self._globals = keys, global_streams
        self._ours: dict[int | None, np.random.Generator] = {}
        self.replaced: dict[int | None, np.random.Generator] = {}  # by manual_seed or set_rng_state
        self._seeded: dict[int | None, int] = {}  # and their seeds
        self.position: int | None = 0 if len(keys.indices) == 1 else None  # None: no one sample, the batch as a whole
        self.switch(self.position)

    def __len__(self) -> int:
        return len(self._keys.indices)

    def switch(self, position: int | None) -> None:
        """From here on the sample at `position` is being made; None: the batch as a whole."""
        self.position = position
        if self._globals is not None:
            self._globals.start(self._keys, position)

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
                    "key": np.array([self._keys.seed & _WORD, self._keys.epoch & _WORD], dtype=np.uint64),
                },
                "buffer": np.zeros(4, dtype=np.uint64),
                "buffer_pos": 4,  # empty: the next number comes from the counter
                "has_uint32": 0,
                "uinteger": 0,
            }
            self._ours[position] = generator
        return self._ours[position]

    # What the default generator asks of the sample's stream.

    @property
    def numpy(self) -> np.random.Generator:
        return self.generator(self.position)

    @numpy.setter
    def numpy(self, generator: np.random.Generator) -> None:
        self.replaced[self.position] = generator

    @property
    def seed(self) -> int:
        """As in PyTorch the seed of the worker, or of the program, unless the sample was seeded."""
        return self._seeded.get(self.position, default_generator._own_seed)

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seeded[self.position] = seed

    def close(self) -> None:
        if len(_idle) < _IDLE:
            _idle.extend(islice(self._ours.values(), _IDLE))
        self._ours.clear()


# Making a generator takes 8 us, giving an idle one another key and counter 2 us: a batch of 100 would feel it.
_IDLE = 1024  # of them are kept, or a few more
_idle: list[np.random.Generator] = []
_current: ContextVar[_Streams | None] = ContextVar("minicnn_sample_streams", default=None)


def _idle_generator() -> np.random.Generator:
    try:
        return _idle.pop()
    except IndexError:
        return np.random.Generator(np.random.Philox(key=0))


@contextmanager
def keyed_samples(keys: SampleKeys, global_streams: GlobalStreams | None = None) -> Iterator[None]:
    """Within the `with` block, the default generator stands for the streams that `keys` names.

    The generators handed out are valid inside the block only; afterwards they serve other samples.

    Args:
        global_streams: in a worker process, what seeds `random` and `np.random` as well.
    """
    streams = _Streams(keys, global_streams)
    ours = global_streams is None or "minicnn" not in global_streams.taken
    token = _current.set(streams if ours else None)
    drawn = sample_stream.set(streams if ours else None)
    try:
        yield
    finally:
        sample_stream.reset(drawn)
        _current.reset(token)
        streams.close()


def each_sample(indices: Iterable[T]) -> Iterator[T]:
    """Iterate over the indices of a batch and switch to the random stream of each.

    For a dataset that writes its own `__getitems__`: `[self[i] for i in each_sample(indices)]`. Outside a loader it
    is a plain iteration.
    """
    streams = _current.get()
    if streams is None:
        yield from indices
        return
    before = streams.position
    try:
        for position, index in enumerate(indices):
            if position >= len(streams):
                raise ValueError(f"each_sample: the batch has {len(streams)} samples, and more indices were given")
            streams.switch(position)
            yield index
    finally:
        streams.switch(before)


def sample_generator() -> np.random.Generator:
    """The random stream of the sample that is being made (of the batch, where no single sample is at hand).

    Outside a `DataLoader`: `minicnn.random.default_generator`. Ask for it at each call and do not keep it.
    """
    return stream()


def sample_generators(count: int) -> Sequence[np.random.Generator]:
    """The random stream of each of the `count` samples of the batch that is being made, in order.

    Outside a `DataLoader`: `count` times the default generator, so that the samples draw one after the other.

    Raises:
        ValueError: the loader's batch has another number of samples.
    """
    streams = _current.get()
    if streams is None or None in streams.replaced:  # the dataset has seeded the stream of its batch
        return [default_generator.numpy] * count
    if count != len(streams):
        raise ValueError(f"sample_generators({count}): the batch that is being made has {len(streams)} samples")
    return [streams.generator(position) for position in range(count)]


def index_key(index: Any) -> int:
    """An index as a 64-bit integer: integers stand for themselves, anything else for the hash of its repr."""
    if type(index) is int:
        return index & _WORD
    if hasattr(index, "__index__"):
        return int(index) & _WORD
    return int.from_bytes(blake2b(repr(index).encode(), digest_size=8).digest(), "little")


def derived_seed(*words: int) -> int:
    """A seed of 63 bits for what is known by some integers of 64 bits."""
    packed = struct.pack(f"<{len(words)}Q", *(word & _WORD for word in words))
    return int.from_bytes(blake2b(packed, digest_size=8).digest(), "little") >> 1


# ------------------------------------------------------------------------------------- the streams of a whole process


class GlobalStreams:
    """A worker process's three streams: Python's `random`, NumPy's `np.random`, and the default generator.

    `begin` seeds them by the worker's own seed, as PyTorch does, for a `worker_init_fn` to see. Afterwards the first
    two are seeded anew for each sample (`start`), and the third gives way to the sample's stream. A stream that
    the `worker_init_fn` has seeded with something else is `taken`: it goes on from there, as in PyTorch. The usual
    recipe, which seeds with `initial_seed()`, is what we do ourselves, and takes nothing.
    """

    def __init__(self) -> None:
        self.taken: frozenset[str] = frozenset()

    def begin(self, seed: int) -> None:
        """Seed all that is not taken with the seed of a worker, which fits in 63 bits."""
        for name, source in _sources(seed).items():
            if name not in self.taken:
                source.seed()

    def note_taken(self, seed: int) -> None:
        """See which streams are no longer where a seeding with `seed` has put them."""
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
    """A stream of the process: how it is seeded, and whether it has been moved since to where nobody seeds it."""

    seed: Any
    moved: Any


def _sources(seed: int) -> dict[str, _Source]:
    short = seed % 2**32  # all that np.random takes; the recipe gives it to `random` as well

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
