"""`explain`: where a number of a layer comes from, forward and backward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.geometry import ShapeError, shown

from .. import nn
from ..nn import functional as F
from ..nn.module import Module
from ..tensor import Tensor, array_of
from . import sections
from .convolution import CellError, conv_trace, conv_transpose_trace
from .dense import batch_norm_trace, linear_trace
from .document import Explanation, Section
from .pooling import PoolTrace, pool_trace

Cell = Sequence[int]
Arguments = dict[str, Any]  # of a function of `nn.functional`, by their names, without the input


class Kind(NamedTuple):
    """How a function is explained.

    Attributes:
        trace: from the input, the other arguments, and the upstream gradient to a trace.
        output, input_gradient, weight_gradient: from the trace and a cell to a section; None if it has no weights.
        axes: of a batch of inputs: 4 for images; 3 for signals, which are traced as images of one row; 2 for vectors,
            where all axes before the last one count as one; None for any number.
    """

    trace: Callable[[Tensor, Arguments, Any], Any]
    output: Callable[[Any, tuple[int, ...]], Section]
    input_gradient: Callable[[Any, tuple[int, ...]], Section]
    weight_gradient: Callable[[Any, tuple[int, ...]], Section] | None
    axes: int | None


def explain(
    layer: Module | Callable[..., Tensor], x: Tensor, *args: Any, cell: Cell | None = None,
    grad_cell: Cell | None = None, weight_cell: Cell | None = None, grad: Any = None, **options: Any,
) -> Explanation:  # fmt: skip
    """Explain numbers of a layer: which numbers they are computed from, and how.

        explain(conv, x, cell=(0, 0, 1, 2))            y[0, 0, 1, 2]: window, filter, products, sum and bias; im2col
        explain(conv, x, grad_cell=(0, 0, 1, 1))       gx[0, 0, 1, 1]: all outputs that used a pixel, and why they add
        explain(conv, x, weight_cell=(0, 0, 2, 2))     gw[0, 0, 2, 2]: every product in this weight's gradient
        explain(F.conv2d, x, w, b, stride=2, cell=...) the same for a function

    The layer is run, forward and backward, by the kernels that train, and each sum is compared with what they computed.
    Its parameters, gradients and statistics stay as they are.

    Args:
        layer: a convolution, also transposed, a pooling (largest value, average, adaptive), a linear layer or a batch
            normalisation; as a layer, or as the function of `nn.functional` with its arguments after x.
        x: the input, with or without a batch axis.
        cell: of the output, in the layer's own axes. If no cell is given, it is the first one.
        grad_cell: of the input.
        weight_cell: of the weight.
        grad: the upstream gradient, of the output's shape; None for ones, so that gradients are those of the sum of all
            outputs.

    Returns:
        An `Explanation`: printed as text, shown as tables in a notebook; its `sums` have all terms as arrays.

    Raises:
        TypeError: the layer cannot be explained this way.
        CellError: there is no such cell; it is an IndexError.
        ShapeError: the layer does not take the input, or `grad` has another shape than the output.

    >>> from minicnn.explain import explain
    >>> conv, x = nn.Conv2d(1, 1, 2, bias=False), minicnn.tensor([[[[1., 2., 3.], [4., 5., 6.]]]])
    >>> _ = conv.weight.data.fill_(1)
    >>> print(explain(conv, x, cell=(0, 0, 0, 1)))
    Conv2d(1, 1, kernel_size=(2, 2), stride=(1, 1), bias=False)
    <BLANKLINE>
    y[0, 0, 0, 1]
    -------------
    <BLANKLINE>
    The window has the rows 0, 1 and the columns 1, 2 of x.
    <BLANKLINE>
        x[0, 0]       w[0, 0]       products, sum 16
         2  3     ×    1  1     =    2  3
         5  6          1  1          5  6
    <BLANKLINE>
    Total: sum 16; the kernel computed 16.
    <BLANKLINE>
    im2col: the 4 pixels of the window are column 1 of the matrix col, in the order (c, a, b), and the
    weights are row 0 of w as a matrix. Row times column is the same sum: [1 1 1 1] · [2 3 5 6] = 16.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"explain: x must be a tensor, got {shown(x)}")
    title = repr(layer) if isinstance(layer, Module) else getattr(layer, "__name__", shown(layer))
    kind, given = _kind(layer, x, args, options)
    wide, index = _batch(x, kind.axes)
    trace = kind.trace(wide, given, None if grad is None else index.array(array_of(grad)))
    if cell is None and grad_cell is None and weight_cell is None:
        cell = (0,) * x.ndim
    found = []
    for section, place, to in (
        (kind.output, cell, index.cell), (kind.input_gradient, grad_cell, index.cell),
        (kind.weight_gradient, weight_cell, index.weight),
    ):  # fmt: skip
        if place is None:
            continue
        if section is None:
            raise TypeError(f"explain: {title} has no weights, so it has no weight_cell")
        found.append(section(trace, to(tuple(place) if isinstance(place, Sequence) else (place,))))
    return Explanation(title, found, trace)


