"""Activations: properties of the layers and functions beyond the table of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor, nn

INF, NAN = np.inf, np.nan
BACKENDS = ["python", "numpy", "numba"]

# The reprs of PyTorch 2.13.
REPRS: list[tuple[Callable[[], nn.Module], str]] = [
    (nn.ReLU, "ReLU()"),
    (lambda: nn.ReLU(True), "ReLU(inplace=True)"),
    (lambda: nn.ReLU6(inplace=True), "ReLU6(inplace=True)"),
    (nn.ReLU6, "ReLU6()"),
    (nn.ELU, "ELU(alpha=1.0)"),
    (lambda: nn.CELU(0.5, inplace=True), "CELU(alpha=0.5, inplace=True)"),
    (lambda: nn.SELU(True), "SELU(inplace=True)"),
    (lambda: nn.LeakyReLU(0.2, True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
    (lambda: nn.PReLU(3), "PReLU(num_parameters=3)"),
    (nn.RReLU, "RReLU(lower=0.125, upper=0.3333333333333333)"),
    (nn.GELU, "GELU(approximate='none')"),
    (lambda: nn.SiLU(True), "SiLU(inplace=True)"),
    (lambda: nn.Hardswish(True), "Hardswish()"),
    (lambda: nn.Hardsigmoid(True), "Hardsigmoid()"),
    (lambda: nn.Hardtanh(0, 1), "Hardtanh(min_val=0, max_val=1)"),
    (nn.Hardshrink, "Hardshrink(0.5)"),
    (lambda: nn.Softshrink(0.3), "Softshrink(0.3)"),
    (nn.Softplus, "Softplus(beta=1.0, threshold=20.0)"),
    (lambda: nn.Threshold(0.1, 20), "Threshold(threshold=0.1, value=20)"),
    (nn.GLU, "GLU(dim=-1)"),
    (nn.Tanhshrink, "Tanhshrink()"),
]
FUNCTIONS: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {  # of layers whose arguments have defaults
    nn.ReLU: F.relu, nn.ReLU6: F.relu6, nn.LeakyReLU: F.leaky_relu, nn.ELU: F.elu, nn.CELU: F.celu, nn.SELU: F.selu,
    nn.GELU: F.gelu, nn.SiLU: F.silu, nn.Mish: F.mish, nn.Sigmoid: F.sigmoid, nn.LogSigmoid: F.logsigmoid,
    nn.Hardsigmoid: F.hardsigmoid, nn.Hardswish: F.hardswish, nn.Tanh: F.tanh, nn.Hardtanh: F.hardtanh,
    nn.Tanhshrink: F.tanhshrink, nn.Hardshrink: F.hardshrink, nn.Softshrink: F.softshrink, nn.Softplus: F.softplus,
    nn.Softsign: F.softsign, nn.GLU: F.glu,
}  # fmt: skip
IN_PLACE: list[Callable[..., Tensor]] = [
    F.relu, F.relu6, F.elu, F.selu, F.celu, F.leaky_relu, F.silu, F.mish, F.hardswish, F.hardsigmoid, F.hardtanh,
    F.rrelu,
]  # fmt: skip


@pytest.mark.parametrize(("build", "text"), REPRS, ids=[text for _, text in REPRS])
def test_reprs_are_pytorchs(build: Callable[[], nn.Module], text: str) -> None:
    assert repr(build()) == text


@pytest.mark.parametrize("module", FUNCTIONS, ids=lambda module: module.__name__)
def test_a_module_is_its_function(module: type[nn.Module]) -> None:
    x = Tensor(np.linspace(-4, 4, 12).reshape(3, 4))
    np.testing.assert_array_equal(module()(x).numpy(), FUNCTIONS[module](x).numpy())


@pytest.mark.parametrize("place", [minicnn.ops.activation, minicnn.nn.activation], ids=lambda place: place.__name__)
def test_every_activation_can_be_imported(place: Any) -> None:
    """Each function and layer of the two files is in the file's `__all__`, from which `functional` and `nn` take it."""
    own = {name for name, value in vars(place).items() if getattr(value, "__module__", "") == place.__name__}
    helpers = {"Activation", "InPlace", "PRelu", "RandomRelu", "Relu", "Sigmoid", "Tanh"} - set(place.__all__)
    missing = {name for name in own if not name.startswith("_")} - helpers - set(place.__all__)
    assert not missing, f"__all__ of {place.__name__} lacks {sorted(missing)}"


