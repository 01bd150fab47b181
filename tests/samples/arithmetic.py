"""Samples of elementwise arithmetic."""

from __future__ import annotations

import numpy as np

from .table import BROADCAST, POINTS, Op, S, Shape, apart, positive

BINARY = [S((2, 3), (2, 3)), S((4, 1, 3), (2, 1)), S((), (3,)), S((2, 0), (1,))]
UNARY = [S((2, 3, 4)), S(())]


def inside(rng: np.random.Generator, s: Shape) -> np.ndarray:
    """Values from -0.9 to 0.9, none of them near 0."""
    return (rng.random(s) * 0.8 + 0.1) * rng.choice([-1, 1], s)


def fractions(rng: np.random.Generator, s: Shape) -> np.ndarray:
    """Values at least 0.1 from every half and whole number."""
    return rng.integers(-4, 4, s) + rng.choice([0.1, 0.35, 0.6, 0.9], s)


def above_one(rng: np.random.Generator, s: Shape) -> np.ndarray:
    return rng.random(s) + 1.5


OPS = {
    "add": Op("add", BROADCAST, linear=(0, 1)),
    "add (alpha)": Op("add", [S((2, 3), (3,), alpha=-2.5)], linear=(0, 1)),
    "sub": Op("sub", [*BINARY, S((2, 3), (2, 1), alpha=3)], linear=(0, 1)),
    "rsub": Op("rsub", [S((2, 3), (3,)), S((2, 3), (2, 1), alpha=2)], linear=(0, 1)),
    "mul": Op("mul", BROADCAST, linear=(0, 1)),
    "mul (per channel)": Op("mul", [S((2, 3, 2, 2), (1, 3, 1, 1)), S((2, 3, 2, 2), (2, 3, 1, 1))], linear=(0, 1)),
    "mul (number)": Op(lambda lib, x: 2 * x * np.float64(3) * True, UNARY, linear=(0,)),
    "div": Op("div", BROADCAST, linear=(0,), draw=positive),
    "div (rounded)": Op(
        "div", [S((2, 3), (3,), rounding_mode="floor"), S((2, 3), (3,), rounding_mode="trunc")], draw=positive
    ),
    "reflected": Op(lambda lib, x: (1 - x) * (2 / x) + 2**x, UNARY, draw=above_one),
    "floor_divide": Op("floor_divide", [S((2, 3), (3,))], draw=positive, torch=False),  # PyTorch has no gradient for it
    "remainder": Op("remainder", [S((2, 3), (3,))], draw=inside),
    "fmod": Op("fmod", [S((2, 3), (3,))], draw=inside),
    "pow": Op("pow", BROADCAST, draw=positive),
    "pow (number)": Op(
        lambda lib, x, p: x**p, [S((2, 3), p=2), S((2, 3), p=-1.5), S((3,), p=0), S((3,), p=0.5)], draw=positive
    ),
    "pow (negative base)": Op(lambda lib, x: x**3 + lib.pow(x, -2), UNARY, draw=inside),
    "float_power": Op(lambda lib, x, y: lib.float_power(x, y).to(x.dtype), [S((2, 3), (3,))], draw=positive),
    "addcmul": Op("addcmul", [S((2, 3), (3,), (2, 1)), S((3,), (2, 3), (2, 3), value=-0.5)], linear=(0, 1, 2)),
    "addcdiv": Op("addcdiv", [S((2, 3), (3,), (2, 1)), S((3,), (2, 3), (2, 3), value=-0.5)], (0, 1), draw=positive),
    "lerp": Op("lerp", [S((2, 3), (3,), (2, 1)), S((2, 3), (2, 3), (2, 3))], linear=(0, 1)),
    "lerp (number)": Op("lerp", [S((2, 3), (2, 3), weight=0.25), S((2, 3), (2, 3), weight=0.75)], linear=(0, 1)),
    "maximum": Op("maximum", BINARY),
    "minimum": Op("minimum", BINARY),
    "fmax": Op("fmax", BINARY),
    "fmin": Op("fmin", BINARY),
    "clamp": Op(
        "clamp",
        [S((3, 4), min=-0.32, max=0.32), S((7,), min=-0.12), S((2, 3), max=0.12), S((0,), min=0)],
        draw=apart,
    ),
    "clamp (tensors)": Op("clamp", [S((3, 4), (1, 4), (3, 1)), S((2, 3), None, (3,)), S((2, 3), (2, 3))]),
    "clamp_min": Op("clamp_min", [S((2, 3), (3,))]),
    "clamp_max": Op("clamp_max", [S((2, 3), (3,))]),
    "where": Op(lambda lib, x, y: lib.where(x > 0, x, y), BINARY, draw=apart),
    "where (number)": Op(lambda lib, x: lib.where(x > 0, x, -1) * x.where(x < 0.52, lib.zeros(())), UNARY, draw=apart),
    "atan2": Op("atan2", BINARY, draw=inside),
    "hypot": Op("hypot", BINARY, draw=inside),
    "logaddexp": Op("logaddexp", BINARY),
    "logaddexp2": Op("logaddexp2", BINARY),
    "copysign": Op("copysign", [S((2, 3), (3,))], draw=inside),
    "xlogy": Op("xlogy", BINARY, draw=positive),
    "ldexp": Op("ldexp", [S((2, 3), (3,))]),
    "heaviside": Op("heaviside", [S((2, 3), (3,))], draw=apart, torch=False),
    "nan_to_num": Op("nan_to_num", [S((2, 3)), S((2, 3), nan=1.0)]),
    "logit": Op("logit", [S((2, 3)), S((2, 3), eps=0.2)], draw=lambda rng, s: rng.choice([0.1, 0.3, 0.6, 0.95], s)),
    "round (decimals)": Op("round", [S((2, 3), decimals=1)], draw=lambda rng, s: rng.choice([0.12, 0.38, 0.61], s)),
    "abs": Op("abs", POINTS, draw=apart),
    "neg": Op("neg", POINTS, linear=(0,)),
    "exp": Op("exp", POINTS),
    "log": Op("log", POINTS, draw=positive),
    "type": Op(lambda lib, x: x.double().to(x.dtype) * 2, UNARY, linear=(0,)),
    "memory format": Op(lambda lib, x: x.to(memory_format=lib.channels_last) * 2, [S((2, 3, 4, 5))], linear=(0,)),
    **{
        name: Op(name, UNARY)
        for name in ["square", "exp2", "expm1", "sin", "cos", "sinh", "cosh", "asinh", "erf", "erfc", "atan", "sinc"]
    },
    **{
        name: Op(name, UNARY, draw=positive)
        for name in ["sqrt", "rsqrt", "reciprocal", "log2", "log10", "log1p", "lgamma", "digamma"]
    },
    **{name: Op(name, UNARY, draw=inside) for name in ["tan", "asin", "acos", "atanh", "erfinv", "sign"]},
    **{name: Op(name, UNARY, draw=fractions) for name in ["floor", "ceil", "round", "trunc", "frac"]},
    "acosh": Op("acosh", UNARY, draw=above_one),
    **{name: Op(name, UNARY, linear=(0,)) for name in ("deg2rad", "rad2deg", "positive")},
}
