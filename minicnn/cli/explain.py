"""`minicnn explain`: where a number of a convolution, of its gradient, or of another layer comes from."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Commands, UsageError, add_output, command, natural, positive, seed
from .console import DONE

if TYPE_CHECKING:
    from ..explain import Explanation
    from ..nn import Module
    from ..tensor import Tensor

LAYERS = ("conv", "transposed", "max", "average", "adaptive-max", "adaptive", "linear", "batch-norm")
ADAPTIVE = {"adaptive": "AdaptiveAvgPool2d", "adaptive-max": "AdaptiveMaxPool2d"}
EXAMPLES = ("cross", "stride")  # of `minicnn.explain.EXAMPLES`, which is imported when it is needed


def add_command(commands: Commands) -> None:
    """Define the command."""
    one = command(commands, "explain", explain)
    one.add_argument("layer", choices=LAYERS, metavar="LAYER", help=", ".join(LAYERS))
    one.add_argument(
        "--x", type=_numbers, metavar="SIZE|ROWS", default=(5, 5),
        help="the input: a size, such as 5x5 or 3x8x8 (C, H, W), of small random numbers; or rows, such as "
        "[[1,2],[3,4]] (default: 5x5)",
    )  # fmt: skip
    one.add_argument(
        "--w",
        type=_numbers,
        metavar="SIZE|ROWS",
        help="the filter or window, in the same way; of adaptive poolings, the size of the output (default: 3x3)",
    )
    one.add_argument("--example", choices=EXAMPLES, help="x, w, stride and padding of an example that courses work out")
    one.add_argument("--filters", type=positive(int), metavar="N", default=1, help="output channels (default: 1)")
    for name, least in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)):
        one.add_argument(f"--{name}", type=natural, metavar="N", help=f"(default: {least})")
    places = "such as 1,2 (row, column), with channel and image before it if they are not 0"
    one.add_argument("--cell", type=_cell, metavar="O,I,J", help=f"explain this output, {places} (default: the first)")
    one.add_argument("--grad-cell", type=_cell, metavar="C,P,Q", help="explain the gradient of this number of x")
    one.add_argument("--weight-cell", type=_cell, metavar="O,C,A,B", help="explain the gradient of this weight")
    one.add_argument("--seed", type=seed, default=0, metavar="N", help="of the random numbers (default: 0)")
    add_output(
        one, "write it to a file: as text; as a page, if its name ends in .html; as a picture, .png or .svg; or, for a "
        "convolution or a pooling, as a .gif, where the window slides",
    )  # fmt: skip


def _numbers(text: str) -> Any:
    """A size as a tuple, or rows of numbers as lists."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} are not rows such as [[1,2],[3,4]]: {error}") from None
    try:
        size = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        size = ()
    if not size or min(size) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a size such as 5x5 nor rows such as [[1,2],[3,4]]")
    return size


