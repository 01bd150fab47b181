"""Filling weights with numbers; each function changes its tensor in place, without recording, and returns it.

The important choice is the scale. A layer sums fan_in products, so weights of variance 1/fan_in keep the variance of
the activations. On the meta device nothing is filled, and only the arguments are checked.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..compat.missing import answer as _answer
from ..random import Generator, default_generator
from ..tensor import Array, Tensor

_GAINS = {
    **dict.fromkeys(("linear", *(f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)), "sigmoid"), 1.0),
    "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4,
}  # fmt: skip


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight (out, in, KH, KW...): the connections into and out of one unit.

    Raises:
        ValueError: the shape has fewer than 2 axes.

    >>> nn.init.fans((64, 32, 3, 3))  # 32*3*3 and 64*3*3
    (288, 576)
    """
    if len(shape) < 2:
        raise ValueError(
            f"Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got shape {tuple(shape)}"
        )
    receptive = math.prod(shape[2:])
    return shape[1] * receptive, shape[0] * receptive


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Return `fans` of a tensor, with the name that published code uses."""
    return fans(tensor.array.shape)


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(modes)}")
    return fans(tensor.array.shape)[modes.index(mode.lower())]


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor that balances an activation's effect on the standard deviation, from PyTorch's table.

    1 for "linear", convolutions and "sigmoid", 5/3 for "tanh", sqrt(2) for "relu", 3/4 for "selu", and
    sqrt(2/(1 + param^2)) for "leaky_relu" with slope `param` (0.01 if None).

    Raises:
        ValueError: the activation is unknown, or the slope is not a number.

    >>> nn.init.calculate_gain("relu")  # sqrt(2)
    1.4142135623730951
    """
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool) or not isinstance(param, (int, float, type(None))):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}; there are: {', '.join(_GAINS)}, leaky_relu")
    return _GAINS[nonlinearity]


# ------------------------------------------------------------------------------------ plain distributions and constants


def _fill(tensor: Tensor, values: Callable[[tuple[int, ...]], Any]) -> Tensor:
    """Write `values(shape)` into a tensor, unless it is on the meta device."""
    shape = tensor.array.shape  # an error if a lazy parameter has none yet
    if not tensor.is_meta:
        tensor.detach().copy_(Tensor(np.asarray(values(shape), tensor.dtype)))
    return tensor


