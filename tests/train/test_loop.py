from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.tensor import Tensor
from minicnn.train import DivergedError, Epoch, evaluate, predict, train
from minicnn.train import progress as progress_module
from minicnn.utils.data import DataLoader, TensorDataset

loss_fn = nn.CrossEntropyLoss()


def two_clouds(count: int = 37) -> TensorDataset:
    """Points of two classes that a line separates; 37 is not a multiple of the batch size."""
    rng = np.random.default_rng(0)
    targets = np.arange(count) % 2
    points = rng.normal(size=(count, 3)) + 4 * targets[:, None]
    return TensorDataset(Tensor(points.astype(np.float32)), Tensor(targets))


def net() -> nn.Module:
    minicnn.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 2))


Run = tuple[nn.Module, list[Epoch]]


def run(epochs: int = 5, model: nn.Module | None = None, lr: float = 0.1, **options: Any) -> Run:
    model = model or net()
    train_loader = DataLoader(two_clouds(), batch_size=8, shuffle=True)
    test_loader = DataLoader(two_clouds(), batch_size=8)
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return model, train(model, train_loader, test_loader, optimizer, loss_fn, epochs, **options)


def test_a_net_learns(capsys: pytest.CaptureFixture[str]) -> None:
    _, history = run()
    assert [row.epoch for row in history] == [1, 2, 3, 4, 5]
    assert history[-1].val_top1 >= 0.95
    assert history[-1].train_loss < history[0].train_loss
    assert all(row.seconds > 0 and row.images_per_second == pytest.approx(37 / row.seconds) for row in history)


def test_the_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _, history = run(2)
    out, err = capsys.readouterr()
    expected = []
    for row in history:
        top1, test = f"{100 * row.train_top1:.2f}%", f"{100 * row.val_top1:.2f}%"
        expected += [
            f"Train epoch {row.epoch}: loss: {row.train_loss:.4f} ; top-1 accuracy: {top1}",
            f"Eval epoch {row.epoch}: top-1 accuracy: {test}",
        ]
    assert out.splitlines() == expected
    assert err == ""  # no bar: not a terminal


@pytest.mark.parametrize("progress", [True, False])
def test_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, progress: bool) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    run(1, progress=progress)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert ("images/s" in err) == progress


@pytest.mark.parametrize("progress", [True, False])
def test_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, progress: bool
) -> None:
    monkeypatch.setattr(progress_module._Lines, "every", 0.0)
    run(2, progress=progress)
    lines = capsys.readouterr().err.splitlines()
    if progress:
        assert all(re.fullmatch(r"epoch [12]/2: \d+ of 37 images, [\d,]+ images/s", line) for line in lines)
        assert "epoch 2/2: 37 of 37 images" in lines[-1] and len(lines) > 4
    else:
        assert lines == []


def test_same_seed_same_bits() -> None:
    (first, a), (second, b) = run(2), run(2)
    assert [row[:5] for row in a] == [row[:5] for row in b]
    for p, q in zip(first.parameters(), second.parameters(), strict=True):
        assert p.array.tobytes() == q.array.tobytes()


def test_train_figures_are_running_averages() -> None:
    """With a learning rate of 0 every step sees the same net: the average is that of the whole set."""
    model = nn.Sequential(nn.Linear(3, 2))
    _, (row,) = run(1, model, lr=0.0)
    points, targets = two_clouds().tensors
    scores = model(points)
    assert row.train_loss == pytest.approx(loss_fn(scores, targets).item(), rel=1e-5)
    assert row.train_top1 == np.mean(scores.array.argmax(1) == targets.array)


def test_evaluate_averages_over_samples_and_restores_modes() -> None:
    model = net()
    model[0].eval()
    modes = [module.training for module in model.modules()]
    whole = evaluate(model, DataLoader(two_clouds(), batch_size=37), loss_fn)
    parts = evaluate(model, DataLoader(two_clouds(), batch_size=8), loss_fn)  # the last of 5 batches has 5
    assert whole.loss == pytest.approx(parts.loss, rel=1e-5)  # dropout is off: the same numbers twice
    assert whole.top1 == parts.top1 == np.trace(parts.confusion) / 37
    assert parts.confusion.sum(axis=1).tolist() == [19, 18]
    assert parts.top5 == 1
    assert [module.training for module in model.modules()] == modes
    assert minicnn.is_grad_enabled()


