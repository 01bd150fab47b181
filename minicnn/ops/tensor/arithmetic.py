"""Arithmetic of two and three operands, + - * / // % ** and similar functions: each is a row with its derivatives.

All functions broadcast, promote types as PyTorch does, and are also methods of Tensor. In the formulas `a` is `input`
and `b` is `other`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import is_array, on_gpu

from ...autograd import ownership
from ...autograd.nodes import shown_as
from ...tensor import Array, Tensor, tensor_method
from .arguments import check_tensor
from .elementwise import binary, flat, row, run
from .large import shared_out, summed_product
from .promotion import OPERANDS, as_operand, result_type

__all__ = [
    "add", "addcdiv", "addcmul", "arctan2", "atan2", "copysign", "div", "divide", "float_power", "floor_divide",
    "fmod", "heaviside", "hypot", "ldexp", "lerp", "logaddexp", "logaddexp2", "mul", "multiply", "pow", "remainder",
    "rsub", "sub", "subtract", "true_divide", "xlogy",
]  # fmt: skip

# ------------------------------------------------------------------------------------------------- sums and products


_sum, _difference, _product = (
    shared_out(op, general) for op, general in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply))
)
ownership.add = _sum
_add = row("add", _sum, lambda gy: gy, lambda gy: gy)
_sub = row("sub", _difference, lambda gy: gy, lambda gy: -gy, refuse="b")
_add_scaled = row("add", lambda a, b, c: a + c * b, lambda gy: gy, lambda gy, c: gy * c)  # c: the number alpha
_mul = row("mul", _product, lambda gy, b: _product(gy, b), lambda gy, a: _product(gy, a))
_mul = _mul._replace(summed=summed_product)
IN_PLACE = {"add": _add, "sub": _sub}  # these save no operand, so they may write into one


def _scale(op: str, alpha: Any, *operands: Any) -> Any:
    """Return the factor `alpha`, after checking that the operands' type can hold it."""
    alpha = alpha.item() if isinstance(alpha, (Tensor, np.generic)) else alpha
    kind = result_type(*(as_operand(o, op) for o in operands)).kind
    if isinstance(alpha, bool) and kind != "b":
        raise RuntimeError(f"{op}: a boolean alpha is for boolean tensors only; pass a number")
    if isinstance(alpha, float) and kind != "f":
        raise RuntimeError(f"{op}: alpha={alpha} must be an integer for integer tensors; convert them with .float()")
    return alpha


@tensor_method("add")
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """a + alpha b.

    >>> minicnn.tensor([1, 2]) + 10, minicnn.add(minicnn.tensor([1, 2]), 3, alpha=10)
    (tensor([11, 12]), tensor([31, 32]))
    """
    if alpha == 1:
        return run(_add, input, other)
    return run(_add_scaled, input, other, _scale("add", alpha, input, other))


@tensor_method("sub", "subtract")
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """a - alpha b.

    >>> minicnn.tensor([5, 6]) - minicnn.tensor([1, 2])
    tensor([4, 4])
    """
    for operand in (input, other):  # one bool is enough for an error: it would be converted silently
        if isinstance(operand, bool) or (isinstance(operand, Tensor) and operand.array.dtype.kind == "b"):
            raise RuntimeError(
                "sub: - is not defined for bool; use ~ or logical_not to invert a mask, ^ to compare two masks"
            )
    if alpha == 1:
        return run(_sub, input, other)
    return run(_add_scaled, input, other, -_scale("sub", alpha, input, other))


@tensor_method("rsub")
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """b - alpha a.

    >>> minicnn.rsub(minicnn.tensor([1, 2]), 10)
    tensor([9, 8])
    """
    return shown_as(sub(other, input, alpha=alpha), f"RsubBackward{0 if isinstance(other, Tensor) else 1}")


@tensor_method("mul", "multiply")
def mul(input: Any, other: Any) -> Tensor:
    """a b.

    >>> minicnn.tensor([1., 2.]) * minicnn.tensor([3., 4.])
    tensor([3., 8.])
    """
    return run(_mul, input, other)


def _addcdiv_kinds(*operands: Any) -> None:
    if result_type(*operands).kind != "f":
        raise RuntimeError("addcdiv: integer division is not supported; convert the tensors with .float()")