def _stream(tensor: Tensor, generator: Generator | None, op: str) -> tuple[np.random.Generator, Any]:
    """Return the generator to draw from, and the type to draw in."""
    if tensor.dtype.kind != "f":
        raise NotImplementedError(f"{op}: random numbers are for floating-point tensors, and this is {tensor.dtype}")
    return (generator or default_generator).numpy, np.float32 if tensor.dtype == np.float32 else np.float64


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from U(a, b).

    >>> w = nn.init.uniform_(minicnn.empty(1000), -0.5, 0.5)
    >>> bool((w.abs() <= 0.5).all())
    True
    """
    stream, dtype = _stream(tensor, generator, "uniform_")
    if a > b:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
    return _fill(tensor, lambda shape: stream.random(shape, dtype) * (b - a) + a)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from N(mean, std^2).

    >>> round(nn.init.normal_(minicnn.empty(100_000), std=0.01).std().item(), 3)
    0.01
    """
    stream, dtype = _stream(tensor, generator, "normal_")
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return _fill(tensor, lambda shape: stream.standard_normal(shape, dtype) * std + mean)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Draw from N(mean, std^2) cut off outside [a, b]; a and b are values, not multiples of std.

    >>> bool((nn.init.trunc_normal_(minicnn.empty(1000), a=-1.0, b=1.0).abs() <= 1).all())
    True
    """
    stream, _ = _stream(tensor, generator, "trunc_normal_")
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    return _fill(tensor, lambda shape: np.clip(_truncated(stream, shape, mean, std, a, b).astype(tensor.dtype), a, b))


def _truncated(
    stream: np.random.Generator, shape: tuple[int, ...], mean: float, std: float, a: float, b: float
) -> Array:
    """Draw candidates, and draw rejected ones again.

    If [a, b] has much of the probability, candidates are normal and rejected outside [a, b]; else they are uniform over
    [a, b] and accepted with a probability of their density relative to its maximum there.
    """
    mass = (math.erf((b - mean) / std / math.sqrt(2)) - math.erf((a - mean) / std / math.sqrt(2))) / 2
    peak = (max(a, min(mean, b)) - mean) / std

    def draw(size: int) -> tuple[Array, Array]:
        if mass > 0.3:
            drawn = stream.standard_normal(size) * std + mean
            return drawn, (a <= drawn) & (drawn <= b)
        drawn = stream.uniform(a, b, size)
        relative = np.exp((peak**2 - ((drawn - mean) / std) ** 2) / 2)
        return drawn, stream.random(size) < relative

    found, accepted = draw(math.prod(shape))
    open_places = np.flatnonzero(~accepted)
    while open_places.size:
        drawn, accepted = draw(open_places.size)
        found[open_places] = drawn
        open_places = open_places[~accepted]
    return found.reshape(shape)  # (numel,) -> shape


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    >>> nn.init.constant_(minicnn.empty(2), 0.1)
    tensor([0.1000, 0.1000])
    """
    return _fill(tensor, lambda shape: np.broadcast_to(val, shape))


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix the identity: a linear layer that passes on as many inputs as possible.

    Raises:
        ValueError: the tensor does not have 2 axes.

    >>> nn.init.eye_(minicnn.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    return _fill(tensor, lambda shape: np.eye(shape[0], shape[1]))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Make a convolution weight the identity: in each group, channel i of the output is channel i of the input.

    Raises:
        ValueError: the tensor does not have 3 to 5 axes, or `groups` does not divide its output channels.

    >>> w = nn.init.dirac_(minicnn.empty(1, 1, 3, 3))
    >>> F.conv2d(minicnn.tensor([[[[1.0, 2.0]]]]), w, padding=1)
    tensor([[[[1., 2.]]]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"Only tensors with 3, 4, or 5 dimensions are supported, got shape {tuple(tensor.shape)}")
    if tensor.shape[0] % groups:
        raise ValueError(f"dim 0 must be divisible by groups, got {tensor.shape[0]} and groups={groups}")

    def values(shape: tuple[int, ...]) -> Array:
        weight = np.zeros(shape)
        middle = tuple(size // 2 for size in shape[2:])
        per_group = shape[0] // groups
        for channel in range(min(per_group, shape[1])):
            place: Any = (slice(channel, None, per_group), channel, *middle)  # in every group
            weight[place] = 1
        return weight

    return _fill(tensor, values) if tensor.numel() else tensor


# ------------------------------------------------------------------------------------ variance kept from layer to layer


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """He initialisation: U(-bound, bound) with bound = gain * sqrt(3 / fan).

    `mode` "fan_in" keeps the variance of the activations, "fan_out" that of the gradients; `a` is the slope of a leaky
    ReLU. K. He et al., "Delving deep into rectifiers", 2015, https://arxiv.org/abs/1502.01852.

    >>> w = nn.init.kaiming_uniform_(minicnn.empty(64, 6, 3, 3), nonlinearity="relu")
    >>> round(w.abs().max().item(), 2)  # sqrt(2) sqrt(3/54) = 0.333
    0.33
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3) * calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """He initialisation: N(0, std^2) with std = gain / sqrt(fan); arguments as in `kaiming_uniform_`.

    >>> w = nn.init.kaiming_normal_(minicnn.empty(64, 32, 3, 3), nonlinearity="relu")
    >>> round(w.std().item(), 2)  # sqrt(2/288) = 0.083
    0.08
    """
    if _is_empty(tensor):
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))
    return normal_(tensor, 0, std, generator)


def _is_empty(tensor: Tensor) -> bool:
    """Return whether there is nothing to draw, after a warning."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return 0 in tensor.shape


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Glorot initialisation: U(-bound, bound) with bound = gain * sqrt(6 / (fan_in + fan_out)).

    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.

    >>> round(nn.init.xavier_uniform_(minicnn.empty(300, 300)).abs().max().item(), 2)  # sqrt(6/600)
    0.1
    """
    bound = gain * math.sqrt(6 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Glorot initialisation: N(0, std^2) with std = gain * sqrt(2 / (fan_in + fan_out)).

    >>> round(nn.init.xavier_normal_(minicnn.empty(100, 300)).std().item(), 2)  # sqrt(2/400) = 0.071
    0.07
    """
    return normal_(tensor, 0, gain * math.sqrt(2 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def lecun_uniform_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """LeCun initialisation: U(-bound, bound) with bound = sqrt(3 / fan_in), of variance 1/fan_in; not in PyTorch.

    Y. LeCun et al., "Efficient BackProp", 1998, section 4.6.

    >>> round(nn.init.lecun_uniform_(minicnn.empty(100, 300)).abs().max().item(), 2)  # sqrt(3/300)
    0.1
    """
    bound = math.sqrt(3 / _calculate_fan_in_and_fan_out(tensor)[0])
    return uniform_(tensor, -bound, bound, generator)


def lecun_normal_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """LeCun initialisation: N(0, 1/fan_in), also for self-normalising nets with SELU; not in PyTorch.

    >>> round(nn.init.lecun_normal_(minicnn.empty(300, 100)).std().item(), 2)  # sqrt(1/100)
    0.1
    """
    return normal_(tensor, 0, math.sqrt(1 / _calculate_fan_in_and_fan_out(tensor)[0]), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """A random orthogonal matrix times `gain`: rows or columns, whichever are fewer, are orthonormal.

    Axes after the first are joined into one. A. Saxe et al., "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", 2013, https://arxiv.org/abs/1312.6120.

    Raises:
        ValueError: the tensor has fewer than 2 axes.

    >>> w = nn.init.orthogonal_(minicnn.empty(2, 50))
    >>> bool((w @ w.T - minicnn.eye(2)).abs().max() < 1e-5)  # its rows are orthonormal
    True
    """
    if tensor.ndim < 2:
        raise ValueError(f"Only tensors with 2 or more dimensions are supported, got shape {tuple(tensor.shape)}")
    stream, dtype = _stream(tensor, generator, "orthogonal_")

    def values(shape: tuple[int, ...]) -> Array:
        rows, columns = shape[0], math.prod(shape[1:])
        q, r = np.linalg.qr(stream.standard_normal((max(rows, columns), min(rows, columns)), dtype))
        q *= np.sign(np.diag(r))  # without this, q is not uniform over all orthogonal matrices
        return gain * (q.T if rows < columns else q).reshape(shape)  # (rows, columns) -> shape

    return _fill(tensor, values) if tensor.numel() else tensor


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """N(0, std^2), with a fraction `sparsity` of each column, rounded up, set to 0.

    J. Martens, "Deep learning via Hessian-free optimization", 2010.

    Raises:
        ValueError: the tensor does not have 2 axes.

    >>> (nn.init.sparse_(minicnn.empty(10, 3), sparsity=0.25) == 0).sum(0)  # 2.5, rounded up, in each column
    tensor([3, 3, 3])
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    stream, dtype = _stream(tensor, generator, "sparse_")

    def values(shape: tuple[int, ...]) -> Array:
        weight = stream.standard_normal(shape, dtype) * std
        for column in weight.T:
            column[stream.permutation(shape[0])[: math.ceil(sparsity * shape[0])]] = 0
        return weight

    return _fill(tensor, values)


# ------------------------------------------------------------------------------------------- PyTorch's names before 0.4


def _deprecated(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make the function of the same name without the underscore, which gives a warning."""
    name = function.__name__

    @functools.wraps(function)
    def old(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(
            f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    old.__name__, old.__doc__ = name[:-1], f"`{name}` under its old name, with a warning."
    return old


uniform, normal, constant = _deprecated(uniform_), _deprecated(normal_), _deprecated(constant_)
eye, dirac = _deprecated(eye_), _deprecated(dirac_)
orthogonal, sparse = _deprecated(orthogonal_), _deprecated(sparse_)
xavier_uniform, xavier_normal = _deprecated(xavier_uniform_), _deprecated(xavier_normal_)
kaiming_uniform, kaiming_normal = _deprecated(kaiming_uniform_), _deprecated(kaiming_normal_)

_answer(globals())
