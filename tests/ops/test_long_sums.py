"""Long float32 sums of equal terms, forward and backward: as accurate as in float64, along any axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor

N = 200_000
TOLERANCE = 1e-5  # adding term by term gives an error of 1e-3 and more


def full(*shape: int, value: float = 0.1, dtype: Any = np.float32, grad: bool = False) -> Tensor:
    return minicnn.tensor(np.full(shape, value, dtype), requires_grad=grad)


BROADCAST: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "maximum": minicnn.maximum,
    "atan2": minicnn.atan2,
    "hypot": minicnn.hypot,
    "logaddexp": minicnn.logaddexp,
    "lerp": lambda a, b: minicnn.lerp(a, b, 0.5),
    "addcmul": lambda a, b: minicnn.addcmul(a, a, b),
    "where": lambda a, b: minicnn.where(a > 0, b, a),
    "masked_fill": lambda a, b: b.expand(N, 3).masked_fill(a < 0, 0.0),
    "expand": lambda a, b: b.expand(N, 3),
    "repeat": lambda a, b: b.reshape(1, 3).repeat(N, 1),
    "tile": lambda a, b: minicnn.tile(b, (N, 1)),
    "mse_loss": lambda a, b: F.mse_loss(a, b.expand_as(a), reduction="none"),
    "smooth_l1_loss": lambda a, b: F.smooth_l1_loss(a, b.expand_as(a), reduction="none"),
    "pos_weight": lambda a, b: F.binary_cross_entropy_with_logits(a, a, pos_weight=b, reduction="none"),
    "matmul": lambda a, b: a.reshape(N, 3, 1) @ b.reshape(1, 3)[:, :2],
    "index": lambda a, b: b[minicnn.tensor(np.arange(N) % 3)],
    "gather": lambda a, b: b.gather(0, minicnn.tensor(np.arange(N) % 3)),
    "index_select": lambda a, b: b.reshape(3, 1).repeat(1, 2).index_select(0, minicnn.tensor(np.arange(N) % 3)),
    "repeat_interleave": lambda a, b: b.repeat_interleave(N),
    "cumsum": lambda a, b: (b * a).cumsum(0),
    "linear bias": lambda a, b: F.linear(a[:, :2], full(3, 2, dtype=a.dtype), b),
    "linear weight": lambda a, b: F.linear(a[:, :2], b.reshape(3, 1).repeat(1, 2)),
    "prelu": lambda a, b: F.prelu(-a, b),
    "batch_norm": lambda a, b: F.batch_norm(a, None, None, None, b, True),
    "layer_norm": lambda a, b: F.layer_norm(a, (3,), None, b),
    "replicate": lambda a, b: F.pad(b.reshape(1, 1, 1, 3), (0, 0, 0, N), mode="replicate"),
}


@pytest.mark.parametrize("name", BROADCAST)
def test_gradient_of_what_is_broadcast(name: str) -> None:
    found = []
    for dtype in (np.float32, np.float64):
        a, b = full(N, 3, dtype=dtype), full(3, value=0.3, dtype=dtype, grad=True)
        y = BROADCAST[name](a, b)
        y.backward(full(*y.shape, dtype=dtype))
        assert b.grad is not None and b.grad.dtype == dtype
        found.append(b.grad.numpy())
    np.testing.assert_allclose(found[0], found[1], TOLERANCE)


def index(size: int = N) -> Tensor:
    return minicnn.tensor(np.arange(size) % 3)


RESULTS: dict[str, Callable[[Any], Tensor]] = {
    "sum": lambda t: full(N, 3, dtype=t).sum(0),
    "sum of short runs": lambda t: full(N, 3, 1, 2, dtype=t).sum((0, 2, 3)),
    "sum of a slice": lambda t: full(N, 4, dtype=t)[:, :2].sum(),
    "mean": lambda t: full(N, 3, dtype=t).mean(0),
    "norm": lambda t: full(N, 3, dtype=t).norm(dim=0),
    "norm 1": lambda t: full(N, 3, dtype=t).norm(1, dim=0),
    "logsumexp": lambda t: full(N, 3, dtype=t).logsumexp(0),
    "cumsum": lambda t: full(N, dtype=t).cumsum(0),
    "cumsum of columns": lambda t: full(N, 2, dtype=t).cumsum(0),
    "logcumsumexp": lambda t: full(N, dtype=t).logcumsumexp(0)[-1],
    "index_add": lambda t: minicnn.zeros(3, dtype=t).index_add(0, index(), full(N, dtype=t)),
    "index_add of rows": lambda t: minicnn.zeros(3, 2, dtype=t).index_add(0, index(), full(N, 2, dtype=t)),
    "scatter_add": lambda t: minicnn.zeros(3, dtype=t).scatter_add(0, index(), full(N, dtype=t)),
    "scatter mean": lambda t: minicnn.zeros(3, dtype=t).scatter_reduce(0, index(), full(N, dtype=t), "mean"),
    "index_put": lambda t: minicnn.zeros(3, dtype=t).index_put((index(),), full(N, dtype=t), accumulate=True),
    "matmul": lambda t: full(3, N, dtype=t) @ full(N, 2, dtype=t),
    "dot": lambda t: full(N, dtype=t) @ full(N, dtype=t),
    "einsum": lambda t: minicnn.einsum("ij,ij->j", full(N, 3, dtype=t), full(N, 3, dtype=t)),
    "tensordot": lambda t: minicnn.tensordot(full(N, 3, dtype=t), full(N, 2, dtype=t), ([0], [0])),
    "area": lambda t: F.interpolate(full(1, 2, 500, 400, dtype=t), size=(1, 1), mode="area"),
    "average": lambda t: F.adaptive_avg_pool2d(full(1, 2, 500, 400, dtype=t), 1),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results(name: str) -> None:
    found, expected = (RESULTS[name](np.dtype(t)).numpy() for t in (np.float32, np.float64))
    np.testing.assert_allclose(found, expected, TOLERANCE)


def test_products_of_many() -> None:
    x = full(N, value=1.00001)
    expected = x.double().prod().item()
    for y in (x.prod(), x.prod(0), x.cumprod(0)[-1]):
        assert y.item() == pytest.approx(expected, 1e-5)


@pytest.mark.parametrize("channels_last", [False, True])
def test_bias_of_a_convolution(channels_last: bool) -> None:
    """With and without the gradient of the weights, which take different paths."""
    x = np.full((1, 400, 300, 4), 0.1, np.float32).transpose(0, 3, 1, 2)
    x = x if channels_last else np.ascontiguousarray(x)
    for wanted in (False, True):
        w, b = full(4, 4, 3, 3, grad=wanted), full(4, grad=True)
        y = F.conv2d(minicnn.tensor(x), w, b)
        gy = np.full((1, 398, 298, 4), 0.1, np.float32).transpose(0, 3, 1, 2)
        y.backward(minicnn.tensor(gy if channels_last else np.ascontiguousarray(gy)))
        assert b.grad is not None
        np.testing.assert_allclose(b.grad.numpy(), np.full(4, np.float64(np.float32(0.1)) * 398 * 298), 1e-4)