_addcmul = row(
    "addcmul", lambda a, b, c, value: a + value * b * c,
    lambda gy: gy, lambda gy, c, value: gy * (c * value), lambda gy, b, value: gy * (b * value), refuse="b",
)  # fmt: skip
_addcdiv = row(
    "addcdiv", lambda a, b, c, value: a + value * b / c,
    lambda gy: gy, lambda gy, c, value: gy * (value / c), lambda gy, b, c, value: -gy * (value * b / (c * c)),
)  # fmt: skip


@tensor_method("addcmul")
def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """a + value b c.

    >>> minicnn.addcmul(minicnn.ones(2), minicnn.tensor([1., 2.]), minicnn.tensor([3., 4.]), value=10)
    tensor([31., 81.])
    """
    return run(_addcmul, input, tensor1, tensor2, value=_scale("addcmul", value, input, tensor1, tensor2))


@tensor_method("addcdiv")
def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """a + value b / c.

    >>> minicnn.addcdiv(minicnn.ones(2), minicnn.ones(2), minicnn.tensor([1., 2.]), value=-0.1)
    tensor([0.9000, 0.9500])
    """
    _addcdiv_kinds(input, tensor1, tensor2)
    return run(_addcdiv, input, tensor1, tensor2, value=value)


_lerp = row(
    "lerp",
    lambda a, b, c: np.where(np.abs(c) < 0.5, a + c * (b - a), b - (b - a) * (1 - c)),  # exact at both ends
    lambda gy, c: gy * (1 - c), lambda gy, c: gy * c, lambda gy, a, b: gy * (b - a),
)  # fmt: skip


@tensor_method("lerp")
def lerp(input: Tensor, end: Any, weight: Any) -> Tensor:
    """a + weight (b - a): a point on the straight line from `input` to `end`.

    Raises:
        RuntimeError: the operands have different types.

    >>> minicnn.lerp(minicnn.tensor([0., 10.]), minicnn.tensor([10., 20.]), 0.25)
    tensor([ 2.5000, 12.5000])
    """
    check_tensor("lerp", input=input)
    kinds = {str(o.dtype) for o in (input, end, weight) if isinstance(o, Tensor)}
    if len(kinds) > 1:
        raise RuntimeError(f"lerp: the tensors must be of the same type, got {sorted(kinds)}; convert with .to(...)")
    if input.dtype.kind != "f":
        raise NotImplementedError(f"lerp: not defined for {input.dtype} tensors; convert them with .float()")
    return run(_lerp, input, end, weight)


# ------------------------------------------------------------------------------------------------- division and powers


def _whole(name: str, floats: Callable[..., Array], integers: Callable[..., Array]) -> Callable[..., Array]:
    """Make a division with two definitions: /0 gives Inf or NaN for floats, and an error for integers."""

    def divide(a: Any, b: Any) -> Array:
        if np.result_type(a, b).kind == "f":
            return floats(a, b)
        if np.any(np.equal(b, 0)):
            raise RuntimeError(f"ZeroDivisionError: {name}: an integer is divided by 0; convert with .float() for Inf")
        return integers(a, b)

    return divide


def _truncated(a: Any, b: Any) -> Array:
    """Integer division towards 0."""
    quotient = np.floor_divide(a, b)
    return quotient + ((np.fmod(a, b) != 0) & ((a < 0) != (b < 0))).astype(quotient.dtype)


def _floored(a: Any, b: Any) -> Array:
    """floor(a / b) of floats, computed from the remainder, so that 1 // 0.1 is 9, as for the exact quotient."""
    if not (on_gpu(a) or on_gpu(b)):
        quotient = np.floor_divide(a, b)
        return np.where(np.equal(b, 0), np.true_divide(a, b), quotient)
    rest, quotient = np.fmod(a, b), np.true_divide(a, b)  # CuPy's floor_divide is floor(a / b): 10, and Inf // 2 is Inf
    exact = (a - rest) / b - _opposite(rest, b)  # a whole number, but for rounding
    lower = np.floor(exact)
    lower = np.where(exact == 0, np.copysign(exact, quotient), lower + (exact - lower > 0.5))
    return np.where(np.equal(b, 0), quotient, lower)


def _remainder(a: Any, b: Any) -> Array:
    """The remainder of floats with the sign of b."""
    if not (on_gpu(a) or on_gpu(b)):
        return np.remainder(a, b)
    rest = np.fmod(a, b)  # CuPy's remainder is a - b floor(a / b): NaN where b is Inf
    return np.where(_opposite(rest, b), rest + b, np.copysign(rest, b))


