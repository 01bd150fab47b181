"""`minicnn.cuda` without a GPU, and on the emulated ones: devices, memory, seeds, streams and events."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import minicnn
from minicnn import cuda
from minicnn_kernels import arrays


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without CuPy."""

    def gpu() -> Any:
        raise RuntimeError("a GPU needs CuPy (planted)")

    monkeypatch.setattr(arrays, "gpu", gpu)


@pytest.fixture
def gpus() -> Iterator[Any]:
    """Two emulated GPUs; the test ends on the first one, and waits for both."""
    with arrays.emulated() as module:
        yield module
        assert cuda.current_device() == 0 and cuda.current_stream() == cuda.default_stream()
        for number in range(cuda.device_count()):
            cuda.synchronize(number)


# -------------------------------------------------------------------------------------------------------- without a GPU


def test_questions_without_a_gpu(no_gpu: None) -> None:
    assert cuda.is_available() is False and cuda.is_initialized() is False and cuda.is_bf16_supported() is False
    for question in (cuda.device_count, cuda.memory_allocated, cuda.memory_reserved, cuda.max_memory_allocated,
                     cuda.max_memory_reserved):  # fmt: skip
        assert question() == 0
    assert cuda.get_rng_state_all() == []


def test_what_does_nothing_without_a_gpu(no_gpu: None) -> None:
    minicnn.manual_seed(3)
    state = minicnn.get_rng_state()
    cuda.manual_seed(1)
    cuda.manual_seed_all(1)
    cuda.seed()
    cuda.seed_all()
    cuda.set_rng_state_all([])
    cuda.synchronize()
    cuda.empty_cache()
    cuda.set_device(-1)
    with cuda.device(-1), cuda.device_of(minicnn.ones(1)), cuda.stream(None):
        pass
    assert minicnn.get_rng_state() == state and cuda.initial_seed() == 3


@pytest.mark.parametrize(
    "call",
    ["init()", "current_device()", "set_device(0)", "device(0)", "get_device_name()", "get_device_properties(0)",
     "get_device_capability()", "can_device_access_peer(0, 1)", "mem_get_info()", "memory_summary()",
     "reset_peak_memory_stats()", "get_rng_state()", "set_rng_state({})", "Stream()", "current_stream()",
     "default_stream()", "Event().record()"],
)  # fmt: skip
def test_what_raises_without_a_gpu(no_gpu: None, call: str) -> None:
    with pytest.raises(RuntimeError, match=r"'cuda' is not available; compute on 'cpu'.*planted.*minicnn doctor"):
        eval(f"cuda.{call}")
    with pytest.raises(RuntimeError, match="'cuda' is not available"):
        minicnn.ones(1).cuda()


@pytest.mark.parametrize("works", [True, False])
def test_only_a_gpu_that_does_not_work_is_replaced(works: bool) -> None:
    cupy = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: works), ndarray=type("ndarray", (), {}))
    with arrays.emulated(), pytest.MonkeyPatch.context() as patch:  # after them all is as before the test
        patch.setattr(arrays, "_gpu", cupy)
        if works:
            with pytest.raises(RuntimeError, match="already uses a GPU"):
                cuda.emulate()
        else:
            cuda.emulate()
            assert cuda.is_available() and minicnn.ones(2, device="cuda").is_cuda


# -------------------------------------------------------------------------------------------------------------- devices


def test_what_there_is(gpus: Any) -> None:
    cuda.init()
    assert cuda.is_available() and cuda.is_initialized() and cuda.device_count() == 2
    assert cuda.get_device_name() == cuda.get_device_name(1) == "Emulated GPU" == cuda.get_device_name("cuda:1")
    properties = cuda.get_device_properties(minicnn.device("cuda:1"))
    assert properties.total_memory == cuda.mem_get_info()[1] > 1 << 30 and properties.multi_processor_count > 0
    assert cuda.get_device_capability() == (properties.major, properties.minor) == (9, 0)
    assert cuda.can_device_access_peer(0, 1) is False


@pytest.mark.parametrize(
    "call",
    ["set_device(2)", "device(2)", "get_device_name('cuda:2')", "mem_get_info(2)", "memory_allocated(2)", "Stream(2)",
     "current_stream(2)", "synchronize(2)", "get_rng_state(2)"],
)  # fmt: skip
def test_a_gpu_that_is_not_there(gpus: Any, call: str) -> None:
    name = call.partition("(")[0]
    with pytest.raises(RuntimeError, match=f"cuda.{name}: CUDA error: invalid device.*no 'cuda:2'; there are 2 GPUs"):
        eval(f"cuda.{call}")
    with pytest.raises(ValueError, match=f"cuda.{name}: expected a cuda device, but got: cpu"):
        eval(f"cuda.{call.replace('cuda:2', 'cpu').replace('2', repr('cpu'))}")


