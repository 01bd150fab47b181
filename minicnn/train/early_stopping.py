"""Early stopping: end the training when the validation results have not become better for some epochs.

L. Prechelt, "Early stopping - but when?", in: Neural Networks: Tricks of the Trade, 1998,
https://doi.org/10.1007/3-540-49430-8_3
"""

from __future__ import annotations

import math
from typing import Any

from minicnn_kernels.geometry import real, whole


class EarlyStopping:
    """Watches one number per epoch, and says when it has not become better for `patience` epochs in a row.

    The number is measured on a validation set: one chosen by the test set would make the test result too good. A value
    is better if it is above the best so far by more than `min_delta` (with mode "min": below it). NaN is never better.

    Args:
        patience: after how many epochs in a row without a better value to stop.
        min_delta: how much better is better.
        mode: "max" for accuracies, "min" for losses.

    Attributes:
        best: the best value so far; None before the first.
        best_step: the call of `step`, counted from 1, that gave it; 0 before the first.
        steps: how many calls there were.

    Raises:
        ValueError: patience is below 1, min_delta is negative or not finite, or the mode is another word.

    >>> stopping = minicnn.train.EarlyStopping(patience=2)
    >>> [stopping.step(accuracy) for accuracy in (0.5, 0.7, 0.6, 0.7)]
    [False, False, False, True]
    >>> stopping.best, stopping.best_step
    (0.7, 2)
    """

    def __init__(self, patience: int, min_delta: float = 0.0, mode: str = "max") -> None:
        self.patience = whole(patience, "EarlyStopping", "patience", 1)
        if not (math.isfinite(real(min_delta, "EarlyStopping", "min_delta")) and min_delta >= 0):
            raise ValueError(f"EarlyStopping: min_delta must be 0 or more, got {min_delta}; for losses give mode='min'")
        if mode not in ("max", "min"):
            raise ValueError(f"EarlyStopping: mode must be 'max' or 'min', got {mode!r}")
        self.min_delta, self.mode = float(min_delta), mode
        self.best: float | None = None
        self.best_step = self.steps = 0

    def step(self, value: float) -> bool:
        """Take the value of the next epoch; True: stop now.

        >>> minicnn.train.EarlyStopping(patience=1, mode="min").step(2.0)
        False
        """
        value = float(value)
        self.steps += 1
        gain = math.inf if self.best is None else (value - self.best) * (1 if self.mode == "max" else -1)
        if not math.isnan(value) and gain > self.min_delta:
            self.best, self.best_step = value, self.steps
        return self.waited >= self.patience

    @property
    def waited(self) -> int:
        """How many epochs ago the best value was; 0: the last one is the best."""
        return self.steps - self.best_step

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, as plain numbers; the settings are not among them.

        >>> minicnn.train.EarlyStopping(patience=3).state_dict()
        {'best': None, 'best_step': 0, 'steps': 0}
        """
        return {"best": self.best, "best_step": self.best_step, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises:
            ValueError: it is no such state.
        """
        try:
            best, best_step, steps = state["best"], int(state["best_step"]), int(state["steps"])
            best = None if best is None else float(best)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"EarlyStopping: expected a state with best, best_step and steps, got {state!r}"
            ) from error
        if not 0 <= best_step <= steps or (best is None) != (best_step == 0) or (best is not None and math.isnan(best)):
            raise ValueError(f"EarlyStopping: a best value {best} in step {best_step} of {steps} is impossible")
        self.best, self.best_step, self.steps = best, best_step, steps
