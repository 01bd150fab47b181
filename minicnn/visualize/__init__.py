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
    graph.py       the tape of a loss                  animation.py figures one after the other
    activations.py activation functions                images.py    numbers, augmentations, kernels
    connectivity.py  the matrix of a convolution, windows that fit, maps that shrink
    trials.py      several settings with several seeds
    measured.py    gradients by layer over time, calibration, learning rates
    robustness.py  accuracy on changed images
    trials.py      several settings with several seeds  compared.py    trained under the same conditions
    robustness.py  accuracy on changed images          predictions.py  the user's own images
    style.py       the style of them all
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .accuracy import ILSVRC, IMAGENET, accuracy, ilsvrc
from .activations import activation_functions
from .attribution import attribution
from .compared import compared
from .comparison import algorithms
from .connectivity import local_connectivity, shrinking, strides
from .costs import costs
from .diagram import diagram
from .embedding import embedding, neighbours, tiles
from .field import field
from .graph import TapeGraph, graph
from .images import augmentations, gallery, kernels, number_grid
from .measured import learning_rates, line, recorded, reliability
from .net import filters, overview
from .predictions import predicted
from .robustness import robustness
from .run import draw
from .signals import activations, dropped, flow, flows, probes
from .style import check_format
from .training import confusion, curves, errors, losses
from .trials import trials
from .units import changed, excited, maps, patches
from .window import sliding, window

__all__ = [
    "ILSVRC",
    "IMAGENET",
    "TapeGraph",
    "accuracy",
    "activation_functions",
    "activations",
    "algorithms",
    "attribution",
    "augmentations",
    "changed",
    "check_format",
    "compared",
    "confusion",
    "costs",
    "curves",
    "diagram",
    "draw",
    "dropped",
    "embedding",
    "errors",
    "excited",
    "field",
    "filters",
    "flow",
    "flows",
    "gallery",
    "graph",
    "ilsvrc",
    "kernels",
    "learning_rates",
    "line",
    "local_connectivity",
    "losses",
    "maps",
    "neighbours",
    "number_grid",
    "overview",
    "patches",
    "predicted",
    "probes",
    "recorded",
    "reliability",
    "robustness",
    "shrinking",
    "sliding",
    "strides",
    "tiles",
    "trials",
    "window",
]

_answer(globals())
