"""The base of all schedules: it counts epochs, and reads and sets the rates of the optimiser."""

from __future__ import annotations

import functools
import inspect
import types
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...tensor import Tensor
from ..optimizer import Optimizer

Rates = list[Any]  # for each group a number, or a tensor of one element

_MANUAL = "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. If epoch is different from None, the closed form is used instead of the "
    "chainable form, where available."
)


def _taking_verbose(init: Callable[..., None]) -> Callable[..., None]:
    """Let an `__init__` take one argument more: `verbose`, which PyTorch had up to 2.6. It only gives a warning."""
    parameters = inspect.signature(init).parameters
    if "verbose" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return init

    @functools.wraps(init)
    def create(self: Any, *args: Any, **options: Any) -> None:
        verbose = options.pop("verbose", "deprecated")
        if len(args) == len(parameters):  # one more than `init` has beside self
            *args, verbose = args  # type: ignore[assignment]
        if verbose != "deprecated":
            warnings.warn(
                "The verbose parameter is deprecated. Please use get_last_lr() to access the learning rate; nothing "
                "is printed.",
                stacklevel=2,
            )
        init(self, *args, **options)

    return create


class LRScheduler:
    """Sets the rate of every group of an optimiser in each `step()`, and once when it is created.

    A subclass gives `get_lr()`: the rates of epoch `self.last_epoch`, a list with one per group. It may compute them
    from `self.base_lrs`, the rates at the start, or from `group["lr"]`, the rates of the epoch before; schedules of the
    second form can be chained. If it has `_get_closed_form_lr()` too, `step(epoch)` uses that.

    Args:
        optimizer: the optimiser, whose groups' "lr" is set; the first schedule keeps the earlier value as "initial_lr".
        last_epoch: the last epoch done; -1 at the start. To continue, the groups must have an "initial_lr".

    Raises:
        TypeError: `optimizer` is not an optimiser.
        KeyError: `last_epoch` is given, but a group has no "initial_lr".

    >>> class Halving(minicnn.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [base / 2**self.last_epoch for base in self.base_lrs]
    >>> optimizer = minicnn.optim.SGD([nn.Parameter(minicnn.zeros(1))], lr=0.8)
    >>> scheduler = Halving(optimizer)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.4]
    """

    _get_lr_called_within_step: bool = False
    _is_initial: bool = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = _taking_verbose(cls.__init__)  # type: ignore[method-assign]

    @_taking_verbose
    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = optimizer_of(optimizer)
        for index, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", own(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{index}] when resuming scheduler with "
                    "last_epoch >= 0; load the optimizer's state before, or leave last_epoch at -1"
                )
        self.base_lrs: Rates = [own(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        _note_steps(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """All attributes except the optimiser."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict`, of this class or of PyTorch's class of the same name."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> Rates:
        """The rates that the last step set."""
        return self._last_lr

    def get_lr(self) -> Rates:
        """The rates of epoch `self.last_epoch`; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr(); define one")

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch, or (deprecated) to a given epoch, and set its rates."""
        if self._step_count == 1:
            if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
                warnings.warn(
                    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. "
                    "Please, make sure to call `optimizer.step()` before `lr_scheduler.step()`. "
                    f"See more details at {_MANUAL}",
                    stacklevel=2,
                )
            elif not getattr(self.optimizer, "_opt_called", False):
                warnings.warn(
                    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite "
                    "order: `optimizer.step()` before `lr_scheduler.step()`. Failure to do this will result in "
                    f"skipping the first value of the learning rate schedule. See more details at {_MANUAL}",
                    stacklevel=2,
                )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        with within_step(self):
            closed = getattr(self, "_get_closed_form_lr", None)
            self._set(self.get_lr() if epoch is None or closed is None else closed())

    def _set(self, rates: Rates) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            assign(group, "lr", rate)
        self._last_lr = self._rates()

    def _rates(self) -> Rates:
        """The current rates; tensors are copied."""
        return [own(group["lr"]) for group in self.optimizer.param_groups]


class _LRScheduler(LRScheduler):
    """The base class under the name that older programs use."""


class Schedule(LRScheduler):
    """The base of our own schedules: `get_lr` calls `_next`, and warns if it is not called by `step()`."""

    def get_lr(self) -> Rates:
        """The rates of epoch `self.last_epoch`, for `step()`."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.", stacklevel=2
            )
        return self._next()

    def _next(self) -> Rates:
        raise NotImplementedError


@contextmanager
def within_step(schedule: LRScheduler) -> Iterator[None]:
    """Inside the `with` block, `get_lr` is called by `step` and does not warn."""
    schedule._get_lr_called_within_step = True
    try:
        yield
    finally:
        schedule._get_lr_called_within_step = False


def optimizer_of(optimizer: Any) -> Optimizer:
    """The argument, checked to be an optimiser."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def own(value: Any) -> Any:
    """A copy of a tensor; a number is returned unchanged."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def assign(group: dict[str, Any], key: str, value: Any) -> None:
    """Set an option of a group; a tensor is overwritten in place, since other code may hold it."""
    if isinstance(group[key], Tensor):
        group[key].fill_(float(value))
    else:
        group[key] = value


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A list with one value for each group, from one value for all or from such a list."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [own(value) for _ in range(groups)]
    if len(value) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, param_groups "
            f"has {groups}."
        )
    return [own(part) for part in value]


def saved_functions(functions: Sequence[Callable[..., Any] | None]) -> list[dict[str, Any] | None]:
    """The entries for functions in a state dict: the attributes of callable objects, and None for plain functions."""
    plain = (types.FunctionType, types.NoneType)
    return [None if isinstance(function, plain) else function.__dict__.copy() for function in functions]


def _note_steps(optimizer: Optimizer) -> None:
    """Let `optimizer.step()` set a flag, so that a schedule can warn if it is stepped first."""
    if hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return
    step, weak = optimizer.step.__func__, weakref.ref(optimizer)  # type: ignore[attr-defined]

    @functools.wraps(step)
    def marked(*args: Any, **options: Any) -> Any:
        optimizer: Any = weak()
        optimizer._opt_called = True
        return step(optimizer, *args, **options)

    marked._wrapped_by_lr_sched = True  # type: ignore[attr-defined]
    optimizer.step = marked  # type: ignore[method-assign]
