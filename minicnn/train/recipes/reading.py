"""Reads the files of recipes, and changes single settings of them.

A file holds settings in TOML, named as the attributes of `Recipe`:

    extends = "resnet-cifar"          # optional: a bundled recipe or a file, whose settings hold unless changed here
    models = ["resnet20", "resnet56"] # optional: for which nets it is; the first is trained unless another is named
    datasets = ["cifar10"]            # optional: for which datasets

    epochs = 50
    [optimizer]
    weight_decay = 5e-4
    [augmentation.RandomCrop]
    padding = 2
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...serialization.files import read_text
from ..runs.config import reason
from .checking import shown
from .names import MODELS, SettingError, UnknownNameError, find, find_dataset
from .options import checked
from .settings import CHAINS, TABLES, Recipe, Step, chain, parse

_LARGEST = 1 << 20  # bytes of a file
_DEEPEST = 10  # files that extend each other


class RecipeFile(NamedTuple):
    """What a file says: its recipe, and the nets and datasets that it is for, those of the recipe first."""

    recipe: Recipe
    models: tuple[str, ...]
    datasets: tuple[str, ...]


def read_file(path: str | Path, bundled: Mapping[str, Path], changes: Mapping[str, Any] | None = None) -> RecipeFile:
    """The recipe of a file.

    Args:
        path: the file.
        bundled: from the names of recipes that a file may extend to their files.
        changes: settings to change, as `settings_of` gives them.

    Raises:
        SettingError: the file cannot be read, or a setting is wrong; the message names the file and the setting.
    """
    path = Path(path)
    data = _data(path, bundled)
    data.setdefault("name", re.sub(r"[^\w.+-]", "-", path.stem) or "recipe")
    try:
        return recipe_of(changed(data, changes or {}))
    except SettingError as error:
        raise type(error)(str(error) if changes else f"{path}: {error}") from error


def recipe_of(data: Mapping[str, Any]) -> RecipeFile:
    """The recipe of a file's data, checked down to the options of every transform.

    Raises:
        SettingError: a setting is wrong.
    """
    settings = dict(data)
    lists = []
    for key, single in (("models", "model"), ("datasets", "dataset")):
        names = settings.pop(key, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise SettingError(f"{key} must be a list of names, got {shown(names)}")
        if names and single not in settings:
            settings[single] = names[0]
        elif names and single == "model" and isinstance(settings[single], Mapping):
            settings[single] = {"name": names[0], **settings[single]}
        lists.append(names)
    recipe = checked(Recipe.from_dict(settings))
    models = [recipe.model, *(find("model", name, MODELS) for name in lists[0])]
    datasets = [recipe.dataset, *(find_dataset(name) for name in lists[1])]
    return RecipeFile(recipe, tuple(dict.fromkeys(models)), tuple(dict.fromkeys(datasets)))


def _data(path: Path, bundled: Mapping[str, Path], below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The settings of a file, and of those that it extends."""
    try:
        text = read_text(path, _LARGEST)
    except (OSError, ValueError) as error:
        raise SettingError(f"{path}: the recipe cannot be read: {reason(error)}") from error
    try:
        data = parse(text)
        extends = data.pop("extends", None)
        if extends is None:
            return data
        base = _base(extends, path, bundled)
        if "\0" in str(base):
            raise SettingError(f"extends: {shown(extends)} is no name of a file")
        if base.resolve() in below or len(below) >= _DEEPEST:
            raise SettingError(f"extends leads in a circle, through {', '.join(one.name for one in below)}")
    except SettingError as error:
        raise type(error)(f"{path}: {error}") from error
    inherited = _data(base, bundled, (*below, path.resolve()))
    try:
        return changed({key: value for key, value in inherited.items() if key != "name"}, data)
    except SettingError as error:
        raise type(error)(f"{path}: {error}") from error


def _base(extends: Any, path: Path, bundled: Mapping[str, Path]) -> Path:
    """The file that a recipe extends: bundled, or beside it."""
    if not isinstance(extends, str):
        raise SettingError(f"extends must be the name of a recipe or a file, got {shown(extends)}")
    if extends in bundled:
        return bundled[extends]
    if is_file_name(extends):
        return path.parent / extends
    raise UnknownNameError(
        f"extends: there is no recipe {shown(extends)}; there are: {', '.join(bundled)}; or name a .toml file"
    )


def is_file_name(name: str) -> bool:
    """Whether this names a file and not a bundled recipe."""
    return name.lower().endswith(".toml") or "/" in name or "\\" in name


# ------------------------------------------------------------------------------------------------ changes of settings


