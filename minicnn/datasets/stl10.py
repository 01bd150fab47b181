"""STL-10: few labelled images and many without labels, in colour, 96 x 96.

The images are in `train_X.bin`, `test_X.bin` and `unlabeled_X.bin`: for each its red, green and blue values, each
column by column. The labels are in `train_y.bin` and `test_y.bin`: a byte each, 1 to 10.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..serialization.files import open_regular, read_text
from .download import Checksum
from .downloaded import ArchivedDataset, Member, Source, choice
from .vision import DatasetError

__all__ = ["STL10"]

SIDE, PIXELS = 96, 3 * 96 * 96
_MOST = 100_000  # images of a file
_TEXT = 1 << 20  # bytes of the lists; those of the folds have about 50,000
_AGAIN = "delete it and use download=True, or unpack stl10_binary.tar.gz again"


class STL10(ArchivedDataset):
    """STL-10: 5,000 training images and 8,000 test images of ten classes, 96 x 96, and 100,000 without a class.

    Args:
        root: the folder that holds `stl10_binary`, or its files.
            None: the folder that the environment variable MINICNN_DATA names, or its subfolder `stl10`.
        split: "train", "test", "unlabeled" or "train+unlabeled"; the target of an image without a class is -1.
        folds: 0 to 9: of the training images, the 1,000 of this fold; results are usually the mean over all ten.
        transform, target_transform: functions of the image (PIL, mode "RGB") and of the target (int).
        download: fetch the archive (2.6 GB) and unpack its files (3.1 GB) into `root`, if they are missing or damaged.
            The archive is checked by SHA-256 before it is opened.

    Attributes, as in torchvision: `data` a uint8 array (N, 3, 96, 96), `labels` an array (N,), `classes`, `split` and
    `folds`. `targets` is another name of `labels`.

    Raises:
        ValueError: there is no such split or fold.
        DatasetError: files are missing or damaged, or the download failed.

    Source: A. Coates, H. Lee, A. Ng, "An analysis of single-layer networks in unsupervised feature learning", 2011,
    https://cs.stanford.edu/~acoates/stl10.

    >>> test = minicnn.datasets.STL10("data", split="test", download=True)  # doctest: +SKIP
    >>> len(test), test.data.shape, test.classes[:3]  # doctest: +SKIP
    (8000, (8000, 3, 96, 96), ['airplane', 'bird', 'car'])
    """

    splits: ClassVar[Sequence[str]] = ("train", "train+unlabeled", "unlabeled", "test")
    sources = (
        Source(
            "stl10_binary.tar.gz",
            (
                "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
                "https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            ),
            Checksum(
                2_640_397_119,
                "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
                "91f7769df0f17e558f3565bffb0c7dfb",
            ),
        ),
    )
    base_folder = "stl10_binary"
    members = (
        Member("train_X.bin", Checksum(5_000 * PIXELS, md5="918c2871b30a85fa023e0c44e0bee87f")),
        Member("train_y.bin", Checksum(5_000, md5="5a34089d4802c674881badbb80307741")),
        Member("unlabeled_X.bin", Checksum(100_000 * PIXELS, md5="5242ba1fed5e4be9e1e742405eb56ca4")),
        Member("test_X.bin", Checksum(8_000 * PIXELS, md5="7f263ba9f9e0b06b93213547f721ac82")),
        Member("test_y.bin", Checksum(8_000, md5="36f9794fa4beb8a2c72628de14fa638e")),
        Member("class_names.txt", Checksum(None), most=_TEXT),
        Member("fold_indices.txt", Checksum(None), most=_TEXT),
    )
    holding = "the folder stl10_binary"
    names: ClassVar[Sequence[str]] = (
        "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
    )  # fmt: skip

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        folds: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.split = choice("STL10", "split", split, self.splits)
        if folds is not None and (isinstance(folds, bool) or not isinstance(folds, int) or not 0 <= folds <= 9):
            raise ValueError(f"STL10: folds must be None or a whole number from 0 to 9, got {folds!r}")
        self.folds = folds
        super().__init__(root, transform, target_transform)
        self.classes = list(self.names)
        if download:
            self.download()
        parts = [self._part(part) for part in split.split("+")]
        self.data = np.concatenate([images for images, _ in parts]) if len(parts) > 1 else parts[0][0]
        self.labels = np.concatenate([labels for _, labels in parts])

    @property
    def targets(self) -> Any:
        """The labels."""
        return self.labels

    def _part(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """The images (N, 3, 96, 96) and labels (N,) of "train", "test" or "unlabeled"."""
        files = [f"{part}_X.bin"] + [f"{part}_y.bin"] * (part != "unlabeled")
        fold = self.folds if part == "train" else None
        folder = self.together([*files, *(["fold_indices.txt"] if fold is not None else [])])
        content = _bytes(folder / files[0], _MOST * PIXELS)
        if not content.size or content.size % PIXELS:
            raise DatasetError(
                f"{folder / files[0]}: {content.size:,} bytes are not images of {PIXELS:,} bytes each; {_AGAIN}"
            )
        images = content.reshape(-1, 3, SIDE, SIDE).swapaxes(2, 3)  # (N, C, W, H) -> (N, C, H, W)
        if part == "unlabeled":
            return images, np.full(len(images), -1, np.int64)
        labels = _bytes(folder / files[1], _MOST)
        if len(labels) != len(images):
            raise DatasetError(
                f"{folder / files[0]} holds {len(images):,} images, {folder / files[1]} {len(labels):,} labels: they "
                f"do not belong together; {_AGAIN}"
            )
        if not 1 <= int(labels.min()) <= int(labels.max()) <= len(self.classes):
            raise DatasetError(f"{folder / files[1]}: a label is out of range 1..{len(self.classes)}; {_AGAIN}")
        if fold is not None:
            chosen = _fold(folder / "fold_indices.txt", fold, len(images))
            images, labels = images[chosen], labels[chosen]
        return images, labels.astype(np.int64) - 1

    def _pixels(self, index: Any) -> np.ndarray:
        return np.moveaxis(np.asarray(self.data)[index], -3, -1)  # (..., 3, H, W) -> (..., H, W, 3)

    def extra_repr(self) -> str:
        """The line with the split."""
        return f"Split: {self.split}"


def _bytes(path: Path, most: int) -> np.ndarray:
    """The bytes of a file, at most so many."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise DatasetError(f"{path}: {size:,} bytes are more than the {most:,} that it may have; {_AGAIN}")
            return np.fromfile(file, np.uint8, size)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error}); check the path and its permissions") from error


def _fold(path: Path, fold: int, images: int) -> np.ndarray:
    """The numbers of the images of a fold: line `fold` of the file."""
    try:
        chosen = np.array([int(word) for word in read_text(path, _TEXT).splitlines()[fold].split()], np.int64)
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise DatasetError(f"{path}: its line {fold + 1} is no list of images ({error}); {_AGAIN}") from error
    if not chosen.size or chosen.min() < 0 or chosen.max() >= images:
        raise DatasetError(f"{path}: line {fold + 1} names images that are not among the {images:,}; {_AGAIN}")
    return chosen
