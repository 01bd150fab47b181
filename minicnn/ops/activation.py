"""Activations as tensor operations; their arithmetic is in the kernel tables of `activations`.

The functions of the tape that they run are in `activation_functions.py`. float16 is computed in float32. With
`inplace=True`, and in the functions whose name ends in `_`, the result is written into the input tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.geometry import real, whole
from minicnn_kernels.geometry.activations import check_glu

from ..autograd.engine import Function
from ..autograd.nodes import shown_as
from ..tensor import Tensor, tensor_method
from .activation_functions import Activation, Relu, Sigmoid, Tanh
from .slopes import RandomRelu, prelu
from .tensor.inplace import in_place, overwrite, takes_straight
from .tensor.operands import floating
from .tensor.promotion import number_type
from .tensor.reduction import HALF
from .tensor.types import to

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_",
    "leaky_relu", "leaky_relu_", "logsigmoid", "mish", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu",
    "selu_", "sigmoid", "sigmoid_", "silu", "softplus", "softshrink", "softsign", "tanh", "tanh_", "tanhshrink",
    "threshold", "threshold_",
]  # fmt: skip


def _run(function: type[Function], name: str, input: Tensor, kinds: str = "f", **options: Any) -> Tensor:
    """Check the dtype of the input and run; `kinds` are the kinds of dtype that the activation takes unconverted."""
    if isinstance(input, Tensor):
        dtype = input._array.dtype
        if dtype == HALF:
            return to(function.apply(to(input, np.float32), **options), np.float16)
        if dtype.kind != "f" and dtype.kind in kinds:
            return function.apply(input, **options)
    floating(name, input=input)
    return function.apply(input, **options)


def _activate(op: str, input: Tensor, *parameters: float, name: str = "", kinds: str = "f") -> Tensor:
    for value in parameters:
        if type(value) is not float and type(value) is not int:
            parameters = tuple(real(value, name or op, "every parameter") for value in parameters)
    return _run(Activation, name or op, input, kinds, op=op, parameters=parameters)


def _as_float(input: Any, kinds: str = "iub") -> Any:
    """Convert a tensor of integers (or of the given `kinds`) to the default floating-point type."""
    return to(input, number_type(0.0)) if isinstance(input, Tensor) and input.dtype.kind in kinds else input


def _elementwise(op: str, input: Tensor, inplace: bool, *parameters: float, row: str = "", kinds: str = "f") -> Tensor:
    """Run the row `row`, or else `op`, of the table of activations, into the input's memory if `inplace` is set."""
    return _placed(op, input, inplace, lambda x: _activate(row or op, x, *parameters, name=op, kinds=kinds))


def _placed(op: str, input: Tensor, inplace: bool, function: Callable[[Tensor], Tensor]) -> Tensor:
    return overwrite(input, f"{op}_", function, fresh=True) if inplace else function(input)


# ------------------------------------------------------------------------------------------- without parameters


