"""Training: one loop to read, the metrics, recipes, and the folder of a run.

Files:
    loop.py        train, evaluate, predict            metrics.py    accuracy, confusion_matrix, ...
    settings.py    what a recipe says, and the         run.py        the run folder
                   objects with the names in it        config.py     its config.json, checked
    recipes.py     recipes for nets and datasets       checkpoint.py  weights on disk
    fitting.py     one for any net and dataset         description.py   what config.json says
    interrupt.py   Ctrl-C without losing the net        trials.py     one setting with several seeds
    ensemble.py    several nets or views averaged      views.py      views of an image
    early_stopping.py   when to stop                    averaging.py  a moving average of the weights
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .averaging import ExponentialAverage
from .calibration import Reliability, brier_score, fit_temperature, reliability
from .checkpoint import CheckpointError, load_weights, save_weights
from .classification import ClassScores, balanced_accuracy, classification_report, precision_recall_f1
from .description import describe
from .early_stopping import EarlyStopping
from .ensemble import Ensemble, EnsembleError, TestTimeAugmentation, ensemble_error
from .freezing import GradualUnfreezing, freeze, net_parts, parameter_groups, rates_by_depth, unfreeze
from .heads import NewHead, replace_head
from .interrupt import Interrupt, telling
from .learning_rate import LearningRates, find_learning_rate
from .line import LineScan, line_scan
from .loop import DivergedError, Epoch, Evaluation, SaveError, evaluate, predict, train
from .metrics import accuracy, confusion_matrix, per_class_accuracy, softmax
from .recipes import RECIPES, find_recipe
from .recording import Recorder
from .resizing import ProgressiveResizing, check_sizes, resized
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
from .views import combined, five_crops, flips, named_views, shifts, ten_crops

__all__ = [
    "RECIPES", "CheckpointError", "ClassScores", "DivergedError", "EarlyStopping", "Ensemble", "EnsembleError",
    "Epoch", "Evaluation", "ExponentialAverage", "GradualUnfreezing", "Interrupt", "LearningRates", "LineScan",
    "NewHead", "ProgressiveResizing", "Recipe", "Recorder", "Reliability", "Run", "RunError", "SaveError",
    "SettingError", "TestTimeAugmentation", "Trials", "UnknownNameError", "accuracy", "balanced_accuracy",
    "brier_score", "build_dataset", "build_loss", "build_model", "build_optimizer", "build_schedule",
    "build_transform", "check_sizes", "classification_report", "combined", "confusion_matrix", "describe",
    "ensemble_error", "evaluate", "find_learning_rate", "find_recipe", "fit_temperature", "five_crops", "flips",
    "freeze", "line_scan", "load_weights", "named_views", "net_parts", "parameter_groups", "per_class_accuracy",
    "precision_recall_f1", "predict", "rates_by_depth", "reliability", "replace_head", "resized", "save_weights",
    "shifts", "softmax", "spread", "telling", "ten_crops", "train", "train_with_seeds", "unfreeze",
]  # fmt: skip

_answer(globals())
