"""Tiles of a product in registers: the sums are right for any number of rows, and nothing else is written."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn_kernels.conv2d.implicit import tile
from minicnn_kernels.llvm import LANES


@pytest.mark.parametrize("rows", [tile.LOW, tile.MIDDLE, tile.HIGH])
@pytest.mark.parametrize("vectors", range(1, tile.VECTORS + 1))
@pytest.mark.parametrize("more", [0, 1, 5])
def test_tiles(rows: int, vectors: int, more: int) -> None:
    """c (count, L) = s + x b with x (count, 2*3); the rows before and after c keep their values."""
    count, lanes = rows + more, vectors * LANES
    rng = np.random.default_rng(0)
    x, b = rng.standard_normal((count, 6)), rng.standard_normal((6, lanes))
    s, c = rng.standard_normal((count, lanes)), np.full((count + 2 * rows, lanes + 3), 7.0)
    at, step = rows * (lanes + 3) + 1, lanes + 3
    tile.tiles(
        rows, vectors, count, x.ravel(), 0, 6, 2, 3, 3, 1, b.ravel(), 0, 3 * lanes, lanes, s.ravel(), 0, lanes,
        c.ravel(), at, step,
    )  # fmt: skip
    expected = np.full_like(c, 7.0)
    expected[rows : rows + count, 1 : 1 + lanes] = s + x @ b
    np.testing.assert_allclose(c, expected, rtol=0, atol=1e-12)