def _cell(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a place such as 0,1,2") from None


def explain(options: argparse.Namespace) -> int:
    """Explain a number of a layer: the window and the products it is the sum of; or of a gradient, forward and back."""
    from .. import manual_seed
    from ..explain import explain as explained

    manual_seed(options.seed)
    layer, x = _layer(options)
    flat = options.layer == "linear"
    cells = {
        "cell": _placed(options.cell, x.ndim), "grad_cell": _placed(options.grad_cell, x.ndim),
        "weight_cell": _placed(options.weight_cell, 2 if flat else 1 if options.layer == "batch-norm" else 4),
    }  # fmt: skip
    try:
        found = explained(layer, x, **cells)
    except TypeError as error:  # a pooling has no weights
        raise UsageError(f"--weight-cell: {error}") from error
    if options.output is None:
        print(found)
        return DONE
    Path(options.output).parent.mkdir(parents=True, exist_ok=True)
    suffix = Path(options.output).suffix.lower()
    if suffix in (".html", ".htm"):
        Path(options.output).write_text(found._repr_html_(), encoding="utf-8")
    elif suffix in ("", ".txt", ".md"):
        Path(options.output).write_text(f"{found}\n", encoding="utf-8")
    else:
        _draw(found, options.output)
    print(options.output)
    return DONE


def _draw(found: Explanation, out: str) -> None:
    """The picture of the numbers that are explained, or the animation of the window."""
    from .. import visualize

    try:
        if Path(out).suffix.lower() == ".gif":
            visualize.sliding(found.trace, out)
        else:
            visualize.window(found, out=out)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--output {out}: {error}") from error


def _placed(place: tuple[int, ...] | None, rank: int) -> tuple[int, ...] | None:
    """A place with zeros for the axes that are not given."""
    return None if place is None else (*[0] * (rank - len(place)), *place)


def _layer(options: argparse.Namespace) -> tuple[Module, Tensor]:
    """The layer and its input."""
    from .. import nn, tensor
    from ..explain import EXAMPLES as examples

    if options.example:
        if options.layer != "conv":
            raise UsageError(f"--example {options.example} is a convolution: minicnn explain conv --example ...")
        example = examples[options.example]
        options.x, options.w = [list(row) for row in example.x], [list(row) for row in example.w]
        options.stride = example.stride if options.stride is None else options.stride
        options.padding = example.padding if options.padding is None else options.padding
    kind = options.layer
    x = _array(options.x, 4 if kind != "linear" else 2, 3)
    steps = {name: value for name in ("stride", "padding", "dilation") if (value := getattr(options, name)) is not None}
    groups = options.groups or 1
    if kind == "batch-norm":
        return nn.BatchNorm2d(x.shape[1]), x
    if kind == "linear":
        return nn.Linear(x.shape[1], options.filters), x
    w = (3, 3) if options.w is None else options.w
    if kind in ("max", "average", *ADAPTIVE):
        if not isinstance(w, tuple) or len(w) != 2:
            what = "output" if kind in ADAPTIVE else "window"
            raise UsageError(f"--w of a {kind} pooling is the size of its {what}, such as 2x2")
        if kind in ADAPTIVE:
            for name in steps:
                raise UsageError(f"an adaptive pooling has no {name}; it follows from the size of its output, --w")
            return getattr(nn, ADAPTIVE[kind])(w), x
        return (nn.MaxPool2d(w, **steps) if kind == "max" else nn.AvgPool2d(w, **_without(steps, "dilation"))), x
    channels, given = x.shape[1], not isinstance(w, tuple)
    inner, outer = (channels // groups, options.filters) if kind == "conv" else (channels, options.filters // groups)
    shape = (outer, inner) if kind == "conv" else (inner, outer)
    if given:
        weight = _array(w, 4, 1)
    else:
        weight = _array((*shape, *w[-2:]), 4, 1)
    make = nn.Conv2d if kind == "conv" else nn.ConvTranspose2d
    filters = weight.shape[0] if kind == "conv" else weight.shape[1] * groups
    layer = make(channels, filters, tuple(weight.shape[2:]), groups=groups, bias=False, dtype=weight.dtype, **steps)
    if tuple(layer.weight.shape) != tuple(weight.shape):
        raise UsageError(f"--w has the shape {tuple(weight.shape)}, and this layer needs {tuple(layer.weight.shape)}")
    layer.load_state_dict({"weight": tensor(weight.numpy())})
    return layer, x


def _array(given: Any, rank: int, most: int) -> Tensor:
    """Numbers as an array of `rank` axes: the rows that are given, or random whole numbers from -most to most."""
    from .. import randint, tensor

    if isinstance(given, tuple):
        size = (*[1] * (rank - len(given)), *given)
        if len(size) > rank or math.prod(size) > 1_000_000:
            raise UsageError(f"{'x'.join(map(str, given))} is no size of at most {rank} axes and a million numbers")
        return randint(-most, most + 1, size).float()
    try:
        found = tensor(given).float()
    except (ValueError, TypeError) as error:
        raise UsageError(f"these are not rows of equally many numbers: {json.dumps(given)[:60]} ({error})") from None
    if found.ndim > rank:
        raise UsageError(f"these rows have {found.ndim} axes, and at most {rank} are possible")
    return found.reshape((*[1] * (rank - found.ndim), *found.shape))


def _without(options: dict[str, Any], name: str) -> dict[str, Any]:
    """The options, after checking that one is not among them."""
    if name in options:
        raise UsageError(f"an average pooling has no {name}")
    return options
