"""Softmax and related functions, which turn numbers into probabilities along one axis."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from minicnn_kernels import softmax as kernels
from minicnn_kernels.arrays import beside, host, on_device_of, on_gpu

from ..autograd import anomaly
from ..autograd.engine import Function
from ..device import Meta
from ..random import stream
from ..tensor import Array, Tensor, tensor_method
from .tensor.arguments import axis, check_tensor, no_tensor, numpy_names
from .tensor.clamp import where
from .tensor.operands import floating
from .tensor.out import with_out

__all__ = ["gumbel_softmax", "log_softmax", "softmax", "softmin", "temperature_softmax"]


class Softmax(Function):
    """y[k] = e^x[k] / sum_j e^x[j] along an axis."""

    tables = kernels.SOFTMAX, kernels.SOFTMAX_BACKWARD

    @classmethod
    def forward(cls, ctx: Any, x: Array, axis: int) -> Array:
        """Run the chosen kernel and save y."""
        y: Array = cls.tables[0](x, axis)
        ctx.save_for_backward(y)
        ctx.axis = axis
        return y

    @classmethod
    def backward(cls, ctx: Any, gy: Array) -> tuple[Array, None]:
        """Compute the gradient from y with the kernel."""
        (y,) = ctx.saved
        return cls.tables[1](gy, y, ctx.axis), None

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor, None]:
        """y (gy - <gy, y>)."""
        y = ctx.at_output(0, *ctx.saved)
        return y * (gy - (gy * y).sum(ctx.axis, True)), None


class LogSoftmax(Softmax):
    """y[k] = x[k] - log sum_j e^x[j] along an axis."""

    tables = kernels.LOG_SOFTMAX, kernels.LOG_SOFTMAX_BACKWARD

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor, None]:
        """gy - e^y sum gy."""
        y = ctx.at_output(0, *ctx.saved)
        return gy - y.exp() * gy.sum(ctx.axis, True), None


def _along(op: str, function: type[Function], x: Tensor, dim: int, dtype: Any) -> Tensor:
    """Apply `function` along an axis, after converting to `dtype` if it is given."""
    if not isinstance(x, Tensor):
        raise no_tensor(op, "input", x)
    x = x if dtype is None else x.to(dtype)
    if x.dtype == np.float16:
        return _along(op, function, x.to(np.float32), dim, None).to(np.float16)
    floating(op, input=x)
    at = axis(op, dim, x.ndim)
    if not x.ndim:
        return function.apply(x.reshape(1), at).reshape(())  # () -> (1,) -> ()
    return function.apply(x, at)


@with_out
@tensor_method("softmax")
@numpy_names
def tensor_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Probabilities along `dim`: e^x / sum e^x: `minicnn.softmax` and `Tensor.softmax`; `dim` is required.

    >>> minicnn.tensor([1.0, 2.0, 5.0]).log().softmax(0)  # 1/8, 2/8, 5/8
    tensor([0.1250, 0.2500, 0.6250])
    """
    return _along("softmax", Softmax, input, dim, dtype)


@with_out
@tensor_method("log_softmax")
@numpy_names
def tensor_log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax`: `minicnn.log_softmax` and `Tensor.log_softmax`; `dim` is required.

    >>> minicnn.zeros(2).log_softmax(0)  # log(1/2)
    tensor([-0.6931, -0.6931])
    """
    return _along("log_softmax", LogSoftmax, input, dim, dtype)


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Probabilities along `dim`.

        y[k] = e^x[k] / sum_j e^x[j]

    It is computed from x[k] - max x, so that nothing overflows. A +Inf or NaN makes all values along `dim` NaN.

    Args:
        input: of any shape, floating point unless `dtype` is given.
        dim: the axis whose values sum to 1. None is deprecated: it means 0 for inputs of 0, 1 or 3 axes, else 1.
        dtype: convert the input to this type first.

    Raises:
        IndexError: the input has no axis `dim`.

    >>> F.softmax(minicnn.tensor([1.0, 2.0, 5.0]).log(), dim=0)  # 1/8, 2/8, 5/8
    tensor([0.1250, 0.2500, 0.6250])
    >>> F.softmax(minicnn.tensor([[1000.0, 1000.0]]), dim=1)  # e^1000 would be infinite
    tensor([[0.5000, 0.5000]])
    """
    return tensor_softmax(input, _axis("softmax", input, dim, _stacklevel), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax`, without its underflow: y[k] = x[k] - log sum_j e^x[j]. Arguments as in `softmax`.

    >>> F.log_softmax(minicnn.tensor([0.0, 1000.0]), dim=0)  # softmax gives 0 for the first
    tensor([-1000.,     0.])
    """
    return tensor_log_softmax(input, _axis("log_softmax", input, dim, _stacklevel), dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`softmax` of -input: the smallest value gets the largest probability.

    >>> F.softmin(minicnn.tensor([1.0, 3.0]).log(), dim=0)  # as 1 to 1/3
    tensor([0.7500, 0.2500])
    """
    check_tensor("softmin", input=input)
    return tensor_softmax(-input, _axis("softmin", input, dim, _stacklevel), dtype)


