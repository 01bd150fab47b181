"""Training: one loop to read, the metrics, recipes, and the folder of a run.

Files:
    loop.py        train, evaluate, predict            metrics.py    accuracy, confusion_matrix, ...
    settings.py    what a recipe says                  run.py        the run folder
    names.py       the tables of names in it           config.py     its config.json, checked
    checking.py    types, ranges, contradictions       checkpoint.py  weights on disk
    options.py     the names' options, tried           description.py   what config.json says
    reading.py     files, changes on the command line  interrupt.py   Ctrl-C without losing the net
    recipes        the bundled files, find_recipe      trials.py     one setting with several seeds
    fitting.py     a recipe for any net and dataset
    building.py    the objects that a recipe names     data.py       its dataset
    early_stopping.py   when to stop                    averaging.py  a moving average of the weights
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
