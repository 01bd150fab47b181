"""Gradients of gradients beside PyTorch's, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from samples import OPS, Op, Sample

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

CASES = [
    pytest.param(op, sample, id=f"{name}-{i}")
    for name, op in OPS.items()
    if op.torch is not False  # PyTorch draws other numbers, or has no such operation
    for i, sample in enumerate(op.samples[:2])
]


def critic(lib: Any) -> Any:
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2),
        nn.GroupNorm(2, 8), nn.SiLU(), nn.Flatten(), nn.Linear(32, 1),
    ).to(lib.float64)  # fmt: skip


def copied(ours: Any, theirs: Any) -> None:
    state = {name: torch.from_numpy(value.numpy().copy()) for name, value in ours.state_dict().items()}
    theirs.load_state_dict(state)


def test_gradient_penalty_of_a_wasserstein_critic() -> None:
    minicnn.manual_seed(0)
    nets = critic(minicnn), critic(torch)
    copied(*nets)
    draw = np.random.default_rng(0)
    real, fake, mix = draw.standard_normal((6, 1, 8, 8)), draw.standard_normal((6, 1, 8, 8)), draw.random((6, 1, 1, 1))
    for lib, net in zip((minicnn, torch), nets, strict=True):
        x, z, a = (lib.tensor(value) for value in (real, fake, mix))
        point = (a * x + (1 - a) * z).requires_grad_(True)
        (gx,) = lib.autograd.grad(net(point).sum(), point, create_graph=True)
        penalty = ((gx.view(6, -1).norm(2, dim=1) - 1) ** 2).mean()
        (net(z).mean() - net(x).mean() + 10 * penalty).backward()
    for p, q in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_hessian_of_a_small_net() -> None:
    minicnn.manual_seed(1)
    draw = np.random.default_rng(1)
    x, t = draw.standard_normal((3, 1, 5, 5)), np.array([0, 2, 1])
    w1, w2 = draw.standard_normal((2, 1, 3, 3)), draw.standard_normal((3, 8))

    def matrix(lib: Any) -> Any:
        def loss(a: Any, b: Any) -> Any:
            hidden = lib.nn.functional.max_pool2d(lib.tanh(lib.nn.functional.conv2d(lib.tensor(x), a)), 2, 1)
            return lib.nn.functional.cross_entropy(hidden.flatten(1) @ b.t(), lib.tensor(t))

        return lib.autograd.functional.hessian(loss, (lib.tensor(w1), lib.tensor(w2)))

    for ours, theirs in zip(matrix(minicnn), matrix(torch), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-12)


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "jacobian": lambda lib, x: lib.autograd.functional.jacobian(lambda x: x.exp().sum(1), x),
    "jacobian with a graph": lambda lib, x: lib.autograd.functional.jacobian(lambda x: x**3, x, create_graph=True),
    "hessian": lambda lib, x: lib.autograd.functional.hessian(lambda x: (x**3).prod(), x),
    "vjp": lambda lib, x: lib.autograd.functional.vjp(lambda x: x.sin(), x, x + 1)[1],
    "jvp": lambda lib, x: lib.autograd.functional.jvp(lambda x: x.sin() * x.sum(), x, x + 1)[1],
    "vhp": lambda lib, x: lib.autograd.functional.vhp(lambda x: (x**4).sum(), x, x + 1)[1],
    "hvp": lambda lib, x: lib.autograd.functional.hvp(lambda x: (x**4).sum() * x[0, 0], x, x + 1)[1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functional(name: str) -> None:
    x = np.random.default_rng(2).standard_normal((2, 3))
    ours, theirs = (FUNCTIONS[name](lib, lib.tensor(x)) for lib in (minicnn, torch))
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_every_operation(op: Op, sample: Sample) -> None:
    """The gradient of <gx, r> for random r, in x and in the upstream gradient."""
    draw = np.random.default_rng(7)
    arrays = [None if s is None else np.asarray(op.draw(draw, s), np.float64) for s in sample.shapes]
    found = []
    for lib in (minicnn, torch):
        xs = [None if a is None else lib.tensor(a, requires_grad=True) for a in arrays]
        try:
            y = op.run(lib, *xs, **sample.options)
        except (AttributeError, TypeError, RuntimeError) as error:
            if lib is minicnn:
                raise
            pytest.skip(f"PyTorch: {error}"[:100])
        r = np.random.default_rng(1)
        up = lib.tensor(r.standard_normal(tuple(y.shape)), requires_grad=True)
        wanted = [x for x in xs if x is not None]
        try:
            gxs = lib.autograd.grad(y, wanted, up, create_graph=True, allow_unused=True)
        except RuntimeError as error:
            if lib is minicnn:
                raise
            pytest.skip(f"PyTorch: {error}"[:100])
        terms = [(g * lib.tensor(r.standard_normal(tuple(g.shape)))).sum() for g in gxs if g is not None]
        terms = [term for term in terms if term.requires_grad]
        try:
            second = lib.autograd.grad(sum(terms), [*wanted, up], allow_unused=True) if terms else None
        except RuntimeError as error:
            if lib is minicnn:
                raise
            pytest.skip(f"PyTorch: {error}"[:100])
        found.append(second or [None] * (len(wanted) + 1))
    for ours, theirs in zip(*found, strict=True):
        a, b = (np.zeros(1) if g is None else g.numpy(force=True) for g in (ours, theirs))
        np.testing.assert_allclose(*np.broadcast_arrays(a, b), rtol=1e-7, atol=1e-9)
