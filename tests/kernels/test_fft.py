"""Convolution by transforms: blocks of weights, the size of the circle, special values, number of multiplications."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import conv2d, geometry
from minicnn_kernels.conv2d import direct, fft, im2col, winograd

from .samples.foundation import CONVS
from .test_adjoint import convs

BACKENDS = ["numpy", "numba"]
NEED = (True, True, True)


def operands(g: geometry.Conv, dtype: Any = np.float64) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in (g.y_shape, g.x_shape, g.w_shape))


def assert_all_as_direct(g: geometry.Conv, backend: str, gy: Any, x: Any, w: Any) -> None:
    """y, gx, gw and gb are right to 1e-13 of the sum of all magnitudes."""
    most = 1e-13 * max(np.abs(gy).sum(), np.abs(x).sum()) * max(1.0, np.abs(w).sum(), np.abs(x).max(initial=0))
    got = fft_of(backend, "forward")(x, w, None, g), *fft_of(backend, "backward")(gy, x, w, g, NEED)
    exact = direct.forward_numpy(x, w, None, g), *direct.backward_numpy(gy, x, w, g, NEED)
    for a, b in zip(got, exact, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=max(most, 1e-15))


def fft_of(backend: str, name: str) -> Any:
    return getattr(fft, f"{name}_{backend}")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["plain", "groups", "depthwise", "dilated", "batch 0"])
def test_weights_in_blocks_of_one_channel(backend: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of many channels are transformed a block at a time; here a block is one channel."""
    monkeypatch.setattr(fft, "_BLOCK", 1)
    assert_all_as_direct(CONVS[name], backend, *operands(CONVS[name]))


def test_blocks_are_as_large_as_they_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    g = geometry.conv2d((1, 4, 6, 6), (10, 4, 3, 3))
    monkeypatch.setattr(fft, "_BLOCK", 3 * 4 * 6 * 4 * 8)  # 3 channels' transforms: 4 each, 6 x 4 complex64
    found = list(fft._blocks(g, (6, 6), 4, 10, np.float32))
    assert found == [slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 10)]


@settings(max_examples=60)
@given(convs(), st.integers(0, 2**32 - 1))
def test_the_circle_is_as_small_as_can_be(g: geometry.Conv, seed: int) -> None:
    """On the smallest circle no window overlaps itself, and no weight in the padding reaches a pixel."""
    high, wide = fft.circle(g)
    assert high >= g.h + g.ph and wide >= g.w + g.pw
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-9, 10, g.x_shape).astype(float), rng.integers(-9, 10, g.w_shape).astype(float)
    if g.n * high * wide < 500:
        np.testing.assert_allclose(
            fft.forward_python(x, w, None, g), direct.forward_numpy(x, w, None, g), rtol=0, atol=1e-9
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_padding_beyond_the_window_and_a_kernel_beyond_the_image(backend: str) -> None:
    for g in (
        geometry.conv2d((2, 2, 3, 4), (3, 2, 2, 1), padding=(5, 4)),
        geometry.conv2d((2, 2, 2, 1), (3, 2, 6, 5), padding=(2, 3)),
        geometry.conv2d((1, 2, 3, 2), (2, 2, 3, 3), padding=(4, 5), dilation=(4, 5), stride=(1, 2)),
    ):
        assert_all_as_direct(g, backend, *operands(g))


@pytest.mark.parametrize("backend", BACKENDS)
def test_single_precision_stays_single(backend: str) -> None:
    g = geometry.conv2d((2, 3, 30, 20), (4, 3, 7, 5), padding=3)
    gy, x, w = operands(g, np.float32)
    y = fft_of(backend, "forward")(x, w, None, g)
    results = y, *fft_of(backend, "backward")(gy, x, w, g, NEED)
    assert {a.dtype for a in results} == {np.dtype(np.float32)}
    exact = direct.forward_numpy(x.astype(float), w.astype(float), None, g)
    assert np.abs(y - exact).max() < 1e-6 * np.abs(exact).max()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_nan_spreads_over_its_image_and_no_other(backend: str) -> None:
    """As `fft.py` says: through the transform a NaN reaches every pixel; the definition keeps it in its windows."""
    g = geometry.conv2d((3, 2, 6, 5), (2, 2, 3, 3), padding=1)
    gy, x, w = operands(g)
    x[1, 0, 0, 0] = np.nan
    y = fft_of(backend, "forward")(x, w, None, g)
    assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()
    assert np.isfinite(direct.forward_numpy(x, w, None, g)[1, :, 3:]).all()
    gx, gw, gb = fft_of(backend, "backward")(gy, x, w, g, NEED)
    assert np.isnan(gw).any() and np.isfinite(gx).all() and np.isfinite(gb).all()


def test_nothing_but_its_name_chooses_it() -> None:
    """Its errors are relative to the largest pixel of the image, so it is not chosen even where it is faster."""
    for size in (1, 3, 5, 11, 21):
        for channels, groups in ((1, 1), (4, 1), (64, 1), (64, 64)):
            g = geometry.conv2d((8, channels, 64, 64), (64, channels // groups, size, size), None, 1, 0, 1, groups)
            for dtype in (np.float32, np.float64):
                chosen = {
                    conv2d.rule(g, way, channels_last, dtype)
                    for way in ("", "gx", "gw")
                    for channels_last in (False, True)
                }
                assert "fft" not in chosen
            some = np.ones((1, 1))
            assert conv2d.FORWARD.pick("numpy", None, (some, some, None, g))[0] != "fft"


def test_only_what_is_needed() -> None:
    g = CONVS["plain"]
    gy, x, w = operands(g)
    for backend in BACKENDS:
        gx, gw, gb = fft_of(backend, "backward")(gy, None, w, g, (True, False, False))
        assert gx is not None and gw is None and gb is None
        gx, gw, gb = fft_of(backend, "backward")(gy, x, None, g, (False, True, True))
        assert gx is None and gw is not None and gb is not None


def test_multiplications() -> None:
    """By hand: 3x3 on 6x6 padded by 1; Winograd's F(4, 3) has 36 products where the definition has 144."""
    g = geometry.conv2d((2, 4, 8, 8), (6, 4, 3, 3), padding=1)
    assert direct.multiplications(g) == im2col.multiplications(g) == 2 * 6 * 4 * 64 * 9
    assert winograd.multiplications(g) == 2 * 6 * 4 * 4 * 36 == direct.multiplications(g) // 4
    planes = 2 * 4 + 6 * 4 + 2 * 6
    assert fft.multiplications(g) == 4 * 2 * 6 * 4 * 9 * 5 + math.ceil(planes * 81 * math.log2(81))
    large = geometry.conv2d((32, 64, 64, 64), (64, 64, 11, 11), padding=5)
    assert fft.multiplications(large) < direct.multiplications(large) / 20
    assert conv2d.LIMITS.get("fft") is None  # it can do every geometry
