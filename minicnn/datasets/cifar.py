"""CIFAR-10 and CIFAR-100: 60,000 colour photos of 32 x 32, from the binary version of their files.

A file is a row of records, one per image, without a header:

    CIFAR-10    1 byte     the class, 0..9                       CIFAR-100    1 byte    the group of classes, 0..19
                                                                              1 byte    the class, 0..99
                3,072      the red, green and blue pixels, each          3,072 bytes    the pixels, likewise
                bytes      32 x 32, row by row

The Python version of the same images is a set of pickles. Unpickling a file can run any program that is hidden in it,
so those files are never read.

Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..serialization.files import open_regular
from .download import Checksum
from .downloaded import ArchivedDataset, Member, Source
from .vision import DatasetError

__all__ = ["CIFAR10", "CIFAR100"]

SIDE, PIXELS = 32, 3 * 32 * 32


def _members(record: int, *files: tuple[str, int, str]) -> tuple[Member, ...]:
    """Files, each with its number of images and the SHA-256 of its original content."""
    return tuple(Member(name, Checksum(images * record, sha256)) for name, images, sha256 in files)


class CIFAR10(ArchivedDataset):
    """CIFAR-10: 50,000 training images and 10,000 test images, in colour, 32 x 32, of ten classes.

    Args:
        root: the folder that holds `cifar-10-batches-bin`, or the six files themselves.
            None: the folder that the environment variable MINICNN_DATA names, or its subfolder `cifar10`.
        train: True for the training images, False for the test images.
        transform, target_transform: functions of the image (PIL, mode "RGB") and of the target (int).
        download: fetch the archive and unpack its files into `root`, if files are missing or damaged. The archive is
            checked by SHA-256 before it is opened. An archive that is there already is used.

    Attributes, as in torchvision: `data` a uint8 array (N, 32, 32, 3), `targets` a list of N numbers, `classes` the
    classes' names, `class_to_idx`.

    Without `download`, the files are checked for their structure (whole records, classes in range), not for their
    content: other images in the same format, or fewer of them, may be used too.

    Raises:
        DatasetError: files are missing or damaged, only the Python version is there, or the download failed.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html.

    >>> train = minicnn.datasets.CIFAR10("data", download=True)  # doctest: +SKIP
    >>> len(train), train.data.shape, train.classes[:3]  # doctest: +SKIP
    (50000, (50000, 32, 32, 3), ['airplane', 'automobile', 'bird'])
    """

    sources = (
        Source(
            "cifar-10-binary.tar.gz",
            (
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/cifar-10-binary.tar.gz",
                "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",
            ),
            Checksum(170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
        ),
    )
    base_folder = "cifar-10-batches-bin"
    train_list: ClassVar[Sequence[Member]] = _members(
        3073,
        ("data_batch_1.bin", 10_000, "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        ("data_batch_2.bin", 10_000, "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        ("data_batch_3.bin", 10_000, "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        ("data_batch_4.bin", 10_000, "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        ("data_batch_5.bin", 10_000, "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
    )
    test_list: ClassVar[Sequence[Member]] = _members(
        3073, ("test_batch.bin", 10_000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b")
    )
    members = (*train_list, *test_list)
    holding = "the folder cifar-10-batches-bin"
    label_counts: ClassVar[Sequence[int]] = (10,)  # of each byte before the pixels; the last is the class
    names: ClassVar[Sequence[str]] = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    pickled: ClassVar[Sequence[str]] = ("cifar-10-batches-py", "cifar-10-python.tar.gz", "data_batch_1")

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        self.train, self.classes = train, list(self.names)
        if download:
            self.download()
        wanted = [file.name for file in (self.train_list if train else self.test_list)]
        folder = self.together(wanted)
        parts = [self._read(folder / name) for name in wanted]
        self.data: np.ndarray = np.concatenate([pixels for pixels, _ in parts])
        self.targets: list[int] = np.concatenate([labels for _, labels in parts]).tolist()

    def _hint(self) -> str:
        """A sentence, if the folders hold the Python version."""
        for folder in self.folders():
            for name in self.pickled:
                if (folder / name).exists():
                    return (
                        f"({folder / name} is of the Python version, whose files are pickles: reading one can run any "
                        f"program hidden in it, so minicnn reads the binary version only ({self.sources[0].name})), "
                    )
        return ""

    @property
    def _record(self) -> int:
        """The bytes of a record."""
        return len(self.label_counts) + PIXELS

    def _read(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """The pixels (N, 32, 32, 3) and classes (N,) of a file."""
        again = f"delete it and use download=True, or unpack {self.sources[0].name} again"
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                limit = max(one.checksum.size or 0 for one in self.members)
                content = file.read(min(size, limit) + 1)
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error}); check the path and its permissions") from error
        if not content or len(content) % self._record or len(content) > limit:
            raise DatasetError(
                f"{path}: {size:,} bytes are not 1 to {limit // self._record:,} records of {self._record:,}; it is cut "
                f"off, or not a file of {type(self).__name__}; {again}"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, self._record)
        for position, count in enumerate(self.label_counts):
            if (largest := int(records[:, position].max())) >= count:
                raise DatasetError(
                    f"{path}: byte {position} of a record is {largest}, but should be a class from 0 to {count - 1}; "
                    f"it is damaged, or not a file of {type(self).__name__}; {again}"
                )
        labels = len(self.label_counts)
        planes = records[:, labels:].reshape(-1, 3, SIDE, SIDE)  # (N, 3072) -> (N, C, H, W)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, labels - 1]


class CIFAR100(CIFAR10):
    """CIFAR-100: 50,000 training images and 10,000 test images, in colour, 32 x 32, of a hundred classes.

    The arguments and attributes are those of `CIFAR10`; the files are in `cifar-100-binary`, below the folder that
    MINICNN_DATA names or its subfolder `cifar100`. The hundred classes are the targets; the twenty groups of five
    classes each, which the files have too, are not kept.

    >>> train = minicnn.datasets.CIFAR100("data", download=True)  # doctest: +SKIP
    >>> len(train), len(train.classes)  # doctest: +SKIP
    (50000, 100)
    """

    sources = (
        Source(
            "cifar-100-binary.tar.gz",
            (
                "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
                "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/cifar-100-binary.tar.gz",
            ),
            Checksum(168_513_733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"),
        ),
    )
    base_folder = "cifar-100-binary"
    train_list = _members(
        3074, ("train.bin", 50_000, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29")
    )
    test_list = _members(3074, ("test.bin", 10_000, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"))
    members = (*train_list, *test_list)
    holding = "the folder cifar-100-binary"
    label_counts = (20, 100)
    names = (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
        "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
        "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
        "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
        "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
        "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
        "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
        "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel",
        "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
        "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    )  # fmt: skip
    pickled = ("cifar-100-python", "cifar-100-python.tar.gz")
