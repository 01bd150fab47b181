"""Group normalisation: the channels of each image form groups; each group is scaled to mean 0 and variance 1.

    mean[n, g]   = sum x[n, c, s] / L                              over the channels c of group g and all s
    var[n, g]    = sum (x[n, c, s] - mean[n, g])^2 / L             L = C/G * S values
    y[n, c, s]   = gamma[c] xhat[n, c, s] + beta[c],   xhat = (x - mean) invstd,   invstd = 1/sqrt(var + eps)

    x, y, gx, gy               (N, C, ...): S stands for all axes after the second; there may be none
    gamma, beta                (C,) or None for 1 and 0
    mean, var                  (N, G)
    ggamma, gbeta              (C,)

    gbeta[c]     = sum gy
    ggamma[c]    = sum gy xhat
    gx           = invstd (gamma gy - sum' gamma gy / L - xhat sum' gamma gy xhat / L)      sum': over the group

    FORWARD(x, gamma, beta, groups, eps, centred) -> (y, mean, var)
    BACKWARD(gy, x, gamma, mean, var, groups, eps, centred, needs_grad) -> (gx, ggamma, gbeta), None where not needed

Three other layers are the same function of another view: **layer normalisation** has one group, of x (N, L) with a
gamma for each of the L values; **instance normalisation** has C groups of one channel; **root mean square
normalisation** is layer normalisation with `centred` False: its mean is 0, its var the mean of x^2, and gx lacks the
first of the two sums.

As in batch normalisation, the variance takes two passes, and the mean is computed from the differences to the first
value, so that a constant group gives exactly beta. Sums are float64.

Y. Wu and K. He, "Group normalization", 2018, https://arxiv.org/abs/1803.08494; J. L. Ba, J. R. Kiros and G. E. Hinton,
"Layer normalization", 2016, https://arxiv.org/abs/1607.06450; D. Ulyanov, A. Vedaldi and V. Lempitsky, "Instance
normalization", 2016, https://arxiv.org/abs/1607.08022; B. Zhang and R. Sennrich, "Root mean square layer
normalization", 2019, https://arxiv.org/abs/1910.07467.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .arrays import Array, as_array, contiguous, on_gpu, xp
from .batchnorm import Gradients, Vector
from .batchnorm.channels import channel_sums, channels_of, vector_gradients, vectors
from .batchnorm.definition import SMALL, in_type, needed
from .channel_loops import backward_sums_share, backward_x_share, scale_share, sums_share
from .cuda import BLOCK, FULL, SHORT, launch, launch_blocks, scalar
from .dispatch import Table
from .geometry import Groups
from .layout import alike, dense, empty_as, empty_beside, flat, is_channels_last
from .runtime import njit, parallel, prange, threads

_FILE = "normalization.cu"
Args = tuple[Any, ...]

# ------------------------------------------------------------------------------------------------------------ forward


def forward_python(
    x: Array, gamma: Vector, beta: Vector, groups: int, eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    """The definition, group by group."""
    y, mean, var = np.empty(x.shape, x.dtype), *np.zeros((2, x.shape[0], groups))
    for n, g, places in _groups_python(x, groups):
        values = [float(x[place]) for place in places]
        if values and centred:
            mean[n, g] = values[0] + sum(v - values[0] for v in values) / len(values)
        var[n, g] = sum((v - mean[n, g]) ** 2 for v in values) / max(1, len(values))
        invstd = float(_invstd(var[n, g], eps))
        for place, v in zip(places, values, strict=True):
            xhat, c = (v - mean[n, g]) * invstd, place[1]
            y[place] = xhat * (1.0 if gamma is None else float(gamma[c])) + (0.0 if beta is None else float(beta[c]))
    return y, mean.astype(x.dtype), in_type(x, var)


def _groups_python(x: Array, groups: int) -> Iterator[tuple[int, int, list[tuple[int, ...]]]]:
    """Each image n and group g, with the indices of the elements of x in that group."""
    for n, g in np.ndindex(x.shape[0], groups):
        per = x.shape[1] // groups
        yield n, g, [(n, g * per + place[0], *place[1:]) for place in np.ndindex(per, *x.shape[2:])]


def _invstd(var: Any, eps: float) -> Array:
    with np.errstate(divide="ignore"):  # var = eps = 0: Inf, as 1/sqrt(0) is
        return 1 / np.sqrt(as_array(var).astype(np.float64, copy=False) + eps)


def forward_numpy(
    x: Array, gamma: Vector, beta: Vector, groups: int, eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    """Sums of channels (N, C), then of groups (N, G); x itself is not reshaped, so that it keeps its memory order."""
    d, mean, var = _moments(x, groups, centred)
    scale = _spread(_invstd(var, eps), x)
    y = d * (scale if gamma is None else scale * _column(gamma, x))
    if beta is not None:
        y += _column(beta, x)
    return y, mean.astype(x.dtype), in_type(x, var)


def _moments(x: Array, groups: int, centred: bool) -> tuple[Array, Array, Array]:
    """x - mean, and mean and var in float64."""
    length = max(1, x.size // max(1, x.shape[0] * groups))
    d, mean = x, xp(x).zeros((x.shape[0], groups))
    with np.errstate(invalid="ignore"):  # Inf - Inf: the NaN is the result
        if centred and x.size:
            first = x[:, :: x.shape[1] // groups].reshape(*mean.shape, -1)[
                :, :, 0
            ]  # (N, G, ...) -> (N, G, S) -> (N, G)
            mean = first + _sum(x - _spread(first, x), groups) / length
            d = x - _spread(mean, x)
        var = _sum(np.multiply(d, d, dtype=np.float64), groups) / length - (_sum(d, groups) / length) ** 2 * centred
    return d, mean, np.maximum(var, 0)


def _sum(x: Array, groups: int) -> Array:
    """The sum of each group in float64: (N, C, ...) -> (N, C) -> (N, G)."""
    n, c = x.shape[:2]
    return x.sum(tuple(range(2, x.ndim)), np.float64).reshape(n, groups, c // groups).sum(2)


def _spread(v: Array, x: Array) -> Array:
    """(N, G) as (N, C, 1, ...) of x's type."""
    return np.repeat(v, x.shape[1] // v.shape[1], 1).astype(x.dtype).reshape(x.shape[:2] + (1,) * (x.ndim - 2))


def _column(v: Array, x: Array) -> Array:
    """(C,) as (C, 1, ...) of x's type."""
    return v.astype(x.dtype, copy=False).reshape(-1, *(1,) * (x.ndim - 2))


# Numba: the loops of batch normalisation, run over one item of memory at a time. In NCHW memory an item is one group,
# which lies in one stretch. In channels-last memory an item is an image, whose groups are interleaved, so the sums are
# made for channels and then added up. A share is some of the items.


class View(NamedTuple):
    """Dense memory as items of (rows, channels, size) with `groups` groups; every `period`-th has the same gamma."""

    items: int
    period: int
    rows: int
    channels: int
    size: int
    groups: int


def _view(x: Array, groups: int) -> View:
    n, c, size = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    return View(n, 1, size, c, 1, groups) if is_channels_last(x) else View(n * groups, groups, 1, c // groups, size, 1)


@njit(error_model="numpy", fastmath={"contract"})
def _forward_share(
    t: Any, shares: int, x: Array, gamma: Array, beta: Array, eps: float, centred: bool, y: Array, mean: Array,
    var: Array, view: View,
) -> None:  # fmt: skip
    channels, groups, per = view.channels, view.groups, view.channels // view.groups
    length = view.rows * channels * view.size
    count = length // groups
    here = (view.rows, channels, view.size)
    run = (1, 1, length) if groups == 1 else here  # with one group, one sum for all its channels is enough
    wide = run[1] // groups
    sums, middle = np.empty((1, 2 * channels)), np.zeros(channels)
    shift, scale = np.zeros(channels, x.dtype), np.empty(channels, x.dtype)
    for n in range(t * view.items // shares, (t + 1) * view.items // shares):
        values, at = x[n * length : (n + 1) * length], n % view.period * channels
        if centred:
            for c in range(channels):
                middle[c] = values[c // per * per] if groups > 1 else values[0]
            sums_share(0, 1, values, middle, sums, run)
            for c in range(channels):
                g = c // per
                middle[c] += sums[0, g * wide : (g + 1) * wide].sum() / count
                shift[c] = middle[c]
        sums_share(0, 1, values, middle, sums, run)
        for g in range(groups):
            first = sums[0, g * wide : (g + 1) * wide].sum() / count if centred else 0.0
            square = sums[0, (groups + g) * wide : (groups + g + 1) * wide].sum() / count - first * first
            square = 0.0 if square < 0 else square  # NaN stays
            mean[n * groups + g], var[n * groups + g] = middle[g * per], square
            for c in range(g * per, (g + 1) * per):
                scale[c] = gamma[at + c] / math.sqrt(square + eps)
        to = y[n * length : (n + 1) * length]
        scale_share(0, 1, values, shift, scale, beta[at : at + channels], to, here)


@njit(parallel=True)
def _forward(
    shares: int, x: Array, gamma: Array, beta: Array, eps: float, centred: bool, y: Array, mean: Array, var: Array,
    view: View,
) -> None:  # fmt: skip
    for t in prange(shares):
        _forward_share(np.intp(t), shares, x, gamma, beta, eps, centred, y, mean, var, view)


def forward_numba(
    x: Array, gamma: Vector, beta: Vector, groups: int, eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    """Parallel over items of memory; each is read three times while it is in the cache."""
    x = dense(x)
    y, mean, var = np.empty_like(x), *np.zeros((2, x.shape[0], groups), x.dtype)
    if x.size:
        scale, shift = _vector(gamma, 1, x), _vector(beta, 0, x)
        with parallel():
            _forward(
                threads(), flat(x), scale, shift, float(eps), centred, flat(y), flat(mean), flat(var), _view(x, groups)
            )
    return y, mean, var


def _vector(v: Vector, default: float, x: Array) -> Array:
    """v (C,), contiguous and of x's type, as compiled code needs it; None becomes a vector of `default`."""
    return np.full(x.shape[1], default, x.dtype) if v is None else np.ascontiguousarray(v, x.dtype)


def forward_cuda(
    x: Array, gamma: Vector, beta: Vector, groups: int, eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    """A block for each group, or for several, or several for one; y has the memory order of x: `normalization.cu`."""
    x = dense(x)
    y, (mean, var) = empty_beside(x, x.shape, is_channels_last(x)), xp(x).zeros((2, x.shape[0], groups), x.dtype)
    v, args = _groups(x, groups), (*vectors(x, gamma, beta), float(eps), centred, y, mean, var)
    _each_group("forward", (x,), v, (centred,), args)
    return y, mean, var


def _groups(x: Array, groups: int) -> Groups:
    n, c, size = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    if is_channels_last(x):
        return Groups(n, size, groups, c // groups, max(1, min(groups, 32 * groups // c)), groups, c, 1)
    per = c // groups * size
    return Groups(1, 1, n * groups, per, max(1, BLOCK // max(1, per)), groups, c, size)


def _each_group(kernel: str, given: tuple[Array, ...], v: Groups, parts_args: Args, args: Args) -> None:
    """Run a kernel for all groups; for few long ones, as in `cuda.cut`, its halves: what each part has and the rest."""
    x, kind = given[0], scalar(given[0])
    if not x.size:
        return
    blocks = v.items * -(-v.across // v.many)
    parts = min(FULL // (BLOCK * blocks), v.rows * v.per // (SHORT * (BLOCK // v.many)))
    if parts <= 1:
        launch_blocks(_FILE, f"{kernel}<{kind}>", (blocks,), (BLOCK,), *given, *args, v)
        return
    partial = empty_beside(x, (v.items * v.across, parts, 2), dtype=np.float64)
    launch_blocks(_FILE, f"{kernel}_parts<{kind}>", (blocks, parts), (BLOCK,), *given, *parts_args, partial, v)
    launch_blocks(_FILE, f"{kernel}_rest<{kind}>", (blocks, parts), (BLOCK,), *given, partial, *args, v)


# ----------------------------------------------------------------------------------------------------------- backward


def backward_python(
    gy: Array, x: Array, gamma: Vector, mean: Array, var: Array, groups: int, eps: float, centred: bool,
    needs_grad: Sequence[bool],
) -> Gradients:  # fmt: skip
    """The definition, group by group."""
    gx, ggamma, gbeta = np.zeros(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for n, g, places in _groups_python(x, groups):
        invstd = float(_invstd(var[n, g], eps))
        xhat = [(float(x[place]) - float(mean[n, g])) * invstd for place in places]
        up = [float(gy[place]) * (1.0 if gamma is None else float(gamma[place[1]])) for place in places]
        first = sum(up) / max(1, len(up)) if centred else 0.0
        second = sum(u * v for u, v in zip(up, xhat, strict=True)) / max(1, len(up))
        for place, u, v in zip(places, up, xhat, strict=True):
            gx[place] = invstd * (u - first - v * second)
            gbeta[place[1]] += float(gy[place])
            ggamma[place[1]] += float(gy[place]) * v
    return needed(needs_grad, gx, ggamma, gbeta, x.dtype)


def backward_numpy(
    gy: Array, x: Array, gamma: Vector, mean: Array, var: Array, groups: int, eps: float, centred: bool,
    needs_grad: Sequence[bool],
) -> Gradients:  # fmt: skip
    """Whole arrays."""
    # In float32 the variance of values of 1e20 overflows. On a GPU all are computed again: to look would be to wait.
    if x.itemsize < 8 and (on_gpu(x) or np.isinf(var).any()):
        exact, infinite = _moments(x, groups, centred), np.isinf(var)
        mean, var = np.where(infinite, exact[1], mean), np.where(infinite, exact[2], var)
    length, axes = max(1, x.size // max(1, x.shape[0] * groups)), (0, *range(2, x.ndim))
    invstd = _spread(_invstd(var, eps), x)
    xhat = (x - _spread(mean, x)) * invstd
    up = gy if gamma is None else gy * _column(gamma, x)
    gx = up - xhat * _spread(_sum(up * xhat, groups) / length, x)
    if centred:
        gx -= _spread(_sum(up, groups) / length, x)
    return needed(needs_grad, gx * invstd, (gy * xhat).sum(axes, np.float64), gy.sum(axes, np.float64), x.dtype)


@njit(error_model="numpy", fastmath={"contract"})
def _backward_share(
    t: Any, shares: int, gy: Array, x: Array, gamma: Array, mean: Array, invstd: Array, centred: bool, gx: Array,
    totals: Array, view: View,
) -> None:  # fmt: skip
    # Writes gx if it is not empty; totals[t] = this share's gbeta, then its ggamma
    channels, groups, per = view.channels, view.groups, view.channels // view.groups
    length, total = view.rows * channels * view.size, view.period * channels
    here = (view.rows, channels, view.size)
    sums, shift, abk = np.empty((1, 2 * channels)), np.empty(channels, x.dtype), np.empty((3, channels), x.dtype)
    totals[t] = 0
    for n in range(t * view.items // shares, (t + 1) * view.items // shares):
        i0, i1, at = n * length, (n + 1) * length, n % view.period * channels
        for c in range(channels):
            shift[c] = mean[n * groups + c // per]
        backward_sums_share(0, 1, gy[i0:i1], x[i0:i1], shift, sums, here)
        for g in range(groups):
            inv, first, second = invstd[n * groups + g], 0.0, 0.0
            for c in range(g * per, (g + 1) * per):
                totals[t, at + c] += sums[0, c]
                totals[t, total + at + c] += sums[0, channels + c] * inv
                first += gamma[at + c] * sums[0, c]
                second += gamma[at + c] * sums[0, channels + c]
            count = length // groups
            for c in range(g * per, (g + 1) * per):
                abk[0, c] = gamma[at + c] * inv
                abk[1, c] = -inv * inv * inv * second / count
                abk[2, c] = -inv * first / count if centred else 0.0
        if gx.size:
            backward_x_share(0, 1, gy[i0:i1], x[i0:i1], shift, abk, gx[i0:i1], here)


@njit(parallel=True)
def _backward(
    shares: int, gy: Array, x: Array, gamma: Array, mean: Array, invstd: Array, centred: bool, gx: Array,
    totals: Array, view: View,
) -> None:  # fmt: skip
    for t in prange(shares):
        _backward_share(np.intp(t), shares, gy, x, gamma, mean, invstd, centred, gx, totals, view)


def backward_numba(
    gy: Array, x: Array, gamma: Vector, mean: Array, var: Array, groups: int, eps: float, centred: bool,
    needs_grad: Sequence[bool],
) -> Gradients:  # fmt: skip
    """Parallel over items of memory: first the sums of an item, then its gx = a gy + b (x - mean) + k."""
    invstd = _invstd(var, eps)
    if x.itemsize < 8 and np.minimum.reduce(invstd, None, initial=1) < SMALL:
        wide_gy, wide_x = gy.astype(np.float64), x.astype(np.float64)
        _, mean, var = forward_numba(wide_x, None, None, groups, eps, centred)  # Inf in float32 for values of 1e20
        found = backward_numba(wide_gy, wide_x, gamma, mean, var, groups, eps, centred, needs_grad)
        return tuple(None if a is None else a.astype(x.dtype) for a in found)  # type: ignore[return-value]
    x, gy = alike(x, gy)
    channels, gx = x.shape[1], np.empty_like(x) if needs_grad[0] else np.empty(0, x.dtype)
    totals = np.zeros((1, 2 * channels))
    if x.size:
        totals = np.empty((threads(), 2 * channels))
        scale, shift = _vector(gamma, 1, x), np.asarray(mean, x.dtype, order="C")
        with parallel():
            _backward(
                threads(), flat(gy), flat(x), scale, flat(shift), np.ravel(invstd), centred, flat(gx), totals,
                _view(x, groups),
            )  # fmt: skip
    gbeta, ggamma = totals.sum(0).reshape(2, channels)
    return needed(needs_grad, gx, ggamma, gbeta, x.dtype)


def backward_cuda(
    gy: Array, x: Array, gamma: Vector, mean: Array, var: Array, groups: int, eps: float, centred: bool,
    needs_grad: Sequence[bool],
) -> Gradients:  # fmt: skip
    """gx as in the forward pass; ggamma and gbeta by the kernels of batch normalisation."""
    x, gy = alike(x, gy)
    v, c, kind = _groups(x, groups), channels_of(x), scalar(x)
    mean, var, gx = contiguous(mean, x.dtype), contiguous(var, x.dtype), None
    invstd, ggamma, gbeta = empty_as(var), None, None
    launch(_FILE, f"inverse_std<{kind}>", 32 * var.size if x.size else 0, x, var, float(eps), centred, invstd, v)
    if needs_grad[0]:
        gx = empty_beside(x, x.shape, is_channels_last(x))
        vectors_given = *vectors(x, gamma), mean, invstd
        _each_group("gradient", (gy, x), v, vectors_given, (*vectors_given, centred, gx))
    if needs_grad[1] or needs_grad[2]:
        args = gy, x, mean, invstd, groups, c.rows // max(1, x.shape[0])
        ggamma, gbeta = vector_gradients(x, *channel_sums(_FILE, f"gradient_sums<{kind}>", x, c, *args), c)[:2]
    return gx, ggamma if needs_grad[1] else None, gbeta if needs_grad[2] else None


# ------------------------------------------------------------------------------------------------------------- tables

FORWARD = Table(
    "group_norm",
    {
        ("two-pass", "python"): forward_python,
        ("two-pass", "numpy"): forward_numpy,
        ("two-pass", "numba"): forward_numba,
        ("two-pass", "cuda"): forward_cuda,
    },
)
BACKWARD = Table(
    "group_norm backward",
    {
        ("two-pass", "python"): backward_python,
        ("two-pass", "numpy"): backward_numpy,
        ("two-pass", "numba"): backward_numba,
        ("two-pass", "cuda"): backward_cuda,
    },
)
