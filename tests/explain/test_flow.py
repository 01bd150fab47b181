"""Gradients and activations, layer by layer: against numbers by hand and `backward`, with planted defects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.explain import Magnitude, activation_statistics, gradient_flow
from minicnn.models import CifarResNet
from minicnn.nn import functional as F
from minicnn.utils.data import DataLoader, TensorDataset


def test_magnitudes() -> None:
    assert Magnitude.of(np.array([3.0, -4.0, 0, 0])) == (1.75, 4, 5, 0)
    assert Magnitude.of(np.array([np.nan, -np.inf, 2.0, -2.0])) == (2, 2, np.sqrt(8), 0.5)
    assert Magnitude.of(np.array([])) == (0, 0, 0, 0) and Magnitude.of(np.full(2, np.nan)) == (0, 0, 0, 1)
    big = Magnitude.of(np.array([1e200, 1e200]))
    assert np.isclose(big.norm, np.sqrt(2) * 1e200)  # the squares are above the largest float


def net() -> nn.Module:
    minicnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(3 * 2 * 3, 4)
    )


@pytest.mark.parametrize("training", [False, True])
def test_gradients_are_those_of_a_step(training: bool) -> None:
    model, x, y = net(), minicnn.randn(5, 2, 4, 5), minicnn.tensor([0, 1, 2, 3, 1])
    state = {key: value.clone() for key, value in model.state_dict().items()}
    found = {row.layer: row for row in gradient_flow(model, x, y, training=training)}
    assert all(minicnn.equal(value, state[key]) for key, value in model.state_dict().items())
    assert list(found) == ["0", "1", "2", "3", "4"]
    assert [row.kind for row in found.values()] == ["Conv2d", "BatchNorm2d", "ReLU", "Flatten", "Linear"]
    model.train(training)
    outputs = [x]
    for module in model:
        outputs.append(module(outputs[-1].clone()))
        outputs[-1].retain_grad()
    F.cross_entropy(outputs[-1], y).backward()
    for name in ("0", "1", "4"):
        g = np.concatenate([p.grad.numpy().ravel() for p in model.get_submodule(name).parameters()]).astype(float)
        want = (np.abs(g).mean(), np.abs(g).max(), np.sqrt((g * g).sum()), 0)
        np.testing.assert_allclose(found[name].weight, want, rtol=1e-4, atol=1e-9)
    assert found["2"].weight is None and found["2"].parameters is None
    w = np.concatenate([p.detach().numpy().ravel() for p in model[4].parameters()])
    np.testing.assert_allclose(found["4"].parameters.norm, np.linalg.norm(w), rtol=1e-6)
    g = outputs[5].grad.numpy()
    np.testing.assert_allclose(found["4"].activation.max, np.abs(g).max(), rtol=1e-5)
    g = outputs[1].grad.numpy()
    np.testing.assert_allclose(found["0"].activation.norm, np.linalg.norm(g), rtol=1e-4)


def test_gradients_vanish_where_they_must() -> None:
    """A chain of linear layers with weight 1/2: the gradient halves from layer to layer."""
    model = nn.Sequential(*[nn.Linear(1, 1, bias=False) for _ in range(6)])
    for layer in model:
        layer.weight.data.fill_(0.5)
    rows = gradient_flow(model, minicnn.ones(1, 1), loss=lambda y: y.sum())
    assert [row.activation.max for row in rows] == [0.5**k for k in (5, 4, 3, 2, 1, 0)]
    assert [row.weight.mean for row in rows if row.weight] == [0.5**5] * 6


def test_frozen_unused_and_named_layers_and_the_state() -> None:
    model, x, y = net(), minicnn.randn(3, 2, 4, 5), minicnn.tensor([0, 1, 2])
    model[0].requires_grad_(False)
    model.aside = nn.Linear(18, 4)  # called last, and what it gives is the result
    model.forward = lambda x: (model[:5](x), model.aside(minicnn.ones(1, 18)))[0]  # type: ignore[method-assign]
    model[4].weight.grad = minicnn.ones(4, 18)
    model[1].eval()
    modes, stream = [m.training for m in model.modules()], str(minicnn.get_rng_state())
    rows = {row.layer: row for row in gradient_flow(model, x, y, training=True)}
    assert list(rows) == ["0", "1", "2", "3", "4"] and rows["0"].weight is None and rows["1"].weight is not None
    assert [m.training for m in model.modules()] == modes and str(minicnn.get_rng_state()) == stream
    assert minicnn.equal(model[4].weight.grad, minicnn.ones(4, 18)) and model[0].weight.grad is None
    assert not any(m._forward_hooks for m in model.modules()) and not model[0].weight.requires_grad
    assert [row.layer for row in gradient_flow(model, x, y, layers=["4", model[0]])] == ["0", "4"]
    residual = gradient_flow(CifarResNet(8), minicnn.randn(2, 3, 8, 8), minicnn.tensor([1, 2]), layers=["layer1", "fc"])
    assert [row.kind for row in residual] == ["Sequential", "Linear"] and residual[0].weight is not None


def test_batches_of_other_kinds() -> None:
    model, x, y = net(), minicnn.randn(6, 2, 4, 5), minicnn.tensor([0, 1, 2, 3, 0, 1])
    whole = gradient_flow(model, x, y)
    assert gradient_flow(model, (x, y)) == gradient_flow(model, TensorDataset(x, y)) == whole
    first = gradient_flow(model, DataLoader(TensorDataset(x, y), batch_size=4))
    assert first == gradient_flow(model, x[:4], y[:4]) != whole
    assert gradient_flow(model, (x, y), minicnn.zeros(6).long()) == gradient_flow(model, x, minicnn.zeros(6).long())
    with pytest.raises(ValueError, match="there are no images"):
        gradient_flow(model, TensorDataset(x[:0], y[:0]))


def test_a_loss_that_is_nan_is_reported() -> None:
    model, x = net(), minicnn.randn(2, 2, 4, 5)
    x[0, 0, 0, 0] = float("nan")
    for row in gradient_flow(model, x, minicnn.tensor([0, 1])):
        assert 0 <= row.activation.bad <= 1 and np.isfinite(row.activation).all()
    assert gradient_flow(model, x, minicnn.tensor([0, 1]))[0].activation.bad > 0


def test_errors_of_gradients() -> None:
    model, x, y = net(), minicnn.randn(3, 2, 4, 5), minicnn.tensor([0, 1, 2])
    with pytest.raises(ValueError, match="give the classes y, or a loss"):
        gradient_flow(model, x)
    with pytest.raises(ValueError, match=r"the loss must be one number, got \(3,\)"):
        gradient_flow(model, x, y, nn.CrossEntropyLoss(reduction="none"))
    with pytest.raises(ValueError, match="no layer 'conv'"):
        gradient_flow(model, x, y, layers=["conv"])
    with pytest.raises(ValueError, match=r"there are no images, x has shape \(0, 2, 4, 5\)"):
        gradient_flow(model, x[:0], y[:0])
    with pytest.raises(ValueError, match="does not depend on anything with a gradient"):
        gradient_flow(model, x, loss=lambda y: y.detach().sum())
    with pytest.raises(TypeError, match="gradient_flow"):
        gradient_flow(3, x, y)  # type: ignore[arg-type]
    assert not any(m._forward_hooks for m in model.modules())


# --------------------------------------------------------------------------------------------------------- activations


@pytest.mark.parametrize("size", [3, 50])
def test_statistics_are_those_of_all_images_together(size: int) -> None:
    minicnn.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 1), nn.Tanh(), nn.Flatten())
    model[0].bias.data.copy_(minicnn.tensor([0.0, -99, 1000.0]))
    x = minicnn.randn(11, 1, 5, 4) + 3
    data = DataLoader(TensorDataset(x, minicnn.arange(11)), batch_size=size)
    rows = {row.layer: row for row in activation_statistics(model, data, bins=7)}
    assert list(rows) == ["0", "1", "2", "3", "4"]
    with minicnn.no_grad():
        first = model[0](x)
        outputs = {"0": first.numpy(), "1": F.relu(first).numpy()}
        outputs["2"] = model[2](F.relu(first)).numpy()
        outputs["3"] = np.tanh(outputs["2"])
    for name, y in outputs.items():
        row, y = rows[name], y.astype(np.float64)
        np.testing.assert_allclose(row[2:6], (y.mean(), y.std(), y.min(), y.max()), rtol=1e-4, atol=1e-6)
        assert row.zeros == (y == 0).mean() and row.bad == 0
        assert row.counts.sum() == y.size and len(row.edges) == 8
    np.testing.assert_allclose(rows["0"].counts, np.histogram(outputs["0"], 7)[0], atol=2)
    assert rows["1"].dead == pytest.approx(1 / 3) and rows["1"].zeros >= 1 / 3 and rows["0"].dead == 0
    assert rows["3"].saturated == (np.abs(outputs["3"]) >= 0.98).mean() > 0.9 and rows["1"].saturated is None


def test_saturated_sigmoids_and_dead_units_of_vectors() -> None:
    model = nn.Sequential(nn.Linear(1, 4), nn.Sigmoid(), nn.Hardtanh(), nn.ReLU6())
    model[0].weight.data.copy_(minicnn.tensor([[0.0], [100.0], [-100.0], [1.0]]))
    model[0].bias.data.fill_(0)
    rows = {row.kind: row for row in activation_statistics(model, minicnn.tensor([[1.0], [1.0]]))}
    assert rows["Sigmoid"].saturated == 0.5 and rows["Linear"].saturated is None and rows["Linear"].dead == 0.25
    assert rows["Hardtanh"].saturated == 0.25 and rows["ReLU6"].saturated is None


def test_nan_and_constant_outputs() -> None:
    model = nn.Sequential(nn.Identity(), nn.Flatten())
    x = minicnn.tensor([[float("nan"), 1.0, float("inf"), 3.0]])
    row = activation_statistics(model, x)[0]
    assert row[2:6] == (2, 1, 1, 3) and row.bad == 0.5 and row.counts.sum() == 2
    nothing = activation_statistics(model, minicnn.full((2, 3), float("nan")))[0]
    assert nothing.bad == 1 and nothing.counts.sum() == 0 and nothing.mean == 0
    same = activation_statistics(model, minicnn.ones(2, 3), bins=3)[0]
    assert same.std == 0 and same.counts.sum() == 6


def test_large_numbers_keep_their_deviation() -> None:
    """The mean of squares minus the square of the mean would lose all digits."""
    x = minicnn.tensor([[1e4 + k] for k in range(6)])
    data = DataLoader(TensorDataset(x), batch_size=2)
    assert activation_statistics(nn.Sequential(nn.Identity()), data)[0].std == pytest.approx(np.arange(6).std())


def test_chosen_layers_state_and_errors() -> None:
    model: Any = net()
    x, stream = minicnn.randn(3, 2, 4, 5), str(minicnn.get_rng_state())
    model.aside = nn.Linear(4, 4)
    model.forward = lambda x: model[:5](x)
    model.eval()
    model[0].train()
    assert [row.layer for row in activation_statistics(model, x)] == ["0", "1", "2", "3", "4"]
    assert [row.layer for row in activation_statistics(model, x, ["4", ""])] == ["4", "output"]
    assert model[0].training and not model[1].training and str(minicnn.get_rng_state()) != ""
    with pytest.raises(ValueError, match="does not call the layer 'aside'"):
        activation_statistics(model, x, ["aside"])
    with pytest.raises(ValueError, match="there are no images"):
        activation_statistics(model, x[:0])
    with pytest.raises(ValueError, match="bins"):
        activation_statistics(model, x, bins=0)
    assert stream and not any(m._forward_hooks for m in model.modules())
