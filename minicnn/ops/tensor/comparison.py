"""Comparisons, tests of single values, logic and bits; these functions have no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...tensor import Array, Tensor, tensor_method
from .arguments import check_tensor, number
from .arithmetic import operator
from .elementwise import binary, row, run, unary

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "is_nonzero",
    "is_same_size",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "not_equal",
    "signbit",
]  # fmt: skip


def _comparison(name: str, function: Callable[..., Any], long: str, sign: str) -> Callable[[Any, Any], Tensor]:
    compare = binary(
        name, function, kind="bool", methods=(long,), text=f"Whether a {sign} b, elementwise with broadcasting."
    )
    operator(f"__{name}__", compare)
    return compare


eq = _comparison("eq", np.equal, "eq", "=")
ne = _comparison("ne", np.not_equal, "not_equal", "!=")
lt = _comparison("lt", np.less, "less", "<")
le = _comparison("le", np.less_equal, "less_equal", "<=")
gt = _comparison("gt", np.greater, "greater", ">")
ge = _comparison("ge", np.greater_equal, "greater_equal", ">=")
not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


@tensor_method("equal")
def equal(input: Tensor, other: Tensor) -> bool:
    """Return whether the two tensors have the same shape and the same elements; NaN equals nothing.

    Raises:
        RuntimeError: the tensors are on different devices.

    >>> minicnn.equal(minicnn.tensor([1, 2]), minicnn.tensor([1, 2]))
    True
    """
    check_tensor("equal", input=input, other=other)
    if input.device != other.device:
        raise RuntimeError(
            "equal: Expected all tensors to be on the same device, but found at least two devices, "
            f"{input.device} and {other.device}! Move one with .to(...)"
        )
    return input.shape == other.shape and bool(eq(input, other).all())


def _near(a: Array, b: Array, rtol: float, atol: float, equal_nan: bool) -> Array:
    if a.dtype.kind == "b":
        a, b = a.astype(np.int8), b.astype(np.int8)
    near = (a == b) | (np.isfinite(b) & (np.abs(a - b) <= atol + np.abs(rtol * b)))
    return near | (np.isnan(a) & np.isnan(b)) if equal_nan else near


_isclose = row("isclose", _near, kind="bool")


@tensor_method("isclose")
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |a - b| <= atol + rtol |b|, elementwise.

    Raises:
        RuntimeError: the operands have different types, or a tolerance is negative.

    >>> minicnn.isclose(minicnn.tensor([1., 1.]), minicnn.tensor([1.000001, 1.1]))
    tensor([ True, False])
    """
    check_tensor("isclose", input=input, other=other)
    if input.dtype != other.dtype:
        raise RuntimeError(f"isclose: the types {input.dtype} and {other.dtype} differ; convert one with .to(...)")
    rtol, atol = number("isclose", "rtol", rtol), number("isclose", "atol", atol)
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: the tolerances must not be negative, got rtol={rtol}, atol={atol}")
    return run(_isclose, input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


@tensor_method("allclose")
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Return whether `isclose` is true for all elements.

    >>> minicnn.allclose(minicnn.tensor([1.]), minicnn.tensor([1.000001]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


# ------------------------------------------------------------------------------------------------------- single values

isnan = unary("isnan", np.isnan, kind="bool", text="Whether a is NaN.")
isinf = unary("isinf", np.isinf, kind="bool", text="Whether a is Inf or -Inf.")
isfinite = unary("isfinite", np.isfinite, kind="bool", text="Whether a is neither NaN nor infinite.")
isposinf = unary("isposinf", lambda a: a == np.inf, kind="bool", text="Whether a is Inf.")
isneginf = unary("isneginf", lambda a: a == -np.inf, kind="bool", text="Whether a is -Inf.")
isreal = unary("isreal", lambda a: np.ones_like(a, bool), kind="bool", text="True everywhere.")
signbit = unary(
    "signbit", lambda a: np.signbit(a) if a.dtype.kind == "f" else a < 0, kind="bool",
    text="Whether a is negative, -0.0 included.",
)  # fmt: skip

# ------------------------------------------------------------------------------------------------------- logic and bits

logical_and = binary("logical_and", np.logical_and, kind="bool", text="Whether a and b are not 0.")
logical_or = binary("logical_or", np.logical_or, kind="bool", text="Whether a or b is not 0.")
logical_xor = binary("logical_xor", np.logical_xor, kind="bool", text="Whether one of a and b is 0 and the other not.")
logical_not = unary("logical_not", np.logical_not, kind="bool", text="Whether a is 0.")

bitwise_and = binary("bitwise_and", np.bitwise_and, refuse="f", text="a & b, bit by bit; for bool tensors, and.")
bitwise_or = binary("bitwise_or", np.bitwise_or, refuse="f", text="a | b, bit by bit; for bool tensors, or.")
bitwise_xor = binary("bitwise_xor", np.bitwise_xor, refuse="f", text="a ^ b, bit by bit; for bool tensors, xor.")
bitwise_not = unary("bitwise_not", np.invert, kind="same", refuse="f", text="~a, bit by bit; for bool, not.")
bitwise_left_shift = binary("bitwise_left_shift", np.left_shift, refuse="bf", text="a 2^b.")
bitwise_right_shift = binary("bitwise_right_shift", np.right_shift, refuse="bf", text="floor(a / 2^b).")


@tensor_method("__invert__")
def _invert(self: Tensor) -> Tensor:
    """~a, the operator of `bitwise_not`; floats are a TypeError, as in PyTorch."""
    if self.array.dtype.kind == "f":
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors, "
            f"got {self.dtype}; compare first, as in ~(x > 0)"
        )
    return bitwise_not(self)


for _name, _function in (
    ("and", bitwise_and), ("or", bitwise_or), ("xor", bitwise_xor), ("lshift", bitwise_left_shift),
    ("rshift", bitwise_right_shift),
):  # fmt: skip
    operator(f"__{_name}__", _function)
    operator(f"__r{_name}__", _function, reflected=True)


@tensor_method("__contains__")
def _contains(self: Tensor, element: Any) -> bool:
    """`element in x`: return whether any element equals `element`."""
    return bool((self == element).any()) if not self.is_meta else bool(self._values("in"))


@tensor_method("is_nonzero")
def is_nonzero(input: Tensor) -> bool:
    """Return whether the only element is not 0.

    >>> minicnn.is_nonzero(minicnn.tensor([0.5]))
    True
    """
    return bool(input)


@tensor_method("is_same_size")
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Return whether the shapes are equal.

    >>> minicnn.is_same_size(minicnn.zeros(2, 3), minicnn.zeros(3, 2))
    False
    """
    return input.shape == other.shape
