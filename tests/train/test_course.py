"""The courses' LeNet-5 on the real MNIST, epoch by epoch beside PyTorch with the same recipe."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

# Test accuracy after each epoch in PyTorch, same recipe and data, over three seeds: lowest and highest.
PYTORCH = [(61, 68), (85, 87), (89, 90), (92, 92), (93, 93), (94, 94), (95, 95), (96, 96), (96.3, 96.3), (96.6, 96.9)]


@pytest.mark.slow
@pytest.mark.mnist
def test_the_course_recipe_learns_as_pytorch_does(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["-m", "minicnn.cli", "train", "lenet5", "--dataset", "mnist", "--recipe", "course", "--out", str(out)]
    done = subprocess.run([sys.executable, *command, "--quiet"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with (out / "metrics.csv").open() as file:
        found = [100 * float(row["val_top1"]) for row in csv.DictReader(file)]
    assert len(found) == 10
    for epoch, (accuracy, (low, high)) in enumerate(zip(found, PYTORCH, strict=True), 1):
        assert low - 4 <= accuracy <= high + 4, f"epoch {epoch}: {accuracy:.2f} %"
    assert 96.0 <= found[-1] <= 97.4
