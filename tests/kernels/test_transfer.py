"""Copies between CPU and GPU: what they wait for, and that their buffers stay until they are done.

The emulated page-locked memory is new with each block, and kept by the copies themselves. CuPy's pool gives a freed
block out again at once. So these tests put a pool in its place that does so, too (`Pool`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import arrays, transfer
from minicnn_kernels.emulated import array as emulated_array
from minicnn_kernels.emulated import memory as emulated_memory
from minicnn_kernels.emulated.traffic import counting, no_waits


@pytest.fixture
def gpus() -> Iterator[Any]:
    with arrays.emulated() as module:
        yield module
        for number in range(2):
            module.cuda.Device(number).synchronize()


class Pool:
    """Page-locked memory that is given out again as soon as no array is on it; copies read and write it in place."""

    def __init__(self, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free: list[ctypes.Array[Any]] = []
        self.given = 0

        class Pointer(ctypes.c_ubyte * 4096):  # type: ignore[misc]
            """One block; it comes back when it is deleted."""

            def __del__(block) -> None:
                self.free.append(block.memory)

        def alloc(size: int) -> Any:
            assert size <= 4096
            memory = self.free.pop() if self.free else (ctypes.c_ubyte * 4096)()
            block = Pointer.from_buffer(memory)
            block.memory = memory
            emulated_memory._locked[ctypes.addressof(memory)] = 4096
            self.given += 1
            return block

        monkeypatch.setattr(emulated_memory, "_locked", {})
        monkeypatch.setattr(module.cuda, "alloc_pinned_memory", alloc)
        monkeypatch.setattr(module.cuda, "PinnedMemoryPointer", Pointer)
        monkeypatch.setattr(emulated_array, "upload", self._upload)

    def _upload(self, a: Any, source: Any, queue: Any) -> None:
        """What CUDA does: it keeps the address."""
        memory = (ctypes.c_ubyte * source.nbytes).from_address(source.__array_interface__["data"][0])
        raw = np.frombuffer(memory, source.dtype).reshape(source.shape)
        queue.add(lambda: np.copyto(a, raw))


@pytest.fixture
def pool(gpus: Any, monkeypatch: pytest.MonkeyPatch) -> Pool:
    transfer._copies.clear()
    return Pool(gpus, monkeypatch)


def locked(*values: float) -> Any:
    return arrays.page_locked(np.array(values, np.float32))


def test_page_locked_arrays(gpus: Any) -> None:
    x = np.arange(6.0).reshape(2, 3)
    y = arrays.page_locked(x)
    assert arrays.is_page_locked(y) and arrays.is_page_locked(y[1:].T) and not arrays.is_page_locked(y * 2)
    np.testing.assert_array_equal(y, x)
    assert y.flags.writeable and not np.may_share_memory(x, y)
    empty = arrays.page_locked(np.zeros((0, 3), np.int8))
    assert empty.shape == (0, 3) and empty.dtype == np.int8
    assert not arrays.is_page_locked(np.frombuffer(b"12345678"))
    assert not arrays.is_page_locked(arrays.upload(y, 0))


@pytest.mark.parametrize("made", [np.array, arrays.page_locked])
def test_what_is_copied_may_change_at_once(gpus: Any, made: Any) -> None:
    x = made(np.arange(3.0))
    with no_waits(), counting() as seen:
        y = arrays.upload(x, 1)
        x[...] = 9
    assert seen.to_device == 1 and arrays.device_number(y) == 1 and arrays.host(y).tolist() == [0, 1, 2]


def test_without_staging_the_program_must_wait(gpus: Any) -> None:
    """Planted: a page-locked array is written too early. It shows, so the copy was not staged."""
    x = locked(0, 1, 2)
    early = arrays.upload(x, 0, non_blocking=True)
    x[...] = 9
    assert arrays.host(early).tolist() == [9, 9, 9]
    late = arrays.upload(x, 0, non_blocking=True)
    gpus.cuda.Device(0).synchronize()
    x[...] = 0
    assert arrays.host(late).tolist() == [9, 9, 9]
    ordinary = np.ones(3, np.float32)
    y = arrays.upload(ordinary, 0, non_blocking=True)
    four = locked(0, 1, 2, 3)
    every_second = arrays.upload(four[::2], 0, non_blocking=True)  # not in one piece: staged
    ordinary[...] = four[...] = 9
    assert arrays.host(y).tolist() == [1, 1, 1] and arrays.host(every_second).tolist() == [0, 2]


@pytest.mark.parametrize("value", [np.float32(3), np.zeros((0, 3)), True, [[1, 2]], np.array(5)])
def test_all_that_can_be_copied(gpus: Any, value: Any) -> None:
    with no_waits():
        y = arrays.upload(value, 0, non_blocking=True)
    np.testing.assert_array_equal(arrays.host(y), value)
    assert y.dtype == np.asarray(value).dtype and arrays.host(y, non_blocking=True).shape == np.shape(value)


def test_copies_to_the_cpu(gpus: Any) -> None:
    x = arrays.upload(np.arange(3.0), 1)
    with counting() as seen:
        assert arrays.host(x).tolist() == [0, 1, 2]
    assert seen.waits == 1
    with no_waits():
        y = arrays.host(x, non_blocking=True)
    assert np.isnan(y).all() and arrays.is_page_locked(y)
    gpus.cuda.Device(1).synchronize()
    assert y.tolist() == [0, 1, 2]


def test_the_values_of_another_gpu_are_read_in_its_stream(gpus: Any) -> None:
    with gpus.cuda.Device(1), gpus.cuda.Stream(non_blocking=True) as side:
        x = arrays.upload(locked(1, 2), 1, non_blocking=True)
        with gpus.cuda.Device(0), gpus.cuda.Stream(non_blocking=True):
            assert arrays.host(x).tolist() == [1, 2]
    assert side.done


def test_a_constant_is_there_for_each_stream(gpus: Any) -> None:
    def numbers(count: int) -> Any:
        return np.arange(count)

    x = gpus.zeros(3)
    with gpus.cuda.Stream(non_blocking=True):
        y = gpus.zeros(3)
        first = arrays.constant(numbers, y, 3)
        assert arrays.constant(numbers, y, 3) is first
    with counting() as seen:
        assert (arrays.constant(numbers, x, 3) + x).tolist() == [0, 1, 2]
        assert arrays.constant(numbers, x, 3) is arrays.constant(numbers, x, 3) is not first
    assert seen.to_device == 1 and arrays.constant(numbers, np.zeros(1), 2).tolist() == [0, 1]


# ------------------------------------------------------------------------------------------------- buffers and copies


def batches(non_blocking: bool) -> list[Any]:
    """Three batches, each in a buffer that is free for the next as soon as it is not needed."""
    there = []
    for number in range(3):
        batch = locked(number, number)
        there.append(arrays.upload(batch, 0, non_blocking))
        del batch
    return [arrays.host(x).tolist() for x in there]


@pytest.mark.parametrize("non_blocking", [False, True])
def test_a_buffer_stays_until_its_copy_is_done(pool: Pool, non_blocking: bool) -> None:
    assert batches(non_blocking) == [[0, 0], [1, 1], [2, 2]]


def test_a_buffer_that_goes_too_early_would_show(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: nothing keeps the buffers."""
    monkeypatch.setattr(transfer, "_keep", lambda module, buffer: None)
    assert batches(True) == [[2, 2], [2, 2], [2, 2]]


def test_buffers_come_back(pool: Pool) -> None:
    for number in range(20):
        x = arrays.upload(np.full(3, number), 0)
        arrays.host(x)  # waits
    assert pool.given == 20 and len(transfer._copies) <= 2 and len(pool.free) <= 2


def test_a_buffer_for_values_from_the_gpu_stays_too(gpus: Any) -> None:
    transfer._copies.clear()
    x = arrays.upload(np.ones(3), 0)
    gpus.cuda.Device(0).synchronize()
    arrays.host(x, non_blocking=True)  # nobody looks at it, but the GPU will write to it
    buffer = transfer._copies[-1][1]
    assert arrays.is_page_locked(buffer) and np.isnan(buffer).all()
    gpus.cuda.Device(0).synchronize()
    assert buffer.tolist() == [1, 1, 1]
    locked(1)
    assert all(kept is not buffer for _, kept in transfer._copies)


def test_a_stream_that_is_not_waited_for_holds_up_no_other(pool: Pool, gpus: Any) -> None:
    with gpus.cuda.Stream(non_blocking=True):
        slow = arrays.upload(locked(7), 0, non_blocking=True)
        assert batches(False) == [[0, 0], [1, 1], [2, 2]]
        assert arrays.host(slow).tolist() == [7]
