"""Training: one loop to read, the metrics, recipes, and the folder of a run.

Folders:
    recipes/       what is trained: recipes as TOML files, checked, and the objects that they name
    runs/          what is left on disk: the run folder, checkpoints, and Ctrl-C without losing the net

Files:
    loop.py        the loop: train                     session.py     a whole training from a recipe: Training
    evaluation.py  evaluate, predict                   progress.py    Epoch, and how far a training is
    divergence.py  a NaN, explained                    logs.py        results for TensorBoard
    images.py      to train, to validate, to test      saving.py      when checkpoints are written

    metrics.py         accuracy, confusion_matrix ...  classification.py  precision, recall, F1
    calibration.py     are probabilities right?        robustness.py      accuracy on changed images
    early_stopping.py  when to stop                    averaging.py       a moving average of the weights
    ensemble.py        several nets or views averaged  views.py           views of an image
    freezing.py        what is trained, and how fast   heads.py           new layers for new classes
    resizing.py        images that grow                mixing.py          mixup and cutmix of a recipe
    learning_rate.py   the range test                  line.py            the loss along a line of weights
    recording.py       each layer during the training  prediction.py      classes of the user's own images
    trials.py          one setting, several seeds      comparing.py       several nets under one budget; comparison.py
    whitening.py       a first layer from statistics   rehearsal.py       kernels compiled before the first step
"""

from __future__ import annotations

from ..compat.missing import answer as _answer
from ..compat.missing.moved import answer_for_functions as _answer_for_functions
from .averaging import ExponentialAverage
from .calibration import Reliability, brier_score, fit_temperature, reliability
from .classification import ClassScores, balanced_accuracy, classification_report, precision_recall_f1
from .comparing import compare, resume_comparison
from .comparison import Compared, Comparison, Difference, differences
from .divergence import DivergedError
from .early_stopping import EarlyStopping
from .ensemble import Ensemble, EnsembleError, TestTimeAugmentation, ensemble_error
from .evaluation import Evaluation, evaluate, predict
from .freezing import GradualUnfreezing, freeze, net_parts, parameter_groups, rates_by_depth, unfreeze
from .heads import NewHead, replace_head
from .learning_rate import LearningRates, find_learning_rate
from .line import LineScan, line_scan
from .logs import log_epoch
from .loop import SaveError, train
from .metrics import accuracy, confusion_matrix, per_class_accuracy, softmax
from .prediction import Prediction, Predictor
from .progress import Epoch, Progress, best_epoch
from .recipes import RECIPES, find_recipe
from .recipes.building import build_loss, build_model, build_optimizer, build_schedule, build_transform, init_weights
from .recipes.data import build_dataset, complete
from .recipes.names import SettingError, UnknownNameError
from .recipes.reading import settings_of
from .recipes.settings import Recipe
from .recording import Recorder
from .rehearsal import warmup
from .resizing import ProgressiveResizing, check_sizes, resized
from .robustness import PROBES, Probe, Robustness, robustness
from .runs.checkpoint import CheckpointError, load_weights, save_weights
from .runs.description import describe
from .runs.interrupt import Interrupt, telling
from .runs.run import Run, RunError
from .session import Training
from .trials import Trials, spread, train_with_seeds
from .views import combined, five_crops, flips, named_views, shifts, ten_crops
from .whitening import whiten_first_layer

__all__ = [
    "PROBES",
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
    "Probe",
    "Progress",
    "ProgressiveResizing",
    "Recipe",
    "Recorder",
    "Reliability",
    "Robustness",
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
    "robustness",
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
    "warmup",
    "whiten_first_layer",
]

_answer_for_functions("minicnn.train")
_answer(globals())
