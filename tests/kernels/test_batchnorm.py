"""Batch normalisation in one pass over memory is as exact as in two passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels import batchnorm
from minicnn_kernels.layout import as_order

pytestmark = pytest.mark.parametrize("backend", ["numba", "cuda-emulated"])


def statistics(x: Any, channels_last: bool, backend: str) -> tuple[Any, Any]:
    _, mean, var, _ = batchnorm.TRAINING(as_order(x, channels_last), None, None, 1e-5, backend=backend)
    return mean, var


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("channels", "side"), [(3, 41), (20, 33), (300, 7)])
@pytest.mark.parametrize("offset", [0.0, 1e3, -1e4])
def test_a_mean_far_above_the_deviation(
    channels: int, side: int, channels_last: bool, offset: float, backend: str
) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((9, channels, side, side)) + offset).astype(np.float32)
    mean, var = statistics(x, channels_last, backend)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=2e-7, atol=3e-7)
    np.testing.assert_allclose(var, exact.var((0, 2, 3)), rtol=3e-6)


@pytest.mark.parametrize("channels_last", [False, True])
def test_blocks_that_have_nothing_in_common(channels_last: bool, backend: str) -> None:
    """Images with different means, the first and the last far from the others, so each block's shift is wrong."""
    rng = np.random.default_rng(1)
    means = np.array([1e4, 0, 0, 3, -2, 0, 0, 50, 0, -1e3])
    x = (rng.standard_normal((10, 4, 40, 40)) + means[:, None, None, None]).astype(np.float32)
    mean, var = statistics(x, channels_last, backend)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var((0, 2, 3)), rtol=3e-6)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (6, 5, 60, 61)])
def test_a_constant_channel_gives_beta(shape: tuple[int, ...], channels_last: bool, backend: str) -> None:
    x = np.full(shape, 0.1, np.float32)
    x[:, 1] = np.random.default_rng(0).standard_normal(x[:, 1].shape)
    beta = np.arange(shape[1], dtype=np.float32) - 2
    y, mean, var, _ = batchnorm.TRAINING(as_order(x, channels_last), None, beta, 1e-5, backend=backend)
    assert (y[:, 0] == -2).all() and var[0] == 0 and mean[0] == np.float32(0.1)
    assert var[1] > 0.5


@pytest.mark.parametrize("channels_last", [False, True])
def test_one_nan_reaches_its_channel_alone(channels_last: bool, backend: str) -> None:
    x = np.random.default_rng(0).standard_normal((4, 5, 40, 41)).astype(np.float32)
    x[2, 3, 7, 8] = np.nan
    for relu in (False, True):
        y, mean, var, _ = batchnorm.TRAINING(as_order(x, channels_last), None, None, 1e-5, relu, backend=backend)
        assert np.isnan(y[:, 3]).all() and np.isnan(mean[3]) and np.isnan(var[3])
        assert np.isfinite(np.delete(y, 3, 1)).all() and np.isfinite(np.delete(var, 3)).all()


def test_the_forward_and_backward_masks_are_one(backend: str) -> None:
    """The gradient passes exactly where y > 0: backward computes y with the same bits as forward."""
    rng = np.random.default_rng(0)
    gamma, beta = rng.standard_normal((2, 20)).astype(np.float32)
    for channels_last in (False, True):
        x = as_order((rng.standard_normal((16, 20, 33, 31)) * 1e-3 + 1).astype(np.float32), channels_last)
        y, mean, var, _ = batchnorm.TRAINING(x, gamma, beta, 1e-5, backend=backend)
        y = batchnorm.EVALUATION(x, gamma, beta, mean, var, 1e-5, True, backend=backend)
        args = np.ones_like(x), x, gamma, beta, mean, var, 1e-5, (True,) * 3, True
        gx, *_ = batchnorm.EVALUATION_BACKWARD(*args, backend=backend)
        np.testing.assert_array_equal(gx != 0, y > 0)


@pytest.mark.parametrize("place", [(0, 0, 0), (3, 39, 40)], ids=["first", "last"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_value_far_from_all_others(channels_last: bool, place: tuple[int, ...], backend: str) -> None:
    """A kernel begins at one end, where it may take this value for the mean; and the variance is mostly its own."""
    x = np.random.default_rng(0).standard_normal((4, 2, 40, 41)).astype(np.float32)
    x[place[0], :, place[1], place[2]] = 1e4
    mean, var = statistics(x, channels_last, backend)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), atol=1e-6 * 120)  # the deviation is 120
    np.testing.assert_allclose(var, exact.var((0, 2, 3)), rtol=1e-6)
