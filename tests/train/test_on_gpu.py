"""Training on a GPU, emulated: the results of the CPU, few waits, and runs that move between devices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.train import (
    DivergedError,
    Run,
    accuracy,
    build_dataset,
    build_model,
    confusion_matrix,
    describe,
    evaluate,
    find_recipe,
    load_weights,
    predict,
    save_weights,
    softmax,
    train,
)  # fmt: skip
from minicnn.train.metrics import FETCH, Running, ranks
from minicnn.utils.data import DataLoader, TensorDataset
from minicnn_kernels import arrays
from minicnn_kernels.emulated.traffic import counting, no_waits

pytestmark = pytest.mark.usefixtures("gpu")
loss_fn = nn.CrossEntropyLoss()


def clouds(count: int = 37) -> TensorDataset:
    rng = np.random.default_rng(0)
    targets = np.arange(count) % 7
    points = rng.normal(size=(count, 3)) + 2 * targets[:, None]
    return TensorDataset(Tensor(points.astype(np.float32)), Tensor(targets))


def net(device: str) -> nn.Module:
    minicnn.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 7)).to(device)


def run(device: str, epochs: int = 2, model: nn.Module | None = None, lr: float = 0.1, **options: Any) -> Any:
    model = model or net(device)
    loaders = DataLoader(clouds(), batch_size=8, shuffle=True), DataLoader(clouds(), batch_size=8)
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return model, train(model, *loaders, optimizer, loss_fn, epochs, **options)


def test_the_results_of_the_cpu() -> None:
    (there, found), (here, expected) = run("cuda"), run("cpu")
    for a, b in zip(found, expected, strict=True):
        assert a[:5] == pytest.approx(b[:5], rel=1e-5)
        assert a.train_top1 == b.train_top1 and a.val_top1 == b.val_top1
    for p, q in zip(there.parameters(), here.parameters(), strict=True):
        assert p.device.type == "cuda"
        np.testing.assert_allclose(p.detach().cpu().numpy(), q.detach().numpy(), 1e-4, 1e-5)
    loader = DataLoader(clouds(), batch_size=8)
    a, b = evaluate(there, loader, loss_fn), evaluate(here, loader, loss_fn)
    assert a[:3] == pytest.approx(b[:3], rel=1e-4) and a.top5 < 1
    assert a.confusion.tolist() == b.confusion.tolist() and a.confusion.sum() == 37
    scores, targets = predict(there, loader)
    assert type(scores) is type(targets) is np.ndarray
    np.testing.assert_allclose(scores, predict(here, loader)[0], 1e-4, 1e-5)
    assert targets.tolist() == clouds().tensors[1].tolist()


class Loader:
    """Gives one batch again and again; after the first, no wait is allowed until the last."""

    def __init__(self, batches: int) -> None:
        self.batches, self.batch = batches, clouds().tensors

    def __iter__(self) -> Iterator[Any]:
        yield self.batch
        for _ in range(self.batches - 2):
            with no_waits():
                yield self.batch
        yield self.batch


def test_no_step_waits() -> None:
    """Steps run while the generator of batches is inside its block, so that a wait in one raises."""
    assert FETCH > 12
    model = net("cuda")
    optimizer = optim.Adam(model.parameters())
    (row,) = train(model, Loader(12), Loader(12), optimizer, loss_fn, 1)
    assert row.train_loss > 0
    with counting() as seen:
        evaluate(model, Loader(9), loss_fn)
    assert seen.waits <= 4  # losses, ranks, predictions, targets
    with pytest.raises(RuntimeError, match="no wait is allowed"):
        train(model, Loader(4), Loader(3), optimizer, lambda x, t: loss_fn(x, t) * loss_fn(x, t).item(), 1)


def test_a_loss_that_is_nan_is_noticed_with_its_step() -> None:
    points, targets = clouds().tensors
    bad = [(points, targets)] * 3 + [(points * np.nan, targets)] + [(points, targets)] * 2
    model = net("cuda")
    with pytest.raises(DivergedError, match=r"nan at epoch 1, step 4, with learning rate 0\.1"):
        train(model, bad, bad, optim.SGD(model.parameters(), lr=0.1), loss_fn, 1)
    with pytest.raises(DivergedError, match="evaluate: the loss of batch 4 is nan"):
        evaluate(net("cuda"), bad, loss_fn)
    long = [(points, targets)] * 2 + [(points * np.nan, targets)] * FETCH + [("no", "batch")]
    with pytest.raises(DivergedError, match="step 3"):  # before the end of the epoch
        train(net("cuda"), long, bad, optim.SGD(model.parameters(), lr=0.1), loss_fn, 1)


def test_labels_and_scores_without_a_rank() -> None:
    scores = Tensor(np.array([[1, 5, 5, 0], [2, 1, 0, 3], [0, 0, 0, np.nan]], np.float32))
    targets = Tensor(np.array([2, 3, 0]))
    there = ranks(scores.cuda(), targets.cuda())
    assert arrays.on_gpu(there) and there.tolist() == [1, 0, -2]
    assert there.tolist()[:2] == ranks(scores[:2], targets[:2]).tolist()
    assert ranks(scores[:2].cuda(), Tensor(np.array([4, -100])).cuda()).tolist() == [-1, -1]
    running = Running()
    running.add(minicnn.tensor(1.0).cuda(), scores[:2].cuda(), Tensor(np.array([3, 9])).cuda())
    with pytest.raises(ValueError, match="in batch 1, 1 targets are not a class, and 0 samples have NaN"):
        running.settle()
    with pytest.raises(ValueError, match=r"one number, got the shape \(2,\)"):
        running.add(minicnn.ones(2).cuda(), scores, targets)
    assert accuracy(scores[:2].cuda(), targets[:2].cuda(), (1, 2)) == [0.5, 1.0]
    assert confusion_matrix(targets.cuda(), targets, 4).sum() == 3
    assert softmax(scores[:2].cuda()).sum() == pytest.approx(2)


def test_weights_cross_devices(tmp_path: Path) -> None:
    there, here = net("cuda"), net("cpu")
    there[0].weight.data.mul_(2)
    save_weights(tmp_path / "a", there, {"epoch": 3})
    assert load_weights(tmp_path / "a", here) == {"epoch": 3}
    assert here[0].weight.tolist() == there[0].weight.tolist()
    save_weights(tmp_path / "b", here, {"epoch": 3})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    load_weights(tmp_path / "b", net("cuda:1"))


def test_a_run_is_recorded_with_its_device(tmp_path: Path) -> None:
    recipe = replace(find_recipe(), device="cuda")
    assert find_recipe().device == "cpu"
    model = build_model(recipe.model, recipe.model_options).to(recipe.device)
    sets = [build_dataset("digits", train=part, steps=recipe.transforms) for part in (True, False)]
    config = describe(recipe, model, *sets, seed=0, backend="auto", root=None, command="")
    made = Run.create(tmp_path / "run", config)
    made.save(model, [])
    again = Run.open(tmp_path / "run")
    assert again.config["training"]["device"] == "cuda" and again.config["environment"]["emulated"] is True
    for device in ("cpu", "cuda"):
        with minicnn.device(device):
            found, _, _ = again.model()
        assert found.features[0].weight.device.type == device
        assert found.features[0].weight.tolist() == model.features[0].weight.tolist()


def test_a_training_that_goes_on_elsewhere(tmp_path: Path) -> None:
    """One epoch on the GPU and one on the CPU, as both on the CPU."""

    def continued(first: str) -> nn.Module:
        model, _ = run(first, 1)
        save_weights(tmp_path / "weights", model)
        other = net("cpu")
        load_weights(tmp_path / "weights", other)
        return run("cpu", 1, other)[0]

    for p, q in zip(continued("cuda").parameters(), continued("cpu").parameters(), strict=True):
        assert p.device.type == "cpu"
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), 1e-4, 1e-5)
