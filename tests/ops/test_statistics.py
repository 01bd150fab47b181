"""Statistics, integrals, and changed parts of tensors: values against NumPy's, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor

RNG = np.random.default_rng(2)
X = RNG.standard_normal((3, 7))


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=1e-12, atol=1e-12)


def test_covariances() -> None:
    x, often, weights = Tensor(X), np.array([1, 2, 0, 1, 3, 1, 1]), RNG.random(7)
    close(minicnn.cov(x), np.cov(X))
    close(minicnn.cov(x, correction=0), np.cov(X, ddof=0))
    given = {"fweights": Tensor(often), "aweights": Tensor(weights)}
    close(minicnn.cov(x, **given), np.cov(X, fweights=often, aweights=weights))
    close(minicnn.cov(x[0]), np.cov(X[0]))
    close(minicnn.corrcoef(x), np.corrcoef(X))
    with pytest.warns(UserWarning, match="degrees of freedom is <= 0"):
        minicnn.cov(x[:, :1])
    with pytest.raises(RuntimeError, match="two or fewer dimensions"):
        minicnn.cov(minicnn.zeros(2, 2, 2))
    with pytest.raises(RuntimeError, match="fweights cannot be negative"):
        minicnn.cov(x, fweights=Tensor(-often))
    with pytest.raises(RuntimeError, match="expected aweights to be 7 floats"):
        minicnn.cov(x, aweights=Tensor(often))


def test_histograms() -> None:
    x, weights = Tensor(X), RNG.random(X.shape)
    for options in ({}, {"range": (-1.0, 1.0)}, {"density": True}):
        counts, edges = minicnn.histogram(x, 5, **options)
        expected = np.histogram(X, 5, **options)
        close(counts, expected[0])
        close(edges, expected[1])
    close(minicnn.histogram(x, 5, weight=Tensor(weights)).hist, np.histogram(X, 5, weights=weights)[0])
    close(minicnn.histogram(x, Tensor(np.array([-1.0, 0.0, 2.0]))).hist, np.histogram(X, [-1, 0, 2])[0])
    points = Tensor(X.T.copy())
    close(minicnn.histogramdd(points, [2, 3, 4]).hist, np.histogramdd(X.T, [2, 3, 4])[0])
    assert len(minicnn.histogramdd(points, 2).bin_edges) == 3
    assert minicnn.histogramdd(minicnn.zeros(0, 2), 2).hist.tolist() == [[0, 0], [0, 0]]
    for call in (
        lambda: minicnn.histogram(x, 0),
        lambda: minicnn.histogramdd(points, [2]),
        lambda: minicnn.histogramdd(x[0], 2),
    ):
        with pytest.raises(RuntimeError, match="histogram"):
            call()


def test_derivatives_and_integrals() -> None:
    x, points = Tensor(X), np.cumsum(RNG.random(7))
    for order in (1, 2):
        for found, expected in zip(
            minicnn.gradient(x, edge_order=order), np.gradient(X, edge_order=order), strict=True
        ):
            close(found, expected)
        close(minicnn.gradient(x, spacing=(Tensor(points),), dim=1, edge_order=order)[0],
              np.gradient(X, points, axis=1, edge_order=order))  # fmt: skip
    close(minicnn.trapezoid(x, Tensor(points)), np.trapezoid(X, points))
    close(minicnn.trapz(x, dx=0.5, dim=0), np.trapezoid(X, dx=0.5, axis=0))
    close(minicnn.cumulative_trapezoid(x)[:, -1], np.trapezoid(X))
    close(minicnn.gradient(minicnn.tensor([0.0, np.inf, 2.0, 4.0]))[0], np.gradient([0.0, np.inf, 2.0, 4.0]))
    with pytest.raises(RuntimeError, match="edge_order"):
        minicnn.gradient(x, edge_order=3)
    with pytest.raises(RuntimeError, match="at least edge_order\\+1 = 2"):
        minicnn.gradient(x[:, :1])
    with pytest.raises(TypeError, match="not both"):
        minicnn.trapezoid(x, x, dx=1)


def test_parts() -> None:
    x = minicnn.zeros(3, 3)
    minicnn.select_scatter(x, minicnn.ones(3), 0, 1)
    assert x.sum().item() == 0  # the operand stays as it is
    with pytest.raises(RuntimeError, match="expected src to have a size equal to the slice"):
        minicnn.slice_scatter(x, minicnn.ones(3), 0, 0, 1)
    assert minicnn.zeros(3, 2).fill_diagonal_(1).tolist() == [[1, 0], [0, 1], [0, 0]]
    wrapped = minicnn.zeros(7, 2).fill_diagonal_(1, wrap=True)
    expected = np.zeros((7, 2))
    np.fill_diagonal(expected, 1, wrap=True)
    close(wrapped, expected)
    assert minicnn.zeros(2, 2, 2).fill_diagonal_(1).nonzero().tolist() == [[0, 0, 0], [1, 1, 1]]
    with pytest.raises(RuntimeError, match="sum_to_size"):
        x.sum_to_size(2)
    view = minicnn.arange(6).as_strided((2, 2), (3, 1), 1)
    view[0, 0] = 9
    assert view.tolist() == [[9, 2], [4, 5]]
    for size, stride, offset in (((4, 4), (3, 1), 0), ((2,), (-1,), 0), ((7,), (1,), 0), ((2,), (1,), 5)):
        with pytest.raises(RuntimeError, match="leave the 6 elements"):
            minicnn.arange(6).as_strided(size, stride, offset)
    assert minicnn.empty_strided((2, 3), (1, 2), dtype=minicnn.int8).stride() == (1, 2)
    assert minicnn.empty_strided((0, 3), (1, 2), requires_grad=True).requires_grad
    with pytest.raises(RuntimeError, match="dimensionality"):
        minicnn.empty_strided((2, 3), (1,))
    norms = minicnn.renorm(Tensor(X), 2, 0, 1.0).norm(dim=1)
    assert bool((norms <= 1).all())
    assert minicnn.vander(minicnn.tensor([2, 3]), 0).shape == (2, 0)
    assert minicnn.vander(minicnn.tensor([2, 3]), 1).tolist() == [[1], [1]]


@pytest.mark.cpu_only("Python functions of elements run on the CPU")
def test_python_functions_of_elements() -> None:
    x = minicnn.tensor([[1.0, 2.0]])
    assert x.apply_(lambda a: a + 1) is x
    assert x.map_(minicnn.tensor([[10.0], [20.0]])[:1], lambda a, b: a * b).tolist() == [[20, 30]]
    with pytest.raises(RuntimeError, match="broadcast"):
        x.map_(minicnn.ones(3, 2), lambda a, b: a)
    with pytest.raises(TypeError, match="detach"):
        minicnn.ones(2, requires_grad=True).apply_(abs)
    with pytest.raises(TypeError, match=r"expected tensors of minicnn\.float32"):
        x.map_(minicnn.ones(1, 2).double(), lambda a, b: a)


def test_numbers() -> None:
    x = Tensor(np.array([0.0, -3.5, 6.0, np.inf, -np.inf, 5e-324, 1e308]))
    mantissa, exponent = minicnn.frexp(x)
    close(mantissa, np.frexp(x.cpu().numpy())[0])
    assert exponent.dtype is minicnn.int32
    assert minicnn.gcd(minicnn.tensor([12, 0]), minicnn.tensor([18, 5])).tolist() == [6, 5]
    assert minicnn.tensor([4]).lcm_(minicnn.tensor([6])).tolist() == [12]
    assert minicnn.angle(minicnn.tensor([1.0, -1.0, -0.0])).tolist() == pytest.approx([0, np.pi, 0])
    with pytest.raises(NotImplementedError, match="gcd"):
        minicnn.gcd(x, x)
    assert not (x.is_sparse or x.is_quantized or x.is_xpu or x.is_conj() or x.is_shared() or x.is_inference())
    assert x.layout is minicnn.strided
    assert isinstance(x.layout, minicnn.layout)
    assert x.to_dense() is x.conj() is x
