"""Initialisation: distributions, exact matrices, no recording, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import minicnn
from minicnn import nn
from minicnn.nn import init

N = 20_000
RANDOM: dict[str, tuple[Any, dict[str, Any], Any]] = {  # for a weight (100, 20, 2, 5): fan in 200, fan out 1000
    "uniform_": (init.uniform_, {"a": -1.0, "b": 3.0}, stats.uniform(-1, 4)),
    "normal_": (init.normal_, {"mean": 2.0, "std": 3.0}, stats.norm(2, 3)),
    "trunc_normal_": (init.trunc_normal_, {"std": 0.5, "a": -1.0, "b": 0.25}, stats.truncnorm(-2, 0.5, 0, 0.5)),
    "trunc_normal_ (tail)": (init.trunc_normal_, {"a": 1.5, "b": 4.0}, stats.truncnorm(1.5, 4)),
    "trunc_normal_ (narrow)": (init.trunc_normal_, {"mean": 0.1, "a": -0.2, "b": 0.1}, stats.truncnorm(-0.3, 0, 0.1)),
    "kaiming_uniform_": (init.kaiming_uniform_, {}, stats.uniform(-math.sqrt(0.03), 2 * math.sqrt(0.03))),
    "kaiming_uniform_ (a)": (
        init.kaiming_uniform_, {"a": math.sqrt(5)}, stats.uniform(-1 / math.sqrt(200), 2 / math.sqrt(200)),
    ),
    "kaiming_normal_": (
        init.kaiming_normal_, {"mode": "FAN_OUT", "nonlinearity": "tanh"}, stats.norm(0, 5 / 3 / math.sqrt(1000)),
    ),
    "xavier_uniform_": (init.xavier_uniform_, {"gain": 2}, stats.uniform(-2 * math.sqrt(0.005), 4 * math.sqrt(0.005))),
    "xavier_normal_": (init.xavier_normal_, {}, stats.norm(0, math.sqrt(2 / 1200))),
    "lecun_uniform_": (init.lecun_uniform_, {}, stats.uniform(-math.sqrt(0.015), 2 * math.sqrt(0.015))),
    "lecun_normal_": (init.lecun_normal_, {}, stats.norm(0, math.sqrt(1 / 200))),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [minicnn.float32, minicnn.float64])
@pytest.mark.parametrize("name", RANDOM)
def test_distributions(name: str, dtype: Any) -> None:
    """Kolmogorov-Smirnov, mean and variance; without a fixed seed, a false alarm would come once in 10,000 runs."""
    function, options, wanted = RANDOM[name]
    weight = nn.Parameter(minicnn.empty(100, 20, 2, 5, dtype=dtype))
    generator = minicnn.Generator().manual_seed(5)
    assert function(weight, **options, generator=generator) is weight
    values = weight.detach().numpy().astype(np.float64).ravel()
    assert values.size == N
    assert stats.kstest(values, wanted.cdf).pvalue > 1e-4
    assert abs(values.mean() - wanted.mean()) < 4 * wanted.std() / math.sqrt(N)
    assert abs(values.var() / wanted.var() - 1) < 0.06
    low, high = wanted.support()
    tolerance = 1e-6 * (abs(low) if np.isfinite(low) else 0)
    assert low - tolerance <= values.min() and values.max() <= high + tolerance
    function(other := minicnn.empty(100, 20, 2, 5, dtype=dtype), **options, generator=generator.manual_seed(5))
    assert np.array_equal(other.numpy(), weight.detach().numpy()), "the same seed, the same numbers"


def test_never_recorded_but_counted() -> None:
    weight = nn.Parameter(minicnn.ones(3, 3))
    y = (weight * weight).sum()
    init.normal_(weight)
    assert (weight.is_leaf, weight.requires_grad, weight.grad_fn) == (True, True, None)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()
    init.zeros_(weight[:, :2])  # a view, on the memory of the weight
    assert weight.detach().numpy()[:, :2].any() == np.False_


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (5, 2, 3, 2), (2, 3, 5)])
@pytest.mark.parametrize("dtype, tolerance", [(minicnn.float32, 1e-5), (minicnn.float64, 1e-13)])
def test_orthogonal(shape: tuple[int, ...], dtype: Any, tolerance: float) -> None:
    matrix = init.orthogonal_(minicnn.empty(shape, dtype=dtype), gain=3).numpy().reshape(shape[0], -1)
    gram = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(gram, 9 * np.eye(len(gram)), atol=10 * tolerance)


def test_orthogonal_matrices_are_evenly_distributed() -> None:
    """Each entry has either sign with equal probability; with a plain QR decomposition it has not."""
    minicnn.manual_seed(0)
    firsts = [init.orthogonal_(minicnn.empty(2, 2)).numpy()[0, 0] for _ in range(400)]
    assert abs(sum(first > 0 for first in firsts) - 200) < 50
    # the first entry is the cosine of an angle that is uniform
    assert stats.kstest(np.arccos(firsts) / math.pi, stats.uniform.cdf).pvalue > 1e-3


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("shape", [(4, 4), (6, 2), (2, 3)])
def test_dirac_keeps_channels(shape: tuple[int, int], groups: int) -> None:
    outputs, inputs = shape
    layer = nn.Conv2d(inputs * groups, outputs, 3, padding=1, groups=groups, bias=False)
    init.dirac_(layer.weight, groups)
    x = minicnn.tensor(np.random.default_rng(0).standard_normal((2, inputs * groups, 4, 5)).astype(np.float32))
    y, per_group = layer(x).detach().numpy(), outputs // groups
    for group in range(groups):
        for channel in range(per_group):
            expected = x.numpy()[:, group * inputs + channel] if channel < inputs else np.zeros((2, 4, 5))
            np.testing.assert_array_equal(y[:, group * per_group + channel], expected)


def test_constants() -> None:
    assert init.eye_(minicnn.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert init.constant_(minicnn.empty(2), 0.5).tolist() == [0.5, 0.5]
    assert init.ones_(minicnn.empty(1, dtype=minicnn.int64)).tolist() == [1]
    assert init.zeros_(minicnn.ones(2)).tolist() == [0, 0]


def test_sparse() -> None:
    matrix = init.sparse_(minicnn.empty(10, 200), sparsity=0.25, std=2.0).numpy()
    assert ((matrix == 0).sum(axis=0) == 3).all()  # a quarter of 10, rounded up
    assert stats.kstest(matrix[matrix != 0], stats.norm(0, 2).cdf).pvalue > 1e-3
    assert len({tuple(np.flatnonzero(column == 0)) for column in matrix.T}) > 20


def test_gains() -> None:
    assert init.calculate_gain("leaky_relu", 1) == 1
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)
    assert init.calculate_gain("conv_transpose2d") == init.calculate_gain("sigmoid") == 1
    assert (init.calculate_gain("tanh"), init.calculate_gain("selu")) == (5 / 3, 0.75)
    with pytest.raises(ValueError, match="Unsupported nonlinearity gelu"):
        init.calculate_gain("gelu")
    with pytest.raises(ValueError, match="negative_slope True"):
        init.calculate_gain("leaky_relu", True)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: init.eye_(minicnn.ones(2)), ValueError, r"2 dimensions are supported, got shape \(2,\)"),
        (lambda: init.dirac_(minicnn.ones(2, 2)), ValueError, "3, 4, or 5 dimensions"),
        (lambda: init.dirac_(minicnn.ones(3, 3, 3), 2), ValueError, "divisible by groups"),
        (lambda: init.orthogonal_(minicnn.ones(3)), ValueError, "2 or more dimensions"),
        (lambda: init.sparse_(minicnn.ones(3), 0.1), ValueError, "2 dimensions"),
        (lambda: init.xavier_normal_(minicnn.ones(3)), ValueError, "fewer than 2 dimensions"),
        (lambda: init.kaiming_normal_(minicnn.ones(3, 3), mode="fan"), ValueError, "Mode fan not supported"),
        (lambda: init.uniform_(minicnn.ones(3), 1, 0), RuntimeError, r"from=1 > to=0"),
        (lambda: init.normal_(minicnn.ones(3), std=-1), RuntimeError, "std >= 0.0"),
        (lambda: init.normal_(minicnn.tensor([1])), NotImplementedError, "and this is minicnn.int64"),
    ],
)
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_warnings() -> None:
    with pytest.warns(UserWarning, match="zero-element"):
        nn.Linear(0, 3)
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(minicnn.empty(2), a=30.0, b=31.0)  # far out in the tail, but the drawing ends
    for name in (
        "uniform", "normal", "constant", "eye", "dirac", "xavier_uniform", "xavier_normal", "kaiming_uniform",
        "kaiming_normal", "orthogonal", "sparse",
    ):  # fmt: skip
        old = getattr(init, name)
        assert old.__name__ == name
        with pytest.warns(FutureWarning, match=f"favor of `nn.init.{name}_`"), pytest.raises(TypeError):
            old()


def test_nothing_is_drawn_on_the_meta_device() -> None:
    minicnn.manual_seed(0)
    before = minicnn.default_generator.get_state()
    weight = minicnn.empty(6, 4, 3, 3, device="meta")
    for name in ("uniform_", "normal_", "trunc_normal_", "kaiming_normal_", "xavier_uniform_", "orthogonal_", "dirac_"):
        assert getattr(init, name)(weight) is weight
    init.sparse_(minicnn.empty(3, 3, device="meta"), 0.5)
    assert minicnn.default_generator.get_state() == before
    with pytest.raises(ValueError, match="2 dimensions"):
        init.eye_(weight)
