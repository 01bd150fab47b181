"""Training: one loop to read, the metrics, recipes, and the folder of a run.

Files:
    loop.py        train, evaluate, predict            metrics.py    accuracy, confusion_matrix, ...
    settings.py    what a recipe says, and the         run.py        the run folder
                   objects with the names in it        config.py     its config.json, checked
    recipes.py     recipes for nets and datasets       checkpoint.py  weights on disk
    fitting.py     one for any net and dataset         description.py   what config.json says
    interrupt.py   Ctrl-C without losing the net        trials.py     one setting with several seeds
    logs.py        curves for TensorBoard
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .checkpoint import CheckpointError, load_weights, save_weights
from .description import describe
from .interrupt import Interrupt, telling
from .logs import log_epoch
from .loop import DivergedError, Epoch, Evaluation, SaveError, evaluate, predict, train
from .metrics import accuracy, confusion_matrix, per_class_accuracy, softmax
from .recipes import RECIPES, find_recipe
from .run import Run, RunError
from .settings import (
    Recipe,
    SettingError,
    UnknownNameError,
    build_dataset,
    build_loss,
    build_model,
    build_optimizer,
    build_schedule,
    build_transform,
)
from .trials import Trials, spread, train_with_seeds

__all__ = [
    "RECIPES",
    "CheckpointError",
    "DivergedError",
    "Epoch",
    "Evaluation",
    "Interrupt",
    "Recipe",
    "Run",
    "RunError",
    "SaveError",
    "SettingError",
    "Trials",
    "UnknownNameError",
    "accuracy",
    "build_dataset",
    "build_loss",
    "build_model",
    "build_optimizer",
    "build_schedule",
    "build_transform",
    "confusion_matrix",
    "describe",
    "evaluate",
    "find_recipe",
    "load_weights",
    "log_epoch",
    "per_class_accuracy",
    "predict",
    "save_weights",
    "softmax",
    "spread",
    "telling",
    "train",
    "train_with_seeds",
]  # fmt: skip

_answer(globals())
