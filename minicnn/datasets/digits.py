"""The bundled digits: real images without a download."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ..tensor import Tensor
from .vision import ArrayDataset

__all__ = ["Digits"]

_TEST_PER_CLASS = 36


@lru_cache(maxsize=1)
def _load() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All images (1797, 8, 8) uint8, targets (1797,), and which of them (1797,) are for testing."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # 0..16 -> 0..255
    targets = bunch.target.astype(np.int64)
    # The raw output of a bit generator never changes from one NumPy version to the next; a permutation's may.
    rank = np.random.Philox(key=0).random_raw(len(targets))
    test = np.zeros(len(targets), dtype=bool)
    for digit in range(10):
        members = np.flatnonzero(targets == digit)
        test[members[np.argsort(rank[members], kind="stable")[:_TEST_PER_CLASS]]] = True
    return images, targets, test


class Digits(ArrayDataset):
    """The 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn; works offline.

    The split is fixed: each image gets a random number from Philox with key 0, and in each class the 36 images with the
    smallest numbers are for testing. This gives 360 test images, as many of each class, and 1,437 training images, both
    in their original order.

    Args:
        train: True for the training images, False for the test images.
        transform, target_transform: functions of the image (PIL, mode "L") and of the target (int).

    Attributes: `data` a uint8 Tensor (N, 8, 8) with values 0..255 (the originals have 0..16), `targets` an int64 Tensor
    (N,), `classes` the names of the ten classes.

    Source: E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI machine learning repository, 1998.

    >>> train = minicnn.datasets.Digits()
    >>> image, label = train[0]
    >>> len(train), image.size, label, train.data.shape
    (1437, (8, 8), 1, minicnn.Size([1437, 8, 8]))
    """

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        images, targets, test = _load()
        self.train = train
        self.classes = [str(digit) for digit in range(10)]
        self.data, self.targets = Tensor(images[test != train]), Tensor(targets[test != train])  # copies
