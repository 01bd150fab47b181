"""Builds the objects that a recipe names: net, loss, transforms, optimiser, schedule."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from ... import models, nn, transforms
from ...nn import Module
from ...nn.conv import _ConvNd
from ...optim.lr_scheduler import LinearLR, SequentialLR
from ..freezing import parameter_groups
from .names import (
    DECAYS,
    EVERY,
    INITS,
    LOSSES,
    MODELS,
    OF_OTHERS,
    OPTIMIZERS,
    PLATEAU,
    SCHEDULES,
    TRANSFORMS,
    SettingError,
    find,
)  # fmt: skip
from .settings import Step, chain

TIMES = {"milestones", "step_size", "total_iters", "total_steps", "T_max", "T_0"}


def build_model(name: str, options: Mapping[str, Any] | None = None, init: str | None = None) -> Module:
    """A net with fresh weights from the default generator: `build_model("lenet5", {"activation": "relu"})`.

    Args:
        name: a key of MODELS.
        options: of the model.
        init: how the weights are drawn, as in `init_weights`; None: as the model does.

    Raises:
        UnknownNameError: no such model, or no such `init`.
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
    if init is not None:
        init_weights(model, init)
    return model


def init_weights(model: Module, scheme: str) -> None:
    """Draw the weights of all convolutions and linear layers again, in place; their biases become 0.

    With the fans of a weight, fan_in = KH KW C and fan_out = KH KW O, U(-a, a) the uniform distribution and N(0, s^2)
    the normal one with the standard deviation s:

        "he"             N(0, 2 / fan_in), for ReLU         "he_uniform"     U with a = sqrt(6 / fan_in)
        "xavier"         U with a = sqrt(6 / (fan_in + fan_out))
        "xavier_normal"  N(0, 2 / (fan_in + fan_out))
        "lecun"          N(0, 1 / fan_in)                   "lecun_uniform"  U with a = sqrt(3 / fan_in)
        "normal"         N(0, 0.01^2), as in AlexNet        "orthogonal"     orthonormal rows or columns
        "zeros"          0: a net that cannot learn, since all units of a layer stay the same

    Norms and everything else keep their values.

    Raises:
        UnknownNameError: there is no such scheme.

    K. He et al., "Delving deep into rectifiers", 2015; X. Glorot, Y. Bengio, "Understanding the difficulty of training
    deep feedforward neural networks", 2010; Y. LeCun et al., "Efficient BackProp", 1998.

    >>> net = nn.Linear(3, 2)
    >>> minicnn.train.init_weights(net, "zeros")
    >>> net.weight
    Parameter containing:
    tensor([[0., 0., 0.],
            [0., 0., 0.]], requires_grad=True)
    """
    name, options = INITS[find("init", scheme, INITS)]
    for module in model.modules():
        if isinstance(module, _ConvNd | nn.Linear):
            getattr(nn.init, name)(module.weight, **options)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


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

    An interpolation, or another option that is a member of an enumeration, is given by its value: "bicubic". The
    option `transforms` of RandomApply, RandomChoice and RandomOrder is a list as in a recipe's file.

    Raises:
        UnknownNameError: no such transform.

    >>> minicnn.train.build_transform([("ToTensor", {}), ("Resize", {"size": 32})])
    Compose(
        ToTensor()
        Resize(size=32, interpolation=bilinear, max_size=None, antialias=True)
    )
    """
    return transforms.Compose([_one_transform(name, options) for name, options in steps])


def _one_transform(name: str, options: Mapping[str, Any]) -> transforms.Transform:
    """A transform; texts become members of an enumeration, lists of transforms become transforms."""
    found = find("transform", name, TRANSFORMS)
    make, given = TRANSFORMS[found], dict(options)
    for key, parameter in inspect.signature(make).parameters.items():
        kind = type(parameter.default)
        if issubclass(kind, Enum) and isinstance(given.get(key), str):
            given[key] = kind(find(key, given[key], [member.value for member in kind]))
    if found in OF_OTHERS and "transforms" in given:
        given["transforms"] = [_one_transform(*step) for step in chain("transforms", given["transforms"])]
    made: transforms.Transform = make(**given)
    return made


def build_optimizer(
    name: str,
    model: Module,
    options: Mapping[str, Any],
    decay: str = "all",
    rates: Mapping[str, float] | None = None,
) -> Any:
    """An optimiser for all parameters of the net.

    Args:
        name: a key of OPTIMIZERS.
        model: the net.
        options: of the optimiser.
        decay: with "weights", parameters of one dimension have no weight decay: these are the biases, and the scales
            and shifts of normalisation.
        rates: factors of the learning rate for patterns of names of parameters, as in `parameter_groups`.

    Raises:
        UnknownNameError: no such optimiser.
        SettingError: `decay` is neither "all" nor "weights", or a pattern fits no parameter.
        ValueError: an option is out of range.

    >>> options = {"lr": 0.1, "weight_decay": 0.01}
    >>> optimizer = minicnn.train.build_optimizer("SGD", nn.Linear(2, 3), options, decay="weights")
    >>> [(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups]
    [(1, 0.01), (1, 0.0)]
    """
    make = OPTIMIZERS[find("optimizer", name, OPTIMIZERS)]
    if decay not in DECAYS:
        raise SettingError(f"decay must be one of {', '.join(map(repr, DECAYS))}, got {decay!r}")
    if decay == "all" and not rates:
        return make(list(model.parameters()), **options)
    lr = options.get("lr", inspect.signature(make).parameters["lr"].default)
    try:
        groups = parameter_groups(model, float(lr), rates, decay=decay)
    except ValueError as error:
        raise SettingError(f"rates: {error}") from error
    return make(groups, **options)


def build_schedule(
    name: str | None,
    options: Mapping[str, Any],
    optimizer: Any,
    epochs: int,
    steps_per_epoch: int,
    every: str = "step",
    warmup: float = 0.0,
) -> Any:
    """A schedule that changes the optimiser's learning rate, or None.

    Lengths and times among the options ("milestones", "step_size", "total_iters", "total_steps", "T_max", "T_0") are
    shares of the whole training, 0 to 1, so that they hold for any number of epochs. Those that the schedule
    needs and the options lack are 1; a lacking "max_lr" is the optimiser's rate.

    With a warm-up of w steps the rate rises linearly, for the optimiser's rate r it is r k / (w + 1) in step k = 1, 2,
    ..., w; then the schedule begins, and the times among its options are shares of the rest of the training.

    ReduceLROnPlateau is called after each epoch with the validation loss, or with the accuracy if its mode is "max".

    Args:
        name: a key of SCHEDULES; None: no schedule.
        options: of the schedule.
        optimizer: the optimiser.
        epochs, steps_per_epoch: the length of the training.
        every: "step" or "epoch", after which `step()` will be called.
        warmup: the share of the training in which the rate rises; 0: none.

    Raises:
        UnknownNameError: no such schedule.
        SettingError: a time is not a share, `every` is unknown, or the schedule takes no warm-up.
        ValueError, TypeError: options that the schedule does not take.

    >>> optimizer = minicnn.optim.SGD([nn.Parameter(minicnn.zeros(1))], lr=0.1)
    >>> schedule = minicnn.train.build_schedule("StepLR", {"step_size": 0.5}, optimizer, epochs=10, steps_per_epoch=100)
    >>> schedule.step_size
    500
    """
    if name is None:
        if warmup == 0:
            return None
        name, options = "ConstantLR", {"factor": 1.0, "total_iters": 1.0}
    if every not in EVERY:
        raise SettingError(f"schedule_every must be one of {', '.join(map(repr, EVERY))}, got {every!r}")
    found = find("schedule", name, SCHEDULES)
    whole = epochs * (steps_per_epoch if every == "step" else 1)
    if warmup == 0:
        return _schedule(found, options, optimizer, whole)
    if found in ("OneCycleLR", PLATEAU):
        raise SettingError(f"there is no warm-up before {found}; leave out one of them")
    rise = min(_moment("warmup", warmup, whole), whole - 1)
    if rise < 1:
        raise SettingError(f"a training of {whole} {every} is too short for a warm-up; leave it out")
    parts = [
        LinearLR(optimizer, start_factor=1 / (rise + 1), total_iters=rise),
        _schedule(found, options, optimizer, whole - rise),
    ]
    return SequentialLR(optimizer, parts, milestones=[rise])


def _schedule(found: str, options: Mapping[str, Any], optimizer: Any, whole: int) -> Any:
    """A schedule whose times are shares of `whole` steps or epochs."""
    needed = {"CosineAnnealingLR": "T_max", "LinearLR": "total_iters", "PolynomialLR": "total_iters",
              "OneCycleLR": "total_steps"}  # fmt: skip
    given = {needed[found]: 1.0, **options} if found in needed else dict(options)
    if found == "OneCycleLR":
        given = {"max_lr": [group["lr"] for group in optimizer.param_groups], **given}
    for key in TIMES & set(given):
        given[key] = [_moment(key, one, whole) for one in value] if isinstance(value := given[key], list | tuple) else (
            _moment(key, value, whole))  # fmt: skip
    return SCHEDULES[found](optimizer, **given)


def _moment(key: str, share: Any, whole: int) -> int:
    """A share of the training as a number of steps or epochs, at least 1."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise SettingError(f"the schedule's {key} must be a share of the training, above 0 and up to 1, got {share!r}")
    return max(1, round(share * whole))
