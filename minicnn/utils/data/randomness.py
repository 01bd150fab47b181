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

The `DataLoader` opens the streams of a batch around the dataset's code (`keyed_samples`). A random transform asks for
`sample_generator()`, or, when it works on a whole batch at once, for `sample_generators(count)`; both roads draw the
same numbers. Outside a loader they give `minicnn.random.default_generator`, as any other random function would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ...random import default_generator, sample_stream, stream

__all__ = ["SampleKeys", "each_sample", "index_key", "keyed_samples", "sample_generator", "sample_generators"]

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


class _Streams:
    """The random streams of the batch that is being made; each is opened when it is first asked for."""

    __slots__ = ("_keys", "_opened", "position")

    def __init__(self, keys: SampleKeys) -> None:
        self._keys = keys
        self._opened: dict[int | None, np.random.Generator] = {}
        self.position: int | None = 0 if len(keys.indices) == 1 else None  # None: no one sample, the batch as a whole

    def __len__(self) -> int:
        return len(self._keys.indices)

    def generator(self, position: int | None) -> np.random.Generator:
        if position not in self._opened:
            level = 1 if position is None else 0
            first = position or 0  # a batch as a whole goes by its first sample
            index = index_key(self._keys.indices[first])
            repeat = 0 if self._keys.repeats is None else self._keys.repeats[first]
            generator = _idle.pop() if _idle else np.random.Generator(np.random.Philox(key=0))
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
            self._opened[position] = generator
        return self._opened[position]

    def close(self) -> None:
        _idle.extend(self._opened.values())
        self._opened.clear()


# Making a generator takes 8 us, giving an idle one another key and counter 2 us: a batch of 100 would feel it.
_idle: list[np.random.Generator] = []
_current: ContextVar[_Streams | None] = ContextVar("minicnn_sample_streams", default=None)


@contextmanager
def keyed_samples(keys: SampleKeys) -> Iterator[None]:
    """Within the `with` block, random transforms draw from the streams that `keys` names.

    The generators handed out are valid inside the block only; afterwards they serve other samples.
    """
    streams = _Streams(keys)
    token = _current.set(streams)
    drawn = sample_stream.set(lambda: streams.generator(streams.position))
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
            streams.position = position
            yield index
    finally:
        streams.position = before


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
    if streams is None:
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
    from hashlib import blake2b

    return int.from_bytes(blake2b(repr(index).encode(), digest_size=8).digest(), "little")