def _opposite(rest: Array, b: Any) -> Array:
    """Where a remainder is not 0 and has not the sign of b."""
    return (rest != 0) & ((rest < 0) != (b < 0))


_true_div = row("div", np.true_divide, lambda gy, b: gy / b, lambda gy, a, b: -gy * ((a / b) / b), kind="float")
_trunc_div = row("div", _whole("div", lambda a, b: np.trunc(np.true_divide(a, b)), _truncated), flat, flat, refuse="b")
_floor_div = row("floor_divide", _whole("floor_divide", _floored, np.floor_divide), flat, flat, refuse="b")


@tensor_method("div", "divide")
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """a / b; `rounding_mode` "trunc" rounds the quotient towards 0, "floor" down. By default, integers give floats.

    Raises:
        RuntimeError: the rounding mode is unknown, or a rounded division divides an integer by 0.

    >>> minicnn.tensor([7, -7]) / 2
    tensor([ 3.5000, -3.5000])
    >>> minicnn.div(minicnn.tensor([7, -7]), 2, rounding_mode="floor")
    tensor([ 3, -4])
    """
    if rounding_mode is None:
        return run(_true_div, input, other)
    if rounding_mode not in ("trunc", "floor"):
        raise RuntimeError(f"div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")
    return run(_trunc_div if rounding_mode == "trunc" else _floor_div, input, other)


@tensor_method("true_divide")
def true_divide(input: Any, other: Any) -> Tensor:
    """a / b.

    >>> minicnn.true_divide(minicnn.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    """
    return run(_true_div, input, other)


subtract, multiply, divide = sub, mul, div

floor_divide = binary(
    "floor_divide", _floor_div.function, flat, flat, refuse="b",
    text="The largest integer <= a / b; an integer divided by 0 raises.",
)  # fmt: skip
remainder = binary(
    "remainder", _whole("remainder", _remainder, np.remainder),
    lambda gy: gy, lambda gy, a, b: -gy * _floored(a, b), refuse="b",
    text="a - b floor(a / b): the remainder with the sign of b, as Python's %; an integer divided by 0 raises.",
)  # fmt: skip
fmod = binary(
    "fmod", _whole("fmod", np.fmod, np.fmod), lambda gy: gy, lambda gy, a, b: -gy * np.trunc(a / b), refuse="b",
    text="a - b trunc(a / b): the remainder with the sign of a, as C's fmod; an integer divided by 0 raises.",
)  # fmt: skip


def _power(a: Any, b: Any) -> Array:
    """a^b; for integers the exact power, where a negative exponent gives 1/a^|b| rounded to 0."""
    if np.result_type(a, b).kind == "f" or np.all(np.greater_equal(b, 0)):
        return a**b  # not np.power, which is slow at squares
    return np.where(b >= 0, np.power(a, np.maximum(b, 0)), np.where(np.abs(a) == 1, np.power(a, np.abs(b)), 0))


def _power_base(gy: Array, a: Any, b: Any) -> Array:
    """d(a^b)/da = b a^(b-1), and 0 where b is 0, at a = 0 too."""
    if not is_array(b):
        return np.zeros_like(gy) if b == 0 else gy * (b * a ** (b - 1))
    return np.where(b == 0, 0, gy * (b * a ** (b - 1)))


def _power_exponent(gy: Array, y: Array, a: Any, b: Any) -> Array:
    """d(a^b)/db = y ln a, and 0 where a is 0 and b >= 0: the limit from the right."""
    return np.where((a == 0) & (b >= 0), 0, gy * (y * np.log(a)))


_pow = row("pow", _power, _power_base, _power_exponent, refuse="b")


@tensor_method("pow")
def pow(input: Any, exponent: Any) -> Tensor:
    """a ** b.

    Raises:
        RuntimeError: integers are raised to a negative power.

    >>> minicnn.tensor([1, 2, 3]) ** 2
    tensor([1, 4, 9])
    """
    if isinstance(exponent, int) and exponent < 0 and isinstance(input, Tensor) and input.array.dtype.kind in "iub":
        raise RuntimeError(f"pow: the power {exponent} of integers is not an integer; convert them with .float()")
    y = run(_pow, input, exponent)
    return y if not isinstance(exponent, Tensor) else shown_as(y, f"PowBackward{1 if isinstance(input, Tensor) else 2}")


