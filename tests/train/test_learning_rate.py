"""The range test finds where training breaks, and leaves everything as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.tensor import Tensor
from minicnn.train import find_learning_rate
from minicnn.utils.data import DataLoader, TensorDataset

RNG = np.random.default_rng(0)


class Quadratic(nn.Module):
    """The loss curvature / 2 (w - 30 - noise)^2: gradient descent diverges for rates above 2 / curvature."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(minicnn.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.w + 0 * x


def loss_of(curvature: float) -> Any:
    return lambda y, noise: (y - 30 - noise).square().mean() * curvature / 2


@pytest.mark.parametrize("curvature", [0.1, 1.0, 50.0])
def test_the_limit_of_a_quadratic_loss(curvature: float) -> None:
    net = Quadratic()
    batches = [(minicnn.zeros(1), minicnn.tensor([float(noise)])) for noise in RNG.normal(size=200)]
    found = find_learning_rate(net, batches, optim.SGD(net.parameters(), lr=1), loss_of(curvature), 1e-4, 1e4, 200)
    assert 0.005 / curvature < found.suggested < 0.5 / curvature
    assert 2 / curvature < found.rates[-1] < 200 / curvature and len(found.rates) == len(found.losses) == len(
        found.smooth
    )


def test_all_is_as_before() -> None:
    minicnn.manual_seed(3)
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 2))
    net[1].eval()
    data = TensorDataset(Tensor(RNG.normal(size=(20, 4)).astype(np.float32)), Tensor(np.arange(20) % 2))
    loader = DataLoader(data, 8, shuffle=True)
    optimizer = optim.Adam([{"params": net[0].parameters(), "lr": 0.01}, {"params": net[3].parameters(), "lr": 0.1}])
    nn.CrossEntropyLoss()(net(data.tensors[0]), data.tensors[1]).backward()
    optimizer.step()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    gradient, random = net[0].weight.grad.clone(), minicnn.get_rng_state()
    steps = [optimizer.state[p]["step"].item() for p in net[0].parameters()]
    find_learning_rate(net, loader, optimizer, nn.CrossEntropyLoss(), steps=30)
    assert all(minicnn.equal(state[name], value) for name, value in net.state_dict().items())
    assert minicnn.equal(net[0].weight.grad, gradient) and minicnn.get_rng_state() == random
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.1]
    assert [optimizer.state[p]["step"].item() for p in net[0].parameters()] == steps
    assert net.training and not net[1].training


def test_it_is_undone_after_an_error_too() -> None:
    net = nn.Linear(2, 2)
    before = net.weight.detach().clone()
    batches = [(minicnn.rand(3, 2), minicnn.tensor([0, 1, 0])), (minicnn.rand(3, 5), minicnn.tensor([0, 1, 0]))]
    with pytest.raises(ValueError, match="linear"):
        find_learning_rate(net, batches, optim.SGD(net.parameters(), lr=0.1), nn.CrossEntropyLoss())
    assert minicnn.equal(net.weight, before)


@pytest.mark.parametrize(
    "options", [{"lowest": 0}, {"lowest": 2, "highest": 1}, {"highest": float("inf")}, {"steps": 1}]
)
def test_wrong_settings(options: Any) -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="find_learning_rate"):
        find_learning_rate(net, [(minicnn.rand(3, 2), minicnn.tensor([0, 1, 0]))], optim.SGD(net.parameters(), lr=0.1),
                           nn.CrossEntropyLoss(), **options)  # fmt: skip


def test_no_batches_and_no_numbers() -> None:
    net = nn.Linear(1, 2)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="no batches"):
        find_learning_rate(net, [], optimizer, nn.CrossEntropyLoss())
    nan = [(minicnn.tensor([[float("nan")]]), minicnn.tensor([0]))]
    with pytest.raises(ValueError, match="first batch"):
        find_learning_rate(net, nan, optimizer, nn.CrossEntropyLoss())


@pytest.mark.parametrize("options", [{"seed": 3}, {"generator": True}, {}])
def test_the_loader_goes_on_as_if_nothing_had_been(options: dict[str, Any]) -> None:
    def order(test_first: bool) -> list[float]:
        minicnn.manual_seed(0)
        data = TensorDataset(minicnn.arange(12.0).reshape(12, 1), minicnn.arange(12) % 2)
        given = {**options, "generator": minicnn.Generator().manual_seed(1)} if "generator" in options else options
        loader = DataLoader(data, 2, shuffle=True, **given)
        next(iter(loader))
        if test_first:
            net = nn.Linear(1, 2)
            find_learning_rate(net, loader, optim.SGD(net.parameters(), lr=1e-3), nn.CrossEntropyLoss(), 1e-6, 1e-5, 20)
        else:
            nn.Linear(1, 2)
        return [x for images, _ in (*loader, *loader) for x in images.flatten().tolist()]

    assert order(True) == order(False)


def test_parameters_of_the_loss_are_restored() -> None:
    net, centres = nn.Linear(2, 2), nn.Parameter(minicnn.zeros(2, 2))
    optimizer = optim.SGD([*net.parameters(), centres], lr=0.1, momentum=0.9)
    batch = minicnn.ones(4, 2), minicnn.tensor([0, 1, 0, 1])
    find_learning_rate(net, [batch], optimizer, lambda y, t: (y - centres[t]).square().mean(), steps=5)
    assert not centres.any() and centres.grad is None


def test_a_loss_below_0() -> None:
    net = nn.Linear(2, 2)
    batch = minicnn.ones(4, 2), minicnn.tensor([0, 1, 0, 1])
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    found = find_learning_rate(
        net, [batch], optimizer, lambda y, t: nn.CrossEntropyLoss()(y, t) - 5, 1e-4, 1e-2, steps=9
    )
    assert len(found.rates) == 9


def test_an_iterator_does_not_start_again() -> None:
    net = nn.Linear(2, 2)
    batches = iter([(minicnn.ones(4, 2), minicnn.tensor([0, 1, 0, 1]))] * 3)
    with pytest.raises(ValueError, match="gave 3 batches and does not start again"):
        find_learning_rate(net, batches, optim.SGD(net.parameters(), lr=0.1), nn.CrossEntropyLoss(), steps=9)
