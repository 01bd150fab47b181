"""Figures one after the other, as a GIF."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..serialization.files import write_atomically
from .style import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_gif(op: str, out: str | os.PathLike[str]) -> None:
    """Raise a ValueError if `out` does not end in .gif."""
    if Path(out).suffix.lower() != ".gif":
        raise ValueError(f"{op}: the animation is a GIF; {os.fspath(out)!r} must end in .gif")


def animate(figures: Iterable[Figure], out: str | os.PathLike[str], seconds: float) -> None:
    """Write figures of one size to a GIF that starts again at its end.

    Args:
        figures: made one by one, each when the one before has been drawn. All colours are those of the last one.
        out: the file; its folder is made.
        seconds: that a figure is shown; the last one, three times as long.
    """
    if not 0 < seconds <= 200:
        raise ValueError(f"{os.fspath(out)!r}: seconds must be positive and at most 200, got {seconds}")
    from matplotlib import rc_context
    from PIL import Image

    frames: list[Any] = []
    with rc_context(STYLE):  # type: ignore[arg-type]
        for figure in figures:
            content = io.BytesIO()
            figure.savefig(content, format="png")
            frames.append(Image.open(content).convert("RGB"))
    palette = frames[-1].quantize(128)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    times = [round(1000 * seconds)] * (len(frames) - 1) + [round(3000 * seconds)]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, content.getbuffer())
