"""`DataLoader(pin_memory=True)`: batches in page-locked memory, on the emulated GPU."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.utils.data import DataLoader, TensorDataset
from minicnn.utils.data.pinning import pin_memory
from minicnn_kernels import arrays, transfer
from minicnn_kernels.emulated.traffic import no_waits

Pair = namedtuple("Pair", ["x", "y"])


@pytest.fixture
def gpus() -> Iterator[Any]:
    with arrays.emulated() as module:
        module.cuda.Device(0).synchronize()
        transfer._copies.clear()  # a look at the copies of earlier tests would let the emulated GPU go on
        yield module
        module.cuda.Device(0).synchronize()


class Own:
    """A batch of a user's class."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def pin_memory(self) -> Own:
        return Own(self.x.pin_memory())


class Numbers(list[Any]):
    """A user's list with more than its items."""

    note = ""


def test_tensors(gpus: Any) -> None:
    x = minicnn.randn(2, 3, 4, 5).to(memory_format=minicnn.channels_last).requires_grad_()
    y = x.pin_memory()
    assert y.is_pinned() and not x.is_pinned() and y.equal(x) and y.stride() == x.stride()
    assert y.pin_memory() is y and y[0].is_pinned() and not (y * 2).is_pinned()
    (y * y).sum().backward()
    assert x.grad is not None and x.grad.equal(2 * x.detach())
    made = minicnn.zeros(2, 3, pin_memory=True, requires_grad=True)
    assert made.is_pinned() and made.is_leaf and made.requires_grad
    assert minicnn.full((2,), 3.0, pin_memory=True).is_pinned() and not minicnn.zeros(2).is_pinned()
    there = y.detach().to("cuda", non_blocking=True)
    assert not there.is_pinned() and there.cpu().equal(x.detach()) and there.stride() == x.stride()
    with pytest.raises(RuntimeError, match="cannot pin a tensor on 'cuda:0'; only tensors on 'cpu'"):
        there.pin_memory()
    with pytest.raises(RuntimeError, match="cannot pin a tensor on 'meta'"):
        minicnn.ones(1, device="meta").pin_memory()


def test_back_to_the_cpu(gpus: Any) -> None:
    x = minicnn.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=minicnn.channels_last)
    with no_waits():
        y = x.cuda(non_blocking=True).to("cpu", non_blocking=True)
    assert y.is_pinned() and y.isnan().all() and y.stride() == x.stride()
    minicnn.cuda.synchronize()
    assert y.equal(x)
    assert not x.cuda().to("cpu").is_pinned()


def test_without_a_gpu_the_memory_is_ordinary() -> None:
    x = minicnn.ones(2)
    assert x.pin_memory() is x and not x.is_pinned() and not minicnn.ones(2, pin_memory=True).is_pinned()


def test_nested_batches(gpus: Any) -> None:
    x, numbers = minicnn.ones(2), Numbers([minicnn.ones(1), 2])
    numbers.note = "kept"
    counted: defaultdict[str, Any] = defaultdict(int, a=x)
    data = {
        "list": [x, "text", b"bytes", 3, None], "tuple": (x, (x,)), "pair": Pair(x, [x]), "own": Own(x),
        "order": OrderedDict(b=x), "counted": counted, "fixed": MappingProxyType({"x": x}), "numbers": numbers,
        "range": range(3), "set": {1}, "array": np.ones(2),
    }  # fmt: skip
    pinned = pin_memory(data)
    found = [*pinned["list"][:1], pinned["tuple"][0], pinned["tuple"][1][0], pinned["pair"].x, pinned["pair"].y[0],
             pinned["own"].x, pinned["order"]["b"], pinned["counted"]["a"], pinned["fixed"]["x"],
             pinned["numbers"][0]]  # fmt: skip
    assert all(t.is_pinned() for t in found) and pinned["list"][1:] == ["text", b"bytes", 3, None]
    for key in ("list", "tuple", "pair", "own", "order", "counted", "fixed", "numbers"):
        assert type(pinned[key]) is type(data[key]), key
    assert pinned["counted"]["new"] == 0 and pinned["numbers"].note == "kept" and pinned["numbers"][1] == 2
    assert list(pinned["range"]) == [0, 1, 2] and pinned["set"] == {1} and pinned["array"] is data["array"]
    assert not x.is_pinned() and not numbers[0].is_pinned(), "the data themselves are left as they are"


DATA = TensorDataset(minicnn.arange(12.0).reshape(6, 2), minicnn.arange(6))


@pytest.mark.parametrize("options", [{}, {"prefetch_factor": 2}, {"num_workers": 1}], ids=str)
def test_batches(gpus: Any, options: dict[str, Any]) -> None:
    loader = DataLoader(DATA, batch_size=2, pin_memory=True, **options)
    for _ in range(2):
        seen = []
        for x, y in loader:
            assert x.device.type == "cpu" and x.is_pinned() and y.is_pinned()
            seen += y.tolist()
        assert seen == [0, 1, 2, 3, 4, 5]
    assert not any(x.is_pinned() for x, _ in DataLoader(DATA, batch_size=2, **options))


def test_single_samples_and_a_collate_fn(gpus: Any) -> None:
    assert all(x.is_pinned() and y.is_pinned() for x, y in DataLoader(DATA, batch_size=None, pin_memory=True))

    def collate(samples: list[Any]) -> Own:
        return Own(minicnn.stack([x for x, _ in samples]))

    assert all(batch.x.is_pinned() for batch in DataLoader(DATA, collate_fn=collate, pin_memory=True))  # type: ignore[attr-defined]


def test_the_thread_takes_the_gpu_of_the_program(gpus: Any) -> None:
    seen = []

    class Watching(TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            seen.append(minicnn.cuda.current_device())
            return super().__getitem__(index)

    with minicnn.cuda.device(1):
        list(DataLoader(Watching(*DATA.tensors), pin_memory=True, prefetch_factor=1))
    assert set(seen) == {1}


def test_a_loop_that_never_waits(gpus: Any) -> None:
    """Each batch is deleted while it may still be copied, and the next is made."""
    there = []
    with no_waits():
        for x, _ in DataLoader(DATA, batch_size=2, pin_memory=True):
            there.append(x.to("cuda", non_blocking=True))
            del x
    assert [x.cpu().tolist() for x in there] == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [10, 11]]]


def test_a_batch_that_is_overwritten_too_early(gpus: Any) -> None:
    """Planted: the program writes into the batch while it is copied. Without `non_blocking` it may do so."""
    for non_blocking, expected in ((True, 99), (False, 0)):
        x, _ = next(iter(DataLoader(DATA, batch_size=2, pin_memory=True)))
        y = x.to("cuda", non_blocking=non_blocking)
        x.fill_(99)
        assert y.cpu()[0, 0] == expected


def test_a_warning_without_a_gpu() -> None:
    with pytest.warns(UserWarning, match="'pin_memory' argument is set as true but no accelerator is found") as caught:
        for x, _ in DataLoader(DATA, pin_memory=True):
            assert not x.is_pinned()
    assert len(caught) == 1 and caught[0].filename == __file__