def _axis(op: str, x: Tensor, dim: int | None, stacklevel: int) -> int:
    """Return `dim`, or, if it is None, the axis of PyTorch's old rule."""
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {op} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if x.ndim in (0, 1, 3) else 1


def temperature_softmax(input: Tensor, temperature: float | Tensor = 1.0, dim: int = -1) -> Tensor:
    """`softmax` of input / temperature: a low temperature selects the largest value, a high one makes all equal.

        y[k] = e^(x[k] / t) / sum_j e^(x[j] / t)

    Not in PyTorch. Scores of 11.5, 12.8 and -2.4 become 21.42, 78.58 and 0.00 % at t = 1. The largest value is
    subtracted before the division, so that the quotient does not overflow. G. Hinton, O. Vinyals and J. Dean,
    "Distilling the knowledge in a neural network", 2015, https://arxiv.org/abs/1503.02531.

    Args:
        temperature: a positive number, or a tensor that broadcasts with the input, which may be learned.

    Raises:
        ValueError: the temperature is not positive; a tensor on a GPU gives NaN instead.

    >>> scores = minicnn.tensor([1.0, 2.0])
    >>> F.temperature_softmax(scores), F.temperature_softmax(scores, 0.5), F.temperature_softmax(scores, 10.0)
    (tensor([0.2689, 0.7311]), tensor([0.1192, 0.8808]), tensor([0.4750, 0.5250]))
    """
    if isinstance(input, Tensor) and input.dtype == np.float16:
        return temperature_softmax(input.to(np.float32), temperature, dim).to(np.float16)
    floating("temperature_softmax", input=input)
    values = temperature.array if isinstance(temperature, Tensor) else np.asarray(temperature)
    if on_gpu(values) and not anomaly.enabled():  # without waiting for the values
        temperature = where(Tensor(values) > 0, temperature, math.nan)
    elif type(values) is not Meta and not np.all(host(values) > 0):
        raise ValueError(f"temperature_softmax: the temperature must be positive, got {temperature}")
    if not input.numel():
        return tensor_softmax(input / temperature, dim)
    return tensor_softmax((input - input.detach().amax(dim, True)) / temperature, dim)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """Draw a random one-hot vector along `dim`, softened so that it has a gradient.

        y = softmax((logits + g) / tau)        g = -log(e), e exponentially distributed: Gumbel's distribution

    With `hard` the result is the one-hot vector of the largest y, and its gradient is that of y.
    E. Jang, S. Gu and B. Poole, 2016, https://arxiv.org/abs/1611.01144.

    Args:
        logits: logarithms of probabilities, up to a constant.
        tau: the temperature; towards 0 the results become one-hot.
        eps: has no effect, as in PyTorch.

    >>> y = F.gumbel_softmax(minicnn.zeros(5, 3), hard=True)
    >>> y.shape, round(y.sum().item(), 4)  # a single 1 in each row
    (minicnn.Size([5, 3]), 5.0)
    """
    if isinstance(logits, Tensor) and logits.dtype == np.float16:
        return gumbel_softmax(logits.to(np.float32), tau, hard, eps, dim).to(np.float16)
    floating("gumbel_softmax", logits=logits)
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    soft = tensor_softmax((logits + _gumbel(logits)) / tau, dim)
    if not hard:
        return soft
    return _one_hot(soft, dim) - soft.detach() + soft


def _gumbel(like: Tensor) -> Tensor:
    """Draw random numbers from Gumbel's distribution, with the shape and type of `like`."""
    if like.is_meta:
        return like.detach()
    draw = stream().standard_exponential(like.shape)
    return Tensor(beside(np.asarray(-np.log(draw)).astype(like.dtype), like.array))


def _one_hot(soft: Tensor, dim: int) -> Tensor:
    """Return 1 at the first largest value along `dim` and 0 elsewhere, as a constant."""
    if soft.is_meta or not soft.ndim:
        return soft.detach() * 0 + 1
    with on_device_of(soft.array):
        hard = np.zeros_like(soft.array)
        np.put_along_axis(hard, np.expand_dims(soft.array.argmax(dim), dim), 1, dim)
    return Tensor(hard)
