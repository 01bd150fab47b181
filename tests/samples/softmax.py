"""Samples of softmax and related functions."""

from __future__ import annotations

from typing import Any

from .table import Op, S, positive

AXES = [
    S((3, 4), dim=1),
    S((3, 4), dim=0),
    S((2, 5, 3, 2), dim=1),
    S((2, 3, 4), dim=-1),
    S((), dim=0),
    S((1,), dim=-1),
    S((2, 0), dim=1),
    S((0, 3), dim=1),
]


def gumbel(lib: Any, x: Any, **options: Any) -> Any:
    """`gumbel_softmax` with the same noise each time."""
    lib.manual_seed(0)
    return lib.nn.functional.gumbel_softmax(x, **options)


OPS = {
    "softmax": Op("nn.functional.softmax", AXES),
    "log_softmax": Op("nn.functional.log_softmax", AXES),
    "softmin": Op("nn.functional.softmin", AXES),
    "temperature_softmax": Op(
        "nn.functional.temperature_softmax",
        [S((3, 4), ()), S((2, 3, 2), (), dim=1), S((2, 3), (2, 1)), S((0, 3), ())],
        draw=positive,
        torch=False,
    ),
    "temperature_softmax (number)": Op(
        "nn.functional.temperature_softmax", [S((3, 2), temperature=0.3, dim=0), S((4,))], torch=False
    ),
    "gumbel_softmax": Op(gumbel, [S((3, 4)), S((2, 3, 2), tau=0.7, dim=1), S((0, 3))], torch=False),
}
