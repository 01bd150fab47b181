"""Pickled and copied tensors: the values as a leaf, in their order and size, without the graph behind them."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn


def again(value: Any, protocol: int = pickle.DEFAULT_PROTOCOL) -> Any:
    return pickle.loads(pickle.dumps(value, protocol))


X = minicnn.arange(24.0).reshape(2, 3, 4).requires_grad_()
TENSORS: dict[str, Tensor] = {
    "leaf": X,
    "product": X * 2,
    "sum": (X * 2).sum(),
    "view": (X * 2)[1],
    "detached": (X * 2).detach(),
    "transposed": minicnn.arange(6.0).view(2, 3).t(),
    "channels_last": minicnn.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=minicnn.channels_last),
    "strided": minicnn.arange(6.0)[::2],
    "reversed": Tensor(np.arange(6.0)[::-1]),
    "expanded": minicnn.arange(3.0).view(3, 1).expand(2, 3, 4),
    "0-d": minicnn.tensor(3.5),
    "empty": minicnn.zeros(0, 3),
    "int": minicnn.arange(3),
    "bool": minicnn.arange(3) > 1,
    "half": minicnn.ones(2).half(),
    "parameter": nn.Parameter(minicnn.ones(2, 3).t()),
    "frozen": nn.Parameter(minicnn.ones(2), requires_grad=False),
    "buffer": nn.Buffer(minicnn.ones(2), persistent=False),
    "read-only": Tensor(np.frombuffer(b"12345678", np.int16)),
}


@pytest.mark.parametrize("name", TENSORS)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickled_tensor_is_its_values(name: str, protocol: int) -> None:
    x = TENSORS[name]
    y = again(x, protocol)
    assert type(y) is type(x) and y.is_leaf and y.requires_grad is x.requires_grad and y.grad is None
    assert y.dtype == x.dtype and y.shape == x.shape and y.tolist() == x.tolist()
    assert y.array.flags.writeable or name == "expanded"
    if name not in ("strided", "reversed"):
        assert y.stride() == x.stride()
    if protocol > 0:
        assert len(pickle.dumps(x, protocol)) < x.numel() * x.element_size() + 1000
    if name == "buffer":
        assert y.persistent is False


def test_of_a_large_memory_only_the_values_are_pickled() -> None:
    large = minicnn.zeros(1000, 1000)
    for x in (large[0], large[:, 3], large[0].expand(1000, 1000), minicnn.zeros(10**6, device="meta")):
        assert len(pickle.dumps(x)) < 6000 and again(x).shape == x.shape
    assert again(minicnn.zeros(2, 3, device="meta")).is_meta


def test_computed_tensors_at_any_depth() -> None:
    y = minicnn.ones(2, requires_grad=True)
    for _ in range(5000):
        y = y + 1
    for twin in (again(y), copy.copy(y)):
        assert twin.is_leaf and twin.requires_grad and twin.tolist() == [5001, 5001]
    assert len(pickle.dumps(y)) < 1000
    with pytest.raises(RuntimeError, match="only leaf tensors"):
        copy.deepcopy(y)
    net = nn.Linear(2, 2)
    net.last = net(minicnn.ones(1, 2))
    twin = again({"history": [net.last.mean()], "net": net})
    assert twin["history"][0].is_leaf and twin["net"].last.is_leaf and twin["net"].last.requires_grad


def test_a_queue_of_processes_gives_leaves() -> None:
    queue: Any = multiprocessing.get_context("spawn").Queue()
    queue.put((X * 2)[0])
    y = queue.get(timeout=60)
    assert y.is_leaf and y.tolist() == (X * 2)[0].tolist()
    queue.close()


def empty(parameter: Tensor) -> None:
    parameter.grad.zero_()


def test_hooks_and_gradients_stay_behind() -> None:
    w = minicnn.ones(2, requires_grad=True)
    w.register_hook(lambda g: g * 100)
    w.register_post_accumulate_grad_hook(empty)
    (w * 3).sum().backward()
    w.grad.fill_(7)
    w.tag = ["a"]
    for twin in (again(w), copy.copy(w), copy.deepcopy(w)):
        deep = twin.grad is not None
        assert twin.tag == ["a"] and (not deep or (twin.grad.tolist() == [7, 7] and twin.grad is not w.grad))
        twin.grad = None
        twin.sum().backward()
        assert twin.grad.tolist() == [1, 1]
    assert copy.deepcopy(w).grad is not None and copy.copy(w).grad is None
    assert copy.copy(w).tag is w.tag and copy.deepcopy(w).tag is not w.tag
    y = w * 2
    y.retain_grad()
    assert not again(y).retains_grad and not copy.copy(y).retains_grad


def test_a_shallow_copy_shares_the_memory() -> None:
    x = minicnn.zeros(2)
    y = copy.copy(x)
    y[0] = 5
    assert x.tolist() == [5, 0]
    w = minicnn.ones(2, requires_grad=True)
    loss = w.exp().sum() + (w * w).sum()
    copy.copy(w).detach().fill_(3)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_modules_and_optimizers_go_on_together() -> None:
    minicnn.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    optimizer = minicnn.optim.Adam(net.parameters(), 0.1)

    def step(net: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        net(minicnn.arange(8.0).view(4, 2)).square().sum().backward()
        optimizer.step()

    step(net, optimizer)
    twins = again((net, optimizer))
    assert all(a is b for a, b in zip(twins[0].parameters(), twins[1].param_groups[0]["params"], strict=True))
    step(net, optimizer)
    step(*twins)
    for a, b in zip(net.state_dict().values(), twins[0].state_dict().values(), strict=True):
        assert a.tolist() == b.tolist()
    tied = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    tied[1].weight = tied[0].weight
    twin = again(tied)
    assert twin[0].weight is twin[1].weight
