"""Convolution, its transpose, folding, padding and interpolation, checked against other definitions; any geometry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor
from minicnn_kernels.sparse_rows import interpolation

seeds = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=60)


@st.composite
def geometries(draw: Any) -> dict[str, Any]:
    """A convolution: shapes and options, of images or signals, chosen so that a window fits."""
    rank, groups = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    sides = []
    for _ in range(rank):
        k, s, d, p = (draw(st.integers(*span)) for span in ((1, 4), (1, 3), (1, 3), (0, 3)))
        least = max(1, d * (k - 1) + 1 - 2 * p)
        sides.append((draw(st.integers(least, least + 5)), k, s, p, d))
    size, kernel, stride, padding, dilation = zip(*sides, strict=True)
    c, o = (groups * draw(st.integers(1, 2)) for _ in range(2))
    return {
        "rank": rank, "x": (draw(st.integers(0, 3)), c, *size), "w": (o, c // groups, *kernel),
        "options": {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
    }  # fmt: skip


def draw_tensor(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    return Tensor(rng.standard_normal(shape))


def dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum())


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_conv_transpose_is_the_transpose_of_conv(backend: str) -> None:
    """<conv(x), y> = <x, conv_transpose(y)>, where output_padding restores the size of x."""

    @FEW
    @given(geometries(), seeds)
    def check(g: dict[str, Any], seed: int) -> None:
        rng = np.random.default_rng(seed)
        x, w = draw_tensor(rng, g["x"]), draw_tensor(rng, g["w"])
        conv, back = getattr(F, f"conv{g['rank']}d"), getattr(F, f"conv_transpose{g['rank']}d")
        with minicnn.use(backend=backend):
            ax = conv(x, w, **g["options"])
            y = draw_tensor(rng, ax.shape)
            smallest = back(y, w, **g["options"]).shape if min(g["x"][2:]) > 3 else None
            options = g["options"]
            sides = zip(*(options[k] for k in ("stride", "padding", "dilation")), g["x"][2:], w.shape[2:], strict=True)
            more = tuple((size + 2 * p - d * (k - 1) - 1) % s for s, p, d, size, k in sides)
            aty = back(y, w, output_padding=more, **options)
        assert aty.shape == x.shape
        assert smallest is None or all(a <= b for a, b in zip(smallest, x.shape, strict=True))
        assert abs(dot(ax, y) - dot(x, aty)) <= 1e-12 * (1 + float((ax * y).abs().sum()))

    check()


@pytest.mark.parametrize("backend", ["python", "numpy", "numba"])
def test_a_convolution_is_a_product_with_unfolded_windows(backend: str) -> None:
    @settings(max_examples=15 if backend == "python" else 60)
    @given(geometries().filter(lambda g: g["rank"] == 2 and g["options"]["groups"] == 1), seeds)
    def check(g: dict[str, Any], seed: int) -> None:
        rng = np.random.default_rng(seed)
        x, w = draw_tensor(rng, g["x"]), draw_tensor(rng, g["w"])
        options = {key: value for key, value in g["options"].items() if key != "groups"}
        with minicnn.use(backend=backend):
            columns = F.unfold(x, w.shape[2:], **options)
            y = F.conv2d(x, w, **options)
            up = draw_tensor(rng, columns.shape)
            back = F.fold(up, x.shape[2:], w.shape[2:], **options)
        product = w.flatten(1).numpy() @ columns.numpy()  # (O, K) @ (N, K, OH*OW)
        np.testing.assert_allclose(product.reshape(y.shape), y.numpy(), rtol=0, atol=1e-12)
        assert abs(dot(columns, up) - dot(x, back)) <= 1e-12 * (1 + float((columns * up).abs().sum()))

    check()


def test_a_flipped_convolution_is_the_one_of_signal_processing() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(9), rng.standard_normal(4)
    y = F.conv1d(Tensor(x[None, None]), Tensor(w[None, None]), padding=3, flipped=True)
    np.testing.assert_allclose(y.numpy()[0, 0], np.convolve(x, w), rtol=0, atol=1e-14)
    image, kernel = rng.standard_normal((5, 6)), rng.standard_normal((3, 2))
    whole = F.conv2d(Tensor(image[None, None]), Tensor(kernel[None, None]), padding=(2, 1), flipped=True)
    turned = F.conv2d(Tensor(kernel[None, None]), Tensor(image[None, None]), padding=(4, 5), flipped=True)
    np.testing.assert_allclose(whole.numpy(), turned.numpy(), rtol=0, atol=1e-14)  # x * w = w * x


@FEW
@given(st.integers(1, 9), st.integers(-3, 9), st.integers(-3, 9), st.sampled_from(["reflect", "symmetric"]), seeds)
def test_padding_is_numpys(size: int, before: int, after: int, mode: str, seed: int) -> None:
    """Without cropping, compared directly; with cropping, the image is padded before it is cropped."""
    mode = mode if mode == "reflect" else "replicate"
    x = np.random.default_rng(seed).standard_normal((2, 3, size))
    if size + before + after < 1 or (mode == "reflect" and max(before, after) >= size):
        with pytest.raises(minicnn.ShapeError, match="pad: "):
            F.pad(Tensor(x), (before, after), mode)
        return
    wide = np.pad(x, ((0, 0), (0, 0), (max(before, 0), max(after, 0))), "edge" if mode == "replicate" else mode)
    expected = wide[..., max(-before, 0) : wide.shape[-1] - max(-after, 0)]
    np.testing.assert_array_equal(F.pad(Tensor(x), (before, after), mode).numpy(), expected)


@pytest.mark.parametrize("mode", ["linear", "cubic", "area", "nearest", "nearest-exact"])
def test_the_weights_of_every_interpolation_sum_to_one(mode: str) -> None:
    """So a constant stays the same; and all indices lie in the image."""
    for size in range(1, 8):
        for out in range(1, 12):
            for corners in (False, True) if mode in ("linear", "cubic") else (False,):
                for antialias in (False, True) if mode in ("linear", "cubic") else (False,):
                    taps, back = interpolation(mode, size, out, None, corners, antialias)
                    assert taps.column.min() >= 0 and taps.column.max() < size and taps.out == out and back.size == out
                    sums = np.add.reduceat(taps.weight, taps.start[:-1])
                    np.testing.assert_allclose(sums, 1, rtol=0, atol=1e-14)


@FEW
@given(st.integers(2, 9), st.integers(1, 20), st.booleans(), st.floats(-2, 2), st.floats(-2, 2))
def test_linear_interpolation_keeps_a_line(size: int, out: int, corners: bool, a: float, b: float) -> None:
    """Each output pixel between the first and the last input pixel is a + b*p at its position p."""
    x = Tensor((a + b * np.arange(float(size)))[None, None])
    o = np.arange(out)
    p = o * (size - 1) / max(out - 1, 1) if corners else (o + 0.5) * size / out - 0.5
    inside = (p >= 0) & (p <= size - 1)
    y = F.interpolate(x, size=out, mode="linear", align_corners=corners).numpy()[0, 0]
    np.testing.assert_allclose(y[inside], (a + b * p)[inside], rtol=0, atol=1e-12)


def test_cubic_interpolation_takes_keys_function() -> None:
    """With a = -3/4, as PyTorch, and a = -1/2 with antialias, as Pillow; for an output with all of its four pixels."""
    for antialias, a in ((False, -0.75), (True, -0.5)):
        taps = interpolation("cubic", 6, 12, None, False, antialias)[0].merged()
        f = 0.75  # output 4 of 12 lies at p = 1.75 of 6
        t = np.array([1 + f, f, 1 - f, 2 - f])  # from pixels 0, 1, 2, 3
        near, far = (a + 2) * t**3 - (a + 3) * t**2 + 1, a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
        row = slice(taps.start[4], taps.start[5])
        assert list(taps.column[row]) == [0, 1, 2, 3]
        np.testing.assert_allclose(taps.weight[row], np.where(t < 1, near, far), rtol=0, atol=1e-14)


def test_where_shuffled_pixels_and_channels_go() -> None:
    r, x = 2, np.random.default_rng(0).standard_normal((2, 12, 3, 5))
    y = F.pixel_shuffle(Tensor(x), r).numpy()
    for c, a, b in np.ndindex(3, r, r):
        np.testing.assert_array_equal(y[:, c, a::r, b::r], x[:, c * r * r + a * r + b])
    np.testing.assert_array_equal(F.pixel_unshuffle(Tensor(y), r).numpy(), x)
    z = F.channel_shuffle(Tensor(x), 3).numpy()
    for g, c in np.ndindex(3, 4):
        np.testing.assert_array_equal(z[:, c * 3 + g], x[:, g * 4 + c])


def rounded_passes(x: Tensor, size: tuple[int, int], **options: Any) -> np.ndarray:
    """Interpolate along the width, then along the height; round and clip after each pass."""
    for step in ((x.shape[2], size[1]), size):
        x = (F.interpolate(x, size=step, **options) + 0.5).floor().clamp(0, 255)
    return x.numpy()


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_interpolation_of_bytes_rounds_and_saturates(mode: str, antialias: bool) -> None:
    x = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (2, 3, 9, 8))
    y = F.interpolate(Tensor(x), size=(13, 5), mode=mode, antialias=antialias)
    expected = rounded_passes(Tensor(x.astype(np.float64)), (13, 5), mode=mode, antialias=antialias)
    assert y.dtype == np.uint8
    assert np.abs(y.numpy() - expected).max() <= 1  # the weights of bytes have 16 bits


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialiased_bytes_are_pillows(mode: str) -> None:
    from PIL import Image

    x = np.random.default_rng(0).integers(0, 256, (17, 23), dtype=np.uint8)
    for size in ((5, 9), (30, 7), (17, 40)):
        y = F.interpolate(Tensor(x[None, None]), size=size, mode=mode, antialias=True).numpy()[0, 0]
        theirs = np.asarray(Image.fromarray(x).resize(size[::-1], getattr(Image.Resampling, mode.upper())), dtype=int)
        assert np.abs(y - theirs).max() <= 1 and (y != theirs).mean() < 0.05


@pytest.mark.parametrize("call", [
    lambda x: F.interpolate(x, size=3, mode="bilinear"),
    lambda x: F.interpolate(x, size=3, mode="area"),
])  # fmt: skip
def test_interpolation_of_integers_is_refused(call: Any) -> None:
    with pytest.raises(TypeError, match=r"int64.*\.float\(\)"):
        call(minicnn.ones(1, 1, 4, 4, dtype=minicnn.int64))


@pytest.mark.parametrize(("dtype", "name"), [(np.int64, "integers"), (np.float16, "half precision")], ids=str)
def test_convolution_of_other_types(dtype: Any, name: str) -> None:
    rng = np.random.default_rng(0)
    x, w, b = (rng.integers(-3, 4, shape).astype(dtype) for shape in ((2, 4, 5, 6), (6, 2, 3, 2), (6,)))
    options = {"groups": 2, "padding": 1, "stride": (2, 1)}
    y = F.conv2d(Tensor(x), Tensor(w), Tensor(b), **options)
    exact = F.conv2d(*(Tensor(a.astype(np.float64)) for a in (x, w, b)), **options)
    assert y.dtype == dtype, name
    np.testing.assert_array_equal(y.numpy(), exact.numpy())
    back = F.conv_transpose2d(y, Tensor(w), **options)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back.numpy(), F.conv_transpose2d(exact, Tensor(w.astype(float)), **options).numpy())


ERRORS: list[tuple[Any, type[Exception], str]] = [
    (lambda x: F.conv2d(x, x, padding="full"), ValueError, "'valid' or 'same', got 'full'"),
    (lambda x: F.conv2d(x, x.double()), TypeError, "weight is minicnn.float64 but input is minicnn.float32"),
    (lambda x: F.conv2d(x, x > 0), TypeError, "bool"),
    (lambda x: F.conv2d(x, [1.0]), TypeError, "weight must be a Tensor"),
    (lambda x: F.interpolate(x), ValueError, "exactly one of size and scale_factor"),
    (lambda x: F.interpolate(x, 3, 2.0), ValueError, "exactly one of size and scale_factor"),
    (lambda x: F.interpolate(x, (3, 4, 5)), ValueError, "one for each of the 2 axes"),
    (lambda x: F.interpolate(x, 3, recompute_scale_factor=True), ValueError, "needs a scale_factor"),
    (lambda x: F.interpolate(x, 3, align_corners=True), ValueError, "align_corners is for"),
    (lambda x: F.interpolate(x, 3, mode="linear"), NotImplementedError, "'linear' needs an input with 3 axes"),
    (lambda x: F.interpolate(x, 3, mode="lanczos"), NotImplementedError, "no mode 'lanczos'; there are: nearest"),
    (lambda x: F.interpolate(x, 3, antialias=True), ValueError, "antialias=True is for 'bilinear' and 'bicubic'"),
    (lambda x: F.interpolate(x, 0), ValueError, "must have channels and pixels"),
    (lambda x: F.interpolate(x[:0, :0], 3), ValueError, "must have channels and pixels"),
    (lambda x: F.pad(x, (1, 1), "edge"), NotImplementedError, "no mode 'edge'"),
    (lambda x: F.pad(x, (1, 1, 1, 1), "reflect", 2.0), ValueError, "takes no value"),
    (lambda x: F.pad(x > 0, (1, 1, 1, 1), "reflect"), TypeError, "does not take bool"),
    (lambda x: F.pixel_shuffle(x, 2), ValueError, "pixel_shuffle: input must be"),
    (lambda x: F.pixel_unshuffle(x, 3), ValueError, "pixel_unshuffle: input must be"),
    (lambda x: F.channel_shuffle(x, 2), ValueError, "channel_shuffle: input must be"),
]


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS, ids=[row[2] for row in ERRORS])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_errors(call: Any, kind: type[Exception], message: str, device: str) -> None:
    """The errors are the same for real and for meta tensors."""
    with pytest.raises(kind, match=message):
        call(minicnn.ones(1, 1, 4, 4, device=device))


def test_old_names_warn_and_work() -> None:
    x = Tensor(np.arange(12.0).reshape(1, 1, 3, 4))
    for call, mode, corners in ((F.upsample_nearest, "nearest", None), (F.upsample_bilinear, "bilinear", True)):
        with pytest.warns(UserWarning, match="deprecated.*use interpolate"):
            y = call(x, scale_factor=2)
        np.testing.assert_array_equal(y.numpy(), F.interpolate(x, None, 2, mode, corners).numpy())


UPSTREAM: list[Callable[[Any], Any]] = [
    lambda a: a,
    lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    lambda a: np.broadcast_to(a[:1, :1, :1, :1], a.shape),
    lambda a: np.broadcast_to(a[:, :, :1, :1], a.shape),
    lambda a: np.broadcast_to(a[:, :1, :, :], a.shape),
    lambda a: np.broadcast_to(a[:1, :, :1, :], a.shape),
    lambda a: np.broadcast_to(a[:, :, ::-1, :1], a.shape),
    lambda a: a[:, ::-1, ::-1, ::-1],
]


@pytest.mark.parametrize("order", UPSTREAM)
def test_the_bias_of_a_transposed_convolution_loses_no_digits(
    order: Callable[[Any], Any], rng: np.random.Generator
) -> None:
    """gb is a sum over all pixels of the batch: 180,000 values of float32, in any memory order, or repeated."""
    gy = order(rng.random((2, 3, 300, 300), np.float32))
    b = Tensor(np.zeros(3, np.float32), requires_grad=True)
    x, w = Tensor(np.zeros((2, 1, 300, 300), np.float32)), Tensor(np.ones((1, 3, 1, 1), np.float32))
    F.conv_transpose2d(x, w, b).backward(Tensor(gy))
    assert b.grad is not None
    np.testing.assert_allclose(b.grad.numpy(), gy.sum((0, 2, 3), dtype=np.float64), rtol=2e-6)
    F.conv_transpose2d(x[:0], w, b).sum().backward()  # an empty batch adds nothing