def settings_of(texts: Iterable[str]) -> dict[str, Any]:
    """The settings that texts such as "optimizer.weight_decay=1e-4" change, as nested data.

    A value is TOML; a word that is not, such as in "optimizer.name=Adam", is a text. Of settings that are given twice,
    the last holds.

    Raises:
        SettingError: a text is not KEY=VALUE.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        path = [part.strip() for part in key.split(".")]
        if path[0] == "rates":  # the rest is a pattern, in which there may be dots
            path = ["rates", key.partition(".")[2].strip().strip("\"'")] if "." in key else path
        if not equals or not all(path):
            raise SettingError(
                f"{shown(text)} is not KEY=VALUE: write for example optimizer.weight_decay=1e-4, or augmentation=[]"
            )
        given = _value(text, value.strip())
        if path[0] in TABLES and len(path) == 1 and isinstance(given, str):
            path.append("name")  # optimizer=Adam
        for part in reversed(path[1:]):
            given = {part: given}
        _combine(changes, path[0], given)
    return changes


def _combine(changes: dict[str, Any], key: str, given: Any) -> None:
    """Add a change to earlier ones: tables are united, a list of transforms is changed, all else is replaced."""
    old = changes.get(key)
    if isinstance(old, dict) and isinstance(given, dict):
        for name, inner in given.items():
            _combine(old, name, inner)
    elif key in CHAINS and isinstance(old, list) and isinstance(given, dict):
        changes[key] = _changed_chain(key, chain(key, old), given)
    else:
        changes[key] = given


def _value(text: str, value: str) -> Any:
    """A value in TOML, or a text without quotes."""
    try:
        return tomllib.loads(f"value = {value}")["value"] if "\n" not in value else parse("?")
    except tomllib.TOMLDecodeError as error:
        if re.fullmatch(r"[\w~./\\][\w .:/\\~+-]*", value):
            return value
        raise SettingError(
            f"{shown(text)}: {shown(value)} is no value; write for example 0.1, true, word, [0.5, 0.75] or {{size = 2}}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise SettingError(f"{shown(text)}: the value cannot be read: {str(error)[:100]}") from error


def changed(data: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes.

    In a table, such as `optimizer`, the options that are named change; with another `name` the old options go, which
    were those of something else. Of a list of transforms, a table changes the options of those that it names: one
    that is not in the list is added at the end, and `false` removes one. All else is replaced.

    Raises:
        SettingError: a table of changes for a list of transforms has something else than tables and false.
    """
    new = dict(data)
    for key, value in changes.items():
        old = data.get(key)
        if key in TABLES:
            new[key] = _changed_table(key, old, value)
        elif key in CHAINS and isinstance(value, Mapping):
            new[key] = _changed_chain(key, chain(key, old or []), value)
        elif key == "rates" and isinstance(value, Mapping) and isinstance(old, Mapping):
            new[key] = {**old, **value}
        else:
            new[key] = value
    return new


def _changed_table(key: str, old: Any, value: Any) -> Any:
    """A name with its options after changes; "none" for none of its kind."""
    old, value = ({"name": one} if isinstance(one, str) else one for one in (old, value))
    if not isinstance(value, Mapping):
        return value
    if value.get("name") == "none":
        if len(value) > 1:
            raise SettingError(f"{key} is none, and has no options; leave out {', '.join(value.keys() - {'name'})}")
        return "none"
    if not isinstance(old, Mapping):
        return value
    name = value.get("name", old.get("name"))
    same = str(name).lower() == str(old.get("name")).lower()
    return {**old, **value} if same else dict(value)


def _changed_chain(key: str, old: Iterable[Step], value: Mapping[str, Any]) -> list[Any]:
    """A list of transforms after changes of the options of single ones."""
    steps: list[dict[str, Any]] = [{name: options} for name, options in old]
    for name, options in value.items():
        places = [place for place, one in enumerate(steps) if next(iter(one)).lower() == name.lower()]
        if options is False:
            if not places:
                raise SettingError(f"{key}.{name} = false: there is no {name} in {key} to remove")
            steps = [one for place, one in enumerate(steps) if place not in places]
        elif not isinstance(options, Mapping):
            raise SettingError(f"{key}.{name} must be a table of options, or false, got {shown(options)}")
        elif not places:
            steps.append({name: dict(options)})
        for place in places if isinstance(options, Mapping) else []:
            one = steps[place]
            steps[place] = (
                {name: dict(options)} if isinstance(one, str) else {n: {**o, **options} for n, o in one.items()}
            )
    return steps