def test_modes_come_back_after_an_error() -> None:
    model = net()
    with pytest.raises(IndexError):
        evaluate(model, [(Tensor(np.zeros((1, 3), np.float32)), Tensor(np.array([2])))], loss_fn)
    assert all(module.training for module in model.modules())
    assert minicnn.is_grad_enabled()


def test_evaluate_counts_top5() -> None:
    """An identity net on one-hot inputs with a known order of scores."""
    model = nn.Sequential(nn.Flatten())
    scores = np.tile(np.arange(7, dtype=np.float32), (7, 1))  # class 6 is first, class 0 last
    found = evaluate(model, [(Tensor(scores), Tensor(np.arange(7)))], loss_fn)
    assert (found.top1, found.top5) == (1 / 7, 5 / 7)


def test_predict_keeps_the_order() -> None:
    model = net()
    scores, targets = predict(model, DataLoader(two_clouds(), batch_size=8))
    assert targets.tolist() == two_clouds().tensors[1].array.tolist()
    model.eval()
    assert np.allclose(scores, model(two_clouds().tensors[0]).array, atol=1e-6)


def test_training_turns_training_mode_on() -> None:
    model, _ = run(1, net().eval())
    assert all(module.training for module in model.modules())


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_divergence_stops_training() -> None:
    with pytest.raises(DivergedError, match=r"nan|inf") as caught:
        run(50, lr=1e38)
    message = str(caught.value)
    assert "epoch 1, step" in message and "learning rate 1e+38" in message and "1e+37" in message
    assert "the forward pass of Linear gave" in message and "in layer 0 (Linear)" in message and "clip_norm" in message


def test_nan_input_stops_at_the_first_step() -> None:
    loader = [(Tensor(np.full((2, 3), np.nan, np.float32)), Tensor(np.array([0, 1])))]
    model = net()
    before = [p.array.copy() for p in model.parameters()]
    with pytest.raises(DivergedError, match="nan at epoch 1, step 1"):
        train(model, loader, loader, optim.SGD(model.parameters(), lr=0.1), loss_fn, 1)
    assert all(np.array_equal(p.array, q) for p, q in zip(model.parameters(), before, strict=True))  # not spoilt
    with pytest.raises(DivergedError, match="evaluate: the loss of batch 1 is nan"):
        evaluate(model, loader, loss_fn)


@pytest.mark.parametrize("which", ["train", "test"])
def test_empty_loader(which: str) -> None:
    full, empty = DataLoader(two_clouds(), batch_size=8), DataLoader(two_clouds(4), batch_size=8, drop_last=True)
    model = net()
    loaders = (empty, full) if which == "train" else (full, empty)
    with pytest.raises(ValueError, match="gave no batches"):
        train(model, *loaders, optim.SGD(model.parameters(), lr=0.1), loss_fn, 1)


def test_loss_must_be_one_number() -> None:
    model = net()
    loader = DataLoader(two_clouds(), batch_size=8)
    with pytest.raises(ValueError, match=r"one number, got the shape \(8,\)"):
        train(model, loader, loader, optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss(reduction="none"), 1)


def test_stop_ends_after_the_step() -> None:
    asked = iter([False] * 8 + [True] * 9)  # 5 steps and the end of epoch 1, then 3 steps of epoch 2
    saved: list[int] = []
    loader = DataLoader(two_clouds(), batch_size=8, shuffle=True)
    model = net()
    history = train(
        model, loader, DataLoader(two_clouds(), batch_size=8), optim.SGD(model.parameters(), lr=0.1), loss_fn, 4,
        stop=lambda: next(asked), save=lambda rows: saved.append(len(rows)),
    )  # fmt: skip
    assert [row.epoch for row in history] == [1] and saved == [1]
    assert loader.state_dict()["epoch"] == 1 and loader.state_dict()["step"] == 3


def test_stop_after_an_epoch() -> None:
    asked = iter([False] * 5 + [True])
    _, history = run(4, stop=lambda: next(asked))
    assert len(history) == 1


def test_save_sees_every_epoch() -> None:
    saved: list[list[int]] = []
    run(3, save=lambda rows: saved.append([row.epoch for row in rows]))
    assert saved == [[1], [1, 2], [1, 2, 3]]
