"""USPS: 9,298 handwritten digits of 16 x 16, from envelopes of the US postal service.

The files are text in the format of LIBSVM, compressed by bzip2. A line is an image:

    label index:value index:value ...

The label is 1 to 10, for the digits 0 to 9; an index is 1 to 256, row by row; a value is from -1, black, to 1, white.
Values that are left out are 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .compressed import opened
from .download import Checksum
from .downloaded import DownloadedDataset, Source
from .mnist import DIGITS
from .vision import DatasetError

__all__ = ["USPS"]

SIDE = 16
_LARGEST = 1 << 26  # bytes of text; the training file has 18 MB
_URL = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"
_REMEDY = "delete it and use download=True"


class USPS(DownloadedDataset):
    """USPS: 7,291 training images and 2,007 test images of the digits 0 to 9, 16 x 16, grey.

    Args:
        root: the folder that holds `usps.bz2` and `usps.t.bz2`, the training and the test images.
            None: the folder that the environment variable MINICNN_DATA names, or its subfolder `usps`.
        train: True for the training images, False for the test images.
        transform, target_transform: functions of the image (PIL, mode "L") and of the target (int).
        download: fetch the file into `root`, checked by MD5: nothing better is published.

    Attributes, as in torchvision: `data` a uint8 array (N, 16, 16), `targets` a list of N numbers. A value v of the
    file, -1 to 1, is the grey 255 (v + 1) / 2, rounded down.

    Raises:
        DatasetError: the file is missing or damaged, or the download failed.

    Source: J. Hull, "A database for handwritten text recognition research", IEEE PAMI 1994; the files,
    https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html.

    >>> train = minicnn.datasets.USPS("data", download=True)  # doctest: +SKIP
    >>> len(train), train.data.shape  # doctest: +SKIP
    (7291, (7291, 16, 16))
    """

    sources = (
        Source("usps.bz2", (f"{_URL}usps.bz2",), Checksum(None, md5="ec16c51db3855ca6c91edd34d0e9b197")),
        Source("usps.t.bz2", (f"{_URL}usps.t.bz2",), Checksum(None, md5="8ea070ee2aca1ac39742fdd1ef5ed118")),
    )
    holding = "usps.bz2 and usps.t.bz2"

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        self.train, self.classes = train, [f"{digit} - {name}" for digit, name in enumerate(DIGITS)]
        source = self.sources[not train]
        if download:
            self.fetch([source])
        (path,) = self.locate(source.name)
        self.data: np.ndarray
        self.targets: list[int]
        self.data, self.targets = _read(path)

    def extra_repr(self) -> str:
        """Nothing, as in torchvision."""
        return ""


def _read(path: Path) -> tuple[np.ndarray, list[int]]:
    """The images (N, 16, 16) and targets of a file."""
    with opened(path, _REMEDY) as stream:
        text = bytearray()  # grows with the text that is there
        while len(text) <= _LARGEST and (piece := stream.read(1 << 20)):
            text += piece
    if len(text) > _LARGEST:
        raise DatasetError(f"{path}: it unpacks to more than {_LARGEST:,} bytes of text; {_REMEDY}")
    lines = bytes(text).split(b"\n")
    if not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DatasetError(f"{path}: no images; {_REMEDY}")
    pixels = np.zeros((len(lines), SIDE * SIDE), np.float32)
    targets = []
    for number, line in enumerate(lines):
        try:
            label, *entries = line.split()
            pairs = [entry.split(b":") for entry in entries]
            index = np.array([int(where) for where, _ in pairs], np.int64) - 1
            values = np.array([value for _, value in pairs], "S").astype(np.float32)
            if not 1 <= int(label) <= 10 or (np.diff(index, prepend=-1, append=SIDE * SIDE) < 1).any():
                raise ValueError("a label is not 1 to 10, or the indices do not rise from 1 to 256")
            if not (np.abs(values) <= 1).all():
                raise ValueError("a value is not from -1 to 1")
        except (ValueError, OverflowError) as error:
            raise DatasetError(f"{path}: line {number + 1} is no image of USPS ({error}); {_REMEDY}") from error
        pixels[number, index] = values
        targets.append(int(label) - 1)
    return ((pixels + 1) / 2 * 255).astype(np.uint8).reshape(-1, SIDE, SIDE), targets  # (N, 256) -> (N, 16, 16)
