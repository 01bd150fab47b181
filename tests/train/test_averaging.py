"""The moving average of a net's weights, against its sum written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.tensor import Tensor
from minicnn.train import ExponentialAverage

RNG = np.random.default_rng(0)


def net() -> Any:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def step(model: nn.Module, optimizer: optim.Optimizer) -> None:
    optimizer.zero_grad()
    nn.CrossEntropyLoss()(
        model(Tensor(RNG.normal(size=(8, 3)).astype(np.float32))), Tensor(np.arange(8) % 2)
    ).backward()
    optimizer.step()


@pytest.mark.parametrize(("decay", "warmup"), [(0.9, False), (0.9, True), (0.5, True), (0.0, False)])
def test_the_sum_written_out(decay: float, warmup: bool) -> None:
    model = net()
    average = ExponentialAverage(model, decay, warmup)
    optimizer = optim.SGD(model.parameters(), lr=0.3)
    seen: list[dict[str, np.ndarray]] = []
    for _ in range(12):
        step(model, optimizer)
        average.update_parameters(model)
        seen.append({name: value.numpy().astype(np.float64) for name, value in model.state_dict().items()})
    expected = seen[0]
    for n, state in enumerate(seen[1:], 1):
        d = min(decay, (1 + n) / (10 + n)) if warmup else decay
        expected = {name: d * expected[name] + (1 - d) * state[name] for name in state}
    for name, value in average.module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert value.item() == 12 and value.dtype == minicnn.int64
        else:
            np.testing.assert_allclose(value.numpy(), expected[name], rtol=2e-5, atol=1e-6)


def test_the_net_in_training_is_not_touched() -> None:
    minicnn.manual_seed(0)
    model, twin = net(), net()
    twin.load_state_dict(model.state_dict())
    average = ExponentialAverage(model)
    x = Tensor(RNG.normal(size=(8, 3)).astype(np.float32))
    for one in (model, twin):
        optimizer = optim.SGD(one.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            one(x).sum().backward()
            optimizer.step()
            if one is model:
                average.update_parameters(model)
    assert all(
        minicnn.equal(a, b) for a, b in zip(model.state_dict().values(), twin.state_dict().values(), strict=True)
    )
    assert model.training and all(p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for p in average.parameters()) and not average.module.training


def test_a_state_goes_on_bit_for_bit() -> None:
    states = [
        {name: Tensor(RNG.normal(size=value.shape).astype(np.float32)) if value.is_floating_point() else value
         for name, value in net().state_dict().items()} for _ in range(6)
    ]  # fmt: skip
    model = net()
    whole, first = ExponentialAverage(model, 0.9), ExponentialAverage(model, 0.9)
    second = ExponentialAverage(net(), 0.9)
    for place, state in enumerate(states):
        model.load_state_dict(state)
        whole.update_parameters(model)
        if place == 3:
            second.load_state_dict(first.state_dict())
        (first if place < 3 else second).update_parameters(model)
    found, expected = second.state_dict(), whole.state_dict()
    assert list(found) == list(expected) and all(minicnn.equal(found[name], expected[name]) for name in found)


def test_the_average_of_a_noisy_walk_is_nearer_to_its_middle() -> None:
    model = nn.Linear(200, 1, bias=False)
    average = ExponentialAverage(model, decay=0.95)
    for _ in range(200):
        model.weight.data.copy_(Tensor((3 + RNG.normal(size=(1, 200))).astype(np.float32)))
        average.update_parameters(model)
    last, mean = (np.abs(one.weight.detach().numpy() - 3).mean() for one in (model, average.module))
    assert mean < last / 4  # the deviation is sqrt((1 - d) / (1 + d)) = 0.16 of that of one step


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan"), 2])
def test_wrong_decay(decay: float) -> None:
    with pytest.raises(ValueError, match="decay must be from 0 to below 1"):
        ExponentialAverage(nn.Linear(1, 1), decay)


def test_what_is_no_net_and_no_number() -> None:
    with pytest.raises(TypeError, match="ExponentialAverage: "):
        ExponentialAverage(lambda x: x)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="decay must be a number"):
        ExponentialAverage(nn.Linear(1, 1), "0.9")  # type: ignore[arg-type]
