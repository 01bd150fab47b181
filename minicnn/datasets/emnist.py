"""EMNIST: handwritten letters and digits, in six divisions into classes."""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..tensor import Tensor
from .archive import member
from .download import Checksum
from .downloaded import Source, choice
from .idx import parse_idx, read_idx
from .mnist import MNIST

__all__ = ["EMNIST"]

_LARGEST = 1 << 30  # bytes of the images of a split; those of "byclass" have 547 MB
_SAME = "cijklmopsuvwxyz"  # letters that look alike in upper and lower case, merged in "bymerge" and "balanced"
_ALL = tuple(sorted(string.digits + string.ascii_letters))
_MERGED = tuple(one for one in _ALL if one not in _SAME)


class EMNIST(MNIST):
    """EMNIST: handwritten digits and letters of 28 x 28, in the format of MNIST.

    The images lie on their side, as the files have them and as in torchvision: rows and columns are exchanged.
    `image.transpose(PIL.Image.Transpose.TRANSPOSE)`, or `data.transpose(1, 2)`, sets them upright.

    Args:
        root: the folder that holds `EMNIST/raw/gzip.zip`, or the IDX files from it, or `gzip.zip` itself.
            None: the folder that the environment variable MINICNN_DATA names, or its subfolder `emnist`.
        split: which images, and which classes:
            "byclass" 697,932 + 116,323 images of 62 classes (digits, upper case, lower case), of very different size;
            "bymerge" the same with 47 classes, letters that look alike in both cases merged;
            "balanced" 112,800 + 18,800 images of these 47 classes, as many of each;
            "letters" 124,800 + 20,800 images of the 26 letters: their targets are 1 to 26, and class 0 is "N/A";
            "digits" 240,000 + 40,000 images, and "mnist" 60,000 + 10,000 images, of the ten digits.
        train: True for the training images, False for the test images.
        transform, target_transform: functions of the image (PIL, mode "L") and of the target (int).
        download: fetch `gzip.zip` (562 MB), checked by SHA-256, into `root/EMNIST/raw/`. It is read as it is and not
            unpacked.

    Attributes: those of `MNIST`, and `split`.

    Raises:
        ValueError: there is no such split.
        DatasetError: files are missing or damaged, or the download failed.

    Source: G. Cohen, S. Afshar, J. Tapson, A. van Schaik, "EMNIST: an extension of MNIST to handwritten letters", 2017.

    >>> train = minicnn.datasets.EMNIST("data", split="letters", download=True)  # doctest: +SKIP
    >>> len(train), train.classes[:3]  # doctest: +SKIP
    (124800, ['N/A', 'a', 'b'])
    """

    splits: ClassVar[Sequence[str]] = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    classes_split_dict: ClassVar[dict[str, list[str]]] = {
        "byclass": list(_ALL),
        "bymerge": list(_MERGED),
        "balanced": list(_MERGED),
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }
    sources = (
        Source(
            "gzip.zip",
            (
                "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
                "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
            ),
            Checksum(
                561_753_746,
                "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
                "58c8d27c78d21e728a6bc7b3cc06412e",
            ),
            inside=tuple(
                f"emnist-{split}-{part}-{kind}-ubyte"
                for split in splits for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")
            ),
        ),
    )  # fmt: skip
    holding = "gzip.zip of EMNIST"

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "",
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.split = choice("EMNIST", "split", split, self.splits)
        self.names = self.classes_split_dict[self.split]  # type: ignore[misc]
        super().__init__(root, train, transform, target_transform, download)

    def folders(self) -> list[Path]:
        """Where files are looked for, the first place first: also in the folder that the archive unpacks to."""
        places = super().folders()
        return [*places, *(place / "gzip" for place in places)]

    def _files(self) -> list[str]:
        """The names of the files of images and of labels of the split."""
        part = f"emnist-{self.split}-{'train' if self.train else 'test'}"
        return [f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"]

    def download(self) -> None:
        """Fetch the archive, unless the files of the split are there."""
        if not all(self.find(name) for name in self._files()):
            super().download()

    def _load(self) -> tuple[Tensor, Tensor]:
        """The images (N, 28, 28) and targets (N,) of the split."""
        files = self._files()
        archive = self.find("gzip.zip")
        paths = [self.find(name) for name in files]
        if archive is None or None not in paths:
            found = self.locate(*files)
            return self._fitting(found, *(read_idx(path) for path in found))
        names = [f"gzip/{name}.gz" for name in files]
        arrays: list[np.ndarray] = []
        for name in names:
            with member(archive, name) as stream:
                arrays.append(parse_idx(f"{archive}: {name}", stream, _LARGEST))
        return self._fitting([f"{archive}: {name}" for name in names], *arrays)

    def extra_repr(self) -> str:
        """The line "Split: Train" or "Split: Test"."""
        return f"Split: {'Train' if self.train else 'Test'}"
