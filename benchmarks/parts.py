"""Milliseconds of the parts that nets are made of, one family of kernels after the other, beside PyTorch's.

    python benchmarks/parts.py --against torch
    python benchmarks/parts.py --only grouped depthwise --against torch --seconds 2
    python benchmarks/parts.py --order nchw
    python benchmarks/parts.py --seconds 0          # only compiles everything; measure afterwards

A part is one or two functions of `nn.functional` on tensors of a usual size. The columns are the forward pass, and the
forward and backward pass together, with the gradients of all tensors. minicnn computes in channels-last memory, or in
the order that `--order` names; PyTorch computes in both orders, and its better time counts. The ratio is PyTorch's time
divided by minicnn's, so above 1 minicnn is faster. A row ends in `<` if one of its ratios is below 0.8.

The contenders for one row take turns; the best time of each counts.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from timing import libraries, machine

ORDERS = ("nchw", "channels_last")
LOW = 0.8

Shape = tuple[int, ...]


class Part(NamedTuple):
    """A function of tensors, with the shapes of the tensors; `call(library, *tensors)` runs it in either library."""

    name: str
    shapes: tuple[Shape, ...]
    call: Callable[..., Any]


class Measured(NamedTuple):
    """The measured seconds of a part: each contender's forward pass, and its forward and backward pass."""

    family: str
    part: Part
    seconds: dict[tuple[str, str], float]

    def ratio(self, which: str) -> float | None:
        """PyTorch's better time divided by minicnn's; None if PyTorch was not measured."""
        theirs = [t for (contender, one), t in self.seconds.items() if one == which and contender.startswith("torch")]
        return min(theirs) / self.seconds["minicnn", which] if theirs else None


