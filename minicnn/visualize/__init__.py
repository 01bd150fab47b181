"""Figures for papers, READMEs and lessons. Each function returns a Matplotlib Figure, and writes it to `out` if given.

Files:
    training.py    curves, confusion, errors           net.py       filters, overview
    diagram.py     the block diagram of a net          costs.py     what each layer costs
    boxes.py       what such a diagram shows           accuracy.py  charts of published and own results
    layers.py      where its boxes and edges are       field.py     what a unit sees
    comparison.py  the speed of algorithms             run.py       the figures of a run folder
    window.py      a convolution, cell by cell         attribution.py  which pixels speak for a class
    units.py       patches, maps, filters              embedding.py    images as points, neighbours
    signals.py     probes, blocks, gradients,          views.py        the views of a run
                   activations                         mosaic.py       many small images as one
    style.py       the style of them all
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .accuracy import ILSVRC, IMAGENET, accuracy, ilsvrc
from .attribution import attribution
from .comparison import algorithms
from .costs import costs
from .diagram import diagram
from .embedding import embedding, neighbours, tiles
from .field import field
from .net import filters, overview
from .run import draw
from .signals import activations, dropped, flow, probes
from .style import check_format
from .training import confusion, curves, errors
from .units import changed, excited, maps, patches
from .window import sliding, window

__all__ = [
    "ILSVRC", "IMAGENET", "accuracy", "activations", "algorithms", "attribution", "changed", "check_format",
    "confusion", "costs", "curves", "diagram", "draw", "dropped", "embedding", "errors", "excited", "field", "filters",
    "flow", "ilsvrc", "maps", "neighbours", "overview", "patches", "probes", "sliding", "tiles", "window",
]  # fmt: skip

_answer(globals())
