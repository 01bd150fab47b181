"""What a unit looks for: the images that excite it most, the part of each that it sees, and its way back to the pixels.

The deconvnet sets all outputs of a layer but one to 0 and takes that one down to the image, backwards through the net:

    convolution   the transposed convolution, with the same filters and without biases
    ReLU          a ReLU of what comes from above
    max pooling   the value goes to the place that was the largest on the way up (the "switch"), 0 to the others

That is the gradient of the output times the output, with another rule for ReLUs, and the tape's max pooling has the
switches already. So any net can be taken back: batch norm scales, branches add, tanh multiplies by its derivative.

M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", 2013, https://arxiv.org/abs/1311.2901.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import ShapeError, shown, whole

from ..analysis.receptive_field import Box, ReceptiveField, fields, has_fields
from ..analysis.trace import trace
from ..autograd import enable_grad, grad
from ..nn import Module
from ..ops.tensor.creation import tensor
from ..tensor import Tensor
from .attribution import Deconvolution, replace_relus
from .samples import Data, batches, channels_of, named, numbers, watching
from .scores import evaluating


@dataclass(frozen=True, eq=False)
class TopPatches:
    """The images in which the strongest output of a channel is largest, the largest first.

    Attributes:
        layer, channel: of which unit.
        values: (k,), its strongest output in each image.
        cells: (k, 2), row and column of that output in the map; 0 and 0 if the layer gives a vector.
        indices: (k,), the places of the images in the dataset, or among the images that a loader gave.
        labels: (k,), their classes; None if the dataset has none.
        boxes: what the output sees of each image: its receptive field, cut at the border.
        images: (k, C, H, W), on the CPU.
        reconstructions: (k, C, H, W) there, by the deconvnet; 0 outside of the boxes. None if they were not wanted.
    """

    layer: str
    channel: int
    values: Array
    cells: Array
    indices: Array
    labels: Array | None
    boxes: tuple[Box, ...]
    images: Tensor
    reconstructions: Tensor | None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def patches(self) -> list[Tensor]:
        """What the unit sees of each image, (C, h, w): smaller at the border."""
        return self._cut(self.images)

    @property
    def reconstructed(self) -> list[Tensor]:
        """The same part of each reconstruction.

        Raises:
            ValueError: there are no reconstructions.
        """
        if self.reconstructions is None:
            raise ValueError("top_patches: there are no reconstructions; leave out reconstruct=False")
        return self._cut(self.reconstructions)

    def _cut(self, images: Tensor) -> list[Tensor]:
        return [images[i, :, b.top : b.bottom + 1, b.left : b.right + 1] for i, b in enumerate(self.boxes)]


@overload
def top_patches(
    model: Module, dataset: Data, layer: Module | str, channel: int, k: int = 9, *,
    reconstruct: bool = True, progress: bool = False,
) -> TopPatches: ...  # fmt: skip
@overload
def top_patches(
    model: Module, dataset: Data, layer: Module | str, channel: Sequence[int] | None = None, k: int = 9, *,
    reconstruct: bool = True, progress: bool = False,
) -> list[TopPatches]: ...  # fmt: skip
def top_patches(
    model: Module, dataset: Data, layer: Module | str, channel: Any = None, k: int = 9, *,
    reconstruct: bool = True, progress: bool = False,
) -> Any:  # fmt: skip
    """Find the k images that excite a channel of a layer most, and the patch of each that does it.

    Of each image only the strongest output counts, so there is one patch of an image. Of equal outputs the first counts
    (in the order of the images, then row by row); NaN is never the strongest.

    Args:
        model: the net.
        dataset: a Dataset, a DataLoader, images (N, C, H, W), or a pair of images and classes.
        layer: a layer, or its name as in `named_modules`; its output is (N, C, h, w) or (N, C). To see what is strong
            after the activation, name that.
        channel: of that output; several are found in one pass over the dataset. None: all.
        k: how many; fewer if there are not as many images.
        reconstruct: take each output back to the pixels, by `deconvnet`.
        progress: show how far it is, on stderr.

    Returns:
        A `TopPatches`, or a list of them, one for each channel. The patch is exact (`analysis.receptive_field`); it is
        the whole image for layers that give vectors, and where the field cannot be told.

    Raises:
        ValueError: there is no such layer or channel, the layer is not called, or there are no images.
        ShapeError: the images are not (N, C, H, W), or the output of the layer is of another shape.

    >>> from minicnn.explain import top_patches
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    >>> found = top_patches(net, minicnn.rand(20, 1, 8, 8), "1", channel=2, k=3)
    >>> found.values.shape, found.boxes[0].height, found.reconstructions.shape
    ((3,), 3, minicnn.Size([3, 1, 8, 8]))
    """
    op = "top_patches"
    k = whole(k, op, "k", 1)
    layers = named(op, model, [layer])
    (name,) = layers
    best: dict[int, _Best] = {}
    start, size = 0, (0, 0, 0)
    with batches(op, model, dataset, layers, progress=progress) as stream:
        for x, classes, outputs in stream:
            maps = numbers(outputs[name])
            if x.ndim != 4:
                raise ShapeError(f"{op}: images must be (N, C, H, W), got shape {tuple(x.shape)}")
            if maps.ndim not in (2, 4) or len(maps) != len(x):
                raise ShapeError(f"{op}: {name!r} must give (N, C, h, w) or (N, C), it gives {maps.shape}")
            if not best:
                best = {c: _Best(k) for c in channels_of(op, name, channel, maps.shape[1])}
                size = tuple(x.shape[1:])
            for c, one in best.items():
                one.add(maps[:, c].reshape(len(x), -1), start, x, classes)
            start += len(x)
            columns = maps.shape[3] if maps.ndim == 4 else 1
            shape = maps.shape[2:] if maps.ndim == 4 else (1, 1)
    field = _field(model, name, size) if shape != (1, 1) or maps.ndim == 4 else None
    found = [one.result(name, c, columns, shape, size, field) for c, one in best.items()]
    if reconstruct:
        found = [_reconstructed(model, layers[name], one) for one in found]
    return found[0] if channel is not None and np.ndim(channel) == 0 else found


class _Best:
    """The images with the largest outputs so far, the largest first."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.rows: list[tuple[float, int, int, int | None, Array]] = []  # value, index, cell, class, image

    def add(self, outputs: Array, start: int, x: Tensor, classes: Array | None) -> None:
        """Add the images of a batch, given the outputs (N, cells)."""
        outputs = np.where(np.isnan(outputs), -np.inf, outputs)
        cells = outputs.argmax(1)
        values = outputs[np.arange(len(outputs)), cells]
        order = np.argsort(-values, kind="stable")[: self.k]
        least = self.rows[-1][0] if len(self.rows) == self.k else None
        new = [
            (float(values[i]), start + int(i), int(cells[i]), None if classes is None else int(classes[i]),
             numbers(x[int(i)]).copy())
            for i in order if least is None or values[i] > least
        ]  # fmt: skip
        self.rows = sorted([*self.rows, *new], key=lambda row: (-row[0], row[1]))[: self.k]

    def result(
        self, layer: str, channel: int, columns: int, shape: Any, size: Any, field: ReceptiveField | None
    ) -> TopPatches:
        """Everything but the reconstructions."""
        values, indices, places, classes, images = zip(*self.rows, strict=True)
        cells = np.stack(np.divmod(places, columns), 1)
        whole_image = Box(0, 0, size[1] - 1, size[2] - 1)
        known = field is not None and field.grid and tuple(field.cells) == tuple(shape)
        boxes = tuple([field.box(int(r), int(c)) if known and field else whole_image for r, c in cells])
        labels = None if None in classes else np.array(classes)
        return TopPatches(
            layer, channel, np.array(values), cells, np.array(indices), labels, boxes, tensor(np.stack(images)), None
        )


