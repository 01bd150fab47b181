"""The worker processes, as the main process uses them; worker.py has the code that runs inside them.

Each process has its own socket. Process k % num_workers makes batch k of an epoch, and each process makes its batches
in order, so a dataset that has a state (such as a generator) gives the same in each run. Two threads inside a process
read from and write to the socket, so that neither side ever waits for the other to read.

Processes are spawned, never forked: a fork copies the locks of Numba's and BLAS's threads, but not the threads.
"""

from __future__ import annotations

import atexit
import multiprocessing.process
import multiprocessing.util  # imported first, so that its exit function runs after ours
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from .fetch import PATIENCE, Task
from .stream import AnyFetcher, Portion
from .worker import FORGET, STOP, Failure, Start, run, ticket_bytes

__all__ = ["ProcessWorkers"]


class ProcessWorkers:
    """`num_workers` spawned processes that run a fetcher. They end with `close()` or with the last reference to this.

    Args:
        depth: how many batches are in progress besides the one that the consumer waits for.
        seed: the seed of worker 0 in the first epoch; worker k has seed + k.

    Raises:
        RuntimeError: the dataset, the collate_fn or the worker_init_fn cannot be pickled, or not imported by a process.
    """

    def __init__(
        self,
        fetch: AnyFetcher,
        num_workers: int,
        depth: int,
        seed: int,
        worker_init_fn: Callable[[int], None] | None,
    ) -> None:
        self.depth = depth
        self._payload = _pickled(Start(fetch, worker_init_fn, num_workers, seed))
        self._lock = threading.RLock()
        self._tickets = 0
        self._needed: dict[int, tuple[_Worker, Task]] = {}  # the tickets whose batches are still to be returned
        self._arrived: dict[int, bytes] = {}  # batches that were read while waiting for another ticket
        self.workers: list[_Worker] = []
        self.pid = os.getpid()
        self._finalizer = weakref.finalize(self, _end, self.workers, self.pid)
        _living.add(self)
        try:
            for worker in range(num_workers):
                self.workers.append(_start(worker))
        except BaseException:
            self.close(patience=0.0)
            raise

    @property
    def usable(self) -> bool:
        """Whether this process started the workers, and has not ended them."""
        return self._finalizer.alive and self.pid == os.getpid()

    def submit(self, task: Task) -> int:
        """Send a task to its worker, and return the ticket for its batch."""
        with self._lock:
            worker = self.workers[task.number % len(self.workers)]
            ticket, self._tickets = self._tickets, self._tickets + 1
            try:
                if not worker.started:
                    worker.connection.send_bytes(self._payload)
                    worker.started = True
                worker.connection.send_bytes(ticket_bytes(ticket) + pickle.dumps(task, protocol=5))
            except OSError:  # the process does not read any more
                raise self._death(worker) from None
            except BaseException:  # half a message may have been sent
                self.close(patience=0.0)
                raise
            self._needed[ticket] = worker, task
            return ticket

    def result(self, ticket: int, timeout: float) -> Any:
        """Wait for a batch; an exception of the dataset is raised here, with its traceback in the message.

        Raises:
            RuntimeError: no batch within `timeout` seconds (0: wait for ever), or the worker died.
        """
        with self._lock:
            worker, _ = self._needed[ticket]
            deadline = time.monotonic() + timeout if timeout else None
            while ticket not in self._arrived:
                left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
                self._read(worker, left, timeout)
            del self._needed[ticket]
            answer = pickle.loads(self._arrived.pop(ticket))  # bytes of our own worker
        if isinstance(answer, Failure):
            raise answer.exception()
        return answer

    def _read(self, worker: _Worker, left: float | None, timeout: float) -> None:
        """Read the next batch from a worker, and keep it if it is still needed."""
        try:
            ready = wait([worker.connection, worker.process.sentinel], left)
            if not ready:
                raise TimeoutError
            if worker.connection not in ready and not worker.connection.poll():
                raise EOFError
            ticket = int.from_bytes(worker.connection.recv_bytes(), "little")
            answer = worker.connection.recv_bytes()
        except TimeoutError:
            self.close(patience=0.0)
            raise RuntimeError(f"DataLoader timed out after {timeout} seconds; {self._at_work(worker)}") from None
        except (EOFError, OSError):
            raise self._death(worker) from None
        except BaseException:  # half a message may have been read
            self.close(patience=0.0)
            raise
        worker.heard = True
        if ticket in self._needed:
            self._arrived[ticket] = answer

    def forget(self, tickets: Iterable[int]) -> None:
        """Do not make these batches, or drop them."""
        with self._lock:
            for ticket in tickets:
                self._arrived.pop(ticket, None)
                worker, _ = self._needed.pop(ticket, (None, None))
                if worker is not None and self.usable:
                    worker.send_if_possible(ticket_bytes(ticket) + FORGET)

    def _at_work(self, worker: _Worker) -> str:
        """The first batch that has not come from a worker, and its samples if they have indices."""
        process = f"worker process {self.workers.index(worker)}"
        tasks = [task for ticket, (w, task) in self._needed.items() if w is worker and ticket not in self._arrived]
        if not tasks:
            return f"{process} had no batch to make"
        indices = tasks[0].indices if isinstance(tasks[0].indices, list) else [tasks[0].indices]
        shown = ", ".join(repr(index) for index in indices[:8]) + (", ..." if len(indices) > 8 else "")
        samples = "" if isinstance(tasks[0].indices, Portion) else f" (samples {shown})"
        return f"{process} had not delivered batch {tasks[0].number}{samples}"

    def _death(self, dead: _Worker) -> RuntimeError:
        """End the other processes, and return the error that says what happened."""
        dead.process.join(PATIENCE)
        codes = {worker.process.pid: worker.process.exitcode for worker in self.workers}
        self.close(patience=0.0)
        about = (
            "-9 means killed, often for lack of memory (fewer workers, smaller batches); another code may be what the "
            "dataset passed to sys.exit or os._exit"
            if dead.heard or dead.process.exitcode != 1
            else "1 right at the start often means that the script starts its work without "
            "`if __name__ == '__main__':`, which spawned processes need; or use num_workers=0"
        )
        return RuntimeError(
            f"DataLoader: a worker process died unexpectedly; {self._at_work(dead)}; "
            f"exit codes by process id: {codes}. {about}"
        )

    def close(self, patience: float = PATIENCE) -> None:
        """End the processes: a process that has not finished its batch after `patience` seconds is killed."""
        if self._finalizer.detach() is not None:
            _end(self.workers, self.pid, patience)


