"""Linear probes: accuracy grows with depth in a trained net, chance for random labels, and planted features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.datasets import Digits
from minicnn.explain import Probe, linear_probes
from minicnn.models import CifarResNet, LeNet5, get_model
from minicnn.nn import functional as F
from minicnn.transforms import ToTensor
from minicnn.utils.data import DataLoader, Subset


class Square(nn.Module):
    """Features that are linear in the pixels know nothing of the sign-free size; the square knows it."""

    def forward(self, x: Any) -> Any:
        return x * x


def planted() -> tuple[nn.Module, minicnn.Tensor, minicnn.Tensor]:
    """The class is whether |x0| is above a bound: no linear function of x, but one of x0^2, which layer 2 computes."""
    minicnn.manual_seed(0)
    first = nn.Linear(6, 6, bias=False)
    first.weight.data.copy_(minicnn.eye(6))
    model = nn.Sequential(nn.Flatten(), first, Square(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2))
    x = minicnn.randn(400, 1, 2, 3)
    return model, x, (x[:, 0, 0, 0].abs() > 0.6745).long()


def test_a_planted_feature_is_found_at_its_layer() -> None:
    model, x, y = planted()
    found = {row.layer: row for row in linear_probes(model, (x, y), ["1", "2", model[3]])}
    assert list(found) == ["input", "1", "2", "3"]
    assert found["input"].test < 0.65 and found["1"].test < 0.65
    assert found["2"].test > 0.93 and found["2"].features == 6 and found["2"].kind == "Square"
    assert found["input"].kind == "image" and found["3"].features == 4
    again = linear_probes(model, (x, y), ["1", "2", model[3]])
    assert again == list(found.values())


def test_random_labels_give_chance() -> None:
    minicnn.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4))
    x, y = minicnn.randn(800, 1, 6, 6), minicnn.randint(0, 4, (800,))
    for row in linear_probes(model, (x, y)):
        assert 0.15 < row.test < 0.36, row  # 4 standard deviations around 0.25, of 200 images
        assert row.train > row.test


def test_accuracy_grows_with_depth_in_a_trained_net() -> None:
    minicnn.manual_seed(0)
    data = Digits(transform=ToTensor())
    x, y = next(iter(DataLoader(data, batch_size=len(data))))
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip
    optimizer = minicnn.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(25):
        for k in minicnn.randperm(len(x)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(x[k]), y[k]).backward()
            optimizer.step()
    test = Digits(train=False, transform=ToTensor())
    small = Subset(data, range(0, 1437, 12))  # with few images, easy features matter
    rows = linear_probes(model, small, test=test)
    assert [row.layer for row in rows] == ["input", "1", "4", "7", "8"]
    tests = [row.test for row in rows]
    assert tests[0] + 0.02 < tests[2] < tests[3] and tests[3] > tests[0] + 0.04, tests


@pytest.mark.parametrize(
    ("name", "size", "layers"),
    [
        ("lenet5", (1, 32, 32), ["features.2", "features.5", "classifier.2", "classifier.4", "classifier.5"]),
        (
            "resnet20",
            (3, 32, 32),
            ["relu", *[f"layer{k}.{i}" for k in (1, 2, 3) for i in range(3)][:-1], "avgpool", "fc"],
        ),
    ],
)
def test_default_layers(name: str, size: Any, layers: list[str]) -> None:
    minicnn.manual_seed(0)
    x, y = minicnn.randn(12, *size), minicnn.arange(12) % 3
    rows = linear_probes(get_model(name), (x, y), test=0.5)
    assert [row.layer for row in rows] == ["input", *layers]
    assert all(isinstance(row, Probe) and 0 <= row.train <= 1 and row.features <= 1024 for row in rows[1:])


def test_large_maps_are_averaged_and_deep_nets_are_sampled() -> None:
    x, y = minicnn.randn(12, 3, 33, 20), minicnn.arange(12) % 2
    rows = {row.layer: row for row in linear_probes(CifarResNet(8), (x, y), ["conv1", "layer3.0", "fc"], most=100)}
    assert rows["input"].features == 3 * 5 * 5 and rows["conv1"].features == 16 * 2 * 2
    assert rows["layer3.0"].features == 64 and rows["fc"].features == 10
    assert len(linear_probes(CifarResNet(56), (x[:, :, :8, :8], y), test=0.5)) == 17


def test_features_that_do_not_change_and_a_loader() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Linear(3, 2))
    model[1].weight.data.fill_(0)
    x = minicnn.randn(20, 1, 2, 2)
    loader = DataLoader(minicnn.utils.data.TensorDataset(x, (x[:, 0, 0, 0] > 0).long()), batch_size=7)
    rows = linear_probes(model, loader, ["1"], test=loader)
    assert 0.4 <= rows[1].test <= 0.75 and rows[0].test > 0.9 and rows[0].train == rows[0].test


def test_state_and_errors() -> None:
    model, x, y = planted()
    model.train()
    model(x).sum().backward()
    grads = [p.grad.clone() for p in model.parameters()]
    stream = str(minicnn.get_rng_state())
    linear_probes(model, (x, y), ["1"])
    assert model.training and str(minicnn.get_rng_state()) == stream
    assert all(minicnn.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert not any(m._forward_hooks for m in model.modules())
    with pytest.raises(TypeError, match="linear_probes: every image needs a class"):
        linear_probes(model, x)
    with pytest.raises(TypeError, match="every image needs a class"):
        linear_probes(model, (x, y.float()))
    with pytest.raises(ValueError, match="all of class 1"):
        linear_probes(model, (x, minicnn.ones(400).long()), ["1"])
    for share in (0.0, 1.0, 1e-9):
        with pytest.raises(ValueError, match="test must be a share between 0 and 1"):
            linear_probes(model, (x, y), ["1"], test=share)
    with pytest.raises(ValueError, match="outputs of 3 are NaN or infinite"):
        model[3].weight.data.fill_(float("inf"))
        linear_probes(model, (x, y), ["3"])
    with pytest.raises(ValueError, match="penalty must be above 0"):
        linear_probes(model, (x, y), penalty=0)
    with pytest.raises(ValueError, match="there are no images"):
        linear_probes(model, (x[:0], y[:0]), ["1"])
    with pytest.raises(ValueError, match="no layer 'conv'"):
        linear_probes(LeNet5(), (minicnn.zeros(2, 1, 32, 32), y[:2]), ["conv"])
    assert np.isfinite(x.numpy()).all()
