"""The style of all figures: colours, fonts, and a few functions that draw.

Figures are made with `matplotlib.figure.Figure`, never with pyplot: no global state, no window, no display.
"""

from __future__ import annotations

import functools
import io
import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..serialization.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that people with colour blindness can tell apart: M. Okabe, K. Ito, "Color universal design", 2008.
BLUE, ORANGE = "#0072B2", "#D55E00"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#222222", "#E69F00", "#999999")  # of several curves
INK, GREY, PALE = "#222222", "#767676", "#E4E4E4"
TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"

SEQUENTIAL = "Blues"  # amounts from 0 up

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib, so that figures are the same on every machine
    "font.size": 11,
    "text.parse_math": False,  # the names of files and classes may hold dollar signs
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
        out: a file whose ending is the format, such as .png, .svg or .pdf; its folder is made. None: write no file.
        options: of `matplotlib.figure.Figure`.

    Raises:
        ValueError: Matplotlib cannot write files with this ending.
    """
    import matplotlib
    from matplotlib.figure import Figure

    if out is not None:
        check_format(out)
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type,unused-ignore]
        figure = Figure(figsize=(width, height), dpi=100, **{"layout": "constrained", **options})
        yield figure
    show_in_notebooks(figure)
    if out is not None:
        write(figure, out)


def show_in_notebooks(figure: Figure) -> None:
    """Let a notebook show the figure as a picture, without pyplot, which would show every figure of a cell."""
    figure._repr_png_ = functools.partial(_png, figure)  # type: ignore[attr-defined]


def _png(figure: Figure) -> bytes:
    return _drawn(figure, "png", figure.dpi)


def _drawn(figure: Figure, ending: str, dpi: float) -> bytes:
    """The content of a file; letters that the font lacks, such as Chinese ones in a file's name, become boxes."""
    import matplotlib

    content = io.BytesIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():  # type: ignore[arg-type,unused-ignore]
        warnings.filterwarnings("ignore", r"Glyph \d+")
        figure.savefig(content, format=ending, dpi=dpi)
    return content.getvalue()


def write(figure: Figure, out: str | os.PathLike[str], *, within: Path | None = None) -> None:
    """Write a figure to a file, all of it or, if something fails, nothing; its folder is made.

    Args:
        figure: the figure.
        out: a file whose ending is the format.
        within: a folder; if `out` is a link, its target must be inside.

    Raises:
        ValueError: Matplotlib cannot write files with this ending.
        OSError: the file cannot be written, or `out` is a link to a file outside `within`.
    """
    check_format(out)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, _drawn(figure, Path(out).suffix[1:].lower(), 200), within=within)


def check_format(out: str | os.PathLike[str]) -> None:
    """Raise a ValueError, which lists the possible endings, if Matplotlib cannot write a file with this name.

    >>> from minicnn.visualize import check_format
    >>> check_format("figure.png")
    """
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if Path(out).suffix[1:].lower() not in known:
        endings = ", ".join(f".{ending}" for ending in sorted(known))
        raise ValueError(f"cannot write a figure to {str(out)!r}; its name must end in one of: {endings}")


def readable(name: str) -> str:
    r"""A name from a disk as a figure can show it: on one line, and bytes that are no text as \ufffd.

    >>> from minicnn.visualize.style import readable
    >>> readable("new\nline\udcff.png")
    'new line\ufffd.png'
    """
    return " ".join(name.encode(errors="surrogateescape").decode(errors="replace").split())


def percent(share: float, digits: int = 2) -> str:
    """0.9889 -> "98.89 %", with a no-break space."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def size_of(shape: Iterable[int]) -> str:
    """(6, 28, 28) -> "6 x 28 x 28" with the multiplication sign, and no spaces."""
    return TIMES.join(str(n) for n in shape)


def heading(figure: Figure, text: str) -> None:
    """The title of a whole figure, at its left."""
    figure.suptitle(text, x=0.02, ha="left", fontsize=12, fontweight="bold")


def percentages(axes: Any) -> None:
    """Let a vertical axis of percentages end at 0 and 100; what is drawn there stays whole."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(high, 100))
    for mark in (*axes.lines, *axes.collections):
        mark.set_clip_on(False)


def bare(axes: Any, *, frame: bool = False) -> None:
    """Remove the ticks of an axes and its frame; with `frame`, a thin one stays, so that a white image has an edge."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=frame, color=PALE, linewidth=0.8)


def show(axes: Any, image: Any, *, signed: bool = False, limit: float | None = None) -> Any:
    """Draw one image, (H, W) or RGB (H, W, 3), without an axis.

    Args:
        image: any numbers; an RGB image in 0..1 or 0..255.
        signed: 0 is grey, negative is black, positive is white; else the least value is black, the greatest white.
        limit: with `signed`, the absolute value that is black or white; by default the largest in the image.
    """
    image = np.asarray(image)
    bare(axes, frame=True)
    if image.ndim == 3:
        return axes.imshow(image if image.dtype == np.uint8 else np.clip(image, 0, 1))
    if signed:
        limit = (float(np.abs(image).max()) if image.size else 0.0) if limit is None else limit
        return axes.imshow(image, cmap="gray", vmin=-(limit or 1), vmax=limit or 1)
    return axes.imshow(image, cmap="gray")
