"""Streams and events: queues of copies that are done as late as a GPU may do them.

A computation runs when it is called. A copy between CPU and GPU, or between two GPUs, waits in the queue of its stream
until that stream has other work to do, or is waited for: by the host, by an event, or by another stream. On a GPU it
may be as late as that.

The null stream is that of CUDA: it waits for all streams of its device but the non-blocking ones, and they for it.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from . import clocks
from .clocks import Clock
from .devices import DEVICES, CUDARuntimeError, here
from .traffic import wait

_lock = threading.RLock()  # queues may be worked off by several threads


_turns = [Clock() for _ in range(DEVICES)]  # of the blocking streams of each device, which take turns
_clocks: list[weakref.WeakSet[Clock]] = [weakref.WeakSet() for _ in range(DEVICES)]


class Queue:
    """What a stream has still to do, in order."""

    __slots__ = ("asked", "blocking", "clock", "device_id", "done", "items")

    def __init__(self, device_id: int, blocking: bool) -> None:
        self.device_id, self.blocking = device_id, blocking
        self.clock = _turns[device_id] if blocking else Clock()
        _clocks[device_id].add(self.clock)
        self.items: deque[Callable[[], Any]] = deque()
        self.asked = self.done = 0  # how many items it was given, and has done

    def add(self, action: Callable[[], Any]) -> None:
        """To be done after all that is there already."""
        with _lock:
            self.items.append(action)
            self.asked += 1
            busy.add(self)

    def run(self, until: int | None = None) -> None:
        """Do what is in the queue, up to an item's number, and first what it waits for."""
        with _lock:
            null = _null[self.device_id]
            if self is null:
                for other in [q for q in busy if q.blocking and q.device_id == self.device_id and q is not self]:
                    other._work_off(None)
            elif self.blocking:
                null._work_off(None)
            self._work_off(until)

    def _work_off(self, until: int | None) -> None:
        while self.items and (until is None or self.done < until):
            self.done += 1
            self.items.popleft()()
        if not self.items:
            busy.discard(self)


busy: set[Queue] = set()  # the queues in which something waits
_null = [Queue(i, blocking=True) for i in range(DEVICES)]


def catch_up() -> None:
    """Let the current stream do what is in its queue: called before each piece of work."""
    if busy:
        get_current_stream().queue(here.device).run()


def current_clock() -> Clock:
    """That of the current stream."""
    return get_current_stream().queue(here.device).clock


def synchronize_device(device_id: int) -> None:
    """Do all that waits in the streams of a device."""
    with _lock:
        for queue in [q for q in busy if q.device_id == device_id]:
            queue.run()
    for clock in _clocks[device_id]:
        clocks.host.learn(clock.seen())


