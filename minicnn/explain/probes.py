"""Linear probes: how well a linear classifier tells the classes apart from the outputs of each layer.

A probe cannot make a problem easier, it only shows how easy it is: what probes gain from layer to layer is what the
layers between have made linear. In a trained net the accuracy grows with depth.

G. Alain, Y. Bengio, "Understanding intermediate layers using linear classifier probes", 2016,
https://arxiv.org/abs/1610.01644.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import ShapeError, whole

from ..analysis.graph import Call
from ..analysis.trace import trace
from ..nn import Conv1d, Conv2d, Dropout, Flatten, Identity, Linear, Module
from ..nn import functional as F
from ..nn.module import check_module
from ..tensor import Tensor
from .blocks import residual_blocks
from .samples import Data, batches, leaves, named, numbers

MOST_LAYERS = 16  # that are probed if none are named
INPUT = "(input)"  # no module has this name
_LEARNED = (Linear, Conv1d, Conv2d)
_PASSING = (Flatten, Dropout, Identity)  # the same numbers go in and out


class Probe(NamedTuple):
    """What a linear classifier makes of one layer.

    Attributes:
        layer: its name; "input" are the pixels.
        kind: its class.
        features: how many numbers of an image the classifier got.
        train, test: accuracies from 0 to 1, on the images that it was fitted to, and on others.
    """

    layer: str
    kind: str
    features: int
    train: float
    test: float


def linear_probes(
    model: Module, dataset: Data, layers: Sequence[Module | str] | None = None, *, test: float | Data = 0.25,
    most: int = 1024, penalty: float = 0.001, seed: int = 0, progress: bool = False,
) -> list[Probe]:  # fmt: skip
    """Fit a linear classifier to the outputs of each layer, and measure how often it is right.

    The classifier is a softmax regression: it minimises the mean cross entropy plus penalty/2 |w|^2, by scikit-learn,
    from features with mean 0 and standard deviation 1 in the training part. There is one solution, and the result is
    the same each time. Maps with more than `most` numbers are averaged to fewer pixels, (C, s, s) with the largest s
    that fits.

    Args:
        model: the net.
        dataset: of images and classes: a Dataset, a DataLoader, or a pair of tensors. The features of all are in
            memory: a few thousand images are enough.
        layers: the layers or their names; None: the input and the last layer before each layer with weights, after
            activation and pooling; residual blocks count as one layer. At most 16 of these, evenly chosen.
        test: the share of the images that is kept for the test, or another dataset.
        most: features of a map.
        penalty: of the classifier's weights.
        seed: of the choice of the images for the test.
        progress: show how far it is, on stderr.

    Returns:
        The probes, the input first, then in the order in which the layers are called.

    Raises:
        ValueError: there is no such layer, it is not called, there are too few images or classes, or outputs are not
            finite.
        TypeError: images have no classes.

    >>> from minicnn.explain import linear_probes
    >>> data = minicnn.datasets.Digits(train=False, transform=minicnn.transforms.ToTensor())
    >>> rows = linear_probes(nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.ReLU()), data, ["1"])
    >>> [(row.layer, row.features) for row in rows]
    [('input', 64), ('1', 3)]
    """
    op = "linear_probes"
    check_module(op, model)
    most = whole(most, op, "most", 1)
    if not (penalty > 0 and math.isfinite(penalty)):
        raise ValueError(f"{op}: penalty must be above 0, got {penalty}")
    chosen = _default_layers(op, model, dataset) if layers is None else named(op, model, layers)
    found, classes = _features(op, model, dataset, chosen, most, progress)
    if isinstance(test, (int, float)):
        first, second = _split(op, len(classes), float(test), seed)
        held, held_classes = {name: x[second] for name, x in found.items()}, classes[second]
        found, classes = {name: x[first] for name, x in found.items()}, classes[first]
    else:
        held, held_classes = _features(op, model, test, chosen, most, progress)
    if len(np.unique(classes)) < 2:
        raise ValueError(f"{op}: the images to fit to are all of class {classes[0]}; give images of several classes")
    kinds = {INPUT: "image", **{name: type(module).__name__ for name, module in chosen.items()}}
    rows = []
    for name, x in found.items():
        train, tested = _fit(op, name, x, classes, held[name], held_classes, penalty)
        rows.append(Probe({INPUT: "input", "": "output"}.get(name, name), kinds[name], x.shape[1], train, tested))
    return rows


def _features(
    op: str, model: Module, data: Data, layers: dict[str, Module], most: int, progress: bool
) -> tuple[dict[str, Array], Array]:  # fmt: skip
    """The features (N, D) of the input and of each layer, and the classes (N,)."""
    parts: dict[str, list[Array]] = {}
    classes: list[Array] = []
    with batches(op, model, data, layers, labels=True, progress=progress) as stream:
        for x, labels, outputs in stream:
            assert labels is not None
            for name, y in {INPUT: x, **outputs}.items():
                if len(y) != len(x):
                    raise ShapeError(f"{op}: {name!r} must give an output (N, ...) for N images, got {tuple(y.shape)}")
                parts.setdefault(name, []).append(_bounded(y, most))
            classes.append(labels)
    return {name: np.concatenate(part) for name, part in parts.items()}, np.concatenate(classes)


def _bounded(y: Tensor, most: int) -> Array:
    """The numbers of each image (N, D), of maps with D at most `most`, unless there are more channels."""
    if y.ndim == 4 and math.prod(y.shape[1:]) > most:
        side = max(1, math.isqrt(most // y.shape[1]))
        y = F.adaptive_avg_pool2d(y, (min(side, y.shape[2]), min(side, y.shape[3])))
    elif y.ndim == 3 and math.prod(y.shape[1:]) > most:
        y = F.adaptive_avg_pool1d(y, max(1, most // y.shape[1]))
    return numbers(y).reshape(len(y), -1).copy()


def _split(op: str, count: int, share: float, seed: int) -> tuple[Array, Array]:
    """The places of the images to fit to, and of those to test with."""
    held = round(count * share)
    if not 0 < share < 1 or not 0 < held < count:
        raise ValueError(
            f"{op}: test must be a share between 0 and 1 that leaves images for both parts, or another dataset, got "
            f"{share:g} of {count} images"
        )
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])


def _fit(
    op: str, layer: str, x: Array, classes: Array, held: Array, held_classes: Array, penalty: float
) -> tuple[float, float]:  # fmt: skip
    """The accuracies of a softmax regression."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x, held = x.astype(np.float64), held.astype(np.float64)
    if not (np.isfinite(x).all() and np.isfinite(held).all()):
        raise ValueError(f"{op}: outputs of {layer or 'the net'} are NaN or infinite; has the training diverged?")
    mean, deviation = x.mean(0), x.std(0)
    deviation[deviation < 1e-12] = 1.0  # of what is the same for all images
    x, held = (x - mean) / deviation, (held - mean) / deviation
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of the weights do not matter
        probe = LogisticRegression(C=1 / (penalty * len(x)), max_iter=200).fit(x, classes)
    return float((probe.predict(x) == classes).mean()), float((probe.predict(held) == held_classes).mean())


