"""Files exchanged with PyTorch through safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.serialization import CheckpointError, load, save

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
from safetensors.torch import load_file, save_file  # noqa: E402


def net(lib: Any) -> Any:
    layers = lib.Sequential(lib.Conv2d(1, 3, 2), lib.BatchNorm2d(3), lib.Flatten(), lib.Linear(12, 4), lib.Linear(4, 4))
    layers.append(lib.Linear(4, 4))
    layers[5].weight = layers[4].weight  # tied
    return layers


def outputs(theirs: Any, ours: Any) -> tuple[Any, Any]:
    x = np.random.default_rng(0).standard_normal((2, 1, 3, 3)).astype(np.float32)
    return theirs.eval()(torch.tensor(x)).detach().numpy(), ours.eval()(minicnn.from_numpy(x)).detach().numpy()


def test_ours_in_pytorch(tmp_path: Path) -> None:
    theirs, ours = net(torch.nn), net(nn)
    save(ours.state_dict(), tmp_path / "f")
    theirs.load_state_dict(load_file(tmp_path / "f"))
    np.testing.assert_allclose(*outputs(theirs, ours), 1e-5, 1e-6)


def test_pytorchs_here(tmp_path: Path) -> None:
    theirs, ours = net(torch.nn), net(nn)
    save_file({key: value.clone() for key, value in theirs.state_dict().items()}, tmp_path / "f")
    ours.load_state_dict(load(tmp_path / "f"))
    np.testing.assert_allclose(*outputs(theirs, ours), 1e-5, 1e-6)


def test_pickles_of_pytorch_and_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines in the error's text do what they promise."""
    monkeypatch.chdir(tmp_path)
    theirs, ours = net(torch.nn), net(nn)
    for zipped in (True, False):
        torch.save(theirs.state_dict(), "model.pth", _use_new_zipfile_serialization=zipped)
        with pytest.raises(CheckpointError) as caught:
            load("model.pth")
    exec("\n".join(line.strip() for line in str(caught.value).splitlines()[1:]))
    ours.load_state_dict(load("model.safetensors"))
    np.testing.assert_allclose(*outputs(theirs, ours), 1e-5, 1e-6)


def test_bfloat16(tmp_path: Path) -> None:
    w = torch.randn(50).to(torch.bfloat16)
    save_file({"w": w}, tmp_path / "f")
    with pytest.warns(UserWarning, match="bfloat16"):
        assert np.array_equal(load(tmp_path / "f")["w"].numpy(), w.float().numpy())


def test_the_state_of_an_optimiser(tmp_path: Path) -> None:
    """Saved and loaded here, its tensors handed to PyTorch's optimiser."""
    p = nn.Parameter(np.ones(3))
    optimizer = optim.Adam([p], 0.1)
    p.grad = minicnn.from_numpy(np.arange(3.0))
    optimizer.step()
    save(optimizer.state_dict(), tmp_path / "f")
    state = load(tmp_path / "f")
    assert state["param_groups"] == optimizer.state_dict()["param_groups"]
    state["state"][0] = {key: torch.tensor(value.numpy()) for key, value in state["state"][0].items()}
    q = torch.nn.Parameter(torch.tensor(p.detach().numpy()))
    theirs = torch.optim.Adam([q])
    theirs.load_state_dict(state)
    q.grad = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
    p.grad = minicnn.from_numpy(q.grad.numpy())
    theirs.step()
    optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), 1e-12)
