"""Mistakes in the scale of the first weights: the standard deviation, or the bound of a uniform distribution.

A call has the options `shape` (out, in, KH, KW ...) and `scheme`: xavier_normal, xavier_uniform, he_normal, he_uniform.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minicnn_kernels.arrays import Array

from .base import Call, Mistake


class _Fans:
    def __init__(self, call: Call) -> None:
        shape = call.options["shape"]
        self.cells = math.prod(shape[2:])
        self.into, self.out = shape[1] * self.cells, shape[0] * self.cells
        self.plain = shape[1], shape[0]
        self.xavier, self.uniform = (
            call.options["scheme"].startswith("xavier"),
            call.options["scheme"].endswith("uniform"),
        )
        self.width = math.sqrt(3) if self.uniform else 1.0

    def variance(self, into: float, out: float) -> float:
        return 2 / (into + out) if self.xavier else 2 / into


def _of(change: Callable[[_Fans], float | None]) -> Callable[[Call], Array | None]:
    def result(call: Call) -> Array | None:
        found = change(_Fans(call))
        return None if found is None else np.asarray(found)

    return result


_HE, _XAVIER = "He: std = sqrt(2 / fan_in)", "Xavier: std = sqrt(2 / (fan_in + fan_out))"
_FAN = "fan_in = C KH KW, fan_out = O KH KW for a weight (O, C, KH, KW)"
SCALE = [
    Mistake("fan_out is taken instead of fan_in", f"{_HE}; {_FAN}",
            _of(lambda f: None if f.xavier else f.width * math.sqrt(2 / f.out))),
    Mistake("fan_in alone is taken, not the sum", _XAVIER,
            _of(lambda f: f.width * math.sqrt(2 / f.into) if f.xavier else None)),
    Mistake("the variance is 1 / fan_in", f"{_XAVIER}; {_HE}", _of(lambda f: f.width * math.sqrt(1 / f.into))),
    Mistake("the variance is 1 / (fan_in + fan_out)", _XAVIER,
            _of(lambda f: f.width * math.sqrt(1 / (f.into + f.out)) if f.xavier else None)),
    Mistake("fan_in + fan_out is taken, as by Xavier", _HE,
            _of(lambda f: None if f.xavier else f.width * math.sqrt(2 / (f.into + f.out)))),
    Mistake("the size of the filter is missing in the fans", _FAN,
            _of(lambda f: f.width * math.sqrt(f.variance(*f.plain)))),
    Mistake("the root is missing: this is the variance", "the standard deviation is the root of the variance",
            _of(lambda f: f.width**2 * f.variance(f.into, f.out))),
    Mistake("the root is missing: this is the variance without the factor 3", "the bound is sqrt(3) std",
            _of(lambda f: f.variance(f.into, f.out))),
    Mistake("the root is missing: the variance is taken for the standard deviation", "std is the root of the variance",
            _of(lambda f: f.width * f.variance(f.into, f.out))),
    Mistake("the bound lacks sqrt(3): this is the standard deviation", "U(-a, a) has the variance a^2/3, so the bound "
            "is sqrt(3) std", _of(lambda f: math.sqrt(f.variance(f.into, f.out)) if f.uniform else None)),
    Mistake("it is the bound of the uniform distribution", "the normal one takes std itself",
            _of(lambda f: None if f.uniform else math.sqrt(3 * f.variance(f.into, f.out)))),
]  # fmt: skip
