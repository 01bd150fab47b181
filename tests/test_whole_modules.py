"""Whole modules in files: read on request, and damaged or hostile ones."""

from __future__ import annotations

import io
import os
import pickle
from argparse import Namespace
from collections import deque
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, load, nn, optim, save
from minicnn.serialization import CheckpointError


class Small(nn.Module):
    """A module with everything that a module may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)
        self.tied, self.name = self.conv, "small"
        self.register_buffer("steps", minicnn.tensor(3), persistent=False)
        self.conv.register_forward_hook(hook)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x)).relu()


def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return 2 * output


@pytest.mark.parametrize("where", [None, "cpu"])
def test_whole_modules(tmp_path: Path, where: str | None) -> None:
    """They are read only on request; the net computes the same, with its hooks, mode and tied parts."""
    net, x, path = Small().eval(), minicnn.randn(2, 1, 5, 5), tmp_path / "net.pth"
    save({"net": net, "epoch": 3, "sgd": optim.SGD(net.parameters(), lr=0.5)}, path)
    for options in ({}, {"weights_only": True}, {"weights_only": None}):
        with pytest.raises(CheckpointError, match=r"Weights only load failed.*net\.pth: it holds a whole module"):
            load(path, **options)
    found = load(path, where, weights_only=False)
    other = found["net"]
    assert minicnn.equal(other(x), net(x)) and not other.training and other.tied is other.conv
    assert (found["epoch"], other.name, int(other.steps)) == (3, "small", 3)
    found["sgd"].zero_grad()
    other(x).sum().backward()
    found["sgd"].step()
    assert not minicnn.equal(other.conv.bias, net.conv.bias)
    file = io.BytesIO()
    save(net, file, pickle_protocol=5)
    file.seek(0)
    assert minicnn.equal(load(file, weights_only=False)(x), net(x))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Namespace(lr=0.1, milestones=[2, 3]), "args"),
        (Path("data") / "train", "path"),
        (date(2014, 9, 4), "date"),
        (frozenset({"a"}), "set"),
        (deque([1.0, 2.0], maxlen=2), "recent losses"),
        (slice(1, 3), "part"),
    ],
)
def test_a_checkpoint_with_an_object(tmp_path: Path, value: Any, text: str) -> None:
    """Training programs save their arguments with the weights: `torch.save({"model": ..., "args": args}, path)`."""
    net = nn.Linear(2, 1)
    save({"model": net.state_dict(), text: value}, tmp_path / "checkpoint.pth")
    with pytest.raises(CheckpointError, match=r"another object that is no plain data.*weights_only=False"):
        load(tmp_path / "checkpoint.pth")
    found = load(tmp_path / "checkpoint.pth", "cpu", weights_only=False)
    assert found[text] == value and type(found[text]) is type(value)
    other = nn.Linear(2, 1)
    other.load_state_dict(found["model"])
    assert minicnn.equal(other.weight, net.weight)


def test_arrays_that_are_no_tensors(tmp_path: Path) -> None:
    for array in (np.array(["a", "bc"]), np.array([1j]), np.array([None, "a"])):
        save([array, minicnn.ones(2)], tmp_path / "arrays.pth")
        assert load(tmp_path / "arrays.pth", weights_only=False)[0].tolist() == array.tolist()


def test_damaged_and_hostile_whole_modules(tmp_path: Path) -> None:
    path, ran = tmp_path / "net.pth", tmp_path / "ran"
    save(nn.Linear(2, 1), path)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(CheckpointError, match=r"net\.pth: the pickle is damaged"):
        load(path, weights_only=False)
    path.write_bytes(content.replace(b"minicnn.nn.linear", b"minicnn.nn.linxxr"))
    with pytest.raises(CheckpointError, match=r"net\.pth: a class of the object is not there.*linxxr.*import it"):
        load(path, weights_only=False)

    class Attack:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(ran),)

    path.write_bytes(content[: content.index(b"\n") + 1] + pickle.dumps(Attack()))
    with pytest.raises(CheckpointError, match="it holds a whole module"):
        load(path)
    assert not ran.exists()
