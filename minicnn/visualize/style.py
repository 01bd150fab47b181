"""How every picture looks: colours, type, and the few strokes that all of them share.

Figures are made through `matplotlib.figure.Figure`, never through pyplot: no global state, no window, no display.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..serialization.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that stay apart for all common kinds of colour blindness: M. Okabe, K. Ito, "Color universal design", 2008.
BLUE, ORANGE = "#0072B2", "#D55E00"
INK, GREY, PALE = "#222222", "#767676", "#E4E4E4"
TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"

SEQUENTIAL = "Blues"  # amounts from 0 up

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that pictures are the same on every machine
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
    "image.interpolation": "nearest",  # a pixel is a square
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


@contextmanager
def drawing(width: float, height: float, out: str | os.PathLike[str] | None = None, **options: Any) -> Iterator[Figure]:
    """A new figure to draw on inside the `with` block, in the common style; written to `out` at its end.

    Args:
        width, height: in inches, of 100 pixels each.
        out: a file whose ending is the format, such as .png, .svg or .pdf; its folder is made. None: not written.
        options: of `matplotlib.figure.Figure`.

    Raises:
        ValueError: an ending matplotlib cannot write.
    """
    import matplotlib
    from matplotlib.figure import Figure

    if out is not None:
        check_format(out)
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type,unused-ignore]
        figure = Figure(figsize=(width, height), dpi=100, **{"layout": "constrained", **options})
        yield figure
    if out is not None:
        write(figure, out)


def write(figure: Figure, out: str | os.PathLike[str], *, within: Path | None = None) -> None:
    """Write a picture to a file, all of it or, if something fails, nothing; its folder is made.

    Args:
        figure: the picture.
        out: a file whose ending is the format.
        within: a folder that a link at `out` must not lead out of.

    Raises:
        ValueError: an ending matplotlib cannot write.
        OSError: the file system refuses; or a link out of `within`.
    """
    import matplotlib

    check_format(out)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type,unused-ignore]
        figure.savefig(content, format=Path(out).suffix[1:].lower(), dpi=200)
    write_atomically(out, content.getbuffer(), within=within)


def check_format(out: str | os.PathLike[str]) -> None:
    """Raise a ValueError if the name of a picture file has no ending that can be written; it lists those there are."""
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if Path(out).suffix[1:].lower() not in known:
        endings = ", ".join(f".{ending}" for ending in sorted(known))
        raise ValueError(f"cannot write a picture to {str(out)!r}; its name must end in one of: {endings}")


def percent(share: float, digits: int = 2) -> str:
    """0.9889 -> "98.89 %", with a space that does not break."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def size_of(shape: Iterable[int]) -> str:
    """(6, 28, 28) -> "6 x 28 x 28" with the multiplication sign, and no spaces."""
    return TIMES.join(str(n) for n in shape)


def heading(figure: Figure, text: str) -> None:
    """The title of a whole figure, at its left."""
    figure.suptitle(text, x=0.02, ha="left", fontsize=12, fontweight="bold")


def bare(axes: Any, *, frame: bool = False) -> None:
    """Take the ticks off an axes, and the frame; or leave a thin one, so that a white picture has an edge."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=frame, color=PALE, linewidth=0.8)


def show(axes: Any, picture: Any, *, signed: bool = False, limit: float | None = None) -> Any:
    """Draw one picture, (H, W) or RGB (H, W, 3), without an axis.

    Args:
        picture: any numbers; an RGB picture in 0..1 or 0..255.
        signed: grey around 0, black negative and white positive; else black is the least value and white the greatest.
        limit: with `signed`, the absolute value that is black or white; by default the picture's own.
    """
    picture = np.asarray(picture)
    bare(axes, frame=True)
    if picture.ndim == 3:
        return axes.imshow(picture if picture.dtype == np.uint8 else np.clip(picture, 0, 1))
    if signed:
        limit = (float(np.abs(picture).max()) if picture.size else 0.0) if limit is None else limit
        return axes.imshow(picture, cmap="gray", vmin=-(limit or 1), vmax=limit or 1)
    return axes.imshow(picture, cmap="gray")
