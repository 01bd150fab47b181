"""The same calls in PyTorch: results, gradients, and a training run, in float64."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from samples import OPS, Op, Sample

import minicnn
from minicnn import Tensor
from minicnn.autograd import grad

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


CASES = [
    pytest.param(name, sample, id=f"{name}-{i}")
    for name, op in OPS.items()
    if op.torch
    for i, sample in enumerate(op.samples)
    if sample.torch
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize(("name", "sample"), CASES)
def test_results_and_gradients(name: str, sample: Sample, backend: str, compared: Counter[str]) -> None:
    """Every row of the table of samples in both libraries, with a random upstream gradient."""
    op: Op = OPS[name]
    rng = np.random.default_rng(11)
    arrays = [None if s is None else np.asarray(op.draw(rng, s)) for s in sample.shapes]
    ours = [None if a is None else Tensor(a, requires_grad=True) for a in arrays]
    theirs = [None if a is None else torch.tensor(a, requires_grad=True) for a in arrays]
    with minicnn.use(backend=backend):
        y = op.run(minicnn, *ours, **sample.options)
        expected = op.run(torch, *theirs, **sample.options)
        np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-10)
        assert (y.shape, y.requires_grad) == (tuple(expected.shape), expected.requires_grad)
        if y.requires_grad:
            up = rng.standard_normal(y.shape)
            given = [[x for x in inputs if x is not None] for inputs in (ours, theirs)]
            found = grad(y, given[0], Tensor(up), allow_unused=True)
            wanted = torch.autograd.grad(expected, given[1], torch.tensor(up), allow_unused=True)
            for a, b in zip(found, wanted, strict=True):
                if a is None or b is None:
                    assert all(g is None or not g.numpy().any() for g in (a, b))
                else:
                    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-8, atol=1e-8)
    compared[name] += 1


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9, "weight_decay": 1e-3}, {"momentum": 0.8, "nesterov": True}], ids=str
)
def test_twenty_steps_of_training_lenet(options: dict[str, Any], backend: str) -> None:
    nn = torch.nn
    theirs = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    ).double()  # fmt: skip
    ours = minicnn.models.LeNet5().double()
    for parameter, value in zip(ours.parameters(), theirs.parameters(), strict=True):
        parameter.data.copy_(value.detach().numpy())
    ours_step = minicnn.optim.SGD(ours.parameters(), 0.05, **options)
    theirs_step = torch.optim.SGD(theirs.parameters(), 0.05, **options)
    rng = np.random.default_rng(0)
    with minicnn.use(backend=backend):
        for _ in range(20):
            x, y = rng.random((8, 1, 32, 32)), rng.integers(0, 10, 8)
            ours_step.zero_grad()
            loss = minicnn.nn.CrossEntropyLoss()(ours(Tensor(x)), Tensor(y))
            loss.backward()
            ours_step.step()
            theirs_step.zero_grad()
            expected = nn.CrossEntropyLoss()(theirs(torch.tensor(x)), torch.tensor(y))
            expected.backward()
            theirs_step.step()
            assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_batch_norm_layer_over_several_batches() -> None:
    ours, theirs = minicnn.nn.BatchNorm2d(3).double(), torch.nn.BatchNorm2d(3).double()
    rng = np.random.default_rng(0)
    for n in (4, 2, 7):
        x = rng.standard_normal((n, 3, 5, 4)) * 2 + 1
        np.testing.assert_allclose(
            ours(Tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), atol=1e-10
        )
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), atol=1e-12)
    x = rng.standard_normal((2, 3, 1, 1))
    np.testing.assert_allclose(
        ours.eval()(Tensor(x)).detach().numpy(), theirs.eval()(torch.tensor(x)).detach().numpy(), atol=1e-10
    )


def test_the_default_weights_have_pytorchs_distribution() -> None:
    minicnn.manual_seed(0)
    torch.manual_seed(0)
    for ours, theirs in [
        (minicnn.nn.Conv2d(16, 64, 5), torch.nn.Conv2d(16, 64, 5)),
        (minicnn.nn.Linear(400, 120), torch.nn.Linear(400, 120)),
    ]:
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            a, b = a.detach().numpy(), b.detach().numpy()
            assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=0.1)
            assert a.std() == pytest.approx(b.std(), rel=0.2)
