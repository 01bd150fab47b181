"""The CUDA kernels that are matrix products in tiles: tiles that are not full, sums in parts, columns in bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels import conv2d, gemm, geometry, matmul, stacks
from minicnn_kernels.conv2d import depthwise, im2col, implicit, pointwise
from minicnn_kernels.emulated.raw_module import ORDERS, threads_in_order
from minicnn_kernels.geometry import Conv
from minicnn_kernels.layout import as_order, is_channels_last

from .test_tables import assert_same, outputs

ALL = (True, True, True)
CUDA: dict[str, Any] = {"implicit": implicit, "im2col": im2col, "pointwise": pointwise, "depthwise": depthwise}


def parts(m: int, n: int, k: int) -> int:
    """Into how many parts the sums of a product (M, K) @ (K, N) are cut."""
    return gemm.tiled(min(m, n), max(m, n), k, 1, m * n)[1].parts


# (M, K, N): whole tiles and not, high and low ones, transposed ones; sums in parts, also in parts that are not full
SIZES = [
    (64, 32, 128), (65, 17, 67), (16, 16, 64), (17, 33, 63), (100, 20, 3), (3, 20, 100), (1, 1, 300), (130, 1, 1),
    (5, 600, 7), (70, 1100, 66), (1, 5000, 1), (64, 512, 64), (200, 513, 2),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "k", "n"), SIZES)
def test_products(m: int, k: int, n: int, dtype: Any, rng: np.random.Generator) -> None:
    assert (parts(m, n, k) > 1) == (k >= 512)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    expected = (a.astype(np.float64) @ b.astype(np.float64)).astype(dtype)
    for left, right in ((a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b))):
        assert_same(matmul.matmul_cuda(left, right), expected, f"{m} {k} {n}")


@pytest.mark.parametrize(("m", "k", "n"), [(65, 17, 67), (70, 1100, 66), (200, 513, 2)])
def test_the_same_bits_in_every_order(m: int, k: int, n: int, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    found = set()
    for order in (*ORDERS, "random"):
        with threads_in_order(order):
            found.add(matmul.matmul_cuda(a, b).tobytes())
    assert len(found) == 1


@pytest.mark.slow
def test_long_sums_of_equal_terms() -> None:
    """Terms that are added one by one would give an error of 1e-3, since each is rounded the same way."""
    for m, n in ((2, 3), (130, 130)):
        a, b = np.full((m, 50_000), 0.1, np.float32), np.full((50_000, n), 0.1, np.float32)
        y = matmul.matmul_cuda(a, b)
        np.testing.assert_allclose(y, np.full((m, n), 50_000 * np.float64(np.float32(0.1)) ** 2), 1e-5)


def test_nan_reaches_its_row_and_column(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((70, 40)), rng.standard_normal((40, 66))
    a[69, 39], b[0, 65] = np.nan, np.inf
    y = matmul.matmul_cuda(a, b)
    assert np.isnan(y[69]).all() and np.isinf(y[:69, 65]).all() and np.isfinite(y[:69, :65]).all()


# --------------------------------------------------------------------------------------------------- stacks of matrices


def shaped(*shapes: tuple[int, ...], rng: np.random.Generator, dtype: Any = np.float64) -> list[Any]:
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def test_stacks_have_the_same_bits_in_every_order(rng: np.random.Generator) -> None:
    """Also a gradient whose sum goes over a stack, and is cut into parts."""
    a, b, gy = shaped((3, 17, 20), (150, 3, 20, 6), (150, 3, 17, 6), rng=rng, dtype=np.float32)
    assert parts(17, 20, 6 * 150) > 1
    found = set()
    for order in (*ORDERS, "random"):
        with threads_in_order(order):
            y, (ga, gb) = matmul.matmul_cuda(a, b), matmul.matmul_backward_cuda(gy, a, b, (True, True))
        assert ga is not None and gb is not None and (ga.shape, gb.shape) == (a.shape, b.shape)
        found.add(b"".join(x.tobytes() for x in (y, ga, gb)))
    assert len(found) == 1
    wide = [x.astype(np.float64) for x in (gy, a, b)]
    expected = matmul.matmul_backward_numpy(wide[0], wide[1], wide[2], (True, True))
    for got, exact in zip((y, ga, gb), (wide[1] @ wide[2], *expected), strict=True):
        assert exact is not None
        assert_same(got, exact.astype(np.float32), "stacks")


def test_stacks_are_not_copied(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """Heads of attention, transposed matrices, and matrices that are in several products."""

    def contiguous(*args: Any) -> Any:
        raise AssertionError("copied")

    monkeypatch.setattr(stacks, "contiguous", contiguous)
    (x,) = shaped((2, 7, 3, 5), rng=rng)  # (N, T, heads, D)
    heads = x.transpose(0, 2, 1, 3)
    few, (one,) = np.broadcast_to(x[:1], x.shape), shaped((5, 4), rng=rng)
    for a, b in (
        (heads, heads.swapaxes(-1, -2)), (x[:, None], x[None].swapaxes(-1, -2)), (few, few.swapaxes(2, 3)), (x, one),
        (one.T, x.swapaxes(2, 3)), (x[:, :, None], x.reshape(2, 7, 3, 5, 1)),
    ):  # fmt: skip
        assert_same(matmul.matmul_cuda(a, b), np.ascontiguousarray(a @ b), f"{a.shape} {b.shape}")
        gy = rng.standard_normal((a @ b).shape)
        got = matmul.matmul_backward_cuda(gy, a, b, (True, True))
        assert_same(got, matmul.matmul_backward_python(gy, a, b, (True, True)), f"{a.shape} {b.shape} backward")


def test_many_levels_of_broadcasting_are_copied(rng: np.random.Generator) -> None:
    a, b = shaped((1, 2, 1, 2, 1, 2, 3), (2, 2, 2, 2, 2, 3, 2), rng=rng)
    y = np.empty((2, 2, 2, 2, 2, 2, 2))
    assert [len(levels) for levels in stacks._levels(y.shape[:-2], a, b, y)] == [5, 0]
    assert [len(levels) for levels in stacks._levels(y.shape[:-2], y, b, a)] == [2, 3]
    assert_same(matmul.matmul_cuda(a, b), a @ b, "copied")


def test_nan_reaches_its_matrix_alone(rng: np.random.Generator) -> None:
    a, b = shaped((4, 3, 5, 6), (3, 6, 7), rng=rng)
    a[2, 1, 4, 5], b[0, 0, 6] = np.nan, np.inf
    y = matmul.matmul_cuda(a, b)
    assert np.isnan(y[2, 1, 4]).all() and np.isinf(y[:, 0, :, 6]).all()
    assert np.isnan(y).sum() == 7 and np.isinf(y).sum() == 20


# ---------------------------------------------------------------------------------------------------------- convolution

# few tiles and long sums: over the channels forward and for gx, over the pixels for gw
CONVS = {
    "channels": geometry.conv2d((1, 70, 5, 4), (60, 70, 3, 3), padding=1),
    "channels of groups": geometry.conv2d((2, 120, 3, 4), (130, 60, 3, 3), padding=1, groups=2),
    "strided, dilated": geometry.conv2d((1, 68, 9, 11), (150, 68, 4, 3), None, (2, 3), (3, 2), (3, 2)),
    "pixels": geometry.conv2d((3, 2, 19, 21), (5, 2, 3, 2), padding=(1, 0)),
    "pixels of groups": geometry.conv2d((4, 4, 17, 13), (6, 2, 2, 3), padding=1, groups=2),
    "a phase without a filter row": geometry.conv2d((2, 3, 8, 9), (4, 3, 2, 1), None, (3, 2), 1, (3, 2)),
    "1x1": geometry.conv2d((3, 600, 5, 4), (20, 600, 1, 1)),
    "1x1, strided": geometry.conv2d((2, 30, 40, 36), (7, 30, 1, 1), None, 2),
    "depthwise": geometry.conv2d((3, 5, 61, 60), (10, 1, 3, 3), padding=1, groups=5),
    "depthwise of 4x4": geometry.conv2d((2, 3, 30, 25), (3, 1, 4, 4), None, (1, 2), 2, groups=3),
}


def able(algorithm: str, g: Conv) -> bool:
    return conv2d.FORWARD.supports(algorithm, (None, None, None, g), "cuda")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("algorithm", CUDA)
def test_convolutions(algorithm: str, channels_last: bool, rng: np.random.Generator) -> None:
    """Against the numpy row of `direct`, which has no tiles."""
    done = {name: g for name, g in CONVS.items() if able(algorithm, g)}
    assert len(done) >= 2
    for name, g in done.items():
        x, w, b, gy = (rng.standard_normal(shape) for shape in (g.x_shape, g.w_shape, (g.o,), g.y_shape))
        expected = conv2d.direct.forward_numpy(x, w, b, g), *conv2d.direct.backward_numpy(gy, x, w, g, ALL)
        x, gy = as_order(x, channels_last), as_order(gy, channels_last)
        row = CUDA[algorithm]
        y, gx, gw, gb = row.forward_cuda(x, w, b, g), *row.backward_cuda(gy, x, w, g, ALL)
        assert_same((y, gx, gw, gb), expected, f"{algorithm}, {name}")
        assert is_channels_last(y) == is_channels_last(gx) == channels_last, name


def test_sums_in_parts_are_tested() -> None:
    g, h = CONVS["channels"], CONVS["pixels"]
    assert gemm.tiled(g.o, g.n * g.oh * g.ow, g.c * 9, 1, g.n * g.o * g.oh * g.ow)[1].parts > 1
    assert gemm.tiled(h.o, h.c * 6, h.n * h.oh * h.ow, 1, h.o * h.c * 6)[1].parts > 1


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 3000, 20_000])
def test_im2col_in_bands(most: int, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """One output row at a time, a few of them, or a few images."""
    monkeypatch.setattr(im2col, "MOST", most)
    for name in ("pixels of groups", "strided, dilated", "a phase without a filter row"):
        g = CONVS[name]._replace(c=CONVS[name].c, n=3)
        x, w, b, gy = (rng.standard_normal(shape) for shape in (g.x_shape, g.w_shape, (g.o,), g.y_shape))
        expected = conv2d.direct.forward_numpy(x, w, b, g), *conv2d.direct.backward_numpy(gy, x, w, g, ALL)
        for last in (False, True):
            x, gy = as_order(x, last), as_order(gy, last)
            got = im2col.forward_cuda(x, w, b, g), *im2col.backward_cuda(gy, x, w, g, ALL)
            assert_same(got, expected, f"{name}, {most}")


def test_the_same_bits_twice(rng: np.random.Generator) -> None:
    g = CONVS["strided, dilated"]
    x, w, gy = (rng.standard_normal(shape, np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape))
    found = set()
    for order in ORDERS:
        with threads_in_order(order):
            results = implicit.forward_cuda(x, w, None, g), *implicit.backward_cuda(gy, x, w, g, (True, True, False))
        found.add(b"".join(a.tobytes() for a in outputs(results) if a is not None))
    assert len(found) == 1


def test_the_rule() -> None:
    """Every algorithm that `auto` takes on a GPU can do the geometry, also with groups and dilation."""
    expected = {
        "1x1": "pointwise",
        "1x1, strided": "pointwise",
        "depthwise": "depthwise",
        "depthwise of 4x4": "depthwise",
    }
    for name, g in CONVS.items():
        row = conv2d.FORWARD.pick("cuda-emulated", None, (np.zeros(1), None, None, g))
        assert row == (expected.get(name, "implicit"), "cuda"), name
        assert able(row[0], g)
