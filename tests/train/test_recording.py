"""What the recorder measures, against NumPy; and that it leaves training as it was."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models, nn, optim
from minicnn.tensor import Tensor
from minicnn.train import ExponentialAverage, Recorder, evaluate

RNG = np.random.default_rng(0)
IMAGES, CLASSES = Tensor(RNG.normal(size=(6, 1, 8, 8)).astype(np.float32)), Tensor(np.arange(6) % 3)


def net() -> Any:
    minicnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    )


def step(model: nn.Module, optimizer: optim.Optimizer, recorder: Recorder | None = None) -> None:
    optimizer.zero_grad()
    nn.CrossEntropyLoss()(model(IMAGES), CLASSES).backward()
    if recorder is not None:
        recorder.before_step()
    optimizer.step()
    if recorder is not None:
        recorder.after_step()


def own(model: Any, name: str, grad: bool = False) -> Any:
    parts = [p.grad if grad else p.detach() for p in model.get_submodule(name).parameters(recurse=False)]
    return np.concatenate([part.numpy().ravel().astype(np.float64) for part in parts])


def test_the_numbers_by_numpy() -> None:
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    recorder = Recorder(model)
    assert recorder.layers == ["0", "1", "5"] and recorder.outputs == list("012345")
    gradients, ratios, activations = [], [], []
    for _ in range(4):
        before = [own(model, name) for name in recorder.layers]
        twin = net()
        twin.load_state_dict(model.state_dict())
        x, outputs = IMAGES, []
        for layer in twin:
            x = layer(x)
            y = x.detach().numpy()
            outputs.append([y.mean(), y.std(), (y == 0).mean()])
        step(model, optimizer, recorder)
        gradients.append([np.linalg.norm(own(model, name, grad=True)) for name in recorder.layers])
        after = [own(model, name) for name in recorder.layers]
        ratios.append([np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in zip(before, after, strict=True)])
        activations.append(outputs)
    np.testing.assert_allclose(recorder.gradient_norms, gradients, rtol=1e-5)
    np.testing.assert_allclose(recorder.update_ratios, ratios, rtol=1e-4)
    found = np.stack([recorder.means, recorder.deviations, recorder.zeros], -1)
    np.testing.assert_allclose(found, activations, rtol=1e-4, atol=1e-6)
    assert recorder.steps == [1, 2, 3, 4]


@pytest.mark.parametrize("every", [1, 2, 5])
def test_training_goes_on_as_without_it(every: int) -> None:
    """Layers that would run as one run one by one while measured, with the same values here."""
    plain, watched = net(), net()
    optimizers = [optim.Adam(model.parameters(), lr=0.01) for model in (plain, watched)]
    with Recorder(watched, every) as recorder:
        for _ in range(6):
            step(plain, optimizers[0])
            step(watched, optimizers[1], recorder)
    for a, b in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)
    assert recorder.steps == list(range(1, 7, every)) and len(recorder.means) == len(recorder.steps)


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def test_hooks_are_there_only_when_needed() -> None:
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model, every=3) as recorder:
        seen = []
        for _ in range(5):
            seen.append(hooks(model) > 0)
            step(model, optimizer, recorder)
        assert seen == [True, False, False, True, False]
    assert hooks(model) == 0
    recorder.after_step()
    assert hooks(model) == 0 and recorder.steps == [1, 4]
    with pytest.raises(ZeroDivisionError), Recorder(model):
        raise ZeroDivisionError
    assert hooks(model) == 0
    assert hooks(model) == 0 and Recorder(model, activations=False) and hooks(model) == 0


def test_evaluation_does_not_count() -> None:
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    with Recorder(model) as recorder:
        step(model, optimizer, recorder)
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(model(IMAGES), CLASSES).backward()
        evaluate(model, [(100 * IMAGES, CLASSES)], nn.CrossEntropyLoss())
        recorder.before_step()
        recorder.after_step()
    np.testing.assert_allclose(recorder.means[0], recorder.means[1], rtol=1e-5)


def test_a_copy_with_the_hooks_records_nothing() -> None:
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model) as recorder:
        average = ExponentialAverage(model)
        average.module.train()
        average.module(100 * IMAGES)
        recorder.after_step()
    assert np.isnan(recorder.means).all() and optimizer


def test_frozen_layers_and_layers_that_are_not_called() -> None:
    model = nn.ModuleDict({"used": nn.Linear(2, 2), "frozen": nn.Linear(2, 2), "unused": nn.Linear(2, 2)})
    model["frozen"].requires_grad_(False)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model) as recorder:
        model["frozen"](model["used"](minicnn.rand(4, 2))).sum().backward()
        recorder.before_step()
        optimizer.step()
        recorder.after_step()
    gradients, ratios = recorder.gradient_norms[0], recorder.update_ratios[0]
    assert gradients[0] > 0 and np.isnan(gradients[1:]).all()
    assert ratios[0] > 0 and ratios[1] == ratios[2] == 0
    assert np.isnan(recorder.means[0]).tolist() == [False, False, True]


def test_zero_weights_have_no_ratio() -> None:
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.zero_()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model) as recorder:
        model(minicnn.ones(1, 1)).sum().backward()
        recorder.before_step()
        optimizer.step()
        recorder.after_step()
    assert np.isnan(recorder.update_ratios).all()


def test_exploded_numbers_are_recorded_and_not_raised() -> None:
    model = nn.Linear(1, 1, bias=False)
    with Recorder(model) as recorder:
        model(minicnn.ones(1, 1) * 1e30).mul(1e30).sum().backward()
        recorder.before_step()
        recorder.after_step()
    assert np.isinf(recorder.gradient_norms).all()


@pytest.mark.parametrize("off", ["gradients", "activations", "updates"])
def test_parts_can_be_left_out(off: str) -> None:
    model = net()
    with Recorder(model, **{off: False}) as recorder:
        step(model, optim.SGD(model.parameters(), lr=0.1), recorder)
    shapes = {"gradients": recorder.gradient_norms, "activations": recorder.zeros, "updates": recorder.update_ratios}
    assert {name: len(found) for name, found in shapes.items()} == {name: int(name != off) for name in shapes}
    assert "1 steps measured" in str(recorder.table())


def test_table_and_file(tmp_path: Path) -> None:
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model) as recorder:
        empty = recorder.table()
        for _ in range(3):
            step(model, optimizer, recorder)
    assert empty["0", "last"] is None
    table = recorder.table()
    assert table["0", "gradient, first"] == pytest.approx(recorder.gradient_norms[0, 0])
    assert table["5", "|dw|/|w|"] == pytest.approx(np.median(recorder.update_ratios[:, 2]))
    assert table["2", "last"] is None and 0 < table["2", "zeros"] < 1
    recorder.write_csv(tmp_path / "layers.csv")
    rows = list(csv.DictReader((tmp_path / "layers.csv").read_text().splitlines()))
    assert len(rows) == 3 * 6 and rows[8]["layer"] == "2" and rows[8]["gradient_norm"] == ""
    assert float(rows[6]["gradient_norm"]) == pytest.approx(recorder.gradient_norms[1, 0], rel=1e-6)
    assert float(rows[8]["zeros"]) == pytest.approx(recorder.zeros[1, 2], rel=1e-6)


def test_a_net_of_many_layers_and_tuples() -> None:
    model = models.googlenet(num_classes=3).train()
    with Recorder(model) as recorder:
        minicnn.models.auxiliary_loss(model(minicnn.rand(2, 3, 64, 64)), minicnn.tensor([0, 1])).backward()
        recorder.before_step()
        optim.SGD(model.parameters(), lr=0.01).step()
        recorder.after_step()
    assert np.isfinite(recorder.gradient_norms).all() and np.isfinite(recorder.update_ratios).all()


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match="every must be at least 1"):
        Recorder(net(), 0)
    with pytest.raises(ValueError, match="nothing is to be measured"):
        Recorder(net(), gradients=False, activations=False, updates=False)


def plain_step(model: nn.Module, optimizer: optim.Optimizer, recorder: Recorder) -> None:
    model(minicnn.ones(4, 3)).square().sum().backward()
    recorder.before_step()
    optimizer.step()
    recorder.after_step()


def test_layers_that_share_a_weight() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 3, bias=False))
    model[2].weight = model[0].weight
    with Recorder(model, activations=False) as recorder:
        before = model[0].weight.detach().clone()
        plain_step(model, optim.SGD(model.parameters(), lr=0.1), recorder)
    moved = (model[0].weight.detach() - before).norm().item() / before.norm().item()
    np.testing.assert_allclose(recorder.update_ratios, [[moved, moved]], rtol=1e-5)


def test_a_step_whose_beginning_was_not_told_has_no_ratio() -> None:
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with Recorder(model) as recorder:
        plain_step(model, optimizer, recorder)
        recorder.after_step()
    assert np.isfinite(recorder.update_ratios[0]).all() and np.isnan(recorder.update_ratios[1]).all()
