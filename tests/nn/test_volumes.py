"""Layers of volumes (N, C, D, H, W): what they share with those of images, and their own errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.nn import functional as F

X = np.random.default_rng(0).standard_normal((2, 3, 4, 5, 6))


def volume() -> minicnn.Tensor:
    return minicnn.tensor(X)


def test_a_kernel_of_depth_one_is_a_convolution_of_each_slice() -> None:
    w = minicnn.randn(4, 3, 1, 2, 3, dtype=minicnn.float64)
    y = F.conv3d(volume(), w, padding=(0, 1, 1))
    for d in range(4):
        same = F.conv2d(volume()[:, :, d], w[:, :, 0], padding=1)
        minicnn.testing.assert_close(y[:, :, d], same)


def test_the_definition() -> None:
    """Window by window, with strides, padding and dilation that differ along the axes."""
    w = np.random.default_rng(1).standard_normal((2, 3, 2, 3, 2))
    y = F.conv3d(volume(), minicnn.tensor(w), stride=(1, 2, 1), padding=(1, 1, 2), dilation=(2, 1, 3))
    x = np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1), (2, 2)))
    for e, i, j in np.ndindex(*y.shape[2:]):
        window = x[:, :, e : e + 3 : 2, 2 * i : 2 * i + 3, j : j + 4 : 3]
        np.testing.assert_allclose(y[:, :, e, i, j].numpy(), np.einsum("ncdhw,ocdhw->no", window, w), atol=1e-12)


def test_transposed_convolution_is_the_transpose() -> None:
    w = minicnn.randn(4, 3, 2, 3, 2, dtype=minicnn.float64)
    y = F.conv3d(volume(), w, stride=2, padding=(1, 0, 1))
    v = minicnn.randn(*y.shape, dtype=minicnn.float64)
    back = F.conv_transpose3d(v, w, stride=2, padding=(1, 0, 1), output_padding=(0, 0, 0))
    x = volume()[:, :, : back.shape[2], : back.shape[3], : back.shape[4]]
    whole = F.pad(back, (0, 6 - back.shape[4], 0, 5 - back.shape[3], 0, 4 - back.shape[2]))
    assert (y * v).sum().item() == pytest.approx((volume() * whole).sum().item())
    assert x.shape == back.shape


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv3d(3, 4, (1, 2, 3), stride=2, padding="valid"),
        nn.Conv3d(3, 4, 2, padding="same", padding_mode="circular"),
        nn.ConvTranspose3d(3, 4, 3, stride=2, output_padding=1),
        nn.MaxPool3d(2, return_indices=False),
        nn.AvgPool3d((2, 1, 2), ceil_mode=True),
        nn.AdaptiveAvgPool3d((2, None, 3)),
        nn.AdaptiveMaxPool3d(2),
        nn.LPPool3d(2, 2),
        nn.FractionalMaxPool3d(2, output_ratio=0.5, _random_samples=minicnn.rand(2, 3, 3)),
        nn.ReflectionPad3d(1),
        nn.ReplicationPad3d((1, 0, 2, 1, 0, 1)),
        nn.CircularPad3d(2),
        nn.ZeroPad3d(1),
        nn.ConstantPad3d(1, 2.5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_one_volume_is_a_batch_of_one(layer: nn.Module) -> None:
    x = volume().float()
    both = layer(x)
    assert both.is_contiguous()
    one: Any = layer(x[0])
    minicnn.testing.assert_close(one, both[0], rtol=1e-5, atol=1e-5)
    assert layer.to("meta")(x.to("meta")).shape == both.shape


def test_positions_of_the_largest_are_those_in_the_volume() -> None:
    y, where = F.max_pool3d(volume(), (2, 2, 3), stride=1, padding=(1, 0, 1), return_indices=True)
    assert np.array_equal(np.take_along_axis(X.reshape(2, 3, -1), where.numpy().reshape(2, 3, -1), 2), y.flatten(2))
    y, where = F.adaptive_max_pool3d(volume(), (3, 2, 4), return_indices=True)
    assert np.array_equal(np.take_along_axis(X.reshape(2, 3, -1), where.numpy().reshape(2, 3, -1), 2), y.flatten(2))


def test_the_first_of_equal_values_gets_the_gradient() -> None:
    x = minicnn.zeros(1, 2, 2, 2, requires_grad=True)
    F.max_pool3d(x, 2).sum().backward()
    assert x.grad.flatten().tolist() == [1, 0, 0, 0, 0, 0, 0, 0]


def test_means_at_the_edge_count_as_asked() -> None:
    x = minicnn.ones(1, 1, 2, 2, 2)
    assert F.avg_pool3d(x, 2, stride=2, padding=1).flatten().tolist() == [1 / 8] * 8
    assert F.avg_pool3d(x, 2, stride=2, padding=1, count_include_pad=False).flatten().tolist() == [1] * 8
    assert F.avg_pool3d(x, 2, divisor_override=4).item() == 2


def test_unpooling_refuses_places_outside() -> None:
    x = minicnn.ones(1, 1, 1, 1, 1)
    with pytest.raises(RuntimeError, match=r"max_unpool3d: found an invalid max index: 8 in an output of \(2, 2, 2\)"):
        F.max_unpool3d(x, minicnn.full((1, 1, 1, 1, 1), 8), 2)
    with pytest.raises(RuntimeError, match="max_unpool3d: indices must be an int64 tensor"):
        F.max_unpool3d(x, x, 2)


def test_errors_name_the_operation() -> None:
    with pytest.raises(RuntimeError, match=r"conv3d: padding must be a number, a tuple, 'valid' or 'same', got 'both'"):
        F.conv3d(volume(), minicnn.ones(1, 3, 1, 1, 1).double(), padding="both")
    with pytest.raises(RuntimeError, match="conv3d: padding='same' keeps the size only with stride 1"):
        F.conv3d(volume(), minicnn.ones(1, 3, 1, 1, 1).double(), padding="same", stride=2)
    with pytest.raises(ValueError, match="avg_pool3d: divisor_override must be an int other than 0"):
        F.avg_pool3d(volume(), 2, divisor_override=0)
    with pytest.raises(ValueError, match="FractionalMaxPool3d: exactly one of output_size and output_ratio"):
        nn.FractionalMaxPool3d(2)
    with pytest.raises(RuntimeError, match=r"conv3d_input: grad_output must have the shape \(2, 4, 3, 4, 5\)"):
        nn.grad.conv3d_input(X.shape, minicnn.ones(4, 3, 2, 2, 2), minicnn.ones(2, 4, 3, 4, 4))


def test_half_precision_and_whole_numbers() -> None:
    counted = minicnn.arange(8).reshape(1, 2, 2, 2)
    assert F.avg_pool3d(counted, 2, padding=1, count_include_pad=False).flatten().tolist() == list(range(8))
    assert F.avg_pool3d(-counted, 2).item() == -3 and F.avg_pool3d(-counted, 2, divisor_override=5).item() == -5
    half = F.conv3d(minicnn.ones(1, 2, 2, 2, 2).half(), minicnn.ones(1, 2, 2, 2, 2).half())
    assert half.dtype == minicnn.float16 and half.item() == 16
    whole = F.conv3d(minicnn.ones(1, 2, 2, 2, 2).long(), minicnn.ones(1, 2, 2, 2, 2).long())
    assert whole.dtype == minicnn.int64 and whole.item() == 16


def test_changed_positions_are_noticed() -> None:
    x = volume().requires_grad_()
    y, where = F.max_pool3d(x, 2, return_indices=True)
    y.sum().backward(retain_graph=True)
    where.add_(1)
    with pytest.raises(RuntimeError, match=r"MaxPool3d|changed|in place"):
        y.sum().backward()
