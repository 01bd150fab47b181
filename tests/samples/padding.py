"""Samples of padding."""

from __future__ import annotations

from .table import Op, S, Sample


def modes(shape: tuple[int, ...], pad: tuple[int, ...], *names: str) -> list[Sample]:
    return [S(shape, pad=pad, mode=mode) for mode in names or ("reflect", "replicate", "circular")]


OPS = {
    "pad": Op(
        "nn.functional.pad",
        [
            S((2, 3), pad=(1, 2)),
            S((2, 3, 4), pad=(1, 0, 0, 2, 1, 1)),
            S((2, 3, 4, 5), pad=(-1, 2, 1, -2)),
            S((3, 4), pad=(-1, -1, -2, 0)),
            S((2, 3), pad=()),
            S((3,), pad=[0, 1]),
            S((2, 0, 3), pad=(1, 1)),
            S((2, 0, 3), pad=(0, 0, 1, 2)),
            S((2, 3), pad=(-3, 0)),
            S((2, 3), pad=(1, 1), value=None),
            *modes((2, 3, 4, 5), (1, 2, 3, 0)),
            *modes((3, 4, 5), (2, 1, 0, 3)),
            *modes((2, 3, 5), (4, 1)),
            *modes((2, 4), (0, 3)),
            *modes((1, 2, 3, 4, 2), (1, 0, 1, 2, 0, 2)),
            *modes((1, 2, 3, 3), (0, 0, 0, 0)),
            *modes((2, 2, 4, 6), (-1, 2, 2, -1)),  # crop on one side, add on the other
            *modes((1, 2, 5), (-2, -1)),
            *modes((0, 2, 4), (1, 2)),
            *modes((2, 3, 2), (7, 5), "replicate"),  # more than the image has
            *modes((2, 3, 4), (4, 4), "circular"),
            *modes((2, 2, 5), (3, -2), "circular"),
            *modes((2, 0, 3), (1, 1), "circular"),
        ],
        linear=(0,),
    ),
    "pad (value)": Op(
        "nn.functional.pad",
        [S((2, 3), pad=(1, 2), value=1.5), S((1, 2, 3, 3), pad=(1, -1, -1, 1), value=-2), S((2,), pad=(0, 1), value=7)],
    ),
}  # fmt: skip
