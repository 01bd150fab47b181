"""The emulated GPU's streams, devices and memory: copies not waited for, and arrays of the wrong device, show."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn_kernels.emulated import cupy as cp
from minicnn_kernels.emulated import cupyx
from minicnn_kernels.emulated.api import EmulationError
from minicnn_kernels.emulated.memory import PinnedMemoryPointer, is_pinned
from minicnn_kernels.emulated.traffic import counting, no_waits

cuda = cp.cuda


def locked(*values: float) -> Any:
    """A NumPy array in page-locked memory."""
    a = cupyx.empty_pinned(len(values), np.float32)
    assert np.isnan(a).all()
    a[...] = values
    return a


@pytest.fixture(autouse=True)
def left_as_it_was() -> Iterator[None]:
    """Each test ends on device 0 and the null stream, with nothing in the queues."""
    yield
    assert cuda.Device().id == 0 and cuda.get_current_stream() == cuda.Stream.null
    for device in (0, 1):
        cuda.Device(device).synchronize()


# ------------------------------------------------------------------------------------------------------------- streams


def test_a_copy_that_nobody_waited_for() -> None:
    """Planted: the null stream reads what a stream of its own brings."""
    side = cuda.Stream(non_blocking=True)
    with side, no_waits():
        x = cp.asarray(locked(1, 2))
    assert np.isnan(x + 0).all()  # not waited for
    side.synchronize()
    assert (x + 0).tolist() == [1, 2]


@pytest.mark.parametrize("how", ["wait_event", "stream", "event", "device", "own work", "looks"])
def test_ways_to_wait(how: str) -> None:
    side = cuda.Stream(non_blocking=True)
    with side:
        x = cp.asarray(locked(1, 2))
        event = side.record()
        if how == "own work":
            assert (x + 0).tolist() == [1, 2]
    if how == "wait_event":  # the only way in which the CPU does not wait
        with no_waits():
            cuda.get_current_stream().wait_event(event)
    elif how == "stream":
        side.synchronize()
    elif how == "event":
        event.synchronize()
    elif how == "device":
        cuda.Device().synchronize()
    elif how == "looks":
        assert not event.done or not side.done
        while not event.done:
            pass
    assert (x + 0).tolist() == [1, 2]
    assert event.done and side.done


WORK = [
    "x.T.reshape(-1)", "x.T.ravel()", "np.reshape(x.T, 6)", "x[cp.asarray([0, 1])]", "x.T.copy()", "np.ravel(x.T)",
    "x.astype(int)", "x.flatten()", "np.add.at(x, cp.asarray([0]), 0.0)", "x.sum(0)", "x * 1", "np.where(x > -1, x, 0)",
    "x.take(1, 0)", "np.cumsum(x)", "x.clip(0, 9)", "cp.ascontiguousarray(x.T)",
]  # fmt: skip


@pytest.mark.parametrize("work", WORK)
def test_all_work_comes_after_the_copies_of_its_stream(work: str) -> None:
    host = cupyx.zeros_pinned((2, 3))
    host[...] = np.arange(6).reshape(2, 3)
    x = cp.asarray(host)
    y = eval(work, {"x": x, "np": np, "cp": cp})
    assert not np.isnan((x if y is None else y)._a).any()


COMPUTED = [
    "x + 1", "x.get()", "x.sum()", "x[cp.asarray([0])]", "x.__iadd__(1)", "x.fill(0)", "x.set(np.ones(3))", "x[1:] * 2",
    "np.add(x, 0, out=x)", "np.exp(1.0, out=x)", "np.copyto(x, 1.0)", "x.__setitem__(0, 1)",
]  # fmt: skip


@pytest.mark.parametrize("expression", COMPUTED)
@pytest.mark.parametrize("way", ["from the null stream", "to the null stream", "between streams"])
def test_a_computation_that_nobody_waited_for(expression: str, way: str) -> None:
    """Planted: the other stream may compute later."""
    null, one, two = cuda.Stream.null, cuda.Stream(non_blocking=True), cuda.Stream(non_blocking=True)
    first, second = {"f": (null, one), "t": (one, null), "b": (one, two)}[way[0]]
    with first:
        x = cp.ones(3) * 2
        event = first.record()
        later = x[:0] + 1
    with second:
        with pytest.raises(EmulationError, match="did not wait"):
            eval(expression, {"x": x, "cp": cp, "np": np})
        second.wait_event(event)
        eval(expression, {"x": x, "cp": cp, "np": np})
        with pytest.raises(EmulationError, match="did not wait"):
            later + 1  # came after the event
        first.synchronize()
        later + 1


def test_what_a_stream_waited_for_is_passed_on() -> None:
    one, two, three = (cuda.Stream(non_blocking=True) for _ in range(3))
    with one:
        x = cp.ones(3)
    two.wait_event(one.record())
    three.wait_event(two.record())
    with three:
        x + 1
        y = x * 2
    cuda.Device().synchronize()
    with cuda.Stream():
        z = x + y
    assert (z + cp.ones(3)).tolist() == [4, 4, 4]  # blocking streams take turns with the null stream
    with one:
        w = cp.zeros(3)
    while not one.done:
        pass
    assert (w + z)[0].item() == 3


def test_an_event_covers_what_was_before_it() -> None:
    side, other = cuda.Stream(non_blocking=True), cuda.Stream(non_blocking=True)
    with side:
        first = cp.asarray(locked(1))
        event = cuda.Event()
        event.record()
        second = cp.asarray(locked(2))
    other.wait_event(event)
    with other:
        assert not np.isnan((first + 0)._a) and np.isnan((second + 0)._a)
    assert not side.done


def test_the_null_stream_waits_for_blocking_streams_and_they_for_it() -> None:
    with cuda.Stream():
        x = cp.asarray(locked(1))
    assert (x + 0).tolist() == [1]
    y = cp.asarray(locked(2))
    with cuda.Stream(non_blocking=True):
        assert np.isnan((y + 0)._a)
    with cuda.Stream():
        assert (y + 0).tolist() == [2]


def test_a_page_locked_buffer_that_is_written_too_early() -> None:
    """Planted: the next batch is written into the buffer while the copy of the last one is under way."""
    buffer = locked(1, 2)
    early = cp.asarray(buffer)
    buffer[...] = 9
    assert early.tolist() == [9, 9]  # wrong
    buffer[...] = 1
    right = cp.asarray(buffer)
    cuda.get_current_stream().synchronize()
    buffer[...] = 9
    assert right.tolist() == [1, 1]


def test_memory_that_is_not_page_locked_is_read_at_once() -> None:
    side, a = cuda.Stream(non_blocking=True), np.ones(2, np.float32)
    with side:
        x, y = cp.asarray(a), cp.empty(2, np.float32)
        y.set(a)
    a[...] = 9
    assert np.isnan(x + y).all()  # it is on its way, all the same
    side.synchronize()
    assert (x + y).tolist() == [2, 2]


def test_copies_to_the_cpu() -> None:
    x, side = cp.asarray(locked(1, 2)), cuda.Stream(non_blocking=True)
    cuda.Device().synchronize()
    out = locked(0, 0)
    with no_waits(), counting() as seen:
        assert x.get(stream=side, out=out, blocking=False) is out
    assert out.tolist() == [0, 0] and seen.to_host == 1  # not there yet
    side.synchronize()
    assert out.tolist() == [1, 2]
    with counting() as seen:  # to other memory, CUDA waits
        assert x.get(blocking=False).tolist() == [1, 2]
    assert seen.waits == 1
    with pytest.raises(TypeError, match="float64"):
        x.get(out=np.zeros(2))
    with pytest.raises(ValueError, match="Shape"):
        x.get(out=np.zeros(3, np.float32))


def test_set_and_get_name_their_stream() -> None:
    side, x = cuda.Stream(non_blocking=True), cp.zeros(2, np.float32)
    side.wait_event(cuda.Stream.null.record())
    x.set(locked(1, 2), stream=side)
    assert x.tolist() == [0, 0] and x.get(stream=side).tolist() == [1, 2]
    for wrong, kind in (([1, 2], TypeError), (np.zeros(2), TypeError), (np.zeros(3, np.float32), ValueError)):
        with pytest.raises(kind):
            x.set(wrong)


def test_the_current_stream() -> None:
    a, b = cuda.Stream(non_blocking=True), cuda.Stream()
    with a:
        with b:
            assert cuda.get_current_stream() is b
        assert cuda.get_current_stream() is a and a.is_non_blocking and not b.is_non_blocking
        seen = []
        thread = threading.Thread(target=lambda: seen.append(cuda.get_current_stream()))
        thread.start()
        thread.join()
        assert seen == [cuda.Stream.null]  # each thread has its own
    assert cuda.Stream(null=True) == cuda.Stream.null != a
    try:
        assert b.use() is b is cuda.get_current_stream()
    finally:
        cuda.Stream.null.use()


def test_times_between_events() -> None:
    start, end = cuda.Event(), cuda.Event()
    with pytest.raises(cuda.runtime.CUDARuntimeError, match="InvalidResourceHandle"):
        cuda.get_elapsed_time(start, end)
    start.record()
    cp.asarray(locked(1))
    end.record()
    with pytest.raises(cuda.runtime.CUDARuntimeError, match="NotReady"):
        cuda.get_elapsed_time(start, end)
    end.synchronize()
    assert cuda.get_elapsed_time(start, end) > 0
    cuda.Event(disable_timing=True).synchronize()  # never recorded: nothing to wait for


def test_a_function_of_the_host_in_a_stream() -> None:
    side, calls = cuda.Stream(non_blocking=True), []
    side.launch_host_func(calls.append, 1)
    with side:
        cp.asarray(locked(1))
    side.launch_host_func(calls.append, 2)
    assert calls == [1]
    side.synchronize()
    assert calls == [1, 2]


# ------------------------------------------------------------------------------------------------------------- devices


def test_devices() -> None:
    assert cuda.is_available() and cuda.runtime.getDeviceCount() == 2
    assert cuda.runtime.getDeviceProperties(1)["name"].startswith(b"Emulated")
    with cuda.Device(1) as device:
        assert cuda.Device() == device != cuda.Device(0) and cp.zeros(2).device == device
        with device, cuda.Device(0):
            assert cuda.Device().id == 0
        assert cuda.runtime.getDevice() == 1
        thread = threading.Thread(target=lambda: cuda.Device(0).use())
        thread.start()
        thread.join()
        assert cuda.Device().id == 1
    with pytest.raises(cuda.runtime.CUDARuntimeError, match="invalid device ordinal"):
        cuda.Device(2).use()
    with pytest.raises(cuda.runtime.CUDARuntimeError, match="invalid device ordinal"):
        cuda.runtime.getDeviceProperties(-1)


WRONG = [
    "x + 1", "x + y", "y + x", "np.exp(x)", "np.where(x > 0, y, 0)", "x.sum()", "np.concatenate([y, x])", "y[i]",
    "x[cp.asarray([0])]", "y.__setitem__(i, 1)", "x.__setitem__(0, 1)", "y.__setitem__(slice(1), x[:1].astype(int))",
    "x.astype(int)", "x.fill(0)", "x.sort()", "np.add(y, y, out=x)", "np.cumsum(x)", "x.cumsum()", "x @ y", "x.take(0)",
    "np.add.at(y, i, 1)", "np.copyto(y, x)", "x.argmax()", "np.zeros(1) if x.any() else 0", "x.__iadd__(1)",
    "y.__iadd__(x)", "np.einsum('i,i', x, y)", "special.erf(x)", "np.sort(x)", "y[x > 0]",
    "x.reshape(1, 3).T.reshape(3) * 1", "x.flatten()",
]  # fmt: skip


@pytest.mark.parametrize("expression", WRONG)
def test_the_wrong_device(expression: str) -> None:
    """Planted: work on an array of a device that is not the current one."""
    import scipy.special

    with cuda.Device(1):
        x, i = cp.ones(3), cp.asarray([0])
    names = {"x": x, "i": i, "y": cp.ones(3), "np": np, "cp": cp, "special": scipy.special}
    with pytest.raises(ValueError, match="Peer access is unavailable"):
        eval(expression, names)


def test_from_device_to_device() -> None:
    with cuda.Device(1):
        x, turned = cp.arange(6.0).reshape(2, 3), cp.zeros((2, 3, 4)).transpose(1, 0, 2)
    views = (x.T, x[0], x.reshape(-1), x[None], np.moveaxis(x, 0, 1), x.ravel(), np.broadcast_to(x, (2, 2, 3)))
    assert all(y.device.id == 1 for y in views)  # they need no work
    assert x.get()[1, 2] == 5 and x[1, 2].item() == 5
    for y in (cp.asarray(x), cp.array(x), x.copy(), cp.asarray(x[:, ::2])):
        assert y.device.id == 0 and (y + 0).get().ravel()[0] == 0
    target = cp.empty((2, 3))
    target[...] = x
    assert target.tolist() == x.tolist()
    with pytest.raises(NotImplementedError, match="non-contiguous"):
        cp.asarray(turned, order="K")


def test_a_copy_between_devices_is_on_its_way() -> None:
    with cuda.Device(1):
        x = cp.ones(2)
    side = cuda.Stream(non_blocking=True)
    with side:
        y = x.copy()
    assert np.isnan(y + 0).all()
    side.synchronize()
    assert (y + 0).tolist() == [1, 1]


def test_a_stream_belongs_to_a_device() -> None:
    stream = cuda.Stream()
    with cuda.Device(1):
        with pytest.raises(RuntimeError, match="does not match with the current device"), stream:
            pass
        with pytest.raises(RuntimeError, match="does not match with the current device"):
            stream.use()
        with cuda.Stream(non_blocking=True) as other, cuda.Device(0):
            assert cuda.get_current_stream() == cuda.Stream.null and cuda.get_current_stream(1) is other


# -------------------------------------------------------------------------------------------------------------- memory


def test_pools() -> None:
    pool = cp.get_default_memory_pool()
    pool.free_all_blocks()
    before, (free, total) = pool.used_bytes(), cuda.Device().mem_info
    x = cp.zeros(1000, np.float32)
    y = x[10:]
    assert pool.used_bytes() == before + 4096 == pool.total_bytes() and cuda.Device().mem_info == (free - 4096, total)
    with cuda.Device(1):
        assert pool.used_bytes() == cuda.Device(1).mem_info[1] - cuda.Device(1).mem_info[0] - pool.free_bytes()
    del x
    assert pool.used_bytes() == before + 4096  # the view holds it
    del y
    assert (pool.used_bytes(), pool.total_bytes(), pool.n_free_blocks()) == (before, before + 4096, 1)
    pool.free_all_blocks()
    assert pool.total_bytes() == before and cuda.Device().mem_info[0] == free


def test_out_of_memory() -> None:
    pool = cp.get_default_memory_pool()
    pool.free_all_blocks()
    pool.set_limit(pool.used_bytes() + 2048)
    try:
        kept = cp.zeros(256)
        with pytest.raises(cuda.memory.OutOfMemoryError, match="Out of memory allocating 2,048 bytes") as caught:
            kept + kept[:1]
        assert isinstance(caught.value, MemoryError)
        del kept, caught  # the frames of the error hold it too
        assert cp.zeros(100).sum().item() == 0
    finally:
        pool.set_limit(0)
    assert pool.get_limit() == 0


def test_page_locked_memory() -> None:
    memory = cuda.alloc_pinned_memory(64)
    a = np.frombuffer(memory, np.float64, 8)
    assert memory.size() == 64 and int(memory) == a.ctypes.data and np.isnan(a).all() and a.flags.writeable
    assert is_pinned(a) and is_pinned(a[3:]) and not is_pinned(np.zeros(2))
    pool = cp.get_default_pinned_memory_pool()
    assert isinstance(pool.malloc(3), PinnedMemoryPointer) and pool.n_free_blocks() == 0
    pool.free_all_blocks()
    assert cupyx.zeros_pinned((2, 3), order="F").flags.f_contiguous
    assert cuda.alloc_pinned_memory(0).size() == 0
