"""Datasets under torchvision's names, and `Digits`, which needs no download.

Files:
    vision.py      VisionDataset, ArrayDataset (images in memory, whole batches at once), DatasetError
    digits.py      Digits                   folder.py: ImageFolder, DatasetFolder    fake.py: FakeData
    downloaded.py  DownloadedDataset        where files are looked for; download.py: mirrors, checksums
    mnist.py       MNIST, FashionMNIST, KMNIST       emnist.py: EMNIST      qmnist.py: QMNIST      idx.py: their format
    cifar.py       CIFAR10, CIFAR100        stl10.py: STL10                 archive.py: the chosen files of an archive
    svhn.py        SVHN                     mat.py: its format              usps.py: USPS
    compressed.py  gzip, bzip2 and xz, read within limits
    image_file.py  any image file as grey or RGB; own_images.py: the user's own images, for training and test
    registry.py    the datasets by short names, for the command line
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .cifar import CIFAR10, CIFAR100
from .digits import Digits
from .emnist import EMNIST
from .fake import FakeData
from .folder import DatasetFolder, ImageFolder
from .idx import read_idx
from .mnist import KMNIST, MNIST, FashionMNIST
from .own_images import folder_classes
from .qmnist import QMNIST
from .registry import open_dataset
from .stl10 import STL10
from .svhn import SVHN
from .usps import USPS
from .vision import ArrayDataset, DatasetError, VisionDataset

__all__ = [
    "CIFAR10", "CIFAR100", "EMNIST", "KMNIST", "MNIST", "QMNIST", "STL10", "SVHN", "USPS", "ArrayDataset",
    "DatasetError", "DatasetFolder", "Digits", "FakeData", "FashionMNIST", "ImageFolder", "VisionDataset",
    "folder_classes", "open_dataset", "read_idx",
]  # fmt: skip

_answer(globals())
