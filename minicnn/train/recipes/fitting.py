"""A recipe for any net and any dataset that fit each other; if they do not, an error that says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from minicnn_kernels.geometry import counted

from ... import models
from ...autograd import no_grad
from ...datasets.own_images import folder_classes
from ...datasets.registry import FOLDER, TABLE
from ...device import Device
from ...models.registry import MODELS as PUBLISHED
from ...nn import Module
from ...ops.tensor.creation import empty
from ...tensor import Tensor
from .names import MODELS, STATISTICS, SettingError
from .settings import EVAL_BATCH, Recipe, Step

FITTED = "fitted"  # the name of these recipes
_MISFITS = (ValueError, TypeError, RuntimeError, NotImplementedError)  # what a net raises for an input it cannot take
_LARGE = 64  # pixels of a side above which batches are smaller, for the memory they take


class _Images(NamedTuple):
    """What is known about a dataset before its files are read; `photos` may be mirrored, digits may not.

    `side` is None for a folder, whose images may have any size.
    """

    channels: int
    side: int | None
    classes: int
    photos: bool


def fitted_recipe(model: str, dataset: str) -> Recipe:
    """A recipe that trains a net on a dataset with common settings; nobody has tuned it for this pair.

    The net gets as many outputs as there are classes. Images keep their size if the net takes it, which is tried on
    the meta device; else they are resized to the size of the net's publication. Those of a folder, which may have
    any size, are cropped to it. For a net that takes another number of channels and has no option for it, grey images
    are repeated as red, green and blue, or coloured ones made grey.

    Args:
        model: a key of MODELS.
        dataset: a key of DATASETS, or "folder:PATH".

    Raises:
        SettingError: the net does not take images, or its output is not one score per class; the message says what.
        DatasetError: the folder has no classes.
    """
    images, (channels, *size) = _images(dataset), PUBLISHED[MODELS[model]].input_size
    if channels not in (1, 3):
        raise SettingError(
            f"{model} cannot be trained on {dataset}: its input has {counted(channels, 'channel')} of {size[0]} x "
            f"{size[1]} and is no image; the images of {dataset} have {images.channels}"
        )
    notes: list[str] = []
    options: dict[str, Any] = {"num_classes": images.classes}
    if images.channels != channels and _builds(model, {**options, "in_channels": images.channels}):
        options, channels = {**options, "in_channels": images.channels}, images.channels
    colours: tuple[Step, ...] = ()
    if images.channels != channels:
        colours = (("Grayscale", {"num_output_channels": channels}),)
        how = "each grey image is repeated in all of them" if channels == 3 else "colours are made grey"
        notes.append(f"{model} takes {counted(channels, 'channel')}: {how}")
    net = _on_meta(model, options)
    sides, resized = _sides(model, dataset, net, channels, images)
    numbers: Step = ("Normalize", _statistics(dataset, images.channels, channels))
    if images.side is None:
        shorter: Step = ("Resize", {"size": round(max(sides) * 8 / 7)})  # 256 for 224
        steps: tuple[Step, ...] = (("ToTensor", {}), numbers)
        cropping = {
            "augmentation": (*colours, shorter, ("RandomCrop", {"size": list(sides)}), ("RandomHorizontalFlip", {})),
            "evaluation": (*colours, shorter, ("CenterCrop", {"size": list(sides)}), *steps),
        }
    else:
        steps = (*colours, ("ToTensor", {}), *([("Resize", {"size": list(sides)})] if resized else []), numbers)
        border = max(1, images.side // 8 if images.photos else images.side // 14)
        crop: Step = ("RandomCrop", {"size": images.side, "padding": border})
        cropping = {"augmentation": (crop, ("RandomHorizontalFlip", {})) if images.photos else (crop,)}
    if resized:
        notes.append(
            f"{model} cannot take images of {images.side} x {images.side}; they are resized to its published size, "
            f"{sides[0]} x {sides[1]}"
        )
    large, normalised = max(sides) > _LARGE, any("BatchNorm" in type(module).__name__ for module in net.modules())
    batch = 32 if large else 128
    return Recipe(
        name=FITTED,
        model=model,
        dataset=dataset,
        about="common settings, not tuned for this net: SGD with momentum, and a rate that rises and falls to zero",
        epochs=10,
        batch_size=batch,
        optimizer_options={"lr": (0.1 if normalised else 0.02) * batch / 256, "momentum": 0.9, "weight_decay": 5e-4},
        decay="weights",
        schedule="OneCycleLR",
        schedule_options={"pct_start": 0.2, "anneal_strategy": "linear", "cycle_momentum": False},
        model_options=options,
        transforms=steps,
        augment_after=0,
        eval_batch_size=EVAL_BATCH // 8 if large else EVAL_BATCH,
        notes=tuple(notes),
        **cropping,  # type: ignore[arg-type]
    )


def _images(dataset: str) -> _Images:
    if dataset.startswith(FOLDER):
        return _Images(3, None, len(folder_classes(dataset.removeprefix(FOLDER))), True)
    entry = TABLE[dataset]
    return _Images(entry.channels, entry.side, entry.classes, entry.photos)


def _sides(model: str, dataset: str, net: Module, channels: int, images: _Images) -> tuple[tuple[int, int], bool]:
    """Height and width of the images that the net gets, and whether they are resized to that."""
    published = PUBLISHED[MODELS[model]].input_size[1:]
    own = published if images.side is None else (images.side, images.side)
    why = _misfit(net, (channels, *own), images.classes)
    if not why:
        return own, False
    still = _misfit(net, (channels, *published), images.classes)
    if still or images.side is None:
        there = "" if images.side is None else f"; at {images.side} x {images.side}: {why}"
        raise SettingError(f"{model} cannot be trained on {dataset}: {still}{there}")
    return published, True


def _statistics(dataset: str, there: int, channels: int) -> dict[str, list[float]]:
    """The options of Normalize; none if they are still to be computed, by `complete`."""
    if dataset not in STATISTICS:
        return {}
    mean, std = STATISTICS[dataset]
    if there != channels:
        mean, std = [sum(mean) / len(mean)] * channels, [sum(std) / len(std)] * channels
    return {"mean": mean, "std": std}


def _on_meta(model: str, options: Mapping[str, Any]) -> Module:
    try:
        with Device("meta"):
            net: Module = models.get_model_builder(MODELS[model])(**options)
    except ValueError as error:
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise SettingError(f"{model} cannot be built with {given}: {error}") from error
    return net


def _builds(model: str, options: Mapping[str, Any]) -> bool:
    """Whether the net takes these options."""
    try:
        _on_meta(model, options)
    except TypeError:
        return False
    return True


def _misfit(net: Module, size: tuple[int, int, int], classes: int) -> str:
    """Why a net on the meta device cannot be trained on images of this size; empty if it can."""
    net.train()
    try:
        with Device("meta"), no_grad():
            scores = net(empty(2, *size))
    except _MISFITS as error:
        return str(error)
    scores = scores if isinstance(scores, Tensor) else scores[0]  # with auxiliary scores in training
    shape = tuple(scores.shape)
    return "" if shape == (2, classes) else f"its output for 2 images has shape {shape}, not {(2, classes)}"
