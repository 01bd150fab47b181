"""A training that takes a second, for the tests of checkpoints: all that a recipe can switch on, few steps."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

from minicnn.train import Recipe, Run, Training, find_recipe

STEPS = 5  # of an epoch
# Every part of a training that has a state of its own.
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no validation": {"validation": 0, "schedule": "MultiStepLR", "schedule_options": {"milestones": [0.4, 0.8]}},
    "all at once": {
        "optimizer": "AdamW", "optimizer_options": {"lr": 0.01}, "decay": "weights", "schedule": "OneCycleLR",
        "ema": 0.9, "mixup": 0.4, "clip_norm": 1.0, "early_stopping": 5,
        "augmentation": (("RandomCrop", {"size": 32, "padding": 4}), ("RandomHorizontalFlip", {})),
    },
    "another net": {
        "model": "resnet20", "model_options": {"in_channels": 1}, "transforms": (("ToTensor", {}),), "augmentation": (),
        "schedule": "ReduceLROnPlateau", "schedule_options": {"patience": 0, "mode": "max"}, "schedule_every": "epoch",
        "progressive": ((0.0, 6), (0.5, 8)), "cutmix": 1.0, "workers": 0, "optimizer": "Adam",
        "optimizer_options": {"lr": 0.01, "amsgrad": True}, "tta": "shift",
    },
    "the test set's curve": {"validation": "test", "optimizer": "RMSprop", "optimizer_options": {"lr": 1e-3}},
}  # fmt: skip


def recipe(**changes: Any) -> Recipe:
    """LeNet-5 on some digits, in 2 epochs of 5 steps."""
    return replace(find_recipe(), **{"epochs": 2, "batch_size": 18, "train_size": 90, "classes": (0, 1, 2), **changes})


def trained(folder: Path, **changes: Any) -> Run:
    """A run that nothing has interrupted."""
    return Training(recipe(**changes), seed=3, backend="numpy").run(folder, quiet=True)


def stopping(after: int) -> Any:
    """A `stop` that says True at its call number `after`, from 1: after that step, or after an epoch."""
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls >= after

    return stop


def outcome(folder: Path) -> dict[str, Any]:
    """Everything a training leaves that does not depend on the clock."""
    with open(folder / "metrics.csv", newline="") as file:
        rows = [
            {name: value for name, value in row.items() if name not in ("seconds", "images_per_second")}
            for row in csv.DictReader(file)
        ]
    results = (folder / "results.json").read_bytes()
    return {"weights": (folder / "model.safetensors").read_bytes(), "metrics": rows, "results": results}
