"""Samples of matrix products."""

from __future__ import annotations

from typing import Any

from .table import Op, S, beyond


def _einsum(lib: Any, *operands: Any, equation: str) -> Any:
    return lib.einsum(equation, *operands)


OPS = {
    "linear": Op(
        "nn.functional.linear",
        [
            S((3, 4), (5, 4), (5,)),
            S((4,), (2, 4), None),
            S((2, 3, 4), (1, 4), (1,)),
            S((0, 4), (2, 4), (2,)),
            beyond((2, 4), (4,), ()),
        ],
        (0, 1),
    ),
    "matmul": Op(
        "matmul",
        [
            S((3, 4), (4, 2)),
            S((4,), (4,)),
            S((4,), (4, 3)),
            S((2, 3), (3,)),
            S((2, 1, 3, 4), (5, 4, 2)),
            S((2, 3, 4), (4, 2)),
            S((2, 3, 4), (4,)),
            S((4,), (2, 4, 3)),
            S((0, 3), (3, 2)),
            S((2, 0), (0, 3)),
            S((2, 2, 0), (2, 0, 3)),
        ],
        (0, 1),
    ),
    "mm": Op("mm", [S((3, 4), (4, 2))], (0, 1)),
    "bmm": Op("bmm", [S((2, 3, 4), (2, 4, 2)), S((0, 2, 3), (0, 3, 1))], (0, 1)),
    "mv": Op("mv", [S((3, 4), (4,))], (0, 1)),
    "dot": Op("dot", [S((4,), (4,)), S((0,), (0,))], (0, 1)),
    "outer": Op("outer", [S((3,), (4,)), S((0,), (2,))], (0, 1)),
    "inner": Op("inner", [S((2, 3), (4, 3)), S((3,), (2, 2, 3)), S((), (2, 3))], (0, 1)),
    "addmm": Op("addmm", [S((2,), (3, 4), (4, 2)), S((3, 2), (3, 4), (4, 2), beta=0.5, alpha=-2)], (0, 1, 2)),
    "addmv": Op("addmv", [S((3,), (3, 4), (4,), alpha=2)], (0, 1, 2)),
    "addr": Op("addr", [S((3, 4), (3,), (4,), beta=0)], (1, 2)),
    "baddbmm": Op("baddbmm", [S((1, 2), (2, 3, 4), (2, 4, 2)), S((2, 3, 2), (2, 3, 4), (2, 4, 2), beta=2)], (0, 1, 2)),
    "addbmm": Op("addbmm", [S((3, 2), (2, 3, 4), (2, 4, 2))], (0, 1, 2)),
    "multi_dot": Op(
        lambda lib, *xs: lib.linalg.multi_dot(xs), [S((2, 5), (5, 3), (3, 4)), S((4,), (4, 2), (2, 3), (3,))], (0, 1, 2)
    ),
    "einsum": Op(
        _einsum,
        [
            S((2, 3), (3, 4), equation="ij,jk->ik"),
            S((2, 3, 4), (2, 4, 5), equation="bij,bjk"),
            S((2, 3), (2, 3), equation="ij,ij->"),
            S((3,), (4,), equation="i,j->ji"),
            S((2, 1, 2, 3), (5, 3, 4), equation="...ij,...jk->...ik"),
            S((2, 3), (2, 4), (3, 4), equation="ai,ab,ib->b"),
            S((2, 1), (1, 3), equation="ij,ij->i"),  # axes of size 1 are broadcast
            S((2, 3, 3), (3,), equation="bii,i->bi"),
        ],
        (0, 1),
    ),
    "einsum (one operand)": Op(
        _einsum,
        [
            S((3, 3), equation="ii"),
            S((2, 3, 4), equation="ijk->kj"),
            S((2, 3, 3), equation="...ii->...i"),
            S((2, 3), equation="ba"),
            S((0, 3), equation="ij->j"),
        ],
        (0,),
    ),
    "tensordot": Op(
        "tensordot",
        [
            S((2, 3, 4), (3, 4, 5)),
            S((2, 3, 4), (4, 2), dims=([0, 2], [1, 0])),
            S((2,), (3,), dims=0),
            S((2, 1), (3, 2), dims=([1], [0])),
        ],
        (0, 1),
    ),
    "cdist": Op(
        "cdist", [S((2, 3), (4, 3)), S((2, 1, 3, 2), (4, 2), p=1), S((2, 3), (2, 3), p=3.0), S((0, 3), (2, 3))]
    ),
    "kron": Op("kron", [S((2, 3), (3, 2)), S((2,), (2, 3)), S((), (2,))], (0, 1)),
    "cross": Op(
        lambda lib, x, y, **o: lib.linalg.cross(x, y, **o), [S((2, 3), (2, 3)), S((3, 1), (3, 4), dim=0)], (0, 1)
    ),
}
