"""The memory of large results: it is kept, used again and aligned, and not much more is held than was in use lately."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from minicnn_kernels import layout, memory

MB = 1 << 20


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[memory._Pool]:
    fresh = memory._Pool()
    monkeypatch.setattr(memory, "_pool", fresh)
    monkeypatch.setattr(memory, "RECENT", 0)  # except in tests that set it
    yield fresh


def at(a: np.ndarray) -> int:
    return int(a.__array_interface__["data"][0])


def test_memory_is_given_out_again(pool: memory._Pool) -> None:
    first = memory.empty((512, 512), np.float32)
    where, free = at(first), memory.held()
    del first
    assert memory.held() == free + MB == memory.SEGMENT
    again = memory.empty((256, 512), np.float64)  # another shape and type of the same size
    assert at(again) == where and memory.held() == free
    assert again.shape == (256, 512) and again.dtype == np.float64 and again.flags.writeable


def test_arrays_in_use_do_not_share() -> None:
    arrays = [memory.empty((MB,), np.uint8) for _ in range(5)]
    for i, a in enumerate(arrays):
        a.fill(i)
    assert all((a == i).all() for i, a in enumerate(arrays))


def test_a_view_keeps_the_memory() -> None:
    view = memory.empty((1024, 1024), np.float32)[10:20].T
    free = memory.held()
    other = memory.empty((1024, 1024), np.float32)
    assert not np.shares_memory(view, other)
    del view, other
    assert memory.held() == free + 4 * MB


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (1 << 17,), (3, 5, 7, 1111), (1, MB + 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.bool_])
def test_as_numpy_makes_them(shape: tuple[int, ...], dtype: type) -> None:
    a, b = memory.empty(shape, dtype), np.empty(shape, dtype)
    assert (a.shape, a.dtype, a.strides, a.flags.c_contiguous) == (b.shape, b.dtype, b.strides, b.flags.c_contiguous)
    if a.nbytes >= memory.LEAST:
        assert at(a) % memory.PAGE == 0
    a[...] = 1
    assert a.all()


def segments(pool: memory._Pool, live: list[np.ndarray]) -> list[list[memory.Block]]:
    """The blocks of each segment in order, walked from the free blocks and from the live arrays."""
    memory.held()  # collects the blocks that came back
    blocks = [block for _, _, block in pool.free] + [a.base._block for a in live]
    blocks += [block for same in pool.recent.values() for block in same]
    firsts = {}
    for block in blocks:
        while block.before:
            assert block.before.after is block
            block = block.before
        firsts[id(block)] = block
    rows = []
    for block in firsts.values():
        row = [block]
        while row[-1].after:
            row.append(row[-1].after)
        rows.append(row)
    assert sum(map(len, rows)) == len(blocks)
    return rows


@pytest.mark.parametrize("recent", [0, 4 * MB, 40 * MB])
def test_blocks_fill_their_segments(pool: memory._Pool, monkeypatch: pytest.MonkeyPatch, recent: int) -> None:
    monkeypatch.setattr(memory, "SPARE", (0.2, 0))
    monkeypatch.setattr(memory, "RECENT", recent)
    monkeypatch.setattr(memory, "SEGMENT", 4 * MB)
    rng = np.random.default_rng(0)
    live: list[np.ndarray] = []
    for i in range(3000):
        if live and rng.random() < 0.5:
            live.pop(rng.integers(len(live)))
        live.append(memory.empty((int(rng.choice([MB, rng.integers(memory.LEAST, 6 * MB)])),), np.uint8))
        live = live[-(i // 50 % 20) :]  # now few, now many
        memory.held()
        waiting = sum(block.size for same in pool.recent.values() for block in same)
        assert waiting == pool.waiting <= recent
        assert pool.used == sum(a.base._block.size for a in live) + waiting >= sum(a.nbytes for a in live) + waiting
        assert pool.held == sum(size for size, _, _ in pool.free)
        assert pool.free == sorted(pool.free) and all(size == block.size for size, _, block in pool.free)
        for row in segments(pool, live):
            memory_ = row[0].memory
            assert sum(block.size for block in row) == memory_.nbytes - memory.PAGE
            assert all(block.memory is memory_ for block in row) and 0 <= row[0].address - at(memory_) < memory.PAGE
            assert all(a.address + a.size == b.address and not (a.free and b.free) for a, b in pairwise(row))
    live.clear()
    gc.collect()
    memory.held()
    assert pool.used == pool.waiting <= recent
    pool.release_recent()
    assert pool.used == pool.waiting == 0 and all(len(row) == 1 for row in segments(pool, live))


def test_recent_blocks(pool: memory._Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "RECENT", 4 * MB)
    a, b, c = (memory.empty((size,), np.uint8) for size in (MB, MB - 2 * memory.PAGE, MB))
    where, free = [at(x) for x in (a, b, c)], pool.held
    del a, b, c
    memory.held()
    assert (pool.waiting, pool.held, memory.held()) == (3 * MB - 2 * memory.PAGE, free, memory.SEGMENT)
    x, y = memory.empty((256, 1024), np.float32), memory.empty((MB - 2 * memory.PAGE,), np.uint8)
    assert at(x) == where[2] and at(y) == where[1]  # the block of this size that came back last
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((256, 1024), np.float32, (MB - 2 * memory.PAGE,), np.uint8)
    x = memory.empty((MB + 1,), np.uint8)  # another size takes another block
    assert at(x) not in where
    large = [memory.empty((MB + i * memory.PAGE,), np.uint8) for i in range(5)]
    del large  # larger than a quarter of the limit, and together more than may wait
    assert 0 < pool.waiting <= 4 * MB
    memory.empty_cache()
    assert pool.waiting == 0 and not pool.recent


def test_recent_blocks_make_room(pool: memory._Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recent blocks are joined before more memory is taken from the system."""
    monkeypatch.setattr(memory, "RECENT", memory.SEGMENT)
    parts = [memory.empty((MB,), np.uint8) for _ in range(memory.SEGMENT // MB)]
    first = parts[0].base._block.memory
    del parts
    assert memory.held() and pool.waiting == memory.SEGMENT
    whole = memory.empty((memory.SEGMENT,), np.uint8)
    assert whole.base._block.memory is first


def test_never_holds_much_more_than_was_in_use(pool: memory._Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only free memory in segments that are partly in use may exceed the limit."""
    monkeypatch.setattr(memory, "SPARE", (0.2, 0))
    monkeypatch.setattr(memory, "SEGMENT", MB)
    rng = np.random.default_rng(1)
    for _ in range(200):
        live = [memory.empty((int(rng.integers(memory.LEAST, 3 * MB)),), np.uint8) for _ in range(rng.integers(30))]
        assert pool.used + pool.held <= pool.most() or not any(block.whole() for _, _, block in pool.free)
        del live[::2]


def test_a_step_finds_its_memory_again(pool: memory._Pool) -> None:
    """The arrays of a training step, of many sizes, get the memory of the step before."""

    def step() -> None:
        activations = [memory.empty((int(size),), np.uint8) for size in sizes]
        while activations:
            gradient = memory.empty((activations[-1].nbytes,), np.uint8)
            activations.pop()
            del gradient

    sizes = np.random.default_rng(2).integers(memory.LEAST, 8 * MB, 60)
    for _ in range(4):
        step()
    before = {id(row[0].memory) for row in segments(pool, [])}
    step()
    assert {id(row[0].memory) for row in segments(pool, [])} == before
    assert pool.used + pool.held <= 1.3 * max(pool.peaks)


def test_a_small_array_takes_the_smallest_free_block(pool: memory._Pool) -> None:
    large, wall, small, wall2 = (memory.empty((n * MB,), np.uint8) for n in (4, 1, 2, 1))
    places = at(large), at(small)
    del large, small
    a = memory.empty((MB,), np.uint8)
    b = memory.empty((3 * MB,), np.uint8)
    assert (at(b), at(a)) == places
    assert not np.shares_memory(a, wall) and not np.shares_memory(a, wall2)


def test_what_was_used_long_ago_is_forgotten(pool: memory._Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WINDOW", 10)
    monkeypatch.setattr(memory, "SPARE", (0.2, 0))
    del (large := [memory.empty((40 * MB,), np.uint8) for _ in range(3)])[:]
    assert memory.held() >= 120 * MB and not large
    for size in range(30):
        memory.empty(((1 + size % 5) * MB,), np.uint8)
    assert memory.held() <= memory.SEGMENT


def test_empty_cache_gives_everything_back() -> None:
    kept = memory.empty((MB,), np.uint8)
    memory.empty((40 * MB,), np.uint8)
    assert memory.held() >= 40 * MB
    memory.empty_cache()
    assert memory.held() == memory.SEGMENT - MB  # without the memory in use
    kept.fill(3)
    del kept
    assert memory.held() == memory.SEGMENT
    memory.empty_cache()
    assert memory.held() == 0


def test_an_array_that_goes_while_another_is_made(pool: memory._Pool) -> None:
    """As the garbage collector may do it: the memory waits in the queue, and the next array gets it."""
    a = memory.empty((MB,), np.uint8)
    used = pool.used
    with pool.lock:
        del a
        assert pool.used == used
    b = memory.empty((2 * MB,), np.uint8)
    assert pool.used == 2 * MB == b.nbytes


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
    assert memory.held() and not wrong and pool.used == 0


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
    assert layout.is_channels_last(x) and at(x) % memory.PAGE == 0


def test_a_request_that_fails_changes_nothing(pool: memory._Pool, capsys: pytest.CaptureFixture[str]) -> None:
    kept = memory.empty((MB,), np.uint8)
    del kept
    with pytest.raises(MemoryError):
        memory.empty((10**15,), np.float32)
    assert pool.used == 0 and pool.most() == MB + memory.SPARE[1]
    assert memory.held() == 0, "waiting memory was given back before the second try"
    assert memory.empty((MB,), np.uint8).nbytes == MB
    assert capsys.readouterr().err == ""
