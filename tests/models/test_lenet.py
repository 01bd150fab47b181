"""LeNet-5 against the published counts, and the net of 1998 against its paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from counting import finite_gradients, overfits

import minicnn
from minicnn import models, nn
from minicnn.models import LeNet5, LeNet5Original
from minicnn.models.lenet import C3_TABLE, Distances, ScaledTanh, Subsampling, TableConv2d, digit_codes

# layer: output shape, parameters, as computed from the paper's layer table
TABLE = [
    ((6, 28, 28), 156), ((6, 28, 28), 0), ((6, 14, 14), 0),
    ((16, 10, 10), 2416), ((16, 10, 10), 0), ((16, 5, 5), 0),
    ((400,), 0), ((120,), 48120), ((120,), 0), ((84,), 10164), ((84,), 0), ((10,), 850),
]  # fmt: skip


@pytest.mark.parametrize("size, padding", [(32, 0), (28, 2)])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("pool", ["max", "avg"])
def test_shapes_and_parameters(activation: str, pool: str, size: int, padding: int) -> None:
    net = LeNet5(activation=activation, pool=pool, padding=padding)
    found = minicnn.summary(net, (1, size, size), verbose=False)
    assert [(row.output, row.parameters) for row in found.rows] == TABLE
    assert found.parameters == found.trainable == 61_706


def test_a_slide_that_counts_one_input_of_the_second_convolution_is_short_by_2000() -> None:
    second = LeNet5(pool="avg").features[3]
    assert sum(p.numel() for p in second.parameters()) == (5 * 5 * 6 + 1) * 16 == (5 * 5 * 1 + 1) * 16 + 2000
    assert 61_706 - 2000 == 59_706


def test_the_third_stage_is_a_convolution_or_a_linear_layer() -> None:
    """CONV-POOL-CONV-POOL-FC-FC and CONV-POOL-CONV-POOL-CONV-FC are the same net."""
    fc, conv = LeNet5(), LeNet5(third="conv")
    kinds = [row.kind for row in minicnn.summary(conv, (1, 32, 32), verbose=False).rows]
    assert kinds == ["Conv2d", "Tanh", "MaxPool2d"] * 2 + ["Conv2d", "Tanh", "Flatten", "Linear", "Tanh", "Linear"]
    arrays = [p.detach().numpy() for p in fc.parameters()]
    for parameter, array in zip(conv.parameters(), arrays, strict=True):
        parameter.data = minicnn.tensor(array.reshape(parameter.shape))
    x = minicnn.randn(3, 1, 32, 32)
    assert np.allclose(conv(x).detach().numpy(), fc(x).detach().numpy(), atol=1e-5)


def test_colours_and_classes() -> None:
    assert tuple(LeNet5(num_classes=7, in_channels=3)(minicnn.zeros(2, 3, 32, 32)).shape) == (2, 7)
    assert tuple(LeNet5Original(num_classes=7, in_channels=3, padding=2)(minicnn.zeros(2, 3, 28, 28)).shape) == (2, 7)


@pytest.mark.parametrize("name, options", [("lenet5", {}), ("lenet5", {"third": "conv"}), ("lenet5_1998", {})])
def test_every_parameter_gets_a_gradient(name: str, options: dict[str, Any]) -> None:
    finite_gradients(models.get_model(name, **options), 1, 32, 32)


@pytest.mark.parametrize("build", [LeNet5, LeNet5Original])
def test_it_learns_16_images_by_heart(build: Any) -> None:
    minicnn.manual_seed(0)
    overfits(build(), 1, 32, 32)


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
    with pytest.raises(ValueError, match="the third stage, must be 'fc' or 'conv', got 'linear'"):
        LeNet5(third="linear")
    with pytest.raises(ValueError, match="distances to images of the ten digits, got 11; LeNet5 takes any number"):
        LeNet5Original(num_classes=11)


# ------------------------------------------------------------------------------------------------- the net of 1998


def test_layers_of_1998() -> None:
    net = LeNet5Original()
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in net.named_children():
        module.register_forward_hook(lambda m, i, y, name=name: shapes.__setitem__(name, tuple(y.shape[1:])))
    net(minicnn.zeros(1, 1, 32, 32))
    del shapes["squash"]
    assert shapes == {
        "C1": (6, 28, 28), "S2": (6, 14, 14), "C3": (16, 10, 10), "S4": (16, 5, 5), "C5": (120, 1, 1), "F6": (84,),
        "output": (10,),
    }  # fmt: skip
    counts = {name: sum(p.numel() for p in module.parameters()) for name, module in net.named_children()}
    assert counts == {
        "C1": 156, "S2": 12, "C3": 1516, "S4": 32, "C5": 48_120, "F6": 10_164, "squash": 0, "output": 0
    }  # fmt: skip
    assert sum(counts.values()) == 60_000
    assert {name: tuple(b.shape) for name, b in net.named_buffers()} == {"output.codes": (10, 84)}


def test_the_table_of_c3() -> None:
    """As the paper describes it: six maps see 3 neighbours, six see 4 neighbours, three see 4 others, the last all."""
    assert sum(map(len, C3_TABLE)) == 60
    assert [{(first + i) % 6 for i in range(3)} for first in range(6)] == [set(row) for row in C3_TABLE[:6]]
    assert [{(first + i) % 6 for i in range(4)} for first in range(6)] == [set(row) for row in C3_TABLE[6:12]]
    pairs = [{first, (first + 1) % 6, first + 3, (first + 4) % 6} for first in range(3)]
    assert pairs == [set(row) for row in C3_TABLE[12:15]]
    assert set(C3_TABLE[15]) == set(range(6))


def test_a_convolution_with_a_table_is_a_dense_one_with_zeros() -> None:
    sparse, dense = TableConv2d(C3_TABLE, 5), nn.Conv2d(6, 16, 5)
    weights = np.zeros((16, 6, 5, 5), np.float32)
    rows = [row for part in sparse.parts for row in part.weight.detach().numpy()]  # (3, 5, 5), or 4 or 6
    biases = np.concatenate([part.bias.detach().numpy() for part in sparse.parts])
    for weight, row, channels in zip(weights, rows, C3_TABLE, strict=True):
        weight[list(channels)] = row
    dense.weight.data, dense.bias.data = minicnn.tensor(weights), minicnn.tensor(biases)
    x = minicnn.randn(2, 6, 14, 14)
    assert np.allclose(sparse(x).detach().numpy(), dense(x).detach().numpy(), atol=1e-5)


def test_subsampling_squashing_and_distances() -> None:
    pool = Subsampling(2)
    pool.weight.data, pool.bias.data = minicnn.tensor([[[2.0]], [[3.0]]]), minicnn.tensor([[[0.5]], [[-1.0]]])
    x = minicnn.arange(16).float().reshape(1, 2, 2, 4)
    assert pool(x).tolist() == [[[[20.5, 36.5]], [[125.0, 149.0]]]]
    assert np.allclose(ScaledTanh()(minicnn.tensor([1.0, -1.0, 0.0])).numpy(), [1, -1, 0], atol=1e-4)
    near = Distances(minicnn.tensor([[1.0, 1.0], [-1.0, 1.0]]))
    assert near(minicnn.tensor([[1.0, 0.0]])).tolist() == [[-1.0, -5.0]]


def test_the_images_of_the_digits_differ() -> None:
    codes = np.array(digit_codes())
    assert codes.shape == (10, 84) and set(codes.flat) == {-1, 1}
    differences = (codes[:, None] != codes).sum(2) + 84 * np.eye(10, dtype=int)
    assert differences.min() >= 8
