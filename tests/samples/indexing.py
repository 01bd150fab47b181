"""Samples of indexing, of selecting elements by index tensors, and of sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import Op, S, apart, beyond


def _at(lib: Any, at: Any) -> Any:
    """Return an index with its NumPy arrays converted to the library's tensors."""
    if isinstance(at, tuple):
        return tuple(_at(lib, part) for part in at)
    return lib.from_numpy(at) if isinstance(at, np.ndarray) else at


def _assigned(lib: Any, x: Any, v: Any, at: Any) -> Any:
    y = x * 1
    y[_at(lib, at)] = v
    return y


def _through_views(lib: Any, x: Any, v: Any) -> Any:
    """Write through views of views; the writes reach the tensor."""
    y = x * 2
    y[1][:2] = v
    y[:, 0].mul_(3)
    return y


I = np.array  # noqa: E741
MASK = np.array([[True, False, True], [False, False, True]])

OPS = {
    "index": Op(
        lambda lib, x, at: x[_at(lib, at)],
        [
            S((4, 5), at=1),
            S((4, 5), at=(slice(0, 3, 2), slice(1, None))),
            S((4, 5), at=(I([0, 2, 2]), I([1, 1, 1]))),
            S((3, 2), at=I([True, False, True])),
            S((2, 3), at=(Ellipsis, None, 0)),
            S((4, 5), at=([1, 1],)),
            S((3, 4, 2), at=(0, slice(None), [0, 1])),  # NumPy: (2, 4), PyTorch: (4, 2)
            S((3, 4, 2), at=(I([0, -1]), slice(None), I([1, 0]))),
            S((3, 4, 2), at=(slice(None), I([[0, 1], [3, 3]]), None, I([0]))),
            S((2, 3, 2), at=MASK),
            S((2, 2, 3), at=(slice(None), MASK)),
            S((2, 3), at=True),
            S((2, 3), at=(slice(None), False)),
            S((2, 3), at=(I([], np.int64), 1)),
            S((4, 3), at=I(2)),
            S((3, 2), at=I([-1, 2, 0])),  # one row named twice
            S((0, 3), at=(slice(None), I([2, 0]))),
        ],
        (0,),
    ),
    "index = value": Op(
        _assigned,
        [
            S((4, 5), (5,), at=1),
            S((4, 5), (), at=(slice(None), slice(1, 4, 2))),
            S((4, 5), (1, 1, 3), at=(I([0, 2, 3]), I([1, 1, 4]))),
            S((2, 3, 2), (3, 2), at=MASK),
            S((3, 4, 2), (4, 2), at=(0, slice(None), [0, 1])),
            S((2, 3), (2, 1), at=(Ellipsis, None, 0)),
            S((2, 3), (1,), at=(slice(0, 0),)),
        ],
        (0, 1),
    ),
    "writes through views": Op(_through_views, [S((3, 2), (2,))], (0, 1)),
    "index_put": Op(
        lambda lib, x, v, at, add: lib.index_put(x, _at(lib, at), v, accumulate=add),
        [S((3, 2), (2, 2), at=(I([1, 1]),), add=True), S((3, 4), (2,), at=(I([0, 2]), I([3, 1])), add=False)],
        (0, 1),
    ),
    "select": Op("select", [S((2, 3), dim=1, index=-1), S((3,), dim=0, index=2)], (0,)),
    "narrow": Op("narrow", [S((4, 3), dim=0, start=1, length=2), S((4, 3), dim=-1, start=-2, length=2)], (0,)),
    "gather": Op(
        lambda lib, x, index, dim: lib.gather(x, dim, lib.from_numpy(index)),
        [
            S((3, 4), dim=1, index=I([[0, 0, 3], [1, 2, 2]])),
            S((3, 4), dim=0, index=I([[2, 0, 2, 1]])),
            S((4,), dim=0, index=I([1, 1])),
            S((), dim=0, index=I(0)),
            S((2, 3), dim=1, index=np.zeros((2, 0), np.int64)),
        ],
        (0,),
    ),
    "scatter": Op(
        lambda lib, x, v, index, dim: lib.scatter(x, dim, lib.from_numpy(index), v),
        [
            beyond((3, 4), (2, 4), dim=0, index=I([[0, 2, 1], [1, 0, 2]])),
            S((2, 3), (2, 2), dim=-1, index=I([[2, 0], [1, 2]])),
        ],
        (0, 1),
    ),
    "scatter_add": Op(
        lambda lib, x, v, index, dim: lib.scatter_add(x, dim, lib.from_numpy(index), v),
        [beyond((3, 4), (2, 4), dim=0, index=I([[0, 2, 1], [0, 0, 2]])), S((), (), dim=0, index=I(0))],
        (0, 1),
    ),
    **{
        f"scatter_reduce ({reduce})": Op(
            lambda lib, x, v, index, reduce=reduce, **o: lib.scatter_reduce(
                x, 1, lib.from_numpy(index), v, reduce, **o
            ),
            [
                S((2, 4), (2, 3), index=I([[0, 0, 2], [3, 3, 3]])),
                S((2, 4), (2, 3), index=I([[0, 0, 2], [3, 3, 3]]), include_self=False),
            ],
            draw=apart,
        )
        for reduce in ("sum", "prod", "mean", "amax", "amin")
    },
    "index_select": Op(
        lambda lib, x, index, dim: lib.index_select(x, dim, lib.from_numpy(index)),
        [S((3, 4), dim=1, index=I([3, 0, 3])), S((3, 2), dim=0, index=I([], np.int64))],
        (0,),
    ),
    "index_add": Op(
        lambda lib, x, v, index, dim, **o: lib.index_add(x, dim, lib.from_numpy(index), v, **o),
        [S((3, 4), (2, 4), dim=0, index=I([2, 2])), S((2, 3), (2, 2), dim=-1, index=I([0, 2]), alpha=0.5)],
        (0, 1),
    ),
    "index_copy": Op(
        lambda lib, x, v, index, dim: lib.index_copy(x, dim, lib.from_numpy(index), v),
        [S((3, 4), (2, 4), dim=0, index=I([2, 0]))],
        (0, 1),
    ),
    "index_fill": Op(
        lambda lib, x, v, index, dim: lib.index_fill(x, dim, lib.from_numpy(index), v),
        [S((3, 4), (), dim=1, index=I([1, 3]))],
        (0, 1),
    ),
    "take": Op(lambda lib, x, index: lib.take(x, lib.from_numpy(index)), [S((2, 3), index=I([[0, 5], [-1, 2]]))], (0,)),
    "take_along_dim": Op(
        lambda lib, x, index, **o: lib.take_along_dim(x, lib.from_numpy(index), **o),
        [
            S((2, 3), index=I([[2], [0]]), dim=1),
            S((1, 3), index=I([[2, 0], [1, 1]]), dim=1),
            S((2, 3), index=I([4, 4])),
        ],
        (0,),
    ),
    "masked_fill": Op(
        lambda lib, x, v, mask: lib.masked_fill(x, lib.from_numpy(mask), v),
        [S((2, 3), (), mask=MASK), S((2, 1), (), mask=MASK), S((4, 2, 3), (), mask=MASK[:1])],
        (0, 1),
    ),
    "masked_select": Op(
        lambda lib, x, mask: lib.masked_select(x, lib.from_numpy(mask)),
        [S((2, 3), mask=MASK), S((3,), mask=MASK)],
        (0,),
    ),
    "masked_scatter": Op(
        lambda lib, x, v, mask: lib.masked_scatter(x, lib.from_numpy(mask), v), [S((2, 3), (2, 2), mask=MASK)], (0, 1)
    ),
    "sort": Op("sort", [S((3, 4)), S((3, 4), dim=0, descending=True), S(()), S((0, 2))], draw=apart),
    "topk": Op("topk", [S((3, 4), k=2), S((5, 2), k=3, dim=0, largest=False), S((3,), k=0)], draw=apart),
    "kthvalue": Op("kthvalue", [S((3, 4), k=2), S((3, 4), k=3, dim=0, keepdim=True)], draw=apart),
    "msort": Op("msort", [S((4, 2))], draw=apart),
}