def test_arguments_of_modules_reach_the_function() -> None:
    x = Tensor(np.linspace(-4, 4, 12).reshape(3, 4))
    pairs = [
        (nn.LeakyReLU(0.3), F.leaky_relu(x, 0.3)),
        (nn.ELU(0.3), F.elu(x, 0.3)),
        (nn.CELU(0.3), F.celu(x, 0.3)),
        (nn.Hardtanh(-2, 1), F.hardtanh(x, -2, 1)),
        (nn.ReLU6(), F.relu6(x)),
        (nn.Threshold(1, 7), F.threshold(x, 1, 7)),
        (nn.Hardshrink(1), F.hardshrink(x, 1)),
        (nn.Softshrink(1), F.softshrink(x, 1)),
        (nn.Softplus(2, 3), F.softplus(x, 2, 3)),
        (nn.GELU("tanh"), F.gelu(x, approximate="tanh")),
        (nn.GLU(1), F.glu(x, 1)),
        (nn.RReLU(0.2, 0.4).eval(), F.leaky_relu(x, 0.3)),
    ]
    for module, expected in pairs:
        np.testing.assert_allclose(module(x).numpy(), expected.numpy(), rtol=1e-15, err_msg=repr(module))
    np.testing.assert_allclose(F.celu(x, 0.5).numpy()[0, 0], 0.5 * np.expm1(-4 / 0.5))
    np.testing.assert_allclose(F.elu(x, 0.5).numpy()[0, 0], 0.5 * np.expm1(-4))


