"""The command `minicnn bench`: how fast one layer is on this machine, by every algorithm."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def conv(options: argparse.Namespace) -> int:
    """Time a convolution layer by every algorithm and backend."""
    from .analysis import compare_algorithms
    from .memory import channels_last, contiguous_format

    found = compare_algorithms(
        options.x, options.w, (options.w[0],) if options.bias else None,
        options.stride, options.padding, options.dilation, options.groups,
        backward=not options.forward, seconds=options.seconds,
        backends=options.backends, algorithms=options.algorithms, against=options.against,
        memory_format=channels_last if options.channels_last else contiguous_format,
    )  # fmt: skip
    print(found)
    if options.plot:
        found.plot(options.plot)
        print(options.plot)
    return 0


def add_arguments(add: Callable[[str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]) -> None:
    """Define the commands below `bench`; `add` makes the parser of one."""
    one = add("conv", conv)
    one.add_argument(
        "--x", type=_sizes(4), default=(32, 64, 56, 56), metavar="NxCxHxW", help="input (default: 32x64x56x56)"
    )
    one.add_argument(
        "--w", type=_sizes(4), default=(64, 64, 3, 3), metavar="OxIxKHxKW",
        help="weight, I the input channels of a group (default: 64x64x3x3)",
    )  # fmt: skip
    steps: Any = {"stride": 1, "padding": 0, "dilation": 1}
    for name, usual in steps.items():
        one.add_argument(
            f"--{name}", type=_sizes(1, 2, least=usual), default=usual, metavar="S", help=f"S or SxS (default: {usual})"
        )
    one.add_argument("--groups", type=int, default=1, metavar="G", help="independent blocks (default: %(default)s)")
    one.add_argument("--bias", action="store_true", help="with a bias")
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
