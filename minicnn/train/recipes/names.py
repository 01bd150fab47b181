"""The tables of the names that a recipe may contain, and how a name is looked up in them.

A recipe holds names, not objects, so that it can be written to a file and read back. The names are looked up in fixed
tables: reading a recipe can never import or run anything else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from ... import models, nn, optim, transforms
from ...datasets.registry import FOLDER, TABLE
from ...optim import lr_scheduler

DATASETS = TABLE  # the names of the datasets, and what is known of their images
# The mean and standard deviation of each channel of the training images, in 0..1. Those of other datasets are computed.
STATISTICS: dict[str, tuple[list[float], list[float]]] = {
    "digits": ([0.3053], [0.3760]),
    "mnist": ([0.1307], [0.3081]),
    "fashionmnist": ([0.2860], [0.3530]),
    "cifar10": ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    "cifar100": ([0.5071, 0.4865, 0.4409], [0.2673, 0.2564, 0.2762]),
}
# The names of the models as users see them, and those in `minicnn.models`; upper and lower case do not matter.
MODELS = {{"lenet5": "LeNet5"}.get(name, name): name for name in models.list_models()}
LOSSES: dict[str, Any] = {  # of scores (N, classes) and targets (N,)
    name: getattr(nn, name) for name in ("CrossEntropyLoss", "MultiMarginLoss", "NLLLoss")
}
OPTIMIZERS: dict[str, Any] = {
    name: getattr(optim, name) for name in optim.__all__ if name[0].isupper() and name not in ("LBFGS", "Optimizer")
}
PLATEAU = "ReduceLROnPlateau"  # the schedule that looks at the validation
SCHEDULES: dict[str, Any] = {  # those whose options are numbers and texts
    name: getattr(lr_scheduler, name)
    for name in (
        "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR", "LinearLR", "MultiStepLR",
        "OneCycleLR", "PolynomialLR", PLATEAU, "StepLR",
    )
}  # fmt: skip
DECAYS, EVERY = ("all", "weights"), ("step", "epoch")
_NOT_ALONE = {  # made of functions or arrays, and what gives several images or takes batches
    "Compose", "CutMix", "FiveCrop", "Lambda", "LinearTransformation", "MixUp", "SubtractMeanImage", "TenCrop",
    "Transform",
}  # fmt: skip
OF_OTHERS = ("RandomApply", "RandomChoice", "RandomOrder")  # their option `transforms` is a list of transforms
TRANSFORMS: dict[str, Any] = {
    name: made
    for name in transforms.__all__
    if isinstance(made := getattr(transforms, name), type)
    and issubclass(made, transforms.Transform)
    and name not in _NOT_ALONE
}
# How weights may be drawn: the function of `nn.init`, and its options.
INITS: dict[str, tuple[str, dict[str, Any]]] = {
    "he": ("kaiming_normal_", {"nonlinearity": "relu"}),
    "he_uniform": ("kaiming_uniform_", {"nonlinearity": "relu"}),
    "xavier": ("xavier_uniform_", {}),
    "xavier_normal": ("xavier_normal_", {}),
    "lecun": ("lecun_normal_", {}),
    "lecun_uniform": ("lecun_uniform_", {}),
    "orthogonal": ("orthogonal_", {}),
    "normal": ("normal_", {"std": 0.01}),
    "zeros": ("zeros_", {}),
}


class SettingError(ValueError):
    """Settings that contradict each other or do not exist. The message says what to change."""


class UnknownNameError(SettingError):
    """A name that is not in the tables; the message lists the known names."""


def find(kind: str, name: str, known: Iterable[str], there: str = "") -> str:
    """The entry of `known` that equals `name` if upper and lower case are ignored.

    `there` says which there are, in place of a list of them.

    Raises:
        UnknownNameError: there is none; the message lists the known names, or says where they are listed, and suggests
            the nearest one.
    """
    by_lower = {entry.lower(): entry for entry in known}
    if (found := by_lower.get(str(name).lower())) is not None:
        return found
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=3)
    nearest = max(
        near,
        key=lambda one: difflib.SequenceMatcher(None, one, str(name).lower()).find_longest_match().size,
        default="",
    )
    hint = f" Did you mean {by_lower[nearest]!r}?" if near else ""
    if kind == "model":
        there = there or f"minicnn.models.list_models() lists all {len(by_lower)}"
    there = there or f"there are: {', '.join(by_lower.values())}"
    shown = repr(name) if len(repr(name)) <= 60 else f"{repr(name)[:57]}..."
    raise UnknownNameError(f"unknown {kind} {shown}; {there}.{hint}")


def find_dataset(name: str) -> str:
    """The name of a dataset as in DATASETS, or "folder:PATH" as it is.

    Raises:
        UnknownNameError: there is no such dataset.
    """
    if name.startswith(FOLDER) and len(name) > len(FOLDER):
        return name
    try:
        return find("dataset", name, DATASETS)
    except UnknownNameError as error:
        raise UnknownNameError(f"{error} A folder of images is a dataset too: {FOLDER}PATH") from None
