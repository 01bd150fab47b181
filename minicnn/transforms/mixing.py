"""MixUp and CutMix: each image of a batch is mixed with another one, and so are their targets.

    MixUp    x = lam x_i + (1 - lam) x_j                                a weighted mean
    CutMix   x = x_i, but with the pixels of x_j inside a rectangle     of the share 1 - lam of the area
    both     q = lam q_i + (1 - lam) q_j                                q: one-hot targets (N, K)

lam is drawn from Beta(alpha, alpha): near 0 or 1 if alpha is small, near 1/2 if it is large, uniform if it is 1. One
number serves the whole batch. The mixed targets are probabilities, which `nn.CrossEntropyLoss` takes.

Sources: H. Zhang et al., "mixup: Beyond empirical risk minimization", ICLR 2018. S. Yun et al., "CutMix: Regularization
strategy to train strong classifiers with localizable features", ICCV 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from minicnn_kernels.geometry import real, shown, whole

from ..nn.functional import one_hot
from ..random import Generator
from ..tensor import Tensor
from ..utils.data.randomness import sample_generator
from .base import Transform
from .samples import each_leaf, leaves

__all__ = ["CutMix", "MixUp", "cutmix", "mixup"]

Box: TypeAlias = tuple[int, int, int, int]


def mixup(
    images: Tensor,
    targets: Tensor,
    alpha: float = 1.0,
    num_classes: int | None = None,
    *,
    lam: float | Sequence[float] | np.ndarray | None = None,
    partners: Sequence[int] | np.ndarray | None = None,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Weighted means of pairs of images and of their targets.

        x[n] = lam x[n] + (1 - lam) x[partners[n]]        q[n] = lam q[n] + (1 - lam) q[partners[n]]

    Args:
        images: (N, ...), of a floating type.
        targets: classes (N,), or probabilities (N, K).
        alpha: lam is drawn from Beta(alpha, alpha).
        num_classes: K; only classes need it.
        lam: given instead of drawn: one number from 0 to 1, or one for each image.
        partners: given instead of drawn: for each image the index of the one to mix it with. The default is a random
            order of the batch, as in the paper; an image may then be its own partner.
        generator: the source of the random numbers; None: the stream of the batch, or the default generator.

    Returns:
        Images (N, ...) and probabilities (N, K).

    Raises:
        TypeError: images of integers, whose means would be no integers.
        ValueError: targets that do not fit the images; values out of range.

    >>> x, q = minicnn.tensor([[0.0], [8.0]]), minicnn.tensor([0, 1])
    >>> minicnn.transforms.mixup(x, q, num_classes=2, lam=0.75, partners=[1, 0])
    (tensor([[2.],
            [6.]]), tensor([[0.7500, 0.2500],
            [0.2500, 0.7500]]))
    """
    draw = _numbers(generator)
    soft = _soft("mixup", images, targets, num_classes)
    if images.dtype.kind != "f":
        raise TypeError(f"mixup: takes images of a floating type, got {images.dtype}; convert them by ToTensor first")
    count = len(images)
    weights = np.asarray(_lam("mixup", alpha, draw) if lam is None else lam, np.float64)
    if weights.shape not in ((), (count,)) or not ((weights >= 0) & (weights <= 1)).all():
        raise ValueError(f"mixup: lam should be a number from 0 to 1, or {count} of them, got {shown(lam)}")
    order = _order("mixup", partners, count, draw)
    return _mean(images, order, weights), _mean(soft, order, weights)