def _field(model: Module, layer: str, size: tuple[int, ...]) -> ReceptiveField | None:
    """The receptive field of a layer's output in its last call, or None if a run on shapes alone does not tell it."""
    if not has_fields(size):
        return None
    graph = trace(model, size)
    found = {} if graph.error is not None else fields(graph)
    calls = [call for call in graph.root.calls if call.name == layer and call.outputs]
    return found.get(id(calls[-1].outputs[0])) if calls else None


def _reconstructed(model: Module, layer: Module, found: TopPatches) -> TopPatches:
    images = deconvnet(model, found.images, layer, found.channel, found.cells)
    return TopPatches(**{**vars(found), "reconstructions": images.cpu()})


# ----------------------------------------------------------------------------------------------------------- deconvnet


def deconvnet(
    model: Module, x: Tensor, layer: Module | str, channel: int | None = None, cell: Any = None
) -> Tensor:  # fmt: skip
    """Take outputs of a layer back to the pixels: all others are set to 0, and the net is run backwards.

    The result is what in an image makes this output, in the patterns that the filters on the way are made of; see this
    file. From a net without filters, such as an identity, all outputs give the image itself.

    Args:
        model: the net.
        x: images (N, C, H, W).
        layer: a layer, or its name; its output is (N, C, h, w) or (N, C).
        channel: only outputs of this channel stay; None: all outputs of the layer.
        cell: (row, column) of the output that stays, or one for each image, (N, 2); None: the strongest of each image.

    Returns:
        A tensor of the shape of x.

    Raises:
        ValueError: there is no such layer, channel or cell, the layer is not called, or a cell has no channel.
        ShapeError: the output of the layer is of another shape.

    >>> from minicnn.explain import deconvnet
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    >>> deconvnet(net, minicnn.rand(2, 3, 8, 8), "1", channel=0).shape
    minicnn.Size([2, 3, 8, 8])
    """
    op = "deconvnet"
    layers = named(op, model, [layer])
    (name,) = layers
    if channel is None and cell is not None:
        raise ValueError(f"{op}: a cell needs its channel; give channel=, or leave out cell={shown(cell)}")
    kept: dict[str, Tensor] = {}
    device = next((p.device for p in model.parameters()), x.device)
    leaf = x.detach().to(device).clone().requires_grad_()
    with evaluating(op, model), enable_grad(), watching(layers, kept):
        model(leaf)
    if name not in kept:
        raise ValueError(f"{op}: the net does not call the layer {name!r}, or it gives no tensor")
    y = kept[name]
    if y.ndim not in (2, 4) or len(y) != len(leaf):
        raise ShapeError(f"{op}: {name!r} must give (N, C, h, w) or (N, C), it gives {tuple(y.shape)}")
    seed = y.detach().clone()
    if channel is not None:
        (c,) = channels_of(op, name, channel, y.shape[1])
        seed = _alone(op, seed, c, cell)
    if not y.requires_grad:
        return leaf.detach().new_zeros(leaf.shape)
    replace_relus(y, Deconvolution)
    (found,) = grad(y, leaf, seed, allow_unused=True)
    return leaf.new_zeros(leaf.shape) if found is None else found


def _alone(op: str, y: Tensor, channel: int, cell: Any) -> Tensor:
    """The outputs with all but one of each image set to 0."""
    values = numbers(y)
    flat = values[:, channel].reshape(len(values), -1)  # (N, C, h, w) -> (N, h w)
    rows, columns = values.shape[2:] if values.ndim == 4 else (1, 1)
    if cell is None:
        at = np.where(np.isnan(flat), -np.inf, flat).argmax(1)
    else:
        given = np.asarray(cell)
        if given.dtype.kind not in "iu" or given.shape not in ((2,), (len(values), 2)):
            raise ValueError(
                f"{op}: cell must be (row, column), or one for each of {len(values)} images, got {shown(cell)}"
            )
        if ((given < 0) | (given >= (rows, columns))).any():
            raise ValueError(f"{op}: there is no cell {given.tolist()} in a map of {rows} x {columns}")
        at = np.broadcast_to(given, (len(values), 2)) @ (columns, 1)
    kept = np.zeros_like(values).reshape(*values.shape[:2], -1)
    kept[np.arange(len(values)), channel, at] = flat[np.arange(len(values)), at]
    return tensor(kept.reshape(values.shape), device=y.device)
