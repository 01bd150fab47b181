"""Tensors that answer to NumPy's functions: so a gradient that is written for arrays can itself be differentiated.

The tables of operations have their derivatives as NumPy expressions, such as `lambda gy, a: gy * np.cos(a)`. NumPy
hands a call like `np.cos(a)` to its argument if that defines `__array_ufunc__` or `__array_function__`; CuPy's arrays
run the same expressions in this way. A `Recorded` is such an argument. It holds a tensor, and runs the operation of the
same name on it, which the tape records:

    a = Recorded(x)
    np.cos(a)           -> Recorded(minicnn.cos(x))
    a > 0, np.floor(a)  -> an array: these are constant almost everywhere, so they have no gradient
    np.sign(a)          -> Recorded(minicnn.sign(x)), with a gradient of 0, as PyTorch's `abs` has in its gradient
    np.where(a > 0, a, 0), a * 2, a.sum(axis, keepdims=True), ...
    a *= 2, np.exp(a, out=a), a[...] = b    -> a holds another tensor; the first one keeps its values

NEP 13 and NEP 18 of NumPy define the two methods.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minicnn_kernels import arrays

from ...tensor import Array, Tensor
from . import arithmetic, clamp, cumulative, flip_roll, reduction, special, unary
from .expand import expand
from .shape import permute, reshape, unsqueeze
from .types import to

__all__ = ["Recorded"]


class Recorded(NDArrayOperatorsMixin):
    """A tensor in the place of an array."""

    __array_priority__ = 1000

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    shape = property(lambda self: tuple(self.tensor.shape))
    dtype = property(lambda self: self.tensor._array.dtype)
    ndim = property(lambda self: self.tensor._array.ndim)
    size = property(lambda self: self.tensor._array.size)
    itemsize = property(lambda self: self.tensor._array.dtype.itemsize)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **options: Any) -> Any:
        """Run NumPy's elementwise function, reduction or running reduction on tensors."""
        outs = options.pop("out", (None,))
        if ufunc.__name__ in _CONSTANT:
            return getattr(ufunc, method)(*map(_plain, args), **options)
        if method == "reduce":
            return self._reduced(_REDUCTIONS[ufunc.__name__], *args[1:], **options)
        if method == "accumulate":
            function = _RUNNING[ufunc.__name__]
            return Recorded(function(self.tensor, args[1] if len(args) > 1 else options.get("axis", 0)))
        found = _ELEMENTWISE.get(ufunc.__name__)
        if method != "__call__" or found is None:
            raise NotImplementedError(f"{ufunc.__name__}: its gradient has no gradient")
        return _put(Recorded(found(*[_operand(a, self) for a in args])), outs[0])

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        """Run one of NumPy's other functions on tensors."""
        return _FUNCTIONS[function.__name__](*args, **options)

    def _reduced(self, function: Any, axis: Any = None, dtype: Any = None, *_: Any, keepdims: bool = False) -> Any:
        return Recorded(function(self.tensor, axis, keepdims))

    def sum(self, axis: Any = None, keepdims: bool = False) -> Recorded:
        """The sum along axes."""
        return Recorded(reduction.sum(self.tensor, axis, keepdims))

    def astype(self, dtype: Any, copy: bool = True) -> Recorded:
        """The values in another type."""
        return Recorded(to(self.tensor, np.dtype(dtype)))

    def reshape(self, *shape: Any) -> Recorded:
        """The values in another shape."""
        return Recorded(reshape(self.tensor, shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape))

    def of_others(self, axes: tuple[int, ...]) -> Recorded:
        """The product of the other elements along axes, as an operation with a gradient at zeros too."""
        x, kept = self.tensor, [axis for axis in range(self.ndim) if axis not in axes]
        order = [*kept, *axes]
        rows = reshape(permute(x, order), (*[x.shape[axis] for axis in kept], -1))
        found = reshape(_of_others(rows), [x.shape[axis] for axis in order])
        return Recorded(permute(found, [order.index(axis) for axis in range(self.ndim)]))

    def times_of_others(self, a: Recorded, axis: int) -> Recorded:
        """sum_(k>=i) gy_k prod_(j<=k, j!=i) a_j for gy = self: the gradient of a running product."""
        gy, x = self.tensor.movedim(axis, -1), a.tensor.movedim(axis, -1)
        n = x.shape[-1]
        upto = np.tri(n, dtype=x._array.dtype)  # (k, j): whether j <= k
        within = Tensor(arrays.beside(upto, x._array))
        rows = clamp.where(within != 0, unsqueeze(x, -2), 1.0)  # (..., k, j)
        found = (unsqueeze(gy, -1) * _of_others(rows) * within).sum(-2)
        return Recorded(found.movedim(-1, axis))

    def sums_of_powers(self, a: Recorded, y: Recorded, axis: int) -> Recorded:
        """sum_(j>=i) gy_j e^(a_i - y_j) for gy = self: the gradient of a running logsumexp."""
        gy, x, top = (one.tensor.movedim(axis, -1) for one in (self, a, y))
        n = x.shape[-1]
        within = Tensor(arrays.beside(np.tri(n, dtype=bool), x._array))  # (j, i): whether i <= j
        powers = clamp.where(within, unsqueeze(x, -2) - unsqueeze(top, -1), -np.inf).exp()
        return Recorded((unsqueeze(gy, -1) * powers).sum(-2).movedim(-1, axis))

    def __getitem__(self, index: Any) -> Recorded:
        return Recorded(self.tensor[index])

    def __setitem__(self, everything: EllipsisType, value: Recorded) -> None:
        self.tensor = to(value.tensor, self.dtype)


