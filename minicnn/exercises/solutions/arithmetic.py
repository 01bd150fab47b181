"""Sizes, receptive fields, the scale of first weights, and numerical gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from minicnn_kernels.arrays import Array

from ...nn.init import fans


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """The size of the output: how many windows of a convolution or pooling fit, along one axis.

    The padding adds `padding` pixels at both ends. A window reaches over dilation*(kernel - 1) + 1 pixels. The first
    one begins at the first pixel, the next one `stride` pixels later; pixels at the end that fill no window are left
    out.

    Args:
        size: of the input: H or W.
        kernel, stride, padding, dilation: of that axis.

    Returns:
        the number of windows, an int; 0 if not even one fits.
    """
    return max(0, (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)


def receptive_field(layers: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """The receptive field: how many pixels one output of a net sees along an axis, and how far apart two outputs look.

    One pixel of the image sees 1 pixel, and the next one looks 1 pixel further: field = 1, jump = 1. A layer whose
    window has K cells, with stride S and dilation D, changes them so:

        field <- field + (K - 1) * D * jump
        jump  <- jump * S                           in this order

    Args:
        layers: (K, S, D) of each layer, from the image on.

    Returns:
        field and jump, two ints.
    """
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += (kernel - 1) * dilation * jump
        jump *= stride
    return field, jump


def initial_scale(shape: tuple[int, ...], scheme: str) -> float:
    """The scale of first weights: with it, activations neither fade nor explode from layer to layer.

        fan_in  = C*KH*KW   products that a sum has      (linear: the inputs)
        fan_out = O*KH*KW   sums that an input is in     (linear: the outputs)

        Xavier: the variance is 2 / (fan_in + fan_out)      He (for ReLU): 2 / fan_in

    A normal distribution is given by its standard deviation, a uniform one by its bound a: U(-a, a) has the variance
    a^2 / 3.

    Args:
        shape: of the weight: (O, C, KH, KW), or (O, C) of a linear layer.
        scheme: "xavier_normal", "xavier_uniform", "he_normal" or "he_uniform".

    Returns:
        the standard deviation if it is normal, the bound if it is uniform.
    """
    fan_in, fan_out = fans(shape)
    variance = 2 / (fan_in + fan_out) if scheme.startswith("xavier") else 2 / fan_in
    return math.sqrt(3 * variance) if scheme.endswith("uniform") else math.sqrt(variance)


def numerical_gradient(f: Callable[[Array], float], x: Array, eps: float) -> Array:
    """The gradient by central differences: how a gradient is checked.

        g[i] = (f(x + eps*e_i) - f(x - eps*e_i)) / (2*eps)     e_i is 1 at place i and 0 elsewhere; for each place i

    Args:
        f: takes an array of the shape of x and returns a number.
        x: an array of any shape; leave it as it was.
        eps: the step.

    Returns:
        g, of the shape of x.
    """
    g = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * eps
            ends.append(f(moved))
        g[place] = (ends[0] - ends[1]) / (2 * eps)
    return g
