"""Recipes: the data, preprocessing, optimiser and epochs that train a net well; and functions that build these objects.

A recipe holds names, not objects, so that it can be written to a run's config.json and read back. The names are looked
up in fixed tables: reading a config can never import or run anything else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import datasets, models, nn, optim, transforms
from ..datasets import MNIST, Digits
from ..nn import Module

Step = tuple[str, Mapping[str, Any]]  # the name of a transform and its arguments

EVAL_BATCH = 200  # test images; a constant, since another size could change the last bits of the scores


@dataclass(frozen=True)
class Recipe:
    """Everything needed to train a net on a dataset, except the seed and the backend.

    `model`, `dataset`, `optimizer`, `loss` and the transforms' names are keys of the tables below; `about` says where
    the recipe comes from and what accuracy it reaches. `device` is where the net is trained: "cpu", or a GPU, "cuda".
    """

    name: str
    model: str
    dataset: str
    about: str
    epochs: int
    batch_size: int
    optimizer_options: Mapping[str, Any]
    optimizer: str = "SGD"
    loss: str = "CrossEntropyLoss"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    transforms: tuple[Step, ...] = (("ToTensor", {}), ("Resize", {"size": [32, 32]}))
    augmentation: tuple[Step, ...] = ()  # further transforms, of the training images only
    device: str = "cpu"


RECIPES = (  # the first recipe for a model and a dataset is the default
    Recipe(
        name="digits",
        model="LeNet5",
        dataset="digits",
        about="LeNet-5 on the bundled 8x8 digits, shifted by up to 2 of 32 pixels: above 97 % in seconds",
        epochs=30,
        batch_size=50,
        optimizer_options={"lr": 0.05, "momentum": 0.9},
        augmentation=(("RandomCrop", {"size": 32, "padding": 2}),),
        model_options={"num_classes": 10, "activation": "tanh", "pool": "max"},
    ),
    Recipe(
        name="course",
        model="LeNet5",
        dataset="mnist",
        about="the courses' LeNet-5 on MNIST: plain gradient descent, no normalisation; reaches about 96.5 %",
        epochs=10,
        batch_size=100,
        optimizer_options={"lr": 0.01, "momentum": 0.0},
        model_options={"num_classes": 10, "activation": "tanh", "pool": "max"},
    ),
)

DATASETS: dict[str, Any] = {"digits": Digits, "mnist": MNIST}
MODELS: dict[str, Any] = {name: getattr(models, name) for name in models.__all__}
LOSSES: dict[str, Any] = {  # of scores (N, classes) and targets (N,)
    name: getattr(nn, name) for name in ("CrossEntropyLoss", "MultiMarginLoss", "NLLLoss")
}
OPTIMIZERS: dict[str, Any] = {
    name: getattr(optim, name) for name in optim.__all__ if name[0].isupper() and name not in ("LBFGS", "Optimizer")
}
TRANSFORMS: dict[str, Any] = {
    name: getattr(transforms, name)
    for name in transforms.__all__
    if name[0].isupper() and name not in ("Compose", "InterpolationMode", "Lambda", "Transform")
}


class SettingError(ValueError):
    """Settings that contradict each other or do not exist. The message says what to change."""


class UnknownNameError(SettingError):
    """A name that is not in the tables; the message lists the known names."""


def find(kind: str, name: str, known: Iterable[str]) -> str:
    """The entry of `known` that equals `name` if upper and lower case are ignored.

    Raises:
        UnknownNameError: there is none; the message lists the known names and suggests the nearest one.
    """
    by_lower = {entry.lower(): entry for entry in known}
    if (found := by_lower.get(name.lower())) is not None:
        return found
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    hint = f" Did you mean {by_lower[near[0]]!r}?" if near else ""
    raise UnknownNameError(f"unknown {kind} {name!r}; there are: {', '.join(by_lower.values())}.{hint}")


def find_recipe(model: str = "LeNet5", dataset: str | None = None, name: str | None = None) -> Recipe:
    """The recipe for a model with this dataset and this name; by default the one for the bundled digits.

    Raises:
        UnknownNameError: a model, dataset or recipe does not exist, or they do not fit; the message lists all recipes.
    """
    model = find("model", model, MODELS)
    if dataset is not None or name is None:
        dataset = find("dataset", dataset or "digits", DATASETS)
    if name is not None:
        name = find("recipe", name, [recipe.name for recipe in RECIPES])
    for recipe in RECIPES:
        if recipe.model == model and dataset in (None, recipe.dataset) and name in (None, recipe.name):
            return recipe
    wanted = "recipe" if name is None else f"recipe {name!r}"
    there = "; ".join(f"{recipe.name!r} for {recipe.model} on {recipe.dataset}" for recipe in RECIPES)
    raise UnknownNameError(f"there is no {wanted} for {model}{f' on {dataset}' if dataset else ''}; there are: {there}")


def build_model(name: str, options: Mapping[str, Any] | None = None) -> Module:
    """A net with fresh weights from the default generator: `build_model("lenet5", {"activation": "relu"})`.

    Raises:
        UnknownNameError: no such model.
        ValueError, TypeError: options that the model does not take.
    """
    model: Module = MODELS[find("model", name, MODELS)](**(options or {}))
    return model


def build_loss(name: str) -> Module:
    """A loss function of (scores, targets).

    Raises:
        UnknownNameError: no such loss.
    """
    loss: Module = LOSSES[find("loss", name, LOSSES)]()
    return loss


def build_dataset(
    name: str, *, train: bool, steps: Iterable[Step], root: str | None = None, download: bool = False
) -> Any:
    """The training or test set of a dataset, with the transforms `steps`.

    Raises:
        UnknownNameError: no such dataset or transform.
        SettingError: a folder or a download for the bundled digits, which need none.
        DatasetError: missing or damaged files.
    """
    name = find("dataset", name, DATASETS)
    chain = [TRANSFORMS[find("transform", step, TRANSFORMS)](**arguments) for step, arguments in steps]
    transform = transforms.Compose(chain)
    if DATASETS[name] is Digits:
        if root is not None or download:
            raise SettingError(
                "the digits are bundled: they need no data folder and no download; leave these out, or choose mnist"
            )
        return datasets.Digits(train=train, transform=transform)
    return DATASETS[name](root, train=train, transform=transform, download=download)


def build_optimizer(name: str, model: Module, options: Mapping[str, Any]) -> Any:
    """An optimiser for all parameters of the net.

    Raises:
        UnknownNameError: no such optimiser.
        ValueError: an option is out of range.
    """
    return OPTIMIZERS[find("optimizer", name, OPTIMIZERS)](model.parameters(), **options)
