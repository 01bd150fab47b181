"""Which windows fit into a row of pixels, which pixels are left over, and how images shrink from layer to layer.

windows = floor((N + 2 P - F) / S) + 1          they start at -P, S - P, 2 S - P ...
"""

from __future__ import annotations

from typing import NamedTuple

from minicnn_kernels.geometry import ShapeError, output_size, whole


class Fit(NamedTuple):
    """The windows along one side.

    Attributes:
        size, kernel, stride, padding: N, F, S and P.
        starts: the first pixel of each window; -P is the first pixel of the padding.
        unused: pixels at the end, padding among them, that are in no window because the next one does not fit.
        exact: (N + 2 P - F) / S + 1, which may not be whole.
    """

    size: int
    kernel: int
    stride: int
    padding: int
    starts: tuple[int, ...]
    unused: tuple[int, ...]
    exact: float

    @property
    def fits(self) -> bool:
        """Whether the windows reach the end."""
        return self.exact.is_integer()


def fitting(size: int, kernel: int, stride: int = 1, padding: int = 0) -> Fit:
    """The windows of a convolution or pooling along one side.

    Args:
        size: N, pixels of the side.
        kernel, stride, padding: F, S, P.

    Raises:
        ShapeError: a number is out of range, or the window is larger than the padded image.

    >>> from minicnn.explain import fitting
    >>> fit = fitting(7, kernel=3, stride=3)
    >>> fit.exact, fit.fits, fit.starts, fit.unused
    (2.333333333333333, False, (0, 3), (6,))
    """
    least = {"size": 1, "kernel": 1, "stride": 1, "padding": 0}
    for (name, low), value in zip(least.items(), (size, kernel, stride, padding), strict=True):
        whole(value, "fitting", name, low)
    count = output_size(size, kernel, stride, padding, op="fitting", side="side")
    starts = tuple(i * stride - padding for i in range(count))
    room = size + 2 * padding - kernel
    end = starts[-1] + kernel
    unused = tuple(range(end, size + padding)) if room % stride else ()
    return Fit(size, kernel, stride, padding, starts, unused, room / stride + 1)


def shrinkage(size: int, kernel: int, layers: int, padding: int = 0, stride: int = 1) -> list[int]:
    """The side of the image and of the maps after 1, 2 ... layers of the same kind; it ends where no window fits.

    Args:
        size: of the image.
        kernel, padding, stride: of each layer.
        layers: how many.

    >>> from minicnn.explain import shrinkage
    >>> shrinkage(32, kernel=5, layers=4)
    [32, 28, 24, 20, 16]
    """
    whole(layers, "shrinkage", "layers", 0)
    sides = [size]
    for _ in range(layers):
        try:
            sides.append(len(fitting(sides[-1], kernel, stride, padding).starts))
        except ShapeError:
            if sides[-1] + 2 * padding >= kernel:
                raise
            break
    return sides
