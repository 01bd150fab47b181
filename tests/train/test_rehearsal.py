"""Kernels are compiled before a training, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import cli, nn
from minicnn.train import warmup
from minicnn_kernels import ahead


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.drop, self.head = (
            nn.Conv2d(1, 3, 3),
            nn.BatchNorm2d(3),
            nn.Dropout(),
            nn.Linear(48, 2),
        )

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        return self.head(self.drop(minicnn.relu(self.norm(self.conv(x)))).flatten(1))


def test_the_net_and_the_random_numbers_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    found: list[set[str]] = []
    monkeypatch.setattr(ahead, "compile_all", lambda calls, tell: found.append({call.name for call in calls}) or 0)
    net, images, targets = Net(), minicnn.randn(4, 1, 6, 6), minicnn.tensor([0, 1, 1, 0])
    optimizer = minicnn.optim.Adam(net.parameters())
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    minicnn.manual_seed(3)
    assert (
        warmup(net, [(images, targets)], [(images, targets)], loss_fn=nn.CrossEntropyLoss(), optimizer=optimizer) == 0
    )
    assert all(np.array_equal(before[k], v.numpy()) for k, v in net.state_dict().items())
    drawn = minicnn.rand(3)
    minicnn.manual_seed(3)
    assert np.array_equal(drawn.numpy(), minicnn.rand(3).numpy()) and not optimizer.state_dict()["state"]
    assert net.training and all(p.grad is None for p in net.parameters())
    assert {"_forward", "_backward", "_threaded"} <= found[0], found


def test_an_error_in_the_rehearsal_is_left_to_the_training() -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    net = Net()
    optimizer = minicnn.optim.SGD(net.parameters(), lr=0.1)
    batch = minicnn.randn(4, 1, 6, 6), minicnn.tensor([0, 1, 1, 0])
    assert warmup(net, [batch], loss_fn=nn.CrossEntropyLoss(), optimizer=optimizer, step=fails) == 0


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(ahead, "compile_all", lambda calls, tell: len({call.name for call in calls}))
    monkeypatch.setattr(ahead, "is_done", lambda name: False)
    monkeypatch.setattr(ahead, "missing", lambda calls: list(calls))
    assert cli.main(["warmup", "lenet5", "--batch-size", "7"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("LeNet5 on digits, batches of 7: ") and "compiled" in out
