"""`minicnn plot`: a figure of a run, of a net, or of many nets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .arguments import (
    Commands,
    UsageError,
    add_backend,
    add_data,
    add_output,
    check_data,
    command,
    natural,
    positive,
    shape,
)
from .console import DONE

PLOTS = ("curves", "confusion", "errors", "filters", "overview")  # of a run
VIEWS = {  # of the net of a run, and their options
    "patches": ("layer", "channel", "count"), "excited": ("layer", "channel"), "maps": ("layer", "image"),
    "changed": ("layer",), "embedding": ("layer", "count"), "tiles": ("layer", "count"),
    "neighbours": ("layer", "image", "count"), "probes": ("layer", "count"), "dropped": ("count",),
    "flow": ("layer", "count"), "activations": ("layer", "count"), "attribution": ("layer", "image", "count"),
    "saliency": ("image", "count"), "input_x_gradient": ("image", "count"), "integrated_gradients": ("image", "count"),
    "smooth_grad": ("image", "count"), "deconvolution": ("image", "count"), "guided_backprop": ("image", "count"),
    "grad_cam": ("layer", "image", "count"), "guided_grad_cam": ("layer", "image", "count"),
    "occlusion": ("image", "count"), "augmentations": ("image", "count"), "number_grid": ("image",),
}  # fmt: skip
NETS = ("net", "costs", "field")  # of a model, by its name
LESSONS = {  # of nothing: the same for everybody
    "ilsvrc": "the entries of the challenge", "activation_functions": "the functions of the library",
    "kernels": "kernels made by hand", "strides": "windows that fit", "shrinking": "maps without padding",
}  # fmt: skip
CHARTS = ("accuracy", *LESSONS)  # accuracy: of published results
OPTIONS = {  # which figures an option is for
    "image": ("overview",), "data": PLOTS, "backend": PLOTS, "input": NETS, "depth": ("net", "costs"), "part": ("net",),
    "names": ("net",), "layer": ("field",), "empirical": ("field",), "against": ("accuracy",),
    "measured": ("accuracy",), "channel": (), "count": (),
}  # fmt: skip
OF_ALL_RUNS = ("data", "backend")


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "plot", plot)
    one.add_argument(
        "figure", type=_figure, choices=(*PLOTS, *VIEWS, *NETS, *CHARTS), metavar="FIGURE",
        help=f"of a run: {', '.join(PLOTS)}; views: {', '.join(VIEWS)}; of a model: net (its block diagram), "
        "costs (of each layer), field (what a unit sees); of many: accuracy (against costs), ilsvrc (errors by year); "
        "for lessons: activation-functions, kernels (made by hand), strides (windows that fit), shrinking (maps "
        "without padding)",
    )  # fmt: skip
    one.add_argument(
        "of",
        nargs="*",
        metavar="RUN|MODEL",
        help="the folder of a run, or the name of a model (of several, for accuracy)",
    )
    add_output(one, "a .png, .svg or .pdf (default: FIGURE.png in the run folder, or MODEL-FIGURE.png here)")
    one.add_argument(
        "--image", type=natural, metavar="I",
        help="overview, maps, neighbours, attributions: the number of the test image (default: the first ones)",
    )  # fmt: skip
    one.add_argument(
        "--input", type=shape, metavar="C,H,W", help="models: the shape of an image (default: as published)"
    )
    one.add_argument(
        "--depth", type=positive(int), metavar="N",
        help="net, costs: modules this deep are one box or bar; 1 shows a ResNet as its stages (default: every layer)",
    )  # fmt: skip
    one.add_argument("--part", metavar="NAME", help="net: a module of the net, such as layer2.0 (default: all of it)")
    one.add_argument("--names", action="store_true", default=None, help="net: write the names of the modules")
    one.add_argument(
        "--layer",
        metavar="NAME",
        help="field: the layer of the unit (default: the last one with a map); views: what to see",
    )
    one.add_argument(
        "--channel", type=natural, metavar="C", help="patches, excited: of the layer (default: the first 6)"
    )
    one.add_argument(
        "--count", type=positive(int), metavar="N", help="views: how many test images (default: as needed)"
    )
    one.add_argument(
        "--empirical", action="store_true", default=None, help="field: from gradients of the net with random weights"
    )
    one.add_argument("--against", choices=("macs", "params"), help="accuracy: the axis (default: macs)")
    one.add_argument(
        "--measured", action="append", type=_measured, metavar="MODEL=PERCENT", help="accuracy: your own results"
    )
    add_data(one)
    add_backend(one)


def plot(options: argparse.Namespace) -> int:
    """Draw a figure of a run, of a net, or of many nets."""
    of_run = options.figure in PLOTS or options.figure in VIEWS
    for name, figures in OPTIONS.items():
        if getattr(options, name) is not None:
            _check_option(name, figures, options.figure)
    if options.figure not in CHARTS and len(options.of) != 1:
        what = "the folder of a run" if of_run else "the name of a model"
        raise UsageError(f"plot {options.figure} needs {what}, one; got {len(options.of)}; see minicnn plot --help")
    try:
        file = _run(options) if of_run else _drawn(options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    print(file)
    return DONE


def _check_option(name: str, figures: tuple[str, ...], figure: str) -> None:
    """Refuse an option that the figure does not take."""
    taken = (*VIEWS.get(figure, ()), *(OF_ALL_RUNS if figure in VIEWS else ()))
    if figure in figures or name in taken:
        return
    views = [view for view, takes in VIEWS.items() if name in takes]
    if figures:
        also = f"; views of a run take it, too: {', '.join(views)}" if views else ""
        raise UsageError(f"--{name} is for {', '.join(figures)}; it has no meaning for {figure}{also}")
    raise UsageError(f"--{name} is for {', '.join(views)}; it has no meaning for {figure}")


def _run(options: argparse.Namespace) -> Path:
    """A figure of a run."""
    from .. import train
    from ..visualize import draw

    run = train.Run.open(options.of[0])
    check_data(run, options)
    chosen = {name: getattr(options, name) for name in ("image", "layer", "channel", "count")}
    (file,) = draw(run, [options.figure], out=options.output, data=options.data, backend=options.backend, **chosen)
    return file


def _drawn(options: argparse.Namespace) -> Path:
    """A figure of models."""
    from .. import visualize

    figure, of = options.figure, options.of
    out = Path(options.output or f"{'-'.join([*(name.lower() for name in of[:1]), figure])}.png")
    given: dict[str, Any] = {"out": out}
    for option, argument in (("input", "input_size"), ("depth", "depth"), ("part", "part"), ("names", "names"),
                             ("layer", "layer"), ("empirical", "empirical"), ("against", "against")):  # fmt: skip
        if getattr(options, option) is not None:
            given[argument] = getattr(options, option)
    if figure == "net":
        visualize.diagram(of[0], **given)
    elif figure == "costs":
        visualize.costs(of[0], **given)
    elif figure == "field":
        visualize.field(of[0], **given)
    elif figure == "accuracy":
        visualize.accuracy(models=of or None, measured=dict(options.measured or []), **given)
    elif of:
        raise UsageError(f"plot {figure} shows {LESSONS[figure]}; leave {of[0]!r} out")
    else:
        getattr(visualize, figure)(**given)
    return out


def _figure(text: str) -> str:
    """The name of a figure; grad-cam is grad_cam."""
    return text.replace("-", "_")


def _measured(text: str) -> tuple[str, float]:
    """A result such as "resnet20=81.2"."""
    name, _, percent = text.partition("=")
    try:
        value = float(percent)
    except ValueError:
        value = -1.0
    if not name or not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a model and its accuracy in percent, such as resnet20=81.2")
    return name, value