def _default_layers(op: str, model: Module, data: Data) -> dict[str, Module]:
    with batches(op, model, data, labels=True) as stream:
        return stages(op, model, tuple(next(stream).x.shape[1:]), MOST_LAYERS)


def stages(op: str, model: Module, size: tuple[int, ...], most: int) -> dict[str, Module]:
    """The last layer before each layer with weights, by name: after activation and pooling, and the net's last one.

    A residual block counts as one layer with weights. If a run on shapes alone cannot tell, these are all layers.

    Args:
        op: the function in messages.
        model: the net.
        size: of an image, (C, H, W).
        most: of more layers, as many are chosen evenly, the first and the last included.
    """
    graph = trace(model, size, op=op)
    if graph.error is not None:
        found = list(leaves(model))
    else:
        blocks = {block.name for block in residual_blocks(model, size)}
        groups: list[list[str]] = []
        units = list(_units(graph.root, blocks))
        names = [call.name for call in units]
        for call in units:
            if isinstance(call.module, _LEARNED) or call.name in blocks:
                groups.append([])
            if groups and names.count(call.name) == 1 and not isinstance(call.module, _PASSING):
                groups[-1].append(call.name)
        found = [group[-1] for group in groups if group]
    if len(found) > most:
        found = [found[i] for i in np.linspace(0, len(found) - 1, most).round().astype(int)]
    modules = dict(model.named_modules())
    return {name: modules[name] for name in found}


def _units(call: Call, blocks: set[str]) -> Any:
    """The calls of layers and of residual blocks, that depend on the image, in their order."""
    inside = [child for child in call.children if isinstance(child, Call)]
    if (not inside or call.name in blocks) and call.outputs and call.outputs[0].by_image:
        yield call
    else:
        for child in inside:
            yield from _units(child, blocks)
