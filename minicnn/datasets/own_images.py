"""A folder of the user's own images, for training and test, as people have such folders.

PATH/cat/1.png, PATH/dog/2.jpg ...: every fifth image of a class is for testing.
PATH/train/cat/1.png ... with PATH/test, PATH/val or both beside it: these are the parts; `train` alone is divided.

`ImageFolder` does what torchvision's does. This one also passes over hidden files and folders, which other programs
leave behind, and reads images as `read_image_file` does, so that a net sees the same in training and in
`minicnn predict`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..utils.data.dataset import Subset
from .folder import IMG_EXTENSIONS, ImageFolder, has_file_allowed_extension
from .image_file import read_image_file
from .vision import DatasetError

__all__ = ["OwnImages", "Parts", "folder_classes", "open_folder", "parts_of"]

_TEST_SHARE = 5  # without a folder for test, every fifth image of a class is for testing
_TRAIN = ("train", "training", "train_set", "training_set")  # names of folders; their case does not matter
_TEST = ("test", "testing", "test_set")
_VALIDATION = ("val", "valid", "validation", "validation_set")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_shown_image(path: str) -> bool:
    return not _is_hidden(os.path.basename(path)) and has_file_allowed_extension(path, IMG_EXTENSIONS)


def _load(path: str) -> Any:
    return read_image_file(path).image.convert("RGB")


class OwnImages(ImageFolder):
    """An `ImageFolder` without hidden files and folders, read as `read_image_file` does, as RGB.

    Args:
        root: the folder with a folder for each class.
        transform: a function of the image.

    Raises:
        DatasetError: there is no such folder, fewer than two classes, or a class has no images.
    """

    def __init__(self, root: str | os.PathLike[str], transform: Callable[[Any], Any] | None = None) -> None:
        try:
            super().__init__(root, transform, loader=_load, is_valid_file=_is_shown_image)
        except OSError as error:
            raise DatasetError(str(error)) from error

    def find_classes(self, directory: str | os.PathLike[str]) -> tuple[list[str], dict[str, int]]:
        """The classes and their numbers."""
        names = _class_folders(Path(directory))
        return names, {name: number for number, name in enumerate(names)}


class Parts(NamedTuple):
    """The folders of the parts; `test` and `validation` are None if they are to be taken from `train`."""

    train: Path
    test: Path | None
    validation: Path | None

    @property
    def folders(self) -> list[Path]:
        """Those that are there."""
        return [folder for folder in self if folder is not None]


def parts_of(path: Path) -> Parts:
    """The folders of the parts in a folder of images. If `val` is the only one beside `train`, it is for testing.

    Raises:
        DatasetError: the folder cannot be read, or has no folders.
    """
    by_name = {name.lower(): path / name for name in _folders(path)}
    train, test, validation = (
        next((by_name[name] for name in names if name in by_name), None) for names in (_TRAIN, _TEST, _VALIDATION)
    )
    if train is None or (test is None and validation is None and len(by_name) > 1):  # a class may be named "train"
        return Parts(path, None, None)
    return Parts(train, validation, None) if test is None else Parts(train, test, validation)


def folder_classes(path: str | os.PathLike[str]) -> list[str]:
    """The names of the classes in a folder of images, as `open_dataset` takes it.

    Raises:
        DatasetError: there are fewer than two, or those of its parts differ.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("train/cat", "train/dog", "val/cat", "val/dog"):
    ...         os.makedirs(os.path.join(root, name))
    ...     minicnn.datasets.folder_classes(root)
    ['cat', 'dog']
    """
    first, *others = parts_of(Path(path).expanduser()).folders
    names = _class_folders(first)
    for folder in others:
        if differ := ", ".join(sorted(set(names) ^ set(_class_folders(folder)))):
            raise DatasetError(
                f"{first} and {folder} have different classes: {differ} is in one of them only. Give both the same "
                "folders"
            )
    return names


def open_folder(
    path: Path, train: bool, transform: Callable[[Any], Any] | None = None, *, validation: bool = False
) -> OwnImages | Subset[Any] | None:
    """The training or the test images of a folder; or with `validation` its own validation images, None if it has none.

    Raises:
        DatasetError: as `folder_classes`; or a class has no images, or too few to take some for testing.
    """
    folder_classes(path)
    parts = parts_of(path)
    if validation:
        return None if parts.validation is None else OwnImages(parts.validation, transform)
    if parts.test is not None:
        return OwnImages(parts.train if train else parts.test, transform)
    images = OwnImages(parts.train, transform)
    rank = [0] * len(images.classes)
    chosen = []
    for index, target in enumerate(images.targets):
        if (rank[target] % _TEST_SHARE == _TEST_SHARE - 1) != train:
            chosen.append(index)
        rank[target] += 1
    if not chosen:
        raise DatasetError(f"{path}: too few images; a class needs {_TEST_SHARE} for one of them to be for testing")
    return Subset(images, chosen)


def _folders(path: Path) -> list[str]:
    """The names of the folders in a folder, in their order, without hidden ones."""
    try:
        names = sorted(entry.name for entry in os.scandir(path) if entry.is_dir() and not _is_hidden(entry.name))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error}); check the path") from error
    if not names:
        raise DatasetError(f"{path}: it has no folders; put the images of each class into a folder of their own")
    return names


def _class_folders(path: Path) -> list[str]:
    names = _folders(path)
    if len(names) < 2:
        raise DatasetError(
            f"{path}: it has one folder only, {names[0]}, and a net needs two classes or more to tell apart. If the "
            f"classes are inside, give {path / names[0]}"
        )
    return names
