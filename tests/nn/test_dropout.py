"""Dropout: which values are dropped, how often, and which statistics stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor, nn, ops
from minicnn.autograd import gradcheck

pytestmark = pytest.mark.filterwarnings("ignore:dropout3d. a 4-d input")
LAYERS = [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout]


@pytest.fixture(autouse=True)
def seed() -> None:
    minicnn.manual_seed(0)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_repr_and_evaluation(layer: Any) -> None:
    made = layer(0.3, inplace=True)
    assert repr(made) == f"{layer.__name__}(p=0.3, inplace=True)"
    x = minicnn.ones(*((2, 3) if layer is nn.Dropout1d else (2, 3, 4, 5)))
    assert made.eval()(x) is x
    with pytest.raises(ValueError, match=r"between 0 and 1, but got -0\.1"):
        layer(-0.1)


@pytest.mark.parametrize(
    ("function", "shape", "axes"),
    [
        (F.dropout, (40, 50, 3), 3),
        (F.dropout1d, (40, 50, 3), 2),
        (F.dropout1d, (2000, 3), 1),
        (F.dropout2d, (40, 50, 3, 2), 2),
        (F.dropout3d, (40, 50, 2, 1, 3), 2),
        (F.dropout3d, (2000, 2, 1, 3), 1),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_each_place_or_channel_is_kept_or_left_out_whole(function: Any, shape: tuple[int, ...], axes: int) -> None:
    x = Tensor(np.full(shape, 3.0), requires_grad=True)
    y = function(x, 0.25)
    values = y.detach().numpy()
    channels = values.reshape(*shape[:axes], -1)
    assert (channels == channels[..., :1]).all()
    assert set(np.unique(values)) == {0, 4}
    assert abs((channels[..., 0] == 0).mean() - 0.25) < 0.04
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy() * 3, values)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_alpha_dropout_keeps_mean_and_variance(p: float) -> None:
    x = Tensor(np.random.default_rng(0).standard_normal((300, 400)), requires_grad=True)
    y = F.alpha_dropout(x, p, training=True)
    assert abs(y.detach().numpy().mean()) < 0.02 and abs(y.detach().numpy().var() - 1) < 0.03
    y.sum().backward()
    slopes = np.unique(x.grad.numpy())
    np.testing.assert_allclose(slopes, [0, ((1 - p) * (1 + p * 1.7580993408473766**2)) ** -0.5])
    dropped = np.unique(y.detach().numpy()[x.grad.numpy() == 0])
    assert len(dropped) == 1  # one value: minus the limit of selu, scaled
    np.testing.assert_allclose(dropped, slopes[1] * -1.7580993408473766 * (1 - p))


def test_feature_alpha_dropout_leaves_out_whole_channels() -> None:
    x = Tensor(np.random.default_rng(0).standard_normal((40, 50, 3)), requires_grad=True)
    F.feature_alpha_dropout(x, 0.5, training=True).sum().backward()
    slopes = x.grad.numpy()
    assert (slopes == slopes[..., :1]).all() and 0.45 < (slopes == 0).mean() < 0.55


def test_in_place() -> None:
    x = minicnn.ones(50, requires_grad=True)
    hidden = x * 2
    assert F.dropout(hidden, 0.5, inplace=True) is hidden
    hidden.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), hidden.detach().numpy())
    assert set(hidden.tolist()) == {0, 4}


def test_corner_cases() -> None:
    ints = minicnn.arange(3)
    assert F.dropout(ints, 0.0) is ints and F.dropout(ints, training=False) is ints
    with pytest.raises(TypeError, match=r"dropout: input must be floating point, got minicnn\.int64"):
        F.dropout(ints)
    np.testing.assert_array_equal(F.dropout(Tensor(np.array([1.0, np.nan, -2.0])), 1.0).numpy(), [0, np.nan, 0])
    assert F.dropout(minicnn.ones(1000, dtype=minicnn.float16)).dtype == minicnn.float16
    assert F.dropout(minicnn.ones(2, 3, device="meta")).is_meta
    with pytest.raises(RuntimeError, match=r"dropout1d: Expected 2D or 3D input.*\(N, C, L\)"):
        F.dropout1d(minicnn.ones(2, 3, 4, 5))
    with pytest.warns(UserWarning, match="Received a 1-D input"), pytest.raises(RuntimeError, match="2 axes"):
        F.dropout2d(minicnn.ones(3))
    with pytest.warns(UserWarning, match="use dropout1d"):
        F.dropout2d(minicnn.ones(2, 3, 4))


def test_a_seed_repeats_the_mask() -> None:
    first = F.dropout(minicnn.ones(100)).tolist()
    minicnn.manual_seed(0)
    assert F.dropout(minicnn.ones(100)).tolist() == first


# ------------------------------------------------------------------------------------------- the mask is drawn twice

FUNCTIONS: dict[str, Any] = {
    "dropout": lambda x: F.dropout(x, 0.4),
    "dropout2d": lambda x: F.dropout2d(x, 0.4),
    "dropout3d": lambda x: F.dropout3d(x, 0.4),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.4, training=True),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, 0.4, training=True),
    "stochastic_depth by row": lambda x: ops.stochastic_depth(x, 0.4, "row"),
    "stochastic_depth by batch": lambda x: ops.stochastic_depth(x, 0.4, "batch"),
}
ORDERS: dict[str, Any] = {
    "C": lambda x: x,
    "channels last": lambda x: x.to(memory_format=minicnn.channels_last),
    "permuted": lambda x: x.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
    "every second": lambda x: x.repeat_interleave(2, 3)[..., ::2],
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", [(4, 6, 4, 4), (4, 5, 3, 5)])
def test_one_seed_drops_the_same_everywhere(name: str, shape: tuple[int, ...], gpu: Any) -> None:
    """In every order of memory, on every row, on the CPU and on a GPU, forward and backward."""
    ups = minicnn.randn(*shape)

    def run(device: str, turn: Any, turn_up: Any, backend: str | None) -> tuple[Any, Any]:
        minicnn.manual_seed(5)
        x = turn(minicnn.ones(*shape)).to(device).detach().requires_grad_()
        with minicnn.use(backend=backend):
            y = FUNCTIONS[name](x)
            y.backward(turn_up(ups).to(device))
        return y.detach().cpu().numpy(), x.grad.cpu().numpy()

    first, gradient = run("cpu", ORDERS["C"], ORDERS["C"], "python")
    slopes = gradient / ups.numpy()
    scale = slopes.max()
    assert np.allclose(slopes[slopes != 0], scale) and len(np.unique(first)) in (1, 2)
    if not name.endswith("batch"):
        assert ((slopes != 0) == (first == first.max())).all() and (slopes == 0).any() and (slopes != 0).any()
    places = [("cpu", "numpy"), ("cpu", "numba"), ("cpu", "cuda-emulated"), ("cuda", "cupy"), ("cuda", "cuda")]
    for device, backend in places:
        for order in ORDERS:
            found = run(device, ORDERS[order], ORDERS["C" if order == "channels last" else order], backend)
            np.testing.assert_allclose(found[0], first, rtol=1e-6, err_msg=f"{device} {backend} {order}")
            np.testing.assert_allclose(found[1], gradient, rtol=1e-6, err_msg=f"{device} {backend} {order}")
    ups = minicnn.full((1, 1, 1, 1), 3.0).expand(shape)  # an upstream gradient without strides
    expanded = run("cpu", lambda x: x[:1].expand(shape), ORDERS["C"], None)
    np.testing.assert_allclose(expanded[1], slopes * 3, rtol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("order", ["C", "channels last"])
def test_gradients_of_a_seed(name: str, order: str) -> None:
    x = ORDERS[order](minicnn.randn(3, 4, 2, 3, dtype=minicnn.float64)).requires_grad_()

    def function(x: Tensor) -> Tensor:
        minicnn.manual_seed(8)
        return FUNCTIONS[name](x)

    assert gradcheck(function, (x,), eps=1e-5, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_is_saved(name: str) -> None:
    """No array stays on the tape, and channels-last memory stays so."""
    x = minicnn.randn(3, 4, 2, 3).to(memory_format=minicnn.channels_last).requires_grad_()
    y = FUNCTIONS[name](x)
    node = y.grad_fn
    assert not node._saved and not any(isinstance(value, np.ndarray) for value in vars(node).values())
    assert y.is_contiguous(memory_format=minicnn.channels_last) and not y.is_contiguous()
    y.backward(minicnn.ones_like(y))
    assert x.grad.is_contiguous(memory_format=minicnn.channels_last)


def test_each_call_draws_one_key_of_the_stream() -> None:
    """Two calls drop different elements; a state of the stream brings a mask back; no number more is drawn for more."""
    state = minicnn.get_rng_state()
    first, second = F.dropout(minicnn.ones(200)), F.dropout(minicnn.ones(200))
    after = minicnn.rand(3).tolist()
    assert not first.equal(second)
    minicnn.set_rng_state(state)
    assert F.dropout(minicnn.ones(100)).equal(first[:100]) and F.dropout2d(minicnn.ones(9, 9, 2, 2)).numel() == 324
    assert minicnn.rand(3).tolist() == after


def test_halves_drop_as_floats_do() -> None:
    x = minicnn.randn(4, 30)
    minicnn.manual_seed(3)
    expected = F.dropout(x, 0.3)
    for backend in (None, "python", "numpy", "cuda-emulated"):
        minicnn.manual_seed(3)
        with minicnn.use(backend=backend):
            found = F.dropout(x.half().requires_grad_(), 0.3)
        assert found.dtype == minicnn.float16
        np.testing.assert_array_equal(found.detach().numpy() == 0, expected.numpy() == 0)
        np.testing.assert_allclose(found.detach().numpy(), expected.numpy(), rtol=2e-3)


def test_zeros_keep_their_signs() -> None:
    """Only products: -0.0 stays, kept or dropped, and so do the signs of a gradient of zeros."""
    x = Tensor(np.full(50, -0.0), requires_grad=True)
    y = F.dropout(x, 0.5)
    y.backward(Tensor(np.full(50, -0.0)))
    assert np.signbit(y.detach().numpy()).all() and np.signbit(x.grad.numpy()).all()


@pytest.mark.parametrize("form", [minicnn.contiguous_format, minicnn.channels_last])
def test_a_slice_gives_a_result_in_its_order_of_memory(form: Any) -> None:
    x = minicnn.randn(2, 3, 4, 6).contiguous(memory_format=form)[:, :, 1:, ::2]
    for op in (nn.Dropout(0.5), nn.Dropout2d(0.5), F.relu, F.gelu, minicnn.exp, minicnn.clone, minicnn.empty_like):
        y = op(x)
        assert y.is_contiguous(memory_format=form) and y.shape == x.shape
    assert (F.relu(x) == x.clamp(min=0)).all()
    one = minicnn.randn(2, 1, 4, 4)[:, :, ::2]  # one channel: both orders are the same
    assert one.clone().is_contiguous() and F.relu(one).is_contiguous()