# --------------------------------------------------------------------------------------------------------------- axes


class Index(NamedTuple):
    """From the axes of the caller to those of a trace: of arrays like the output, and of cells."""

    array: Callable[[Any], Any]
    cell: Callable[[tuple[int, ...]], tuple[int, ...]]
    weight: Callable[[tuple[int, ...]], tuple[int, ...]]


def _batch(x: Tensor, axes: int | None) -> tuple[Tensor, Index]:
    """The input as a batch of images or vectors."""

    def same(place: tuple[int, ...]) -> tuple[int, ...]:
        return place

    if axes is None:
        return x, Index(lambda a: a, same, same)
    if axes == 2:
        leading = x.shape[:-1]

        def flat(place: tuple[int, ...]) -> tuple[int, ...]:
            if len(place) != x.ndim:
                raise CellError(f"explain: a cell of this layer has {x.ndim} indices, got {place}")
            places = tuple(k + n if k < 0 else k for k, n in zip(place, leading, strict=False))
            if not all(0 <= k < n for k, n in zip(places, leading, strict=True)):
                raise CellError(f"explain: there is no cell {place} in a batch of shape {tuple(leading)}")
            return int(np.ravel_multi_index(places, leading)) if leading else 0, place[-1]

        return x, Index(lambda a: a, flat, same)
    if x.ndim not in (axes - 1, axes):
        what = "(N, C, H, W) or (C, H, W)" if axes == 4 else "(N, C, L) or (C, L)"
        raise ShapeError(f"explain: this layer takes {what}, got shape {tuple(x.shape)}")
    alone, signal = x.ndim == axes - 1, axes == 3

    def row(place: tuple[int, ...]) -> tuple[int, ...]:
        return (*place[:-1], 0, *place[-1:]) if signal else place

    def cell(place: tuple[int, ...]) -> tuple[int, ...]:
        return row((0, *place) if alone else place)

    def array(a: Any) -> Any:
        a = a[None] if alone else a
        return a[..., None, :] if signal else a

    wide = x.unsqueeze(0) if alone else x
    return wide.unsqueeze(-2) if signal else wide, Index(array, cell, row)


# -------------------------------------------------------------------------------------------------------------- traces


def _conv(x: Tensor, a: Arguments, grad: Any) -> Any:
    row = a["weight"].ndim == 3
    weight = a["weight"].unsqueeze(-2) if row else a["weight"]
    stride, padding, dilation = [_of_row(a[name], along) if row else a[name] for name, along in _STEPS]
    mode = a.get("padding_mode", "zeros")
    return conv_trace(
        x,
        weight,
        a["bias"],
        stride,
        padding,
        dilation,
        a["groups"],
        padding_mode=mode,
        flipped=a["flipped"],
        fit=a["fit"],
        grad=grad,
    )


def _conv_transpose(x: Tensor, a: Arguments, grad: Any) -> Any:
    row = a["weight"].ndim == 3
    weight = a["weight"].unsqueeze(-2) if row else a["weight"]
    names = (("stride", 1), ("padding", 0), ("output_padding", 0), ("dilation", 1))
    stride, padding, more, dilation = [_of_row(a[name], least) if row else a[name] for name, least in names]
    return conv_transpose_trace(x, weight, a["bias"], stride, padding, more, a["groups"], dilation, grad=grad)


_STEPS = (("stride", 1), ("padding", 0), ("dilation", 1))


def _of_row(value: Any, along: int) -> Any:
    """An argument of a signal for an image of one row."""
    if isinstance(value, str):
        return value
    return along, *(tuple(value) if isinstance(value, Sequence) else (value,))


def _pool(name: str) -> Callable[[Tensor, Arguments, Any], PoolTrace]:
    """The trace of a pooling of images, "max_pool2d", or of signals, which are images of one row, "max_pool1d"."""
    largest, adaptive, dims = "max" in name, "adaptive" in name, int(name[-2])
    function = getattr(F, name)

    def trace(x: Tensor, a: Arguments, grad: Any) -> PoolTrace:
        a = {key: value for key, value in a.items() if key != "return_indices"}

        def run(x: Tensor, **more: bool) -> Any:
            found = function(x if dims == 2 else x.squeeze(-2), **a, **more)
            if dims == 2:
                return found
            return tuple(f.unsqueeze(-2) for f in found) if isinstance(found, tuple) else found.unsqueeze(-2)

        shape = tuple(x.shape) if dims == 2 else (*x.shape[:2], x.shape[3])
        if adaptive:
            g = geometry.adaptive_pool2d(shape, a["output_size"], name, dims)
        else:
            g = geometry.pool2d(
                shape, a["kernel_size"], a["stride"], a["padding"], a.get("dilation", 1), a["ceil_mode"],
                a.get("count_include_pad", True), name, a.get("fit"), dims,
            )  # fmt: skip
        taken = run(x.detach(), return_indices=True)[1] if largest else None
        return pool_trace(run, x, g, taken, grad)

    return trace


