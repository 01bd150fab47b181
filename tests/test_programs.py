"""Programs written for PyTorch run after one substitution."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from programs import NETS, run, substituted

import minicnn

PARAMETERS = {"alexnet_bn": 58_325_066, "inception": 510_104}


def test_the_substitution_changes_whole_names_only() -> None:
    line = "import torch.nn, torchvision; from torchsummary import summary; pytorch, torches = 1, 2"
    assert substituted(line) == ("import minicnn.nn, minicnn; from minicnn import summary; pytorch, torches = 1, 2")


@pytest.mark.parametrize("name", NETS)
def test_nets_run_and_learn(name: str) -> None:
    program = run(name)
    model = program.model
    assert program.n_parameters == PARAMETERS.get(name, program.n_parameters)
    x = minicnn.randn(2, *program.INPUT)
    model.train()
    optimizer = minicnn.optim.SGD(model.parameters(), lr=1e-3)
    y = model(x)
    y.pow(2).mean().backward()
    assert all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in model.parameters())
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    for a, b in zip(before, model.parameters(), strict=True):  # but for biases before batch norm, whose gradient is 0
        assert b.ndim == 1 or (a - b).abs().max() > 0


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if "alexnet" in name else name
                                  for name in NETS])  # fmt: skip
def test_nets_give_the_same_numbers_on_a_gpu(name: str, gpu: Any) -> None:
    minicnn.manual_seed(0)
    program = run(name)
    x = minicnn.randn(2, *program.INPUT).double()  # in float32, deep nets magnify the last bits
    here, there = program.model.train().double(), copy.deepcopy(program.model)

    def results(model: Any, device: str) -> list[Any]:
        minicnn.manual_seed(1)  # for dropout
        y = model.to(device)(x.to(device))
        y.pow(2).mean().backward()
        tensors = [y.detach(), *(p.grad for p in model.parameters()), *model.buffers()]
        assert {t.device.type for t in tensors} == {device}
        return [t.cpu().numpy() for t in tensors]

    with minicnn.use(backend="numpy"):
        expected = results(here, "cpu")
    with minicnn.use(backend="cupy" if "alexnet" in name else "auto"):  # kernels in CUDA would take minutes
        found = results(there, "cuda")
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype and np.abs(a - b).max() <= 1e-9 * np.abs(b).max() + 1e-12


@pytest.mark.parametrize("name", NETS)
def test_nets_are_built_on_the_meta_device(name: str) -> None:
    real = run(name)
    with minicnn.device("meta"):
        program = run(name)
        y = program.model(minicnn.empty(2, *program.INPUT))
    assert y.is_meta and all(p.is_meta for p in program.model.parameters())
    assert y.shape == real.model.eval()(minicnn.zeros(2, *program.INPUT)).shape
    assert program.n_parameters == real.n_parameters
    assert repr(program.model) == repr(real.model)


def test_summary_of_a_course(capsys: pytest.CaptureFixture[str]) -> None:
    run("alexnet_bn").show()
    assert "58,325,066" in capsys.readouterr().out


def test_renaming_of_old_checkpoints() -> None:
    program = run("densenet")
    old = {"features.denseblock1.denselayer2.norm.1.weight": 1, "classifier.bias": 2}
    assert list(program.renamed(old)) == ["features.denseblock1.denselayer2.norm1.weight", "classifier.bias"]


@pytest.mark.mnist
def test_lenet_and_its_training_loop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"EPOCHS": "1", "BATCHES": "60", "LR": "0.1"}.items():
        monkeypatch.setenv(name, value)
    program = run("lenet_mnist")
    assert program.n_parameters == 61_706
    assert program.losses[0] < 2.25
    assert program.accuracy > 0.5
    assert "(feature_extractor): Sequential(" in capsys.readouterr().out
