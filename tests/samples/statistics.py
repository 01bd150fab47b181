"""Samples of statistics, integrals, and tensors with a part replaced."""

from __future__ import annotations

from typing import Any

from .table import Op, S, apart, beyond, positive


def _parts(lib: Any, x: Any, **options: Any) -> Any:
    return lib.cat([part.reshape(-1) for part in lib.gradient(x, **options)])


def _points(lib: Any, x: Any, *points: Any, **options: Any) -> Any:
    """With the coordinates 1, 2, 4, 7 ... of each axis."""
    places = [lib.arange(float(n), device=x.device).to(x.dtype) for n in x.shape]
    return _parts(lib, x, spacing=[1 + p * (p + 1) / 2 for p in places], **options)


def _rule(name: str) -> Any:
    return lambda lib, y, x=None, **options: getattr(lib, name)(y, *(() if x is None else (x,)), **options)


INTEGRALS = [
    S((4,)),
    S((2, 5), dx=0.5),
    S((3, 2), dim=0),
    S((2, 3, 4), (3,), dim=1),
    S((2, 4), (2, 4)),
    S((1,)),
    beyond((2, 0)),
]
OPS = {
    "cov": Op("cov", [S((3, 5)), S((4,)), S((2, 4), correction=0)]),
    "corrcoef": Op("corrcoef", [S((3, 5))]),
    "trapezoid": Op(_rule("trapezoid"), INTEGRALS),
    "cumulative_trapezoid": Op(_rule("cumulative_trapezoid"), INTEGRALS[:-1]),
    "gradient": Op(
        _parts, [S((5,)), S((3, 4), spacing=2.0), S((4, 3), edge_order=2), S((3, 4), dim=1, spacing=(0.5,)), S((2,))]
    ),
    "gradient (points)": Op(_points, [S((5,)), S((3, 4), edge_order=2)]),
    "select_scatter": Op("select_scatter", [S((2, 3), (2,), dim=1, index=2), S((3,), (), dim=0, index=-1)], (0, 1)),
    "slice_scatter": Op(
        "slice_scatter", [S((5, 2), (2, 2), start=1, end=4, step=2), S((2, 3), (2, 1), dim=1, start=-1)], (0, 1)
    ),
    "diagonal_scatter": Op(
        "diagonal_scatter", [S((3, 3), (3,)), S((2, 3, 4), (2, 3), offset=1, dim1=1, dim2=2)], (0, 1)
    ),
    "renorm": Op("renorm", [S((3, 4), p=2, dim=0, maxnorm=1.5), S((2, 3, 2), p=1, dim=1, maxnorm=0.1)], draw=apart),
    "vander (old)": Op("vander", [beyond((3,)), beyond((3,), N=4, increasing=True)]),
    "sum_to_size": Op(
        lambda lib, x, size: x.sum_to_size(size), [S((2, 3), size=(1, 3)), S((2, 3, 4), size=(3, 1))], (0,)
    ),
    "as_strided": Op(
        lambda lib, x, **options: x.contiguous().as_strided(**options),
        [
            S((6,), size=(3, 2), stride=(1, 2)),
            S((2, 3), size=(2, 2), stride=(0, 1), storage_offset=2),
            S((3,), size=(0,), stride=(1,)),
        ],
        (0,),
    ),
    "angle": Op("angle", [S((2, 3))], draw=positive),
    "frexp": Op("frexp", [S((2, 3))], draw=positive),
}  # fmt: skip
