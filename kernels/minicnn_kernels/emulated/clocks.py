"""Whether work of one stream comes before work of another: vector clocks.

A computation that reads or overwrites what another stream computed, and did not wait for that stream, raises: on a GPU
it may run first. Each stream counts its computations, and knows how many of each other stream's come before its own
next one. Memory knows which computation wrote it. This is watched once a non-blocking stream was made: without one, all
streams of a device take turns.
"""

from __future__ import annotations

import weakref

from .api import EmulationError

Seen = dict["Clock", int]  # streams, and how many of their computations


class Clock:
    """What a stream computed, and what it waited for."""

    __slots__ = ("__weakref__", "computed", "known")

    def __init__(self) -> None:
        self.computed = 0
        self.known: weakref.WeakKeyDictionary[Clock, int] = weakref.WeakKeyDictionary()

    def seen(self) -> Seen:
        """What one knows who waits for this stream."""
        return {**self.known, self: self.computed}

    def learn(self, seen: Seen) -> None:
        """Wait for what others did."""
        for clock, number in seen.items():
            self.known[clock] = max(number, self.known.get(clock, 0))

    def compute(self) -> Written:
        """Count a computation."""
        self.computed += 1
        return self, self.computed


Written = tuple[Clock, int]  # the computation that wrote to memory: of which stream, and its number

host = Clock()  # what the program waited for comes before all that it asks for later
watched: list[bool] = []  # not empty once there is a non-blocking stream


def check_order(written: Written, mine: Clock) -> None:
    """Refuse to read or overwrite what another stream computed, if the stream of `mine` did not wait for it.

    Raises:
        EmulationError: it did not.
    """
    clock, number = written
    if clock is not mine and number > max(mine.known.get(clock, 0), host.known.get(clock, 0)):
        raise EmulationError(
            "work on an array that another stream computed, for which this stream did not wait: on a GPU it may run "
            "before that; first call stream.wait_event(other_stream.record())"
        )
