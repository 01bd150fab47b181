"""The bundled digits: real images without a download."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..tensor import Tensor
from .vision import ArrayDataset

__all__ = ["Digits"]

_TEST_PER_CLASS = 36


def _read() -> tuple[np.ndarray, np.ndarray]:
    """The pixels (1797, 8, 8), 0 to 16, and the targets (1797,).

    The file is read without importing scikit-learn, which takes a second; if it is elsewhere, scikit-learn reads it.
    """
    found = find_spec("sklearn")
    file = Path((found and found.origin) or "").parent / "datasets" / "data" / "digits.csv.gz"
    if file.is_file():
        table = np.loadtxt(file, delimiter=",")
    else:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        table = np.column_stack([bunch.data, bunch.target])
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)  # (1797, 65) -> (1797, 8, 8), (1797,)


@lru_cache(maxsize=1)
def _load() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All images (1797, 8, 8) uint8, targets (1797,), and which of them (1797,) are for testing."""
    pixels, targets = _read()
    images = np.rint(pixels * (255 / 16)).astype(np.uint8)  # 0..16 -> 0..255
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
