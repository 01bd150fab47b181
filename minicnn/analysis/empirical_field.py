"""How much each pixel really changes a cell of a feature map, by gradients: the empirical receptive field.

W. Luo et al., "Understanding the effective receptive field in deep convolutional neural networks", 2016,
https://arxiv.org/abs/1701.04128.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.geometry import ShapeError, shown, whole

from ..autograd import enable_grad, grad
from ..nn import Module
from ..nn.module import check_module
from ..ops.tensor.creation import tensor
from ..tensor import Array, Tensor, array_of
from .arguments import cell_of, check_layer, shapes
from .explanation import explained
from .graph import Shape
from .receptive_field import Box, Pair, ReceptiveField, fields
from .trace import tensors, trace


class EmpiricalField(NamedTuple):
    """How much each pixel changes a cell: the mean size of the gradient, (H, W), with sum 1.

    Attributes:
        weights: (H, W).
        size: (vertical, horizontal): four standard deviations of the distribution along each side, its effective size.
            For a uniform distribution over n pixels that is 1.15 n.
        share: the part of the pixels that together have 95 % of the weight.
        box: the smallest rectangle around all pixels whose weight is not 0.
    """

    weights: Array
    size: Pair
    share: float
    box: Box


def empirical_receptive_field(
    model: Module,
    input_size: Shape,
    *,
    layer: str | None = None,
    cell: tuple[int, int] | None = None,
    images: Any = None,
    count: int = 8,
) -> EmpiricalField:
    """Measure how much each pixel of the image changes one cell of a feature map, of a trained or a random net.

        weights[p, q] = mean over images and channels of |d (sum_o z_o y[o, i, j]) / d x[c, p, q]|,   z ~ N(0, 1)

    The random z of each image weighs the channels of the cell, so that they do not cancel. The net runs in evaluation
    mode and is not changed. Pixels near the centre reach the cell on more paths than those at the edge of the
    theoretical field, so the effective field of a random net is smaller: about the square root of the depth.

    W. Luo et al., "Understanding the effective receptive field in deep convolutional neural networks", 2016,
    https://arxiv.org/abs/1701.04128.

    Args:
        model: the net, not on the meta device.
        input_size: (C, H, W).
        layer: the dotted name of the layer whose output it is; None for the net's own.
        cell: (row, column) of the cell, as in `receptive_field`; None for the centre. A vector has none: all its values
            count.
        images: (N, C, H, W); None for `count` images of noise from N(0, 1).

    Raises:
        TypeError: model is no Module, or an argument is of another kind.
        ValueError: there is no such cell, the input is not (C, H, W), or there are no images.
        AttributeError: there is no such layer; the message names similar ones.
        ShapeError: the net does not take these images; the message names the layer.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    >>> found = minicnn.analysis.empirical_receptive_field(net, (1, 9, 9))
    >>> found.weights.shape, found.box
    ((9, 9), Box(top=2, left=2, bottom=6, right=6))
    """
    op = "empirical_receptive_field"
    check_module(op, model)
    sizes = shapes(op, input_size)
    if len(sizes) != 1 or len(sizes[0]) != 3:
        raise ValueError(f"{op}: input_size must be (C, H, W), got {shown(input_size)}")
    size, count, cell = sizes[0], whole(count, op, "count", 1), None if cell is None else cell_of(op, cell)
    check_layer(op, model, layer)
    first = next(model.parameters(), None)
    kind, place = (np.dtype(np.float32), None) if first is None else (first.dtype, first.device)
    if str(place) == "meta":
        raise ValueError(f"{op}: the net is on the device meta and has no numbers; build it on the CPU or a GPU")
    rng = np.random.default_rng(0)
    given = rng.standard_normal((count, *size)) if images is None else images
    given = array_of(given)
    if given.shape[1:] != size or not len(given):
        shape = ", ".join(map(str, size))
        raise ValueError(f"{op}: images must be (N, C, H, W) = (N, {shape}), with N from 1, got {given.shape}")
    x = tensor(given.astype(kind), device=place)
    x.requires_grad_()
    try:
        y = _output(model, x, layer)
    except ShapeError as error:
        raise explained(trace(model, size, op=op)) or error from None
    if y.ndim > 2:
        y = _cells(y, _field_of(model, size, layer))
        _, rows, columns = y.shape
        i, j = (rows // 2, columns // 2) if cell is None else cell
        if not (-rows <= i < rows and -columns <= j < columns):
            raise ValueError(f"{op}: there is no cell {(i, j)} in a map of {(rows, columns)}")
        y = y[:, i, j]
    up = tensor(rng.standard_normal(tuple(y.shape)).astype(kind), device=place)
    (gx,) = grad((y * up).sum(), x)
    assert gx is not None
    weights = np.abs(array_of(gx).astype(np.float64)).mean((0, 1))
    return _measured(weights)


def _output(model: Module, x: Tensor, layer: str | None) -> Tensor:
    """Return the output of a layer in evaluation mode, recorded."""
    modes = [(module, module.training) for module in model.modules()]
    caught: list[Any] = []
    handle = None
    if layer is not None:
        handle = model.get_submodule(layer).register_forward_hook(lambda module, args, result: caught.append(result))
    model.eval()
    try:
        with enable_grad():
            result = model(x)
    finally:
        if handle is not None:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    if layer is not None and not caught:
        raise ValueError(f"empirical_receptive_field: the layer {layer!r} did not run")
    return next(tensors(caught[0] if layer is not None else result))


def _field_of(model: Module, input_size: Shape, layer: str | None) -> ReceptiveField | None:
    """Return the field of a layer's output; None if a run on shapes alone does not tell it."""
    graph = trace(model, input_size)
    found = {} if graph.error is not None else fields(graph)
    outputs = [call.outputs[0] for call in graph.root.calls if call.name == (layer or "") and call.outputs]
    return found.get(id(outputs[0])) if outputs else None


def _cells(y: Tensor, field: ReceptiveField | None) -> Tensor:
    """Return the values of a map as (images and channels, rows, columns)."""
    rank = y.ndim
    if field is None:  # (N, C, H, W) or (N, C, L)
        axes, cells = tuple(range(rank))[-2 if rank > 3 else -1 :], (y.shape[-2] if rank > 3 else 1, y.shape[-1])
    else:
        axes, cells = field.axes, field.cells
    return y.permute(*[axis for axis in range(rank) if axis not in axes], *axes).reshape(-1, *cells)


def _measured(weights: Array) -> EmpiricalField:
    total = weights.sum()
    if total == 0 or not np.isfinite(total):
        zero = np.zeros_like(weights)
        return EmpiricalField(zero, (0.0, 0.0), 0.0, Box(0, 0, -1, -1))
    weights = weights / total
    sizes = []
    for axis in (1, 0):
        along = weights.sum(axis)
        places = np.arange(len(along))
        mean = (along * places).sum()
        sizes.append(4 * float(np.sqrt((along * (places - mean) ** 2).sum())))
    order = np.sort(weights, axis=None)[::-1].cumsum()
    share = float(np.searchsorted(order, 0.95) + 1) / weights.size
    rows, columns = np.nonzero(weights.any(1))[0], np.nonzero(weights.any(0))[0]
    box = Box(int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1]))
    return EmpiricalField(weights, (sizes[0], sizes[1]), share, box)
