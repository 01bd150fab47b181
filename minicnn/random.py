"""Random numbers: one seeded stream for initialisation, shuffling and dropout, like PyTorch's default generator.

The numbers are NumPy's (PCG64). So a seed gives other numbers than in PyTorch, but the same numbers in each run. Those
for a GPU are of the same stream and copied there: a seed gives the same numbers on the CPU and on a GPU. Dropout draws
one number from the stream, the key of a sequence that its kernel computes (Philox, `minicnn_kernels.philox`).
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np

from .compat.missing import answer as _answer
from .device import Device


class Generator:
    """A stream of random numbers with the interface of `torch.Generator`; `numpy` is the NumPy generator behind it.

    A new generator has PyTorch's default seed 67280421310721, so that an unseeded program also repeats its numbers.

    >>> a, b = minicnn.Generator().manual_seed(7), minicnn.Generator().manual_seed(7)
    >>> minicnn.equal(minicnn.rand(3, generator=a), minicnn.rand(3, generator=b))
    True
    """

    DEFAULT_SEED = 67280421310721

    _seed: int
    numpy: np.random.Generator

    def __init__(self, device: str | Device = "cpu") -> None:
        self.device = Device(device)
        self.manual_seed(self.DEFAULT_SEED)

    def manual_seed(self, seed: int) -> Generator:
        """Restart the stream with `seed`; negative seeds count down from 2**64, as in PyTorch."""
        try:
            number = operator.index(seed)
        except (TypeError, RuntimeError):  # RuntimeError: a tensor of several elements
            if not (isinstance(seed, float) and np.isfinite(seed)):
                raise TypeError(f"manual_seed: the seed must be an int, got {seed!r}") from None
            number = int(seed)
        if not -(2**63) <= number < 2**64:
            raise ValueError(f"manual_seed: the seed must fit in 64 bits, got {seed}")
        self._seed = number % 2**64
        self.numpy = np.random.default_rng(self._seed)
        return self

    def initial_seed(self) -> int:
        """Return the seed that the stream was started with."""
        return self._seed

    def seed(self) -> int:
        """Restart the stream with a seed from the operating system, and return the seed."""
        self.manual_seed(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]))
        return self._seed

    def get_state(self) -> dict[str, Any]:
        """Return the position in the stream, as data that can be written as JSON."""
        return {"seed": self._seed, "state": _plain(self.numpy.bit_generator.state)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue the stream at a position that `get_state` returned.

        Raises:
            ValueError: `state` is not such a position; the stream then goes on as before.
        """
        try:
            kind = {"PCG64": np.random.PCG64, "Philox": np.random.Philox}[state["state"]["bit_generator"]]
            bits, seed = kind(0), int(state["seed"])
            bits.state = state["state"]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            why = f"{type(error).__name__}: {error}"
            raise ValueError(f"set_state: this is not a state that get_state returned ({why})") from error
        self._seed, self.numpy = seed, np.random.Generator(bits)


def _plain(state: Any) -> Any:
    """Return the state of a bit generator with its arrays as lists."""
    if isinstance(state, dict):
        return {name: _plain(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray | np.generic) else state


class SampleStream(Protocol):
    """The stream of the sample that a data loader is making (`utils.data.randomness`)."""

    numpy: np.random.Generator
    seed: int


# While a data loader makes a sample: the stream that the default generator then draws from.
sample_stream: ContextVar[SampleStream | None] = ContextVar("minicnn_sample_stream", default=None)


class DefaultGenerator(Generator):
    """The generator of all random functions that are given no generator of their own.

    While a `DataLoader` makes a sample, the default generator stands for the stream of that sample. If a dataset or a
    transform then draws numbers, seeds (`manual_seed`) or sets the stream (`set_rng_state`, `fork_rng`), this changes
    that sample only. The program's own stream goes on unchanged.
    """

    _own_seed: int
    _own: np.random.Generator

    @property
    def numpy(self) -> np.random.Generator:
        """The NumPy generator that currently draws the numbers."""
        sample = sample_stream.get()
        return self._own if sample is None else sample.numpy

    @numpy.setter
    def numpy(self, generator: np.random.Generator) -> None:
        sample = sample_stream.get()
        if sample is None:
            self._own = generator
        else:
            sample.numpy = generator

    @property
    def _seed(self) -> int:
        sample = sample_stream.get()
        return self._own_seed if sample is None else sample.seed

    @_seed.setter
    def _seed(self, seed: int) -> None:
        sample = sample_stream.get()
        if sample is None:
            self._own_seed = seed
        else:
            sample.seed = seed

    def __reduce__(self) -> str:
        return "default_generator"  # a worker process gets its own

    def __deepcopy__(self, memo: Any) -> Generator:
        copied = Generator(self.device)
        copied.set_state(self.get_state())
        return copied

    def __copy__(self) -> Generator:
        return self.__deepcopy__({})


default_generator = DefaultGenerator()


def stream() -> np.random.Generator:
    """Return the NumPy generator of random functions that are given no generator."""
    return default_generator.numpy


def manual_seed(seed: int) -> Generator:
    """Seed the stream of all random functions that are given no generator of their own.

    Raises:
        TypeError: the seed is no number.
        ValueError: the seed does not fit in 64 bits.

    >>> _ = minicnn.manual_seed(0)
    >>> first = minicnn.rand(3)
    >>> _ = minicnn.manual_seed(0)
    >>> minicnn.equal(minicnn.rand(3), first)
    True
    """
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """Return the seed that the stream was started with.

    >>> _ = minicnn.manual_seed(7)
    >>> minicnn.initial_seed()
    7
    """
    return default_generator.initial_seed()


def seed() -> int:
    """Restart the stream with a seed from the operating system, and return the seed."""
    return default_generator.seed()


def get_rng_state() -> dict[str, Any]:
    """Return the position in the stream, as data that can be written as JSON; PyTorch returns a tensor of bytes.

    >>> state = minicnn.get_rng_state()
    >>> first = minicnn.rand(3)
    >>> minicnn.set_rng_state(state)
    >>> minicnn.equal(minicnn.rand(3), first)
    True
    """
    return default_generator.get_state()


def set_rng_state(new_state: dict[str, Any]) -> None:
    """Continue the stream at a position that `get_rng_state` returned."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """A `with` block that does not move the stream: after the block it continues as if nothing had been drawn.

    >>> with minicnn.random.fork_rng():
    ...     first = minicnn.rand(3)
    >>> minicnn.equal(minicnn.rand(3), first)
    True
    """
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


_answer(globals())