def _linear(x: Tensor, a: Arguments, grad: Any) -> Any:
    return linear_trace(x, a["weight"], a["bias"], grad=grad)


def _batch_norm(x: Tensor, a: Arguments, grad: Any) -> Any:
    statistics = a["running_mean"], a["running_var"]
    return batch_norm_trace(x, *statistics, a["weight"], a["bias"], a["training"], a["eps"], grad)


_CONV = (sections.conv_output, sections.conv_input_gradient, sections.conv_weight_gradient)
_POOLS = [f"{kind}_pool{dims}d" for kind in ("max", "avg", "adaptive_max", "adaptive_avg") for dims in (1, 2)]
KINDS: dict[str, Kind] = {
    "conv1d": Kind(_conv, *_CONV, 3),
    "conv2d": Kind(_conv, *_CONV, 4),
    "conv_transpose1d": Kind(_conv_transpose, *_CONV, 3),
    "conv_transpose2d": Kind(_conv_transpose, *_CONV, 4),
    "linear": Kind(
        _linear, sections.linear_output, sections.linear_input_gradient, sections.linear_weight_gradient, 2
    ),
    "batch_norm": Kind(
        _batch_norm, sections.norm_output, sections.norm_input_gradient, sections.norm_weight_gradient, None
    ),
    **{
        name: Kind(_pool(name), sections.pool_output, sections.pool_input_gradient, None, 2 + int(name[-2]))
        for name in _POOLS
    },
}  # fmt: skip

_LAYERS: dict[type[Module], str] = {
    nn.Conv1d: "conv1d", nn.Conv2d: "conv2d", nn.ConvTranspose1d: "conv_transpose1d",
    nn.ConvTranspose2d: "conv_transpose2d", nn.Linear: "linear", nn.BatchNorm1d: "batch_norm",
    nn.BatchNorm2d: "batch_norm", nn.MaxPool1d: "max_pool1d", nn.MaxPool2d: "max_pool2d", nn.AvgPool1d: "avg_pool1d",
    nn.AvgPool2d: "avg_pool2d", nn.AdaptiveAvgPool1d: "adaptive_avg_pool1d",
    nn.AdaptiveAvgPool2d: "adaptive_avg_pool2d", nn.AdaptiveMaxPool1d: "adaptive_max_pool1d",
    nn.AdaptiveMaxPool2d: "adaptive_max_pool2d",
}  # fmt: skip


def _kind(layer: Any, x: Tensor, args: tuple[Any, ...], options: Arguments) -> tuple[Kind, Arguments]:
    """How a layer or a function is explained, and its arguments without the input.

    Raises:
        TypeError: it cannot be explained, or the arguments are not those of the function.
    """
    name = next((name for kind, name in _LAYERS.items() if isinstance(layer, kind)), None)
    if name is not None:
        if args or options:
            raise TypeError(f"explain: a layer is called with x alone, got {shown((*args, *options))} as well")
        return KINDS[name], _attributes(layer, name)
    name = next((name for name in KINDS if layer is getattr(F, name)), None)
    if name is None:
        what = f"a {type(layer).__name__}" if isinstance(layer, Module) else shown(layer)
        hint = "; explain its parts, one by one" if isinstance(layer, Module) and list(layer.children()) else ""
        raise TypeError(
            f"explain: takes the layers {', '.join(kind.__name__ for kind in _LAYERS)}, or their functions of "
            f"nn.functional, not {what}{hint}"
        )
    bound = inspect.signature(layer).bind(x, *args, **options)
    bound.apply_defaults()
    return KINDS[name], dict(list(bound.arguments.items())[1:])


def _attributes(layer: Module, name: str) -> Arguments:
    """The arguments of the function that a layer calls."""
    if name == "batch_norm":
        found = {key: getattr(layer, key) for key in ("running_mean", "running_var", "weight", "bias", "eps")}
        return {**found, "training": layer.training or layer.running_mean is None}
    names = list(inspect.signature(getattr(F, name)).parameters)[1:]
    found = {key: getattr(layer, key) for key in names if hasattr(layer, key)}
    if hasattr(layer, "padding_mode"):
        found["padding_mode"] = layer.padding_mode
    return found
