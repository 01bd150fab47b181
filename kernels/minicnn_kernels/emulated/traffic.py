"""Counters of what is slow between CPU and GPU: copies, and times that the program waited.

with counting() as seen:
    step()
assert seen.waits == 1

with no_waits():                # a wait in here raises
    step()
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class DeviceSynchronized(RuntimeError):
    """The program waited for the GPU where that is forbidden; CuPy's name for it."""


class Traffic:
    """Numbers of copies to a device, copies to the host, and waits of the host for a device."""

    __slots__ = ("to_device", "to_host", "waits")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Count from 0 again."""
        self.to_device = self.to_host = self.waits = 0

    def __repr__(self) -> str:
        return f"Traffic(to_device={self.to_device}, to_host={self.to_host}, waits={self.waits})"


traffic = Traffic()
_forbidden = threading.local()


def wait(what: str) -> None:
    """Count a wait for the GPU.

    Raises:
        DeviceSynchronized: in `no_waits()`.
    """
    traffic.waits += 1
    if getattr(_forbidden, "here", False):
        raise DeviceSynchronized(f"{what} waits for the GPU, where no wait is allowed")


@contextmanager
def no_waits() -> Iterator[None]:
    """Raise `DeviceSynchronized` where this thread would wait for the GPU."""
    before = getattr(_forbidden, "here", False)
    _forbidden.here = True
    try:
        yield
    finally:
        _forbidden.here = before


@contextmanager
def counting() -> Iterator[Traffic]:
    """Count what the block does; the numbers are there when it ends."""
    before = [getattr(traffic, name) for name in Traffic.__slots__]
    seen = Traffic()
    try:
        yield seen
    finally:
        for name, value in zip(Traffic.__slots__, before, strict=True):
            setattr(seen, name, getattr(traffic, name) - value)