def test_the_current_gpu(gpus: Any) -> None:
    other = minicnn.ones(2, device="cuda:1")
    assert cuda.current_device() == 0 and minicnn.ones(1, device="cuda").get_device() == 0
    with cuda.device(1):
        assert cuda.current_device() == 1 and minicnn.ones(1, device="cuda").get_device() == 1
        with cuda.device("cuda:0"), cuda.device(-1), cuda.device_of(minicnn.ones(1)):
            assert cuda.current_device() == 0
            with cuda.device_of(other):
                assert cuda.current_device() == 1
        assert cuda.current_device() == 1
    cuda.set_device(1)
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(cuda.current_device()))  # has one of its own
    thread.start()
    thread.join()
    cuda.set_device(-1)
    assert cuda.current_device() == 1 and seen == [0]
    with cuda.device(1):
        cuda.set_device(0)
    assert cuda.current_device() == 1  # as before the block
    cuda.set_device(minicnn.device("cuda", 0))


def test_two_gpus_do_not_mix(gpus: Any) -> None:
    x, y = (minicnn.arange(3.0, device=f"cuda:{number}") for number in range(2))
    with pytest.raises(RuntimeError, match=r"same device.*cuda:0.*cuda:1"):
        x + y
    assert (x + y.to("cuda:0")).tolist() == [0, 2, 4] == (y + x.cuda(1)).tolist()
    assert y.to(0).device == x.device and y.to("cuda:1") is y


