"""Random numbers: one seeded stream for initialisation, shuffling and dropout, as PyTorch's default generator.

The numbers are NumPy's (PCG64), so a seed gives other numbers than in PyTorch, but the same ones in each run.
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
    """A stream of random numbers with PyTorch's `torch.Generator` face; `numpy` is the NumPy generator that draws.

    A new generator has seed 67280421310721, PyTorch's default, so that an unseeded program repeats itself too.
    """

    DEFAULT_SEED = 67280421310721

    _seed: int
    numpy: np.random.Generator

    def __init__(self, device: str | Device = "cpu") -> None:
        self.device = Device(device)
        self.manual_seed(self.DEFAULT_SEED)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed` anew; negative seeds count down from 2**64, as in PyTorch."""
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
        """The seed the stream was started with."""
        return self._seed

    def seed(self) -> int:
        """Start a stream with a seed from the operating system, and return the seed."""
        self.manual_seed(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]))
        return self._seed

    def get_state(self) -> dict[str, Any]:
        """The position in the stream, as JSON-ready data."""
        return {"seed": self._seed, "state": _plain(self.numpy.bit_generator.state)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue at a position that `get_state` gave.

        Raises:
            ValueError: something else than such a state; the stream goes on as before.
        """
        try:
            kind = {"PCG64": np.random.PCG64, "Philox": np.random.Philox}[state["state"]["bit_generator"]]
            bits, seed = kind(0), int(state["seed"])
            bits.state = state["state"]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"set_state: not a state that get_state gave ({type(error).__name__}: {error})") from error
        self._seed, self.numpy = seed, np.random.Generator(bits)


def _plain(state: Any) -> Any:
    """The state of a bit generator, its arrays as lists."""
    if isinstance(state, dict):
        return {name: _plain(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray | np.generic) else state


class SampleStream(Protocol):
    """The stream of the sample that a data loader is making (`utils.data.randomness`)."""

    numpy: np.random.Generator
    seed: int


# In a data loader: what the default generator stands for while a sample is being made.
sample_stream: ContextVar[SampleStream | None] = ContextVar("minicnn_sample_stream", default=None)


class DefaultGenerator(Generator):
    """The one that everything draws from that is given no generator of its own.

    While a `DataLoader` makes a sample, this is the sample's stream instead: what a dataset or a transform draws, seeds
    (`manual_seed`) or sets (`set_rng_state`, `fork_rng`) there concerns that sample alone, and the program's own stream
    goes on as if nothing had happened.
    """

    _own_seed: int
    _own: np.random.Generator

    @property
    def numpy(self) -> np.random.Generator:
        """The NumPy generator that draws here and now."""
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
        return "default_generator"  # in a worker process: that process's own

    def __deepcopy__(self, memo: Any) -> Generator:
        copied = Generator(self.device)
        copied.set_state(self.get_state())
        return copied

    def __copy__(self) -> Generator:
        return self.__deepcopy__({})


default_generator = DefaultGenerator()


def stream() -> np.random.Generator:
    """What random functions draw from that are given no generator."""
    return default_generator.numpy


def manual_seed(seed: int) -> Generator:
    """Seed the stream that everything draws from that is not given a generator of its own."""
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed that the stream was started with."""
    return default_generator.initial_seed()


def seed() -> int:
    """Start the stream anew with a seed from the operating system, and return it."""
    return default_generator.seed()


def get_rng_state() -> dict[str, Any]:
    """The position in the stream, as JSON-ready data; PyTorch's is a tensor of bytes."""
    return default_generator.get_state()


def set_rng_state(new_state: dict[str, Any]) -> None:
    """Continue at a position that `get_rng_state` gave."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """A `with` block after which the stream goes on as if nothing had been drawn inside."""
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


_answer(globals())
