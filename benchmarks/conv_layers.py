"""GFLOP/s of the convolution layers of eight nets: every algorithm, the one that `auto` takes, and PyTorch.

    python benchmarks/conv_layers.py --only resnet20 --against torch
    python benchmarks/conv_layers.py --only resnet18 --orders channels_last --passes gx --algorithms im2col direct
    python benchmarks/conv_layers.py --seconds 0          # only compiles everything; measure afterwards

The layers are those of `nets.py`. They are found by running each net on the meta device, which needs no memory, with
its training batch; equal layers are measured once. For each layer the forward pass, gx and gw (with gb if the layer has
a bias) are measured, in NCHW and in channels-last memory. The first layer has no gx.

GFLOP/s are always computed from the operations of the definition, 2*N*O*OH*OW*(C/G)*KH*KW, so those of Winograd may
exceed what the machine can do. The algorithm that `auto` chooses is marked * and always measured; if `--algorithms`
does not name it, it stands in parentheses at the end of the row. `slow`: the algorithm is more than 8 times slower than
the best on one image, and is not measured further. `-`: it cannot do the layer. The column `peak` is the speed of auto
relative to a float32 matrix product of side 2048 in the same run. A row ends in `<` if that is below 40 % although the
layer has at least 32 channels on both sides and is not depthwise.

The contenders for one row take turns; the best time of each counts.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from nets import NETS
from timing import libraries, machine

PASSES = ("forward", "gx", "gw")
ORDERS = ("nchw", "channels_last")
ENOUGH, SLOW = 0.4, 8


class Layer(NamedTuple):
    """A layer of a net: geometry, name, number of equal layers, whether it has a bias, whether it is the first."""

    name: str
    g: Any
    count: int
    bias: bool
    first: bool

    def __str__(self) -> str:
        g = self.g
        extra = f" /{g.sh}" if g.sh > 1 else ""
        extra += f" G{g.groups}" if g.groups > 1 else ""
        return f"{g.n}x{g.c}x{g.h}x{g.w} -> {g.o}, {g.kh}x{g.kw}{extra}"

    @property
    def flop(self) -> int:
        """The floating-point operations of one pass, by the definition."""
        g = self.g
        return 2 * g.n * g.o * g.oh * g.ow * (g.c // g.groups) * g.kh * g.kw

    @property
    def judged(self) -> bool:
        """Whether the layer is large enough that it should reach 40 % of the peak."""
        return bool(min(self.g.c, self.g.o) >= 32 and self.g.groups == 1)


class Measured(NamedTuple):
    """The measurement of one layer, pass and order: the seconds of each contender, None if it is too slow."""

    net: str
    layer: Layer
    which: str
    order: str
    auto: str
    seconds: dict[str, float | None]


def layers(name: str, batch: int | None = None) -> list[Layer]:
    """The distinct convolution layers of a net, in the order of their first call."""
    import minicnn
    from minicnn_kernels import geometry

    net = NETS[name]
    with minicnn.device("meta"):
        model = net.build(minicnn.nn)
        x = minicnn.zeros(batch or net.batch[0], *net.batch[1:])
    found: list[tuple[str, Any, bool]] = []

    def note(label: str) -> Callable[..., None]:
        def hook(m: Any, inputs: Any, output: Any) -> None:
            g = geometry.conv2d(inputs[0].shape, m.weight.shape, None, m.stride, m.padding, m.dilation, m.groups)
            found.append((label, g, m.bias is not None))

        return hook

    for label, m in model.named_modules():
        if isinstance(m, minicnn.nn.Conv2d):
            m.register_forward_hook(note(label))
    with minicnn.no_grad():
        model(x)
    counts = Counter((g, bias) for _, g, bias in found)
    first = found[0][1]
    labels = {(g, bias): label for label, g, bias in reversed(found)}
    return [Layer(labels[key], key[0], n, key[1], key[0] == first) for key, n in counts.items()]


def contenders(layer: Layer, which: str, order: str, algorithms: list[str], torch: Any) -> tuple[str, dict[str, Any]]:
    """The algorithm of `auto`, and the calls to time: one for each algorithm that can do the layer, one for PyTorch."""
    from minicnn_kernels import conv2d
    from minicnn_kernels.layout import as_order

    g, rng = layer.g, np.random.default_rng(0)
    channels_last = order == "channels_last"
    shapes = g.x_shape, g.y_shape, g.w_shape
    x, gy, w = (as_order(rng.standard_normal(shape, np.float32), channels_last) for shape in shapes)
    b = rng.standard_normal(g.o, np.float32) if layer.bias else None
    needs_grad = (which == "gx", which == "gw", which == "gw" and layer.bias)
    table: Any = conv2d.FORWARD if which == "forward" else conv2d.BACKWARD
    args: tuple[Any, ...] = (x, w, b, g)
    if which != "forward":
        args = (gy, x if which == "gw" else None, w if which == "gx" else None, g, needs_grad)
    auto = table.pick("numba", None, args)[0]
    able = [name for name in table.algorithms if name in (*algorithms, auto) and table.supports(name, args)]
    calls: dict[str, Any] = {name: lambda row=table.rows[name, "numba"]: row(*args) for name in able}
    if torch is not None:
        as_torch = [None if a is None else torch.from_numpy(np.array(a, order="C")) for a in (x, gy, w, b)]
        form = torch.channels_last if channels_last else torch.contiguous_format
        tx, tgy, tw = (a.contiguous(memory_format=form) for a in as_torch[:3])
        steps = [g.sh, g.sw], [g.ph, g.pw], [g.dh, g.dw]

        def forward() -> Any:
            with torch.no_grad():
                return torch.nn.functional.conv2d(tx, tw, as_torch[3], *steps, g.groups)

        def backward() -> Any:
            sizes = [g.o] if needs_grad[2] else None
            return torch.ops.aten.convolution_backward(
                tgy, tx, tw, sizes, *steps, False, [0, 0], g.groups, list(needs_grad)
            )

        calls["torch"] = forward if which == "forward" else backward
    return auto, calls


def measured(net: str, args: argparse.Namespace, torch: Any) -> Iterator[Measured]:
    """The rows of a net; each is measured when the iterator reaches it."""
    from minicnn.bench.timing import best_times, seconds_of

    todo = [
        (layer, one, which, order)
        for layer, one in zip(layers(net), layers(net, 1), strict=True)
        for which in args.passes
        if not (layer.first and which == "gx")
        for order in args.orders
    ]
    for layer, one, which, order in todo:
        _, small = contenders(one, which, order, args.algorithms, torch)
        for call in small.values():  # compile
            call()
        spent = {name: min(seconds_of(call) for _ in range(2)) for name, call in small.items()}
        auto, calls = contenders(layer, which, order, args.algorithms, torch)
        fast = {
            name: call for name, call in calls.items()
            if name in (auto, "torch") or spent[name] < SLOW * min(spent.values())
        }  # fmt: skip
        best = best_times(fast, args.seconds / len(todo), turns=4) if args.seconds else {}
        yield Measured(net, layer, which, order, auto, dict.fromkeys(calls) | best)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=["torch"], help="also time PyTorch")
    parser.add_argument("--only", nargs="+", choices=NETS, default=list(NETS), metavar="NET", help=", ".join(NETS))
    parser.add_argument(
        "--passes", nargs="+", choices=PASSES, default=list(PASSES), metavar="PASS", help=", ".join(PASSES)
    )
    parser.add_argument(
        "--orders", nargs="+", choices=ORDERS, default=list(ORDERS), metavar="ORDER", help=", ".join(ORDERS)
    )
    parser.add_argument("--algorithms", nargs="+", metavar="NAME", help="which to measure (default: all)")
    parser.add_argument("--seconds", type=float, default=30, help="how long to measure each net (default: 30)")
    parser.add_argument("--csv", metavar="FILE", help="also write all numbers to a file")
    args = parser.parse_args()
    found = libraries(bool(args.against))
    from minicnn.bench.timing import gemm_peak
    from minicnn_kernels import conv2d

    args.algorithms = args.algorithms or list(conv2d.FORWARD.algorithms)
    unknown = set(args.algorithms) - set(conv2d.FORWARD.algorithms)
    if unknown:
        parser.error(f"no algorithm {', '.join(sorted(unknown))}; there are: {', '.join(conv2d.FORWARD.algorithms)}")
    peak = gemm_peak()
    print(f"{machine(found)}; matrix product {peak / 1e9:.0f} GFLOP/s")
    columns = [*args.algorithms, *(["torch"] if args.against else [])]
    rows: list[Measured] = []
    for net in args.only:
        width = max(len(f"{layer}") for layer in layers(net)) + 2
        title = "".join(f"{name:>10} " for name in columns)
        if not args.seconds:
            print(f"{net}: compiled for {sum(1 for _ in measured(net, args, found.get('torch')))} rows")
            continue
        peak = max(peak, gemm_peak())  # the best, since the speed of a machine may vary
        print(f"\n{net}: GFLOP/s; matrix product {peak / 1e9:.0f}")
        print(f"{'':3}{'layer':{width}}{'pass':9}{'order':14}{title}{'peak':>7}")
        for row in measured(net, args, found.get("torch")):
            rows.append(row)
            print(line_of(row, columns, width, peak), flush=True)
        print(totals([row for row in rows if row.net == net], args))
    print(summary(rows, peak) if rows else "")
    if args.csv:
        write(args.csv, rows, peak)
    return 0


def rate(row: Measured, name: str) -> float | None:
    """The FLOP/s of a contender; None if it was not measured."""
    seconds = row.seconds.get(name)
    return row.layer.flop / seconds if seconds else None


def line_of(row: Measured, columns: list[str], width: int, peak: float) -> str:
    cells = []
    for name in columns:
        flops = rate(row, name)
        text = f"{flops / 1e9:.1f}" if flops else "slow" if name in row.seconds else "-"
        cells.append(f"{text:>10}{'*' if name == row.auto else ' '}")
    chosen = rate(row, row.auto) or 0
    share = chosen / peak
    unasked = "" if row.auto in columns else f" ({row.auto} {chosen / 1e9:.1f})"
    mark = " <" if row.layer.judged and 0 < share < ENOUGH else ""
    times = f"{row.layer.count}x "
    return f"{times}{row.layer!s:{width}}{row.which:9}{row.order:14}{''.join(cells)}{share:7.0%}{unasked}{mark}"


def totals(rows: list[Measured], args: argparse.Namespace) -> str:
    """Milliseconds for all convolutions of a training step: auto, the best algorithm of each row, PyTorch."""
    lines = []
    for order in args.orders:
        mine = [row for row in rows if row.order == order]
        auto = sum(row.layer.count * (row.seconds.get(row.auto) or math.nan) for row in mine)
        best = sum(row.layer.count * min(t for name, t in row.seconds.items() if t and name != "torch") for row in mine)
        line = f"   all convolutions of a step, {order}: auto {auto * 1e3:.1f} ms, best algorithms {best * 1e3:.1f} ms"
        if args.against:
            line += f", torch {sum(row.layer.count * (row.seconds['torch'] or 0) for row in mine) * 1e3:.1f} ms"
        lines.append(line)
    return "\n".join(lines)


def summary(rows: list[Measured], peak: float) -> str:
    """Geometric means, and how many layers miss the 40 % that they should reach; each in its better memory order."""
    lines = [""]
    for which in dict.fromkeys(row.which for row in rows):
        better: dict[tuple[str, str], list[tuple[float, float | None, bool]]] = {}
        for row in rows:
            if row.which == which and rate(row, row.auto):
                entry = (rate(row, row.auto) or 0.0, rate(row, "torch"), row.layer.judged)
                better.setdefault((row.net, str(row.layer)), []).append(entry)
        best = [(max(e[0] for e in one), max((e[1] or 0.0) for e in one), one[0][2]) for one in better.values()]
        if not best:
            continue
        line = f"{which:8} {len(best)} layers, geometric mean {mean([e[0] for e in best]) / 1e9:.1f} GFLOP/s"
        if all(e[1] for e in best):
            line += f", torch {mean([e[1] for e in best]) / 1e9:.1f}"
        judged = [e[0] for e in best if e[2]]
        if judged:
            low = sum(flops < ENOUGH * peak for flops in judged)
            line += f"; of {len(judged)} with 32 channels or more {low} below {ENOUGH:.0%} of the peak"
            line += f", geometric mean {mean(judged) / 1e9:.1f}"
        lines.append(line)
    return "\n".join([*lines, "(each layer in its better memory order)"])


def mean(values: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def write(path: str, rows: list[Measured], peak: float) -> None:
    """Write one line for each measured time."""
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        names = rows[0].layer.g._fields if rows else ()
        out.writerow(["net", "layer", "count", "bias", *names, "pass", "order", "algorithm", "auto", "ms", "gflops",
                      "share_of_peak"])  # fmt: skip
        for row in rows:
            for name, seconds in row.seconds.items():
                flops = rate(row, name)
                figures = [seconds * 1e3, flops / 1e9, flops / peak] if seconds and flops else ["", "", ""]
                out.writerow([row.net, row.layer.name, row.layer.count, int(row.layer.bias), *row.layer.g, row.which,
                              row.order, name, int(name == row.auto), *figures])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
