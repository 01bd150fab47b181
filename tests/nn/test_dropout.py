"""Dropout: which values are dropped, how often, and which statistics stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor, nn

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
    with pytest.raises(TypeError, match="dropout: input must be floating point, got int64"):
        F.dropout(ints)
    np.testing.assert_array_equal(F.dropout(Tensor(np.array([1.0, np.nan, -2.0])), 1.0).numpy(), [0, np.nan, 0])
    assert F.dropout(minicnn.ones(1000, dtype=minicnn.float16)).dtype == minicnn.float16
    assert F.dropout(minicnn.ones(2, 3, device="meta")).is_meta
    with pytest.raises(RuntimeError, match=r"dropout1d: takes \(N, C, L\)"):
        F.dropout1d(minicnn.ones(2, 3, 4, 5))
    with pytest.warns(UserWarning, match="1-d input is deprecated"), pytest.raises(RuntimeError, match="2 axes"):
        F.dropout2d(minicnn.ones(3))
    with pytest.warns(UserWarning, match="use dropout1d"):
        F.dropout2d(minicnn.ones(2, 3, 4))


def test_a_seed_repeats_the_mask() -> None:
    first = F.dropout(minicnn.ones(100)).tolist()
    minicnn.manual_seed(0)
    assert F.dropout(minicnn.ones(100)).tolist() == first