arrays.LIKE_ARRAYS.add(Recorded)


def _put(found: Recorded, out: Any) -> Recorded:
    """Let `out`, where there is one, hold the result in its own type, as the array in its place would."""
    if not isinstance(out, Recorded):
        return found  # new, or in the place of an array: the callers use what is returned
    out.tensor = to(found.tensor, out.dtype)
    return out


def _plain(x: Any) -> Any:
    """Return an array of the values, without a gradient."""
    return x.tensor._array if isinstance(x, Recorded) else x


def _operand(x: Any, like: Recorded) -> Any:
    """Return an operand as a tensor or a number."""
    if isinstance(x, Recorded):
        return x.tensor
    if isinstance(x, np.generic):
        return x.item()
    if arrays.is_array(x):  # truth values count as numbers
        return Tensor(x.astype(like.dtype) if x.dtype.kind == "b" else x)
    return x


def _of_others(x: Tensor) -> Tensor:
    """The product of the other elements along the last axis; if there are zeros, by n products of n - 1 factors."""
    if not bool((x._array == 0).any()):
        return reduction.prod(x, -1, True) / x
    n = x.shape[-1]
    own = Tensor(arrays.beside(np.eye(n, dtype=bool), x._array))
    return reduction.prod(clamp.where(own, 1.0, unsqueeze(x, -2)), -1)


def _where(condition: Any, a: Any, b: Any) -> Any:
    a, b, condition = _operand(a, _one(a, b)), _operand(b, _one(a, b)), _plain(condition)
    return Recorded(clamp.where(Tensor(np.asarray(condition) if np.isscalar(condition) else condition), a, b))


def _one(*values: Any) -> Any:
    return next(value for value in values if isinstance(value, Recorded))


