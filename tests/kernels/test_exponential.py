"""The float32 formulas of the exponential activations against the float64 ones, over the whole range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels.activations import ACTIVATION, ACTIVATION_BACKWARD

PARAMETERS = {"elu": (1.3, 0.9, 1.1), "softplus": (1.5, 20.0)}
OPS = ("elu", "gelu", "gelu_tanh", "logsigmoid", "mish", "silu", "softplus")
EDGES = [0.0, -0.0, 1e-40, -1e-40, 88.7, -88.7, -103.9, -104.1, 1e4, -1e4, 1e30, -1e30, np.inf, -np.inf, np.nan]


def points() -> Any:
    rng = np.random.default_rng(0)
    return np.concatenate([np.linspace(-30, 30, 50_001), rng.standard_normal(20_000), EDGES]).astype(np.float32)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("backward", [False, True])
def test_single_precision_is_as_exact_as_it_says(op: str, backward: bool) -> None:
    x, parameters = points(), PARAMETERS.get(op, ())

    def run(dtype: Any) -> Any:
        v = x.astype(dtype)
        if backward:
            return ACTIVATION_BACKWARD(op, np.full_like(v, 0.7), v, *parameters, backend="numba")
        return ACTIVATION(op, v, *parameters, backend="numba")

    got, expected = run(np.float32), run(np.float64)
    assert got.dtype == np.float32
    rounded = expected.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(got[~finite], rounded[~finite])
    got, expected, x = got[finite], expected[finite], np.clip(x[finite], -1e3, 1e3)
    size = np.maximum(np.abs(expected), 0.1) if backward else np.abs(expected)  # a gradient that crosses 0 loses digits
    exact = x > -4 if op == "gelu_tanh" else x < 1e9  # where its definition, 1 + tanh, has enough digits
    error = np.abs(got - expected)  # the rounding error of x becomes an error of e^x of about x ulp
    assert (error <= 1e-6 * (1 + np.abs(x)) * size + 1e-37)[exact].all()
    assert (error <= 1e-6)[~exact].all()


def test_elu_keeps_its_digits_next_to_zero() -> None:
    x = -np.logspace(-30, -1, 1000).astype(np.float32)
    np.testing.assert_allclose(
        ACTIVATION("elu", x, 1.0, 1.0, 1.0, backend="numba"), np.expm1(x.astype(float)), rtol=2e-7
    )


def test_an_exponent_that_grows_overflows_to_infinity() -> None:
    x = np.array([-1.0, -80.0, -200.0], np.float32)
    y = ACTIVATION("elu", x, -1.0, 1.0, -1.0, backend="numba")  # celu with alpha = -1
    np.testing.assert_allclose(y, [-np.expm1(1), -np.expm1(80), -np.inf], rtol=1e-6)
    gx = ACTIVATION_BACKWARD("elu", np.ones_like(x), x, -1.0, 1.0, -1.0, backend="numba")
    np.testing.assert_allclose(gx, [np.exp(1), np.exp(80), np.inf], rtol=1e-6)
