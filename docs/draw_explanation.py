"""Draw the pictures of the other pages in explanation: python docs/draw_explanation.py [NAME ...]

With the name `costs` it measures the tables of explanation/convolution/index.md.

The layers are those that tests/test_house.py checks (tests/test_docs_explanation.py compares them); the numbers come
from the tape and from the kernels.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sheet import MINT, PEACH, PICTURES, SKY, SUN, Sheet, number, save

import minicnn
from minicnn.bench.compare import compare_algorithms
from minicnn.visualize import graph
from minicnn.visualize.style import BLUE, GREY, INK, ORANGE, PALE
from minicnn_kernels import batchnorm

# From the top down: the packages of a layer, and what the layer knows.
LAYERS = [
    ("cli", "the command: arguments, words on the screen"),
    ("compat", "names that PyTorch programs import"),
    ("bench", "how fast a layer is"),
    ("exercises", "what a student writes, and which mistake it is"),
    ("visualize", "pictures of what others computed"),
    ("analysis, explain, train", "costs, receptive fields, gradients one by one; the loop"),
    ("distributions, optim, utils, datasets, transforms, models, serialization", "what a program needs around a net"),
    ("nn", "modules: parameters, hooks, which layers run as one"),
    ("ops", "what nets are made of, as functions with gradients"),
    ("ops.tensor", "what every tensor library has"),
    ("tensor, autograd", "the tensor and the tape"),
    ("device, dtypes, memory_formats, random, cuda", "where an array is, and of which type"),
    ("minicnn_kernels", "arrays in, arrays out: no tensor, no tape"),
]


def layers(figure: Any) -> None:
    """house.md: who may import whom."""
    sheet = Sheet(figure.subplots(), 30, 16.4)
    shades = [SKY] * 5 + [MINT] * 2 + [SUN] * 3 + [PALE] * 2 + [PEACH]
    for line, ((names, words), colour) in enumerate(zip(LAYERS, shades, strict=True)):
        y = 0.3 + 1.2 * line + (0.5 if line == len(LAYERS) - 1 else 0)
        sheet.frame(1.6, y, 15.8, 1, GREY, fill=True, fc=colour, lw=0.7)
        sheet.title(1.9, y + 0.52, names, zorder=4, fontsize=9, fontweight="bold")
        sheet.title(17.8, y + 0.52, words, fontsize=9)
    sheet.arrow(0.8, 0.5, 0.8, 15.9, ORANGE, lw=2)
    sheet.words(0.3, 7.6, "imports", rotation=90, color=ORANGE)
    y = 0.3 + 1.2 * (len(LAYERS) - 1) - 0.1 + 0.25
    sheet.axes.plot([1.6, 30], [y, y], color=INK, lw=0.8, ls="--")
    sheet.words(27.5, y - 0.35, "package minicnn", fontsize=8, color=GREY)
    sheet.words(26.9, y + 0.35, "package minicnn_kernels", fontsize=8, color=GREY)


LANES = ("nn", "ops", "tensor", "autograd", "geometry", "dispatch", "conv2d")


def stops() -> list[list[tuple[str, str]]]:
    """The forward and the backward list of the README: the lane of each stop, and the function."""
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    section = text.split("## The route of one convolution\n")[1]
    lists: list[list[tuple[str, str]]] = []
    for place, path, name in re.findall(r"^(\d+)\. \[[^]]*\]\(([^)]*)\): .*?`([\w.]+)`", section, re.M):
        if place == "1":
            lists.append([])
        lists[-1].append((next(lane for lane in LANES if lane in path.split("/") or f"{lane}.py" in path), name))
    return lists


def route(figure: Any) -> None:
    """route.md: through which layers the 22 stops lead."""
    for axes, passed, title, colour in zip(
        figure.subplots(2, 1), stops(), ("Forward: conv(x)", "Backward: y.backward(gy)"), (BLUE, ORANGE), strict=True
    ):
        levels = [LANES.index(lane) for lane, _ in passed]
        for level, lane in enumerate(LANES):
            axes.axhspan(level - 0.5, level + 0.5, color=PEACH if level > 3 else SKY, alpha=0.5 if level % 2 else 0.25)
            axes.text(-0.55, level, lane, va="center", ha="right")
        axes.plot(range(len(levels)), levels, color=colour, zorder=2)
        axes.plot(range(len(levels)), levels, "o", color=colour, ms=7, zorder=6)
        below = False
        for place, (level, (_, name)) in enumerate(zip(levels, passed, strict=True)):
            below = place > 0 and levels[place - 1] == level and not below  # neighbours in turns
            style = {"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.6}
            at = place + 0.07, level + (0.3 if below else -0.27)
            axes.text(*at, f"{place + 1} {name}", fontsize=8, va="center", zorder=5, bbox=style)
        axes.set(xlim=(-0.5, len(levels) + 0.6), ylim=(len(LANES) - 0.4, -0.7))
        axes.axis("off")
        axes.set_title(title)


# The values of one channel with mean 2 and variance 3.5, an upstream gradient, and eps: sqrt(var + eps) is 2.
VALUES, UPSTREAM, EPS = (0.0, 2.0, 5.0, 1.0), (1.0, -1.0, 2.0, 0.0), 0.5


def channel(values: Any, upstream: Any) -> dict[str, Any]:
    """Forward and backward of one channel by the kernel, and the three terms of gx."""
    x, gy = (np.array(v, np.float64).reshape(-1, 1) for v in (values, upstream))
    _, mean, _, invstd = batchnorm.TRAINING(x, None, None, EPS, backend="python")
    gx, ggamma, gbeta = batchnorm.TRAINING_BACKWARD(
        gy, x, None, None, mean, invstd, (True, True, True), backend="python"
    )
    terms = gy, np.full_like(x, -gbeta[0] / len(x)), -(x - mean) * invstd * ggamma[0] / len(x)
    return {"gx": gx[:, 0], "terms": [(t * invstd)[:, 0] for t in terms]}


def batch_norm(figure: Any) -> None:
    """batch_norm.md: three ways from x to y, and what each brings to gx."""
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    sheet = Sheet(left, 17.5, 11.5)
    boxes = {"x": (0.6, 5), "mean": (6, 8.7), "var": (10, 5.0), "y": (15, 5)}
    for name, (x, y) in boxes.items():
        sheet.frame(x, y, 2.2, 1.3, GREY, fill=True, fc={"x": SKY, "y": MINT}.get(name, PALE), lw=0.9)
        sheet.words(x + 1.1, y + 0.68, name, zorder=4)
    sheet.axes.plot([1.7, 1.7, 16.1], [5, 1.9, 1.9], color=ORANGE, lw=2)
    sheet.arrow(16.1, 1.9, 16.1, 4.9, ORANGE, lw=2)
    sheet.title(4.6, 1.4, "1: the value itself", color=ORANGE)
    sheet.arrow(2.8, 5.9, 6, 9.0, BLUE, lw=2)
    sheet.axes.plot([8.2, 16.1], [9.4, 9.4], color=BLUE, lw=2)
    sheet.arrow(16.1, 9.4, 16.1, 6.4, BLUE, lw=2)
    sheet.title(8.6, 10.0, "2: the mean", color=BLUE)
    sheet.arrow(2.8, 5.6, 9.9, 5.6, INK, lw=2)
    sheet.arrow(12.2, 5.6, 14.9, 5.6, INK, lw=2)
    sheet.title(4.6, 5.0, "3: the variance")
    sheet.arrow(8.2, 8.8, 10.6, 6.4, GREY, ls="--")
    sheet.title(9.9, 7.9, "this way brings 0", fontsize=8, color=GREY)
    left.set_title("Three ways from x to y")
    found = channel(VALUES, UPSTREAM)
    places, width = np.arange(len(VALUES)), 0.2
    for k, (term, colour) in enumerate(zip(found["terms"], (ORANGE, BLUE, INK), strict=True)):
        right.bar(places + (k - 1.5) * width, term, width * 0.9, color=colour)
    right.bar(places + 1.5 * width, found["gx"], width * 0.9, color="#009E73")
    right.axhline(0, color=GREY, lw=0.8)
    right.set_xticks(places, [f"x = {number(v)}\ngy = {number(u)}" for v, u in zip(VALUES, UPSTREAM, strict=True)])
    for k, (words, colour) in enumerate((("1", ORANGE), ("2", BLUE), ("3", INK), ("sum", "#009E73"))):
        right.text(0.62 + 0.09 * k, 0.04, words, color=colour, transform=right.transAxes, fontweight="bold")
    right.set_title("gx is the sum of three terms")


def tape(out: Path) -> None:
    """tape.md: the worked example, after the backward pass."""
    a, b, c = (minicnn.tensor(v, requires_grad=True) for v in (3.0, 2.0, -4.0))
    graph(lambda: (a * b + c) * a, out=out)


# -------------------------------------------------------------------------------- the tables of convolution/index.md

PAGE = Path(__file__).parent / "explanation" / "convolution" / "index.md"
BEGIN, END = "<!-- begin: written by draw_explanation.py costs -->", "<!-- end -->"
GEOMETRIES: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, int]]] = {
    "5x5, 6 to 16": ((32, 6, 14, 14), (16, 6, 5, 5), {}),
    "3x3, 64 to 64": ((8, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    "1x1, 64 to 256": ((8, 64, 28, 28), (256, 64, 1, 1), {}),
    "3x3, depthwise": ((8, 64, 28, 28), (64, 1, 3, 3), {"padding": 1, "groups": 64}),
    "11x11, 32 to 32": ((8, 32, 32, 32), (32, 32, 11, 11), {"padding": 5}),
}
ORDER = ("direct", "im2col", "pointwise", "implicit", "registers", "depthwise", "winograd", "fft")


def measured(name: str, backends: tuple[str, ...] = ("numpy", "numba")) -> Any:
    """The forward pass of a geometry by every algorithm that can do it, on one thread."""
    x, w, options = GEOMETRIES[name]
    before = minicnn.get_num_threads()
    minicnn.set_num_threads(1)
    try:
        return compare_algorithms(x, w, backward=False, seconds=0.01, backends=backends, **options).rows
    finally:
        minicnn.set_num_threads(before)


def costs() -> str:
    """The two tables: multiplications, and MiB of scratch memory on Numba and on NumPy."""
    found = {name: measured(name) for name in GEOMETRIES}
    tables = []
    for cell in (_count, _space):
        lines = [f"| | {' | '.join(GEOMETRIES)} |", "|---|" + "---:|" * len(GEOMETRIES)]
        for algorithm in ORDER:
            cells = [cell([row for row in rows if row.algorithm == algorithm]) for rows in found.values()]
            lines.append(f"| [{algorithm}]({algorithm}.md) | {' | '.join(cells)} |")
        tables.append("\n".join(lines))
    text = "Multiplications of the forward pass; bold: the choice of `auto` in NCHW memory.\n\n"
    return text + "\n\nScratch memory in MiB, on Numba with one thread, and in parentheses on NumPy.\n\n".join(tables)


def _count(rows: list[Any]) -> str:
    if not rows:
        return ""
    count = f"{rows[0].multiplications:,}"
    return f"**{count}**" if any(row.auto for row in rows) else count


def _space(rows: list[Any]) -> str:
    space = {row.backend: f"{row.workspace / 2**20:.2f}" for row in rows}
    return f"{space['numba']} ({space['numpy']})" if space else ""


def write_costs() -> None:
    """Put the tables into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{costs()}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


DRAWINGS: dict[str, tuple[Callable[[Any], None], float, float] | Callable[[Path], None]] = {
    "layers": (layers, 10.5, 5.7),
    "route": (route, 11, 6.2),
    "batch_norm": (batch_norm, 10.5, 4.1),
    "tape": tape,
}


def draw(name: str, folder: Path = PICTURES) -> Path:
    """One picture."""
    from PIL import Image

    drawn, out = DRAWINGS[name], folder / f"{name}.png"
    if isinstance(drawn, tuple):
        return save(*drawn, out)
    drawn(out)
    with Image.open(out) as opened:
        picture = opened.convert("RGB")
    small = picture.resize((picture.width * 3 // 5, picture.height * 3 // 5), Image.Resampling.LANCZOS)
    small.quantize(128).save(out, optimize=True)
    return out


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for picture in DRAWINGS:
        if not wanted or picture in wanted:
            print(draw(picture))
    if not wanted or "costs" in wanted:
        write_costs()
