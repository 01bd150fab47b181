"""The random streams that fix an epoch's order, so that a checkpoint in the middle of the epoch finds the order again.

A sampler that the program made draws from a generator that it holds, or from the program's streams: the default
generator, Python's `random`, `np.random`. At a checkpoint these have gone on. So the streams that move while the first
index is drawn are kept as they were before; to continue, they are set back, the order is drawn again, and they are set
to what they were. (A sampler of `minicnn.utils.data` draws all its numbers for the first index.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from ...random import Generator, default_generator
from .sampler import Sampler

__all__ = ["draw_order", "held_streams", "set_streams", "states"]


class Stream(NamedTuple):
    """A random stream: its state as data for JSON, and how to set it."""

    get: Callable[[], Any]
    set: Callable[[Any], None]


def held_streams(**holders: Any) -> dict[str, Stream]:
    """The generators that samplers hold, such as `sampler.generator`; also those of samplers inside samplers."""
    found: dict[str, Stream] = {}
    seen: set[int] = set()

    def look(name: str, value: Any) -> None:
        stream = _stream(value)
        if id(value) in seen or value is default_generator:
            return
        seen.add(id(value))
        if stream is not None:
            found[name] = stream
        elif isinstance(value, Sampler):
            for attribute, inner in getattr(value, "__dict__", {}).items():
                look(f"{name}.{attribute}", inner)

    for name, holder in holders.items():
        look(name, holder)
    return found


def _stream(value: Any) -> Stream | None:
    if isinstance(value, Generator):
        return Stream(value.get_state, value.set_state)
    if isinstance(value, np.random.Generator):
        bits = value.bit_generator
        return Stream(lambda: _plain(bits.state), lambda state: setattr(bits, "state", state))
    if isinstance(value, np.random.RandomState):
        return Stream(lambda: _plain(value.get_state(legacy=False)), value.set_state)
    if isinstance(value, random.Random):
        return Stream(
            lambda: _plain(value.getstate()), lambda state: value.setstate((state[0], tuple(state[1]), state[2]))
        )
    return None


def _program_streams() -> dict[str, Stream]:
    return {
        "minicnn": Stream(default_generator.get_state, default_generator.set_state),
        "random": Stream(lambda: _plain(random.getstate()), lambda s: random.setstate((s[0], tuple(s[1]), s[2]))),
        "numpy": Stream(lambda: _plain(np.random.get_state(legacy=False)), np.random.set_state),  # noqa: NPY002
    }


def _plain(state: Any) -> Any:
    """Arrays and tuples as lists, for JSON."""
    if isinstance(state, Mapping):
        return {key: _plain(value) for key, value in state.items()}
    if isinstance(state, np.ndarray | np.generic):
        return state.tolist()
    return [_plain(value) for value in state] if isinstance(state, tuple) else state


def states(streams: Mapping[str, Stream]) -> dict[str, Any]:
    """The state of each stream."""
    return {name: stream.get() for name, stream in streams.items()}


def set_streams(streams: Mapping[str, Stream], wanted: Mapping[str, Any]) -> None:
    """Set the streams to states that `states` returned.

    Raises:
        ValueError: there is no such stream, or a state is damaged.
    """
    for name, state in wanted.items():
        try:
            streams[name].set(state)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"DataLoader.load_state_dict: the random stream {name!r} cannot be set ({type(error).__name__}: "
                f"{error}); those of this loader are {sorted(streams)}"
            ) from error


def draw_order(
    source: Any, held: Mapping[str, Stream], again: Mapping[str, Any]
) -> tuple[Iterator[Any], dict[str, Any]]:
    """The indices of an epoch, the first of which is drawn now, and the earlier states of the streams that this moved.

    Args:
        source: the sampler or batch sampler.
        held: the streams that the samplers hold.
        again: what this function returned when the epoch was started the first time, to draw the same order again.
    """
    streams = {**_program_streams(), **held}
    before = states(streams)
    set_streams(streams, again)
    indices: Iterator[Any]
    try:
        indices = iter(source)
        indices = chain(list(islice(indices, 1)), indices)
    except Exception as error:
        indices = _raise(error)  # at the first batch
    if again:
        set_streams(streams, {name: before[name] for name in again})
        return indices, dict(again)
    return indices, {name: state for name, state in before.items() if streams[name].get() != state}


def _raise(error: Exception) -> Iterator[Any]:
    raise error
    yield
