"""What a recipe says, and how it is written to a file and read back."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .checking import check, shown
from .names import SettingError, find

Step = tuple[str, Mapping[str, Any]]  # the name of a transform and its arguments

EVAL_BATCH = 200  # test images; a constant, since another size could change the last bits of the scores
# In a file, a name and its options are one table: [optimizer] name = "SGD", lr = 0.1
TABLES = {"model": "model_options", "optimizer": "optimizer_options", "schedule": "schedule_options",
          "loss": "loss_options"}  # fmt: skip
_MAY_BE_EMPTY = ("augmentation", "evaluation", "freeze", "notes", "progressive", "rates")  # which is their default
CHAINS = ("transforms", "augmentation", "evaluation")


@dataclass(frozen=True)
class Recipe:
    """Everything needed to train a net on a dataset, except the seed and the backend.

    `model`, `dataset`, `optimizer`, `loss`, `schedule` and the transforms' names are keys of the tables in `names.py`.

    Attributes:
        about: where the recipe comes from and what accuracy it reaches.
        decay: what the optimiser's weight decay holds for: "all" parameters, or "weights", which leaves out biases and
            the scales and shifts of normalisation.
        schedule: changes the learning rate, `schedule_options` as in `build_schedule`; None: the rate is constant.
        schedule_every: "step" or "epoch", after which the rate changes.
        augmentation: transforms of the training images only.
        augment_after: how many of the `transforms` come before the augmentation; None: all.
        evaluation: the transforms of images that are not trained with, if these are not `transforms`.
        device: where the net is trained: "cpu", or a GPU, "cuda".
        validation: the share of the training images that are held out of the training, with as many of each class;
            the best epoch, early stopping and ReduceLROnPlateau look at them. A folder of images with a folder
            `val` beside `train` and `test` brings its own, and nothing is held out. 0: none. "test": the test images
            are evaluated after each epoch, for the curve of a course; nothing is selected by them.
        early_stopping: stop after so many epochs without a better accuracy on validation images; None: never.
        warmup: the share of the training in which the rate rises linearly to the optimiser's, before the schedule.
        clip_norm: the largest norm of all gradients together; larger ones are scaled down. None: any.
        mixup, cutmix: alpha of these mixtures of images; 0: none.
        ema: the decay of an exponential moving average of the weights, which is evaluated and saved; 0: none.
        tta: the views of each image that are averaged at the end, as in `named_views`: "flip", "ten_crop:28".
        progressive: pairs (share of the training, side in pixels): from this share on, images have this side.
        init: how weights are drawn before the training, such as "he"; None: as the layers do.
        whiten: how many training images the filters of the first layer are computed from, as in `whiten_first_layer`;
            0: they are drawn.
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
    augment_after: int | None = None
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
    whiten: int = 0
    freeze: tuple[str, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    weights: str | None = None
    head: bool = False
    classes: tuple[int | str, ...] | None = None
    train_size: int | None = None
    workers: int = 0
    evaluation: tuple[Step, ...] = ()

    @property
    def train_transforms(self) -> tuple[Step, ...]:
        """The transforms of the training images, augmentation included."""
        after = len(self.transforms) if self.augment_after is None else self.augment_after
        return (*self.transforms[:after], *self.augmentation, *self.transforms[after:])

    @property
    def eval_transforms(self) -> tuple[Step, ...]:
        """The transforms of the validation and test images."""
        return self.evaluation or self.transforms

    def __post_init__(self) -> None:
        check({one.name: getattr(self, one.name) for one in fields(self)})

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain data, as in a recipe's file; what is None or has no entries is left out.

        >>> settings = minicnn.train.find_recipe("lenet5", "digits").to_dict()
        >>> settings["optimizer"], settings["transforms"]
        ({'name': 'SGD', 'lr': 0.05, 'momentum': 0.9}, ['ToTensor', {'Resize': {'size': [32, 32]}}])
        """
        data: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None or one.name in TABLES.values() or (value in ((), {}) and one.name in _MAY_BE_EMPTY):
                continue
            if one.name in TABLES:
                value = {"name": value, **getattr(self, TABLES[one.name])}
            elif one.name in CHAINS:
                value = [{name: options} if options else name for name, options in value]
            data[one.name] = _plain(value)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """The recipe of such data; what is left out has its default.

        Raises:
            UnknownNameError: a setting does not exist; the message names the nearest one.
            SettingError: a setting is missing, has another type, is out of range, or contradicts another one.

        >>> recipe = minicnn.train.find_recipe("lenet5", "digits")
        >>> minicnn.train.Recipe.from_dict(recipe.to_dict()) == recipe
        True
        """
        if not isinstance(data, Mapping):
            raise SettingError(f"a recipe is a table of settings, got {shown(data)}")
        defaults = {one.name: one.default for one in fields(cls)}
        known = [key for key in defaults if key not in TABLES.values()]
        values: dict[str, Any] = {}
        for key, value in data.items():
            if key not in known:
                find("setting", key, known)  # raises, unless upper and lower case alone are wrong
                raise SettingError(f"unknown setting {key!r}; settings are written in lower case: {key.lower()!r}")
            if value is None or (value == "none" and defaults[key] is None):
                continue
            if key in TABLES:
                values[key], values[TABLES[key]] = _named(key, value)
            else:
                values[key] = chain(key, value) if key in CHAINS else _frozen(value) if key != "rates" else value
        missing = [
            key for key in ("name", "model", "dataset", "epochs", "batch_size", "optimizer") if key not in values
        ]
        if missing:
            raise SettingError(f"the recipe lacks {', '.join(missing)}")
        return cls(**{"about": "", **values})

    def to_toml(self) -> str:
        """All settings as the text of a recipe's file, which `from_toml` reads back.

        >>> print(minicnn.train.find_recipe("lenet5", "digits").to_toml().splitlines()[0])
        name = "digits"
        """
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_toml(cls, text: str) -> Recipe:
        """The recipe of the text of a complete file, one that does not extend another.

        Raises:
            SettingError: as `from_dict`, or the text is not TOML.

        >>> recipe = minicnn.train.find_recipe("lenet5", "digits")
        >>> minicnn.train.Recipe.from_toml(recipe.to_toml()) == recipe
        True
        """
        return cls.from_dict(parse(text))


def parse(text: str) -> dict[str, Any]:
    """The data of a text in TOML.

    Raises:
        SettingError: the text is not TOML.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))  # which some editors put before a text
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"this is not TOML: {error}; see https://toml.io") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits; lists that nest too deep
        raise SettingError(f"this TOML cannot be read: {str(error)[:100]}") from error


def _named(key: str, value: Any) -> tuple[str, dict[str, Any]]:
    """The name and the options of a table; a name alone has no options."""
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise SettingError(
            f'{key} must be a name, or a table with a name and options: {{name = "..."}}, got {shown(value)}'
        )
    return value["name"], {name: option for name, option in value.items() if name != "name"}


def chain(key: str, value: Any) -> tuple[Step, ...]:
    """The transforms of a list in a file: a name, or a table of one name and its options."""
    if not isinstance(value, list | tuple):
        raise SettingError(f"{key} must be a list of transforms, got {shown(value)}")
    steps: list[Step] = []
    for one in value:
        named = {one: {}} if isinstance(one, str) else one
        if not isinstance(named, Mapping) or len(named) != 1 or not all(isinstance(v, Mapping) for v in named.values()):
            raise SettingError(
                f"{key}: each transform is a name, or a table of one name and its options, such as "
                f"{{RandomCrop = {{size = 32, padding = 4}}}}, got {shown(one)}"
            )
        steps += [(name, dict(options)) for name, options in named.items()]
    return tuple(steps)


def _frozen(value: Any) -> Any:
    """Lists as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    """Mappings as dicts and tuples as lists, at every depth; None is left out of tables."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
