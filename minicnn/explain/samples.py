"""Images for a view of a net, batch by batch, and what its layers make of them.

A view takes a dataset, a `DataLoader`, or images (and classes) as tensors. Nothing of the program changes: the net runs
in evaluation mode without recording, its hooks are removed, and the stream of random numbers goes on as if nothing had
been drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array, host
from minicnn_kernels.geometry import ShapeError, shown, whole

from ..autograd import no_grad
from ..device import CPU
from ..nn import Module
from ..nn.module import check_module
from ..ops.tensor.creation import as_tensor
from ..random import fork_rng
from ..tensor import Tensor
from ..train.loop import progress_bar
from ..utils.data import DataLoader, TensorDataset
from .attribution import layer_of
from .scores import evaluating

BATCH = 128  # images that are computed together, unless a loader says otherwise

Data = Any  # a Dataset, a DataLoader, images, or a pair of images and classes


class Batch(NamedTuple):
    """Some images, on the device of the net, their classes if they have any, and what the layers made of them."""

    x: Tensor
    classes: Array | None  # (N,), on the CPU
    outputs: dict[str, Tensor]


@contextmanager
def batches(
    op: str, model: Module | None, data: Data, layers: Mapping[str, Module] | None = None, *,
    inputs: bool = False, labels: bool = False, some: bool = False, progress: bool = False,
) -> Iterator[Iterator[Batch]]:  # fmt: skip
    """Inside the block, an iterator runs a net on all images, and gives the outputs of some layers.

    Args:
        op: the name of the view in messages.
        model: the net; None: the images alone.
        data: see this file. Several images without classes are one tensor.
        layers: the layers by name; the last call of each counts.
        inputs: keep what goes into the layers instead of what comes out.
        labels: every image must have a class.
        some: layers that are not called are left out, and not an error.
        progress: show how far it is, on stderr.

    Raises:
        ValueError: there are no images, or a layer is not called.
        TypeError: data are of another kind, or classes are wanted and missing.
    """
    loader, layers = _loader(op, data), layers or {}
    place = None if model is None else next((p.device for p in model.parameters()), CPU)

    def stream() -> Iterator[Batch]:
        seen = 0
        for given in loader:
            x, classes = _parts(op, given, labels)
            x = x if place is None else x.to(place)
            found: dict[str, Tensor] = {}
            if model is not None:
                with watching(layers, found, inputs=inputs):
                    model(x)
                for name in layers:
                    if name not in found and not some:
                        raise ValueError(f"{op}: the net does not call the layer {name!r}, or it gives no tensor")
            yield Batch(x, classes, found)
            seen += len(x)
            bar(len(x))
        if not seen:
            raise ValueError(
                f"{op}: there are no images; is the dataset empty, or smaller than one batch with drop_last?"
            )

    running = evaluating(op, model) if model is not None else nullcontext()
    with progress_bar(loader, op, progress) as bar, fork_rng(), running, no_grad():
        yield stream()


@contextmanager
def watching(layers: Mapping[str, Module], found: dict[str, Tensor], *, inputs: bool = False) -> Iterator[None]:
    """Inside the block, keep what comes out of layers, or goes into them; the last call of each counts.

    A layer gives a copy of its output to the next one, which may write in place.
    """

    def watch(name: str, module: Module) -> Any:
        def after(module: Module, args: Any, output: Any) -> Any:
            if isinstance(output, Tensor):
                found[name] = output
                return output.clone()
            return None

        def before(module: Module, args: Any) -> None:
            if args and isinstance(args[0], Tensor):
                found[name] = args[0].clone()

        return module.register_forward_pre_hook(before) if inputs else module.register_forward_hook(after)

    handles = [watch(name, module) for name, module in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def named(op: str, model: Module, layers: Iterable[Module | str]) -> dict[str, Module]:
    """Layers, given by name or themselves, by name; the net itself is ""."""
    check_module(op, model)
    names = {id(module): name for name, module in model.named_modules()}
    found = [layer_of(op, model, layer) for layer in layers]
    return {names[id(module)]: module for module in found}


def leaves(model: Module) -> dict[str, Module]:
    """The layers: the modules without modules inside, by name."""
    return {name: module for name, module in model.named_modules() if not list(module.children())}


def numbers(x: Tensor) -> Array:
    """The numbers of a tensor, on the CPU."""
    return np.asarray(host(x.detach().array))


def channels_of(op: str, layer: str, channel: int | Sequence[int] | None, count: int) -> list[int]:
    """Channels as numbers from 0.

    Raises:
        ValueError: there is no such channel.
        TypeError: it is no whole number.
    """
    if channel is None:
        return list(range(count))
    given = list(channel) if isinstance(channel, (list, tuple, range, np.ndarray)) else [channel]
    found = [whole(one, op, "channel") for one in given]
    for one in found:
        if not -count <= one < count:
            raise ValueError(
                f"{op}: there is no channel {one}; {layer or 'the output'} has the channels 0 to {count - 1}"
            )
    return [one % count for one in found]


def _loader(op: str, data: Data) -> Any:
    """What gives batches."""
    if isinstance(data, DataLoader):
        return data
    parts = data if isinstance(data, (tuple, list)) else (data,)
    if 1 <= len(parts) <= 2 and isinstance(parts[0], (Tensor, np.ndarray)):
        x, *classes = (as_tensor(part) for part in parts)
        if any(len(part) != len(x) or part.ndim != 1 for part in classes):
            shapes = " and ".join(str(tuple(part.shape)) for part in (x, *classes))
            raise ShapeError(f"{op}: images (N, ...) need classes (N,), got shapes {shapes}")
        return DataLoader(TensorDataset(x, *classes), batch_size=BATCH)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return DataLoader(data, batch_size=BATCH)
    raise TypeError(
        f"{op}: data must be a Dataset, a DataLoader, images, or a pair (images, classes), got {shown(data)}"
    )


def _parts(op: str, given: Any, labels: bool) -> tuple[Tensor, Array | None]:
    """The images and the classes of a batch."""
    parts = given if isinstance(given, (tuple, list)) else (given,)
    if not parts or not isinstance(parts[0], Tensor):
        raise TypeError(f"{op}: a batch must be images, or images and classes; it is {shown(given)}")
    classes = numbers(parts[1]) if len(parts) > 1 and isinstance(parts[1], Tensor) else None
    if classes is not None and (classes.ndim != 1 or classes.dtype.kind not in "iu"):
        classes = None
    if labels and classes is None:
        raise TypeError(f"{op}: every image needs a class, a whole number; give a dataset of (image, class), or (x, y)")
    return parts[0], classes