@tensor_method("relu")
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0), elementwise; NaN stays NaN, and the gradient at 0 is 0. The dtype of integers stays.

    >>> F.relu(minicnn.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    if inplace and takes_straight(input):
        return overwrite(input, "relu_", lambda x: Relu.apply(x, out=x._array), straight=True)
    return _placed("relu", input, inplace, lambda x: _run(Relu, "relu", x, "iu"))


@tensor_method("tanh")
def tanh(input: Tensor) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x), elementwise; integers give floats.

    >>> F.tanh(minicnn.tensor([-100.0, 0.0, 1.0]))
    tensor([-1.0000,  0.0000,  0.7616])
    """
    return _run(Tanh, "tanh", _as_float(input))


@tensor_method("sigmoid")
def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x), elementwise, without overflow at either end; integers give floats.

    >>> F.sigmoid(minicnn.tensor([-1.0, 0.0, 1.0]))  # 1/(1 + e) = 0.2689
    tensor([0.2689, 0.5000, 0.7311])
    """
    return _run(Sigmoid, "sigmoid", _as_float(input))


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x), also called swish. P. Ramachandran et al. 2017, https://arxiv.org/abs/1710.05941.

    >>> F.silu(minicnn.tensor([0.0, 1.0, 100.0]))
    tensor([  0.0000,   0.7311, 100.0000])
    """
    return _elementwise("silu", input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(log(1 + e^x)). D. Misra 2019, https://arxiv.org/abs/1908.08681.

    >>> F.mish(minicnn.tensor([0.0, 1.0, 100.0]))
    tensor([  0.0000,   0.8651, 100.0000])
    """
    return _elementwise("mish", input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x relu6(x + 3)/6. A. Howard et al. 2019, https://arxiv.org/abs/1905.02244.

    >>> F.hardswish(minicnn.tensor([-1.5, 0.0, 3.0]))  # -1.5*1.5/6 ...
    tensor([-0.3750,  0.0000,  3.0000])
    """
    return _elementwise("hardswish", input, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(x + 3)/6.

    >>> F.hardsigmoid(minicnn.tensor([-3.0, 0.0, 1.5, 3.0]))
    tensor([0.0000, 0.5000, 0.7500, 1.0000])
    """
    return _elementwise("hardsigmoid", input, inplace)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)) = min(x, 0) - log(1 + e^-|x|), a form that neither overflows nor loses digits.

    >>> F.logsigmoid(minicnn.tensor([-100.0, 0.0]))  # sigmoid(-100) is 3.8e-44; log(1/2)
    tensor([-100.0000,   -0.6931])
    """
    return _activate("logsigmoid", input)


def softsign(input: Tensor) -> Tensor:
    """x/(1 + |x|); integers give floats.

    >>> F.softsign(minicnn.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    """
    return _activate("softsign", _as_float(input, "iu"))


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x); integers give floats.

    >>> F.tanhshrink(minicnn.tensor([0.0, 1.0, 100.0]))
    tensor([ 0.0000,  0.2384, 99.0000])
    """
    return _activate("tanhshrink", _as_float(input, "iu"))


# ---------------------------------------------------------------------------------------------- with parameters


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """x P(X <= x) with X standard normal, or x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) with `approximate="tanh"`.

    D. Hendrycks and K. Gimpel 2016, https://arxiv.org/abs/1606.08415.

    >>> F.gelu(minicnn.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return _activate("gelu" if approximate == "none" else "gelu_tanh", input, name="gelu")


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x limited to [min_val, max_val]; the gradient is 0 at the limits and beyond. The dtype of integers stays.

    >>> F.hardtanh(minicnn.tensor([-2.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    min_val, max_val = real(min_val, "hardtanh", "min_val"), real(max_val, "hardtanh", "max_val")
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is greater than max_val {max_val}")
    return _hardtanh("hardtanh", input, min_val, max_val, inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6). A. Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".

    >>> F.relu6(minicnn.tensor([-1.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """
    return _hardtanh("relu6", input, 0.0, 6.0, inplace)


def _hardtanh(name: str, input: Tensor, low: float, high: float, inplace: bool) -> Tensor:
    if isinstance(input, Tensor) and input.dtype.kind == "u" and min(low, high) < 0:
        raise RuntimeError(f"{name}: unsigned integers have no negative limits, got {low} and {high}; cast the input")
    return _elementwise(name, input, inplace, low, high, row="hardtanh", kinds="iu")


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope x; the gradient at 0 is negative_slope. A. Maas et al. 2013.

    >>> F.leaky_relu(minicnn.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return _elementwise("leaky_relu", input, inplace, negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^x - 1). D.-A. Clevert et al. 2015, https://arxiv.org/abs/1511.07289.

    >>> F.elu(minicnn.tensor([-1.0, 2.0]))  # 1/e - 1
    tensor([-0.6321,  2.0000])
    """
    return _elementwise("elu", input, inplace, alpha, 1.0, 1.0)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^(x/alpha) - 1). J. Barron 2017, https://arxiv.org/abs/1704.07483.

    >>> F.celu(minicnn.tensor([-2.0, 2.0]), alpha=2.0)  # 2 (1/e - 1)
    tensor([-1.2642,  2.0000])
    """
    alpha = real(alpha, "celu", "alpha")
    if alpha == 0:
        raise RuntimeError("celu: alpha must not be 0; for the limit of a small alpha use relu")
    return shown_as(_elementwise("celu", input, inplace, alpha, 1.0, 1 / alpha, row="elu"), "CeluBackward0")


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 x where x > 0, else 1.0507 * 1.6733 (e^x - 1): these constants keep mean 0 and variance 1.

    G. Klambauer et al. 2017, https://arxiv.org/abs/1706.02515.

    >>> F.selu(minicnn.tensor([-100.0, 0.0, 1.0]))
    tensor([-1.7581,  0.0000,  1.0507])
    """
    return _elementwise("selu", input, inplace, _SELU_SCALE * _SELU_ALPHA, _SELU_SCALE, 1.0, row="elu")


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value. The dtype of integers stays.

    >>> F.threshold(minicnn.tensor([0.0, 1.0, 2.0]), 1.0, -5.0)
    tensor([-5., -5.,  2.])
    """
    return _elementwise("threshold", input, inplace, threshold, value, kinds="iu")


@tensor_method("hardshrink")
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where |x| <= lambd, else x.

    >>> F.hardshrink(minicnn.tensor([-1.0, 0.5, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    return _activate("hardshrink", input, lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, and 0 where |x| <= lambd.

    >>> F.softshrink(minicnn.tensor([-1.0, 0.5, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    lambd = real(lambd, "softshrink", "lambd")
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd must not be negative, got {lambd}")
    return _activate("softshrink", input, lambd)


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + e^(beta x))/beta, and x itself where beta x > threshold.

    >>> F.softplus(minicnn.tensor([0.0, 1.0, 100.0]))  # log(2), log(1 + e)
    tensor([  0.6931,   1.3133, 100.0000])
    """
    return _activate("softplus", input, beta, threshold)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b), where a and b are the halves of the input along `dim`. Y. Dauphin et al. 2016, arXiv 1612.08083.

    Raises:
        IndexError: the input has no axis `dim`.
        ShapeError: the size along `dim` is odd.

    >>> F.glu(minicnn.tensor([1.0, 2.0, 0.0, 100.0]))  # 1*sigmoid(0), 2*sigmoid(100)
    tensor([0.5000, 2.0000])
    """
    if not (isinstance(input, Tensor) and input.array.dtype == np.float16):
        floating("glu", input=input)
    dim, half = check_glu(input.shape, dim if type(dim) is int else whole(dim, "glu", "dim"))
    before: tuple[slice, ...] = (slice(None),) * dim
    y = input[(*before, slice(half))] * sigmoid(input[(*before, slice(half, None))])
    return shown_as(y, "GluBackward0")


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """x where x > 0, else r x. In training r is drawn from [lower, upper] for each element; otherwise it is their mean.

    B. Xu et al. 2015, https://arxiv.org/abs/1505.00853.

    >>> F.rrelu(minicnn.tensor([-1.0, 2.0]), 0.1, 0.3)  # (0.1 + 0.3)/2
    tensor([-0.2000,  2.0000])
    """
    lower, upper = real(lower, "rrelu", "lower"), real(upper, "rrelu", "upper")
    if lower > upper:
        raise RuntimeError(f"rrelu: lower {lower} is greater than upper {upper}")
    if not training:
        return shown_as(leaky_relu(input, (lower + upper) / 2, inplace), "RreluWithNoiseBackward0")
    floating("rrelu", input=input)
    return _placed("rrelu", input, inplace, lambda x: RandomRelu.apply(x, lower, upper))


# -------------------------------------------------------------------------------------------------- in place


@tensor_method("relu_")
def relu_(input: Tensor) -> Tensor:
    """`relu`, in place."""
    return relu(input, inplace=True)


tanh_, sigmoid_ = (tensor_method(f"{f.__name__}_")(in_place(f)) for f in (tanh, sigmoid))
celu_, elu_, hardtanh_, leaky_relu_, rrelu_, selu_, threshold_ = (
    in_place(f) for f in (celu, elu, hardtanh, leaky_relu, rrelu, selu, threshold)
)
