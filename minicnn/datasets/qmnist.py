"""QMNIST: MNIST made again from NIST's originals, with all 60,000 test images and who wrote what."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..tensor import Tensor
from .download import Checksum
from .downloaded import Source, choice
from .idx import read_idx
from .mnist import MNIST, check_images
from .vision import DatasetError

__all__ = ["QMNIST"]

_MIRRORS = (
    "https://raw.githubusercontent.com/facebookresearch/qmnist/master/",
    "https://github.com/facebookresearch/qmnist/raw/master/",
)


def _source(name: str, md5: str) -> Source:
    return Source(name, tuple(mirror + name for mirror in _MIRRORS), Checksum(None, md5=md5))


class QMNIST(MNIST):
    """QMNIST: MNIST's digits made again from their originals in NIST's collection, with eight numbers about each.

    Args:
        root: the folder that holds `QMNIST/raw/` with the IDX files, or the files themselves, compressed or not.
            None: the folder that the environment variable MINICNN_DATA names, or its subfolder `qmnist`.
        what: "train", 60,000 images; "test", 60,000; "test10k", the 10,000 of these that are MNIST's test images, and
            "test50k", the others; "nist", all 402,953. None: as `train` says.
        compat: True: a target is the class, an int; False: it is a Tensor of eight numbers: the class; the series of
            NIST's forms; the writer; the number of the image for this writer; the class in NIST's code; the number of
            the image in the series; two that are not used.
        train: True for "train", False for "test".
        transform, target_transform: functions of the image (PIL, mode "L") and of the target.
        download: fetch the files of `what` into `root/QMNIST/raw/`, checked by MD5: nothing better is published.

    Attributes: `data` a uint8 Tensor (N, 28, 28), `targets` an int64 Tensor (N, 8), `classes`.

    Raises:
        ValueError: `what` is unknown.
        DatasetError: files are missing or damaged, or the download failed.

    Source: C. Yadav, L. Bottou, "Cold case: the lost MNIST digits", 2019, https://github.com/facebookresearch/qmnist.

    >>> test = minicnn.datasets.QMNIST("data", what="test50k", download=True)  # doctest: +SKIP
    >>> len(test), test.targets.shape  # doctest: +SKIP
    (50000, minicnn.Size([50000, 8]))
    """

    subsets: ClassVar[dict[str, str]] = {
        "train": "train", "test": "test", "test10k": "test", "test50k": "test", "nist": "nist",
    }  # fmt: skip
    files: ClassVar[dict[str, tuple[Source, Source]]] = {
        "train": (
            _source("qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            _source("qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ),
        "test": (
            _source("qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            _source("qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
        ),
        "nist": (
            _source("xnist-images-idx3-ubyte.xz", "7f124b3b8ab81486c9d8c2749c17f834"),
            _source("xnist-labels-idx2-int.xz", "5ed0e788978e45d4a8bd4b7caec3d79d"),
        ),
    }
    sources = tuple(one for pair in files.values() for one in pair)
    holding = "the IDX files of QMNIST"

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        what: str | None = None,
        compat: bool = True,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.what = choice("QMNIST", "what", what if what is not None else "train" if train else "test", self.subsets)
        self.compat = compat
        super().__init__(root, train, transform, target_transform, download)

    def _split(self) -> Sequence[Source]:
        return self.files[self.subsets[self.what]]

    def find(self, name: str) -> Any:
        """The first file of this name, compressed or not, in the folders."""
        if name.endswith(".xz"):
            found = [folder / each for folder in self.folders() for each in (name.removesuffix(".xz"), name)]
            return next((path for path in found if path.is_file()), None)
        return super().find(name)

    def download(self) -> None:
        """Fetch the files of `what` that are missing or do not have the original content."""
        self.fetch(self._split())

    def _load(self) -> tuple[Tensor, Tensor]:
        """The images (N, 28, 28) and the numbers about them (N, 8)."""
        paths = self.locate(*(one.name for one in self._split()))
        images, labels = (read_idx(path) for path in paths)
        if images.dtype != np.uint8 or images.ndim != 3 or labels.dtype != np.int32 or labels.shape[1:] != (8,):
            raise DatasetError(
                f"{paths[0]} and {paths[1]}: expected uint8 images of 3 dimensions and int32 labels (N, 8), found "
                f"{images.dtype} of shape {images.shape} and {labels.dtype} of shape {labels.shape}; are they swapped?"
            )
        check_images(paths, images, labels, self.side)
        if not 0 <= int(labels[:, 0].min()) <= int(labels[:, 0].max()) < len(self.classes):
            raise DatasetError(f"{paths[1]}: a label is out of range 0..{len(self.classes) - 1}; fetch the file again")
        rows = {"test10k": slice(10_000), "test50k": slice(10_000, None)}.get(self.what, slice(None))
        return Tensor(images[rows]), Tensor(labels[rows].astype(np.int64))

    def _target(self, index: Any) -> Any:
        row = super()._targets_at(index)
        return int(row[0]) if self.compat else Tensor(row)

    def _targets_at(self, index: Any) -> Any:
        rows = super()._targets_at(index)
        return rows[..., 0] if self.compat else rows

    def extra_repr(self) -> str:
        """The line with the part."""
        return f"Split: {self.what}"
