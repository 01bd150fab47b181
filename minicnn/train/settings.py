"""What a recipe says, the tables of the names in it, and functions that build the objects with these names.

A recipe holds names, not objects, so that it can be written to a run's config.json and read back. The names are looked
up in fixed tables: reading a config can never import or run anything else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import datasets, models, nn, optim, transforms
from ..datasets import CIFAR10, CIFAR100, MNIST, Digits
from ..nn import Module
from ..optim import lr_scheduler

Step = tuple[str, Mapping[str, Any]]  # the name of a transform and its arguments

EVAL_BATCH = 200  # test images; a constant, since another size could change the last bits of the scores
# The mean and standard deviation of each channel of the training images, in 0..1.
STATISTICS: dict[str, tuple[list[float], list[float]]] = {
    "digits": ([0.3053], [0.3760]),
    "mnist": ([0.1307], [0.3081]),
    "cifar10": ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
    "cifar100": ([0.5071, 0.4865, 0.4409], [0.2673, 0.2564, 0.2762]),
}


@dataclass(frozen=True)
class Recipe:
    """Everything needed to train a net on a dataset, except the seed and the backend.

    `model`, `dataset`, `optimizer`, `loss`, `schedule` and the transforms' names are keys of the tables below.

    Attributes:
        about: where the recipe comes from and what accuracy it reaches.
        decay: what the optimiser's weight decay holds for: "all" parameters, or "weights", which leaves out biases and
            the scales and shifts of normalisation.
        schedule: changes the learning rate, `schedule_options` as in `build_schedule`; None: the rate is constant.
        schedule_every: "step" or "epoch", after which the rate changes.
        augmentation: transforms of the training images only; after the others, or with `augment_first` before them.
        device: where the net is trained: "cpu", or a GPU, "cuda".
        validation: the share of the training images that are held out of the training, with as many of each class;
            the best epoch, early stopping and ReduceLROnPlateau look at them. 0: none. "test": the test images are
            evaluated after each epoch, for the curve of a course; nothing is selected by them.
        early_stopping: stop after so many epochs without a better accuracy on validation images; None: never.
        warmup: the share of the training in which the rate rises linearly to the optimiser's, before the schedule.
        clip_norm: the largest norm of all gradients together; larger ones are scaled down. None: any.
        mixup, cutmix: alpha of these mixtures of images; 0: none.
        ema: the decay of an exponential moving average of the weights, which is evaluated and saved; 0: none.
        tta: the views of an image whose scores are averaged at the end: "flip", "five_crop", "ten_crop"; None: one.
        progressive: pairs (share of the training, side in pixels): from this share on, images have this side.
        init: how weights are drawn before the training, such as "he"; None: as the layers do.
        freeze: patterns of names of parameters that are not trained, such as "features.*".
        rates: factors of the learning rate for patterns of names of parameters.
        weights: a run folder or a file of weights to start from.
        head: whether the last layer is replaced by a new one for the classes of the dataset.
        classes: only these classes, by number or name, are trained and tested; they are numbered in this order.
        train_size: only so many training images, with as many of each class; None: all.
        workers: processes that load images; 0: the process of the training.
        notes: what users should know before the training, such as that images are enlarged.
    """

    name: str
    model: str
    dataset: str
    about: str
    epochs: int
    batch_size: int
    optimizer_options: Mapping[str, Any]
    optimizer: str = "SGD"
    decay: str = "all"
    schedule: str | None = None
    schedule_options: Mapping[str, Any] = field(default_factory=dict)
    schedule_every: str = "step"
    loss: str = "CrossEntropyLoss"
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    model_options: Mapping[str, Any] = field(default_factory=dict)
    transforms: tuple[Step, ...] = (("ToTensor", {}), ("Resize", {"size": [32, 32]}))
    augmentation: tuple[Step, ...] = ()
    augment_first: bool = False
    eval_batch_size: int = EVAL_BATCH
    device: str = "cpu"
    notes: tuple[str, ...] = ()
    validation: float | str = 0.1
    early_stopping: int | None = None
    warmup: float = 0.0
    clip_norm: float | None = None
    mixup: float = 0.0
    cutmix: float = 0.0
    ema: float = 0.0
    tta: str | None = None
    progressive: tuple[tuple[float, int], ...] = ()
    init: str | None = None
    freeze: tuple[str, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    weights: str | None = None
    head: bool = False
    classes: tuple[int | str, ...] | None = None
    train_size: int | None = None
    workers: int = 0

    @property
    def train_transforms(self) -> tuple[Step, ...]:
        """The transforms of the training images, augmentation included."""
        first, last = (self.augmentation, self.transforms)[:: 1 if self.augment_first else -1]
        return (*first, *last)


DATASETS: dict[str, Any] = {"digits": Digits, "mnist": MNIST, "cifar10": CIFAR10, "cifar100": CIFAR100}
# The names of the models as users see them, and those in `minicnn.models`; upper and lower case do not matter.
MODELS = {{"lenet5": "LeNet5"}.get(name, name): name for name in models.list_models()}
LOSSES: dict[str, Any] = {  # of scores (N, classes) and targets (N,)
    name: getattr(nn, name) for name in ("CrossEntropyLoss", "MultiMarginLoss", "NLLLoss")
}
OPTIMIZERS: dict[str, Any] = {
    name: getattr(optim, name) for name in optim.__all__ if name[0].isupper() and name not in ("LBFGS", "Optimizer")
}
SCHEDULES: dict[str, Any] = {  # those whose options are numbers and texts
    name: getattr(lr_scheduler, name)
    for name in (
        "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR", "LinearLR", "MultiStepLR",
        "OneCycleLR", "PolynomialLR", "StepLR",
    )
}  # fmt: skip
DECAYS, EVERY = ("all", "weights"), ("step", "epoch")
TIMES = {"milestones", "step_size", "total_iters", "total_steps", "T_max", "T_0"}
TRANSFORMS: dict[str, Any] = {
    name: getattr(transforms, name)
    for name in transforms.__all__
    if name[0].isupper() and name not in ("Compose", "InterpolationMode", "Lambda", "Transform")
}


class SettingError(ValueError):
    """Settings that contradict each other or do not exist. The message says what to change."""


class UnknownNameError(SettingError):
    """A name that is not in the tables; the message lists the known names."""


def find(kind: str, name: str, known: Iterable[str]) -> str:
    """The entry of `known` that equals `name` if upper and lower case are ignored.

    Raises:
        UnknownNameError: there is none; the message lists the known names, or says where they are listed, and suggests
            the nearest one.
    """
    by_lower = {entry.lower(): entry for entry in known}
    if (found := by_lower.get(name.lower())) is not None:
        return found
    near = difflib.get_close_matches(name.lower(), by_lower, n=3)
    nearest = max(
        near, key=lambda one: difflib.SequenceMatcher(None, one, name.lower()).find_longest_match().size, default=""
    )
    hint = f" Did you mean {by_lower[nearest]!r}?" if near else ""
    if kind == "model":
        there = f"minicnn.models.list_models() lists all {len(by_lower)}"
    else:
        there = f"there are: {', '.join(by_lower.values())}"
    raise UnknownNameError(f"unknown {kind} {name!r}; {there}.{hint}")


def build_model(name: str, options: Mapping[str, Any] | None = None) -> Module:
    """A net with fresh weights from the default generator: `build_model("lenet5", {"activation": "relu"})`.

    Raises:
        UnknownNameError: no such model.
        ValueError, TypeError: options that the model does not take.

    >>> minicnn.train.build_model("lenet5", {"activation": "relu"})
    LeNet5(
      (features): Sequential(
        (0): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
        (1): ReLU()
        (2): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
        (3): Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))
        (4): ReLU()
        (5): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
      )
      (classifier): Sequential(
        (0): Flatten(start_dim=1, end_dim=-1)
        (1): Linear(in_features=400, out_features=120, bias=True)
        (2): ReLU()
        (3): Linear(in_features=120, out_features=84, bias=True)
        (4): ReLU()
        (5): Linear(in_features=84, out_features=10, bias=True)
      )
    )
    """
    model: Module = models.get_model_builder(MODELS[find("model", name, MODELS)])(**(options or {}))
    return model


def build_loss(name: str, options: Mapping[str, Any] | None = None) -> Module:
    """A loss function of (scores, targets): `build_loss("CrossEntropyLoss", {"label_smoothing": 0.1})`.

    Raises:
        UnknownNameError: no such loss.
        ValueError, TypeError: options that the loss does not take.

    >>> minicnn.train.build_loss("CrossEntropyLoss", {"label_smoothing": 0.1})
    CrossEntropyLoss()
    """
    loss: Module = LOSSES[find("loss", name, LOSSES)](**(options or {}))
    return loss


def build_transform(steps: Iterable[Step]) -> transforms.Compose:
    """The transforms `steps`, one after the other.

    Raises:
        UnknownNameError: no such transform.

    >>> minicnn.train.build_transform([("ToTensor", {}), ("Resize", {"size": 32})])
    Compose(
        ToTensor()
        Resize(size=32, interpolation=bilinear, max_size=None, antialias=True)
    )
    """
    return transforms.Compose([TRANSFORMS[find("transform", step, TRANSFORMS)](**given) for step, given in steps])


def build_dataset(
    name: str, *, train: bool, steps: Iterable[Step], root: str | None = None, download: bool = False
) -> Any:
    """The training or test set of a dataset, with the transforms `steps`.

    Raises:
        UnknownNameError: no such dataset or transform.
        SettingError: a folder or a download for the bundled digits, which need none.
        DatasetError: missing or damaged files.

    >>> len(minicnn.train.build_dataset("digits", train=False, steps=[("ToTensor", {})]))
    360
    """
    name = find("dataset", name, DATASETS)
    transform = build_transform(steps)
    if DATASETS[name] is Digits:
        if root is not None or download:
            raise SettingError(
                "the digits are bundled: they need no data folder and no download; leave these out, or choose mnist"
            )
        return datasets.Digits(train=train, transform=transform)
    return DATASETS[name](root, train=train, transform=transform, download=download)


def build_optimizer(name: str, model: Module, options: Mapping[str, Any], decay: str = "all") -> Any:
    """An optimiser for all parameters of the net.

    Args:
        name: a key of OPTIMIZERS.
        model: the net.
        options: of the optimiser.
        decay: with "weights", parameters of one dimension have no weight decay: these are the biases, and the scales
            and shifts of normalisation.

    Raises:
        UnknownNameError: no such optimiser.
        SettingError: `decay` is neither "all" nor "weights".
        ValueError: an option is out of range.

    >>> options = {"lr": 0.1, "weight_decay": 0.01}
    >>> optimizer = minicnn.train.build_optimizer("SGD", nn.Linear(2, 3), options, decay="weights")
    >>> [(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups]
    [(1, 0.01), (1, 0.0)]
    """
    make = OPTIMIZERS[find("optimizer", name, OPTIMIZERS)]
    if decay not in DECAYS:
        raise SettingError(f"decay must be one of {', '.join(map(repr, DECAYS))}, got {decay!r}")
    parameters = list(model.parameters())
    if decay == "all":
        return make(parameters, **options)
    groups: list[dict[str, Any]] = [
        {"params": [one for one in parameters if one.ndim > 1]},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]
    return make([group for group in groups if group["params"]], **options)


def build_schedule(
    name: str | None, options: Mapping[str, Any], optimizer: Any, epochs: int, steps_per_epoch: int, every: str = "step"
) -> Any:
    """A schedule that changes the optimiser's learning rate, or None.

    Lengths and times among the options ("milestones", "step_size", "total_iters", "total_steps", "T_max", "T_0") are
    shares of the whole training, 0 to 1, so that they hold for any number of epochs. Those that the schedule
    needs and the options lack are 1; a lacking "max_lr" is the optimiser's rate.

    Args:
        name: a key of SCHEDULES; None: no schedule.
        options: of the schedule.
        optimizer: the optimiser.
        epochs, steps_per_epoch: the length of the training.
        every: "step" or "epoch", after which `step()` will be called.

    Raises:
        UnknownNameError: no such schedule.
        SettingError: a time is not a share, or `every` is unknown.
        ValueError, TypeError: options that the schedule does not take.

    >>> optimizer = minicnn.optim.SGD([nn.Parameter(minicnn.zeros(1))], lr=0.1)
    >>> schedule = minicnn.train.build_schedule("StepLR", {"step_size": 0.5}, optimizer, epochs=10, steps_per_epoch=100)
    >>> schedule.step_size
    500
    """
    if name is None:
        return None
    if every not in EVERY:
        raise SettingError(f"schedule_every must be one of {', '.join(map(repr, EVERY))}, got {every!r}")
    found = find("schedule", name, SCHEDULES)
    needed = {"CosineAnnealingLR": "T_max", "LinearLR": "total_iters", "PolynomialLR": "total_iters",
              "OneCycleLR": "total_steps"}  # fmt: skip
    given = {needed[found]: 1.0, **options} if found in needed else dict(options)
    if found == "OneCycleLR":
        given = {"max_lr": [group["lr"] for group in optimizer.param_groups], **given}
    whole = epochs * (steps_per_epoch if every == "step" else 1)
    for key in TIMES & set(given):
        given[key] = [_moment(key, one, whole) for one in value] if isinstance(value := given[key], list | tuple) else (
            _moment(key, value, whole))  # fmt: skip
    return SCHEDULES[found](optimizer, **given)


def _moment(key: str, share: Any, whole: int) -> int:
    """A share of the training as a number of steps or epochs, at least 1."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise SettingError(f"the schedule's {key} must be a share of the training, above 0 and up to 1, got {share!r}")
    return max(1, round(share * whole))