class Stream:
    """A queue of work on one device, the current one. `null=True` is the null stream of whichever is current."""

    null: Stream
    _next = 16

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None
    ) -> None:
        if ptds and not null:
            raise NotImplementedError("the per-thread default stream is not emulated; use a Stream()")
        self.is_non_blocking = non_blocking and not null
        if self.is_non_blocking and not clocks.watched:
            clocks.watched.append(True)
        self._queue: Queue | None = None
        if null:
            self.ptr, self.device_id = 0, -1
        else:
            Stream._next += 1
            self.ptr, self.device_id = Stream._next, here.device
            self._queue = Queue(here.device, not non_blocking)

    def queue(self, device_id: int) -> Queue:
        """Its queue; of the null stream that of a device."""
        return _null[device_id] if self._queue is None else self._queue

    def __enter__(self) -> Stream:
        device_id = self._matching_device()
        _streams.stacks[device_id].append(self)
        _streams.entered.append(device_id)
        _streams.current[device_id] = self
        return self

    def __exit__(self, *error: object) -> None:
        device_id = _streams.entered.pop()
        stack = _streams.stacks[device_id]
        stack.pop()
        _streams.current[device_id] = stack[-1]

    def use(self) -> Stream:
        """Make it the current stream of this thread and device."""
        _streams.current[self._matching_device()] = self
        return self

    def _matching_device(self) -> int:
        if self.device_id not in (-1, here.device):
            raise RuntimeError(
                f"The device that the stream is created on ({self.device_id}) does not match with the current device "
                f"({here.device})"
            )
        return here.device

    def synchronize(self) -> None:
        """Wait until all its work is done."""
        wait("Stream.synchronize")
        queue = self.queue(here.device)
        queue.run()
        clocks.host.learn(queue.clock.seen())

    @property
    def done(self) -> bool:
        """Whether all its work is done. A GPU works on meanwhile: each look finds one piece more done."""
        queue = self.queue(here.device)
        if not queue.items:
            clocks.host.learn(queue.clock.seen())
            return True
        queue.run(queue.done + 1)
        return False

    def record(self, event: Event | None = None) -> Event:
        """An event that comes when what was asked so far is done."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let all later work of this stream wait for an event."""
        mark, queue = event.mark, self.queue(here.device)
        if mark is None:
            return
        queue.clock.learn(mark.seen)
        if mark.queue.done < mark.number:
            queue.add(lambda: mark.queue.run(mark.number))

    def launch_host_func(self, callback: Callable[[Any], Any], arg: Any) -> None:
        """Call a function of the host when what was asked so far is done."""
        queue = self.queue(here.device)
        if queue.items:
            queue.add(lambda: callback(arg))
        else:
            callback(arg)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self) -> int:
        return self.ptr

    def __repr__(self) -> str:
        return f"<Stream {self.ptr} (device {self.device_id})>"


Stream.null = Stream(null=True)


class _Streams(threading.local):
    """The current stream of each device in this thread, and those around it."""

    def __init__(self) -> None:
        self.current = [Stream.null] * DEVICES
        self.stacks = [[Stream.null] for _ in range(DEVICES)]
        self.entered: list[int] = []


_streams = _Streams()


def get_current_stream(device_id: int = -1) -> Stream:
    """The stream on which work is put in this thread."""
    return _streams.current[here.device if device_id == -1 else device_id]


class _Mark:
    """A place in a queue, and when it was reached."""

    __slots__ = ("number", "queue", "seen", "time")

    def __init__(self, queue: Queue) -> None:
        self.queue, self.seen = queue, queue.clock.seen()
        self.time: float | None = None
        if queue.items:
            queue.add(self.reached)
        else:
            self.reached()
        self.number = queue.asked

    def reached(self) -> None:
        self.time = time.perf_counter()


class Event:
    """A place in the work of a stream, to wait for or to measure times with."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        if interprocess and not disable_timing:
            raise ValueError("Timing must be disabled for interprocess events")
        self._timed = not disable_timing
        self.mark: _Mark | None = None

    def record(self, stream: Stream | None = None) -> None:
        """Set it behind what the stream, or else the current one, was asked so far."""
        self.mark = _Mark((get_current_stream() if stream is None else stream).queue(here.device))

    @property
    def done(self) -> bool:
        """Whether it was reached. A GPU works on meanwhile: each look finds one piece more done."""
        mark = self.mark
        if mark is None or mark.queue.done >= mark.number:
            clocks.host.learn({} if mark is None else mark.seen)
            return True
        mark.queue.run(mark.queue.done + 1)
        return False

    def synchronize(self) -> None:
        """Wait until it is reached."""
        wait("Event.synchronize")
        if self.mark is not None:
            self.mark.queue.run(self.mark.number)
            clocks.host.learn(self.mark.seen)


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Milliseconds between two events; both must have been reached."""
    marks = start_event.mark, end_event.mark
    if not (start_event._timed and end_event._timed) or None in marks:
        raise CUDARuntimeError(400, "cudaErrorInvalidResourceHandle: an event was not recorded, or without times")
    start, end = (mark.time for mark in marks if mark is not None)
    if start is None or end is None:
        raise CUDARuntimeError(600, "cudaErrorNotReady: device not ready: wait for the events first")
    return (end - start) * 1e3
