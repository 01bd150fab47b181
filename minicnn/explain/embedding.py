"""Images as points: the features that a net makes of them, their map in two dimensions, and their neighbours.

In the space of pixels, near images have the same brightness at the same places. In the space of the last features, near
images are, for the net, nearly the same thing. `tsne` draws both; `nearest` asks it of one image.

L. van der Maaten, G. Hinton, "Visualizing data using t-SNE", 2008, JMLR 9; A. Krizhevsky et al., "ImageNet
classification with deep convolutional neural networks", 2012, section 6.1 (neighbours in the features).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import Array
from minicnn_kernels.geometry import ShapeError, shown, whole

from ..nn import Linear, Module
from ..nn.module import check_module
from ..tensor import Tensor
from .samples import Data, batches, named, numbers

METRICS = ("cosine", "euclidean")
ROWS = 4096  # of a dataset that are compared together
COMPONENTS = 50  # to which `tsne` reduces features first, as its paper does


class Embedding(NamedTuple):
    """The features of all images of a dataset, in its order.

    Attributes:
        features: (N, D).
        labels: (N,), their classes; None if the dataset has none.
        layer: where the features are from: "input of fc", the name of a layer, or "pixels".
    """

    features: Array
    labels: Array | None
    layer: str


class Neighbours(NamedTuple):
    """The images of a dataset that are nearest to some images, the nearest first.

    Attributes:
        indices: (M, k), their places in the dataset.
        distances: (M, k).
        labels: (M, k), their classes; None if the dataset has none.
    """

    indices: Array
    distances: Array
    labels: Array | None


def embedding(
    model: Module | None, dataset: Data, layer: Module | str | None = None, *, progress: bool = False
) -> Embedding:  # fmt: skip
    """Compute the features of all images of a dataset.

    Args:
        model: the net; None: the pixels themselves are the features.
        dataset: a Dataset, a DataLoader, images (N, ...), or a pair of images and classes.
        layer: the layer whose outputs are the features, or its name; None: what goes into the last `Linear` that is
            called, the features that the classes are decided by. Maps (N, C, h, w) become (N, C h w).
        progress: show how far it is, on stderr.

    Raises:
        ValueError: there is no such layer, it is not called, or there are no images.

    >>> from minicnn.explain import embedding
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> found = embedding(net, minicnn.rand(8, 1, 2, 2))
    >>> found.features.shape, found.layer
    ((8, 3), 'input of 3')
    """
    layers, name, inputs = _source("embedding", model, dataset, layer)
    features, labels = [], []
    with batches("embedding", model, dataset, layers, inputs=inputs, progress=progress) as stream:
        for x, classes, outputs in stream:
            found = numbers(outputs[next(iter(layers))] if layers else x)
            features.append(found.reshape(len(x), -1))  # (N, C, h, w) -> (N, C h w)
            labels.append(classes)
    known = None if any(part is None for part in labels) else np.concatenate([p for p in labels if p is not None])
    return Embedding(np.concatenate(features), known, name)


def _source(op: str, model: Module | None, data: Data, layer: Any) -> tuple[dict[str, Module], str, bool]:
    """The layer of the features, what to call it, and whether its input counts."""
    if model is None:
        if layer is not None:
            raise ValueError(f"{op}: without a net there is no layer {shown(layer)}; give the net, or leave layer out")
        return {}, "pixels", False
    if layer is not None:
        layers = named(op, model, [layer])
        return layers, next(iter(layers)) or "output", False
    check_module(op, model)
    linear = {name: module for name, module in model.named_modules() if isinstance(module, Linear)}
    called: list[str] = []
    handles = [
        module.register_forward_pre_hook(lambda module, args, name=name: called.append(name))
        for name, module in linear.items()
    ]
    try:
        with batches(op, model, data) as stream:
            next(stream)
    finally:
        for handle in handles:
            handle.remove()
    if not called:
        raise ValueError(f"{op}: the net calls no Linear layer, so name the layer of the features: layer=")
    return {called[-1]: linear[called[-1]]}, f"input of {called[-1] or 'the net'}", True


def tsne(
    features: Embedding | Tensor | Array, *, perplexity: float = 30.0, seed: int = 0, dimensions: int = 2,
    components: int | None = COMPONENTS,
) -> Array:  # fmt: skip
    """Place points so that neighbours stay neighbours: t-SNE, by scikit-learn, with the same result for the same seed.

    What is far apart in the picture says little: t-SNE keeps neighbourhoods, not distances or sizes of groups.

    Args:
        features: (N, ...): an `Embedding`, or images themselves; each is one point.
        perplexity: about how many neighbours a point has; less than N.
        seed: of the random numbers, which only large data need: the points start at their first principal components.
        dimensions: of the result, 2 or 3.
        components: reduce the features to as many principal components first, which takes noise away and is faster;
            None: do not.

    Returns:
        (N, dimensions), around 0.

    Raises:
        ValueError: there are not more points than the perplexity, or features are not finite, or all points are equal.

    >>> from minicnn.explain import tsne
    >>> tsne(minicnn.rand(12, 4), perplexity=3.0).shape
    (12, 2)
    """
    x = _points("tsne", features)
    if len(x) < 2:
        raise ValueError("tsne: one image has no neighbours; give at least two images")
    dimensions = whole(dimensions, "tsne", "dimensions", 1)
    if dimensions > 3:
        raise ValueError(f"tsne: dimensions must be 1, 2 or 3, got {dimensions}")
    if not 0 < perplexity < len(x):
        raise ValueError(
            f"tsne: the perplexity must be above 0 and below the number of points, {len(x)}, got {perplexity:g}; "
            f"give perplexity={max(1, min(30, (len(x) - 1) // 3))}, or more images"
        )
    if not np.isfinite(x).all():
        raise ValueError(
            f"tsne: {int((~np.isfinite(x)).any(1).sum())} of {len(x)} points have NaN or infinite features"
        )
    if (x == x[0]).all():
        raise ValueError("tsne: all points are equal, so there is nothing to place; look at another layer")
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    most = min(x.shape)
    if components is not None and most > whole(components, "tsne", "components", 1):
        x = PCA(components, random_state=seed, svd_solver="full" if most <= 500 else "randomized").fit_transform(x)
    start = "pca" if min(x.shape) >= dimensions else "random"
    found = TSNE(dimensions, perplexity=perplexity, init=start, random_state=seed).fit_transform(x)
    return np.asarray(found)


def nearest(
    model: Module | None, dataset: Data | Embedding, x: Tensor, k: int = 5, layer: Module | str | None = None,
    metric: str = "cosine", *, exclude: int | Sequence[int] | Array | None = None, progress: bool = False,
) -> Neighbours:  # fmt: skip
    """Find the images of a dataset that are nearest to images, in the features of a net.

    Args:
        model: the net; None: compare pixels.
        dataset: a Dataset, a DataLoader, images, a pair of images and classes, or the `Embedding` of one for this net
            and layer, which is then not computed again.
        x: images (M, ...) to be compared.
        k: how many; fewer if there are not as many.
        layer: of the features, as in `embedding`.
        metric: "cosine": 1 - a b / (|a| |b|), from 0 (same direction) to 2; "euclidean": |a - b|.
        exclude: the place of each image of x in the dataset, which is then no neighbour of itself.
        progress: show how far it is, on stderr.

    Returns:
        The neighbours; of equally near ones the first in the dataset comes first.

    Raises:
        ValueError: the metric is unknown, there is no such layer, there are no images, or features are of other sizes.
        TypeError: exclude is not a place for each image.

    >>> from minicnn.explain import nearest
    >>> images = minicnn.tensor([[[[0., 1.]]], [[[1., 0.]]], [[[1., 0.2]]]])
    >>> nearest(None, images, minicnn.tensor([[[[2., 0.]]]]), k=2).indices
    array([[1, 2]])
    """
    op = "nearest"
    k = whole(k, op, "k", 1)
    if metric not in METRICS:
        raise ValueError(f"{op}: metric must be one of {', '.join(METRICS)}, got {metric!r}")
    known = dataset if isinstance(dataset, Embedding) else embedding(model, dataset, layer, progress=progress)
    asked = embedding(model, x, layer).features
    if asked.shape[1] != known.features.shape[1]:
        raise ShapeError(
            f"{op}: the images have {asked.shape[1]} features and the dataset {known.features.shape[1]}; give images "
            "of the same size, and the embedding of the same layer"
        )
    itself = None if exclude is None else np.atleast_1d(np.asarray(exclude))
    if itself is not None and (itself.dtype.kind not in "iu" or itself.shape != (len(asked),)):
        raise TypeError(
            f"{op}: exclude must be {len(asked)} places in the dataset, one for each image, got {shown(exclude)}"
        )
    if itself is not None and ((itself < 0) | (itself >= len(known.features))).any():
        raise ValueError(f"{op}: exclude has places outside of the dataset, which has {len(known.features)} images")
    count = min(k, len(known.features) - (itself is not None))
    if not count:
        raise ValueError(f"{op}: the dataset has no other image; give at least two images")
    parts = np.array_split(known.features, math.ceil(len(known.features) / ROWS))
    away = np.concatenate([_distances(asked, part, metric) for part in parts], 1)  # (M, N)
    order = np.argsort(away, 1, kind="stable")  # NaN last
    if itself is not None:
        order = order[order != itself[:, None]].reshape(len(asked), -1)  # (M, N) -> (M, N - 1)
    indices = order[:, :count]
    distances = np.take_along_axis(away, indices, 1)
    return Neighbours(indices, distances, None if known.labels is None else known.labels[indices])


def _distances(a: Array, b: Array, metric: str) -> Array:
    """(M, N) between the rows of (M, D) and (N, D), in float64; a row without a direction has the cosine 0 with all."""
    from scipy.spatial.distance import cdist

    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "euclidean":
        return np.asarray(cdist(a, b))
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    cosine = np.divide(a @ b.T, lengths, out=np.zeros_like(lengths), where=lengths != 0)
    return np.maximum(1 - cosine, 0)  # rounding may give -1e-16


def _points(op: str, features: Any) -> Array:
    """(N, D) in float64."""
    given = features.features if isinstance(features, Embedding) else features
    x = numbers(given) if isinstance(given, Tensor) else np.asarray(given)
    if x.ndim < 2 or x.dtype.kind not in "fiu" or not x.size:
        raise ShapeError(f"{op}: features must be (N, ...) with numbers, got shape {x.shape} of type {x.dtype}")
    return x.reshape(len(x), -1).astype(np.float64)  # (N, C, H, W) -> (N, C H W)
