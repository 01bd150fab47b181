"""The CUDA kernels of pooling with large windows, which have several threads each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels import geometry
from minicnn_kernels.geometry import Pool
from minicnn_kernels.layout import as_order, is_channels_last
from minicnn_kernels.pooling import average, largest

from .test_cuda_long_rows import in_every_order
from .test_tables import assert_same

WINDOWS: dict[str, Pool] = {
    "whole images": geometry.pool2d((2, 3, 9, 8), (9, 8)),
    "many channels": geometry.pool2d((2, 70, 7, 7), 7),
    "overlapping, over the edge": geometry.pool2d((1, 5, 12, 11), (7, 6), 3, (3, 2), ceil_mode=True),
    "dilated": geometry.pool2d((1, 2, 40, 41), (6, 9), 2, 1, (2, 3)),
    "windows of two sizes": geometry.adaptive_pool2d((2, 3, 23, 37), (3, 4)),
    "a block for a window": geometry.pool2d((1, 2, 100, 95), (100, 95)),
    "wholly in the padding": geometry.pool2d((1, 2, 2, 40), (2, 20), 1, (1, 10), (3, 1)),
    "batch 0": geometry.pool2d((0, 2, 10, 10), 10),
}


def few_values(rng: np.random.Generator, g: Pool, dtype: Any) -> Any:
    """So few that windows have several maxima; with NaN, with Inf, and with channels that are -Inf but for some NaN."""
    x = rng.integers(-2, 3, g.x_shape).astype(dtype)
    chance = rng.random(g.x_shape)
    x[chance < 0.01], x[chance > 0.7] = np.nan, -np.inf
    x[:, 1][x[:, 1] == x[:, 1]] = -np.inf
    x[:1, 0] = np.where(np.isnan(x[:1, 0]), 0.0, x[:1, 0])  # an image without NaN
    x[:1, 0, -1, -2:] = [2.0, 2.0]
    return x


def test_the_rule() -> None:
    """A window of up to 32 pixels has a thread, of up to 32 x 256 a warp, and else a block."""
    for side, width in (((4, 8), None), ((3, 11), 32), ((64, 128), 32), ((64, 129), 256)):
        found = largest.helpers(geometry.pool2d((1, 3, 64, 129), side), False)
        assert (found and found[0]) == width
    assert largest.helpers(WINDOWS["many channels"], True) == (35, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", WINDOWS)
def test_the_same_values_and_places(name: str, channels_last: bool, dtype: Any, rng: np.random.Generator) -> None:
    """NaN, and the place of one of several equal maxima, as the definition has them."""
    g = WINDOWS[name]
    assert largest.helpers(g, channels_last)
    x = few_values(rng, g, dtype)
    expected = largest.forward_python(x, g)
    got = in_every_order(lambda: largest.forward_cuda(as_order(x, channels_last), g))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert is_channels_last(got[1]) == is_channels_last(got[0]) == is_channels_last(as_order(got[0], channels_last))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", [name for name, g in WINDOWS.items() if g.dh == g.dw == 1])
def test_averages(name: str, channels_last: bool, rng: np.random.Generator) -> None:
    g = WINDOWS[name]
    x = rng.standard_normal(g.x_shape)
    for divisor in (None, 3):
        got = in_every_order(lambda divisor=divisor: average.forward_cuda(as_order(x, channels_last), g, divisor))
        assert_same(got, average.forward_python(x, g, divisor), name)
