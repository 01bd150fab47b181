"""Random numbers: one seeded stream for initialisation, shuffling and dropout, as PyTorch's default generator.

The numbers are NumPy's (PCG64), so a seed gives other numbers than in PyTorch, but the same ones in each run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from .device import Device
from .missing import answer as _answer


class Generator:
    """A stream of random numbers with PyTorch's `torch.Generator` face; `numpy` is the NumPy generator that draws.

    A new generator has seed 67280421310721, PyTorch's default, so that an unseeded program repeats itself too.
    """

    DEFAULT_SEED = 67280421310721

    def __init__(self, device: str | Device = "cpu") -> None:
        self.device = Device(device)
        self.manual_seed(self.DEFAULT_SEED)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed` anew; negative seeds count down from 2**64, as in PyTorch."""
        if not -(2**63) <= seed < 2**64:
            raise ValueError(f"manual_seed: the seed must fit in 64 bits, got {seed}")
        self._seed = int(seed)
        self.numpy = np.random.default_rng(self._seed % 2**64)
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
        return {"seed": self._seed, "state": self.numpy.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue at a position that `get_state` gave."""
        self.manual_seed(state["seed"])
        self.numpy.bit_generator.state = state["state"]


default_generator = Generator()

# In a data loader, what gives the stream of the sample that is being made.
sample_stream: ContextVar[Callable[[], np.random.Generator] | None] = ContextVar("minicnn_sample_stream", default=None)


def stream() -> np.random.Generator:
    """What random functions draw from that are given no generator: in a loader the sample's stream."""
    of_sample = sample_stream.get()
    return default_generator.numpy if of_sample is None else of_sample()


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
