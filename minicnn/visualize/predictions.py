"""Image files, what the net gets of them, and the classes that it sees."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from ..train.prediction import Prediction
from .style import BLUE, GREY, drawing, percent, readable, show

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 20  # images in one figure


def predicted(found: Mapping[str, Prediction], *, top: int = 3, out: str | os.PathLike[str] | None = None) -> Figure:
    """A row for each image: as it is in the file, as the net gets it, and the likeliest classes.

    Args:
        found: what `train.Predictor` said about each file, by its name; at most 20.
        top: how many classes.
        out: a file to write.

    Raises:
        ValueError: there are no images, or too many.
    """
    if not 0 < len(found) <= MOST:
        raise ValueError(f"predicted: 1 to {MOST} images can be drawn, got {len(found)}")
    with drawing(7.5, 1.9 * len(found) + 0.3, out) as figure:
        rows = figure.subplots(len(found), 3, squeeze=False, width_ratios=(1, 1, 1.6))
        for (name, one), (left, middle, right) in zip(found.items(), rows, strict=True):
            file = readable(PurePath(name).name)
            show(left, _grey_as_it_is(one.original))
            left.set_title(file if len(file) < 24 else f"{file[:20]} ...", fontsize=9, fontweight="normal")
            seen = one.seen.transpose(1, 2, 0) if len(one.seen) == 3 else one.seen[0]
            low, high = float(seen.min()), float(seen.max())
            show(middle, (seen - low) / max(high - low, 1e-12))
            middle.set_title("what the net gets", fontsize=9, fontweight="normal")
            shares = one.probabilities[:top]
            right.barh(range(len(shares)), shares, color=BLUE, height=0.6)
            right.set_yticks(range(len(shares)), map(readable, one.classes[:top]))
            right.set_ylim(len(shares) - 0.4, -0.6)
            right.set_xlim(0, 1.25)
            right.set_xticks([])
            for place, share in enumerate(shares):
                right.text(share + 0.02, place, percent(share, 1), va="center", fontsize=9, color=GREY)
            right.spines["bottom"].set_visible(False)
    return figure


def _grey_as_it_is(image: object) -> np.ndarray:
    """The pixels; grey ones as RGB, so that an image of one grey is not stretched to black."""
    pixels = np.asarray(image)
    return np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels
