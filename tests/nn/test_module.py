"""Module: registration, walking, modes, state dicts, hooks, repr."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import minicnn
from minicnn import nn


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(4, 2)
    )


def test_names_are_pytorchs() -> None:
    assert list(net().state_dict()) == [
        "0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked", "5.weight",
        "5.bias",
    ]  # fmt: skip
    assert [name for name, _ in net().named_parameters()] == ["0.weight", "1.weight", "1.bias", "5.weight", "5.bias"]


def test_attributes_register_and_unregister() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 3)
            self.scale = nn.Parameter(np.ones(1, np.float32))
            self.twin = self.layer  # the same layer: its parameters count once
            self.nothing: nn.Module | None = None

    model = Net()
    assert len(list(model.parameters())) == 3
    with pytest.raises(TypeError, match="scale must be a Parameter or None"):
        model.scale = 3
    model.scale = None
    assert len(list(model.parameters())) == 2
    with pytest.raises(AttributeError, match="no attribute 'lay'"):
        model.lay  # noqa: B018

    class Early(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\)"):
        Early()


def test_state_dict_round_trip_is_all_or_nothing() -> None:
    minicnn.manual_seed(1)
    source, target = net(), net()
    before = target[0].weight.array.copy()
    state = source.state_dict()
    bad = dict(state)
    bad["5.weight"] = np.zeros((3, 4))
    bad["extra"] = np.zeros(1)
    del bad["1.bias"]
    with pytest.raises(RuntimeError) as caught:
        target.load_state_dict(bad)
    text = str(caught.value)
    assert 'Missing key(s) in state_dict: "1.bias"' in text
    assert 'Unexpected key(s) in state_dict: "extra"' in text
    assert "size mismatch for 5.weight" in text
    assert np.array_equal(target[0].weight.array, before), "nothing may be copied when not all fits"
    assert target.load_state_dict({"0.weight": state["0.weight"]}, strict=False).missing_keys[0] == "1.weight"
    target.load_state_dict(state)
    for key, value in target.state_dict().items():
        assert np.array_equal(value.numpy(), state[key].numpy())


def test_modes_reach_every_module() -> None:
    model = net()
    model.eval()
    assert not any(m.training for m in model.modules())
    model.train()
    assert all(m.training for m in model.modules())


def test_hooks() -> None:
    layer, seen = nn.ReLU(), []
    pre = layer.register_forward_pre_hook(lambda m, x: (x[0] * -1,))
    post = layer.register_forward_hook(lambda m, x, y: seen.append(y.tolist()) or y + 1)
    assert layer(minicnn.tensor([-2.0, 3.0])).tolist() == [3, 1]
    assert seen == [[2, 0]]
    pre.remove()
    post.remove()
    assert layer(minicnn.tensor([-2.0, 3.0])).tolist() == [0, 3]


def test_deepcopy_is_independent() -> None:
    model = net()
    twin = copy.deepcopy(model)
    twin[0].weight.data.fill_(0)
    assert model[0].weight.array.any()
    assert isinstance(twin[0].weight, nn.Parameter)
    assert twin[0].weight.requires_grad


def test_to_converts_parameters_and_buffers() -> None:
    model = net().double()
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float64)}
    assert model[1].running_mean.dtype == np.float64
    assert model[1].num_batches_tracked.dtype == np.int64
    assert model.to("cpu") is model
    with pytest.raises(TypeError, match="floating point"):
        model.to(minicnn.int64)
    with pytest.raises(RuntimeError, match="'cuda' is not available"):
        model.to("cuda")


def test_freezing() -> None:
    model = net()
    model[0].requires_grad_(False)
    model(minicnn.tensor(np.ones((2, 1, 3, 3), np.float32))).sum().backward()
    assert model[0].weight.grad is None
    assert model[5].weight.grad is not None
    model.zero_grad()
    assert model[5].weight.grad is None


def test_repr_is_pytorchs() -> None:
    assert repr(nn.Sequential(nn.Conv2d(3, 4, (3, 5), padding=1, groups=1, bias=False), nn.MaxPool2d(2))) == (
        "Sequential(\n"
        "  (0): Conv2d(3, 4, kernel_size=(3, 5), stride=(1, 1), padding=(1, 1), bias=False)\n"
        "  (1): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n"
        ")"
    )


def test_sequential_slices_and_named() -> None:
    model = net()
    assert len(model[:2]) == 2
    assert model[-1] is model[5]
    named = nn.Sequential({"conv": nn.Conv2d(1, 1, 1), "act": nn.ReLU()})
    assert list(named.state_dict()) == ["conv.weight", "conv.bias"]
    assert named.act is named[1]
