"""Pooling: properties of the layers and functions beyond the table of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import ShapeError, Tensor, nn

BACKENDS = ["python", "numpy", "numba"]


def counted(*shape: int, dtype: Any = np.float64) -> Tensor:
    return Tensor(np.arange(np.prod(shape), dtype=dtype).reshape(shape))


# The reprs of PyTorch 2.13, and its attributes.
LAYERS: list[tuple[Callable[[], nn.Module], str, dict[str, Any]]] = [
    (
        lambda: nn.MaxPool1d(2),
        "MaxPool1d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
        {"return_indices": False},
    ),
    (
        lambda: nn.MaxPool2d((2, 3), padding=1, return_indices=True),
        "MaxPool2d(kernel_size=(2, 3), stride=(2, 3), padding=1, dilation=1, ceil_mode=False)",
        {"return_indices": True, "stride": (2, 3)},
    ),
    (
        lambda: nn.MaxPool2d(3, 2, 1, 1, False, True),
        "MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=True)",
        {"return_indices": False},
    ),
    (
        lambda: nn.AvgPool1d(2),
        "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))",
        {"ceil_mode": False, "count_include_pad": True},
    ),
    (
        lambda: nn.AvgPool2d(2, (1, 2), divisor_override=3),
        "AvgPool2d(kernel_size=2, stride=(1, 2), padding=0)",
        {"ceil_mode": False, "count_include_pad": True, "divisor_override": 3},
    ),
    (lambda: nn.AdaptiveAvgPool1d(2), "AdaptiveAvgPool1d(output_size=2)", {}),
    (lambda: nn.AdaptiveAvgPool2d((None, 3)), "AdaptiveAvgPool2d(output_size=(None, 3))", {}),
    (lambda: nn.AdaptiveMaxPool1d(3), "AdaptiveMaxPool1d(output_size=3)", {"return_indices": False}),
    (lambda: nn.AdaptiveMaxPool2d(2, True), "AdaptiveMaxPool2d(output_size=2)", {"return_indices": True}),
    (lambda: nn.MaxUnpool1d(2, padding=1), "MaxUnpool1d(kernel_size=(2,), stride=(2,), padding=(1,))", {}),
    (lambda: nn.MaxUnpool2d(2, (1, 2)), "MaxUnpool2d(kernel_size=(2, 2), stride=(1, 2), padding=(0, 0))", {}),
    (lambda: nn.LPPool1d(2, 3), "LPPool1d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)", {}),
    (
        lambda: nn.LPPool2d(1.5, (2, 3), stride=2, ceil_mode=True),
        "LPPool2d(norm_type=1.5, kernel_size=(2, 3), stride=2, ceil_mode=True)",
        {},
    ),
]


@pytest.mark.parametrize(("build", "shown", "attributes"), LAYERS, ids=[shown for _, shown, _ in LAYERS])
def test_layers_look_as_pytorchs(build: Callable[[], nn.Module], shown: str, attributes: dict[str, Any]) -> None:
    layer = build()
    assert repr(layer) == shown
    assert {name: getattr(layer, name) for name in attributes} == attributes
    assert not layer.state_dict()


CALLS: list[tuple[nn.Module, tuple[int, ...], Callable[[Tensor], Any]]] = [
    (nn.MaxPool1d(3, 2, 1, 1, True, True), (2, 2, 8), lambda x: F.max_pool1d(x, 3, 2, 1, 1, True, True)),
    (nn.MaxPool2d((2, 3), 1, 1, 1, True), (2, 5, 6), lambda x: F.max_pool2d(x, (2, 3), 1, 1, 1, False, True)),
    (nn.MaxPool2d(2, ceil_mode=True), (1, 2, 5, 5), lambda x: F.max_pool2d(x, 2, ceil_mode=True)),
    (nn.MaxPool2d(2, 1, 0, 2), (1, 2, 5, 5), lambda x: F.max_pool2d(x, 2, 1, dilation=2)),
    (nn.AvgPool1d(3, 2, 1, True, False), (2, 2, 8), lambda x: F.avg_pool1d(x, 3, 2, 1, True, False)),
    (nn.AvgPool2d(3, 2, 1, True, False), (2, 2, 6, 6), lambda x: F.avg_pool2d(x, 3, 2, 1, True, False)),
    (nn.AvgPool2d(2, divisor_override=3), (2, 2, 6, 6), lambda x: F.avg_pool2d(x, 2, divisor_override=3)),
    (nn.AdaptiveAvgPool1d(3), (2, 2, 7), lambda x: F.adaptive_avg_pool1d(x, 3)),
    (nn.AdaptiveAvgPool2d((2, None)), (2, 2, 5, 7), lambda x: F.adaptive_avg_pool2d(x, (2, None))),
    (nn.AdaptiveMaxPool1d(3, True), (2, 2, 7), lambda x: F.adaptive_max_pool1d(x, 3, True)),
    (nn.AdaptiveMaxPool2d((2, None), True), (2, 2, 5, 7), lambda x: F.adaptive_max_pool2d(x, (2, None), True)),
    (nn.LPPool1d(2, 3, 1, True), (2, 2, 7), lambda x: F.lp_pool1d(x, 2, 3, 1, True)),
    (nn.LPPool2d(2, (2, 3), 1, True), (2, 2, 5, 7), lambda x: F.lp_pool2d(x, 2, (2, 3), 1, True)),
]


@pytest.mark.parametrize(("layer", "shape", "call"), CALLS, ids=[repr(layer) for layer, _, _ in CALLS])
def test_layers_pass_on_all_their_arguments(
    layer: nn.Module, shape: tuple[int, ...], call: Callable[[Tensor], Any]
) -> None:
    x = Tensor(np.random.default_rng(0).standard_normal(shape))
    found, expected = layer(x), call(x)
    assert isinstance(found, tuple) == isinstance(expected, tuple)
    for a, b in zip(*(y if isinstance(y, tuple) else (y,) for y in (found, expected)), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("backend", BACKENDS)
def test_adaptive_windows_by_hand(backend: str) -> None:
    """Three windows over seven values begin at floor(7i/3) = 0, 2, 4 and end before ceil(7(i + 1)/3) = 3, 5, 7."""
    with minicnn.use(backend=backend):
        x = Tensor(np.array([[[1.0, 2, 9, 4, 4, 6, 0]]]), requires_grad=True)
        y = F.adaptive_avg_pool1d(x, 3)
        np.testing.assert_allclose(y.detach().numpy(), [[[4, 17 / 3, 10 / 3]]], rtol=1e-15)
        y.backward(Tensor(np.array([[[3.0, 6, 9]]])))
        np.testing.assert_allclose(x.grad.numpy(), [[[1, 1, 3, 2, 5, 3, 3]]], rtol=1e-15)
        largest, where = F.adaptive_max_pool1d(x, 3, return_indices=True)
        assert largest.tolist() == [[[9, 9, 6]]]
        assert where.tolist() == [[[2, 2, 5]]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_mean_of_an_image_in_any_memory_order(backend: str) -> None:
    x = np.random.default_rng(0).standard_normal((3, 5, 4, 7))
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    with minicnn.use(backend=backend):
        for memory in (x, channels_last):
            t = Tensor(memory, requires_grad=True)
            y = F.adaptive_avg_pool2d(t, 1)
            np.testing.assert_allclose(y.detach().numpy(), x.mean((2, 3), keepdims=True), rtol=1e-13)
            y.backward(Tensor(np.arange(15.0).reshape(3, 5, 1, 1)))
            expected = np.broadcast_to(np.arange(15.0).reshape(3, 5, 1, 1) / 28, x.shape)
            np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize("ratio", [0.6, (0.6, 0.7)])
def test_fractional_windows(ratio: Any) -> None:
    """Every window begins one or two rows after the one before, and the last one ends at the edge; draws differ."""
    x = Tensor(np.arange(600.0).reshape(2, 3, 10, 10))  # the largest value of a window is its last one
    layer = nn.FractionalMaxPool2d(2, output_ratio=ratio, return_indices=True)
    y, index = layer(x)
    assert y.shape == (2, 3, 6, int(10 * (ratio if ratio == 0.6 else ratio[1])))
    flat = x.numpy().reshape(2, 3, 100)
    assert np.array_equal(np.take_along_axis(flat, index.numpy().reshape(2, 3, -1), 2).reshape(y.shape), y.numpy())
    rows, columns = index.numpy() // 10, index.numpy() % 10
    assert set(np.diff(rows, axis=2).ravel()) == {1, 2}
    assert set(np.diff(columns, axis=3).ravel()) <= {1, 2}
    assert (rows[:, :, 0] == 1).all()
    assert (rows[:, :, -1] == 9).all()
    assert (columns[..., -1] == 9).all()
    assert (F.fractional_max_pool2d(x, 2, 1, None, True)[1].numpy() == 99).all()  # a single window is the last one
    assert any(layer(x)[1].tolist() != index.tolist() for _ in range(5))
    again = nn.FractionalMaxPool2d(2, 5, _random_samples=minicnn.full((2, 3, 2), 0.3, dtype=minicnn.float64))
    assert np.array_equal(again(x).numpy(), again(x).numpy())
    assert "_random_samples" in again.state_dict()
    with minicnn.device("meta"):
        assert [t.shape for t in layer(minicnn.zeros(2, 3, 10, 10))] == [y.shape, y.shape]


def test_what_fractional_pooling_refuses() -> None:
    x = counted(1, 2, 4, 4)
    for call, words in [
        (lambda: F.fractional_max_pool2d(x, 2), "requires specifying either an output_size or an output_ratio"),
        (lambda: nn.FractionalMaxPool2d(2), "exactly one of output_size and output_ratio must be given"),
        (lambda: nn.FractionalMaxPool2d(2, 3, 0.5), "must be given, got 3 and 0.5"),
        (lambda: nn.FractionalMaxPool2d(2, output_ratio=1.5), "must be between 0 and 1, got 1.5"),
        (lambda: F.fractional_max_pool2d(x, 2, 4), "4 x 4 windows of 2 x 2 do not fit into 4 x 4"),
        (
            lambda: F.fractional_max_pool2d(x, 2, 2, _random_samples=x),
            r"Expect _random_samples of shape \(1, 2, 2\), .* got \(1, 2, 4, 4\)",
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            call()


def test_indices_are_int64_and_have_no_gradient() -> None:
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 6, 5)), requires_grad=True)
    for y, index in (
        F.max_pool2d(x, 2, return_indices=True),
        F.max_pool2d_with_indices(x, 2),
        F.max_pool1d_with_indices(x[0], 2, None, 0, 1, False, False),
        F.adaptive_max_pool2d(x, 4, True),
        F.adaptive_max_pool2d_with_indices(x, 4, False),
        F.adaptive_max_pool1d_with_indices(x[0], 4),
        F.fractional_max_pool2d_with_indices(x, 2, 3, None, False, minicnn.rand(2, 3, 2, dtype=minicnn.float64)),
    ):
        assert index.dtype == minicnn.int64
        assert index.shape == y.shape
        assert y.requires_grad
        assert not index.requires_grad
        flat = x.detach().numpy().reshape(*x.shape[:2], -1) if y.ndim == 4 else x.detach().numpy()[0]
        taken = np.take_along_axis(flat, index.numpy().reshape(*flat.shape[:-1], -1), -1)
        assert np.array_equal(taken.reshape(y.shape), y.detach().numpy())


def test_max_pool_undone() -> None:
    """The example in PyTorch's documentation of MaxUnpool2d, and a size that does not fit."""
    pool, unpool = nn.MaxPool2d(2, stride=2, return_indices=True), nn.MaxUnpool2d(2, stride=2)
    y, index = pool(counted(1, 1, 4, 4) + 1)
    expected = [[0, 0, 0, 0], [0, 6, 0, 8], [0, 0, 0, 0], [0, 14, 0, 16]]
    assert unpool(y, index).tolist() == [[expected]]
    x = counted(1, 1, 4, 5) + 1
    y, index = pool(x)
    with pytest.raises(RuntimeError, match=r"invalid max index: 1\d in an output of \(4, 4\).*output_size"):
        unpool(y, index)
    expected = [[0, 0, 0, 0, 0], [0, 7, 0, 9, 0], [0, 0, 0, 0, 0], [0, 17, 0, 19, 0]]
    for size in (x.size(), [4, 5]):
        assert unpool(y, index, output_size=size).tolist() == [[expected]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_unpooling_twice_to_one_place(backend: str) -> None:
    """The last value remains; both get the gradient of that place, as in PyTorch."""
    x = Tensor(np.array([[[1.0, 2.0, 3.0]]]), requires_grad=True)
    with minicnn.use(backend=backend):
        y = F.max_unpool1d(x, minicnn.tensor([[[4, 4, 0]]]), 2)
        assert y.tolist() == [[[3, 0, 0, 0, 2, 0]]]
        y.backward(counted(1, 1, 6) + 1)
    assert x.grad.tolist() == [[[5, 5, 1]]]


def test_integers_and_half_precision() -> None:
    """Types without kernels in Numba: the maximum of large integers is exact, the mean of integers is cut as in C."""
    big = 2**60
    x = minicnn.tensor([[[-3, -4, big, big + 1], [-1, -1, -7, 1]]])
    with minicnn.use(backend="numba"):
        assert F.max_pool2d(x, 2).tolist() == [[[-1, big + 1]]]
        assert F.avg_pool2d(x[:, :, :2], 2).tolist() == [[[-2]]]  # -9/4
        assert F.avg_pool2d(minicnn.tensor([[[3, 4], [1, 3]]]), 2, divisor_override=-3).tolist() == [[[-3]]]  # -11/3
        assert F.max_pool2d(x.to(minicnn.int32) % 9, 2, 1).dtype == minicnn.int32
        half = Tensor((np.arange(48) / 7).reshape(1, 3, 4, 4).astype(np.float16), requires_grad=True)
        for call in (F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
            y = call(half, 3)
            y.sum().backward()
            same = call(half.detach().to(minicnn.float64), 3)
            np.testing.assert_allclose(y.detach().numpy(), same.numpy(), rtol=1e-3)
            assert y.dtype == half.grad.dtype == np.float16


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_is_the_largest(backend: str) -> None:
    x = Tensor(np.array([[1.0, np.nan, 2, np.nan, 5, 6, 7]]))
    with minicnn.use(backend=backend):
        y, where = F.max_pool1d(x, 3, 1, return_indices=True)
        assert where.tolist() == [[1, 3, 3, 3, 6]]
        assert np.array_equal(y.numpy(), [[np.nan, np.nan, np.nan, np.nan, 7]], equal_nan=True)
        y, where = F.adaptive_max_pool1d(x, 3, return_indices=True)
        assert where.tolist() == [[1, 3, 6]]


def test_what_counts_in_a_mean_by_hand() -> None:
    """Ones with one zero on each side: the zeros count or not; rows beyond the padding never count."""
    x = Tensor(np.ones((1, 4)))
    third = 2 / 3
    np.testing.assert_allclose(F.avg_pool1d(x, 3, 1, 1).numpy(), [[third, 1, 1, third]])
    np.testing.assert_allclose(F.avg_pool1d(x, 3, 1, 1, False, False).numpy(), [[1, 1, 1, 1]])
    np.testing.assert_allclose(F.avg_pool1d(x, 3, 2, 1, True).numpy(), [[third, 1, 0.5]])
    np.testing.assert_allclose(F.avg_pool2d(x[None], (1, 3), 2, (0, 1), False, False).numpy(), [[[1, 1]]])
    np.testing.assert_allclose(F.lp_pool1d(x, 1, 3, 2, True).numpy(), [[3, 3]])  # two ones count as three
    assert F.lp_pool1d(-x, -float("inf"), 2).tolist() == F.lp_pool1d(-x, float("inf"), 2).tolist() == [[1, 1]]


def test_power_average_pooling_at_zero_and_below() -> None:
    """Where all values are 0 the gradient is 0; an odd power keeps the signs, and its root does not."""
    x = Tensor(np.zeros((1, 1, 4, 4)), requires_grad=True)
    F.lp_pool2d(x, 2, 2).sum().backward()
    assert not x.grad.numpy().any()
    assert F.lp_pool2d(Tensor(np.full((1, 2, 2), -1.0)), 1, 2).tolist() == [[[-4]]]
    assert np.isnan(F.lp_pool2d(Tensor(np.full((1, 2, 2), -1.0)), 3, 2).numpy()).all()
    assert F.lp_pool1d(Tensor(np.array([[3.0, -4.0, 1.0, 0.0]])), 2, 2).tolist() == [[5, 1]]


def test_what_pooling_refuses() -> None:
    x = counted(1, 2, 4, 4)
    index = minicnn.zeros(1, 2, 2, 2, dtype=minicnn.int64)
    for call, words in [
        (lambda: F.max_pool2d(np.ones((1, 1, 2, 2)), 2), "max_pool2d: input must be a Tensor"),
        (lambda: F.avg_pool2d(x > 1, 2), "avg_pool2d: input must be floating point or int64, got minicnn.bool"),
        (lambda: F.adaptive_avg_pool2d(counted(1, 2, 2, dtype=np.int64), 1), r"adaptive_avg_pool2d: .* \.float\(\)"),
        (lambda: F.max_unpool2d(x[:, :, :2, :2], index.to(minicnn.int32), 2), "max_unpool2d: indices .* got int32"),
        (lambda: F.max_unpool2d(x[:, :, :2, :2], index - 1, 2), "max_unpool2d: found an invalid max index: -1"),
        (lambda: F.avg_pool2d(x, 2, divisor_override=0), "avg_pool2d: divisor_override must be an int other than 0"),
        (lambda: F.avg_pool2d(x, 2, divisor_override=2.5), "avg_pool2d: divisor_override must be an int"),
        (lambda: F.lp_pool2d(x, 0, 2), "lp_pool2d: norm_type must not be 0"),
        (lambda: F.max_pool2d(x, 5), "max_pool2d: the window is larger than the input"),
        (lambda: F.max_pool1d(x, 2), r"max_pool1d: input must be 3-d \(N, C, L\)"),
    ]:
        with pytest.raises((TypeError, ShapeError, RuntimeError, ValueError, ZeroDivisionError), match=words):
            call()


def test_unpooling_on_meta_checks_shapes_alone() -> None:
    with minicnn.device("meta"):
        y, index = F.max_pool2d(minicnn.zeros(2, 3, 8, 8), 2, return_indices=True)
        assert F.max_unpool2d(y, index, 2).shape == (2, 3, 8, 8)
        with pytest.raises(ShapeError, match="does not pool"):
            F.max_unpool2d(y, index, 2, output_size=(10, 10))


@pytest.mark.parametrize("size", [np.array([2, 3]), minicnn.tensor([2, 3]), range(2, 4)], ids=repr)
def test_an_adaptive_size_is_any_pair_of_ints(size: Any) -> None:
    x = minicnn.ones(1, 1, 6, 6)
    for y in (F.adaptive_avg_pool2d(x, size), F.adaptive_max_pool2d(x, size), nn.AdaptiveAvgPool2d(size)(x)):
        assert y.shape == (1, 1, 2, 3)
    for wrong in ("23", {2, 3}, {2: 3}, np.array([2.0, 3.0]), np.array([1, 2, 3])):
        with pytest.raises(TypeError, match="output_size must be"):
            F.adaptive_avg_pool2d(x, wrong)  # type: ignore[arg-type]
