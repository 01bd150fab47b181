"""Convolution of few channels in registers: every kind of group of images, and the rest of each share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels import geometry, runtime
from minicnn_kernels.conv2d import registers
from minicnn_kernels.conv2d.registers.groups import group_sizes
from minicnn_kernels.layout import as_order

# Geometries, and how many pixels of a row a vector has in the forward pass in NCHW memory: 1 if images are side by
# side, 0 if rows of any number of images are cut at arbitrary places, "all" for rows of a vector or more
CASES = {
    "side by side": (geometry.conv2d((37, 2, 9, 7), (16, 2, 5, 5)), 1),
    "side by side, padded": (geometry.conv2d((37, 3, 6, 5), (5, 3, 3, 3), padding=(2, 1)), 1),
    "one output row": (geometry.conv2d((40, 2, 3, 6), (8, 2, 3, 2)), 1),
    "one output column": (geometry.conv2d((33, 2, 6, 3), (8, 2, 2, 3)), 1),
    "fewer numbers in an image than lanes": (geometry.conv2d((34, 1, 2, 3), (3, 1, 2, 2), padding=1), 1),
    "long rows": (geometry.conv2d((34, 2, 6, 21), (6, 2, 3, 4)), "all"),
    "long rows, padded": (geometry.conv2d((34, 2, 5, 18), (4, 2, 3, 3), padding=1), "all"),
    "few images": (geometry.conv2d((5, 3, 6, 5), (6, 3, 3, 3), padding=(1, 2)), 0),
    "large images": (geometry.conv2d((17, 15, 230, 8), (2, 15, 2, 2)), 0),
}


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Set the number of shares, whatever the number of threads."""
    monkeypatch.setattr(runtime, "_threads", request.param)
    monkeypatch.setattr(runtime, "_workspaces", {})
    return int(request.param)


def _spoil() -> None:
    """Write NaN to all scratch memory."""
    for scratch in runtime._workspaces.values():
        scratch[...] = np.nan


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_group(
    name: str, channels_last: bool, dtype: Any, threads: int, rng: np.random.Generator
) -> None:
    (g, wide), size = CASES[name], np.dtype(dtype).itemsize
    assert group_sizes(g, threads, False, size)[0].wide == (64 // size if wide == "all" else wide)
    x, w, b, gy = (rng.standard_normal(s).astype(dtype) for s in (g.x_shape, g.w_shape, (g.o,), g.y_shape))
    expected = [registers.forward_numpy(x, w, b, g), *registers.backward_numpy(gy, x, w, g, (True, True, True))]
    x, gy = as_order(x, channels_last), as_order(gy, channels_last)
    for _ in range(2):  # the second time, scratch memory exists and is filled with NaN
        y = registers.forward_numba(x, w, b, g)
        _spoil()
        got = [y, *registers.backward_numba(gy, x, w, g, (True, True, True))]
        for ours, theirs in zip(got, expected, strict=True):
            scale = np.abs(theirs).max()
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=scale * (1e-13 if dtype == np.float64 else 1e-5))
        _spoil()


@pytest.mark.parametrize("channels_last", [False, True])
def test_an_image_of_nan_stays_alone(channels_last: bool, threads: int, rng: np.random.Generator) -> None:
    g = CASES["side by side, padded"][0]
    x, w = rng.standard_normal(g.x_shape), rng.standard_normal(g.w_shape)
    x[[3, 36]] = np.nan
    y = registers.forward_numba(as_order(x, channels_last), w, None, g)
    np.testing.assert_array_equal(np.isnan(y).any((1, 2, 3)).nonzero()[0], [3, 36])
