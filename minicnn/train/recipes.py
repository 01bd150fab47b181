"""Recipes: the data, preprocessing, optimiser and epochs that train a net well.

For a net and a dataset without a recipe of their own, `fitting.py` makes one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .fitting import FITTED, fitted_recipe
from .settings import DATASETS, MODELS, STATISTICS, Recipe, UnknownNameError, find


def _resnet_cifar(model: str, dataset: str) -> tuple[Recipe, Recipe]:
    """The short recipe of a CIFAR ResNet, which is its default, and that of its paper."""
    mean, std = STATISTICS[dataset]
    paper = Recipe(
        name="resnet-cifar",
        model=model,
        dataset=dataset,
        about="the ResNet paper, section 4.2: 64k steps, a tenth of the rate after a half and three quarters of them, "
        "crops of images padded by 4, and flips; channels are normalised, where the paper subtracts a mean per pixel. "
        "The paper's ResNet-20 reaches 91.25 % on CIFAR-10; its ResNet-110 starts at a rate of 0.01 for 400 steps",
        epochs=164,
        batch_size=128,
        optimizer_options={"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
        schedule="MultiStepLR",
        schedule_options={"milestones": [0.5, 0.75], "gamma": 0.1},
        model_options={"num_classes": 100 if dataset == "cifar100" else 10},
        transforms=(("ToTensor", {}), ("Normalize", {"mean": mean, "std": std})),
        augmentation=(("RandomCrop", {"size": 32, "padding": 4}), ("RandomHorizontalFlip", {})),
        augment_first=True,
    )
    short = replace(
        paper,
        name="resnet-cifar-short",
        about="ten epochs for a machine with few cores: the rate rises to its largest value and falls to zero",
        epochs=10,
        optimizer_options={"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4},
        decay="weights",
        schedule="OneCycleLR",
        schedule_options={"pct_start": 0.2, "anneal_strategy": "linear", "cycle_momentum": False},
    )
    return short, paper


CIFAR_RESNETS = (
    *(f"resnet{depth}" for depth in (20, 32, 44, 56, 110, 1202)),
    *(f"plain{depth}" for depth in (20, 32, 44, 56, 110)),
)

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
    *(
        recipe
        for model in CIFAR_RESNETS
        for dataset in ("cifar10", "cifar100")
        for recipe in _resnet_cifar(model, dataset)
    ),
)


def find_recipe(model: str = "LeNet5", dataset: str | None = None, name: str | None = None) -> Recipe:
    """The recipe for a model with this dataset and this name; by default the one for the bundled digits.

    If there is none for this model and this dataset, `fitted_recipe` makes one, which is named "fitted".

    Raises:
        UnknownNameError: a model, dataset or recipe does not exist, or they do not fit; the message lists all recipes.
        SettingError: the model cannot be trained on this dataset.

    >>> recipe = minicnn.train.find_recipe("lenet5", "digits")
    >>> recipe.model, recipe.dataset, recipe.optimizer, recipe.epochs
    ('LeNet5', 'digits', 'SGD', 30)
    """
    model = find("model", model, MODELS)
    if dataset is not None or name is None:
        dataset = find("dataset", dataset or "digits", DATASETS)
    if name is not None:
        name = find("recipe", name, [*dict.fromkeys(recipe.name for recipe in RECIPES), FITTED])
    for recipe in RECIPES:
        if recipe.model == model and dataset in (None, recipe.dataset) and name in (None, recipe.name):
            return recipe
    if name in (None, FITTED):
        return fitted_recipe(model, dataset or "digits")
    there: dict[str, list[Recipe]] = {}
    for recipe in RECIPES:
        there.setdefault(recipe.name, []).append(recipe)
    listed = "; ".join(
        f"{one!r} for {_some(recipe.model for recipe in recipes)} on {_some(recipe.dataset for recipe in recipes)}"
        for one, recipes in there.items()
    )
    raise UnknownNameError(
        f"there is no recipe {name!r} for {model}{f' on {dataset}' if dataset else ''}; there are: {listed}; and "
        f"{FITTED!r} for any net and dataset that fit each other"
    )


def _some(names: Iterable[str]) -> str:
    """At most three different names, and how many more there are."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - 3} more" if len(different) > 3 else ""
    return ", ".join(different[:3]) + more
