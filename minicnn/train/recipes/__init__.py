"""The bundled recipes, files in this folder: the data, preprocessing, optimiser and epochs that train a net well.

Files:
    settings.py    what a recipe says: Recipe          reading.py     files, and changes on the command line
    names.py       the tables of names in it           checking.py    types, ranges, contradictions
    options.py     the names' options, tried           fitting.py     a recipe for any net and dataset
    building.py    the objects that a recipe names     data.py        its images
    starting.py    weights to start from, new heads
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from .data import complete, is_complete
from .fitting import FITTED, fitted_recipe
from .names import FOLDER, MODELS, SettingError, UnknownNameError, find, find_dataset
from .reading import RecipeFile, changed, is_file_name, read_file, recipe_of
from .settings import Recipe

RECIPES = {  # the first recipe for a model and a dataset is the default
    name: Path(__file__).parent / f"{name}.toml"
    for name in (
        "digits", "lenet5-course", "lenet5", "resnet-cifar-short", "resnet-cifar",
        "vgg-cifar", "wideresnet-cifar-hour", "wideresnet-cifar", "airbench-cifar-hour", "mobilenet-cifar", "alexnet",
        "resnet", "pretrain-digits", "transfer-digits", "transfer-mnist",
    )
}  # fmt: skip
_EARLIER = {"course": "lenet5-course"}  # names that recipes had before


@cache
def bundled(name: str) -> RecipeFile:
    """The bundled recipe of this name."""
    return read_file(RECIPES[name], RECIPES)


def find_recipe(
    model: str | None = None,
    dataset: str | None = None,
    name: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Recipe:
    """The recipe for a model with this dataset and this name; by default the one for LeNet-5 and the bundled digits.

    If there is none for this model and this dataset, `fitted_recipe` makes one, which is named "fitted".

    Args:
        model: a key of MODELS; None: the first that the recipe is for.
        dataset: a key of DATASETS; None: the first that the recipe is for.
        name: of a bundled recipe, or a file of a recipe, which ends in .toml; None: the default for net and dataset.
        changes: settings that are changed, as `settings_of` gives them.

    Raises:
        UnknownNameError: a model, dataset or recipe does not exist, or they do not fit; the message lists all recipes.
        SettingError: the model cannot be trained on this dataset; a file or a setting is wrong.

    >>> recipe = minicnn.train.find_recipe("lenet5", "digits")
    >>> recipe.model, recipe.dataset, recipe.optimizer, recipe.epochs
    ('LeNet5', 'digits', 'SGD', 30)
    """
    changes = dict(changes or {})
    for key in ("models", "datasets", "extends"):
        if key in changes:
            raise SettingError(f"{key} belongs into the file of a recipe; set {key.removesuffix('s')} instead")
    model = None if model is None else find("model", model, MODELS)
    dataset = None if dataset is None else find_dataset(dataset)
    if name is not None and is_file_name(name):
        found = read_file(name, RECIPES)
    else:
        found = _bundled_or_fitted(model, dataset, name)
    for key, wanted, there in (("model", model, found.models), ("dataset", dataset, found.datasets)):
        if wanted is not None and not _is_among(wanted, there):
            raise UnknownNameError(
                f"the recipe {name} is for {_some(there)}, not for {wanted}; if it suits {wanted} too, write a file "
                f'with {key}s = ["{wanted}"] in it, or set {key} with --set'
            )
    recipe = found.recipe
    if model not in (None, recipe.model) or dataset not in (None, recipe.dataset):
        recipe = replace(recipe, model=model or recipe.model, dataset=dataset or recipe.dataset)
    if changes:
        settings = recipe.to_dict()
        if changes.keys() & {"classes", "dataset"}:
            settings["model"].pop("num_classes", None)  # those of the new classes, unless the changes say so
        recipe = recipe_of(changed(settings, changes)).recipe
    return complete(recipe) if is_complete(recipe) else recipe


def _is_among(wanted: str, there: Iterable[str]) -> bool:
    """Whether a recipe is for this net or dataset; one for a folder of images is for any folder."""
    return any(wanted == one or (wanted.startswith(FOLDER) and one.startswith(FOLDER)) for one in there)


def _bundled_or_fitted(model: str | None, dataset: str | None, name: str | None) -> RecipeFile:
    if name is not None:
        name = find("recipe", _EARLIER.get(name.lower(), name), [*RECIPES, FITTED])
    elif model is None and dataset is None:
        name = "digits"
    wanted = model or ("LeNet5" if name in (None, FITTED) else None)
    data = dataset or ("digits" if name in (None, FITTED) else None)
    usual = () if data is not None and data.startswith(FOLDER) else RECIPES  # those for ImageNet are no default
    for one in usual if name is None else [name]:
        if one != FITTED:
            found = bundled(one)
            if (wanted is None or _is_among(wanted, found.models)) and (
                data is None or _is_among(data, found.datasets)
            ):
                return found
    if name in (None, FITTED):
        recipe = fitted_recipe(wanted or "LeNet5", data or "digits")
        return RecipeFile(recipe, (recipe.model,), (recipe.dataset,))
    there = bundled(name)
    own = ", ".join(f"{one!r} on {_some(bundled(one).datasets)}" for one in RECIPES if wanted in bundled(one).models)
    raise UnknownNameError(
        f"there is no recipe {name!r} for {model or 'any net'}{f' on {dataset}' if dataset else ''}; it is for "
        f"{_some(there.models)} on {_some(there.datasets)}; for {wanted} there are: {own + ', and ' if own else ''}"
        f"{FITTED!r} on any dataset that fits; `minicnn recipes` lists all"
    )


def _some(names: Iterable[str]) -> str:
    """At most three different names, and how many more there are."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - 3} more" if len(different) > 3 else ""
    return ", ".join(different[:3]) + more
