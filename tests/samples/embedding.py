"""Samples of tables of vectors, and of the form that is linear in two inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import Op, S, Shape


def looked_up(lib: Any, weight: Any, *, index: Shape, **options: Any) -> Any:
    """Rows of the table at random places, some of which occur twice."""
    places = np.random.default_rng(4).integers(0, len(weight), index)
    return lib.nn.functional.embedding(lib.tensor(places).to(weight.device), weight, **options)


def bags(lib: Any, weight: Any, factors: Any = None, *, index: Shape, **options: Any) -> Any:
    """Bags of random rows."""
    places = np.random.default_rng(4).integers(0, len(weight), index)
    if "offsets" in options:
        options["offsets"] = lib.tensor(options["offsets"]).to(weight.device)
    table = lib.tensor(places).to(weight.device)
    return lib.nn.functional.embedding_bag(table, weight, per_sample_weights=factors, **options)


OPS = {
    "embedding": Op(
        looked_up,
        [S((4, 3), index=(7,)), S((5, 2), index=(2, 3, 2)), S((3, 4), index=()), S((2, 3), index=(0, 4))],
        linear=(0,),
    ),
    "embedding_bag": Op(
        bags,
        [
            S((5, 3), index=(4, 6), mode="sum"),
            S((5, 3), index=(4, 6)),
            S((5, 3), index=(9,), mode="mean", offsets=[0, 2, 2, 7]),
            S((5, 3), (9,), index=(9,), mode="sum", offsets=[0, 4, 9], include_last_offset=True),
            S((4, 2), (3, 2), index=(3, 2), mode="sum"),
        ],
        linear=(0,),
    ),
    "embedding_bag (max)": Op(
        bags,
        [S((5, 3), index=(9,), mode="max", offsets=[0, 2, 2, 7]), S((5, 3), index=(3, 2), mode="max")],
    ),
    "bilinear": Op(
        "nn.functional.bilinear",
        [
            S((4, 3), (4, 2), (5, 3, 2), (5,)),
            S((2, 3, 1), (2, 3, 4), (2, 1, 4), None),
            S((0, 3), (0, 2), (1, 3, 2), (1,)),
        ],
        linear=(0, 1, 2),
    ),
}
