"""Winograd's convolution: its matrices, every way the compiled kernels cut the work, its rounding, NaN and Inf."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.datasets import Digits
from minicnn_kernels import NoKernelError, conv2d, geometry
from minicnn_kernels.conv2d import im2col, winograd, winograd_forward, winograd_gradient
from minicnn_kernels.layout import as_order

ALL = (True, True, True)


def results(module: Any, arrays: Any, g: geometry.Conv, backend: str = "numba", last: bool = True) -> list[Any]:
    """y, gx, gw and gb."""
    x, w, b, gy = arrays
    x, gy = as_order(x, last), as_order(gy, last)
    y = getattr(module, f"forward_{backend}")(x, w, b, g)
    return [y, *getattr(module, f"backward_{backend}")(gy, x, w, g, ALL)]


def normal(rng: np.random.Generator, g: geometry.Conv, dtype: Any = np.float64) -> list[Any]:
    return [rng.standard_normal(shape).astype(dtype) for shape in (g.x_shape, g.w_shape, (g.o,), g.y_shape)]


def error(got: Any, expected: Any) -> float:
    """The largest, relative to the largest number expected."""
    return float(np.abs(got - expected).max(initial=0) / np.abs(expected).max(initial=1e-30))


@pytest.mark.parametrize("m", [2, 4])
def test_the_matrices_make_a_convolution(m: int, rng: np.random.Generator) -> None:
    bt, g, at = winograd.MATRICES[m]
    d, k = rng.standard_normal(m + 2), rng.standard_normal(3)
    np.testing.assert_allclose(at @ ((g @ k) * (bt @ d)), np.correlate(d, k), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("side", "m"), [(1, 2), (2, 2), (3, 4), (4, 4), (7, 4), (13, 4), (14, 4), (56, 4)])
def test_tile(side: int, m: int) -> None:
    """The larger tile, except where half of it or more would be padding."""
    assert winograd.tile(geometry.conv2d((1, 1, side, side), (1, 1, 3, 3), padding=1)) == m


@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_every_way_to_cut_the_work(
    m: int, many: bool, last: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of few tiles and few output channels, ragged at the end of each, for few channels and for many."""
    monkeypatch.setattr(winograd, "tile", lambda g: m)
    monkeypatch.setattr(winograd_forward, "_FEW", 0 if many else 1 << 20)
    monkeypatch.setattr(winograd_forward, "_WIDTH", 4)
    monkeypatch.setattr(winograd_forward, "_BLOCK", 1)
    monkeypatch.setattr(winograd_forward, "_TILES", 7)
    for c, o, h, w, groups, tiles in ((3, 5, 9, 14, 2, 1000), (9, 7, 23, 6, 1, 1000), (2, 9, 40, 23, 2, 0)):
        monkeypatch.setattr(winograd_gradient, "_FEW_TILES", tiles)
        monkeypatch.setattr(winograd_gradient, "_BLOCK", 1)
        g = geometry.conv2d((3, c * groups, h, w), (o * groups, c, 3, 3), None, 1, (1, 2), 1, groups)
        arrays = normal(rng, g)
        for got, expected in zip(
            results(winograd, arrays, g, last=last), results(im2col, arrays, g, "numpy"), strict=True
        ):
            assert got.shape == expected.shape and error(got, expected) < 1e-12, g


def test_what_it_cannot_do_it_refuses() -> None:
    """As a keyword; `use` leaves other geometries to the other algorithms."""
    for w, stride, padding, dilation in (((2, 2, 5, 3), 1, 1, 1), ((2, 2, 3, 3), 2, 1, 1), ((2, 2, 3, 3), 1, 3, 1)):
        g = geometry.conv2d((1, 2, 9, 9), w, None, stride, padding, dilation)
        x, weight = np.ones(g.x_shape), np.ones(g.w_shape)
        with pytest.raises(NoKernelError, match="winograd"):
            conv2d.FORWARD(x, weight, None, g, algorithm="winograd")
        with minicnn.use(algorithm="winograd"):
            assert conv2d.FORWARD(x, weight, None, g).shape == g.y_shape


# ----------------------------------------------------------------------------------------------------------- rounding


def alternating(rng: np.random.Generator, shape: Any) -> Any:
    """+1 and -1 as on a chessboard: the highest frequency there is."""
    signs = (-1.0) ** np.add.outer(np.arange(shape[2]), np.arange(shape[3]))
    return signs + 0.01 * rng.standard_normal(shape)


