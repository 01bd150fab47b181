"""Values at the ends of float32, infinite values and NaN: overflow in intermediate results must not show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor

inf, nan = np.inf, np.nan


def value_and_gradient(f: Callable[[Tensor], Tensor], values: object) -> tuple[np.ndarray, np.ndarray]:
    x = minicnn.tensor(np.array(values, np.float32), requires_grad=True)
    y = f(x)
    y.sum().backward()
    assert x.grad is not None
    return y.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize(
    ("values", "y", "gx"),
    [
        ([inf, 1, 2], inf, [nan, 0, 0]),
        ([-inf, 0, 0], np.log(2), [0, 0.5, 0.5]),
        ([-inf, -inf, -inf], -inf, [0, 0, 0]),
        ([nan, 1, 2], nan, [nan, nan, nan]),
        ([inf, nan, 0], nan, [nan, nan, nan]),
        ([3e38, 1e38, 0], 3e38, [1, 0, 0]),
    ],
)
def test_logsumexp(values: list[float], y: float, gx: list[float]) -> None:
    found, gradient = value_and_gradient(lambda x: minicnn.logsumexp(x, 0), values)
    np.testing.assert_allclose(found, np.float32(y), 1e-6)
    np.testing.assert_allclose(gradient, gx, 1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-25, 1e-3, 1e15, 1e19, 1e20, 1e37])
def test_deviations_at_any_scale(scale: float) -> None:
    values = np.array([1.0, -1.0, 3.0]) * scale
    y, gx = value_and_gradient(lambda x: x.std(), values)
    np.testing.assert_allclose(y, values.std(ddof=1), 1e-5)
    np.testing.assert_allclose(gx, (values - values.mean()) / (2 * values.std(ddof=1)), 1e-5, 1e-6)
    pair = minicnn.std_mean(minicnn.tensor(values.astype(np.float32)))
    np.testing.assert_allclose([p.item() for p in pair], [values.std(ddof=1), values.mean()], 1e-5)
    with np.errstate(over="ignore", under="ignore"):
        expected = np.float32(values.var(ddof=1))
    np.testing.assert_allclose(minicnn.tensor(values.astype(np.float32)).var().item(), expected, 1e-5)


def test_variance_at_a_large_mean() -> None:
    x = (1e8 + 100 * np.random.default_rng(0).standard_normal((16, 9, 9, 3))).astype(np.float32)
    wide = x.astype(np.float64)
    for axes in ((0, 1, 2), (0,), (3,), (0, 1, 2, 3)):
        expected = wide.var(axes, ddof=1)
        t = minicnn.tensor(x)
        np.testing.assert_allclose(t.var(axes).numpy(), expected, 1e-5)
        np.testing.assert_allclose(t.std(axes).numpy(), np.sqrt(expected), 1e-5)
        np.testing.assert_allclose(minicnn.var_mean(t, axes)[0].numpy(), expected, 1e-5)


@pytest.mark.parametrize("scale", [1e-40, 1e-25, 1e-3, 1e15, 1e20, 1e37])
@pytest.mark.parametrize("p", [0.5, 1, 2, 3, inf, -inf])
def test_norms_at_any_scale(scale: float, p: float) -> None:
    values = np.array([1.0, -2.0, 3.0], np.float32) * np.float32(scale)
    wide = values.astype(np.float64)
    for x in (values, np.stack([values] * 2)):
        for y in (minicnn.tensor(x).norm(p, -1), minicnn.linalg.vector_norm(minicnn.tensor(x), p, -1)):
            np.testing.assert_allclose(y.numpy(), np.full(x.shape[:-1], np.linalg.norm(wide, p)), 1e-5, 1e-44)
    _, gx = value_and_gradient(lambda x: x.norm(p), values)
    expected = value_and_gradient(lambda x: x.norm(p), [1, -2, 3])[1]
    np.testing.assert_allclose(gx, expected, 1e-4 if scale > 1e-40 else 0.1)


def test_functions_built_on_norms() -> None:
    large = minicnn.tensor([[1e20, -2e20, 3e20]])
    unit = np.array([[1, -2, 3]]) / np.sqrt(14)
    np.testing.assert_allclose(F.normalize(large).numpy(), unit, 1e-5)
    assert F.cosine_similarity(large, -large).item() == pytest.approx(-1)
    assert F.pairwise_distance(large, -large).item() == pytest.approx(2e20 * np.sqrt(14), 1e-5)
    p = minicnn.nn.Parameter(minicnn.zeros(3))
    p.grad = large[0].clone()
    assert minicnn.nn.utils.clip_grad_norm_([p], 1.0).item() == pytest.approx(1e20 * np.sqrt(14), 1e-5)
    np.testing.assert_allclose(p.grad.numpy(), unit[0], 1e-5)


def test_losses_whose_result_fits() -> None:
    zero = minicnn.zeros(4)
    _, gx = value_and_gradient(lambda x: F.mse_loss(x, zero), [3e38, -3e38, 1, 0])
    np.testing.assert_allclose(gx, [1.5e38, -1.5e38, 0.5, 0], 1e-6)
    for beta in (1.0, 10.0):
        y, gx = value_and_gradient(
            lambda x, b=beta: F.smooth_l1_loss(x, zero, beta=b, reduction="none"), [3e38, 1, 0, 0]
        )
        np.testing.assert_allclose(y, [3e38, 0.5 / beta, 0, 0], 1e-6)
        np.testing.assert_allclose(gx, [1, 1 / beta, 0, 0], 1e-6)
    y, _ = value_and_gradient(lambda x: F.smooth_l1_loss(x, zero, beta=1e-20, reduction="none"), [1e-25, 0, 0, 0])
    np.testing.assert_allclose(y[0], 5e-31, 1e-5)
    y, gx = value_and_gradient(lambda x: F.gaussian_nll_loss(x, zero[:1], minicnn.tensor([1e30])), [1e20])
    np.testing.assert_allclose([y, gx[0]], [0.5e10, 1e-10], 1e-5)
    _, gx = value_and_gradient(lambda x: F.l1_loss(x, minicnn.zeros(3), reduction="sum"), [nan, -1, inf])
    np.testing.assert_array_equal(gx, [0, -1, 1])  # no sign, no gradient, as in PyTorch
    _, gx = value_and_gradient(F.relu6, [nan, -1, 1, 7])
    np.testing.assert_array_equal(gx, [1, 0, 1, 0])


NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "batch_norm, channels_last": lambda x: F.batch_norm(
        x.to(memory_format=minicnn.channels_last), None, None, training=True
    ),
    "batch_norm of vectors": lambda x: F.batch_norm(x.permute(0, 2, 3, 1).reshape(-1, 2), None, None, training=True),
    "instance_norm": F.instance_norm,
    "group_norm": lambda x: F.group_norm(x, 1),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[1:]),
    "rms_norm": lambda x: F.rms_norm(x, x.shape[2:]),
}


@pytest.mark.parametrize("backend", ["numpy", "numba", "cuda-emulated"])
@pytest.mark.parametrize("scale", [1e10, 1e18, 1e20, 1e25])
@pytest.mark.parametrize("name", NORMS)
def test_normalisations_at_any_scale(name: str, scale: float, backend: str) -> None:
    """The result is that of small numbers, and the gradient is smaller by the same factor."""
    rng = np.random.default_rng(0)
    x, gy = rng.standard_normal((3, 2, 4, 5)), rng.standard_normal((3, 2, 4, 5))
    found = []
    with minicnn.use(backend=backend):
        for values in ((x * scale).astype(np.float32), x.astype(np.float64) * 1e4):
            t = minicnn.tensor(values, requires_grad=True)
            y = NORMS[name](t)
            y.backward(minicnn.tensor(gy.astype(values.dtype)).reshape(y.shape))
            assert t.grad is not None
            found.append((y.detach().numpy(), t.grad.numpy().astype(np.float64)))
    np.testing.assert_allclose(found[0][0], found[1][0], 1e-4, 1e-5)
    np.testing.assert_allclose(found[0][1] * (scale / 1e4), found[1][1], 1e-2, 1e-8)


def test_running_statistics_at_a_large_scale() -> None:
    x = np.array([[1.0], [-3.0], [2.0]], np.float32)
    for scale, var in ((1e18, 7e35), (1e25, inf)):
        mean_, var_ = minicnn.zeros(1), minicnn.ones(1)
        F.batch_norm(minicnn.tensor(x * np.float32(scale)), mean_, var_, training=True)
        np.testing.assert_allclose(var_.numpy(), [var], 1e-5)
        assert np.isfinite(mean_.item())


def test_local_response_norm_at_a_large_scale() -> None:
    """d^(3/4) fits into float32 where d sqrt(d) does not."""
    y, gx = value_and_gradient(lambda x: F.local_response_norm(x.reshape(1, 3, 1), 3), [1e18, -3e18, 2e18])
    wide = np.array([1e18, -3e18, 2e18])
    d = 1 + 1e-4 / 3 * np.array([10e36, 14e36, 13e36])
    np.testing.assert_allclose(y.reshape(-1), wide * d**-0.75, 1e-4)
    assert (gx != 0).all()


@pytest.mark.parametrize("kind", [minicnn.float16, minicnn.float32, minicnn.float64])
def test_the_spread_of_one_number(kind: Any) -> None:
    for shape in ((), (1,), (1, 1)):
        x = minicnn.full(shape, 3.0, dtype=kind).requires_grad_()
        found = [x.std(unbiased=False), x.var(correction=0), minicnn.var_mean(x, correction=0)[0]]
        assert [y.tolist() for y in found] == [0.0] * 3 and {y.dtype for y in found} == {x.dtype}
        assert np.isnan(x.var().item()) and np.isnan(x.std().item())
        found[0].backward()
        assert x.grad is not None and x.grad.shape == shape and not x.grad.any()


@pytest.mark.parametrize("shape", [(3, 40), (3000, 4)])
def test_running_sums_are_those_of_float64(shape: tuple[int, ...]) -> None:
    """In both ways of computing: few lines side by side, and many."""
    a = np.resize(np.array([3e38, 3e38, -3e38, 1e-30, 0.1], np.float32), shape)
    for axis in (0, 1):
        x = minicnn.tensor(a)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(x.cumsum(axis).numpy(), a.cumsum(axis, np.float64).astype(np.float32))
            np.testing.assert_array_equal(x.cumprod(axis).numpy(), a.cumprod(axis, np.float64).astype(np.float32))
