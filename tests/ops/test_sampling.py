"""Random numbers: distributions, seeds, bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import minicnn

N = 20000

DISTRIBUTIONS = [
    (lambda: minicnn.rand(N), stats.uniform()),
    (lambda: minicnn.randn(N), stats.norm()),
    (lambda: minicnn.normal(2.0, 3.0, (N,)), stats.norm(2, 3)),
    (lambda: minicnn.empty(N).uniform_(-1, 3), stats.uniform(-1, 4)),
    (lambda: minicnn.empty(N).normal_(1, 0.5), stats.norm(1, 0.5)),
    (lambda: minicnn.empty(N).exponential_(2.0), stats.expon(scale=0.5)),
    (lambda: minicnn.empty(N).cauchy_(1.0, 2.0), stats.cauchy(1, 2)),
    (lambda: minicnn.empty(N).log_normal_(0.0, 1.0), stats.lognorm(1)),
]


@pytest.mark.parametrize(("draw", "expected"), DISTRIBUTIONS)
def test_distributions(draw: Any, expected: Any) -> None:
    minicnn.manual_seed(0)
    assert stats.kstest(draw().numpy(), expected.cdf).pvalue > 1e-3


def frequencies(x: Any, classes: int) -> np.ndarray:
    return np.bincount(x.numpy().astype(int).reshape(-1), minlength=classes) / x.numel()


def test_discrete_distributions() -> None:
    minicnn.manual_seed(0)
    cases = [
        (minicnn.randint(1, 4, (N,)), [0, 1 / 3, 1 / 3, 1 / 3]),
        (minicnn.bernoulli(minicnn.full((N,), 0.3)), [0.7, 0.3]),
        (minicnn.empty(N).bernoulli_(0.1), [0.9, 0.1]),
        (minicnn.multinomial(minicnn.tensor([1.0, 0.0, 3.0]), N, replacement=True), [0.25, 0, 0.75]),
        (minicnn.empty(N).random_(2), [0.5, 0.5]),
        (minicnn.empty(N, dtype=minicnn.int64).geometric_(0.5).clamp(max=2), [0, 0.5, 0.5]),
        (minicnn.poisson(minicnn.ones(N)).clamp(max=1), [np.exp(-1), 1 - np.exp(-1)]),
    ]
    for x, expected in cases:
        np.testing.assert_allclose(frequencies(x, len(expected)), expected, atol=0.02)
    first = minicnn.stack([minicnn.multinomial(minicnn.tensor([1.0, 2.0, 5.0]), 2) for _ in range(3000)])
    np.testing.assert_allclose(frequencies(first[:, 0], 3), [1 / 8, 2 / 8, 5 / 8], atol=0.03)
    given = (first[:, 0] == 2).nonzero().flatten()  # without replacement: 1 : 2 among the rest
    np.testing.assert_allclose(frequencies(first[given, 1], 3), [1 / 3, 2 / 3, 0], atol=0.04)
    assert sorted(minicnn.randperm(10).tolist()) == list(range(10))


def test_seeds() -> None:
    def draw(**options: Any) -> list[float]:
        return minicnn.rand(3, **options).tolist()

    minicnn.manual_seed(3)
    first = draw()
    assert draw() != first
    minicnn.manual_seed(3)
    assert draw() == first
    assert draw(generator=minicnn.Generator().manual_seed(3)) == first
    for seed in (np.int64(3), np.array(3), minicnn.tensor(3), 3.7):  # a float is cut, as in PyTorch
        assert minicnn.Generator().manual_seed(seed).initial_seed() == 3
    assert minicnn.Generator().manual_seed(-1).initial_seed() == 2**64 - 1
    for wrong in (None, "3", minicnn.tensor([1, 2]), float("nan"), [3]):
        with pytest.raises(TypeError, match="manual_seed: the seed must be an int"):
            minicnn.manual_seed(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: minicnn.randint(3, 3, (2,)), RuntimeError),
        (lambda: minicnn.randint(300, (2,), dtype=minicnn.uint8), RuntimeError),
        (lambda: minicnn.randint(3, 2), TypeError),
        (lambda: minicnn.rand(2, dtype=minicnn.int64), NotImplementedError),
        (lambda: minicnn.normal(0.0, -1.0, (2,)), RuntimeError),
        (lambda: minicnn.normal(0.0, 1.0), TypeError),
        (lambda: minicnn.zeros(2).uniform_(1, 0), RuntimeError),
        (lambda: minicnn.zeros(2).normal_(0, -1), RuntimeError),
        (lambda: minicnn.zeros(2).bernoulli_(2), RuntimeError),
        (lambda: minicnn.bernoulli(minicnn.tensor([2.0])), RuntimeError),
        (lambda: minicnn.multinomial(minicnn.tensor([1.0, 2.0]), 3), RuntimeError),
        (lambda: minicnn.multinomial(minicnn.tensor([0.0, 0.0]), 1), RuntimeError),
        (lambda: minicnn.multinomial(minicnn.tensor([-1.0, 2.0]), 1), RuntimeError),
        (lambda: minicnn.zeros(2).exponential_(0), RuntimeError),
        (lambda: minicnn.ones(2, requires_grad=True).normal_(), RuntimeError),
    ],
)
def test_bad_parameters(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_writes_are_counted_and_meta_stays_empty() -> None:
    x = minicnn.ones(2)
    version = x._version
    x.uniform_(from_=0, to=1).random_(0, 5)
    assert x._version == version + 2
    state = minicnn.get_rng_state() if hasattr(minicnn, "get_rng_state") else None
    meta = minicnn.rand(2, device="meta").normal_()
    assert meta.is_meta
    assert minicnn.rand_like(meta).is_meta
    assert minicnn.bernoulli(meta).is_meta
    assert state is None or str(minicnn.get_rng_state()) == str(state)
    with minicnn.no_grad():
        assert minicnn.ones(2, requires_grad=True).normal_().requires_grad
