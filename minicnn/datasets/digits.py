"""The bundled digits: real pictures without a download."""

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
    """All pictures (1797, 8, 8) uint8, targets (1797,), and which of them (1797,) are for testing."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pictures = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # 0..16 -> 0..255
    targets = bunch.target.astype(np.int64)
    # The raw output of a bit generator never changes from one NumPy version to the next; a permutation's may.
    rank = np.random.Philox(key=0).random_raw(len(targets))
    test = np.zeros(len(targets), dtype=bool)
    for digit in range(10):
        members = np.flatnonzero(targets == digit)
        test[members[np.argsort(rank[members], kind="stable")[:_TEST_PER_CLASS]]] = True
    return pictures, targets, test


class Digits(ArrayDataset):
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn brings along; works offline.

    The split is fixed: of each class, the 36 pictures with the smallest of the random numbers of Philox with key 0 are
    for testing. That is 360 test pictures, balanced, and 1,437 training pictures, both in their original order.

    Args:
        train: the training pictures; else the test pictures.
        transform, target_transform: functions of the picture (PIL, mode "L") and of the target (int).

    Attributes: `data` a uint8 Tensor (N, 8, 8) with values 0..255 (the originals have 0..16), `targets` an int64 Tensor
    (N,), `classes` the names of the ten classes.

    Source: E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI machine learning repository, 1998.
    """

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        pictures, targets, test = _load()
        self.train = train
        self.classes = [str(digit) for digit in range(10)]
        self.data, self.targets = Tensor(pictures[test != train]), Tensor(targets[test != train])  # copies
