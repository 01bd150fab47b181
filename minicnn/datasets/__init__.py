"""Datasets under torchvision's names, and `Digits`, which needs no download.

Files:
    vision.py      VisionDataset, ArrayDataset (images in memory, whole batches at once), DatasetError
    digits.py      Digits
    mnist.py       MNIST      idx.py: its file format      download.py: mirrors, hash, atomic rename
    cifar.py       CIFAR10, CIFAR100                       archive.py: the chosen files of a .tar.gz
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .cifar import CIFAR10, CIFAR100
from .digits import Digits
from .idx import read_idx
from .mnist import MNIST
from .vision import ArrayDataset, DatasetError, VisionDataset

__all__ = ["CIFAR10", "CIFAR100", "MNIST", "ArrayDataset", "DatasetError", "Digits", "VisionDataset", "read_idx"]

_answer(globals())
