"""Arithmetic, comparisons and reductions: corner values, subgradients, errors; the table of samples has the rest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.autograd import grad
from minicnn.ops.tensor import elementwise
from minicnn.ops.tensor.examples import EXAMPLES

NAN, INF = math.nan, math.inf


def leaf(*values: Any) -> Tensor:
    return minicnn.tensor(np.array(values, np.float64), requires_grad=True)


def slope(function: Any, *values: float) -> list[float]:
    """The gradient of the sum of the results."""
    x = leaf(*values)
    return grad(function(x).sum(), x)[0].tolist()


def same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(np.asarray(found, np.float64), np.asarray(expected, np.float64))


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (lambda x: x.abs(), (-2, 0, NAN), (-1, 0, 0)),
        (lambda x: x.sign(), (-2, 0), (0, 0)),
        (lambda x: x.sqrt(), (0, 4), (INF, 0.25)),
        (lambda x: x.clamp(-1, 1), (-2, -1, 0, 1, 2), (0, 1, 1, 1, 0)),
        (lambda x: x.clamp(min=0), (-1, 0, NAN), (0, 1, 0)),
        (lambda x: x.clamp_max(0), (-1, 0, 1), (1, 1, 0)),
        (lambda x: x.maximum(minicnn.zeros(3)), (-1, 0, 1), (0, 0.5, 1)),
        (lambda x: x.minimum(minicnn.tensor([0, NAN, 0])), (-1, 0, 1), (1, 1, 0)),
        (lambda x: x.fmax(minicnn.tensor([0, NAN, 0])), (0, 0, -1), (1, 1, 0)),
        (lambda x: x**0, (0, 2), (0, 0)),
        (lambda x: x**1, (0, 2), (1, 1)),
        (lambda x: x**2, (0, -3), (0, -6)),
        (lambda x: x**0.5, (0, 4), (INF, 0.25)),
        (lambda x: x ** minicnn.tensor([0.0, 0.0, 2.0]), (0, 2, -3), (0, 0, -6)),
        (lambda x: 0**x, (0, 1, 2), (0, 0, 0)),
        (lambda x: x.norm(), (0, 0), (0, 0)),
        (lambda x: x.norm(1), (0, -2), (0, -1)),
        (lambda x: x.norm(INF), (2, -2, 1), (0.5, -0.5, 0)),
        (lambda x: x.prod(), (2, 0, 3), (0, 6, 0)),
        (lambda x: x.prod(), (0, 0, 3), (0, 0, 0)),
        (lambda x: x.cumprod(0), (2, 0, 3, 5), (1, 38, 0, 0)),
        (lambda x: x.max(), (1, 3, 3), (0, 0.5, 0.5)),
        (lambda x: x.amax(0), (1, 3, 3), (0, 0.5, 0.5)),
        (lambda x: x.amin((0,)), (1, 1, 3), (0.5, 0.5, 0)),
        (lambda x: x.max(0).values, (1, 3, 3), (0, 1, 0)),
        (lambda x: x.min(0)[0], (1, 1, 3), (1, 0, 0)),
        (lambda x: x.cummax(0)[0], (1, 1, 3, 2), (1, 1, 2, 0)),
        (lambda x: x.median(), (1, 2, 2, 9), (0, 0.5, 0.5, 0)),
        (lambda x: x.std(), (2, 2), (0, 0)),
        (lambda x: x.std(), (2,), (NAN,)),
        (lambda x: x.logsumexp(0), (-INF, 0), (0, 1)),
        (lambda x: x.floor() + x.round() + x.trunc(), (0.5, 1), (0, 0)),
        (lambda x: x.nan_to_num(), (NAN, INF, 1), (0, 0, 1)),
        (lambda x: x.xlogy(minicnn.zeros(2)), (0, 1), (0, -INF)),
    ],
)  # fmt: skip
def test_subgradients(function: Any, at: Any, expected: Any) -> None:
    same(slope(function, *at), expected)


def test_corner_values() -> None:
    x = minicnn.tensor([-7.0, 7.0])
    assert (x // 2).tolist() == [-4, 3]
    assert (x % 3).tolist() == [2, 1]
    assert x.fmod(3).tolist() == [-1, 1]
    assert x.div(2, rounding_mode="trunc").tolist() == [-3, 3]
    same((x / 0).tolist(), [-INF, INF])
    same((x // 0).tolist(), [-INF, INF])
    same((x % 0).tolist(), [NAN, NAN])
    whole = minicnn.tensor([-7, 7])
    assert (whole // 2).tolist() == [-4, 3]
    assert whole.div(2, rounding_mode="trunc").tolist() == [-3, 3]
    assert (whole ** minicnn.tensor([2, -1])).tolist() == [49, 0]
    assert minicnn.tensor([0.5, 1.5, -2.5]).round().tolist() == [0, 2, -2]
    assert minicnn.tensor([NAN, -0.5]).sign().tolist() == [0, -1]
    assert minicnn.lerp(minicnn.tensor([1e8]), minicnn.tensor([1.0]), 1.0).tolist() == [1]  # exact at both ends
    assert minicnn.logaddexp(minicnn.tensor([1000.0]), minicnn.tensor([1000.0])).item() == pytest.approx(1000.6931)
    assert minicnn.clamp(minicnn.tensor([5.0]), 3, 1).tolist() == [1]  # if min > max, the result is max


def test_comparisons_and_logic() -> None:
    a, b = minicnn.tensor([1.0, NAN, INF]), minicnn.tensor([1.0, NAN, -INF])
    assert (a == b).tolist() == [True, False, False]
    assert (a != b).tolist() == [False, True, True]
    assert minicnn.isclose(a, b, equal_nan=True).tolist() == [True, True, False]
    assert a.isnan().tolist() == [False, True, False]
    assert (a.isposinf() | b.isneginf()).tolist() == [False, False, True]
    assert not minicnn.equal(a, b)
    assert minicnn.equal(a[:1], b[:1])
    assert not minicnn.equal(a[:1], a)
    assert minicnn.allclose(a[:1], a[:1] + 1e-7)
    assert not minicnn.allclose(a[:1], a[:1] + 1e-3)
    mask = minicnn.tensor([True, False])
    assert (~mask).tolist() == [False, True]
    assert (mask ^ True).tolist() == [False, True]
    assert (minicnn.tensor([6]) & 3).tolist() == [2]
    assert (1 << minicnn.tensor([3])).tolist() == [8]
    assert minicnn.logical_and(minicnn.tensor([2.0, 0.0]), mask).tolist() == [True, False]
    assert not (a > 0).requires_grad


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x + x[:2], minicnn.ShapeError, r"add: shapes \(3,\) and \(2,\) do not broadcast"),
        (lambda x: minicnn.tensor([1]) // 0, RuntimeError, "ZeroDivisionError: floor_divide"),
        (lambda x: minicnn.tensor([1]) % minicnn.tensor([0]), RuntimeError, "ZeroDivisionError: remainder"),
        (lambda x: minicnn.tensor([True]) - x, RuntimeError, "sub: - is not defined for bool"),
        (lambda x: -minicnn.tensor([True]), RuntimeError, "neg: not defined for bool"),
        (lambda x: minicnn.tensor([2]) ** -1, RuntimeError, "the power -1 of integers is not an integer"),
        (lambda x: x & 1, RuntimeError, "bitwise_and: not defined for float32"),
        (lambda x: x.clamp(), RuntimeError, "at least one of min and max"),
        (lambda x: x.div(2, rounding_mode="up"), RuntimeError, "rounding_mode must be"),
        (lambda x: minicnn.tensor([1]).add(1, alpha=0.5), RuntimeError, "alpha=0.5 must be an integer"),
        (lambda x: x.lerp(x.double(), 0.5), RuntimeError, "lerp: the tensors must be of the same type"),
        (lambda x: minicnn.tensor([1]).addcdiv(minicnn.tensor([1]), minicnn.tensor([1])), RuntimeError, "addcdiv"),
        (lambda x: minicnn.where(x, x, x), RuntimeError, "the condition must be bool, got minicnn.float32"),
        (lambda x: minicnn.exp(3), TypeError, "exp: input must be a Tensor, got int"),
        (lambda x: x.isclose(x.double()), RuntimeError, "isclose: the types"),
        (lambda x: x.sum(5), IndexError, r"sum: dim 5 is out of range for a tensor of 1 axes"),
        (lambda x: x.sum((0, -1)), RuntimeError, "names an axis twice"),
        (lambda x: minicnn.tensor([1]).mean(), RuntimeError, r"mean: .*convert it with .float\(\)"),
        (lambda x: x[:0].amax(), IndexError, "amax: nothing to choose from"),
        (lambda x: x[:0].max(), RuntimeError, "max: .* no elements"),
        (lambda x: x[:0].max(0), IndexError, "max: nothing to choose from"),
        (lambda x: x[:0].argmax(), IndexError, "argmax: nothing to choose from"),
        (lambda x: x.max((0,)), TypeError, "amax and amin take several"),
        (lambda x: x.norm("big"), RuntimeError, "norm: p must be"),
        (lambda x: x.var(unbiased=True, correction=2), RuntimeError, "one of unbiased and correction"),
        (lambda x: x.quantile(1.5), RuntimeError, "q must be between 0 and 1"),
    ],
)  # fmt: skip
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(minicnn.tensor([1.0, 2.0, 3.0]))


def test_reductions_of_types_and_shapes() -> None:
    x = minicnn.tensor([[True, False], [True, True]])
    assert x.sum().dtype == minicnn.int64
    assert x.sum(dtype=minicnn.float16).dtype == minicnn.float16
    assert x.all(1).tolist() == [False, True]
    assert x.any(dim=()).tolist() == x.tolist()
    assert minicnn.tensor([3], dtype=minicnn.uint8).all().dtype == minicnn.uint8
    assert x.count_nonzero(0).tolist() == [2, 1]
    y = minicnn.tensor([[3.0, NAN], [1.0, 2.0]])
    assert y.nansum().item() == 6
    assert y.nanmean(0).tolist() == [2, 2]
    assert math.isnan(y.max().item())
    assert y.max(1).indices.tolist() == [1, 1]
    assert y.argmin().item() == 1  # NaN wins
    assert y.argmax(keepdim=True).shape == (1, 1)
    values, indices = y.min(dim=0, keepdim=True)
    assert values.shape == indices.shape == (1, 2)
    assert minicnn.aminmax(y[1]).max.item() == 2
    assert minicnn.var_mean(y[1], dim=0, correction=0)[0].item() == 0.25
    assert minicnn.max(y[1], minicnn.tensor([1.5, 1.5])).tolist() == [1.5, 2]
    assert minicnn.tensor([5, 1, 4, 2]).median().item() == 2  # the lower one
    assert minicnn.tensor([2, 3, 3, 2]).mode().values.item() == 2
    assert minicnn.empty(0).sum().item() == 0
    assert math.isnan(minicnn.empty(0).mean().item())
    assert minicnn.empty(0).prod().item() == 1
    assert minicnn.empty(0).logsumexp(0).item() == -INF


def test_long_sums_and_variances_are_accurate() -> None:
    """A float32 sum along an axis that NumPy adds term by term, and a variance that one pass would lose."""
    x = np.random.default_rng(0).random((100_000, 3), np.float32)
    np.testing.assert_allclose(minicnn.from_numpy(x).sum(0).numpy(), x.astype(np.float64).sum(0), rtol=2e-7)
    far = minicnn.tensor([1e6, 1e6 + 1, 1e6 + 2])
    assert far.var().item() == pytest.approx(1)
    big = minicnn.tensor([1000.0, 1001.0])
    assert big.logsumexp(0).item() == pytest.approx(1001.3133)


def test_only_what_a_gradient_needs_is_saved() -> None:
    """x * c saves c only, so that x may change afterwards."""
    x, c = leaf(1, 2), minicnn.tensor([3.0, 4.0])
    y = x * 1
    z = y * c
    y.data.zero_()
    assert grad(z.sum(), x)[0].tolist() == [3, 4]


def test_every_elementwise_function_has_an_example() -> None:
    functions = [f for f in vars(minicnn).values() if getattr(f, "__module__", "") == elementwise.__name__]
    made = {f.__name__: f for f in functions if not f.__name__.endswith("_")}  # those in place have none of their own
    assert made.keys() == EXAMPLES.keys()
    assert all(f">>> minicnn.{name}(" in f.__doc__ for name, f in made.items())
