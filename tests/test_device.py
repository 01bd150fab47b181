"""Devices: the default one, and "meta", where tensors have shapes and no memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import nn

VGG19 = [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0]


def vgg19(device: Any = None) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for width in VGG19:
        if width:
            layers += [nn.Conv2d(channels, width, 3, padding=1, device=device), nn.ReLU(inplace=True)]
            channels = width
        else:
            layers.append(nn.MaxPool2d(2))
    layers.append(nn.Flatten())
    for inputs, outputs in ((25088, 4096), (4096, 4096)):
        layers += [nn.Linear(inputs, outputs, device=device), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*layers, nn.Linear(4096, 1000, device=device))


@pytest.mark.parametrize("by", ["argument", "with block"])
def test_vgg19_is_built_and_run_without_memory(by: str) -> None:
    tracemalloc.start()
    try:
        if by == "argument":
            net = vgg19("meta")
        else:
            with minicnn.device("meta"):
                net = vgg19()
        y = net(minicnn.empty(64, 3, 224, 224, device="meta"))
        y.sum().backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(p.numel() for p in net.parameters()) == 143_667_240
    assert sum(p.nbytes for p in net.parameters()) == 4 * 143_667_240
    assert y.is_meta and y.shape == (64, 1000)
    assert all(p.grad.is_meta and p.grad.shape == p.shape for p in net.parameters())
    assert peak < 2_000_000


def test_a_meta_net_becomes_a_real_one() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3, device="meta"), nn.BatchNorm2d(3, device="meta"))
    assert {t.device.type for t in (*net.parameters(), *net.buffers())} == {"meta"}
    real = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    net.to_empty(device="cpu").load_state_dict(real.state_dict())
    x = minicnn.randn(2, 2, 5, 4)
    assert np.array_equal(net(x).detach().numpy(), real(x).detach().numpy())
    assert all(p.is_meta for p in real.to("meta").parameters())


MISTAKES: dict[str, Callable[[Any], Any]] = {
    "channels": lambda new: F.conv2d(new(1, 2, 5, 5), new(3, 4, 3, 3)),
    "window": lambda new: F.conv2d(new(1, 2, 2, 2), new(3, 2, 3, 3)),
    "strict fit": lambda new: F.conv2d(new(1, 1, 7, 7), new(1, 1, 3, 3), stride=3, fit="strict"),
    "pool": lambda new: F.max_pool2d(new(1, 1, 2, 2), 3),
    "features": lambda new: F.linear(new(2, 5), new(3, 4)),
    "product": lambda new: new(2, 3) @ new(2, 3),
    "broadcast": lambda new: new(2, 3) + new(4),
    "reshape": lambda new: new(2, 3).reshape(4, 2),
    "axis": lambda new: new(2, 3).sum(2),
    "index": lambda new: new(2, 3)[5],
    "cat": lambda new: minicnn.cat([new(2, 3), new(2, 4)]),
    "batch norm": lambda new: F.batch_norm(new(1, 3), None, None, training=True),
    "loss": lambda new: F.cross_entropy(new(2, 3), new(4).long()),
    "type": lambda new: F.conv2d(new(1, 2, 5, 5).double(), new(3, 2, 3, 3)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_errors_are_those_of_real_tensors(name: str) -> None:
    with pytest.raises(Exception) as real:
        MISTAKES[name](minicnn.zeros)
    with pytest.raises(Exception) as inferred, minicnn.device("meta"):
        MISTAKES[name](minicnn.zeros)
    assert type(real.value) is type(inferred.value)
    assert str(real.value) == str(inferred.value)


def test_meta_tensors_have_no_values() -> None:
    x = minicnn.zeros(2, 3, device="meta")
    for use in (x.numpy, x.tolist, lambda: x[0, 0].item(), lambda: bool(x[0, 0]), lambda: np.asarray(x)):
        with pytest.raises(NotImplementedError, match="meta"):
            use()
    with pytest.raises(RuntimeError, match="one device"):
        x + minicnn.zeros(2, 3)
    assert (x + 1).is_meta and (x * minicnn.tensor(2.0)).is_meta
    x.fill_(1)
    x[0] = 2
    assert "meta" in repr(x) and x.to("meta") is x


def test_default_devices() -> None:
    with minicnn.device("meta"):
        assert minicnn.get_default_device() == minicnn.device("meta")
        with minicnn.device("cpu"):
            assert minicnn.zeros(1).device.type == "cpu"
        assert minicnn.zeros(1).is_meta and minicnn.zeros(1, device="cpu").device.type == "cpu"
    assert not minicnn.zeros(1).is_meta
    minicnn.set_default_device("meta")
    try:
        assert minicnn.ones(2).is_meta
    finally:
        minicnn.set_default_device(None)
    assert not minicnn.ones(2).is_meta


def test_names_of_devices() -> None:
    assert str(minicnn.device("cuda:1")) == "cuda:1" == str(minicnn.device("cuda", 1))
    assert repr(minicnn.device("cuda", 0)) == "device(type='cuda', index=0)"
    assert minicnn.device(minicnn.device("cpu")) == minicnn.device("cpu") != minicnn.device("meta")
    assert not minicnn.cuda.is_available()
    with pytest.raises(RuntimeError, match="'cuda' is not available; compute on 'cpu'"):
        minicnn.zeros(1, device="cuda")
    with pytest.raises(RuntimeError, match="'gpu' is not known; there are: cpu, meta, cuda"):
        minicnn.device("gpu")


def test_numbers_of_devices() -> None:
    assert minicnn.device(0) == minicnn.device("cuda:0") and minicnn.device(type="cuda", index=1).index == 1
    assert minicnn.device("cuda", 1) == minicnn.device("cuda:1") and minicnn.device("cuda").index is None
    for name, index, remedy in (
        ("cuda:-1", None, "'cuda:-1' needs a number from 0 up after the colon, as in 'cuda:0'"),
        ("cuda:", None, "'cuda:' needs a number from 0 up"),
        ("cuda:1", 0, "'cuda:1' has a number already; leave out index=0"),
        ("cuda", -1, "index=-1 must not be negative; the first device is 'cuda:0'"),
        (-1, None, "index=-1 must not be negative"),
    ):
        with pytest.raises(RuntimeError, match=remedy):
            minicnn.device(name, index)
