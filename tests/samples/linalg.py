"""Samples of inverses and decompositions of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import Op, S, Shape, beyond


def regular(rng: np.random.Generator, s: Shape) -> np.ndarray:
    """Matrices with singular values far from 0 and from each other: a rotation of each side of 1, 2, 3 ..."""
    *batch, m, n = s
    u, v = (np.linalg.qr(rng.standard_normal((*batch, k, k)))[0] for k in (m, n))
    k = min(m, n)
    return (u[..., :k] * (1 + 0.7 * np.arange(k))) @ v[..., :k].swapaxes(-1, -2)


def _positive(x: Any) -> Any:
    """Symmetric and positive-definite matrices; every function of them has a symmetric gradient."""
    return x @ x.mT


LINALG = "linalg."
SQUARE = [S((3, 3)), S((2, 4, 4)), S((1, 1)), S((0, 2, 2))]
ANY = [S((4, 3)), S((2, 3, 4)), S((3, 3))]
OPS = {
    "inv": Op(LINALG + "inv", SQUARE, draw=regular),
    "det": Op(LINALG + "det", SQUARE, draw=regular),
    "logdet": Op("logdet", [S((1, 1)), S((0, 2, 2))], draw=lambda rng, s: rng.random(s) + 0.5),
    "slogdet": Op(lambda lib, x: lib.linalg.slogdet(x)[1], SQUARE, draw=regular),
    "solve": Op(
        lambda lib, a, b, **o: lib.linalg.solve(_positive(a), b, **o),
        [S((3, 3), (3, 2)), S((2, 3, 3), (3, 1)), S((3, 3), (3,)), S((2, 3, 3), (2, 3)), S((3, 3), (2, 3), left=False)],
        draw=lambda rng, s: regular(rng, s) if len(s) > 1 else rng.standard_normal(s),
    ),
    "cholesky": Op(
        lambda lib, x, **o: lib.linalg.cholesky(_positive(x), **o), [*SQUARE, S((3, 3), upper=True)], draw=regular
    ),
    "qr: Q": Op(lambda lib, x, **o: lib.linalg.qr(x, **o)[0], ANY, draw=regular),
    "qr: R": Op(lambda lib, x, **o: lib.linalg.qr(x, **o)[1], [*ANY, S((2, 3), mode="complete")], draw=regular),
    "qr: both": Op(lambda lib, x: lib.linalg.qr(x)[0] @ lib.linalg.qr(x)[1].sin(), ANY, draw=regular),
    "eigh: values": Op(lambda lib, x: lib.linalg.eigh(x + x.mT)[0], SQUARE, draw=regular),
    "eigh: vectors": Op(lambda lib, x: lib.linalg.eigh(_positive(x))[1] ** 2, SQUARE, draw=regular),
    "eigvalsh": Op(lambda lib, x, **o: lib.linalg.eigvalsh(x + x.mT, **o), [S((3, 3), UPLO="U")], draw=regular),
    "svdvals": Op(LINALG + "svdvals", ANY, draw=regular),
    "svd: all": Op(
        lambda lib, x: (lambda u, s, v: (u * (s**2).unsqueeze(-2)) @ v)(*lib.linalg.svd(x, full_matrices=False)),
        ANY, draw=regular,
    ),
    "svd: U": Op(lambda lib, x: lib.linalg.svd(x, full_matrices=False)[0] ** 2, ANY, draw=regular),
    "svd: V": Op(lambda lib, x: lib.linalg.svd(x, full_matrices=False)[2] ** 2, ANY, draw=regular),
    "pinv": Op(LINALG + "pinv", ANY, draw=regular),
    "lstsq": Op(
        lambda lib, a, b: lib.linalg.lstsq(a, b)[0], [S((4, 2), (4, 3)), S((2, 4, 2), (2, 4, 1))],
        draw=regular,
    ),
    "matrix_power": Op("matrix_power", [S((3, 3), n=n) for n in (3, -2, 1)], draw=regular),
    "matrix_exp": Op("matrix_exp", [S((3, 3)), S((2, 2, 2)), S((0, 2, 2))]),
    "cond": Op(LINALG + "cond", [S((3, 3)), S((3, 2)), beyond((2, 2, 2), p="fro"), S((3, 3), p=-2)], draw=regular),
    "linalg.diagonal": Op(LINALG + "diagonal", [S((2, 3, 4)), S((2, 3, 4), offset=1)], (0,)),
    "vecdot": Op(LINALG + "vecdot", [S((2, 3), (2, 3)), S((2, 3), (3,)), S((3, 2), (3, 1), dim=0)], (0, 1)),
    "vander": Op(LINALG + "vander", [S((3,)), S((2, 3), N=4)]),
    "cholesky_solve": Op(
        lambda lib, b, a: lib.cholesky_solve(b, lib.linalg.cholesky(_positive(a))), [S((3, 2), (3, 3))], draw=regular
    ),
    "cholesky_inverse": Op(
        lambda lib, a: lib.cholesky_inverse(lib.linalg.cholesky(_positive(a))), [S((3, 3))], draw=regular
    ),
    "solve_triangular": Op(
        lambda lib, a, b, **o: lib.linalg.solve_triangular(_positive(a), b, **o),
        [S((3, 3), (3, 2), upper=True), S((2, 3, 3), (2, 2, 3), upper=False, left=False, unitriangular=True)],
        draw=regular,
    ),
}  # fmt: skip