class _Worker:
    """One process and the socket to it."""

    def __init__(self, process: Any, connection: Any) -> None:
        self.process, self.connection = process, connection
        self.started = False  # whether the fetcher has been sent to it
        self.heard = False  # whether it has answered

    def send_if_possible(self, message: bytes) -> None:
        """Send a few bytes, unless the process is dead or so far behind that its socket is full."""
        with suppress(
            OSError, AttributeError
        ):  # on a system without set_blocking, closing the socket has the same effect
            os.set_blocking(self.connection.fileno(), False)
            try:
                self.connection.send_bytes(message)
            finally:
                os.set_blocking(self.connection.fileno(), True)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started in the block have SIGINT blocked, until `worker.run` ignores it.

    Ctrl-C reaches the whole group of processes, and each that is still importing would print a traceback. Here, a
    Ctrl-C during the block comes at its end.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # otherwise `Process.start` would start it, and then unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(worker: int) -> _Worker:
    """Start a process. It gets no large data: `start` would wait for ever if the process died before reading them."""
    from multiprocessing import get_context

    context = get_context("spawn")
    ours, theirs = context.Pipe()
    try:
        process = context.Process(target=run, args=(theirs, worker), name=f"minicnn-loader-{worker}")
        with _deaf_to_ctrl_c():
            process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return _Worker(process, ours)


def _end(workers: list[_Worker], pid: int, patience: float = PATIENCE) -> None:
    if os.getpid() != pid:  # a fork of the process that started them
        return
    for worker in workers:
        worker.send_if_possible(STOP)
    deadline = time.monotonic() + patience
    running = {worker.process.sentinel for worker in workers}
    while running and (left := deadline - time.monotonic()) > 0:
        running.difference_update(wait(running, left))
    for worker in workers:
        if worker.process.sentinel in running:
            worker.process.kill()
        worker.process.join(PATIENCE)  # so that none stays a zombie
        worker.connection.close()


_living: weakref.WeakSet[ProcessWorkers] = weakref.WeakSet()


def _end_all() -> None:
    """At the end of the program, before multiprocessing waits for its processes."""
    for workers in list(_living):
        workers.close()


def _after_fork() -> None:
    """In a forked child, remove the workers from multiprocessing's list: it cannot wait for its parent's processes."""
    theirs: set[Any] = getattr(multiprocessing.process, "_children", set())
    theirs.difference_update(worker.process for workers in list(_living) for worker in workers.workers)


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Main(NamedTuple):
    """The program's main module: whether a process can import it, and otherwise what it is."""

    reachable: bool
    what: str


def _main() -> _Main:
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if getattr(main, "__spec__", None) is not None or (path is not None and os.path.isfile(path)):
        return _Main(True, "")
    return _Main(False, "an interactive session or a `python -c` line" if path is None else f"no file ({path})")


def _pickled(start: Start) -> bytes:
    remedy = "use num_workers=0"
    try:
        payload = pickle.dumps(start, protocol=5)
    except Exception as error:
        raise RuntimeError(
            f"DataLoader: dataset, transforms or collate_fn cannot be sent to worker processes ({error}); "
            f"replace lambdas and local functions by module-level ones, or {remedy}"
        ) from error
    main = _main()
    named = getattr(sys.modules["__main__"], "__file__", None) is not None
    if not main.reachable and (named or b"__main__" in payload):
        raise RuntimeError(
            f"DataLoader: worker processes import the main program, but this one is {main.what}; put the "
            f"program, or the classes of its dataset, into a separate file, or {remedy}"
        )
    return payload
