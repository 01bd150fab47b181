"""NaN and Inf are where the definition of convolution has them, in every algorithm that `auto` may choose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels import geometry
from minicnn_kernels.arrays import Array
from minicnn_kernels.conv2d import BACKWARD, FORWARD, LIMITS, direct
from minicnn_kernels.dispatch import EMULATED, TableKey
from minicnn_kernels.geometry import Conv
from minicnn_kernels.layout import as_order

ALL = (True, True, True)
GEOMETRIES = [
    geometry.conv2d((2, 4, 9, 9), (4, 4, 3, 3), padding=1),
    geometry.conv2d((1, 8, 1, 2), (8, 8, 3, 3), padding=1),
    geometry.conv2d((3, 8, 23, 4), (16, 8, 3, 3), padding=1),
    geometry.conv2d((1, 8, 6, 6), (8, 8, 3, 3), padding=1),
    geometry.conv2d((2, 3, 9, 9), (4, 3, 3, 3), padding=1),
    geometry.conv2d((37, 3, 5, 6), (4, 3, 3, 3), padding=1),
    geometry.conv2d((2, 8, 6, 6), (16, 8, 1, 1)),
    geometry.conv2d((2, 8, 7, 7), (8, 1, 3, 3), padding=1, groups=8),
    geometry.conv2d((2, 8, 9, 9), (16, 8, 5, 5), stride=2, padding=2),
]  # fmt: skip
ROWS = [row for row in FORWARD.rows if row[0] != "fft"]  # fft spreads them over the image, as its file says


def named(column: str) -> str:
    """The backend that runs the rows of a column on the CPU."""
    return EMULATED if column == "cuda" else column


def able(g: Conv, row: TableKey) -> bool:
    """Whether a row can do a geometry; for plain Python, whether the geometry is also small."""
    supports = LIMITS.get(row[0])
    small = np.prod(g.w_shape) * g.n * g.oh * g.ow < 100_000
    return (supports is None or supports(g)) and (row[1] != "python" or bool(small))


def results(arrays: list[Array], g: Conv, row: TableKey) -> dict[str, Any]:
    x, w, b, gy = arrays
    algorithm, backend = row[0], named(row[1])
    with np.errstate(all="ignore"):
        y = FORWARD(x, w, b, g, backend=backend, algorithm=algorithm)
        gradients = BACKWARD(gy, x, w, g, ALL, backend=backend, algorithm=algorithm)
    return dict(zip(("y", "gx", "gw", "gb"), (y, *gradients), strict=True))


@pytest.mark.parametrize("row", ROWS, ids="/".join)
@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_corner_reaches_what_sees_it(
    row: TableKey, value: float, channels_last: bool, rng: np.random.Generator
) -> None:
    done = [g for g in GEOMETRIES if able(g, row)]
    assert done
    for g in done:
        shapes = (g.x_shape, g.w_shape, (g.o,), g.y_shape)
        clean = [rng.standard_normal(shape, np.float32) for shape in shapes]
        for place in (0, 3):  # x, gy
            arrays = [a.copy() for a in clean]
            arrays[place][0, 2, 0, 0] = value
            expected = results(arrays, g, ("direct", "numpy"))
            x, w, b, gy = arrays
            got = results([as_order(x, channels_last), w, b, as_order(gy, channels_last)], g, row)
            for name, e in expected.items():
                a, where = got[name], f"{name} of {g}, {'gy' if place else 'x'}"
                if place and name == "gw":  # a tap that meets padding adds value * 0 in some, nothing in others
                    bad = (~np.isfinite(gy)).astype(np.float32)
                    sees = direct.backward_numpy(bad, np.ones_like(x), None, g, (False, True, False))[1]
                    assert sees is not None and not np.isfinite(a[sees > 0]).any(), where
                    assert np.isfinite(a[np.isfinite(e)]).all(), where
                else:
                    np.testing.assert_array_equal(np.isnan(a), np.isnan(e), where)
                    np.testing.assert_array_equal(np.isinf(a), np.isinf(e), where)
                fine = np.isfinite(a) & np.isfinite(e)
                np.testing.assert_allclose(a[fine], e[fine], rtol=1e-4, atol=1e-3, err_msg=where)


@pytest.mark.parametrize("channels_last", [False, True])
def test_the_gradient_of_the_bias_has_infinity(channels_last: bool, rng: np.random.Generator) -> None:
    """An Inf in the first of several images, after which the sums start again."""
    g = geometry.conv2d((3, 20, 7, 7), (5, 20, 3, 3), stride=2, padding=1)
    x, gy = (as_order(rng.standard_normal(shape, np.float32), channels_last) for shape in (g.x_shape, g.y_shape))
    w = rng.standard_normal(g.w_shape, np.float32)
    gy[0, 2, 0, 0] = np.inf
    for row in ROWS:
        if able(g, row):
            with np.errstate(all="ignore"):
                gb = BACKWARD(gy, x, w, g, ALL, backend=named(row[1]), algorithm=row[0])[2]
            assert gb[2] == np.inf and np.isfinite(np.delete(gb, 2)).all(), row