def in_child(name: str) -> None:
    if name == "fork":  # a spawned child has not this state
        assert not cuda.is_available()
        with pytest.raises(RuntimeError, match=r"forked child.*'spawn'"):
            minicnn.ones(2, device="cuda")
    assert (minicnn.ones(2) + 1).tolist() == [2, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_told(gpus: Any) -> None:
    minicnn.ones(2, device="cuda")
    child = multiprocessing.get_context("fork").Process(target=in_child, args=("fork",))
    child.start()
    child.join()
    assert child.exitcode == 0 and cuda.is_available()


# --------------------------------------------------------------------------------------------------------------- memory


def test_memory_in_use(gpus: Any) -> None:
    cuda.reset_peak_memory_stats(1)
    before = cuda.memory_allocated(1), cuda.memory_reserved(1), cuda.memory_allocated(0), cuda.mem_get_info(1)[0]
    x = minicnn.zeros(1024, 256, device="cuda:1")
    assert cuda.memory_allocated("cuda:1") == before[0] + 2**20 and cuda.memory_allocated(0) == before[2]
    assert cuda.mem_get_info(1)[0] == before[3] - 2**20
    assert f"{cuda.memory_allocated(1) / 2**20:,.1f} MiB" in cuda.memory_summary(1)
    del x
    assert cuda.memory_allocated(1) == before[0] and cuda.memory_reserved(1) == before[1] + 2**20
    assert cuda.max_memory_allocated(1) == cuda.max_memory_reserved(1) == before[1] + 2**20
    with cuda.device(1):
        cuda.empty_cache()
    assert cuda.memory_reserved(1) == before[1] and cuda.max_memory_reserved(1) == before[1] + 2**20
    cuda.reset_peak_memory_stats(1)
    assert cuda.max_memory_reserved(1) == before[1]
    with cuda.device(1):
        minicnn.zeros(1024, device="cuda")
        cuda.empty_cache()
    assert cuda.max_memory_reserved(1) == before[1] + 4096, "though nobody asked before it was given back"


def test_too_little_memory(gpus: Any) -> None:
    pool = gpus.get_default_memory_pool()
    x = minicnn.ones(256, device="cuda").requires_grad_()
    cuda.empty_cache()
    pool.set_limit(pool.used_bytes() + 1024)
    try:
        for call in (lambda: minicnn.zeros(2048, device="cuda"), lambda: minicnn.ones(2048).cuda(),
                     lambda: x.expand(8, 256) * 2):  # fmt: skip
            with pytest.raises(cuda.OutOfMemoryError, match="Out of memory allocating 8,192 bytes") as caught:
                call()
            assert isinstance(caught.value, RuntimeError) and isinstance(caught.value, MemoryError)
        y = x.expand(2, 256).t()  # its gradient is a sum of 4 x 512 bytes
        with pytest.raises(cuda.OutOfMemoryError, match="the backward of"):
            y.backward(minicnn.ones(1, 1, device="cuda").expand(256, 2))
    finally:
        pool.set_limit(0)
    assert cuda.OutOfMemoryError is minicnn.OutOfMemoryError


# ------------------------------------------------------------------------------------------------------- random numbers


def test_seeds_give_the_same_numbers_on_cpu_and_gpu(gpus: Any) -> None:
    minicnn.manual_seed(5)
    x, order, dropped = minicnn.randn(7), minicnn.randperm(9), minicnn.nn.functional.dropout(minicnn.ones(99))
    for seed in (minicnn.manual_seed, cuda.manual_seed, cuda.manual_seed_all):
        minicnn.randn(3)
        seed(5)
        assert minicnn.randn(7, device="cuda").cpu().equal(x) and cuda.initial_seed() == 5
        assert minicnn.randperm(9, device="cuda:1").cpu().equal(order)
        assert minicnn.nn.functional.dropout(minicnn.ones(99, device="cuda")).cpu().equal(dropped)


def test_the_position_in_the_stream(gpus: Any) -> None:
    states, state = cuda.get_rng_state_all(), cuda.get_rng_state()
    assert len(states) == 2
    x = minicnn.rand(4)
    for restore in (lambda: cuda.set_rng_state(state), lambda: cuda.set_rng_state_all(states)):
        restore()
        assert minicnn.rand(4, device="cuda").cpu().equal(x)
    for restart in (cuda.seed, cuda.seed_all):
        restart()
        assert not minicnn.rand(4).equal(x)


# --------------------------------------------------------------------------------------------------- streams and events


def test_work_waits_for_the_copy_of_another_stream(gpus: Any) -> None:
    x, side = minicnn.arange(4.0).pin_memory(), cuda.Stream()
    for wait in (
        lambda: cuda.current_stream().wait_stream(side), lambda: cuda.current_stream().wait_event(side.record_event()),
        lambda: side.record_event(cuda.Event()).wait(), lambda: side.record_event().synchronize(), side.synchronize,
        cuda.synchronize,
    ):  # fmt: skip
        with cuda.stream(side):
            assert cuda.current_stream() == side != cuda.default_stream()
            y = x.to("cuda", non_blocking=True)
        assert (y * 1).isnan().all(), "what was not waited for is not there"
        wait()
        assert (y * 1).tolist() == [0, 1, 2, 3]


def test_streams_of_another_gpu(gpus: Any) -> None:
    side = cuda.Stream("cuda:1", priority=-1)
    assert side.device == minicnn.device("cuda:1") and side.cuda_stream != 0
    with cuda.stream(side):
        assert cuda.current_device() == 1 and cuda.current_stream() == side
        assert cuda.current_stream(0) == cuda.default_stream(0) != cuda.default_stream(1)
        with cuda.stream(None):
            assert cuda.current_stream() == side
    assert cuda.current_device() == 0 and hash(side) == hash(cuda.Stream.of(side.cupy, 1))
    y = minicnn.ones(3, device="cuda:1")
    cuda.set_stream(side)
    try:
        assert cuda.current_stream(1) == side and cuda.current_stream() == cuda.default_stream()
        x = y.to("cuda:0")
    finally:
        cuda.set_stream(cuda.default_stream(1))
    assert x.tolist() == [1, 1, 1]


def test_a_copy_between_gpus_waits_for_both_streams(gpus: Any) -> None:
    here, there = cuda.Stream(0), cuda.Stream(1)
    with cuda.stream(here):
        x = minicnn.arange(3.0).pin_memory().to("cuda:0", non_blocking=True)  # on its way, too
    with cuda.stream(here), cuda.stream(there):
        y = x.to("cuda:1")
    with cuda.stream(here):
        x.fill_(9)  # after the copy, though the copy is in the queue of another stream
    with cuda.stream(there):
        assert (y + 0).tolist() == [0, 1, 2]


def test_events(gpus: Any) -> None:
    start, end, side = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True), cuda.Stream()
    assert start.query()
    start.synchronize()  # never recorded: nothing to wait for
    start.wait()
    with pytest.raises(ValueError, match="both events must be recorded"):
        start.elapsed_time(end)
    start.record()
    with cuda.stream(side):
        minicnn.ones(3, device="cuda").array.set(minicnn.ones(3, pin_memory=True).array)  # type: ignore[attr-defined]
        end.record()
    with pytest.raises(RuntimeError, match=r"call synchronize\(\) of both events first"):
        start.elapsed_time(end)
    assert not side.query()
    end.synchronize()
    assert end.query() and side.query() and 0 <= start.elapsed_time(end) < 60_000
    untimed = cuda.Event()
    untimed.record(side)
    with pytest.raises(ValueError, match="enable_timing=True"):
        start.elapsed_time(untimed)
    before = end._event
    end.record()
    assert end._event is before
    with cuda.stream(cuda.Stream(1)):
        end.record()  # an event of CUDA belongs to a GPU
    assert end._event is not before
    end.synchronize()
    assert "cuda:1" in repr(end) and "not recorded" in repr(cuda.Event()) and "cuda:0" in repr(side)
