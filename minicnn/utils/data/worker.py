"""The code that runs inside a worker process of the `DataLoader`.

It has three threads: one reads tasks from the socket, the main thread makes the batches, one sends them. The first
message to the process is the pickled `Start`. Later messages are a ticket of 8 bytes with a pickled task, or a ticket
alone, to forget its task, or an empty message, to stop. A message from the process is a ticket, followed by a pickled
batch or `Failure`.
"""

from __future__ import annotations

import os
import pickle
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple

from .fetch import PATIENCE, Task
from .randomness import GlobalStreams, derived_seed
from .stream import AnyFetcher

__all__ = ["Failure", "Start", "WorkerInfo", "get_worker_info", "run"]

STOP = b""
FORGET = b""  # instead of a task
_TICKET = 8  # bytes


def ticket_bytes(ticket: int) -> bytes:
    """A ticket as the first bytes of a message."""
    return ticket.to_bytes(_TICKET, "little")


class WorkerInfo(NamedTuple):
    """The result of `get_worker_info()` inside a worker process."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None  # None in the main process


def get_worker_info() -> WorkerInfo | None:
    """In a worker process: its id, their number, its seed of this epoch and its dataset. In the main process: None.

    >>> print(minicnn.utils.data.get_worker_info())
    None
    """
    return _info


class Start(NamedTuple):
    """The data that a worker process gets at its start."""

    fetch: AnyFetcher
    worker_init_fn: Callable[[int], None] | None
    num_workers: int
    seed: int


class _Text(str):
    """A message whose repr is itself, so that KeyError, which prints the repr, shows its line breaks."""

    __slots__ = ()
    __repr__ = str.__str__


class Failure(NamedTuple):
    """An exception sent by a worker as class and text, since not every exception can be pickled."""

    kind: bytes  # the pickled class; empty if it cannot be pickled
    text: str

    @classmethod
    def of(cls, error: BaseException, worker: int) -> Failure:
        """The exception with its traceback."""
        trace = "".join(traceback.format_exception(error))
        try:
            kind = pickle.dumps(
                MemoryError if isinstance(error, MemoryError) else type(error)
            )  # NumPy has one of its own
        except Exception:
            kind = b""
        return cls(kind, f"Caught {type(error).__name__} in DataLoader worker process {worker}.\nOriginal {trace}")

    def exception(self) -> BaseException:
        """An exception of the same class with this text as its message; a RuntimeError if that is impossible."""
        try:
            error = pickle.loads(self.kind)(_Text(self.text))  # bytes of our own worker
            return error if isinstance(error, Exception) else RuntimeError(self.text)
        except Exception:
            return RuntimeError(self.text)


class _Desk:
    """The queues of a worker's tasks and finished batches, which its two socket threads fill and empty."""

    def __init__(self, connection: Any) -> None:
        self.tasks: SimpleQueue[bytes | None] = SimpleQueue()
        self.batches: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
        self.forgotten: set[bytes] = set()
        self._connection = connection
        self._parent = os.getppid()
        threading.Thread(target=self._receive, daemon=True).start()
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._sender.start()

    def _receive(self) -> None:
        from multiprocessing import parent_process
        from multiprocessing.connection import wait

        try:
            while message := self._next_message():
                if len(message) == _TICKET:
                    self.forgotten.add(message)
                else:
                    self.tasks.put(message)
        except (EOFError, OSError):
            pass
        self.tasks.put(None)
        parent = parent_process()
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)  # the main process has died

    def _next_message(self) -> bytes:
        while not self._connection.poll(
            PATIENCE
        ):  # a living fork of it keeps the socket open, so that its death gives no end of file
            if os.getppid() != self._parent:
                os._exit(1)
        return bytes(self._connection.recv_bytes())

    def _send(self) -> None:
        try:
            while (batch := self.batches.get()) is not None:
                for part in batch:
                    self._connection.send_bytes(part)
        except OSError:  # the main process does not read any more
            pass

    def leave(self) -> None:
        """Send the finished batches before the process ends."""
        self.batches.put(None)
        self._sender.join()


def run(connection: Any, worker: int) -> None:
    """A worker process, from its start to its end."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process decides
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # for programs that the dataset starts
    desk = _Desk(connection)
    try:
        payload = desk.tasks.get()
        if payload is None:
            return
        make = _set_up(payload, worker)
        while (message := desk.tasks.get()) is not None:
            ticket, task = message[:_TICKET], message[_TICKET:]
            if ticket in desk.forgotten:
                desk.forgotten.discard(ticket)
            else:
                desk.batches.put((ticket, make(task)))
    finally:  # `sys.exit` in the dataset ends the process, and the main process says so
        desk.leave()


def _set_up(payload: bytes, worker: int) -> Callable[[bytes], bytes]:
    """Set the process up, and return the function from a pickled task to a pickled batch.

    If an error occurs here, every batch raises it.
    """
    global _info
    try:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1)  # the workers run in parallel already: one thread for each
        os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
        start: Start = pickle.loads(payload)
        seed = _worker_seed(start.seed, worker)
        streams = GlobalStreams()
        streams.begin(seed)
        _info = WorkerInfo(worker, start.num_workers, seed, start.fetch.dataset)
        if start.worker_init_fn is not None:
            start.worker_init_fn(worker)
            streams.note_taken(seed)
    except Exception as error:
        failure = pickle.dumps(Failure.of(error, worker))
        return lambda task: failure
    return lambda task: _batch(start.fetch, streams, task)


def _worker_seed(seed: int, worker: int) -> int:
    return (seed + worker) % (1 << 63)


def _batch(fetch: AnyFetcher, streams: GlobalStreams, pickled: bytes) -> bytes:
    """One batch, pickled here so that an error of pickling is reported like the dataset's errors."""
    global _info
    assert _info is not None
    try:
        task: Task = pickle.loads(pickled)
        seed = _worker_seed(derived_seed(task.keys.seed, task.keys.epoch), _info.id)
        if seed != _info.seed:  # another epoch with persistent workers
            streams.begin(seed)
            _info = _info._replace(seed=seed)
        return pickle.dumps(fetch(task, streams), protocol=5)
    except Exception as error:
        return pickle.dumps(Failure.of(error, _info.id))