def conv(n: int, c: int, size: int, o: int, k: int, stride: int = 1, groups: int = 1) -> Part:
    """A convolution with padding k // 2, on square images, without bias."""
    name = f"{n}x{c}x{size}x{size} -> {o}, {k}x{k}" + f" /{stride}" * (stride > 1) + f" G{groups}" * (groups > 1)
    shapes = (n, c, size, size), (o, c // groups, k, k)
    return Part(name, shapes, lambda m, x, w: m.nn.functional.conv2d(x, w, None, stride, k // 2, 1, groups))


def transposed(n: int, c: int, size: int, o: int, k: int, stride: int, padding: int) -> Part:
    """A transposed convolution with a bias."""
    name = f"{n}x{c}x{size}x{size} -> {o}, {k}x{k} /{stride}"
    shapes = (n, c, size, size), (c, o, k, k), (o,)
    return Part(name, shapes, lambda m, x, w, b: m.nn.functional.conv_transpose2d(x, w, b, stride, padding))


def joined(n: int, channels: tuple[int, ...], size: int) -> Part:
    """Concatenation along the channels."""
    name = f"{n}x({'+'.join(map(str, channels))})x{size}x{size}"
    return Part(name, tuple((n, c, size, size) for c in channels), lambda m, *xs: m.cat(xs, 1))


def of_images(name: str, shape: Shape, call: Callable[..., Any], *others: Shape) -> Part:
    """A function of images, and perhaps of other tensors."""
    return Part(f"{name} {'x'.join(map(str, shape))}", (shape, *others), call)


def average(n: int, c: int, size: int, k: int, stride: int, padding: int = 0) -> Part:
    """Average pooling."""
    return of_images(
        f"{k}x{k} /{stride}", (n, c, size, size), lambda m, x: m.nn.functional.avg_pool2d(x, k, stride, padding)
    )


def adaptive(n: int, c: int, size: int, out: int) -> Part:
    """Adaptive average pooling."""
    return of_images(f"adaptive {out}", (n, c, size, size), lambda m, x: m.nn.functional.adaptive_avg_pool2d(x, out))


def activation(name: str, shape: Shape) -> Part:
    """An activation by its name in `nn.functional`."""
    return of_images(name, shape, lambda m, x: getattr(m.nn.functional, name)(x))


def per_channel(name: str, shape: Shape, call: Callable[..., Any], of_image: bool = False) -> Part:
    """Images with a tensor of (1, C, 1, 1), or of (N, C, 1, 1)."""
    return of_images(name, shape, call, (shape[0] if of_image else 1, shape[1], 1, 1))


USUAL, SMALL = (32, 64, 56, 56), (32, 256, 14, 14)

FAMILIES: dict[str, list[Part]] = {
    "grouped": [
        conv(16, 128, 56, 128, 3, groups=32),  # ResNeXt-50 32x4d
        conv(16, 256, 56, 256, 3, 2, 32),
        conv(16, 256, 28, 256, 3, groups=32),
        conv(16, 512, 14, 512, 3, groups=32),
        conv(16, 1024, 7, 1024, 3, groups=32),
        conv(64, 64, 16, 64, 3, groups=8),
        conv(32, 240, 28, 240, 3, groups=10),  # RegNetX-400MF and others: groups of 16 or 24 channels
        conv(64, 128, 8, 128, 3, groups=2),
        conv(16, 96, 27, 256, 5, groups=2),  # AlexNet
        conv(16, 384, 13, 384, 3, groups=2),
        conv(32, 240, 28, 240, 1, groups=3),  # ShuffleNet
        conv(32, 480, 14, 480, 1, groups=8),
        conv(32, 24, 56, 60, 1, groups=3),
    ],
    "depthwise": [
        conv(16, 96, 112, 96, 3, 2, 96),
        conv(16, 144, 56, 144, 3, groups=144),
        conv(32, 192, 28, 192, 3, groups=192),
        conv(32, 384, 14, 384, 3, groups=384),
        conv(32, 576, 14, 576, 3, 2, 576),
        conv(32, 960, 7, 960, 3, groups=960),
        conv(32, 72, 56, 72, 5, 2, 72),
        conv(32, 120, 28, 120, 5, groups=120),
        conv(32, 672, 14, 672, 5, groups=672),
        conv(32, 960, 7, 960, 5, groups=960),
        conv(64, 32, 32, 32, 3, groups=32),
        conv(16, 96, 56, 96, 7, groups=96),  # ConvNeXt
    ],
    "pointwise": [
        conv(16, 16, 112, 96, 1),
        conv(16, 96, 56, 24, 1),
        conv(32, 32, 28, 192, 1),
        conv(32, 256, 56, 64, 1),
        conv(32, 64, 56, 128, 1, 2),
        conv(16, 512, 28, 1024, 1, 2),
        conv(32, 960, 7, 160, 1),
        conv(64, 16, 32, 32, 1, 2),
        conv(32, 128, 1, 32, 1),
    ],
    "transposed": [
        transposed(16, 128, 28, 64, 2, 2, 0),  # U-Net
        transposed(8, 64, 112, 32, 2, 2, 0),
        transposed(64, 256, 8, 128, 4, 2, 1),  # DCGAN
        transposed(64, 128, 16, 64, 4, 2, 1),
        transposed(64, 64, 32, 3, 4, 2, 1),
    ],
    "cat": [
        joined(32, (64, 32), 56),
        joined(32, (256, *[32] * 8), 14),
        joined(32, (64, 128, 32, 32), 28),
        joined(16, (64, 64), 112),
        joined(32, (58, 58), 28),
    ],
    "pooling": [
        average(32, 128, 56, 2, 2),
        average(32, 64, 28, 3, 1, 1),
        average(32, 64, 56, 3, 2, 1),
        adaptive(32, 512, 7, 1),
        adaptive(32, 64, 56, 1),
        adaptive(32, 256, 13, 6),
        adaptive(32, 256, 14, 7),
        of_images("mean of H, W", USUAL, lambda m, x: x.mean((2, 3))),
        of_images("max 3x3 /2", USUAL, lambda m, x: m.nn.functional.max_pool2d(x, 3, 2, 1)),
        of_images("max 3x3 /1", (32, 128, 28, 28), lambda m, x: m.nn.functional.max_pool2d(x, 3, 1, 1)),
        of_images("nearest x2", (16, 64, 28, 28), lambda m, x: m.nn.functional.interpolate(x, scale_factor=2)),
        of_images(
            "bilinear x2", (16, 64, 28, 28),
            lambda m, x: m.nn.functional.interpolate(x, scale_factor=2, mode="bilinear"),
        ),
    ],
    "squeeze": [
        per_channel("x * s", USUAL, lambda m, x, s: x * s, True),
        per_channel("x * s", SMALL, lambda m, x, s: x * s, True),
        per_channel("x * sigmoid(s)", (32, 960, 7, 7), lambda m, x, s: x * s.sigmoid(), True),
        of_images("x * mean(x)", (32, 96, 56, 56), lambda m, x: x * m.nn.functional.adaptive_avg_pool2d(x, 1)),
    ],
    "activation": [
        *[activation(name, USUAL) for name in ("silu", "hardswish", "gelu", "sigmoid", "hardsigmoid", "mish", "elu")],
        *[activation(name, USUAL) for name in ("relu", "relu6", "leaky_relu", "tanh", "softplus")],
        activation("silu", (8, 32, 14, 14)),
    ],
    "elementwise": [
        per_channel("x + b", USUAL, lambda m, x, b: x + b),
        per_channel("x * a", USUAL, lambda m, x, a: x * a),
        of_images("relu(x + z)", USUAL, lambda m, x, z: m.nn.functional.relu(x + z), USUAL),
        of_images("x + z", SMALL, lambda m, x, z: x + z, SMALL),
        of_images("x * z", USUAL, lambda m, x, z: x * z, USUAL),
        of_images("0.5 * x", USUAL, lambda m, x: 0.5 * x),
        of_images("x / 3 + 1", USUAL, lambda m, x: x / 3 + 1),
        of_images("x ** 2", USUAL, lambda m, x: x**2),
        of_images("shuffle", (32, 240, 28, 28), lambda m, x: m.nn.functional.channel_shuffle(x, 3)),
        of_images("pad 1", USUAL, lambda m, x: m.nn.functional.pad(x, (1, 1, 1, 1))),
        of_images("halves", (32, 116, 28, 28), lambda m, x: m.cat([2 * a for a in x.chunk(2, 1)], 1)),
    ],
    "normalization": [
        *[
            of_images(
                "batch norm", shape,
                lambda m, x, w, b: m.nn.functional.batch_norm(x, None, None, w, b, True), shape[1:2], shape[1:2],
            )
            for shape in (USUAL, SMALL, (32, 512, 7, 7))
        ],
        of_images(
            "group norm", USUAL, lambda m, x, w, b: m.nn.functional.group_norm(x, 32, w, b), USUAL[1:2], USUAL[1:2]
        ),
        of_images("local response", (16, 96, 27, 27), lambda m, x: m.nn.functional.local_response_norm(x, 5)),
    ],
}  # fmt: skip


def calls_of(part: Part, library: Any, order: str, rng: np.random.Generator) -> dict[str, Callable[[], Any]]:
    """The forward pass, and the forward and backward pass, with tensors in the given order of memory."""
    form = library.channels_last if order == "channels_last" else library.contiguous_format

    def tensor(shape: Shape) -> Any:
        a = library.from_numpy(rng.standard_normal(shape, np.float32))
        return a.contiguous(memory_format=form) if len(shape) == 4 else a

    tensors = [tensor(shape).requires_grad_() for shape in part.shapes]
    up = tensor(tuple(part.call(library, *tensors).shape))
    drop = dropping(library)

    def both() -> None:
        part.call(library, *[drop(x) for x in tensors]).backward(up)

    return {"forward": lambda: part.call(library, *tensors), "both": both}


def dropping(library: Any) -> Callable[[Any], Any]:
    """The identity; in the backward pass nothing keeps its gradient, as in the middle of a net.

    The gradient of a leaf would be kept, and for that it may have to be copied.
    """

    class Drop(library.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.view_as(x)

        @staticmethod
        def backward(ctx: Any, gy: Any) -> None:
            return None

    return Drop.apply


def measured(args: argparse.Namespace, found: dict[str, Any]) -> Iterator[Measured]:
    """The rows of the table; each is measured when the iterator reaches it."""
    from minicnn.bench.timing import best_times

    for family in args.only:
        for part in FAMILIES[family]:
            contenders = [("minicnn", args.order)]
            contenders += [("torch", order) for order in ORDERS if "torch" in found]
            calls = {}
            for library, order in contenders:
                label = library if library == "minicnn" else f"torch {order}"
                for which, call in calls_of(part, found[library], order, np.random.default_rng(0)).items():
                    call()  # compile
                    calls[label, which] = call
            yield Measured(family, part, best_times(calls, args.seconds, turns=4) if args.seconds else {})


def line_of(row: Measured) -> str:
    cells = []
    for which in ("forward", "both"):
        theirs = min((t for (name, one), t in row.seconds.items() if one == which and name != "minicnn"), default=None)
        cells.append(f"{row.seconds['minicnn', which] * 1e3:9.3f}" + (f"{theirs * 1e3:9.3f}" if theirs else ""))
        ratio = row.ratio(which)
        cells[-1] += f"{ratio:7.2f}" if ratio else ""
    low = any((row.ratio(which) or 1) < LOW for which in ("forward", "both"))
    return f"   {row.part.name:42}{'   '.join(cells)}{' <' if low else ''}"


def mean(rows: list[Measured]) -> str:
    """The geometric means of the ratios."""
    ratios = [[row.ratio(which) or math.nan for row in rows] for which in ("forward", "both")]
    return ", ".join(f"{math.exp(sum(map(math.log, one)) / len(one)):.2f}" for one in ratios)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=["torch"], help="also time PyTorch")
    names = ", ".join(FAMILIES)
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="FAMILY", help=names)
    parser.add_argument("--order", choices=ORDERS, default="channels_last", help="memory order of minicnn's tensors")
    parser.add_argument("--seconds", type=float, default=1, help="how long to measure each part (default: 1)")
    args = parser.parse_args()
    found = libraries(bool(args.against))
    print(machine(found))
    rows: list[Measured] = []
    title = f"{'minicnn':>9}{'torch':>9}{'ratio':>7}" if args.against else f"{'minicnn':>9}"
    for row in measured(args, found):
        if not args.seconds:
            continue
        if not rows or row.family != rows[-1].family:
            print(f"\n{row.family:45}{title}   {title}   (forward, then forward and backward; ms)")
        rows.append(row)
        print(line_of(row), flush=True)
    if args.against:
        for family in dict.fromkeys(row.family for row in rows):
            mine = [row for row in rows if row.family == family]
            print(f"{family}: geometric mean of the ratios, forward and both: {mean(mine)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
