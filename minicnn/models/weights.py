"""Trained weights for the models: from a file, from the web, or from those that are published, by name."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, overload

import numpy as np

from minicnn_kernels.geometry import shown

from ..device import Device
from ..nn import Module
from ..nn.module import check_module
from ..serialization import load
from ..serialization.download import fetched, is_url
from .adapting import Rename, check_head, check_rename, fit, outputs, own_tensors, renamed, state_in
from .lookup import get_model
from .published import BASE, ENUMS, PUBLISHED, WeightsEnum, default, get_weight, weights_enum
from .registry import MODELS

__all__ = ["load_weights", "with_weights"]

M = TypeVar("M", bound=Module)
M_co = TypeVar("M_co", bound=Module, covariant=True)
Weights = str | os.PathLike[str] | WeightsEnum | None  # the argument of a function that builds a model


class Builder(Protocol, Generic[M_co]):
    """A function of `minicnn.models`: `resnet18(weights="DEFAULT")`, `resnet18(num_classes=10)`."""

    __name__: str

    def __call__(self, weights: Weights = None, progress: bool = True, **options: Any) -> M_co:
        """Build the net."""


@overload
def with_weights(build: Callable[..., M], /) -> Builder[M]: ...
@overload
def with_weights(
    *, trained: Mapping[str, Any] = ..., published: Mapping[str, Any] = ...
) -> Callable[[Callable[..., M]], Builder[M]]: ...
def with_weights(
    build: Callable[..., M] | None = None,
    /,
    *,
    trained: Mapping[str, Any] = {},
    published: Mapping[str, Any] = {},
) -> Any:
    """A decorator for a function that builds a net: it gets the arguments `weights` and `progress`.

    `weights` is None for the fresh weights of the net; or what `load_weights` takes; or the name of published weights,
    such as "IMAGENET1K_V1", or "DEFAULT" for the best. `progress` shows the progress of a download. `pretrained=True`,
    which torchvision had before, gives the first published weights.

    Args:
        build: the function, whose arguments are the options of the net.
        trained: options for nets that get trained weights, unless the caller gives others.
        published: the same for published weights, before `trained`.
    """
    if build is None:
        return lambda function: _with_weights(function, trained, published)
    return _with_weights(build, trained, published)


def _with_weights(build: Callable[..., M], trained: Mapping[str, Any], published: Mapping[str, Any]) -> Builder[M]:
    @wraps(build)
    def builder(weights: Weights = None, progress: bool = True, **options: Any) -> M:
        wanted = _wanted(build.__name__, weights, options)
        if wanted is None:
            return build(**options)
        usual = published if isinstance(wanted, WeightsEnum) or str(wanted).startswith(BASE) else {}
        options = {**trained, **usual, **options}
        if isinstance(wanted, WeightsEnum) and options.get("num_classes") not in (None, _classes(wanted)):
            with Device("meta"):  # an error comes at once: no start values are drawn
                _check_classes(build(**options), wanted)
        return load_weights(build(**options), wanted, progress=progress)

    own, added = inspect.signature(build), inspect.signature(Builder.__call__).parameters
    parameters = [added["weights"], added["progress"], *own.parameters.values()]
    builder.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return builder


def _wanted(model: str, weights: Any, options: dict[str, Any]) -> Any:
    """The weights that a caller of a builder asks for: None, or what `load_weights` takes."""
    pretrained = options.pop("pretrained", weights if isinstance(weights, bool) else None)
    if pretrained is not None and not isinstance(pretrained, (bool, np.bool_)):
        raise TypeError(
            f"{model}: pretrained must be True or False, got {shown(pretrained)}; leave it out for fresh weights, or "
            "give weights=..., the name of published weights or the path of a file"
        )
    if isinstance(weights, bool):
        weights = None
    elif isinstance(weights, int):
        raise TypeError(f"{model}: the first argument is weights, got {weights}; write num_classes={weights}")
    if pretrained and weights is None:
        weights = next(iter(_published(model)))
        warnings.warn(
            f"{model}: pretrained=True is the old form of weights={weights!r}; the best are weights='DEFAULT'",
            UserWarning,
            stacklevel=3,
        )
    weights = _at_url(weights)
    if isinstance(weights, WeightsEnum):
        enum = type(weights).__name__
        if enum != PUBLISHED.get(model, ("",))[0]:
            raise TypeError(f"{model}: weights={weights} are those of {ENUMS[enum]}")
    elif isinstance(weights, str) and _is_name(weights):
        enum, _, name = weights.rpartition(".")
        files = _published(model, weights)
        name = default(model) if name == "DEFAULT" else name
        if (enum and enum != PUBLISHED[model][0]) or name not in files:
            raise ValueError(
                f"{model}: weights={weights!r} is unknown; there are: {', '.join(files)}, and DEFAULT for the best"
            )
        return weights_enum(PUBLISHED[model][0])[name]
    elif isinstance(weights, str) and _is_word(weights):
        remedy = f"no weights are published for {model}; give the path or URL of a file"
        if model in PUBLISHED:
            remedy = (
                f"there are: {', '.join(PUBLISHED[model][1])}, and DEFAULT for the best; or give the path of a file"
            )
        raise FileNotFoundError(
            f"{model}: weights={weights!r} is neither a file that is there nor the name of published weights; {remedy}"
        )
    return weights


def _published(model: str, weights: str = "") -> Mapping[str, Any]:
    """The published weights of a model.

    Raises:
        ValueError: there are none.
    """
    if model not in PUBLISHED:
        asked = f"weights={weights!r}" if weights else "pretrained=True"
        raise ValueError(
            f"{asked}: no weights are published for {model}; give the path or URL of a file. "
            f"There are some for: {', '.join(PUBLISHED)}"
        )
    return PUBLISHED[model][1]


def _check_classes(model: Module, weights: WeightsEnum) -> None:
    """Refuse published weights, before they are downloaded, for a net with another number of classes."""
    if outputs(model) != _classes(weights):
        with Device("meta"):
            check_head(model, get_model(ENUMS[type(weights).__name__], num_classes=_classes(weights)), str(weights))


def _classes(weights: WeightsEnum) -> int:
    """The number of classes of the net that published weights are of."""
    return MODELS[ENUMS[type(weights).__name__]].num_classes


def load_weights(
    model: M,
    weights: Weights | Mapping[str, Any],
    *,
    rename: Rename | None = None,
    skip_head: bool = False,
    progress: bool = True,
) -> M:
    """Load trained weights into a net, and return it: `load_weights(resnet18(num_classes=10), path, skip_head=True)`.

    The state dict may be an entry of a checkpoint, such as "state_dict" or "model". A beginning that all its names have
    and the net's have not, such as "module." from `DataParallel`, is left out. Entries of parts that the net was built
    without are left out. Everything else must fit; if it does not, the net stays as it was.

    Args:
        model: the net, here or on a GPU.
        weights: the path or URL of a file, safetensors or one of `torch.save`; an object with its content, whose
            tensors may be PyTorch's, or arrays; or published weights, such as `ResNet50_Weights.DEFAULT`, or their full
            name. Downloads are kept in the folder `$MINICNN_HOME/weights`, by default `~/.cache/minicnn/weights`;
            PyTorch's own are found in `~/.cache/torch`.
        rename: new names for the entries: a dict from beginnings of names to new beginnings, `{"backbone.": ""}`, of
            which the longest that fits counts; or a function of the name, which returns None to leave an entry out.
        skip_head: leave the layers that give the classes as they are, if the file has another number of classes, or
            lacks the last layer.
        progress: show the progress of a download.

    Raises:
        CheckpointError: the file could not be fetched or read, or does not fit; the message says what to do.
        OSError: there is no such file.
        TypeError, ValueError: an argument is something else, or `weights` is a URL that is not one of the web.

    >>> trained, net = minicnn.models.lenet5(), minicnn.models.lenet5()
    >>> net = minicnn.models.load_weights(net, trained.state_dict())
    >>> all((a == b).all() for a, b in zip(net.parameters(), trained.parameters()))
    True
    """
    check_module("load_weights", model)
    check_rename(rename)
    if not isinstance(skip_head, bool):
        raise TypeError(f"load_weights: skip_head must be True or False, got {shown(skip_head)}")
    if isinstance(weights, Mapping):
        name, found = "load_weights", own_tensors(weights)
    else:
        file = _file(weights)
        if isinstance(file, WeightsEnum) and not skip_head:
            _check_classes(model, file)
        path = _path(file, progress)
        name, found = str(path), load(path, map_location="cpu")
    state = renamed(state_in(found, name), rename, model)
    model.load_state_dict(fit(model, state, name, skip_head), strict=False)  # `fit` has been strict
    return model


def _file(weights: Any) -> Any:
    """Published weights for their name or URL; else the argument, after checking that it can be a file."""
    weights = _at_url(weights)
    if not isinstance(weights, str):
        return weights
    if _is_name(weights):
        if "." not in weights:
            raise ValueError(
                f"load_weights: {weights!r} of which model? Give, for example, 'ResNet50_Weights.{weights}'"
            )
        return get_weight(weights)
    if _is_word(weights):
        raise FileNotFoundError(
            f"load_weights: {weights!r} is neither a file that is there nor the name of published weights; these have "
            "full names such as 'ResNet50_Weights.DEFAULT', and minicnn.models.get_model_weights('resnet50') lists "
            "those of a model"
        )
    return weights


def _path(file: Any, progress: bool) -> Path:
    """The file of weights on this machine, after a download if it is one of the web."""
    file = file.url if isinstance(file, WeightsEnum) else file
    if not isinstance(file, (str, os.PathLike)):
        raise TypeError(
            "load_weights: weights must be a path, a URL, a state dict or published weights, got "
            + ("None" if file is None else f"{file!r:.80} of type {type(file).__name__}")
        )
    if is_url(file):
        return fetched(str(file), progress)
    scheme, colon, _ = str(file).partition("://")
    if colon and isinstance(file, str) and scheme.isalnum():
        remedy = "give the path alone" if scheme == "file" else "fetch it with another program and give its path"
        raise ValueError(f"load_weights: {file!r}: weights come from a path, or a URL with http or https; {remedy}")
    return Path(file)


def _at_url(weights: Any) -> Any:
    """The published weights of a URL, so that they can be checked before the download; else the argument."""
    if isinstance(weights, str) and weights.startswith(BASE):
        return next((one for enum in ENUMS for one in weights_enum(enum) if one.url == weights), weights)
    return weights


def _is_name(weights: str) -> bool:
    """Whether this is the name of published weights, and not a path: "DEFAULT", "ResNet50_Weights.IMAGENET1K_V1"."""
    enum, _, name = weights.rpartition(".")
    return not os.path.dirname(weights) and (enum in ENUMS or name.startswith("IMAGENET1K_") or name == "DEFAULT")


def _is_word(weights: str) -> bool:
    """Whether this is no path of a file: a word without folder and ending, and nothing has this name."""
    return not (os.path.dirname(weights) or os.path.splitext(weights)[1] or os.path.exists(weights))
