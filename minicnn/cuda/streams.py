"""Streams, the queues of a GPU's work, and events, the places in them.

The program puts work into the queue of the current stream and goes on. A GPU does the work of one stream in order. The
default stream is enough for most programs. With a second one, copies run beside computations:

    copying = minicnn.cuda.Stream()
    with minicnn.cuda.stream(copying):
        x = batch.to("cuda", non_blocking=True)         # beside what the default stream computes
    minicnn.cuda.current_stream().wait_stream(copying)  # work from here on waits for the copy, the program does not

Work of one stream does not wait for another one by itself. Memory that is freed may be used again by the stream that it
was made on: keep a tensor until all streams that use it are done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minicnn_kernels import arrays
from minicnn_kernels.arrays import on_device

from ..compat.missing import answer as _answer
from ..device import Device, cuda
from . import devices


class Stream:
    """A new queue of work on a GPU, by default the current one. `cupy` is the CuPy stream behind it.

    Args:
        priority: a stream of a lower number goes first; 0 or -1.

    Raises:
        RuntimeError: there is no such GPU.
    """

    device: Device
    cupy: Any

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        self.device = cuda(devices.number(device, "Stream"))
        with self._here():
            # As in PyTorch, it does not wait for the default stream.
            self.cupy = arrays.gpu().cuda.Stream(non_blocking=True, priority=priority or None)

    @classmethod
    def of(cls, stream: Any, number: int) -> Stream:
        """The stream that is one of CuPy on a GPU."""
        found = object.__new__(cls)
        found.device, found.cupy = cuda(number), stream
        return found

    def _here(self) -> Any:
        assert self.device.index is not None
        return on_device(self.device.index)  # the default stream has no number: CUDA takes that of the current GPU

    @property
    def cuda_stream(self) -> int:
        """The number by which CUDA knows it; 0 for the default stream."""
        return int(self.cupy.ptr)

    def synchronize(self) -> None:
        """Wait until all its work is done."""
        with self._here():
            self.cupy.synchronize()

    def query(self) -> bool:
        """Whether all its work is done."""
        with self._here():
            return bool(self.cupy.done)

    def record_event(self, event: Event | None = None) -> Event:
        """An event, by default a new one, that comes when the work in the queue is done."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let the work that is put in the queue from now on wait for an event. The program does not wait."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Let the work that is put in the queue from now on wait for what is in the queue of another stream."""
        self.wait_event(stream.record_event())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (other.device, other.cuda_stream) == (self.device, self.cuda_stream)

    def __hash__(self) -> int:
        return hash((self.device, self.cuda_stream))

    def __repr__(self) -> str:
        return f"<minicnn.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class Event:
    """A place in the work of a stream, to wait for, or to measure times with.

        start, end = Event(enable_timing=True), Event(enable_timing=True)
        start.record()
        y = net(x)
        end.record()
        end.synchronize()
        print(start.elapsed_time(end), "ms")

    Args:
        enable_timing: whether it keeps the time when it came.
        blocking: whether `synchronize` sleeps instead of asking again and again.
        interprocess: whether other processes can use it.
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        self._options = {"block": blocking, "disable_timing": not enable_timing, "interprocess": interprocess}
        self._stream: Stream | None = None  # where it was recorded
        self._event: Any = None  # made on the GPU of that stream

    def record(self, stream: Stream | None = None) -> None:
        """Set it behind all work that is in the queue of a stream, by default of the current one."""
        stream = current_stream() if stream is None else stream
        with stream._here():
            if self._stream is None or self._stream.device != stream.device:
                self._event = arrays.gpu().cuda.Event(**self._options)
            self._event.record(stream.cupy)
        self._stream = stream

    def wait(self, stream: Stream | None = None) -> None:
        """Let the work that is put in the queue of a stream from now on wait for the event. The program does not."""
        stream = current_stream() if stream is None else stream
        if self._stream is not None:
            with stream._here():
                stream.cupy.wait_event(self._event)

    def query(self) -> bool:
        """Whether it has come; True before it is recorded."""
        return self._event is None or bool(self._event.done)

    def synchronize(self) -> None:
        """Wait until it has come."""
        if self._event is not None:
            self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to a later one.

        Raises:
            ValueError: one of them was not recorded, or does not keep times.
            RuntimeError: one of them has not come yet.
        """
        for event in (self, end_event):
            if event._event is None or event._options["disable_timing"]:
                raise ValueError(
                    "Event.elapsed_time: both events must be recorded, and made by Event(enable_timing=True)"
                )
        try:
            return float(arrays.gpu().cuda.get_elapsed_time(self._event, end_event._event))
        except RuntimeError as error:
            raise RuntimeError(
                f"Event.elapsed_time: call synchronize() of both events first, so that they have come ({error})"
            ) from None

    def __repr__(self) -> str:
        return f"<minicnn.cuda.Event {'not recorded' if self._stream is None else f'on {self._stream.device}'}>"


@contextmanager
def stream(stream: Stream | None) -> Iterator[None]:
    """A `with` block in which a stream and its GPU are the current ones; None changes nothing."""
    if stream is None:
        yield
    else:
        with arrays.gpu().cuda.Device(stream.device.index), stream.cupy:
            yield


def set_stream(stream: Stream | None) -> None:
    """Make a stream the current one of its GPU; better is `with cuda.stream(...):`."""
    if stream is not None:
        with stream._here():
            stream.cupy.use()


def current_stream(device: Any = None) -> Stream:
    """The stream that gets the work on a GPU, by default on the current one; each thread has its own.

    Raises:
        RuntimeError: there is no such GPU.
    """
    number = devices.number(device, "current_stream")
    return Stream.of(arrays.gpu().cuda.get_current_stream(number), number)


def default_stream(device: Any = None) -> Stream:
    """The stream in which a GPU, by default the current one, works if the program chooses no other.

    Raises:
        RuntimeError: there is no such GPU.
    """
    number = devices.number(device, "default_stream")
    return Stream.of(arrays.gpu().cuda.Stream.null, number)


_answer(globals())
