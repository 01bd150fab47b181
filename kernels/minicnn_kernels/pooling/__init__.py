"""Max and average pooling of pictures, window by window and channel by channel.

    max:       y[n, c, i, j] = max_{a, b} x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]       -Inf outside the picture
    average:   y[n, c, i, j] = sum_{a, b} x[n, c, i*SH - PH + a, j*SW - PW + b] / D[i, j]      0 outside

    x, gx    (N, C, H, W)
    y, gy    (N, C, OH, OW)
    index    (N, C, OH, OW)   int32: where the maximum was, p*W + q; -1 if its window has no pixel of the picture
    D        (OH, OW)         what the sum is divided by

The maximum is the first one in reading order; a NaN counts as larger than all, and its last place is kept. `index` has
the values that PyTorch's `return_indices=True` gives as int64.

D is the given divisor, or the number of cells of the window that are in the picture, or, with count_include_pad, also
those in its padding of PH rows and PW columns. What hangs over the padding (ceil_mode) never counts.

    max:       gx[n, c, p, q] = sum of gy[n, c, i, j] over the windows whose index is p*W + q
    average:   gx[n, c, p, q] = sum of gy[n, c, i, j] / D[i, j] over the windows with (p, q) in them

`MAX_POOL(x, g)` gives (y, index), `MAX_POOL_BACKWARD(gy, index, g)` gx; `AVG_POOL(x, g, divisor)`,
`AVG_POOL_BACKWARD(gy, g, divisor)`, with `g` a `geometry.Pool` and `divisor` an int or None.

Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998 (average).
M. Ranzato et al., "Unsupervised learning of invariant feature hierarchies", 2007 (max).
"""

from __future__ import annotations

from ..dispatch import Table
from . import average, largest

MAX_POOL = Table(
    "max_pool2d",
    {
        ("windows", "python"): largest.forward_python,
        ("windows", "numpy"): largest.forward_numpy,
        ("windows", "numba"): largest.forward_numba,
    },
)
MAX_POOL_BACKWARD = Table(
    "max_pool2d backward",
    {
        ("windows", "python"): largest.backward_python,
        ("windows", "numpy"): largest.backward_numpy,
        ("windows", "numba"): largest.backward_numba,
    },
)
AVG_POOL = Table(
    "avg_pool2d",
    {
        ("windows", "python"): average.forward_python,
        ("windows", "numpy"): average.forward_numpy,
        ("windows", "numba"): average.forward_numba,
    },
)
AVG_POOL_BACKWARD = Table(
    "avg_pool2d backward",
    {
        ("windows", "python"): average.backward_python,
        ("windows", "numpy"): average.backward_numpy,
        ("windows", "numba"): average.backward_numba,
    },
)
