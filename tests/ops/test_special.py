"""Special functions: values next to SciPy's, and derivatives of two orders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

import minicnn
from minicnn import special
from minicnn.autograd import gradcheck, gradgradcheck

REAL, SHARES, ABOVE = [-2.3, -0.4, 0.3, 1.7, 5.0], [0.1, 0.4, 0.9], [1.6, 2.3, 7.0]
POINTS = {
    "i0": REAL, "i0e": REAL, "i1": REAL, "i1e": REAL, "erfcx": REAL, "ndtr": REAL, "ndtri": SHARES, "log_ndtr": REAL,
    "entr": ABOVE, "expit": REAL, "psi": ABOVE, "gammaln": ABOVE, "erf": REAL, "log1p": ABOVE, "logit": SHARES,
}  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_values_and_derivatives(name: str) -> None:
    x = minicnn.tensor(POINTS[name], dtype=minicnn.float64, requires_grad=True)
    function = getattr(special, name)
    np.testing.assert_allclose(function(x).detach().numpy(), getattr(scipy.special, name)(POINTS[name]), rtol=1e-12)
    assert gradcheck(function, (x,)) and gradgradcheck(function, (x,))
    assert function(x.float()).dtype == minicnn.float32
    assert function(minicnn.zeros(0, 3)).shape == (0, 3)


def test_at_zero_and_far_out() -> None:
    x = minicnn.zeros(1, dtype=minicnn.float64, requires_grad=True)
    for function, slope in ((special.i0, 0.0), (special.i1, 0.5), (special.i1e, 0.5)):
        assert minicnn.autograd.grad(function(x), x)[0].item() == slope
    assert special.log_ndtr(minicnn.tensor([-1e4])).isfinite().all() and special.erfcx(minicnn.tensor([1e4])) > 0
    assert special.entr(minicnn.tensor([-1.0, 0.0, 1.0])).tolist() == [-np.inf, 0.0, 0.0]
    assert special.xlog1py(minicnn.tensor([0.0, 0.0]), minicnn.tensor([-1.0, np.nan])).tolist()[0] == 0.0
    assert minicnn.tensor([1]).i0().dtype == minicnn.float32  # whole numbers are converted


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_polygamma(n: int) -> None:
    points = [-1.3, 0.2, 3.0] if n == 1 else ABOVE
    x = minicnn.tensor(points, dtype=minicnn.float64, requires_grad=True)
    expected = scipy.special.polygamma(n, points)
    if n == 1:  # SciPy has no values below 0: psi'(a) + psi'(1 - a) = (pi / sin(pi a))^2
        expected[0] = (np.pi / np.sin(-1.3 * np.pi)) ** 2 - scipy.special.polygamma(1, 2.3)
    np.testing.assert_allclose(x.polygamma(n).detach().numpy(), expected, rtol=1e-10)
    assert gradcheck(lambda x: minicnn.polygamma(n, x), (x,)) and gradgradcheck(lambda x: x.polygamma(n), (x,))


def test_gamma_function_of_several_dimensions_and_zeta() -> None:
    x = minicnn.tensor(ABOVE, dtype=minicnn.float64, requires_grad=True)
    expected = [scipy.special.multigammaln(a, 3) for a in ABOVE]
    np.testing.assert_allclose(special.multigammaln(x, 3).detach().numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(special.zeta(2.5, x).detach().numpy(), scipy.special.zeta(2.5, ABOVE), rtol=1e-12)
    assert gradcheck(lambda x: x.mvlgamma(2) + special.zeta(3, x), (x,))
    s = minicnn.tensor([2.5, 3.0, 4.0], dtype=minicnn.float64)
    np.testing.assert_allclose(special.zeta(s, x).detach().numpy(), scipy.special.zeta(s.numpy(), ABOVE), rtol=1e-12)
    assert gradcheck(lambda x: special.zeta(s, x), (x,)) and gradgradcheck(lambda x: special.zeta(s, x), (x,))
    with pytest.raises(NotImplementedError, match="zeta"):
        special.zeta(x, 2.0).sum().backward()
    y = minicnn.tensor([0.5, -0.2, 3.0], dtype=minicnn.float64, requires_grad=True)
    assert gradcheck(special.xlog1py, (x, y)) and gradgradcheck(special.xlog1py, (x, y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: minicnn.polygamma(-1, x), "n"),
        (lambda x: x.mvlgamma(0), "p"),
        (lambda x: special.i0e([1.0]), "i0e"),
        (lambda x: minicnn.polygamma(1, 2.0), "polygamma"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
        call(minicnn.ones(2))
