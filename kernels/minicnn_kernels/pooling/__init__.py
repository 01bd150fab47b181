"""Max and average pooling of images, and unpooling, the reverse of max pooling.

    max:       y[n, c, i, j] = max_{a, b} x[n, c, i*SH - PH + a*DH, j*SW - PW + b*DW]       -Inf outside the image
    average:   y[n, c, i, j] = sum_{a, b} x[n, c, i*SH - PH + a, j*SW - PW + b] / D[i, j]      0 outside

    x, gx    (N, C, H, W)
    y, gy    (N, C, OH, OW)
    index    (N, C, OH, OW)   int32: the place p*W + q of the maximum; -1 if its window has no pixel of the image
    D        (OH, OW)         the divisor of the sum

The geometry says whether the windows are as above or *adaptive*: an adaptive window (i, j) has the rows
floor(i H/OH) <= p < ceil((i + 1) H/OH) and the columns floor(j W/OW) <= q < ceil((j + 1) W/OW), for any OH and OW.

If several pixels have the maximum, the first one in reading order is taken. A NaN counts as larger than all numbers; of
several NaN the last one is taken. `index` has the values that PyTorch's `return_indices=True` gives as int64.

D is the given divisor, or else the number of cells of the window that are in the image. With count_include_pad, cells
in the padding of PH rows and PW columns count too. Cells beyond the padding (ceil_mode) never count.

    max:       gx[n, c, p, q] = sum of gy[n, c, i, j] over the windows whose index is p*W + q
    average:   gx[n, c, p, q] = sum of gy[n, c, i, j] / D[i, j] over the windows with (p, q) in them

The backward pass of `max` only gets indices that its forward pass gave: a place in the window, or -1.

    unpooling: z[n, c, p, q] = y[n, c, i, j] of the last window whose index is p*W + q, else 0
               gy[n, c, i, j] = gz[n, c, p, q] at p*W + q = index[n, c, i, j]

`MAX_POOL(x, g)` gives (y, index), `MAX_POOL_BACKWARD(gy, index, g)` gx; `AVG_POOL(x, g, divisor)`,
`AVG_POOL_BACKWARD(gy, g, divisor)`, with `g` a `geometry.Pool` and `divisor` an int or None; `MAX_UNPOOL(y, index, g)`
gives z, of the shape of x, and `MAX_UNPOOL_BACKWARD(gz, index, g)` gy, with the geometry of the pooling it reverses.

Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998 (average).
M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", 2013 (unpooling).
M. Ranzato et al., "Unsupervised learning of invariant feature hierarchies", 2007 (max).
"""

from __future__ import annotations

from ..dispatch import Table
from . import average, largest, places

MAX_POOL = Table(
    "max_pool2d",
    {
        ("windows", "python"): largest.forward_python,
        ("windows", "numpy"): largest.forward_numpy,
        ("windows", "numba"): largest.forward_numba,
        ("windows", "cuda"): largest.forward_cuda,
    },
)
MAX_POOL_BACKWARD = Table(
    "max_pool2d backward",
    {
        ("windows", "python"): places.add_python,
        ("windows", "numpy"): places.add_numpy,
        ("windows", "numba"): places.add_numba,
        ("windows", "cuda"): places.add_cuda,
    },
)
AVG_POOL = Table(
    "avg_pool2d",
    {
        ("windows", "python"): average.forward_python,
        ("windows", "numpy"): average.forward_numpy,
        ("windows", "numba"): average.forward_numba,
        ("windows", "cuda"): average.forward_cuda,
    },
)
AVG_POOL_BACKWARD = Table(
    "avg_pool2d backward",
    {
        ("windows", "python"): average.backward_python,
        ("windows", "numpy"): average.backward_numpy,
        ("windows", "numba"): average.backward_numba,
        ("windows", "cuda"): average.backward_cuda,
    },
)
MAX_UNPOOL = Table(
    "max_unpool2d",
    {
        ("places", "python"): places.put_python,
        ("places", "numpy"): places.put_numpy,
        ("places", "numba"): places.put_numba,
        ("places", "cuda"): places.put_cuda,
    },
)
MAX_UNPOOL_BACKWARD = Table(
    "max_unpool2d backward",
    {
        ("places", "python"): places.take_python,
        ("places", "numpy"): places.take_numpy,
        ("places", "numba"): places.take_numba,
        ("places", "cuda"): places.take_cuda,
    },
)
