"""A linear layer and batch normalisation, number by number.

linear        y[n, o] = b[o] + sum_k x[n, k] w[o, k]        gx[n, k] = sum_o gy[n, o] w[o, k]
                                                            gw[o, k] = sum_n gy[n, o] x[n, k]
batch norm    xhat = (x - mean) / sqrt(var + eps)           y = gamma xhat + beta, mean and var of a channel
              gx = gamma/sqrt(var + eps) (gy - mean(gy) - xhat mean(gy xhat))
              ggamma = sum gy xhat
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import ShapeError

from ..nn import functional as F
from ..tensor import Tensor, array_of
from .convolution import at, trained
from .sums import Factor, Sum, factor


@dataclass(frozen=True)
class LinearTrace:
    """A linear layer as the kernels that train computed it: x (N, K), w (O, K), b (O,) or None, y (N, O), gradients."""

    x: Array
    w: Array
    b: Array | None
    y: Array
    gy: Array
    gx: Array
    gw: Array

    def output(self, *cell: int) -> Sum:
        """The sum that is y[n, o]."""
        n, o = at("y", self.y, cell)
        k = np.arange(self.x.shape[1])
        start, name = (0.0, None) if self.b is None else (float(self.b[o]), f"b[{o}]")
        left, right = factor("x", self.x, (np.full_like(k, n), k)), factor("w", self.w, (np.full_like(k, o), k))
        return Sum("y", (n, o), left, right, self.y[n, o], start, name)

    def input_gradient(self, *cell: int) -> Sum:
        """The sum that is gx[n, k]."""
        n, k = at("gx", self.x, cell)
        o = np.arange(self.w.shape[0])
        left, right = factor("gy", self.gy, (np.full_like(o, n), o)), factor("w", self.w, (o, np.full_like(o, k)))
        return Sum("gx", (n, k), left, right, self.gx[n, k])

    def weight_gradient(self, *cell: int) -> Sum:
        """The sum that is gw[o, k]."""
        o, k = at("gw", self.w, cell)
        n = np.arange(self.x.shape[0])
        left, right = factor("gy", self.gy, (n, np.full_like(n, o))), factor("x", self.x, (n, np.full_like(n, k)))
        return Sum("gw", (o, k), left, right, self.gw[o, k])


def linear_trace(x: Tensor, w: Tensor, b: Tensor | None = None, *, grad: Any = None) -> LinearTrace:
    """Run `nn.functional.linear` of x (..., K) and its backward pass; all axes before the last count as one, N."""
    shape = (*x.shape[:-1], w.shape[0])
    if grad is not None and array_of(grad).shape != shape:
        raise ShapeError(f"explain: grad must have the shape of the output, {shape}, got {array_of(grad).shape}")
    x = x.reshape(-1, x.shape[-1])
    grad = None if grad is None else array_of(grad).reshape(-1, w.shape[0])
    return LinearTrace(*trained(F.linear, x, w, b, grad))


@dataclass(frozen=True)
class BatchNormTrace:
    """Batch normalisation as the kernels that train computed it.

    Attributes:
        x, y: (N, C, H, W) or (N, C).
        gamma, beta: (C,); ones and zeros if the layer has none.
        gy, gx: an upstream gradient, and the gradient for it.
        ggamma: (C,), the gradient of gamma, or None.
        mean, var: (C,), of the batch, or else the running ones.
        training: whether they are of the batch, so that they depend on x.
        eps: added to the variance.
    """

    x: Array
    gamma: Array
    beta: Array
    y: Array
    gy: Array
    gx: Array
    ggamma: Array | None
    mean: Array
    var: Array
    training: bool
    eps: float

    @property
    def invstd(self) -> Array:
        """(C,), 1/sqrt(var + eps)."""
        return 1 / np.sqrt(self.var + self.eps)

    @property
    def xhat(self) -> Array:
        """(x - mean)/sqrt(var + eps), of x's shape, in float64."""
        wide = (slice(None), *[None] * (self.x.ndim - 2))  # (C,) -> (C, 1, 1)
        return (self.x.astype(np.float64) - self.mean[wide]) * self.invstd[wide]

    def normalized(self, c: int) -> Array:
        """Xhat of a channel, without the axis of channels."""
        return (self.x[:, c].astype(np.float64) - self.mean[c]) * self.invstd[c]

    def output(self, *cell: int) -> Sum:
        """y[n, c, ...] = gamma * xhat + beta: a single term."""
        place = at("y", self.y, cell)
        n, c, *rest = place
        xhat = self.normalized(c)[(n, *rest)]
        left = factor("gamma", self.gamma, (np.array([c]),))
        right = Factor("xhat", np.array([place]), np.array([xhat]))
        return Sum("y", place, left, right, self.y[place], float(self.beta[c]), f"beta[{c}]")

    def weight_gradient(self, *cell: int) -> Sum:
        """The sum that is ggamma[c]."""
        (c,) = at("ggamma", self.gamma, cell)
        others = [a.ravel() for a in np.indices((self.x.shape[0], *self.x.shape[2:]))]
        place = (others[0], np.full_like(others[0], c), *others[1:])
        right = Factor("xhat", np.stack(place, -1), self.normalized(c).ravel())
        if self.ggamma is None:
            raise TypeError("explain: this batch normalisation has no gamma (affine=False), so it has no weight_cell")
        return Sum("ggamma", (c,), factor("gy", self.gy, place), right, self.ggamma[c])

    def input_gradient(self, *cell: int) -> Sum:
        """gx[n, c, ...] = gamma/sqrt(var + eps) (gy - mean(gy) - xhat mean(gy xhat)): three terms, or one."""
        place = at("gx", self.x, cell)
        n, c, *rest = place
        xhat, up = self.normalized(c), self.gy[:, c].astype(np.float64)
        scale = float(self.gamma[c]) * self.invstd[c]
        terms = {"gy": up[(n, *rest)]}
        if self.training:
            terms |= {"-mean(gy)": -up.mean(), "-xhat*mean(gy*xhat)": -xhat[(n, *rest)] * (up * xhat).mean()}
        left = _Named(tuple(terms), np.array(list(terms.values())))
        right = Factor("gamma/std", np.zeros((len(terms), 0), int), np.full(len(terms), scale))
        return Sum("gx", place, left, right, self.gx[place])


