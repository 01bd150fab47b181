"""Kernels in CUDA with geometries near the largest int, and grids near the limits of a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels import NoKernelError, conv2d, cuda, pooling
from minicnn_kernels.conv2d import depthwise
from minicnn_kernels.geometry import Conv, Pool
from minicnn_kernels.geometry.convolution import conv2d as geometry

HUGE = [2**29, 2**30 - 3]  # with the second, the image and its padding have 2^31 - 2 rows
ALGORITHMS = [a for a, backend in conv2d.FORWARD.rows if backend == "cuda" and a != "pointwise"]
MOST = 2**31 - 1


def convolved(algorithm: str, x: Any, w: Any, gy: Any, g: Conv) -> list[Any]:
    """y, gx and gw of the row `cuda`."""
    forward, backward = (table.rows[algorithm, "cuda"] for table in (conv2d.FORWARD, conv2d.BACKWARD))
    return [forward(x, w, None, g), *backward(gy, x, w, g, (True, True, False))[:2]]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("high", [False, True])
@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_window_larger_than_the_image(algorithm: str, size: int, high: bool, channels_last: bool) -> None:
    """Only its middle cell is ever in the image: y = w x, with the weight of that cell."""
    rng, c = np.random.default_rng(0), 3
    one = (c, 4, 1, 3, 1, 1, 1, size, 0, size, 1, c, 4, 1)  # C, H, W, KH, KW, SH, SW, PH, PW, DH, DW, G, OH, OW
    c, h, w_, kh, kw, sh, sw, ph, pw, dh, dw, groups, oh, ow = one
    g = Conv(2, c, h, w_, c, kh, kw, sh, sw, ph, pw, dh, dw, groups, oh, ow)
    if not high:
        g = Conv(2, c, w_, h, c, kw, kh, sw, sh, pw, ph, dw, dh, groups, ow, oh)
    x, w, gy = (rng.standard_normal(shape) for shape in (g.x_shape, g.w_shape, g.y_shape))
    if channels_last:
        x, gy = (a.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2) for a in (x, gy))
    middle = w.reshape(1, c, 3)[:, :, 1].reshape(1, c, 1, 1)
    gw = np.zeros((c, 3))
    gw[:, 1] = (gy * x).sum((0, 2, 3))
    for found, expected in zip(convolved(algorithm, x, w, gy, g), (x * middle, gy * middle, gw), strict=True):
        np.testing.assert_allclose(found, expected.reshape(found.shape), 1e-12)


@pytest.mark.parametrize("step", [(MOST, MOST), (2**30, MOST), (65_536, 65_535)])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_stride_larger_than_the_image(algorithm: str, step: tuple[int, int]) -> None:
    """There is one window, whatever the stride."""
    rng, shapes = np.random.default_rng(0), ((2, 3, 5, 6), (6, 1, 3, 2))
    near = geometry(*shapes, stride=10, padding=1, dilation=2, groups=3)
    far = geometry(*shapes, stride=step, padding=1, dilation=2, groups=3)
    args = [rng.standard_normal(shape) for shape in (near.x_shape, near.w_shape, near.y_shape)]
    y, (gx, gw) = (
        conv2d.FORWARD(*args[:2], None, near),
        conv2d.BACKWARD(args[2], *args[:2], near, (True, True, False))[:2],
    )
    for found, expected in zip(convolved(algorithm, *args, far), (y, gx, gw), strict=True):
        np.testing.assert_allclose(found, expected, 1e-12, 1e-12)


def test_max_pooling_with_a_dilation_larger_than_the_image() -> None:
    """It does not matter to a window of one cell."""
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 6))
    near = Pool(1, 2, 5, 6, 1, 1, 2, 2, 0, 0, 1, 1, 3, 3)
    far = near._replace(dh=MOST, dw=MOST)
    y, index = pooling.MAX_POOL.rows["windows", "cuda"](x, far)
    np.testing.assert_array_equal(y, x[:, :, ::2, ::2])
    gy = np.ones_like(y)
    expected = pooling.MAX_POOL_BACKWARD(gy, index, near)
    np.testing.assert_array_equal(pooling.MAX_POOL_BACKWARD.rows["windows", "cuda"](gy, index, far), expected)


def test_what_no_int_can_count() -> None:
    x, w = np.ones((1, 1, 1, 1)), np.ones((1, 1, 3, 1))
    g = Conv(1, 1, 1, 1, 1, 3, 1, 1, 1, MOST, 0, MOST, 1, 1, 1, 1)
    with pytest.raises(NoKernelError, match=r"Conv: .* h \+ 2\*ph is 4294967295, more than 2147483647; choose"):
        conv2d.FORWARD.rows["direct", "cuda"](x, w, None, g)


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_gradient_of_depthwise_weights_needs_more_blocks_than_y_has(
    channels_last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 images of 736 x 736 in channels-last memory do; so many blocks are launched along x, here for few pixels."""
    assert depthwise.shares(256 * 736 * 736, 1, 8)[1] > cuda.GRID[1]
    g = geometry((2, 40, 9, 8), (80, 1, 3, 3), padding=1, groups=40)
    rng = np.random.default_rng(0)
    x, w, gy = (rng.standard_normal(shape) for shape in (g.x_shape, g.w_shape, g.y_shape))
    if channels_last:
        x, gy = (a.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2) for a in (x, gy))
    grids, launch = [], depthwise.launch_blocks
    monkeypatch.setattr(depthwise, "shares", lambda pixels, blocks, lanes: (7, -(-pixels // 7)))
    monkeypatch.setattr(depthwise, "launch_blocks", lambda *args: grids.append(args[2]) or launch(*args))
    found = depthwise.backward_cuda(gy, x, w, g, (False, True, False))[1]
    np.testing.assert_allclose(found, depthwise.backward_numpy(gy, x, w, g, (False, True, False))[1], 1e-12)
    assert grids == [((3 if channels_last else 80) * 21,)]


@pytest.mark.parametrize(
    ("grid", "block", "message"),
    [
        ((1, 65_536), (32,), r"forward<float>: the grid \(1, 65536\) is not possible; .* \(2147483647, 65535, 65535\)"),
        ((2**31,), (32,), r"the grid \(2147483648,\) is not possible"),
        ((1, 1, 65_536), (32,), r"the grid \(1, 1, 65536\)"),
        ((-1,), (32,), r"the grid \(-1,\)"),
        ((), (32,), r"the grid \(\)"),
        ((1,), (0,), r"the block \(0,\) is not possible; .* at least 1"),
        ((1,), (1, 1, 65), r"the block \(1, 1, 65\)"),
        ((1,), (64, 32), r"a block of \(64, 32\) has more than 1024 threads; launch more blocks"),
    ],
)
def test_a_grid_that_no_gpu_has(grid: Any, block: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cuda.launch_blocks("conv2d/direct.cu", "forward<float>", grid, block)