INPUTS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "a mean of 100": lambda rng, shape: rng.standard_normal(shape) + 100,
    "all positive": lambda rng, shape: rng.random(shape),
    "alternating": alternating,
    "twelve orders of magnitude": lambda rng, shape: rng.standard_normal(shape) * 10 ** rng.uniform(-6, 6, shape),
    "one pixel": lambda rng, shape: rng.random(shape) * (rng.random(shape) < 0.002) * 1e6,
    "very large": lambda rng, shape: rng.standard_normal(shape) * 1e15,
    "very small": lambda rng, shape: rng.standard_normal(shape) * 1e-15,
}


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("kind", INPUTS)
def test_rounding(kind: str, m: int, backend: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 is within 1e-4 of float64, relative to the largest value; F(2x2, 3x3) within 1e-5. gw and gx too."""
    monkeypatch.setattr(winograd, "tile", lambda g: m)
    for c, side in ((64, 16), (256, 7)):
        g = geometry.conv2d((2, c, side, side), (32, c, 3, 3), padding=1)
        x, gy = (INPUTS[kind](rng, shape).astype(np.float32) for shape in (g.x_shape, g.y_shape))
        _, w, b, _ = normal(rng, g, np.float32)
        expected = results(im2col, [a.astype(np.float64) for a in (x, w, b, gy)], g, "numpy")
        for name, a, e in zip(
            ("y", "gx", "gw", "gb"), results(winograd, (x, w, b, gy), g, backend), expected, strict=True
        ):
            assert error(a, e) < (1e-4 if m == 4 else 1e-5), (name, error(a, e))


def test_a_weight_whose_sums_cancel(rng: np.random.Generator) -> None:
    """A mean of 1000 that a kernel of mean 0 removes, leaving a thousandth: relative to what went in, not to y."""
    g = geometry.conv2d((1, 16, 20, 20), (8, 16, 3, 3))
    x, w, *_ = normal(rng, g, np.float32)
    x, w = x + np.float32(1000), w - w.mean((2, 3), keepdims=True)
    expected = im2col.forward_numpy(x.astype(np.float64), w.astype(np.float64), None, g)
    size = np.abs(x).max() * np.abs(w).sum((1, 2, 3)).max()
    assert np.abs(winograd.forward_numba(x, w, None, g) - expected).max() < 1e-6 * size


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("last", [False, True])
def test_nan_and_inf_stay_in_their_tiles(value: float, last: bool, rng: np.random.Generator) -> None:
    """Not finite where the definition is not, and only in tiles that reach the pixel; the others keep their bits."""
    g = geometry.conv2d((2, 20, 13, 14), (18, 20, 3, 3), padding=1)
    arrays = normal(rng, g, np.float32)
    clean = results(winograd, arrays, g, last=last)
    p, q, m = 6, 8, winograd.tile(g)
    x, gy = arrays[0].copy(), arrays[3].copy()
    x[1, 3, p, q] = gy[1, 3, p, q] = value
    with np.errstate(invalid="ignore"):
        y, gx, gw, gb = results(winograd, (x, arrays[1], arrays[2], gy), g, last=last)
    for dirty, before in ((y, clean[0]), (gx, clean[1])):
        bad = ~np.isfinite(dirty)
        assert bad[1, :, p - 1 : p + 2, q - 1 : q + 2].all()
        rows, columns = (slice((at - 1) // m * m, ((at + 1) // m + 1) * m) for at in (p, q))
        bad[1, :, rows, columns] = False
        assert not bad.any()
        same = np.ones(dirty.shape, bool)
        same[1, :, rows, columns] = False
        np.testing.assert_array_equal(dirty[same], before[same])
    assert not np.isfinite(gw[:, 3]).any() and not np.isfinite(gw[3]).any() and not np.isfinite(gb[3])
    others = np.delete(np.arange(18), 3)
    np.testing.assert_allclose(
        np.delete(gw[others], 3, 1), np.delete(clean[2][others], 3, 1), rtol=0, atol=1e-5 * np.abs(clean[2]).max()
    )


@pytest.mark.slow
def test_digits_are_learnt_as_well() -> None:
    """A small net trains with Winograd's convolution as it does with im2col."""
    train, test = Digits(), Digits(train=False)
    pictures = {d: minicnn.tensor(d.data.numpy()[:, None].astype(np.float32) / 255) for d in (train, test)}

    def accuracy(algorithm: str) -> float:
        minicnn.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, 10),
        )  # fmt: skip
        optimizer = minicnn.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        order = np.random.default_rng(0)
        with minicnn.use(algorithm=algorithm):
            for _ in range(8):
                for batch in np.array_split(order.permutation(len(train)), 23):
                    optimizer.zero_grad()
                    loss = nn.functional.cross_entropy(net(pictures[train][batch]), train.targets[batch])
                    loss.backward()
                    optimizer.step()
            with minicnn.no_grad():
                return float((net(pictures[test]).argmax(1) == test.targets).numpy().mean())

    reached = {algorithm: accuracy(algorithm) for algorithm in ("winograd", "im2col")}
    assert min(reached.values()) > 0.95 and abs(reached["winograd"] - reached["im2col"]) < 0.015, reached
