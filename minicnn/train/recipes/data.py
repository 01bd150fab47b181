"""The dataset of a recipe: its images, a choice of its classes, and what a recipe takes from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets import DatasetError
from ...datasets.own_images import folder_classes, open_folder
from ...datasets.registry import FOLDER, open_dataset
from ...tensor import Tensor
from ...utils.data import Subset
from .building import build_transform
from .checking import shown
from .names import DATASETS, STATISTICS, SettingError, find, find_dataset
from .settings import CHAINS, Recipe, Step

_PLAIN: Step = ("Normalize", {})  # with the mean and standard deviation of the dataset
_ENOUGH = 5000  # images whose mean and standard deviation stand for those of all


def build_dataset(
    name: str,
    *,
    train: bool,
    steps: Iterable[Step],
    root: str | None = None,
    download: bool = False,
    classes: Sequence[int | str] | None = None,
    validation: bool = False,
) -> Any:
    """The training or test set of a dataset, with the transforms `steps`.

    Args:
        name: a key of DATASETS.
        train: True for the training set, False for the test set.
        steps: names and options of the transforms.
        root: the folder of its files; None: the one that the variable MINICNN_DATA names.
        download: whether missing files are fetched.
        classes: only these classes, by number or name, which get the numbers 0, 1, ... in this order; None: all.
        validation: in place of these sets, the validation images that the dataset brings; None if it brings none. Only
            a folder of images can bring some, in a folder `val` beside `train` and `test`.

    Raises:
        UnknownNameError: no such dataset, transform or class.
        SettingError: a folder or a download for the bundled digits, which need none.
        DatasetError: missing or damaged files.

    >>> len(minicnn.train.build_dataset("digits", train=False, steps=[("ToTensor", {})]))
    360
    >>> digits = minicnn.train.build_dataset("digits", train=False, steps=[("ToTensor", {})], classes=[7, 3])
    >>> len(digits), digits.classes, sorted(set(digits.targets.tolist()))
    (72, ['7', '3'], [0, 1])
    """
    name = find_dataset(name)
    transform = build_transform(steps)
    if name == "digits" and (root is not None or download):
        raise SettingError(
            "the digits are bundled: they need no data folder and no download; leave these out, or choose mnist"
        )
    if name.startswith(FOLDER) and (root is not None or download):
        raise SettingError(f"{name} is the folder itself: leave out the data folder and the download")
    if validation:
        path = Path(name.removeprefix(FOLDER)).expanduser()
        found = open_folder(path, train, transform, validation=True) if name.startswith(FOLDER) else None
        if found is None:
            return None
    else:
        found = open_dataset(name, train, transform, root, download)
    if isinstance(found, Subset):  # a part of a folder
        found = _restricted(found.dataset, np.asarray(found.indices))
    return found if classes is None else choose_classes(found, classes)


def choose_classes(dataset: Any, classes: Sequence[int | str]) -> Any:
    """Keep only the images of some classes of a dataset with `targets` and `classes`; its targets become 0, 1, ...

    Raises:
        UnknownNameError: there is no such class.
        SettingError: the dataset does not say its targets.
    """
    names = [str(one) for one in dataset.classes]
    chosen = [_class_number(one, names) for one in classes]
    if len(set(chosen)) < len(chosen):
        raise SettingError(f"classes: some are given twice in {shown(list(classes))}")
    old = _targets(dataset)
    keep = np.flatnonzero(np.isin(old, chosen))
    number = np.full(len(names), -1)
    number[chosen] = np.arange(len(chosen))
    dataset.classes = [names[one] for one in chosen]
    if "class_to_idx" in vars(dataset):
        dataset.class_to_idx = {name: index for index, name in enumerate(dataset.classes)}
    return _restricted(dataset, keep, number[old[keep]])


def _targets(dataset: Any) -> np.ndarray:
    """The class of each image (N,)."""
    targets = getattr(dataset, "targets", None)
    if targets is None:
        raise SettingError(f"classes: {type(dataset).__name__} has no targets to choose by; leave classes out")
    found = np.asarray(targets.array if isinstance(targets, Tensor) else targets)
    return found[:, 0] if found.ndim == 2 else found  # QMNIST has more about each image


def _restricted(dataset: Any, keep: np.ndarray, targets: np.ndarray | None = None) -> Any:
    """Keep only the images of a dataset at the indices `keep`, and give them new targets."""
    new = _targets(dataset)[keep] if targets is None else targets
    if hasattr(dataset, "samples"):  # an image folder
        dataset.samples = [(dataset.samples[i][0], target) for i, target in zip(keep, new.tolist(), strict=True)]
        dataset.imgs, dataset.targets = dataset.samples, new.tolist()
        return dataset
    dataset.data = dataset.data[keep]
    if hasattr(dataset, "labels"):  # SVHN, STL10
        dataset.labels = new
    elif isinstance(dataset.targets, Tensor) and dataset.targets.ndim == 2:
        rows = dataset.targets.array[keep]
        rows[:, 0] = new
        dataset.targets = Tensor(rows)
    else:
        dataset.targets = Tensor(new) if isinstance(dataset.targets, Tensor) else new.tolist()
    return dataset


def _class_number(one: int | str, names: list[str]) -> int:
    if isinstance(one, str):
        return names.index(find("class", one, names))
    if not 0 <= one < len(names):
        raise SettingError(
            f"there is no class {one}: the dataset has the classes 0 to {len(names) - 1}, {shown(names)}"
        )
    return one


def complete(recipe: Recipe, root: str | None = None, download: bool = False) -> Recipe:
    """The recipe, with what it takes from its dataset written out.

    This is the number of classes, which the net gets as `num_classes`, and, for a "Normalize" without options, the mean
    and the standard deviation of the training images: the table's, or else computed from 5,000 of them. Files are read
    only if a number is not known without them.

    Raises:
        SettingError: the net has too few outputs for the classes.
        DatasetError: missing or damaged files.

    >>> recipe = minicnn.train.Recipe.from_toml('''
    ...     name = "mine"
    ...     model = "LeNet5"
    ...     dataset = "digits"
    ...     classes = [0, 1]
    ...     transforms = ["ToTensor", {Resize = {size = [32, 32]}}, "Normalize"]
    ...     optimizer = {name = "SGD", lr = 0.1}
    ...     epochs = 1
    ...     batch_size = 10
    ... ''')
    >>> recipe = minicnn.train.complete(recipe)
    >>> recipe.model_options, recipe.transforms[2]
    ({'num_classes': 2}, ('Normalize', {'mean': [0.3053], 'std': [0.376]}))
    """
    known = DATASETS.get(recipe.dataset)
    source: dict[str, Any] = {"root": root, "download": download, "classes": recipe.classes}
    if recipe.classes is not None:
        count = len(recipe.classes)
    else:
        count = known.classes if known is not None else len(folder_classes(recipe.dataset.removeprefix(FOLDER)))
    outputs = recipe.model_options.get("num_classes", count)
    if type(outputs) is int and outputs < count:
        choose = f"leave it out, or choose {outputs} classes" if outputs > 1 else "or leave it out"
        raise SettingError(
            f"model.num_classes is {outputs}, but {recipe.dataset} has {count} classes: set it to {count}, {choose}"
        )
    new = replace(recipe, model_options={**recipe.model_options, "num_classes": outputs})
    if _PLAIN not in (*new.transforms, *new.augmentation, *new.evaluation):
        return new
    if _PLAIN not in new.eval_transforms:
        raise SettingError('"Normalize" without mean and std must be among the transforms of images that are evaluated')
    before = new.eval_transforms[: new.eval_transforms.index(_PLAIN)]
    mean, std = _statistics(recipe.dataset, before, source)
    filled: Step = ("Normalize", {"mean": mean, "std": std})
    chains: dict[str, Any] = {
        key: tuple(filled if step == _PLAIN else step for step in getattr(new, key)) for key in CHAINS
    }
    return replace(new, **chains)


def is_complete(recipe: Recipe) -> bool:
    """Whether `complete` would read no file."""
    plain = any(_PLAIN in getattr(recipe, key) for key in CHAINS)
    grey = any(name == "Grayscale" for name, _ in recipe.eval_transforms)
    return recipe.dataset in DATASETS and (not plain or (recipe.dataset in STATISTICS and not grey))


def _statistics(name: str, steps: tuple[Step, ...], source: dict[str, Any]) -> tuple[list[float], list[float]]:
    """The mean and the standard deviation of each channel of the training images after `steps`, with four digits."""
    if name in STATISTICS and not any(step == "Grayscale" for step, _ in steps):
        mean, std = STATISTICS[name]
        return list(mean), list(std)
    images = build_dataset(name, train=True, steps=steps, **source)
    if not len(images):
        raise DatasetError(f"{name}: there are no training images")
    chosen = np.unique(np.linspace(0, len(images) - 1, min(_ENOUGH, len(images))).astype(int))
    count = 0
    total: Any = 0.0
    squares: Any = 0.0
    for index in chosen.tolist():
        image = images[index][0]
        if not isinstance(image, Tensor) or image.ndim != 3:
            raise SettingError('"Normalize" needs tensors: put "ToTensor" before it')
        values = image.array.astype(np.float64)  # (C, H, W): images may differ in size
        count += values[0].size
        total, squares = total + values.sum(axis=(1, 2)), squares + (values**2).sum(axis=(1, 2))
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return [round(float(one), 4) for one in mean], [max(round(float(one), 4), 1e-4) for one in std]
