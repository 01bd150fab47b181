"""The memory of large results: kept, given out again, aligned, and never more than what was in use lately."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from minicnn_kernels import layout, memory

MB = 1 << 20


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[memory._Pool]:
    fresh = memory._Pool()
    monkeypatch.setattr(memory, "_pool", fresh)
    yield fresh


def at(a: np.ndarray) -> int:
    return int(a.__array_interface__["data"][0])


def test_memory_is_given_out_again() -> None:
    first = memory.empty((512, 512), np.float32)
    where = at(first)
    del first
    assert memory.held() >= MB
    again = memory.empty((256, 512), np.float64)  # another shape and type of the same size
    assert at(again) == where and memory.held() == 0
    assert again.shape == (256, 512) and again.dtype == np.float64 and again.flags.writeable


def test_arrays_in_use_do_not_share() -> None:
    arrays = [memory.empty((MB,), np.uint8) for _ in range(5)]
    for i, a in enumerate(arrays):
        a.fill(i)
    assert all((a == i).all() for i, a in enumerate(arrays))


def test_a_view_keeps_the_memory() -> None:
    view = memory.empty((1024, 1024), np.float32)[10:20].T
    assert memory.held() == 0
    other = memory.empty((1024, 1024), np.float32)
    assert not np.shares_memory(view, other)
    del view
    assert memory.held() >= 4 * MB


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (1 << 17,), (3, 5, 7, 1111), (1, MB + 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.bool_])
def test_as_numpy_makes_them(shape: tuple[int, ...], dtype: type) -> None:
    a, b = memory.empty(shape, dtype), np.empty(shape, dtype)
    assert (a.shape, a.dtype, a.strides, a.flags.c_contiguous) == (b.shape, b.dtype, b.strides, b.flags.c_contiguous)
    if a.nbytes >= memory.LEAST:
        assert at(a) % memory.LINE == 0
    a[...] = 1
    assert a.all()


def test_never_holds_much_more_than_was_in_use(pool: memory._Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SPARE", (0.2, 0))
    rng = np.random.default_rng(0)
    live: list[np.ndarray] = []
    for _ in range(3000):
        if live and rng.random() < 0.5:
            live.pop(rng.integers(len(live)))
        live.append(memory.empty((int(rng.integers(1, 3 * MB)),), np.uint8)[::2])
        live = live[-20:]
        assert pool.used + pool.held <= pool.most()
        assert pool.held == sum(piece[0].nbytes - memory.LINE for pieces in pool.waiting.values() for piece in pieces)
    live.clear()
    gc.collect()
    assert pool.used == 0


def test_a_piece_a_little_larger_will_do(pool: memory._Pool) -> None:
    memory.empty((MB + MB // 8,), np.uint8)
    waiting = memory.held()
    a = memory.empty((MB,), np.uint8)
    assert a.size == MB and memory.held() == 0 and pool.used == waiting
    del a
    b = memory.empty((MB // 2,), np.uint8)  # half would be wasted
    assert memory.held() == waiting and b.size == MB // 2


def test_what_was_used_long_ago_is_forgotten(pool: memory._Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WINDOW", 10)
    monkeypatch.setattr(memory, "SPARE", (0.2, 0))
    del (large := [memory.empty((20 * MB,), np.uint8) for _ in range(3)])[:]
    assert memory.held() >= 60 * MB and not large
    for size in range(30):  # all of other sizes, so that nothing that waits fits
        memory.empty(((1 + size % 5) * MB + MB // 2,), np.uint8)
    assert memory.held() < 20 * MB


def test_empty_cache_gives_everything_back() -> None:
    kept = memory.empty((MB,), np.uint8)
    memory.empty((4 * MB,), np.uint8)
    assert memory.held() >= 4 * MB
    memory.empty_cache()
    assert memory.held() == 0
    kept.fill(3)
    del kept
    assert memory.held() >= MB


def test_threads(pool: memory._Pool) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(300):
            a = memory.empty((200_000,), np.uint8)
            a.fill(number)
            b = memory.empty((200_000,), np.uint8)
            b.fill(number + 100)
            if not (a == number).all():
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong and pool.used == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_fork() -> None:
    a = memory.empty((MB,), np.uint8)
    a.fill(1)
    with memory._pool.lock:  # as if another thread of the parent held it
        child = os.fork()
        if child == 0:
            b = memory.empty((MB,), np.uint8)
            b.fill(2)
            os._exit(0 if (a == 1).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_order_of_memory() -> None:
    x = layout.empty((8, 16, 32, 32), np.float32, channels_last=True)
    assert layout.is_channels_last(x) and at(x) % memory.LINE == 0
    assert layout.empty_like(x).strides == x.strides
    assert layout.empty_like(x.transpose(0, 2, 3, 1)).flags.c_contiguous
    assert layout.empty_like(np.empty((4, 5, 6)).T).strides == np.empty((4, 5, 6)).T.strides
