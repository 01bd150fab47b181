"""Batch renormalisation: the paper's formula, its limits, its gradient, its schedule."""

from __future__ import annotations

import math

import numpy as np

import minicnn.nn.functional as F
from minicnn import Tensor, nn
from minicnn.nn.renormalization import Ramp


def random(*shape: int, seed: int = 0) -> Tensor:
    return Tensor(np.random.default_rng(seed).standard_normal(shape))


def test_batch_renorm_against_the_formula_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    layer = nn.BatchRenorm2d(2, momentum=0.1, r_max=1.2, d_max=0.3).double()
    layer.weight.data.copy_([2.0, -1.0])
    layer.bias.data.copy_([0.5, 0.25])
    mean, std = np.zeros(2), np.ones(2)
    clipped = 0
    for step in range(5):
        x = rng.standard_normal((4, 2, 3, 3)) * (1, 1.8)[step % 2] + 0.4 * step
        m, s = x.mean((0, 2, 3)), np.sqrt(x.var((0, 2, 3)) + 1e-5)
        r, d = np.clip(s / std, 1 / 1.2, 1.2), np.clip((m - mean) / std, -0.3, 0.3)
        clipped += (r != s / std).sum() + (d != (m - mean) / std).sum()
        column = (slice(None), None, None)
        expected = ((x - m[column]) / s[column] * r[column] + d[column]) * np.array([2, -1])[column]
        expected += np.array([0.5, 0.25])[column]
        np.testing.assert_allclose(layer(Tensor(x)).detach().numpy(), expected, rtol=1e-10, atol=1e-12)
        mean, std = mean + 0.1 * (m - mean), std + 0.1 * (s - std)
        np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
        np.testing.assert_allclose(layer.running_std.numpy(), std, rtol=1e-12)
    assert 0 < clipped < 20  # both cases of both limits


def test_batch_renorm_between_its_two_limits() -> None:
    x = random(6, 3)
    plain = nn.BatchRenorm1d(3).double()  # the schedule begins as batch normalisation
    np.testing.assert_allclose(plain(x).detach().numpy(), nn.BatchNorm1d(3).double()(x).detach().numpy(), atol=1e-12)
    free = nn.BatchRenorm1d(3, r_max=math.inf, d_max=math.inf).double()
    free.running_mean.copy_([1.0, -1, 0.5])
    free.running_std.copy_([2.0, 0.5, 1])
    evaluated = free.eval()(x).detach().numpy()
    np.testing.assert_allclose(free.train()(x).detach().numpy(), evaluated, atol=1e-12)


def test_batch_renorm_has_the_gradient_of_constant_corrections() -> None:
    """It is that of batch normalisation times r: no gradient goes through r and d."""
    up, mean, std = random(6, 3, seed=1), random(3, seed=2), random(3, seed=3).abs() + 0.5
    gradients = []
    x = random(6, 3)
    r = np.sqrt(x.numpy().var(0) + 1e-5) / std.numpy()
    for call, upstream in (
        (lambda x: F.batch_renorm(x, mean.clone(), std.clone(), training=True, r_max=9.0, d_max=9.0), up),
        (lambda x: F.batch_norm(x, None, None, training=True), up * Tensor(r)),
    ):
        leaf = x.clone().requires_grad_()
        call(leaf).backward(upstream)
        gradients.append(leaf.grad.numpy())
    assert ((r > 1 / 9) & (r < 9)).all() and np.abs(r - 1).min() > 0.01
    np.testing.assert_allclose(*gradients, rtol=1e-9, atol=1e-12)


def test_batch_renorm_schedule() -> None:
    ramp = Ramp(1.0, 3.0, 5000, 40000)
    assert [ramp(step) for step in (0, 5000, 22500, 40000, 10**6)] == [1, 1, 2, 3, 3]
    layer = nn.BatchRenorm2d(2)
    assert layer.limits() == (1, 0)
    layer.num_batches_tracked.fill_(15000)
    assert layer.limits() == (1 + 2 * 10 / 35, 2.5)
