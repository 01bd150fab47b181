"""How and where one batch is made: in the caller's thread, or ahead of it by a thread in the background.

`Fetcher` turns one `Task` (indices and their random keys) into one batch. A task holds everything that affects the
result, so the result is the same wherever it runs. These classes take tasks (`submit`) and return batches (`result`):

    InPlace           the caller itself makes a batch when it asks for it: the dataset has the program's settings,
                      connections and streams
    Background        a thread; NumPy releases Python's lock in its loops, so it runs during the training
    ProcessWorkers    processes, in workers.py
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import Any, NamedTuple

from ...autograd.modes import is_grad_enabled, set_grad_enabled
from .collate import default_collate
from .dataset import current_method, one_by_one
from .randomness import GlobalStreams, SampleKeys, keyed_samples

__all__ = ["Background", "Fetcher", "InPlace", "Task"]

PATIENCE = 3.0  # seconds that a worker gets to finish its batch when the batch is no longer needed
_IDLE = 1.0  # seconds without a task after which the thread ends


class Task(NamedTuple):
    """One batch to make: its number in the epoch, its indices (a single index if there is no batch dimension), and the
    random keys.
    """

    number: int
    indices: Any
    keys: SampleKeys


class Fetcher(NamedTuple):
    """How a batch is made from a dataset; `batched` is False if samples come one by one (`batch_size=None`)."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    batched: bool = True

    def __call__(self, task: Task, global_streams: GlobalStreams | None = None) -> Any:
        """The batch: by `fetch_batch`, else by `__getitems__`, else sample by sample."""
        with keyed_samples(task.keys, global_streams):
            try:
                return self._fetch(task.indices)
            except StopIteration as error:  # it would end the consumer's loop as if the epoch were over
                raise RuntimeError("DataLoader: the dataset or the collate_fn raised StopIteration") from error

    def _fetch(self, indices: Any) -> Any:
        if not self.batched:
            return self.collate_fn(one_by_one(self.dataset, [indices])[0])
        if self.collate_fn is default_collate:
            fetch_batch = current_method(self.dataset, "__getitem__", "fetch_batch")
            batch = fetch_batch(indices) if fetch_batch is not None else None
            if batch is not None:
                return batch
        many = current_method(self.dataset, "__getitem__", "__getitems__")
        if many is not None:
            return self.collate_fn(many(indices))
        return self.collate_fn(one_by_one(self.dataset, indices))


class InPlace:
    """The caller makes each batch when it asks for it."""

    depth = 0  # the number of batches made ahead

    def __init__(self, fetch: Callable[[Task], Any]) -> None:
        self._fetch = fetch

    def submit(self, task: Task) -> Task:
        """The task itself: `result` makes the batch."""
        return task

    def result(self, task: Task, timeout: float) -> Any:
        """Make the batch."""
        return self._fetch(task)

    def forget(self, tasks: Iterable[Task]) -> None:
        """Does nothing: no batch has been started."""

    def close(self) -> None:
        """Does nothing: there is no thread or process to end."""


class _Job(NamedTuple):
    """A task for the thread, with the settings of the code that submitted it."""

    task: Task
    future: Future[Any]
    context: Context  # numpy.errstate, minicnn.use, the default device
    grad_enabled: bool


class Background:
    """One daemon thread that runs a fetcher. It ends at `close()`, or after a second without a task."""

    def __init__(self, fetch: Callable[[Task], Any], depth: int) -> None:
        self._fetch, self.depth = fetch, depth
        self._queue = _Queue(self._make)

    def _make(self, task: Task) -> Any:
        return self._fetch(task)

    def submit(self, task: Task) -> _Job:
        """Queue a task."""
        job = _Job(task, Future(), copy_context(), is_grad_enabled())
        self._queue.put(job)
        return job

    def result(self, job: _Job, timeout: float) -> Any:
        """Wait for a batch; an exception of the dataset is raised here, with its traceback."""
        return job.future.result()

    def forget(self, jobs: Iterable[_Job]) -> None:
        """Cancel these tasks, unless they have started."""
        for job in jobs:
            job.future.cancel()

    def close(self) -> None:
        """End the thread when it has finished its current batch."""
        self._queue.close()


class _Queue:
    """The jobs of one thread, which runs only while there are jobs."""

    def __init__(self, make: Callable[[Task], Any]) -> None:
        self._jobs: deque[_Job] = deque()
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._make = make

    def put(self, job: _Job) -> None:
        with self._news:
            self._jobs.append(job)
            self._news.notify()
            if self._thread is None:
                thread = threading.Thread(target=self._serve, name="minicnn-loader", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # the system cannot start another thread
                    self._jobs.pop()
                    job.future.set_exception(error)
                else:
                    self._thread = thread

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            if job.future.set_running_or_notify_cancel():
                try:
                    job.future.set_result(job.context.run(self._run, job))
                except BaseException as error:  # `result` raises it in the consumer
                    job.future.set_exception(error)
            del job  # a waiting thread must not keep the last batch alive

    def _next(self) -> _Job | None:
        with self._news:
            if not self._jobs and not self._closed:
                self._news.wait_for(lambda: self._jobs or self._closed, _IDLE)
            if self._jobs and not self._closed:
                return self._jobs.popleft()
            self._thread = None
            return None

    def _run(self, job: _Job) -> Any:
        with set_grad_enabled(job.grad_enabled):
            return self._make(job.task)

    def close(self) -> None:
        with self._news:
            self._closed, thread = True, self._thread
            self._news.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join(PATIENCE)
