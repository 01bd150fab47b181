"""The images that a recipe trains with, those that it validates with, and those of the test."""

from __future__ import annotations

import copy
import hashlib
import os
from typing import Any, NamedTuple

import numpy as np

from ..tensor import Tensor
from ..utils.data import Subset, stratified_split
from .recipes.data import build_dataset
from .recipes.names import SettingError
from .recipes.settings import Recipe

SPLIT_SEED = 0  # of the validation images: the same ones for every seed of a training, so that seeds compare


class Images(NamedTuple):
    """Three datasets; `val` is None without validation, and `test` itself for the curve of a course."""

    train: Any
    val: Any
    test: Any


def load_images(recipe: Recipe, root: str | None, download: bool) -> Images:
    """The datasets of a recipe. The held-out images are not augmented.

    Args:
        recipe: says which dataset, classes, transforms, how many images, and the share that is held out.
        root: the folder of the dataset's files.
        download: whether missing files are fetched.

    Raises:
        DatasetError: files are missing or damaged.
        SettingError: the share holds out none of the images, or all; there are fewer images than wanted.

    >>> from minicnn.train.images import load_images
    >>> [len(part) for part in load_images(minicnn.train.find_recipe(), None, False)]
    [1293, 144, 360]
    """
    source: dict[str, Any] = {"root": root, "download": download, "classes": recipe.classes}
    whole = build_dataset(recipe.dataset, train=True, steps=recipe.train_transforms, **source)
    test = build_dataset(recipe.dataset, train=False, steps=recipe.eval_transforms, **source)
    train: Any = whole
    if recipe.train_size is not None and recipe.train_size > len(whole):
        raise SettingError(
            f"train_size = {recipe.train_size:,}, but {recipe.dataset} has {len(whole):,} training images: leave "
            "train_size out for all of them"
        )
    if recipe.train_size is not None and recipe.train_size < len(whole):
        _, train = stratified_split(whole, recipe.train_size / len(whole), SPLIT_SEED)
    if recipe.validation == "test":
        return Images(train, test, test)
    if isinstance(recipe.validation, str) or not recipe.validation:
        return Images(train, None, test)
    own = build_dataset(recipe.dataset, train=False, steps=recipe.eval_transforms, validation=True, **source)
    if own is not None:  # a folder with validation images of its own
        return Images(train, own, test)
    _check_split(recipe.validation, len(train))
    rest, held_out = stratified_split(train, recipe.validation, SPLIT_SEED)
    plain = copy.copy(whole)  # the same images, without augmentation
    plain.transform = test.transform
    return Images(_of(whole, rest), _of(plain, held_out), test)


def fingerprint(*datasets: Any) -> str:
    """A hash of the images and targets of datasets: of the pixels in memory, or else of the names and sizes of files.

    Datasets that have neither `data` nor `samples` count with their length.

    >>> from minicnn.train.images import fingerprint
    >>> digits, test = minicnn.datasets.Digits(), minicnn.datasets.Digits(train=False)
    >>> fingerprint(digits) == fingerprint(minicnn.datasets.Digits()), fingerprint(digits) == fingerprint(test)
    (True, False)
    """
    found = hashlib.blake2b(digest_size=16)
    for dataset in datasets:
        while isinstance(dataset, Subset):
            found.update(np.asarray(dataset.indices).data)
            dataset = dataset.dataset
        if (data := getattr(dataset, "data", None)) is not None:
            for values in (data, dataset.targets):
                found.update(np.ascontiguousarray(values.array if isinstance(values, Tensor) else values).data)
        elif (samples := getattr(dataset, "samples", None)) is not None:
            for path, target in samples:
                name = os.fsencode(os.path.relpath(path, dataset.root))  # a name on a disk may be no text
                found.update(name + b" %d %d\n" % (os.path.getsize(path), target))
        found.update(b"%d" % (0 if dataset is None else len(dataset)))
    return found.hexdigest()


def _check_split(share: float, images: int) -> None:
    """Refuse a share of the training images that holds out none of them, or all."""
    held_out = int(share * images + 0.5)
    if not 0 < held_out < images:
        raise SettingError(
            f"validation = {share} holds out {held_out} of {images} training images, and leaves none to train with or "
            "none to judge by; change validation, 0 for none, or take more images (train_size)"
        )


def _of(images: Any, part: Subset[Any]) -> Subset[Any]:
    """The same images as those of a part, which may be a part of a part, taken from `images` itself."""
    indices = list(part.indices)
    while isinstance(part.dataset, Subset):
        part = part.dataset
        indices = [part.indices[index] for index in indices]
    return Subset(images, indices)
