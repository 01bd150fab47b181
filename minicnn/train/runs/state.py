"""Everything that a training needs to go on exactly where it was, and strict checks when it comes back from a file."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...nn import Module
from ...optim.first_order import FirstOrder
from ...random import get_rng_state, set_rng_state
from ...tensor import Tensor
from ..progress import Epoch, Progress, best_epoch
from .checkpoint import CheckpointError
from .config import shortened

Weights = dict[str, Tensor]


class TrainingState:
    """The parts of a training that change, together: net, optimiser, random numbers, position in the data, results.

    Args:
        model, optimizer, loader: the net, its optimiser, and the `DataLoader` of its training images.
        progress: the finished epochs, and the sums of the current one.
        others: further parts that have a `state_dict` and a `load_state_dict`, by name, such as the schedule; None is
            left out.
        chooses: whether the epoch is chosen by the validation results; else the last one counts.

    Attributes:
        best: the weights of the best epoch so far; None before the first epoch, and if none is chosen.
    """

    def __init__(
        self, model: Module, optimizer: FirstOrder, loader: Any, progress: Progress, others: Mapping[str, Any],
        chooses: bool,
    ) -> None:  # fmt: skip
        self.model, self.optimizer, self.loader, self.progress = model, optimizer, loader, progress
        self.chooses = chooses
        self.others = {name: part for name, part in others.items() if part is not None}
        self.best: Weights | None = None

    def note_epoch(self, judged: Module) -> bool:
        """After an epoch: whether its net is the result so far; the weights of a chosen one are copied."""
        history = self.progress.history
        if self.chooses:
            if best_epoch(history) is not history[-1]:
                return False
            self.best = {name: value.detach().clone() for name, value in judged.state_dict().items()}
        return True

    def state_dict(self) -> dict[str, Any]:
        """All parts as tensors, numbers, texts and lists."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "loader": self.loader.state_dict(),
            "random": get_rng_state(),
            "progress": self.progress.state_dict(),
            "best": self.best,
            **{name: part.state_dict() for name, part in self.others.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`; also the program's random numbers are set.

        Raises:
            CheckpointError: it does not fit: it is the state of another training.
        """
        fresh = self.state_dict()
        try:
            _same_keys("the checkpoint", fresh, state)
            _check_weights("model", fresh["model"], state["model"])
            if state["best"] is not None:
                if not self.chooses:
                    raise ValueError("it has the weights of a best epoch, and none is chosen")
                _check_weights("best", fresh["model"], state["best"])
            self._check_optimizer(state["optimizer"])
            for name in self.others:
                _alike(name, fresh[name], state[name])
            self._check_position(state["progress"], state["loader"])

            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            for name, part in self.others.items():
                part.load_state_dict(state[name])
            self.loader.load_state_dict(state["loader"])
            self.progress.load_state_dict(state["progress"])
            self.best = None if state["best"] is None else dict(state["best"])
            set_rng_state(state["random"])  # last, since making all of this may have drawn numbers
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"it does not fit the training that config.json describes: {error}") from error

    def _check_optimizer(self, state: Any) -> None:
        """Raise unless it is a state of an optimiser of this kind, with these parameters."""
        fresh = self.optimizer.state_dict()
        _same_keys("optimizer", fresh, state)
        _alike("optimizer", fresh["param_groups"], state["param_groups"])
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        groups = [group for group in self.optimizer.param_groups for _ in group["params"]]
        for number, kept in state["state"].items():
            if type(number) is not int or not 0 <= number < len(parameters):
                raise ValueError(f"the optimiser has no parameter {shortened(number)}")
            p = parameters[number]
            expected = self.optimizer.initial_state(p, groups[number])
            if "momentum_buffer" in kept:  # SGD makes it in the first step
                expected.setdefault("momentum_buffer", p)
            _same_keys(f"optimizer.state[{number}]", expected, kept)
            for name, value in expected.items():
                shape = getattr(kept[name], "shape", None)
                if shape != value.shape:
                    raise ValueError(f"{name} of parameter {number} has shape {shape}, not {value.shape}")

    def _check_position(self, progress: Any, loader: Any) -> None:
        """Raise unless the results and the place in the data are possible, and fit each other."""
        fresh = Progress().state_dict()
        _alike("progress", {**fresh, "history": None}, {**progress, "history": None})
        rows = progress["history"]
        for number, row in enumerate(rows, 1):
            plain = isinstance(row, list) and all(type(value) in (int, float) for value in row)
            if not plain or len(row) != len(Epoch._fields) or row[0] != number:
                raise ValueError(f"epoch {number} of its history is {shortened(row)}")
        running = progress["running"]
        if any(value < 0 for name, value in running.items() if type(value) is int):
            raise ValueError(f"the sums of the epoch are {shortened(running)}")
        _same_keys("loader", self.loader.state_dict(), loader)
        epoch, step = loader["epoch"], loader["step"]
        if (epoch, step) != (len(rows), running["batches"]) or not 0 <= step <= len(self.loader):
            raise ValueError(
                f"step {shortened(step)} of epoch {shortened(epoch)} in the data, but {len(rows)} finished epochs and "
                f"{running['batches']} of {len(self.loader)} steps in the results"
            )


def _same_keys(where: str, fresh: Mapping[Any, Any], found: Any) -> None:
    if not isinstance(found, Mapping):
        raise TypeError(f"{where} is {shortened(found)}")
    lacks, more = [key for key in fresh if key not in found], [key for key in found if key not in fresh]
    if lacks or more:
        raise ValueError(f"{where} lacks {shortened(lacks)}" if lacks else f"{where} has {shortened(more)}")


def _check_weights(where: str, fresh: Mapping[str, Tensor], found: Any) -> None:
    _same_keys(where, fresh, found)
    for name, tensor in fresh.items():
        given = found[name]
        if not isinstance(given, Tensor) or given.shape != tensor.shape or given.dtype != tensor.dtype:
            what = f"{given.dtype} {given.shape}" if isinstance(given, Tensor) else shortened(given)
            raise ValueError(f"{where}.{name} is {what}, the net's is {tensor.dtype} {tensor.shape}")


def _alike(where: str, fresh: Any, found: Any) -> None:
    """Raise unless a value from a file has the kind and the parts of the fresh one, whatever its numbers are."""
    if fresh is None or found is None:
        return  # not known yet, such as the best value so far
    if isinstance(fresh, Mapping):
        _same_keys(where, fresh, found)
        for key, value in fresh.items():
            _alike(f"{where}.{key}", value, found[key])
    elif isinstance(fresh, list | tuple):
        if type(found) is not type(fresh) or len(found) != len(fresh):
            raise ValueError(f"{where} is {shortened(found)}, not {shortened(fresh)}")
        for number, value in enumerate(fresh):
            _alike(f"{where}[{number}]", value, found[number])
    elif isinstance(fresh, Tensor | np.ndarray):
        if type(found) is not type(fresh) or found.shape != fresh.shape or found.dtype != fresh.dtype:
            raise ValueError(f"{where} is {shortened(found)}")
    else:
        numbers = all(isinstance(value, (int, float, np.number)) for value in (fresh, found))
        if not (numbers and type(fresh) is not bool and type(found) is not bool) and type(found) is not type(fresh):
            raise ValueError(f"{where} is {shortened(found)}, not of the kind of {shortened(fresh)}")


class Every:
    """When the next checkpoint is due: `Every("100")` after each hundred steps, `Every("30s")` or "5m" after a time.

    Raises:
        ValueError: the text is neither; the message says what is possible.

    >>> from minicnn.train.runs.state import Every
    >>> due = Every("2")
    >>> [due() for _ in range(4)]
    [False, True, False, True]
    """

    def __init__(self, text: str | int) -> None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h)?", str(text).strip())
        count = float(found[1]) if found else 0.0
        if not found or not count or (found[2] is None and count != int(count)):
            raise ValueError(
                f"checkpoints: {text!r} is neither a number of steps, such as 100, nor a time, such as 30s or 5m"
            )
        self.text = str(text)
        self._steps = int(count) if found[2] is None else 0
        self._time = count * {"s": 1, "m": 60, "h": 3600}[found[2]] if found[2] else 0.0
        self.restart()

    def restart(self) -> None:
        """Count from now on."""
        self._done, self._since = 0, time.monotonic()

    def __call__(self) -> bool:
        """Count a step; True if a checkpoint is due now."""
        self._done += 1
        due = self._done >= self._steps if self._steps else time.monotonic() - self._since >= self._time
        if due:
            self.restart()
        return due
