"""Activations as layers: each one calls the function of `minicnn.ops.activation` named in it, with stored arguments."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..ops import activation
from ..ops.tensor import creation
from ..tensor import Tensor
from . import init
from .module import Module
from .parameter import Parameter

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
    "LogSigmoid", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softplus", "Softshrink", "Softsign",
    "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class Activation(Module):
    """A function of the input; its other arguments are the attributes named in `__constants__`."""

    function: Callable[..., Tensor]
    __constants__: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()  # the attributes that the repr shows

    def _keep(self, **arguments: Any) -> None:
        super().__init__()
        for name, value in arguments.items():
            setattr(self, name, value)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function."""
        if not self.__constants__:
            return type(self).function(input)
        return type(self).function(input, **{name: getattr(self, name) for name in self.__constants__})

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        shown = [f"{name}={getattr(self, name)}" for name in self.shown if name != "inplace"]
        return ", ".join([*shown, "inplace=True"] if "inplace" in self.shown and self.inplace else shown)


class InPlace(Activation):
    """An activation whose only argument says whether it overwrites its input."""

    __constants__ = ("inplace",)
    shown: tuple[str, ...] = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        self._keep(inplace=inplace)


class ReLU(InPlace):
    """max(x, 0), elementwise; `inplace` overwrites the input.

    >>> nn.ReLU()(minicnn.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    function = staticmethod(activation.relu)


class SELU(InPlace):
    """1.0507 (x where x > 0, else 1.6733 (e^x - 1)).

    >>> nn.SELU()(minicnn.tensor([-100.0, 0.0, 1.0]))  # from -1.0507*1.6733
    tensor([-1.7581,  0.0000,  1.0507])
    """

    function = staticmethod(activation.selu)


class SiLU(InPlace):
    """x sigmoid(x).

    >>> nn.SiLU()(minicnn.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """

    function = staticmethod(activation.silu)


class Mish(InPlace):
    """x tanh(log(1 + e^x)).

    >>> nn.Mish()(minicnn.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """

    function = staticmethod(activation.mish)


class Hardswish(InPlace):
    """x relu6(x + 3)/6.

    >>> nn.Hardswish()(minicnn.tensor([-1.5, 0.0, 3.0]))
    tensor([-0.3750,  0.0000,  3.0000])
    """

    function = staticmethod(activation.hardswish)
    shown = ()


class Hardsigmoid(InPlace):
    """relu6(x + 3)/6.

    >>> nn.Hardsigmoid()(minicnn.tensor([-3.0, 0.0, 1.5, 3.0]))
    tensor([0.0000, 0.5000, 0.7500, 1.0000])
    """

    function = staticmethod(activation.hardsigmoid)
    shown = ()


class Sigmoid(Activation):
    """1/(1 + e^-x).

    >>> nn.Sigmoid()(minicnn.tensor([-1.0, 0.0, 1.0]))
    tensor([0.2689, 0.5000, 0.7311])
    """

    function = staticmethod(activation.sigmoid)


class Tanh(Activation):
    """(e^x - e^-x)/(e^x + e^-x).

    >>> nn.Tanh()(minicnn.tensor([-100.0, 0.0, 100.0]))
    tensor([-1.,  0.,  1.])
    """

    function = staticmethod(activation.tanh)


class LogSigmoid(Activation):
    """log(1/(1 + e^-x)).

    >>> nn.LogSigmoid()(minicnn.tensor([-100.0, 0.0]))  # log(1/2) at 0
    tensor([-100.0000,   -0.6931])
    """

    function = staticmethod(activation.logsigmoid)


class Softsign(Activation):
    """x/(1 + |x|).

    >>> nn.Softsign()(minicnn.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    """

    function = staticmethod(activation.softsign)


class Tanhshrink(Activation):
    """x - tanh(x).

    >>> nn.Tanhshrink()(minicnn.tensor([0.0, 100.0]))
    tensor([ 0., 99.])
    """

    function = staticmethod(activation.tanhshrink)


class Hardtanh(Activation):
    """x limited to [min_val, max_val]; `min_value` and `max_value` are deprecated names of these.

    >>> nn.Hardtanh()(minicnn.tensor([-2.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    function = staticmethod(activation.hardtanh)
    __constants__ = ("min_val", "max_val", "inplace")
    shown: tuple[str, ...] = __constants__

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        for name, value in (("min", min_value), ("max", max_value)):
            if value is not None:
                warnings.warn(f"Hardtanh: {name}_value is deprecated; use {name}_val", FutureWarning, stacklevel=2)
        self._keep(
            min_val=min_val if min_value is None else min_value,
            max_val=max_val if max_value is None else max_value,
            inplace=inplace,
        )
        if self.min_val > self.max_val:
            raise ValueError(f"Hardtanh: min_val {self.min_val} is greater than max_val {self.max_val}")


class ReLU6(Hardtanh):
    """min(max(x, 0), 6).

    >>> nn.ReLU6()(minicnn.tensor([-1.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """

    shown = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


class ELU(Activation):
    """x where x > 0, else alpha (e^x - 1).

    >>> nn.ELU()(minicnn.tensor([-100.0, 0.0, 2.0]))
    tensor([-1.,  0.,  2.])
    """

    function = staticmethod(activation.elu)
    __constants__ = ("alpha", "inplace")
    shown = __constants__

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self._keep(alpha=alpha, inplace=inplace)


class CELU(ELU):
    """x where x > 0, else alpha (e^(x/alpha) - 1).

    >>> nn.CELU(alpha=2.0)(minicnn.tensor([-100.0, 0.0, 2.0]))
    tensor([-2.,  0.,  2.])
    """

    function = staticmethod(activation.celu)


class LeakyReLU(Activation):
    """x where x > 0, else negative_slope x.

    >>> nn.LeakyReLU(0.1)(minicnn.tensor([-1.0, 2.0]))
    tensor([-0.1000,  2.0000])
    """

    function = staticmethod(activation.leaky_relu)
    __constants__ = ("negative_slope", "inplace")
    shown = __constants__

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self._keep(negative_slope=negative_slope, inplace=inplace)


class RReLU(Activation):
    """x where x > 0, else r x; r is drawn from [lower, upper] for each element in training, else it is the mean.

    >>> nn.RReLU(0.1, 0.3).eval()(minicnn.tensor([-1.0, 2.0]))
    tensor([-0.2000,  2.0000])
    """

    function = staticmethod(activation.rrelu)
    __constants__ = ("lower", "upper", "training", "inplace")
    shown = ("lower", "upper", "inplace")

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        self._keep(lower=lower, upper=upper, inplace=inplace)


class Threshold(Activation):
    """x where x > threshold, else value.

    >>> nn.Threshold(1.0, -5.0)(minicnn.tensor([0.0, 1.0, 2.0]))
    tensor([-5., -5.,  2.])
    """

    function = staticmethod(activation.threshold)
    __constants__ = ("threshold", "value", "inplace")
    shown = __constants__

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self._keep(threshold=threshold, value=value, inplace=inplace)


class Hardshrink(Activation):
    """0 where |x| <= lambd, else x.

    >>> nn.Hardshrink()(minicnn.tensor([-1.0, 0.5, 2.0]))
    tensor([-1.,  0.,  2.])
    """

    function = staticmethod(activation.hardshrink)
    __constants__ = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        self._keep(lambd=lambd)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return str(self.lambd)


class Softshrink(Hardshrink):
    """x moved towards 0 by lambd, and 0 where |x| <= lambd.

    >>> nn.Softshrink()(minicnn.tensor([-1.0, 0.5, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """

    function = staticmethod(activation.softshrink)


class Softplus(Activation):
    """log(1 + e^(beta x))/beta, and x itself where beta x > threshold.

    >>> nn.Softplus()(minicnn.tensor([-1.0, 0.0, 100.0]))  # log(2) at 0
    tensor([  0.3133,   0.6931, 100.0000])
    """

    function = staticmethod(activation.softplus)
    __constants__ = ("beta", "threshold")
    shown = __constants__

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self._keep(beta=beta, threshold=threshold)


class GELU(Activation):
    """x P(X <= x) with X standard normal, or the approximation of it with `approximate="tanh"`.

    >>> nn.GELU()(minicnn.tensor([-1.0, 0.0, 1.0]))  # P(X <= 1) = 0.8413
    tensor([-0.1587,  0.0000,  0.8413])
    """

    function = staticmethod(activation.gelu)
    __constants__ = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self._keep(approximate=approximate)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"approximate={self.approximate!r}"


class GLU(Activation):
    """a sigmoid(b), where a and b are the halves of the input along `dim`.

    >>> nn.GLU()(minicnn.tensor([1.0, 2.0, 0.0, 100.0]))  # [1*sigmoid(0), 2*sigmoid(100)]
    tensor([0.5000, 2.0000])
    """

    function = staticmethod(activation.glu)
    __constants__ = ("dim",)
    shown = __constants__

    def __init__(self, dim: int = -1) -> None:
        self._keep(dim=dim)


class PReLU(Module):
    """x where x > 0, else weight[c] x, with a single learned slope or one for each channel: `functional.prelu`.

    Args:
        num_parameters: 1, or the number of channels.
        init: the start value of the slopes.
        device, dtype: of the parameter.

    Attributes:
        weight: the slopes, (num_parameters,).

    >>> nn.PReLU()(minicnn.tensor([-1.0, 2.0])).detach()
    tensor([-0.2500,  2.0000])
    """

    __constants__ = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(creation.empty(num_parameters, dtype=dtype, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slopes to `init`."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Apply it."""
        return activation.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Return the text inside the parentheses of the repr, as PyTorch prints it."""
        return f"num_parameters={self.num_parameters}"
