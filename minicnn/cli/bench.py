"""`minicnn bench conv`: the speed of one layer on this machine, with every algorithm."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from ..bench.layers import LAYERS, USUAL, Layer
from .arguments import Commands, command


def _layer(text: str) -> str:
    if text != "help" and text not in LAYERS:
        raise argparse.ArgumentTypeError(f"there is no layer {text!r}; --layer help lists the layers")
    return text


def conv(options: argparse.Namespace) -> int:
    """Time a convolution layer with every algorithm and backend."""
    if options.layer == "help":
        width = max(map(len, LAYERS))
        print("\n".join(f"{name:{width}}  {layer}" for name, layer in LAYERS.items()))
        return 0
    from ..bench import compare_algorithms
    from ..memory_formats import channels_last, contiguous_format

    layer = LAYERS.get(options.layer, USUAL)
    given = {name: getattr(options, name) for name in Layer._fields}  # these replace the layer's own
    layer = layer._replace(**{name: value for name, value in given.items() if value is not None})
    try:
        found = compare_algorithms(
            layer.x, layer.w, (layer.w[0],) if layer.bias else None,
            layer.stride, layer.padding, layer.dilation, layer.groups,
            backward=not options.forward, seconds=options.seconds,
            backends=options.backends, algorithms=options.algorithms, slow=options.slow, against=options.against,
            memory_format=channels_last if options.channels_last else contiguous_format, progress=_tell,
        )  # fmt: skip
    finally:
        _tell("")
    print(found)
    if options.plot:
        found.plot(options.plot)
        print(options.plot)
    return 0


def _tell(text: str) -> None:
    """Report progress on stderr: in a terminal in one line that is overwritten, else in one line after another."""
    if sys.stderr is None:
        return
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def add_command(commands: Commands) -> None:
    """Define `bench` and the commands below it."""
    about = "Measure how fast a layer is on this machine."
    bench = commands.add_parser("bench", help=about, description=about, allow_abbrev=False)
    one = command(bench.add_subparsers(title="layers", metavar="LAYER", required=True), "conv", conv)
    one.add_argument(
        "--layer",
        type=_layer,
        metavar="NAME",
        help="a layer of a well-known net, such as resnet18.layer1; `--layer help` lists them",
    )
    one.add_argument("--x", type=_sizes(4), metavar="NxCxHxW", help="input (default: 32x64x56x56, or the layer's)")
    one.add_argument(
        "--w", type=_sizes(4), metavar="OxIxKHxKW",
        help="weight; I: the input channels of a group (default: 64x64x3x3, or the layer's)",
    )  # fmt: skip
    for name, usual in {"stride": 1, "padding": 0, "dilation": 1}.items():
        text = f"S or SxS (default: {usual}, or the layer's)"
        one.add_argument(f"--{name}", type=_sizes(1, 2, least=usual), metavar="S", help=text)
    one.add_argument("--groups", type=int, metavar="G", help="groups of channels (default: 1, or the layer's)")
    one.add_argument(
        "--bias", action=argparse.BooleanOptionalAction, help="with a bias (default: without, or as in the layer)"
    )
    one.add_argument(
        "--channels-last", action="store_true", help="the order in memory is (N, H, W, C), not (N, C, H, W)"
    )
    one.add_argument("--forward", action="store_true", help="measure the forward pass only")
    one.add_argument("--backends", nargs="+", metavar="NAME", help="such as numba (default: all)")
    one.add_argument("--algorithms", nargs="+", metavar="NAME", help="such as im2col (default: all)")
    one.add_argument("--slow", action="store_true", help="measure also what takes longer than all others together")
    one.add_argument("--against", choices=["torch"], help="time PyTorch as well")
    one.add_argument(
        "--seconds", type=float, default=1.0, metavar="X", help="how long to time each pass (default: %(default)s)"
    )
    one.add_argument("--plot", metavar="FILE", help="draw the speeds into a .png, .svg or .pdf")


def _sizes(*counts: int, least: int = 1) -> Callable[[str], int | tuple[int, ...]]:
    """A converter of text such as "32x64x56x56"; a single number stays a number."""

    def convert(text: str) -> int | tuple[int, ...]:
        try:
            sizes = tuple(int(part) for part in text.lower().split("x"))
        except ValueError:
            sizes = ()
        if len(sizes) not in counts or min(sizes) < least:
            example = "x".join(["32", "64", "56", "56"][: max(counts)]) if max(counts) > 2 else "2 or 2x1"
            raise argparse.ArgumentTypeError(f"{text!r} is not of the form {example}, with numbers of at least {least}")
        return sizes[0] if len(sizes) == 1 else sizes

    return convert
