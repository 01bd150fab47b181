"""SVHN: house numbers from street photos, one digit in the middle of each image of 32 x 32, in MAT-files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .download import Checksum
from .downloaded import DownloadedDataset, Source, choice
from .mat import read_mat
from .vision import DatasetError

__all__ = ["SVHN"]

SIDE = 32
_MOST = 1 << 20  # images of a file; "extra" has 531,131
_URL = "http://ufldl.stanford.edu/housenumbers/"


class SVHN(DownloadedDataset):
    """Street View House Numbers, cropped: 73,257 + 26,032 colour images of digits, 32 x 32, and 531,131 easier ones.

    The class of a digit is that digit; the files have 10 for the digit 0.

    Args:
        root: the folder that holds `train_32x32.mat`, `test_32x32.mat` or `extra_32x32.mat`.
            None: the folder that the environment variable MINICNN_DATA names, or its subfolder `svhn`.
        split: "train", "test", or "extra", the easier images for training.
        transform, target_transform: functions of the image (PIL, mode "RGB") and of the target (int).
        download: fetch the file (182 MB, 64 MB, 1.3 GB) into `root`, checked by SHA-256.

    Attributes, as in torchvision: `data` a uint8 array (N, 3, 32, 32), `labels` an int64 array (N,), and `split`.
    `targets` is another name of `labels`.

    Without `download`, the file is checked for its structure, not for its hash.

    Raises:
        ValueError: there is no such split.
        DatasetError: the file is missing or damaged, or the download failed.

    Source: Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Ng, "Reading digits in natural images with
    unsupervised feature learning", 2011, http://ufldl.stanford.edu/housenumbers.

    >>> test = minicnn.datasets.SVHN("data", split="test", download=True)  # doctest: +SKIP
    >>> len(test), test.data.shape  # doctest: +SKIP
    (26032, (26032, 3, 32, 32))
    """

    files: ClassVar[dict[str, Source]] = {
        split: Source(f"{split}_32x32.mat", (f"{_URL}{split}_32x32.mat",), Checksum(size, sha256, md5))
        for split, size, sha256, md5 in (
            (
                "train", 182_040_794, "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
                "e26dedcc434d2e4c54c9b2d4a06d8373",
            ),
            (
                "test", 64_275_384, "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
                "eb5a983be6a315427106f1b164d9cef3",
            ),
            (
                "extra", 1_329_278_602, "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3",
                "a93ce644f1a588dc4d68dda5feec44a7",
            ),
        )
    }  # fmt: skip
    sources = tuple(files.values())
    holding = "train_32x32.mat and test_32x32.mat"

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.split = choice("SVHN", "split", split, self.files)
        super().__init__(root, transform, target_transform)
        self.classes = [str(digit) for digit in range(10)]
        if download:
            self.fetch([self.files[split]])
        self.data, self.labels = self._read()

    @property
    def targets(self) -> Any:
        """The labels."""
        return self.labels

    def _read(self) -> tuple[np.ndarray, np.ndarray]:
        """The images (N, 3, 32, 32) and labels (N,) of the split."""
        (path,) = self.locate(self.files[self.split].name)
        found = read_mat(path, {"X": 3 * SIDE * SIDE * _MOST, "y": 8 * _MOST})
        images, labels = found["X"], found["y"]
        again = "delete the file and use download=True"
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[:3] != (SIDE, SIDE, 3) or not images.size:
            raise DatasetError(
                f"{path}: X should be uint8 of (32, 32, 3, N), but is {images.dtype} of {images.shape}; {again}"
            )
        if labels.size != images.shape[3] or max(labels.shape) != labels.size:
            raise DatasetError(f"{path}: y should be ({images.shape[3]}, 1), but is {labels.shape}; {again}")
        labels = labels.reshape(-1)
        if not (np.isin(labels, np.arange(11))).all():
            raise DatasetError(f"{path}: a label is not a whole number from 0 to 10; {again}")
        return images.transpose(3, 2, 0, 1), labels.astype(np.int64) % 10  # (H, W, C, N) -> (N, C, H, W)

    def _pixels(self, index: Any) -> np.ndarray:
        return np.moveaxis(np.asarray(self.data)[index], -3, -1)  # (..., 3, H, W) -> (..., H, W, 3)

    def extra_repr(self) -> str:
        """The line with the split."""
        return f"Split: {self.split}"
