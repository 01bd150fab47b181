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
    ensemble.py    several nets or views averaged      views.py      views of an image
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from .averaging import ExponentialAverage
from .building import build_loss, build_model, build_optimizer, build_schedule, build_transform, init_weights
from .calibration import Reliability, brier_score, fit_temperature, reliability
from .checkpoint import CheckpointError, load_weights, save_weights
from .classification import ClassScores, balanced_accuracy, classification_report, precision_recall_f1
from .data import build_dataset, complete
from .description import describe
from .divergence import DivergedError
from .early_stopping import EarlyStopping
from .ensemble import Ensemble, EnsembleError, TestTimeAugmentation, ensemble_error
from .evaluation import Evaluation, evaluate, predict
from .interrupt import Interrupt, telling
from .loop import SaveError, train
from .metrics import accuracy, confusion_matrix, per_class_accuracy, softmax
from .names import SettingError, UnknownNameError
from .progress import Epoch, Progress, best_epoch
from .reading import settings_of
from .recipes import RECIPES, find_recipe
from .resizing import ProgressiveResizing, check_sizes, resized
from .run import Run, RunError
from .settings import Recipe
from .trials import Trials, spread, train_with_seeds
from .views import combined, five_crops, flips, named_views, shifts, ten_crops

__all__ = [
    "RECIPES", "CheckpointError", "ClassScores", "DivergedError", "EarlyStopping", "Ensemble", "EnsembleError",
    "Epoch", "Evaluation", "ExponentialAverage", "Interrupt", "Progress", "ProgressiveResizing", "Recipe",
    "Reliability", "Run", "RunError", "SaveError", "SettingError", "TestTimeAugmentation", "Trials",
    "UnknownNameError", "accuracy", "balanced_accuracy", "best_epoch", "brier_score", "build_dataset", "build_loss",
    "build_model", "build_optimizer", "build_schedule", "build_transform", "check_sizes", "classification_report",
    "combined", "complete", "confusion_matrix", "describe", "ensemble_error", "evaluate", "find_recipe",
    "fit_temperature", "five_crops", "flips", "init_weights", "load_weights", "named_views", "per_class_accuracy",
    "precision_recall_f1", "predict", "reliability", "resized", "save_weights", "settings_of", "shifts", "softmax",
    "spread", "telling", "ten_crops", "train", "train_with_seeds",
]  # fmt: skip

_answer(globals())