@tensor_method("float_power")
def float_power(input: Any, exponent: Any) -> Tensor:
    """a ** b in float64.

    >>> minicnn.float_power(minicnn.tensor([2, 3]), -1)
    tensor([0.5000, 0.3333], dtype=minicnn.float64)
    """
    return run(_pow, *(o.to(np.float64) if isinstance(o, Tensor) else float(o) for o in (input, exponent)))


# ------------------------------------------------------------------------------------------------ functions of two

atan2 = binary(
    "atan2", np.arctan2, lambda gy, a, b: gy * _over(b, a * a + b * b), lambda gy, a, b: gy * _over(-a, a * a + b * b),
    kind="float", methods=("arctan2",), text="The angle of the point (b, a), in radians from -pi to pi.",
)  # fmt: skip
hypot = binary(
    "hypot", np.hypot, lambda gy, a, y: gy * (a / y), lambda gy, b, y: gy * (b / y), refuse="biu",
    text="sqrt(a^2 + b^2), without overflow.",
)  # fmt: skip
logaddexp = binary(
    "logaddexp", np.logaddexp, lambda gy, a, b: gy / (1 + np.exp(b - a)), lambda gy, a, b: gy / (1 + np.exp(a - b)),
    refuse="biu", text="log(e^a + e^b), without overflow.",
)  # fmt: skip
logaddexp2 = binary(
    "logaddexp2", np.logaddexp2, lambda gy, a, b: gy / (1 + np.exp2(b - a)), lambda gy, a, b: gy / (1 + np.exp2(a - b)),
    refuse="biu", text="log2(2^a + 2^b), without overflow.",
)  # fmt: skip
copysign = binary(
    "copysign", np.copysign, lambda gy, a, y: gy * np.where(a == 0, 0, y / a), flat, kind="float",
    text="|a| with the sign of b.",
)  # fmt: skip
xlogy = binary(
    "xlogy", lambda a, b: np.where((a == 0) & ~np.isnan(b), 0, a * np.log(b)),
    lambda gy, a, b: gy * np.where((a == 0) & (b <= 0), 0, np.log(b)), lambda gy, a, b: gy * (a / b), kind="float",
    text="a log(b), and 0 where a is 0.",
)  # fmt: skip
ldexp = binary(
    "ldexp", lambda a, b: a * np.exp2(b), lambda gy, b: gy * np.exp2(b), lambda gy, y: gy * (y * np.log(2)),
    kind="float", text="a 2^b.",
)  # fmt: skip
arctan2 = atan2
_heaviside = row("heaviside", lambda a, b: np.where(a == 0, b, a > 0), flat, flat)


@tensor_method("heaviside")
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where a < 0, `values` where a is 0, 1 where a > 0.

    Raises:
        RuntimeError: the operands have different types.

    >>> minicnn.heaviside(minicnn.tensor([-1., 0., 2.]), minicnn.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    check_tensor("heaviside", input=input, values=values)
    if input.array.dtype != values.array.dtype:
        raise RuntimeError(f"heaviside: the types {input.dtype} and {values.dtype} differ; convert one with .to(...)")
    return run(_heaviside, input, values)


def _over(a: Array, b: Array) -> Array:
    """a / b, and 0 where b is 0."""
    return a / np.where(b == 0, 1, b) * (b != 0)


# ------------------------------------------------------------------------------------------------------- operators


def operator(name: str, function: Callable[[Any, Any], Any], reflected: bool = False) -> None:
    """Add `function` to Tensor as the operator `name`; for an unknown operand Python then tries the other side's."""

    def operate(self: Tensor, other: Any) -> Any:
        if not isinstance(other, OPERANDS):
            return NotImplemented
        return function(other, self) if reflected else function(self, other)

    operate.__name__ = name
    tensor_method(name)(operate)


for _name, _function in (
    ("add", add), ("sub", sub), ("mul", mul), ("truediv", true_divide), ("floordiv", floor_divide), ("mod", remainder),
    ("pow", pow),
):  # fmt: skip
    operator(f"__{_name}__", _function)
    if _name != "sub":
        operator(f"__r{_name}__", _function, reflected=True)
operator("__rsub__", rsub)
