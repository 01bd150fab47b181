"""The convolutions that courses work out by hand, as numbers to explain: `EXAMPLES["cross"]`."""

from __future__ import annotations

from typing import NamedTuple

Rows = tuple[tuple[float, ...], ...]


class Example(NamedTuple):
    """An image and a filter of one channel.

    Attributes:
        about: what it is.
        x, w: the rows of the image and of the filter.
        stride, padding: of the convolution.
    """

    about: str
    x: Rows
    w: Rows
    stride: int = 1
    padding: int = 0


EXAMPLES = {
    "cross": Example(
        "a cross of 3x3 slides over a picture of 5x5",
        ((5, 2, 1, 3, 5), (4, 3, 2, 3, 4), (0, 2, 1, 2, 2), (3, 3, 2, 3, 2), (2, 1, 3, 2, 2)),
        ((1, 0, 1), (0, 1, 0), (1, 0, 1)),
    ),
    "stride": Example(
        "stride 2 and padding 1, as in V. Dumoulin and F. Visin, https://arxiv.org/abs/1603.07285",
        ((3, 3, 2, 1, 0), (0, 0, 1, 3, 1), (3, 1, 2, 2, 3), (2, 0, 0, 2, 2), (2, 0, 0, 0, 1)),
        ((0, 1, 2), (2, 2, 0), (0, 1, 2)),
        stride=2,
        padding=1,
    ),
}  # fmt: skip
