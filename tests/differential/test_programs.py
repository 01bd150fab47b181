"""Programs written for PyTorch, run in both libraries on the same weights and images; weights exchanged by file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import NETS, run

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def pair(name: str) -> tuple[Any, Any, tuple[int, ...]]:
    """The net of a program in minicnn and in PyTorch, with the same weights, in float64."""
    ours, theirs = run(name), run(name, "torch")
    shape = (2, *ours.INPUT)
    ours, theirs = ours.model.double(), theirs.model.double()
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    return ours, theirs, shape


@pytest.mark.parametrize("name", NETS)
def test_outputs_gradients_and_training(name: str) -> None:
    ours, theirs, shape = pair(name)
    for net in (ours, theirs):  # dropout draws other numbers in each
        net.train()
        for module in net.modules():
            if type(module).__name__ == "Dropout":
                module.p = 0.0
    steps = minicnn.optim.SGD(ours.parameters(), 1e-3, 0.9), torch.optim.SGD(theirs.parameters(), 1e-3, 0.9)
    rng = np.random.default_rng(0)
    for _ in range(1 if name == "alexnet_bn" else 3):
        x = rng.standard_normal(shape)
        a, b = ours(minicnn.tensor(x)), theirs(torch.tensor(x))
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-8, atol=1e-8)
        up = rng.standard_normal(a.shape)
        for y, step, lib in ((a, steps[0], minicnn), (b, steps[1], torch)):
            step.zero_grad()
            y.backward(lib.tensor(up))
        for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            scale = max(1.0, q.grad.abs().max().item())
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-7, atol=1e-8 * scale, err_msg=key)
        for step in steps:
            step.step()
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=1e-7, atol=1e-8, err_msg=key)


@pytest.mark.parametrize("name", NETS)
def test_weights_travel_both_ways(name: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    ours, theirs = run(name), run(name, "torch")
    x = np.random.default_rng(1).standard_normal((2, *ours.INPUT)).astype(np.float32)
    there = tmp_path / "ours.safetensors"
    minicnn.save(ours.model.state_dict(), there)
    theirs.model.load_state_dict(load_file(there))
    same_outputs(ours.model, theirs.model, x)

    theirs = run(name, "torch")
    back = tmp_path / "theirs.safetensors"
    save_file(theirs.model.state_dict(), back)
    assert str(ours.model.load_state_dict(minicnn.load(back))) == "<All keys matched successfully>"
    same_outputs(ours.model, theirs.model, x)


def same_outputs(ours: Any, theirs: Any, x: np.ndarray) -> None:
    a, b = ours.eval()(minicnn.tensor(x)), theirs.eval()(torch.tensor(x))
    scale = b.abs().max().item()
    np.testing.assert_allclose(a.detach().numpy() / scale, b.detach().numpy() / scale, atol=2e-5)


@pytest.mark.parametrize("name", NETS)
def test_nets_print_alike(name: str) -> None:
    assert repr(run(name).model) == repr(run(name, "torch").model)
    ours, theirs = run(name).model.state_dict(), run(name, "torch").model.state_dict()
    assert [(k, tuple(v.shape)) for k, v in ours.items()] == [(k, tuple(v.shape)) for k, v in theirs.items()]
