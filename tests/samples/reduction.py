"""Samples of reductions, running reductions and norms."""

from __future__ import annotations

from math import inf

import numpy as np

from .table import Op, S, Shape, apart, positive

MANY = [S((2, 3, 4)), S((2, 3, 4), dim=1), S((2, 3), dim=(0, 1), keepdim=True), S(()), S((0, 2), dim=0)]
FEW = [S((2, 3, 4)), S((2, 3, 4), dim=-1), S((2, 3, 4), dim=[2, 0], keepdim=True), S(())]
LINE = [S((2, 3, 4), dim=1), S((5,), dim=-1), S((), dim=0), S((2, 0), dim=0), S((2, 0), dim=1)]
CHOICE = [S((2, 3, 4)), S((2, 3, 4), dim=1), S((3, 2), dim=-1, keepdim=True), S((), dim=0)]


def with_zeros(rng: np.random.Generator, s: Shape) -> np.ndarray:
    """Small whole numbers, including 0."""
    return rng.integers(-1, 3, s).astype(np.float64)


OPS = {
    "sum": Op("sum", [*MANY, S((2, 3), dim=())], (0,)),
    "nansum": Op("nansum", FEW, (0,)),
    "mean": Op("mean", [*FEW, S((3, 2), dim=(1, 0))], (0,)),
    "nanmean": Op("nanmean", FEW, (0,)),
    "prod": Op("prod", CHOICE),
    "prod (zeros)": Op("prod", [S((3, 4), dim=1), S((4, 3), dim=0, keepdim=True), S((2,))], draw=with_zeros),
    "logsumexp": Op("logsumexp", [S((2, 3, 4), dim=1), S((2, 3), dim=(0, 1), keepdim=True), S((0, 2), dim=0)]),
    "var": Op(
        "var",
        [S((2, 3, 4)), S((2, 3, 4), dim=(0, 2), keepdim=True), S((5, 3), dim=0, correction=0), S((4,), unbiased=False)],
    ),
    "std": Op("std", [S((2, 3, 4)), S((2, 3, 4), dim=(0, 2), keepdim=True), S((5, 3), dim=0, correction=0)]),
    "var_mean": Op(
        lambda lib, x, **o: lib.var_mean(x, **o)[0] * lib.std_mean(x, **o)[1], [S((2, 3)), S((2, 3), dim=1)]
    ),
    "amax": Op("amax", FEW, draw=apart),
    "amin": Op("amin", FEW, draw=apart),
    "aminmax": Op(lambda lib, x, **o: lib.aminmax(x, **o).max - lib.aminmax(x, **o).min, CHOICE, draw=apart),
    "max": Op("max", CHOICE, draw=apart),
    "min": Op("min", CHOICE, draw=apart),
    "max (two)": Op("max", [S((2, 3), (3,))], draw=apart),
    "median": Op("median", CHOICE, draw=apart),
    "nanmedian": Op("nanmedian", CHOICE, draw=apart),
    "mode": Op("mode", [S((2, 3, 4), dim=1), S((3, 2), keepdim=True)], draw=apart),
    "quantile": Op(
        "quantile",
        [
            S((2, 3, 4), q=0.3),
            S((2, 5), q=0.6, dim=1, keepdim=True),
            *(S((5, 3), q=0.4, dim=0, interpolation=name) for name in ("lower", "higher", "midpoint", "nearest")),
        ],
        draw=apart,
    ),
    "quantile (several)": Op(
        lambda lib, x, **o: lib.quantile(x, lib.tensor([0.1, 0.8], dtype=x.dtype, device=x.device), **o),
        [S((2, 5), dim=1), S((7,))],
        draw=apart,
    ),
    "nanquantile": Op("nanquantile", [S((2, 5), q=0.6, dim=1)], draw=apart),
    "cumsum": Op("cumsum", LINE, (0,)),
    "cumprod": Op("cumprod", LINE, draw=positive),
    "cumprod (zeros)": Op("cumprod", [S((3, 4), dim=1), S((5, 3), dim=0)], draw=with_zeros),
    "logcumsumexp": Op("logcumsumexp", LINE[:3]),
    "cummax": Op("cummax", LINE[:3], draw=apart),
    "cummin": Op("cummin", LINE[:3], draw=apart),
    "norm": Op("norm", [*FEW, *(S((2, 3, 4), p=p, dim=1) for p in (0, 1, 2, 3, 0.5, -1, inf, -inf))], draw=apart),
    "vector_norm": Op("linalg.vector_norm", [S((2, 3), ord=3), S((2, 3), dim=1, keepdim=True)]),
    "matrix_norm": Op("linalg.matrix_norm", [S((2, 3, 4), ord=ord) for ord in ("fro", "nuc", 1, -1, 2, -2, inf, -inf)]),
    "linalg.norm": Op(
        "linalg.norm", [S((3, 4)), S((3, 4), ord=2), S((4,), ord=3), S((2, 3, 4), ord=1, dim=(0, 2), keepdim=True)]
    ),
    "dist": Op("dist", [S((2, 3), (3,)), S((4,), (4,), p=3)]),
}
