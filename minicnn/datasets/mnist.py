"""MNIST and the datasets in its format, 70,000 images of 28 x 28: digits, clothes, and Japanese characters."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..tensor import Tensor
from .download import Checksum
from .downloaded import DownloadedDataset, Source
from .idx import read_idx
from .vision import DatasetError

__all__ = ["KMNIST", "MNIST", "FashionMNIST"]

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)


def _served(mirrors: Sequence[str], *checksums: Checksum) -> tuple[Source, ...]:
    """The four files, kept gzipped, as they are served: that is what the published checksums are of."""
    return tuple(
        Source(f"{name}.gz", tuple(f"{mirror}{name}.gz" for mirror in mirrors), checksum)
        for name, checksum in zip(_FILES, checksums, strict=True)
    )


class MNIST(DownloadedDataset):
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

    sources: ClassVar[Sequence[Source]] = tuple(
        Source(name, tuple(f"{mirror}{name}.gz" for mirror in _MIRRORS), Checksum(size, sha256, packed=False))
        for name, size, sha256 in zip(
            _FILES,
            (47_040_016, 60_008, 7_840_016, 10_008),
            (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
            strict=True,
        )
    )
    holding = "the IDX files"
    side = 28
    names: ClassVar[Sequence[str]] = tuple(f"{digit} - {name}" for digit, name in enumerate(DIGITS))

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        self.train = train
        self.classes = list(self.names)
        if download:
            self.download()
        self.data, self.targets = self._load()

    @property
    def raw_folder(self) -> Path:
        """Where downloads go: `root/MNIST/raw`."""
        assert self.root is not None
        return self.root / type(self).__name__ / "raw"

    def downloads(self) -> Path:
        """Where downloads go."""
        return self.raw_folder

    def folders(self) -> list[Path]:
        """Where files are looked for, the first place first."""
        assert self.root is not None
        name = type(self).__name__
        return [self.raw_folder, self.root / name.lower(), self.root / name, self.root, self.root / "raw"]

    def find(self, name: str) -> Path | None:
        """The first file of this name, compressed or not, in the folders; "train-images.idx3-ubyte" is a known variant.

        The file may also be inside a folder of that name, as in Kaggle's archive.
        """
        name = name.removesuffix(".gz")
        names = [name, f"{name}.gz", name.replace("-idx", ".idx"), f"{name.replace('-idx', '.idx')}.gz"]
        for folder in self.folders():
            here = [folder / each for each in names]
            inside = [outer / each for outer in here for each in names]
            for path in (*here, *inside):
                if path.is_file():
                    return path
        return None

    def _load(self) -> tuple[Tensor, Tensor]:
        """The images (N, 28, 28) and targets (N,) of the split."""
        paths = self.locate(*(_FILES[:2] if self.train else _FILES[2:]))
        images, labels = (read_idx(path) for path in paths)
        if type(self) is not MNIST and hashlib.sha256(labels.tobytes()).hexdigest() in _MNIST_LABELS:
            raise DatasetError(
                f"{paths[1]}: these are the files of MNIST, not of {type(self).__name__}; put those of "
                f"{type(self).__name__} into {self.raw_folder}, or use download=True"
            )
        return self._fitting(paths, images, labels)

    def _fitting(self, paths: Sequence[Path | str], images: np.ndarray, labels: np.ndarray) -> tuple[Tensor, Tensor]:
        """Images (N, 28, 28) and labels (N,) that fit together, as tensors."""
        for path, array, wanted in zip(paths, (images, labels), (3, 1), strict=True):
            if array.dtype != np.uint8 or array.ndim != wanted:
                raise DatasetError(
                    f"{path}: expected a uint8 array of {wanted} dimensions, found {array.dtype} of shape "
                    f"{array.shape}; are images and labels swapped?"
                )
        check_images(paths, images, labels, self.side)
        if int(labels.max()) >= len(self.classes):
            raise DatasetError(f"{paths[1]}: label {labels.max()} is out of range 0..{len(self.classes) - 1}")
        return Tensor(images), Tensor(labels.astype(np.int64))


# SHA-256 of the labels of MNIST, training and test; other datasets have files of the same names.
_MNIST_LABELS = {
    "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


def check_images(paths: Sequence[Path | str], images: np.ndarray, labels: np.ndarray, side: int) -> None:
    """Refuse images of another size, none at all, or another number of them than of labels."""
    if images.shape[1:] != (side, side) or not len(images):
        raise DatasetError(f"{paths[0]}: expected images of {side} x {side}, found the shape {images.shape}")
    if len(images) != len(labels):
        raise DatasetError(
            f"{paths[0]} holds {len(images)} images, {paths[1]} {len(labels)} labels: they do not belong "
            "together; is one of them from the other split?"
        )


class FashionMNIST(MNIST):
    """Fashion-MNIST: 60,000 training images and 10,000 test images of clothes, 28 x 28, in the format of MNIST.

    Arguments, attributes and errors are those of `MNIST`; the files are in `FashionMNIST/raw`, below `root`.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms", 2017, https://github.com/zalandoresearch/fashion-mnist.

    >>> train = minicnn.datasets.FashionMNIST("data", download=True)  # doctest: +SKIP
    >>> train.classes[:3]  # doctest: +SKIP
    ['T-shirt/top', 'Trouser', 'Pullover']
    """

    sources = _served(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        Checksum(
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        ),
        Checksum(
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "25c81989df183df01b3e8a0aad5dffbe",
        ),
        Checksum(
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "bef4ecab320f06d8554ea6380940ec79",
        ),
        Checksum(
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    )
    names = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


class KMNIST(MNIST):
    """Kuzushiji-MNIST: 60,000 training images and 10,000 test images of ten handwritten Japanese characters.

    Arguments, attributes and errors are those of `MNIST`; the files are in `KMNIST/raw`, below `root`.

    Source: T. Clanuwat et al., "Deep learning for classical Japanese literature", 2018,
    https://github.com/rois-codh/kmnist.

    >>> train = minicnn.datasets.KMNIST("data", download=True)  # doctest: +SKIP
    >>> train.classes[:3]  # doctest: +SKIP
    ['o', 'ki', 'su']
    """

    sources = _served(
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        Checksum(
            18_165_135,
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "bdb82020997e1d708af4cf47b453dcf7",
        ),
        Checksum(
            29_497,
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "e144d726b3acfaa3e44228e80efcd344",
        ),
        Checksum(
            3_041_136,
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "5c965bf0a639b31b8f53240b1b52f4d7",
        ),
        Checksum(
            5_120,
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    )
    names = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