# x, then y and dy/dx at x: PyTorch's values at kinks, at the ends and at NaN.
ENDS: dict[str, list[tuple[float, float, float]]] = {
    "relu": [(0, 0, 0), (-INF, 0, 0), (INF, INF, 1), (NAN, NAN, 1)],
    "relu6": [(0, 0, 0), (6, 6, 0), (INF, 6, 0), (-INF, 0, 0)],
    "hardtanh": [(-1, -1, 0), (1, 1, 0), (0, 0, 1), (INF, 1, 0)],
    "hardsigmoid": [(-3, 0, 0), (3, 1, 0), (0, 0.5, 1 / 6), (INF, 1, 0)],
    "hardswish": [(-3, 0, 0), (3, 3, 1), (0, 0, 0.5), (INF, INF, 1), (1e30, 1e30, 1)],
    "hardshrink": [(0.5, 0, 0), (-0.5, 0, 0), (-INF, -INF, 1)],
    "softshrink": [(0.5, 0, 0), (-0.5, 0, 0), (INF, INF, 1), (-2, -1.5, 1)],
    "leaky_relu": [(0, 0, 0.01), (-INF, -INF, 0.01), (-1, -0.01, 0.01)],
    "elu": [(0, 0, 1), (-INF, -1, 0), (-1e30, -1, 0), (INF, INF, 1)],
    "selu": [(0, 0, 1.7580993408473766), (-INF, -1.7580993408473766, 0), (1, 1.0507009873554805, 1.0507009873554805)],
    "celu": [(0, 0, 1), (-INF, -1, 0)],
    "softplus": [(-INF, 0, 0), (-1000, 0, 0), (0, np.log(2), 0.5), (1000, 1000, 1), (INF, INF, 1), (NAN, NAN, NAN)],
    "logsigmoid": [(-INF, -INF, 1), (-1000, -1000, 1), (0, -np.log(2), 0.5), (1000, 0, 0), (NAN, NAN, NAN)],
    "silu": [(0, 0, 0.5), (-1000, 0, 0), (1000, 1000, 1), (-INF, NAN, NAN)],
    "mish": [(0, 0, 0.6), (-1000, 0, 0), (1000, 1000, 1), (-INF, NAN, NAN), (NAN, NAN, NAN)],
    "gelu": [(0, 0, 0.5), (-1000, 0, 0), (1000, 1000, 1), (-INF, NAN, NAN)],
    "softsign": [(0, 0, 1), (-3, -0.75, 0.0625), (INF, NAN, NAN)],
    "tanhshrink": [(0, 0, 0), (INF, INF, 1), (-INF, -INF, 1)],
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ENDS)
def test_kinks_and_ends(name: str, backend: str) -> None:
    x, y, slope = np.array(ENDS[name]).T
    for dtype, tolerance in ((np.float64, 1e-15), (np.float32, 1e-6)):
        given = Tensor(x.astype(dtype), requires_grad=True)
        with minicnn.use(backend=backend):
            result = getattr(F, name)(given)
            result.sum().backward()
        np.testing.assert_allclose(result.detach().numpy(), y, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(given.grad.numpy(), slope, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["relu6", "hardtanh", "hardswish", "hardsigmoid", "hardshrink", "softshrink"])
def test_an_infinite_upstream_gradient_stays_where_the_function_is_flat(name: str, backend: str) -> None:
    flat = {"hardshrink": 0.2, "softshrink": -0.2}.get(name, -5.0)
    x = Tensor(np.array([flat, 0.9 if "shrink" in name else 0.5]), requires_grad=True)
    with minicnn.use(backend=backend):
        getattr(F, name)(x).backward(Tensor(np.array([INF, INF])))
    np.testing.assert_array_equal(x.grad.numpy(), [0, INF])


@pytest.mark.parametrize("function", IN_PLACE, ids=lambda function: function.__name__)
def test_in_place_overwrites_and_has_the_same_gradient(function: Callable[..., Tensor]) -> None:
    values = np.random.default_rng(0).standard_normal((3, 4)) * 3
    plain, changed = (Tensor(values.copy(), requires_grad=True) for _ in range(2))
    expected = function(plain * 2)
    hidden = changed * 2
    result = function(hidden, inplace=True)
    assert result is hidden
    np.testing.assert_array_equal(hidden.detach().numpy(), expected.detach().numpy())
    (expected * expected).sum().backward()
    (hidden * hidden).sum().backward()
    np.testing.assert_array_equal(changed.grad.numpy(), plain.grad.numpy())


def test_functions_that_end_in_an_underscore() -> None:
    values = np.linspace(-3, 3, 7)
    for name in ("relu", "elu", "celu", "selu", "leaky_relu", "hardtanh", "rrelu", "tanh", "sigmoid"):
        x = Tensor(values.copy())
        assert getattr(F if hasattr(F, f"{name}_") else minicnn, f"{name}_")(x) is x
        np.testing.assert_array_equal(x.numpy(), getattr(F, name)(Tensor(values)).numpy(), err_msg=name)
    x = Tensor(values.copy())
    F.threshold_(x, 1, 5)
    assert x.tolist() == [5, 5, 5, 5, 5, 2, 3]
    with pytest.raises(RuntimeError, match="relu_: a leaf Variable"):
        F.relu(Tensor(values, requires_grad=True), inplace=True)


def test_methods() -> None:
    x = Tensor(np.array([-1.0, 0.2, 2.0]))
    for name in ("relu", "sigmoid", "tanh", "hardshrink"):
        np.testing.assert_array_equal(getattr(x, name)().numpy(), getattr(F, name)(x).numpy())
    assert x.prelu(minicnn.tensor([0.5], dtype=minicnn.float64)).tolist() == [-0.5, 0.2, 2.0]
    assert x.relu_() is x and x.tolist() == [0, 0.2, 2.0]


def test_integers_and_half_precision() -> None:
    ints = minicnn.tensor([-2, 0, 7])
    for function, values in ((F.relu, [0, 0, 7]), (F.relu6, [0, 0, 6]), (F.hardtanh, [-1, 0, 1])):
        y = function(ints)
        assert y.dtype == minicnn.int64 and y.tolist() == values
    assert F.threshold(ints, 0, 3).tolist() == [3, 3, 7]
    for function in (F.tanh, F.sigmoid, F.softsign, F.tanhshrink):
        assert function(ints).dtype == minicnn.float32
    with pytest.raises(TypeError, match="elu: input must be float"):
        F.elu(ints)
    with pytest.raises(RuntimeError, match="unsigned"):
        F.hardtanh(minicnn.tensor([1], dtype=minicnn.uint8))
    half = minicnn.tensor([-1.0, 2.0], dtype=minicnn.float16, requires_grad=True)
    for function in (F.silu, F.relu, F.gelu, F.sigmoid, F.leaky_relu):
        y = function(half)
        assert y.dtype == minicnn.float16
        np.testing.assert_allclose(y.detach().numpy(), function(half.detach().float()).numpy(), rtol=1e-3)
        y.sum().backward()
    assert half.grad.dtype == minicnn.float16


def test_prelu_starts_at_a_quarter_and_learns() -> None:
    layer = nn.PReLU(2)
    assert list(layer.state_dict()) == ["weight"] and layer.weight.tolist() == [0.25, 0.25]
    layer(minicnn.tensor([[[-1.0, 2.0], [-3.0, -4.0]]])).sum().backward()
    assert layer.weight.grad.tolist() == [-1, -7]
    assert nn.PReLU(1, 0.5, device="meta").weight.is_meta
    assert nn.PReLU(dtype=minicnn.float64).weight.dtype == minicnn.float64


def test_rrelu_draws_slopes_in_training() -> None:
    minicnn.manual_seed(0)
    x = minicnn.full((100, 100), -1.0, requires_grad=True)
    layer = nn.RReLU(0.1, 0.3)
    y = layer(x)
    slopes = -y.detach().numpy()
    assert 0.1 <= slopes.min() < 0.11 and 0.29 < slopes.max() <= 0.3
    assert abs(slopes.mean() - 0.2) < 0.002
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), slopes)
    assert (layer(minicnn.ones(5)) == 1).all()
    np.testing.assert_allclose(layer.eval()(x).detach().numpy(), -0.2, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: F.gelu(x, approximate="erf"), RuntimeError, "approximate must be 'none' or 'tanh', got 'erf'"),
        (lambda x: F.hardtanh(x, 1, -1), ValueError, "min_val 1 is greater than max_val -1"),
        (lambda x: nn.Hardtanh(1, -1), ValueError, "min_val 1 is greater"),
        (lambda x: F.softshrink(x, -0.1), RuntimeError, "lambd must not be negative, got -0.1"),
        (lambda x: F.celu(x, 0), RuntimeError, "alpha must not be 0"),
        (lambda x: F.rrelu(x, 0.5, 0.1), RuntimeError, "lower 0.5 is greater than upper 0.1"),
        (lambda x: F.glu(x), RuntimeError, "side 3 of axis 1 .* even"),
        (lambda x: F.glu(x, 2), IndexError, "dim 2 is not an axis"),
        (lambda x: F.prelu(x, minicnn.ones(2)), ValueError, r"3 channel\(s\).*\(2,\)"),
        (lambda x: F.relu([1.0]), TypeError, "input must be a Tensor, got list"),
        (lambda x: F.elu(x > 0), TypeError, r"elu: input must be .*, got minicnn.bool; convert it with \.float\(\)$"),
    ],
)
def test_bad_arguments(call: Callable[[Tensor], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(minicnn.ones(2, 3))


def test_deprecated_names_of_hardtanh() -> None:
    with pytest.warns(FutureWarning, match="min_value is deprecated"):
        assert nn.Hardtanh(min_value=-3.0).min_val == -3


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "function", [F.elu, F.selu, F.celu, F.hardswish, F.silu, F.mish, F.gelu, F.softplus, F.logsigmoid]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_at_nan_is_nan(backend: str, function: Callable[[Tensor], Tensor], dtype: Any) -> None:
    x = Tensor(np.array([-1, NAN, 1], dtype), requires_grad=True)
    with minicnn.use(backend=backend):
        function(x).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(np.isnan(x.grad.numpy()), [False, True, False])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", [lambda x: F.gelu(x, approximate="tanh"), F.gelu, F.mish, F.silu, F.hardswish])
def test_the_gradient_at_the_largest_numbers(backend: str, function: Callable[[Tensor], Tensor]) -> None:
    """The gradient is 1 or 0 up to the largest float32, where 2x and x^2 are Inf."""
    x = Tensor(np.array([1e19, 1e38, 3.4e38, -1e19, -1e38, -3.4e38], np.float32), requires_grad=True)
    with minicnn.use(backend=backend):
        function(x).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1, 1, 0, 0, 0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_threshold_is_rounded_as_the_values_are(backend: str) -> None:
    """0.1 is larger in float32 than in float64, but it equals a threshold of 0.1."""
    x = Tensor(np.array([0.1, -0.1], np.float32), requires_grad=True)
    with minicnn.use(backend=backend):
        y = F.threshold(x, 0.1, 20)
        y.sum().backward()
        np.testing.assert_array_equal(y.detach().numpy(), [20, 20])
        np.testing.assert_array_equal(F.hardshrink(x.detach(), 0.1).numpy(), [0, 0])
        np.testing.assert_array_equal(F.leaky_relu(x.detach(), 1e300).numpy(), np.array([0.1, -INF], np.float32))
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), [0, 0])
