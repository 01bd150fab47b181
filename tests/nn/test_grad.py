"""The gradients of convolutions as functions: equal to those of the backward pass, and with gradients of their own."""

from __future__ import annotations

from typing import Any

import pytest

import minicnn
from minicnn import nn
from minicnn.autograd import gradcheck
from minicnn.nn import functional as F

CASES = [
    (2, (2, 3, 6, 7), (4, 3, 3, 2), {}),
    (2, (2, 4, 7, 9), (6, 2, 3, 2), {"stride": (2, 3), "padding": (1, 0), "dilation": (1, 2), "groups": 2}),
    (2, (1, 4, 5, 5), (4, 1, 3, 3), {"stride": 2, "padding": 1, "groups": 4}),
    (1, (2, 3, 11), (4, 3, 3), {"stride": 3, "padding": 2, "dilation": 2}),
    (3, (2, 4, 5, 4, 3), (2, 2, 2, 3, 2), {"stride": (2, 1, 1), "padding": (1, 0, 1), "groups": 2}),
    (2, (0, 3, 6, 7), (4, 3, 3, 2), {}),
]


def convolution(rank: int) -> tuple[Any, Any, Any]:
    return getattr(F, f"conv{rank}d"), *(getattr(nn.grad, f"conv{rank}d_{of}") for of in ("input", "weight"))


@pytest.mark.parametrize(("rank", "x_shape", "w_shape", "options"), CASES)
def test_they_are_the_gradients_of_the_tape(
    rank: int, x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    conv, of_input, of_weight = convolution(rank)
    x = minicnn.randn(*x_shape, dtype=minicnn.float64, requires_grad=True)
    w = minicnn.randn(*w_shape, dtype=minicnn.float64, requires_grad=True)
    y = conv(x, w, **options)
    gy = minicnn.randn(*y.shape, dtype=minicnn.float64)
    gx, gw = minicnn.autograd.grad(y, (x, w), gy)
    minicnn.testing.assert_close(of_input(x.shape, w, gy, **options).detach(), gx)
    minicnn.testing.assert_close(of_weight(x, w.shape, gy, **options).detach(), gw)


@pytest.mark.parametrize(("rank", "x_shape", "w_shape", "options"), CASES[:5])
def test_they_have_gradients(
    rank: int, x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    conv, of_input, of_weight = convolution(rank)
    x = minicnn.randn(*x_shape, dtype=minicnn.float64, requires_grad=True)
    w = minicnn.randn(*w_shape, dtype=minicnn.float64, requires_grad=True)
    gy = minicnn.randn(*conv(x, w, **options).shape, dtype=minicnn.float64, requires_grad=True)
    gradcheck(lambda w, gy: of_input(x_shape, w, gy, **options), (w, gy))
    gradcheck(lambda x, gy: of_weight(x, w_shape, gy, **options), (x, gy))


def test_the_input_size_is_needed_where_the_stride_skips_rows() -> None:
    w, gy = minicnn.ones(1, 1, 2, 2), minicnn.ones(1, 1, 2, 2)
    assert nn.grad.conv2d_input((1, 1, 4, 5), w, gy, stride=2).shape == (1, 1, 4, 5)
    with pytest.raises(RuntimeError, match=r"conv2d_input: grad_output must have the shape \(1, 1, 2, 3\)"):
        nn.grad.conv2d_input((1, 1, 4, 6), w, gy, stride=2)
    with pytest.raises(RuntimeError, match="conv2d_weight: grad_output must have the shape"):
        nn.grad.conv2d_weight(minicnn.ones(1, 1, 9, 9), w.shape, gy, stride=2)


def test_on_meta_and_in_half_precision() -> None:
    with minicnn.device("meta"):
        found = F.grad.conv2d_weight(minicnn.ones(2, 3, 5, 5), (4, 3, 3, 3), minicnn.ones(2, 4, 3, 3))
    assert found.is_meta and found.shape == (4, 3, 3, 3)
    half = nn.grad.conv2d_input((1, 1, 3, 3), minicnn.ones(1, 1, 2, 2).half(), minicnn.ones(1, 1, 2, 2).half())
    assert half.dtype == minicnn.float16 and half.sum().item() == 16
