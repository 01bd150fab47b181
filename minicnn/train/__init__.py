"""Training: one loop to read, the metrics, recipes, and the folder of a run.

Files:
    loop.py        the loop: train                     session.py     a whole training from a recipe: Training
    evaluation.py  evaluate, predict                   state.py       what a checkpoint holds, and strict checks
    progress.py    Epoch, and how far a training is    checkpoint.py  weights and states on disk
    divergence.py  a NaN, explained                    interrupt.py   Ctrl-C without losing the net
    metrics.py     accuracy, confusion_matrix, ...     trials.py      one setting with several seeds
    early_stopping.py  when to stop                    averaging.py   a moving average of the weights
    ensemble.py    several nets or views averaged      views.py       views of an image
    freezing.py    what is trained, and how fast       resizing.py    images that grow during the training
    classification.py  precision, recall, F1           calibration.py whether probabilities are right
    heads.py       new layers for new classes          recording.py   each layer during the training
    learning_rate.py  the range test                   line.py        loss along a line of weights
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
from ..compat.missing.moved import answer_for_functions as _answer_for_functions
from .averaging import ExponentialAverage
from .building import build_loss, build_model, build_optimizer, build_schedule, build_transform, init_weights
from .calibration import Reliability, brier_score, fit_temperature, reliability
from .checkpoint import CheckpointError, load_weights, save_weights
from .classification import ClassScores, balanced_accuracy, classification_report, precision_recall_f1
from .comparing import compare, resume_comparison
from .comparison import Compared, Comparison, Difference, differences
from .data import build_dataset, complete
from .description import describe
from .divergence import DivergedError
from .early_stopping import EarlyStopping
from .ensemble import Ensemble, EnsembleError, TestTimeAugmentation, ensemble_error
from .evaluation import Evaluation, evaluate, predict
from .freezing import GradualUnfreezing, freeze, net_parts, parameter_groups, rates_by_depth, unfreeze
from .heads import NewHead, replace_head
from .interrupt import Interrupt, telling
from .learning_rate import LearningRates, find_learning_rate
from .line import LineScan, line_scan
from .logs import log_epoch
from .loop import SaveError, train
from .metrics import accuracy, confusion_matrix, per_class_accuracy, softmax
from .names import SettingError, UnknownNameError
from .prediction import Prediction, Predictor
from .progress import Epoch, Progress, best_epoch
from .reading import settings_of
from .recipes import RECIPES, find_recipe
from .recording import Recorder
from .resizing import ProgressiveResizing, check_sizes, resized
from .run import Run, RunError
from .session import Training
from .settings import Recipe
from .trials import Trials, spread, train_with_seeds
from .views import combined, five_crops, flips, named_views, shifts, ten_crops

__all__ = [
    "RECIPES",
    "CheckpointError",
    "ClassScores",
    "Compared",
    "Comparison",
    "Difference",
    "DivergedError",
    "EarlyStopping",
    "Ensemble",
    "EnsembleError",
    "Epoch",
    "Evaluation",
    "ExponentialAverage",
    "GradualUnfreezing",
    "Interrupt",
    "LearningRates",
    "LineScan",
    "NewHead",
    "Prediction",
    "Predictor",
    "Progress",
    "ProgressiveResizing",
    "Recipe",
    "Recorder",
    "Reliability",
    "Run",
    "RunError",
    "SaveError",
    "SettingError",
    "TestTimeAugmentation",
    "Training",
    "Trials",
    "UnknownNameError",
    "accuracy",
    "balanced_accuracy",
    "best_epoch",
    "brier_score",
    "build_dataset",
    "build_loss",
    "build_model",
    "build_optimizer",
    "build_schedule",
    "build_transform",
    "check_sizes",
    "classification_report",
    "combined",
    "compare",
    "complete",
    "confusion_matrix",
    "describe",
    "differences",
    "ensemble_error",
    "evaluate",
    "find_learning_rate",
    "find_recipe",
    "fit_temperature",
    "five_crops",
    "flips",
    "freeze",
    "init_weights",
    "line_scan",
    "load_weights",
    "log_epoch",
    "named_views",
    "net_parts",
    "parameter_groups",
    "per_class_accuracy",
    "precision_recall_f1",
    "predict",
    "rates_by_depth",
    "reliability",
    "replace_head",
    "resized",
    "resume_comparison",
    "save_weights",
    "settings_of",
    "shifts",
    "softmax",
    "spread",
    "telling",
    "ten_crops",
    "train",
    "train_with_seeds",
    "unfreeze",
]

_answer_for_functions("minicnn.train")
_answer(globals())
