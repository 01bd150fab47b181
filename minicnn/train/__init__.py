"""Training: one loop to read, the metrics, recipes, and the folder of a run.

Files:
    loop.py        the loop: train                     session.py     a whole training from a recipe: Training
    evaluation.py  evaluate, predict                   state.py       what a checkpoint holds, and strict checks
    progress.py    Epoch, and how far a training is    checkpoint.py  weights and states on disk
    divergence.py  a NaN, explained                    interrupt.py   Ctrl-C without losing the net
    metrics.py     accuracy, confusion_matrix, ...     trials.py      one setting with several seeds
    early_stopping.py  when to stop                    averaging.py   a moving average of the weights
    mixing.py      mixup and cutmix of a recipe

    run.py         the run folder                      config.py      its config.json, checked
    history.py     its metrics.csv                     description.py what config.json says

    settings.py    what a recipe says                  recipes        the bundled files, find_recipe
    names.py       the tables of names in it           reading.py     files, changes on the command line
    checking.py    types, ranges, contradictions       fitting.py     a recipe for any net and dataset
    options.py     the names' options, tried           building.py    the objects that a recipe names; data.py its data
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .averaging import ExponentialAverage
from .building import build_loss, build_model, build_optimizer, build_schedule, build_transform, init_weights
from .checkpoint import CheckpointError, load_weights, save_weights
from .data import build_dataset, complete
from .description import describe
from .divergence import DivergedError
from .early_stopping import EarlyStopping
from .evaluation import Evaluation, evaluate, predict
from .interrupt import Interrupt, telling
from .loop import SaveError, train
from .metrics import accuracy, confusion_matrix, per_class_accuracy, softmax
from .names import SettingError, UnknownNameError
from .progress import Epoch, Progress, best_epoch
from .reading import settings_of
from .recipes import RECIPES, find_recipe
from .run import Run, RunError
from .session import Training
from .settings import Recipe
from .trials import Trials, spread, train_with_seeds

__all__ = [
    "RECIPES",
    "CheckpointError",
    "DivergedError",
    "EarlyStopping",
    "Epoch",
    "Evaluation",
    "ExponentialAverage",
    "Interrupt",
    "Progress",
    "Recipe",
    "Run",
    "RunError",
    "SaveError",
    "SettingError",
    "Training",
    "Trials",
    "UnknownNameError",
    "accuracy",
    "best_epoch",
    "build_dataset",
    "build_loss",
    "build_model",
    "build_optimizer",
    "build_schedule",
    "build_transform",
    "complete",
    "confusion_matrix",
    "describe",
    "evaluate",
    "find_recipe",
    "init_weights",
    "load_weights",
    "per_class_accuracy",
    "predict",
    "save_weights",
    "settings_of",
    "softmax",
    "spread",
    "telling",
    "train",
    "train_with_seeds",
]  # fmt: skip

_answer(globals())
