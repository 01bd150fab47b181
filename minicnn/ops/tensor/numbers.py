"""Numbers as integers, as floating-point numbers, and as complex numbers, which here are real."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels.arrays import on_device_of, xp

from ...compat import return_types
from ...tensor import Tensor, tensor_method
from .arguments import check_tensor
from .arithmetic import floor_divide
from .clamp import where
from .elementwise import binary, flat
from .inplace import in_place
from .unary import exp2

__all__ = [
    "angle", "conj", "conj_physical", "frexp", "gcd", "gcd_", "is_conj", "is_neg", "lcm", "lcm_", "nextafter",
    "resolve_conj", "resolve_neg",
]  # fmt: skip

gcd = binary("gcd", np.gcd, refuse="fb", text="The greatest common divisor of integers, elementwise.")
lcm = binary("lcm", np.lcm, refuse="fb", text="The least common multiple of integers, elementwise.")
nextafter = binary(
    "nextafter", np.nextafter, lambda gy, a, b: gy * (a != b), flat, refuse="biu",
    text="The next floating-point number after a in the direction of b.",
)  # fmt: skip
gcd_, lcm_ = in_place(gcd), in_place(lcm)
for _function in (gcd_, lcm_, in_place(nextafter)):
    tensor_method(_function.__name__)(_function)


@tensor_method("frexp")
def frexp(input: Tensor) -> Any:
    """Each number as mantissa * 2^exponent, with 1/2 <= |mantissa| < 1, as `(mantissa, exponent)`.

    >>> minicnn.frexp(minicnn.tensor([6., 0.5]))  # 0.75 * 2^3, 0.5 * 2^0
    minicnn.return_types.frexp(
    mantissa=tensor([0.7500, 0.5000]),
    exponent=tensor([3, 0], dtype=minicnn.int32))
    """
    check_tensor("frexp", input=input)
    if input.dtype.kind != "f":
        raise RuntimeError(f"frexp: only supports floating-point dtypes, got {input.dtype}; convert it with .float()")
    if input.is_meta:
        return return_types.frexp(input, input.to(np.int32))
    x = input.array
    with on_device_of(x):
        exponent = Tensor(xp(x).frexp(x)[1].astype(np.int32, copy=False))
    finite = where(input.isfinite(), input, 1.0)
    half = floor_divide(exponent, 2)  # in two steps: 2^exponent may be too large for the type
    mantissa = finite * exp2(-half.to(input.dtype)) * exp2((half - exponent).to(input.dtype))
    return return_types.frexp(where(input.isfinite(), mantissa, input), exponent)


@tensor_method("angle")
def angle(input: Tensor) -> Tensor:
    """The angle of real numbers in the complex plane: 0, or pi for negative numbers.

    >>> minicnn.angle(minicnn.tensor([2., -2.]))
    tensor([0.0000, 3.1416])
    """
    check_tensor("angle", input=input)
    x = input if input.dtype.kind == "f" else input.float()
    return where(x.isnan(), x, where(x < 0, math.pi, x * 0).nan_to_num())


@tensor_method("conj")
def conj(input: Tensor) -> Tensor:
    """The complex conjugate: of real numbers, the tensor itself.

    >>> minicnn.conj(minicnn.tensor([1.]))
    tensor([1.])
    """
    check_tensor("conj", input=input)
    return input


@tensor_method("conj_physical")
def conj_physical(input: Tensor) -> Tensor:
    """`conj`: the tensor itself."""
    return conj(input)


@tensor_method("resolve_conj")
def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself, which holds its values."""
    return conj(input)


@tensor_method("resolve_neg")
def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself, which holds its values."""
    return conj(input)


@tensor_method("is_conj")
def is_conj(input: Tensor) -> bool:
    """Return False: no tensor stands for the conjugate of its memory."""
    return False


@tensor_method("is_neg")
def is_neg(input: Tensor) -> bool:
    """Return False: no tensor stands for the negative of its memory."""
    return False
