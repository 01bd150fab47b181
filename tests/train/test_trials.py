"""Several seeds of one setting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.tensor import Tensor
from minicnn.train import DivergedError, Epoch, spread, train, train_with_seeds
from minicnn.utils.data import DataLoader, Dataset, TensorDataset

RNG = np.random.default_rng(0)
POINTS = TensorDataset(Tensor(RNG.normal(size=(40, 3)).astype(np.float32)), Tensor(np.arange(40) % 2))


def small() -> nn.Module:
    return nn.Linear(3, 2)


def sgd(net: nn.Module, lr: float = 0.1) -> optim.Optimizer:
    return optim.SGD(net.parameters(), lr=lr)


class Watched(Dataset[Any]):
    """Remembers which samples were taken, in order."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> Any:
        self.seen.append(index)
        return tuple(part for part in POINTS[index])


def test_a_seed_gives_what_train_gives() -> None:
    found = train_with_seeds(small, sgd, POINTS, POINTS, 3, seeds=(7,), batch_size=8)
    minicnn.manual_seed(7)
    net = small()
    loader = DataLoader(POINTS, 8, shuffle=True, generator=minicnn.Generator().manual_seed(7))
    history = train(net, loader, DataLoader(POINTS, 200), sgd(net), nn.CrossEntropyLoss(), 3, quiet=True)
    assert [row[:5] for row in found.histories[0]] == [row[:5] for row in history]
    assert np.array_equal(found.models[0].weight.detach().numpy(), net.weight.detach().numpy())
    assert found.seconds > 0


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    train_with_seeds(small, sgd, POINTS, POINTS, 2, seeds=(0, 1))
    assert capsys.readouterr() == ("", "")


def test_seeds_differ_and_repeat_and_leave_the_stream_alone() -> None:
    minicnn.manual_seed(5)
    expected = minicnn.rand(3).numpy()
    minicnn.manual_seed(5)
    first = train_with_seeds(small, sgd, POINTS, POINTS, 2, seeds=(0, 1))
    assert np.array_equal(minicnn.rand(3).numpy(), expected)
    again = train_with_seeds(small, sgd, POINTS, POINTS, 2, seeds=(0, 1))
    assert first.last("train_loss") == again.last("train_loss")
    assert first.last("train_loss")[0] != first.last("train_loss")[1]


def test_settings_see_the_same_batches_whatever_their_nets_draw() -> None:
    orders = []
    for make in (small, lambda: nn.Sequential(nn.Linear(3, 50), nn.Dropout(), nn.Linear(50, 2))):
        data = Watched()
        train_with_seeds(make, sgd, data, POINTS, 2, seeds=(3,), batch_size=8)
        orders.append(data.seen)
    assert orders[0] == orders[1] and orders[0][:40] != orders[0][40:]


def test_a_training_that_diverges_is_part_of_the_result() -> None:
    found = train_with_seeds(small, lambda net: sgd(net, 1e30), POINTS, POINTS, 4, seeds=(0, 1))
    assert all("learning rate" in why for why in found.diverged)
    assert all(len(history) <= 4 for history in found.histories)
    assert all(math.isnan(value) for value in found.last("val_top1"))
    assert spread(found.last("val_top1")) == "diverged"


def test_schedule_and_calls_after_each_epoch() -> None:
    rates, calls = [], []

    def schedule(optimizer: optim.Optimizer, steps: int) -> Any:
        assert steps == 2 * 5
        rates.append(optimizer)
        return optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.5, total_iters=steps)

    found = train_with_seeds(
        small, sgd, POINTS, POINTS, 2, seeds=(0,), batch_size=8, make_scheduler=schedule,
        after_epoch=lambda net, history: calls.append((net, len(history))),
    )  # fmt: skip
    assert rates[0].param_groups[0]["lr"] == pytest.approx(0.05)
    assert calls == [(found.models[0], 1), (found.models[0], 2)]


def test_without_validation_and_without_a_list() -> None:
    found = train_with_seeds(small, sgd, POINTS, None, 1, seeds=(0,))
    assert math.isnan(found.last("val_top1")[0]) and found.last("train_loss")[0] > 0
    with pytest.raises(TypeError, match=r"give a list of seeds, such as range\(3\)"):
        train_with_seeds(small, sgd, POINTS, None, 1, seeds=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="schedule_every must be 'step' or 'epoch', got 'batch'"):
        train_with_seeds(small, sgd, POINTS, None, 1, schedule_every="batch")


def test_means() -> None:
    def row(epoch: int, loss: float) -> Epoch:
        return Epoch(epoch, loss, 0.5, loss, 0.5, 1.0, 40.0)

    from minicnn.train import Trials

    found = Trials((0, 1), [[row(1, 1.0), row(2, 2.0)], [row(1, 3.0)]], [small(), small()], ["", "too large"])
    assert found.mean("train_loss") == [2.0]
    assert found.last("train_loss")[0] == 2.0 and math.isnan(found.last("train_loss")[1])
    assert found.seconds == 3.0


def test_spread() -> None:
    assert spread([0.5, 0.7], 1, 100) == "60.0 (50.0 to 70.0)"
    assert spread([1.234], 2) == "1.23"
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_quiet_hides_the_warning_but_not_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    net = small()
    loader = DataLoader(POINTS, 8)
    with pytest.raises(DivergedError):
        train(net, loader, loader, sgd(net, 1e5), nn.CrossEntropyLoss(), 2, quiet=True)
    assert capsys.readouterr() == ("", "")
