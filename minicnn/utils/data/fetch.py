"""Who makes the batches: a function, and the thread or the processes that run it ahead of the consumer.

`Fetcher` turns one `Task` (indices and their random keys) into one batch. Tasks carry all that matters, so the result
is the same whoever runs them. Both kinds of workers take tasks and give `concurrent.futures.Future`s:

    ThreadWorker      one background thread; NumPy releases Python's lock in its loops, so it runs beside the training
    ProcessWorkers    spawned processes, for datasets that spend their time in Python

Processes are spawned, never forked: a fork copies the locks of Numba's and BLAS's threads, but not the threads.
"""

from __future__ import annotations

import os
import pickle
import queue
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from .collate import default_collate
from .dataset import current_method
from .randomness import SampleKeys, each_sample, keyed_samples

__all__ = ["Fetcher", "ProcessWorkers", "Task", "ThreadWorker", "WorkerInfo", "get_worker_info"]

_PATIENCE = 5.0  # seconds that a worker has to finish the batch in its hands, when it is no longer wanted


class Task(NamedTuple):
    """One batch to make: its indices (a single one where there is no batch dimension) and the random keys."""

    indices: Any
    keys: SampleKeys


class Fetcher(NamedTuple):
    """How a batch is made from a dataset; `batched` is False where samples come one by one (`batch_size=None`)."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    batched: bool = True

    def __call__(self, task: Task) -> Any:
        """The batch: by `fetch_batch`, else by `__getitems__`, else sample by sample."""
        with keyed_samples(task.keys):
            try:
                return self._fetch(task.indices)
            except StopIteration as error:  # it would end the consumer's loop as if the epoch were over
                raise RuntimeError("DataLoader: the dataset or the collate_fn raised StopIteration") from error

    def _fetch(self, indices: Any) -> Any:
        if not self.batched:
            return self.collate_fn(self.dataset[indices])
        if self.collate_fn is default_collate:
            fetch_batch = current_method(self.dataset, "__getitem__", "fetch_batch")
            batch = fetch_batch(indices) if fetch_batch is not None else None
            if batch is not None:
                return batch
        many = current_method(self.dataset, "__getitem__", "__getitems__")
        if many is not None:
            return self.collate_fn(many(indices))
        return self.collate_fn([self.dataset[index] for index in each_sample(indices)])


class ThreadWorker:
    """One daemon thread that runs a fetcher; `close()` ends it."""

    def __init__(self, fetch: Fetcher) -> None:
        self._tasks: queue.SimpleQueue[tuple[Future[Any], Task] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._serve, args=(fetch, self._tasks), name="minicnn-loader", daemon=True
        )
        self._thread.start()

    @staticmethod
    def _serve(fetch: Fetcher, tasks: queue.SimpleQueue[tuple[Future[Any], Task] | None]) -> None:
        while (item := tasks.get()) is not None:
            future, task = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fetch(task))
                except BaseException as error:  # handed to the consumer, who raises it again
                    future.set_exception(error)
            del item, future  # a waiting thread must not keep the last batch alive

    def submit(self, task: Task) -> Future[Any]:
        """Queue a task."""
        future: Future[Any] = Future()
        self._tasks.put((future, task))
        return future

    def result(self, future: Future[Any], timeout: float) -> Any:
        """Wait for a batch; what the dataset raised is raised here, with its traceback."""
        return future.result()

    def close(self) -> None:
        """End the thread once it has finished the batch in its hands (tasks still waiting were cancelled)."""
        self._tasks.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)


# ------------------------------------------------------------------------------------------------- worker processes


class WorkerInfo(NamedTuple):
    """What `get_worker_info()` tells inside a worker process."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


class _Text(str):
    """A message that KeyError, which prints the repr of its argument, shows with its line breaks."""

    __slots__ = ()
    __repr__ = str.__str__


class _Failure(NamedTuple):
    """An exception on its way out of a worker: the exception itself may not survive pickling."""

    kind: bytes  # the pickled class, empty where it cannot be pickled
    text: str

    @classmethod
    def of(cls, error: BaseException, worker: int) -> _Failure:
        trace = "".join(traceback.format_exception(error))
        try:
            kind = pickle.dumps(type(error))
        except Exception:
            kind = b""
        return cls(kind, f"Caught {type(error).__name__} in DataLoader worker process {worker}.\nOriginal {trace}")

    def exception(self) -> BaseException:
        try:
            error = pickle.loads(self.kind)(_Text(self.text))  # bytes of our own worker
            return error if isinstance(error, Exception) else RuntimeError(self.text)
        except Exception:
            return RuntimeError(self.text)


class _Start(NamedTuple):
    """What a worker process is given once."""

    fetch: Fetcher
    worker_init_fn: Callable[[int], None] | None
    num_workers: int
    seed: int