class _Named(Factor):
    """Factors with a name each."""

    def __init__(self, names: tuple[str, ...], values: Array) -> None:
        super().__init__(names[0], np.zeros((len(names), 0), int), values)
        object.__setattr__(self, "names", names)

    names: tuple[str, ...]

    def cell(self, term: int) -> str:
        return self.names[term]


def batch_norm_trace(
    x: Tensor, mean: Tensor | None, var: Tensor | None, gamma: Tensor | None, beta: Tensor | None, training: bool,
    eps: float, grad: Any = None,
) -> BatchNormTrace:  # fmt: skip
    """Run batch normalisation and its backward pass; the running statistics stay as they are."""

    def run(x: Tensor, w: Tensor | None, b: Tensor | None) -> Tensor:
        return F.batch_norm(x, None if training else mean, None if training else var, w, b, training, 0.0, eps)

    images, w, b, y, gy, gx, gw = trained(run, x, gamma, beta, grad)
    channels = x.shape[1]
    if training:
        axes = (0, *range(2, x.ndim))
        wide = images.astype(np.float64)
        found = wide.mean(axes), wide.var(axes)
    else:
        assert mean is not None and var is not None
        found = array_of(mean), array_of(var)
    ones, zeros = np.ones(channels, images.dtype), np.zeros(channels, images.dtype)
    return BatchNormTrace(
        images, ones if w is None else w, zeros if b is None else b, y, gy, gx, gw, *found, training, eps
    )