def cutmix(
    images: Tensor,
    targets: Tensor,
    alpha: float = 1.0,
    num_classes: int | None = None,
    *,
    box: Box | None = None,
    partners: Sequence[int] | np.ndarray | None = None,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of another image into each image, and mix the targets by the areas.

    The rectangle's sides are sqrt(1 - lam) of the image's, its centre is uniform over the image, and what lies outside
    is cut off; lam then becomes the share of the area that is left of the first image:

        q[n] = lam q[n] + (1 - lam) q[partners[n]]        1 - lam = (x2 - x1) (y2 - y1) / (W H)

    Args:
        images: (N, ..., H, W) of any type.
        targets, alpha, num_classes, partners, generator: as in `mixup`.
        box: the rectangle (x1, y1, x2, y2), given instead of drawn; columns x1 to x2 - 1 and rows y1 to y2 - 1.

    Returns:
        Images (N, ..., H, W) and probabilities (N, K).

    Raises:
        ValueError: targets that do not fit the images; values out of range.

    >>> x, q = minicnn.tensor([[[[0, 0]]], [[[8, 9]]]]), minicnn.tensor([0, 1])
    >>> images, targets = minicnn.transforms.cutmix(x, q, num_classes=2, box=(1, 0, 2, 1), partners=[1, 0])
    >>> images.flatten(1), targets
    (tensor([[0, 9],
            [8, 0]]), tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]]))
    """
    draw = _numbers(generator)
    soft = _soft("cutmix", images, targets, num_classes)
    if images.ndim < 3:
        raise ValueError(f"cutmix: takes images (N, ..., H, W), their shape is {tuple(images.shape)}")
    height, width = images.shape[-2:]
    x1, y1, x2, y2 = _box(_lam("cutmix", alpha, draw), height, width, draw) if box is None else box
    if not (0 <= x1 <= x2 <= width and 0 <= y1 <= y2 <= height):
        raise ValueError(f"cutmix: the box {(x1, y1, x2, y2)} is not (x1, y1, x2, y2) inside {width} x {height} pixels")
    order = _order("cutmix", partners, len(images), draw)
    pasted = images.clone()
    if x2 > x1 and y2 > y1:
        pasted[..., y1:y2, x1:x2] = images[order][..., y1:y2, x1:x2]
    area = height * width
    share = 1 - (x2 - x1) * (y2 - y1) / area if area else 1.0
    return pasted, _mean(soft, order, np.asarray(share))


class MixUp(Transform):
    """`mixup` as a transform of batches, between the loader and the net or in a `collate_fn`.

    Each image is mixed with the one before it in the batch, as in torchvision: so the loader has to shuffle.

    Args:
        alpha: lam is drawn from Beta(alpha, alpha).
        num_classes: K; only needed if the targets are classes (N,).
        labels_getter: a function from the inputs to the targets. The default takes the second input, or of a
            dictionary the entry whose key has "label" in it.
        generator: the source of the random numbers; None: the stream of the batch, or the default generator.

    Call it with (images, targets, ...), or with one tuple, list or dictionary of them, and get the same structure back.

    >>> mix = minicnn.transforms.MixUp(alpha=0.2, num_classes=10)
    >>> images, targets = mix(minicnn.rand(8, 3, 32, 32), minicnn.arange(8))
    >>> images.shape, targets.shape
    (minicnn.Size([8, 3, 32, 32]), minicnn.Size([8, 10]))
    """

    whole_samples = True
    _mix: Callable[..., tuple[Tensor, Tensor]] = staticmethod(mixup)

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        num_classes: int | None = None,
        labels_getter: str | Callable[[Any], Tensor] = "default",
        generator: Generator | None = None,
    ) -> None:
        name = type(self).__name__
        self.alpha = _alpha(name, alpha)
        self.num_classes = num_classes if num_classes is None else whole(num_classes, name, "num_classes", 1)
        if labels_getter != "default" and not callable(labels_getter):
            raise ValueError(f"{name}: labels_getter should be 'default' or a function, got {shown(labels_getter)}")
        self.labels_getter, self.generator = labels_getter, generator

    def forward(self, *inputs: Any) -> Any:
        """(images, targets, ...), or one structure of them, with both mixed and the rest as it was."""
        name, sample = type(self).__name__, inputs if len(inputs) != 1 else inputs[0]
        targets = self.labels_getter(sample) if callable(self.labels_getter) else _labels(name, sample)
        images = next((leaf for leaf in leaves(sample) if isinstance(leaf, Tensor) and leaf is not targets), None)
        if not isinstance(targets, Tensor) or images is None:
            raise TypeError(f"{name}: call it with two tensors, a batch of images and its targets; got {shown(sample)}")
        before = (np.arange(len(images)) - 1) % max(len(images), 1)
        mixed = self._mix(images, targets, self.alpha, self.num_classes, partners=before, generator=self.generator)
        return each_leaf(sample, lambda leaf: mixed[0] if leaf is images else mixed[1] if leaf is targets else leaf)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alpha={self.alpha}, num_classes={self.num_classes})"


class CutMix(MixUp):
    """`cutmix` as a transform of batches; arguments and calls as in `MixUp`.

    >>> images, targets = minicnn.transforms.CutMix(num_classes=10)(minicnn.rand(8, 3, 32, 32), minicnn.arange(8))
    >>> targets.sum(1).allclose(minicnn.ones(8))
    True
    """

    _mix = staticmethod(cutmix)


# ------------------------------------------------------------------------------------------------------- their parts


def _numbers(generator: Generator | None) -> np.random.Generator:
    return sample_generator() if generator is None else generator.numpy


def _alpha(name: str, alpha: Any) -> float:
    found = float(real(alpha, name, "alpha"))
    if not (found > 0 and math.isfinite(found)):
        raise ValueError(f"{name}: alpha should be a number > 0, got {shown(alpha)}; to mix nothing, leave {name} out")
    return found


def _lam(name: str, alpha: Any, draw: np.random.Generator) -> float:
    alpha = _alpha(name, alpha)
    return float(draw.beta(alpha, alpha))


def _box(lam: float, height: int, width: int, draw: np.random.Generator) -> Box:
    """A rectangle with sides sqrt(1 - lam) H and sqrt(1 - lam) W around a random pixel, cut off at the edges."""
    x, y = (int(draw.integers(0, max(size, 1))) for size in (width, height))
    half_w, half_h = (int(0.5 * math.sqrt(1 - lam) * size) for size in (width, height))
    return max(x - half_w, 0), max(y - half_h, 0), min(x + half_w, width), min(y + half_h, height)


def _order(name: str, partners: Any, count: int, draw: np.random.Generator) -> np.ndarray:
    """For each image the index of its partner."""
    if partners is None:
        return draw.permutation(count)
    order = np.asarray(partners.array if isinstance(partners, Tensor) else partners)
    if order.shape != (count,) or (count and (order.dtype.kind not in "iu" or order.min() < 0 or order.max() >= count)):
        raise ValueError(f"{name}: partners should be {count} indices from 0 to {count - 1}, got {shown(partners)}")
    return order.astype(np.int64)


def _mean(values: Tensor, order: np.ndarray, weights: np.ndarray) -> Tensor:
    """weights values + (1 - weights) values[order], with one weight, or one for each of the N values."""
    if not weights.ndim:
        return values * float(weights) + values[order] * (1 - float(weights))
    column = weights.reshape(-1, *[1] * (values.ndim - 1))  # (N,) -> (N, 1, ...)
    first, second = (Tensor(part.astype(values.dtype)).to(values.device) for part in (column, 1 - column))
    return values * first + values[order] * second


def _soft(name: str, images: Any, targets: Any, num_classes: int | None) -> Tensor:
    """The targets as probabilities (N, K), checked against the images."""
    for what, value in (("images", images), ("targets", targets)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: the {what} should be a Tensor, got {shown(value)}")
    if not images.ndim or targets.ndim not in (1, 2) or len(images) != len(targets):
        raise ValueError(
            f"{name}: takes images (N, ...) and targets (N,) or (N, K), got the shapes {tuple(images.shape)} and "
            f"{tuple(targets.shape)}"
        )
    if targets.ndim == 1:
        if targets.dtype.kind not in "iu":
            raise TypeError(f"{name}: classes should be integers, got {targets.dtype}; probabilities are (N, K)")
        if num_classes is None:
            raise ValueError(f"{name}: targets (N,) are classes, for which num_classes must be given")
        classes = whole(num_classes, name, "num_classes", 1)
        if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < classes:
            span = f"{int(targets.min())} to {int(targets.max())}"
            raise ValueError(f"{name}: the classes are {span}, but num_classes is {classes}")
        return one_hot(targets.long(), classes).float()
    if num_classes is not None and targets.shape[1] != num_classes:
        raise ValueError(
            f"{name}: the targets {tuple(targets.shape)} have {targets.shape[1]} classes, but num_classes is "
            f"{num_classes}; leave it out"
        )
    return targets if targets.dtype.kind == "f" else targets.float()


def _labels(name: str, sample: Any) -> Any:
    """The targets of a batch: the second entry, or in a dictionary the one called "labels", or with "label" in it."""
    if isinstance(sample, tuple | list) and len(sample) > 1:
        sample = sample[1]
    if isinstance(sample, Mapping):
        keys = sorted(
            (key for key in sample if "label" in str(key).lower()), key=lambda key: str(key).lower() != "labels"
        )
        return sample[keys[0]] if keys else None
    return sample
