"""LeNet-5 against the published counts."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn.models import LeNet5

# layer: output shape, parameters, as computed from the paper's layer table
TABLE = [
    ((6, 28, 28), 156), ((6, 28, 28), 0), ((6, 14, 14), 0),
    ((16, 10, 10), 2416), ((16, 10, 10), 0), ((16, 5, 5), 0),
    ((400,), 0), ((120,), 48120), ((120,), 0), ((84,), 10164), ((84,), 0), ((10,), 850),
]  # fmt: skip


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("pool", ["max", "avg"])
def test_shapes_and_parameters(activation: str, pool: str) -> None:
    found = minicnn.summary(LeNet5(activation=activation, pool=pool), (1, 32, 32), verbose=False)
    assert [(row.output, row.parameters) for row in found.rows] == TABLE
    assert found.parameters == found.trainable == 61_706


def test_it_learns_one_batch_by_heart() -> None:
    minicnn.manual_seed(0)
    rng = np.random.default_rng(0)
    net, loss_fn = LeNet5(), minicnn.nn.CrossEntropyLoss()
    optimiser = minicnn.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    x, y = minicnn.tensor(rng.random((10, 1, 32, 32), np.float32)), minicnn.tensor(np.arange(10))
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = loss_fn(net(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(np.log(10), abs=0.2)
    assert losses[-1] < 0.05


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="activation must be one of tanh, relu"):
        LeNet5(activation="gelu")
