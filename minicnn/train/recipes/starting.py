"""The weights that a training starts with: another training's, with a new head, some of them frozen or computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import serialization
from ...nn import Module
from ...serialization.source import CheckpointError
from ...tensor import Tensor
from ...utils.data import DataLoader, Subset
from ..freezing import freeze
from ..heads import replace_head
from ..runs.run import WEIGHTS
from ..whitening import whiten_first_layer
from .checking import shown
from .names import SettingError
from .settings import Recipe


def prepare_weights(model: Module, recipe: Recipe, *, load: bool = True) -> None:
    """Do with a fresh net what the recipe's `head`, `weights` and `freeze` say.

    Args:
        model: the net, with random weights.
        recipe: the settings.
        load: whether weights are read; False if a checkpoint gives them later.

    Raises:
        SettingError: the net has no head that can be replaced, or a pattern fits nothing.
        CheckpointError: the weights cannot be read, or are not those of such a net.
    """
    try:
        heads = _heads(model, recipe) if recipe.head else []
        if load and recipe.weights is not None:
            take_weights(model, recipe.weights, but=heads)
        if recipe.freeze:
            freeze(model, recipe.freeze)
            if not any(parameter.requires_grad for parameter in model.parameters()):
                raise SettingError(f"freeze: {shown(list(recipe.freeze))} fits every parameter, and none is trained")
    except (ValueError, TypeError) as error:
        raise SettingError(str(error)) from error


def whiten(model: Module, recipe: Recipe, images: Any) -> None:
    """Compute the first layer from the first images of a training set, where the recipe's `whiten` says how many.

    Raises:
        SettingError: there are fewer images, or the net has no layer that can be computed.
    """
    if not recipe.whiten:
        return
    if recipe.whiten > len(images):
        raise SettingError(f"whiten = {recipe.whiten:,}, but only {len(images):,} images are trained with: lower it")
    loader: DataLoader[Any] = DataLoader(Subset(images, range(recipe.whiten)), recipe.whiten, seed=0)
    first = next(iter(loader))[0]
    try:
        whiten_first_layer(model, first)
    except ValueError as error:
        raise SettingError(f"whiten: {error}") from error


def take_weights(model: Module, source: str, but: list[str]) -> None:
    """Copy weights into a net, all but those of some layers.

    Args:
        model: the net.
        source: a run folder, or a file of weights.
        but: names of layers that keep their own.

    Raises:
        CheckpointError: the source cannot be read, or its names or shapes are others.
    """
    path = Path(source).expanduser()
    file = path / WEIGHTS if path.is_dir() else path
    try:
        found = serialization.load(file, map_location="cpu")
    except OSError as error:
        raise CheckpointError(
            f"weights {file}: cannot be read ({error.strerror}); give a run folder or a file of weights"
        ) from error
    wanted = {name: value for name, value in model.state_dict().items() if not _inside(name, but)}
    if not isinstance(found, dict):
        raise CheckpointError(f"weights {file}: not the state dict of a net; save net.state_dict() in it")
    given = {name: value for name, value in found.items() if not _inside(str(name), but)}
    wrong = [f"{name!r} is missing" for name in wanted if name not in given]
    wrong += [f"{name!r} is not in the net" for name in given if name not in wanted]
    for name, value in given.items():
        if name in wanted and (not isinstance(value, Tensor) or value.shape != wanted[name].shape):
            wrong.append(f"{name!r} has shape {getattr(value, 'shape', None)}, the net's {wanted[name].shape}")
    if wrong:
        hint = "" if but else "; with head = true the last layer is new, and may have another size"
        raise CheckpointError(f"weights {file}: they do not fit the {type(model).__name__}: {wrong[0]}{hint}")
    model.load_state_dict(given, strict=False)


def _heads(model: Module, recipe: Recipe) -> list[str]:
    """Replace the last layer, and those of auxiliary heads; their names."""
    return [head.name for head in replace_head(model, recipe.model_options["num_classes"])]


def _inside(name: str, layers: list[str]) -> bool:
    return any(name.startswith(f"{layer}.") for layer in layers)