_CONSTANT = {
    "greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "isnan", "isinf", "isfinite",
    "signbit", "floor", "ceil", "trunc", "rint", "floor_divide", "heaviside", "logical_and", "logical_or",
    "logical_not", "bitwise_and", "bitwise_or", "invert",
}  # fmt: skip
_ELEMENTWISE: dict[str, Callable[..., Tensor]] = {
    "add": arithmetic.add, "subtract": arithmetic.sub, "multiply": arithmetic.mul, "divide": arithmetic.true_divide,
    "true_divide": arithmetic.true_divide, "power": arithmetic.pow, "float_power": arithmetic.pow,
    "arctan2": arithmetic.atan2, "hypot": arithmetic.hypot, "logaddexp": arithmetic.logaddexp,
    "logaddexp2": arithmetic.logaddexp2, "remainder": arithmetic.remainder, "fmod": arithmetic.fmod,
    "copysign": arithmetic.copysign, "maximum": clamp.maximum, "minimum": clamp.minimum, "fmax": clamp.fmax,
    "fmin": clamp.fmin, "negative": unary.neg, "positive": unary.positive, "absolute": unary.abs, "fabs": unary.abs,
    "sign": unary.sign, "reciprocal": unary.reciprocal, "square": unary.square, "sqrt": unary.sqrt, "exp": unary.exp,
    "exp2": unary.exp2, "expm1": unary.expm1, "log": unary.log, "log2": unary.log2, "log10": unary.log10,
    "log1p": unary.log1p,
    "sin": unary.sin, "cos": unary.cos, "tan": unary.tan, "arcsin": unary.asin, "arccos": unary.acos,
    "arctan": unary.atan, "sinh": unary.sinh, "cosh": unary.cosh, "arcsinh": unary.asinh, "arccosh": unary.acosh,
    "arctanh": unary.atanh, "deg2rad": unary.deg2rad, "rad2deg": unary.rad2deg, "erf": unary.erf, "erfc": unary.erfc,
    "erfinv": unary.erfinv, "psi": unary.digamma, "digamma": unary.digamma, "gammaln": unary.lgamma,
    "tanh": lambda x: x.tanh(), "ndtr": lambda x: unary.erfc(x * -math.sqrt(0.5)) * 0.5,
    "_zeta": special.zeta, "i0": special.i0, "i1": special.i1, "i0e": special.i0e, "i1e": special.i1e,
}  # fmt: skip
_REDUCTIONS = {"add": reduction.sum, "multiply": reduction.prod}
_RUNNING = {"add": cumulative.cumsum, "multiply": cumulative.cumprod, "logaddexp": cumulative.logcumsumexp}


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "where": _where,
    "zeros_like": lambda a, *_, **__: np.zeros_like(_plain(a)),
    "ones_like": lambda a, *_, **__: np.ones_like(_plain(a)),
    "shape": lambda a: a.shape,
    "clip": lambda a, low, high, out=None: _put(Recorded(clamp.clamp(a.tensor, low, high)), out),
    "broadcast_to": lambda a, shape, **_: Recorded(expand(a.tensor, shape)),
    "flip": lambda a, axis=None: Recorded(flip_roll.flip(a.tensor, axis)),
    "sum": lambda a, axis=None, keepdims=False, **_: a.sum(axis, keepdims),
    "sinc": lambda a: Recorded(unary.sinc(a.tensor)),
    "isposinf": lambda a: np.isposinf(_plain(a)),
    "isneginf": lambda a: np.isneginf(_plain(a)),
}


def _as_tensor(found: Any, like: Tensor) -> Tensor:
    """Return the result of a gradient as a tensor of a type."""
    tensor = found.tensor if isinstance(found, Recorded) else Tensor(arrays.as_array(_array(found, like)))
    return tensor if tensor.dtype == like.dtype else to(tensor, like.dtype)


def _array(found: Any, like: Tensor) -> Array:
    return arrays.beside(np.asarray(found), like._array) if not arrays.is_array(found) else found


def gradient(function: Callable[..., Any], values: Sequence[Any], gy: Tensor) -> Tensor:
    """Run a gradient that is written for arrays on tensors, which stand among the values, and record it."""
    with np.errstate(all="ignore"):
        found = function(*[Recorded(value) if isinstance(value, Tensor) else value for value in values])
    return _as_tensor(found, gy)


def sum_to(x: Tensor, whole: tuple[int, ...], shape: tuple[int, ...], dtype: Any) -> Tensor:
    """Broadcast to the shape `whole` of a result, then sum to the shape of an operand, and convert the type."""
    if tuple(x.shape) != tuple(whole):
        x = expand(x, whole)
    if tuple(x.shape) != shape:
        extra = x.ndim - len(shape)
        axes = tuple(range(extra)) + tuple(
            extra + i for i, size in enumerate(shape) if size == 1 and x.shape[extra + i] != 1
        )
        x = reshape(reduction.sum(x, axes) if axes else x, shape)
    return x if x.dtype == dtype else to(x, dtype)
