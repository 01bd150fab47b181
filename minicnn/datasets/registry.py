"""The datasets that have a short name: what is in them, and how to open the training or the test images of one.

`minicnn train --dataset NAME` and `minicnn data` take their names from here. A folder of images of your own also has
such a name: `folder:PATH`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .cifar import CIFAR10, CIFAR100
from .digits import Digits
from .downloaded import DownloadedDataset
from .emnist import EMNIST
from .mnist import KMNIST, MNIST, FashionMNIST
from .own_images import open_folder
from .qmnist import QMNIST
from .stl10 import STL10
from .svhn import SVHN
from .usps import USPS
from .vision import VisionDataset

__all__ = ["FOLDER", "TABLE", "Entry", "open_dataset"]

FOLDER = "folder:"


class Entry(NamedTuple):
    """A dataset with a short name.

    Attributes:
        dataset: its class.
        channels, side, classes: of its images: 1 is grey, 3 is colour; height and width in pixels.
        train, test: the number of images.
        photos: whether a mirrored image is still one of its class; digits and letters are not.
        train_options, test_options: arguments of the class, besides `root`, `transform` and `download`.
    """

    dataset: Callable[..., VisionDataset]
    channels: int
    side: int
    classes: int
    train: int
    test: int
    photos: bool = False
    train_options: Mapping[str, Any] = {"train": True}
    test_options: Mapping[str, Any] = {"train": False}

    @property
    def needs_files(self) -> bool:
        """Whether it is read from files, which can be downloaded."""
        return isinstance(self.dataset, type) and issubclass(self.dataset, DownloadedDataset)


def _emnist(split: str, classes: int, train: int, test: int) -> Entry:
    options = {"split": split}
    return Entry(EMNIST, 1, 28, classes, train, test, False, {"train": True, **options}, {"train": False, **options})


_SPLITS = {"train_options": {"split": "train"}, "test_options": {"split": "test"}}

TABLE: dict[str, Entry] = {
    "digits": Entry(Digits, 1, 8, 10, 1437, 360),
    "mnist": Entry(MNIST, 1, 28, 10, 60_000, 10_000),
    "fashionmnist": Entry(FashionMNIST, 1, 28, 10, 60_000, 10_000, True),
    "kmnist": Entry(KMNIST, 1, 28, 10, 60_000, 10_000),
    "qmnist": Entry(QMNIST, 1, 28, 10, 60_000, 60_000),
    "emnist-byclass": _emnist("byclass", 62, 697_932, 116_323),
    "emnist-bymerge": _emnist("bymerge", 47, 697_932, 116_323),
    "emnist-balanced": _emnist("balanced", 47, 112_800, 18_800),
    "emnist-letters": _emnist("letters", 27, 124_800, 20_800),
    "emnist-digits": _emnist("digits", 10, 240_000, 40_000),
    "emnist-mnist": _emnist("mnist", 10, 60_000, 10_000),
    "usps": Entry(USPS, 1, 16, 10, 7291, 2007),
    "cifar10": Entry(CIFAR10, 3, 32, 10, 50_000, 10_000, True),
    "cifar100": Entry(CIFAR100, 3, 32, 100, 50_000, 10_000, True),
    "svhn": Entry(SVHN, 3, 32, 10, 73_257, 26_032, False, **_SPLITS),
    "stl10": Entry(STL10, 3, 96, 10, 5000, 8000, True, **_SPLITS),
}


def open_dataset(
    name: str,
    train: bool,
    transform: Callable[[Any], Any] | None = None,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
) -> Any:
    """The training or the test images of a dataset.

    Args:
        name: a key of `TABLE`, or "folder:PATH" for images of your own with a folder for each class. If PATH has
            folders `train`, and `test` or `val`, these are the two; else every fifth image of each class is for
            testing, by the order of their names. Hidden files and folders do not count.
        train: True for the training images, False for the test images.
        transform: a function of the image.
        root: the folder of the files; None: that of the environment variable MINICNN_DATA. "digits" and folders have
            none.
        download: fetch what is missing.

    Raises:
        KeyError: there is no such name.
        DatasetError: files are missing or damaged; for a folder, there are none, fewer than two classes, or
            the classes of its parts differ.

    >>> len(minicnn.datasets.open_dataset("digits", train=False))
    360
    """
    if name.startswith(FOLDER):
        return open_folder(Path(name.removeprefix(FOLDER)).expanduser(), train, transform)
    entry = TABLE[name]
    options = dict(entry.train_options if train else entry.test_options)
    if entry.needs_files:
        options |= {"root": root, "download": download}
    return entry.dataset(transform=transform, **options)
