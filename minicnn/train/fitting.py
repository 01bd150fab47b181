"""A recipe for any net and any dataset that fit each other; if they do not, an error that says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from minicnn_kernels.geometry import counted

from .. import models
from ..autograd import no_grad
from ..device import Device
from ..models.registry import MODELS as PUBLISHED
from ..nn import Module
from ..ops.tensor.creation import empty
from ..tensor import Tensor
from .names import MODELS, STATISTICS, SettingError
from .settings import EVAL_BATCH, Recipe, Step

FITTED = "fitted"  # the name of these recipes
_MISFITS = (ValueError, TypeError, RuntimeError, NotImplementedError)  # what a net raises for an input it cannot take
_LARGE = 64  # pixels of a side above which batches are smaller, for the memory they take


class _Images(NamedTuple):
    """What is known about a dataset before its files are read; `photos` may be mirrored, digits may not."""

    channels: int
    side: int
    classes: int
    photos: bool


IMAGES = {
    "digits": _Images(1, 8, 10, False),
    "mnist": _Images(1, 28, 10, False),
    "cifar10": _Images(3, 32, 10, True),
    "cifar100": _Images(3, 32, 100, True),
}


def known_images(dataset: str) -> _Images | None:
    """What is known about a dataset without its files; None for a folder of images."""
    return IMAGES.get(dataset)


def fitted_recipe(model: str, dataset: str) -> Recipe:
    """A recipe that trains a net on a dataset with common settings; nobody has tuned it for this pair.

    The net gets as many outputs as there are classes. Images keep their size if the net takes it, which is tried on
    the meta device; else they are resized to the size of the net's publication. For a net that takes
    another number of channels and has no option for it, grey images are repeated as red, green and blue, or coloured
    ones made grey.

    Args:
        model: a key of MODELS.
        dataset: a key of DATASETS.

    Raises:
        SettingError: the net does not take images, or its output is not one score per class; the message says what.
    """
    images, published = IMAGES[dataset], PUBLISHED[MODELS[model]]
    channels, *size = published.input_size
    if channels not in (1, 3):
        raise SettingError(
            f"{model} cannot be trained on {dataset}: its input has {counted(channels, 'channel')} of {size[0]} x "
            f"{size[1]} and is no image; the images of {dataset} have {images.channels}"
        )
    notes: list[str] = []
    options: dict[str, Any] = {"num_classes": images.classes}
    if images.channels != channels and _builds(model, {**options, "in_channels": images.channels}):
        options, channels = {**options, "in_channels": images.channels}, images.channels
    steps: list[Step] = []
    if images.channels != channels:
        steps.append(("Grayscale", {"num_output_channels": channels}))
        how = "each grey image is repeated in all of them" if channels == 3 else "colours are made grey"
        notes.append(f"{model} takes {counted(channels, 'channel')}: {how}")
    steps.append(("ToTensor", {}))
    net = _on_meta(model, options)
    sides = (images.side, images.side)
    if why := _misfit(net, (channels, *sides), images.classes):
        sides = (size[0], size[1])
        if still := _misfit(net, (channels, *sides), images.classes):
            raise SettingError(
                f"{model} cannot be trained on {dataset}: {still}; at {images.side} x {images.side}: {why}"
            )
        steps.append(("Resize", {"size": list(sides)}))
        notes.append(
            f"{model} cannot take images of {images.side} x {images.side}; they are resized to its published size, "
            f"{sides[0]} x {sides[1]}"
        )
    mean, std = STATISTICS[dataset]
    if images.channels != channels:
        mean, std = [sum(mean) / len(mean)] * channels, [sum(std) / len(std)] * channels
    steps.append(("Normalize", {"mean": mean, "std": std}))
    crop: Step = (
        "RandomCrop",
        {"size": images.side, "padding": max(1, images.side // 8 if images.photos else images.side // 14)},
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
        transforms=tuple(steps),
        augmentation=(crop, ("RandomHorizontalFlip", {})) if images.photos else (crop,),
        augment_first=True,
        eval_batch_size=EVAL_BATCH // 8 if large else EVAL_BATCH,
        notes=tuple(notes),
    )


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
