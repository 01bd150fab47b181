"""Special functions in both libraries: values, gradients, and gradients of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

REAL, SHARES, ABOVE = [-2.3, -0.4, 0.3, 1.7, 5.0], [0.1, 0.4, 0.9], [1.6, 2.3, 7.0]
CALLS: dict[str, tuple[Callable[..., Any], list[list[float]]]] = {
    **{name: (lambda lib, x, name=name: getattr(lib.special, name)(x), [REAL])
       for name in ("i0", "i0e", "i1", "i1e", "erfcx", "ndtr", "log_ndtr", "expit", "erf", "erfc",
                    "expm1", "exp2", "sinc")},
    **{name: (lambda lib, x, name=name: getattr(lib.special, name)(x), [ABOVE])
       for name in ("entr", "psi", "digamma", "gammaln", "log1p")},
    **{name: (lambda lib, x, name=name: getattr(lib.special, name)(x), [SHARES])
       for name in ("ndtri", "erfinv", "logit")},
    **{f"polygamma {n}": (lambda lib, x, n=n: lib.special.polygamma(n, x), [ABOVE]) for n in range(4)},
    "i0 of a tensor": (lambda lib, x: x.i0() + x.polygamma(1) + lib.i0(x), [ABOVE]),
    "trigamma below 0": (lambda lib, x: lib.polygamma(1, x), [[-1.3, -0.2, 0.2]]),
    "mvlgamma": (lambda lib, x: lib.mvlgamma(x, 3) + x.mvlgamma(2) + lib.special.multigammaln(x, 1), [ABOVE]),
    "xlog1py": (lambda lib, x, y: lib.special.xlog1py(x, y), [[0.5, 1.0, 2.0], [-0.4, 0.3, 2.0]]),
    "xlogy": (lambda lib, x, y: lib.special.xlogy(x, y), [[0.5, 1.0, 2.0], [0.4, 0.3, 2.0]]),
    "softmax": (lambda lib, x: lib.special.softmax(x, 0) + lib.special.log_softmax(x, 0), [REAL]),
    "logsumexp": (lambda lib, x: lib.special.logsumexp(x, 0), [REAL]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients(name: str) -> None:
    call, points = CALLS[name]
    found = []
    for lib in (minicnn, torch):
        inputs = [lib.tensor(x, dtype=lib.float64, requires_grad=True) for x in points]
        y = call(lib, *inputs)
        gradients = lib.autograd.grad((y * y).sum(), inputs, create_graph=True)
        second = lib.autograd.grad(sum((g * g).sum() for g in gradients), inputs)
        found.append([one.detach().numpy() for one in (y, *gradients, *second)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8)
