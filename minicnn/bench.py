"""The command `minicnn bench`: how fast one layer is on this machine, by every algorithm."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NamedTuple


class Layer(NamedTuple):
    """A convolution layer: the shapes of x (N, C, H, W) and w (O, C/groups, KH, KW), and the options of `nn.Conv2d`."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    bias: bool = False

    def __str__(self) -> str:
        x, w = ("x".join(map(str, shape)) for shape in (self.x, self.w))
        usual = Layer((), ())
        options = [f"--{name} {getattr(self, name)}" for name in ("stride", "padding", "groups")
                   if getattr(self, name) != getattr(usual, name)]  # fmt: skip
        return " ".join([f"--x {x} --w {w}", *options, *(["--bias"] if self.bias else [])])


def _layers() -> dict[str, Layer]:
    """Layers of well-known nets, in the batches of `benchmarks/nets.py`; those of ResNet as torchvision names them."""
    found = {
        "lenet5.conv1": Layer((100, 1, 32, 32), (6, 1, 5, 5), bias=True),
        "lenet5.conv2": Layer((100, 6, 14, 14), (16, 6, 5, 5), bias=True),
        "alexnet.conv1": Layer((16, 3, 224, 224), (64, 3, 11, 11), 4, 2, bias=True),
        "alexnet.conv2": Layer((16, 64, 27, 27), (192, 64, 5, 5), 1, 2, bias=True),
        "alexnet.conv3": Layer((16, 192, 13, 13), (384, 192, 3, 3), 1, 1, bias=True),
        "vgg16.conv1_1": Layer((2, 3, 224, 224), (64, 3, 3, 3), 1, 1, bias=True),
        "vgg16.conv1_2": Layer((2, 64, 224, 224), (64, 64, 3, 3), 1, 1, bias=True),
        "vgg16.conv3_2": Layer((2, 256, 56, 56), (256, 256, 3, 3), 1, 1, bias=True),
        "vgg16.conv5_2": Layer((2, 512, 14, 14), (512, 512, 3, 3), 1, 1, bias=True),
        "resnet20.conv1": Layer((128, 3, 32, 32), (16, 3, 3, 3), 1, 1),
        "resnet18.conv1": Layer((8, 3, 224, 224), (64, 3, 7, 7), 2, 3),
        "mobilenet.conv1": Layer((64, 3, 32, 32), (32, 3, 3, 3), 1, 1),
        "mobilenet.depthwise": Layer((64, 128, 16, 16), (128, 1, 3, 3), 1, 1, groups=128),
        "mobilenet.pointwise": Layer((64, 128, 16, 16), (128, 128, 1, 1)),
    }
    for net, n, first, side, stages in (("resnet20", 128, 16, 32, 3), ("resnet18", 8, 64, 56, 4)):
        for stage in range(stages):
            c, size = first << stage, side >> stage
            found[f"{net}.layer{stage + 1}"] = Layer((n, c, size, size), (c, c, 3, 3), 1, 1)
            if stage:
                before = n, c // 2, 2 * size, 2 * size
                found[f"{net}.layer{stage + 1}.0.conv1"] = Layer(before, (c, c // 2, 3, 3), 2, 1)
                found[f"{net}.layer{stage + 1}.0.downsample"] = Layer(before, (c, c // 2, 1, 1), 2)
    return dict(sorted(found.items()))


LAYERS = _layers()
USUAL = Layer((32, 64, 56, 56), (64, 64, 3, 3))


def _layer(text: str) -> str:
    if text != "help" and text not in LAYERS:
        raise argparse.ArgumentTypeError(f"no layer {text!r}; --layer help lists those that there are")
    return text


def conv(options: argparse.Namespace) -> int:
    """Time a convolution layer by every algorithm and backend."""
    if options.layer == "help":
        width = max(map(len, LAYERS))
        print("\n".join(f"{name:{width}}  {layer}" for name, layer in LAYERS.items()))
        return 0
    from .analysis import compare_algorithms
    from .memory import channels_last, contiguous_format

    layer = LAYERS.get(options.layer, USUAL)
    given = {name: getattr(options, name) for name in Layer._fields}  # goes before the layer's
    layer = layer._replace(**{name: value for name, value in given.items() if value is not None})
    try:
        found = compare_algorithms(
            layer.x, layer.w, (layer.w[0],) if layer.bias else None,
            layer.stride, layer.padding, layer.dilation, layer.groups,
            backward=not options.forward, seconds=options.seconds,
            backends=options.backends, algorithms=options.algorithms, against=options.against,
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
    """What is going on, on stderr: one line that changes, in a terminal; else a line each, in a file of their own."""
    if sys.stderr is None:
        return
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def add_arguments(add: Callable[[str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]) -> None:
    """Define the commands below `bench`; `add` makes the parser of one."""
    one = add("conv", conv)
    one.add_argument(
        "--layer",
        type=_layer,
        metavar="NAME",
        help="a layer of a well-known net, such as resnet18.layer1; help lists them",
    )
    one.add_argument("--x", type=_sizes(4), metavar="NxCxHxW", help="input (default: 32x64x56x56, or the layer's)")
    one.add_argument(
        "--w", type=_sizes(4), metavar="OxIxKHxKW",
        help="weight, I the input channels of a group (default: 64x64x3x3, or the layer's)",
    )  # fmt: skip
    for name, usual in {"stride": 1, "padding": 0, "dilation": 1}.items():
        text = f"S or SxS (default: {usual}, or the layer's)"
        one.add_argument(f"--{name}", type=_sizes(1, 2, least=usual), metavar="S", help=text)
    one.add_argument("--groups", type=int, metavar="G", help="independent blocks (default: 1, or the layer's)")
    one.add_argument(
        "--bias", action=argparse.BooleanOptionalAction, help="with a bias (default: without, or as the layer)"
    )
    one.add_argument("--channels-last", action="store_true", help="in memory (N, H, W, C), not (N, C, H, W)")
    one.add_argument("--forward", action="store_true", help="leave out the gradients")
    one.add_argument("--backends", nargs="+", metavar="NAME", help="such as numba (default: all)")
    one.add_argument("--algorithms", nargs="+", metavar="NAME", help="such as im2col (default: all)")
    one.add_argument("--against", choices=["torch"], help="time PyTorch as well")
    one.add_argument(
        "--seconds", type=float, default=3.0, metavar="X", help="how long to time each pass (default: %(default)s)"
    )
    one.add_argument("--plot", metavar="FILE", help="draw the speeds, to a .png, .svg or .pdf")


def _sizes(*counts: int, least: int = 1) -> Callable[[str], int | tuple[int, ...]]:
    """A converter of "32x64x56x56"; a single number stays one."""

    def convert(text: str) -> int | tuple[int, ...]:
        try:
            sizes = tuple(int(part) for part in text.lower().split("x"))
        except ValueError:
            sizes = ()
        if len(sizes) not in counts or min(sizes) < least:
            example = "x".join(["32", "64", "56", "56"][: max(counts)]) if max(counts) > 2 else "2 or 2x1"
            raise argparse.ArgumentTypeError(f"{text!r} is not such as {example}, at least {least} each")
        return sizes[0] if len(sizes) == 1 else sizes

    return convert
