"""Saves a training while it runs. A full disk loses nothing: the files of before stay, and it is tried again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..nn import Module
from ..serialization.files import remedy
from .progress import Epoch, say
from .runs.run import Run
from .runs.state import Every, TrainingState


class Saver:
    """What `train` calls after its steps and epochs, so that the run folder can continue the training.

    Args:
        run: the folder.
        state: everything that changes in the training.
        judged: the net whose weights are saved, which may be an average of the trained one.
        about: what a checkpoint says about its training.
        due: says after each step whether a checkpoint is due.
        tell: called with each finished epoch.
    """

    def __init__(
        self, run: Run, state: TrainingState, judged: Module, about: Mapping[str, Any], due: Every,
        tell: Callable[[Epoch], None] | None,
    ) -> None:  # fmt: skip
        self.run, self.state, self.judged, self.about, self.due, self.tell = run, state, judged, about, due, tell
        self.failing = False

    def after_epoch(self, history: list[Epoch]) -> None:
        """Write everything; the weights only if this epoch is the best."""
        best = self.state.note_epoch(self.judged)
        if self.tell is not None:
            self.tell(history[-1])
        self.run.save(self.judged if best else None, history, checkpoint=self._checkpoint())
        self.due.restart()

    def after_step(self) -> None:
        """Write a checkpoint if one is due."""
        if not self.due():
            return
        try:
            self._save({})
        except OSError as error:
            if not self.failing:
                say(
                    f"minicnn: a checkpoint could not be saved: {error}. The earlier one stays, training goes on and "
                    f"tries again; before that, {remedy(error)}",
                    err=True,
                )
            self.failing = True
        else:
            if self.failing:
                say("minicnn: checkpoints are saved again", err=True)
            self.failing = False

    def interrupted(self) -> None:
        """Save where the training stops."""
        self._save({"interrupted": True})

    def _save(self, entries: Mapping[str, Any]) -> None:
        """Everything; the current weights only if no epoch has been chosen yet."""
        weights = self.judged if self.state.best is None else None
        step = self.state.loader.state_dict()["step"]
        history = self.state.progress.history
        self.run.save(weights, history, step=step, checkpoint=self._checkpoint(), **entries)

    def _checkpoint(self) -> dict[str, Any]:
        return {"about": self.about, **self.state.state_dict()}