# The state of a worker process; in the main process both stay None.
_info: WorkerInfo | None = None
_fetch: Fetcher | _Failure | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process: its id, their number, its seed and its dataset. In the main process: None."""
    return _info


def _start_worker(payload: bytes, ids: Any) -> None:
    """Set up a worker process; whatever goes wrong is kept and raised by the first batch."""
    global _info, _fetch
    import multiprocessing
    import random
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process decides
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    worker = ids.get()
    try:
        import numpy as np
        from threadpoolctl import threadpool_limits

        from ...random import default_generator

        threadpool_limits(1)  # workers are parallel already: one thread each
        os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
        start: _Start = pickle.loads(payload)
        seed = (start.seed + worker) % (1 << 63)
        random.seed(seed)
        np.random.seed(seed % (1 << 32))  # noqa: NPY002  for datasets that draw from the global stream
        default_generator.manual_seed(seed)
        _info = WorkerInfo(worker, start.num_workers, seed, start.fetch.dataset)
        if start.worker_init_fn is not None:
            start.worker_init_fn(worker)
        _fetch = start.fetch
    except Exception as error:
        _fetch = _Failure.of(error, worker)


def _follow(parent: int) -> None:
    """End this process when the main process has died, however it died."""
    from multiprocessing.connection import wait

    wait([parent])
    os._exit(1)


def _work(task: Task) -> bytes | _Failure:
    """One batch in a worker process, pickled here so that what cannot be pickled fails by name."""
    if isinstance(_fetch, _Failure):
        return _fetch
    assert _fetch is not None and _info is not None
    try:
        return pickle.dumps(_fetch(task), protocol=5)
    except Exception as error:
        return _Failure.of(error, _info.id)


class ProcessWorkers:
    """`num_workers` spawned processes that run a fetcher. They end with `close()` or with the last reference to this.

    Raises:
        RuntimeError: the dataset, the collate_fn or the worker_init_fn cannot be pickled.
    """

    def __init__(
        self, fetch: Fetcher, num_workers: int, seed: int, worker_init_fn: Callable[[int], None] | None
    ) -> None:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        try:
            payload = pickle.dumps(_Start(fetch, worker_init_fn, num_workers, seed), protocol=5)
        except Exception as error:
            raise RuntimeError(
                f"DataLoader: dataset, transforms or collate_fn cannot be sent to worker processes ({error}); "
                "replace lambdas and local functions by module-level ones, or use num_workers=0"
            ) from error
        context = get_context("spawn")
        ids = context.SimpleQueue()
        for worker in range(num_workers):
            ids.put(worker)
        self._executor = ProcessPoolExecutor(
            num_workers, mp_context=context, initializer=_start_worker, initargs=(payload, ids)
        )
        self._processes: list[Any] = []
        self._finalizer = weakref.finalize(self, _end_processes, self._executor)

    @property
    def closed(self) -> bool:
        """True once the processes have been ended."""
        return not self._finalizer.alive

    def submit(self, task: Task) -> Future[Any]:
        """Queue a task; the first ones start the processes."""
        from concurrent.futures.process import BrokenProcessPool

        try:
            future = self._executor.submit(_work, task)
        except BrokenProcessPool:
            raise self._death() from None
        self._processes = _processes(self._executor)
        return future

    def result(self, future: Future[Any], timeout: float) -> Any:
        """Wait for a batch; what the dataset raised is raised here, its traceback in the message.

        Raises:
            RuntimeError: no batch within `timeout` seconds (0: wait for ever), or a worker died.
        """
        from concurrent.futures.process import BrokenProcessPool

        try:
            answer = future.result(timeout or None)
        except TimeoutError:
            self.close(patience=0.0)
            raise RuntimeError(f"DataLoader timed out after {timeout} seconds") from None
        except BrokenProcessPool:
            raise self._death() from None
        if isinstance(answer, _Failure):
            raise answer.exception()
        return pickle.loads(answer)  # bytes of our own worker

    def _death(self) -> RuntimeError:
        """End what is left of the processes and say what happened to them."""
        for process in self._processes:
            process.join(_PATIENCE)
        codes = {process.pid: process.exitcode for process in self._processes}
        self.close(patience=0.0)
        return RuntimeError(
            f"DataLoader: a worker process died unexpectedly; exit codes by process id: {codes}. -9 means killed, "
            "often for lack of memory (fewer workers, smaller batches); 1 right at the start often means that the "
            "script starts its work without `if __name__ == '__main__':`, which spawned processes need"
        )

    def close(self, patience: float = _PATIENCE) -> None:
        """End the processes: those that have not finished their batch after `patience` seconds are killed."""
        if self._finalizer.detach() is not None:
            _end_processes(self._executor, patience)


def _processes(executor: Any) -> list[Any]:
    """The executor's processes; before Python 3.14 it has no public way to stop one that hangs."""
    return list((getattr(executor, "_processes", None) or {}).values())


def _end_processes(executor: Any, patience: float = _PATIENCE) -> None:
    from multiprocessing.connection import wait

    processes = _processes(executor)
    manager = getattr(executor, "_executor_manager_thread", None)
    executor.shutdown(wait=False, cancel_futures=True)
    deadline = time.monotonic() + patience
    running = {process.sentinel for process in processes}
    while running and (left := deadline - time.monotonic()) > 0:
        running.difference_update(wait(running, left))
    for process in processes:
        if process.sentinel in running:
            process.kill()
    if manager is not None and manager is not threading.current_thread():
        manager.join(_PATIENCE)  # it waits for the processes, so that none stays a zombie
