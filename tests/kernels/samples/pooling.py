"""Samples of pooling to a given size and of unpooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import geometry

from .foundation import Arguments, Sample, max_backward, normal, ties

ADAPTIVES: dict[str, geometry.Pool] = {
    "windows of two sizes": geometry.adaptive_pool2d((2, 3, 7, 5), 3),
    "more outputs than pixels": geometry.adaptive_pool2d((1, 2, 3, 4), (5, 7)),
    "plain in one direction": geometry.adaptive_pool2d((2, 17, 6, 9), (4, 3)),
    "one column": geometry.adaptive_pool2d((3, 2, 5, 4), (3, 1)),
    "no output": geometry.adaptive_pool2d((2, 2, 4, 3), (0, 2)),
    "batch 0": geometry.adaptive_pool2d((0, 2, 5, 4), 3),
}
UNPOOLS: dict[str, geometry.Pool] = {
    "2x2": geometry.max_unpool2d((2, 3, 2, 3), (2, 3, 2, 3), 2),
    "a row and a column more": geometry.max_unpool2d((1, 17, 3, 2), (1, 17, 3, 2), 2, size=(7, 5)),
    "overlapping": geometry.max_unpool2d((2, 2, 3, 4), (2, 2, 3, 4), (3, 2), (2, 1), (1, 0)),
    "batch 0": geometry.max_unpool2d((0, 2, 2, 2), (0, 2, 2, 2), 2),
}


def unpool(g: geometry.Pool, kind: Any = np.int64, *, back: bool = False) -> Sample:
    """Random places; several values may have the same place."""

    def make(rng: np.random.Generator, dtype: Any) -> Arguments:
        index = rng.integers(0, g.h * g.w, g.y_shape).astype(kind)
        return normal(rng, dtype, g.x_shape if back else g.y_shape), index, g

    return make


SAMPLES: dict[str, list[Sample]] = {
    "max_pool2d": [ties(g) for g in ADAPTIVES.values()],
    "max_pool2d backward": [max_backward(g) for g in ADAPTIVES.values()],
    "avg_pool2d": [lambda rng, dtype, g=g: (normal(rng, dtype, g.x_shape), g, None) for g in ADAPTIVES.values()],  # type: ignore[misc]
    "avg_pool2d backward": [
        lambda rng, dtype, g=g: (normal(rng, dtype, g.y_shape), g, None)  # type: ignore[misc]
        for g in ADAPTIVES.values()
    ],
    "max_unpool2d": [*(unpool(g) for g in UNPOOLS.values()), unpool(UNPOOLS["2x2"], np.int32)],
    "max_unpool2d backward": [*(unpool(g, back=True) for g in UNPOOLS.values())],
}
