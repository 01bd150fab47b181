"""MNIST: 70,000 handwritten digits, 28 x 28."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..tensor import Tensor
from .download import content_matches, fetch
from .idx import read_idx
from .vision import ArrayDataset, DatasetError, data_folder

__all__ = ["MNIST"]


_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class _Resource(NamedTuple):
    """One of the files: its name, and the size in bytes and SHA-256 of its uncompressed content."""

    name: str
    size: int
    sha256: str


class MNIST(ArrayDataset):
    """The MNIST database: 60,000 training images and 10,000 test images of the digits 0 to 9.

    Args:
        root: the folder that holds `MNIST/raw/` with the four IDX files, or the files themselves, gzipped or not. Each
            file may also be in a folder of its own name, as some programs unpack it.
            None: the folder that the environment variable MINICNN_DATA names, or its subfolder `mnist`.
        train: True for the training images, False for the test images.
        transform, target_transform: functions of the image (PIL, mode "L") and of the target (int).
        download: fetch missing or damaged files into `root/MNIST/raw/`, checked by SHA-256.

    Attributes: `data` a uint8 Tensor (N, 28, 28), `targets` an int64 Tensor (N,), `classes` the ten classes' names.

    Without `download`, the files are checked for their structure (sizes, labels in range, as many labels as images),
    not for their hash: other data in the format of MNIST may be used too.

    Raises:
        DatasetError: files are missing, damaged or swapped, or the download failed.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE 1998.

    >>> train = minicnn.datasets.MNIST("data", download=True)  # doctest: +SKIP
    >>> len(train), train.data.shape  # doctest: +SKIP
    (60000, minicnn.Size([60000, 28, 28]))
    """

    mirrors: ClassVar[Sequence[str]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    resources: ClassVar[Sequence[_Resource]] = (
        _Resource(
            "train-images-idx3-ubyte", 47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        _Resource(
            "train-labels-idx1-ubyte", 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        _Resource(
            "t10k-images-idx3-ubyte", 7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        _Resource("t10k-labels-idx1-ubyte", 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    )
    side = 28

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        named = data_folder(type(self).__name__, root, "the IDX files")
        super().__init__(named, transform=transform, target_transform=target_transform)
        self.train = train
        self.classes = [f"{digit} - {name}" for digit, name in enumerate(_NAMES)]
        if download:
            self.download()
        images, labels = self.resources[:2] if train else self.resources[2:]
        paths = self._find(images.name), self._find(labels.name)
        missing = [resource.name for resource, path in zip((images, labels), paths, strict=True) if path is None]
        if missing:
            nothing = "" if Path(named).expanduser().is_dir() else f"; there is no folder {self.root}"
            raise DatasetError(
                f"{type(self).__name__}: {' and '.join(missing)} not found (with or without .gz) in any of "
                f"{[str(folder) for folder in self._folders()]}{nothing}. Pass the folder that holds them as root or "
                "in the environment variable MINICNN_DATA, or use download=True"
            )
        self.data, self.targets = self._load(*paths)  # type: ignore[arg-type]

    @property
    def raw_folder(self) -> Path:
        """Where downloads go: `root/MNIST/raw`."""
        assert self.root is not None
        return self.root / type(self).__name__ / "raw"

    def _folders(self) -> list[Path]:
        assert self.root is not None
        name = type(self).__name__
        return [self.raw_folder, self.root, self.root / name.lower(), self.root / name, self.root / "raw"]

    def _find(self, name: str) -> Path | None:
        """The first file of this name, gzipped or not, in the folders; "train-images.idx3-ubyte" is a known variant.

        The file may also be inside a folder of that name, as in Kaggle's archive.
        """
        names = [name, f"{name}.gz", name.replace("-idx", ".idx"), f"{name.replace('-idx', '.idx')}.gz"]
        for folder in self._folders():
            here = [folder / each for each in names]
            inside = [outer / each for outer in here for each in names]
            for path in (*here, *inside):
                if path.is_file():
                    return path
        return None

    def download(self) -> None:
        """Fetch those of the four files that are missing or do not have the original content."""
        for resource in self.resources:
            found = self._find(resource.name)
            if found is None or not content_matches(found, resource.sha256, resource.size):
                urls = [f"{mirror}{resource.name}.gz" for mirror in self.mirrors]
                fetch(urls, self.raw_folder / resource.name, resource.sha256, resource.size)

    def _load(self, images_path: Path, labels_path: Path) -> tuple[Tensor, Tensor]:
        """Images (N, 28, 28) and targets (N,) of two IDX files that fit together."""
        images, labels = read_idx(images_path), read_idx(labels_path)
        for path, array, wanted in ((images_path, images, 3), (labels_path, labels, 1)):
            if array.dtype != np.uint8 or array.ndim != wanted:
                raise DatasetError(
                    f"{path}: expected a uint8 array of {wanted} dimensions, found {array.dtype} of shape "
                    f"{array.shape}; are images and labels swapped?"
                )
        if images.shape[1:] != (self.side, self.side) or not len(images):
            raise DatasetError(
                f"{images_path}: expected images of {self.side} x {self.side}, found the shape {images.shape}"
            )
        if len(images) != len(labels):
            raise DatasetError(
                f"{images_path} holds {len(images)} images, {labels_path} {len(labels)} labels: they do not belong "
                "together; is one of them from the other split?"
            )
        if int(labels.max()) >= len(self.classes):
            raise DatasetError(f"{labels_path}: label {labels.max()} is out of range 0..{len(self.classes) - 1}")
        return Tensor(images), Tensor(labels.astype(np.int64))
