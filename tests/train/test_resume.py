"""A training that is stopped at any step and continued ends with the same bytes as one that was never stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_training import KINDS, STEPS, outcome, recipe, stopping, trained

from minicnn.serialization import CheckpointError
from minicnn.train import Training, find_recipe


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """What each kind of training leaves that nothing has interrupted."""
    known: dict[str, Any] = {}

    def find(kind: str) -> Any:
        if kind not in known:
            known[kind] = outcome(trained(tmp_path_factory.mktemp("whole") / "run", **KINDS[kind]).folder)
        return known[kind]

    return find


# Calls of `stop`: one after each step, and one after the first epoch.
@pytest.mark.parametrize("call", range(1, 2 * STEPS + 2))
@pytest.mark.parametrize("kind", KINDS)
def test_stopped_at_every_step(whole: Callable[[str], Any], tmp_path: Path, kind: str, call: int) -> None:
    folder = tmp_path / "run"
    run = Training(recipe(**KINDS[kind]), seed=3, backend="numpy").run(folder, stop=stopping(call), quiet=True)
    assert run.config["interrupted"] and (folder / "checkpoint.safetensors").exists()
    assert (run.config["epochs_finished"], run.config["step"]) == (
        (0, call) if call <= STEPS else (1, call - STEPS - 1)
    )
    again = Training.resume(folder).run(quiet=True)
    assert again.is_complete and not again.config["interrupted"]
    assert outcome(folder) == whole(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_after_each_step(whole: Callable[[str], Any], tmp_path: Path, kind: str) -> None:
    """The training is made anew for each single step."""
    run = Training(recipe(**KINDS[kind]), seed=3, backend="numpy").run(tmp_path, stop=stopping(1), quiet=True)
    sessions = 1
    while not run.is_complete:
        run = Training.resume(tmp_path).run(stop=stopping(1), quiet=True)
        sessions += 1
    assert sessions == 2 * STEPS + 2  # after the last step of epoch 1, a session only evaluates
    assert outcome(tmp_path) == whole(kind)


def test_other_images_or_targets_of_the_same_number_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory and in files."""
    import minicnn.datasets.digits as digits

    folder = tmp_path / "images"
    for part in ("train", "test"):
        for index in range(40):
            (folder / part / "ab"[index % 2]).mkdir(parents=True, exist_ok=True)
            pixels = np.full((8, 8), 6 * index, np.uint8)
            Image.fromarray(pixels).save(folder / part / "ab"[index % 2] / f"{index}.png")
    of_files = find_recipe("lenet5", f"folder:{folder}")
    for name, one in {"memory": recipe(), "files": replace(of_files, epochs=2, batch_size=8)}.items():
        Training(one, seed=3, backend="numpy").run(tmp_path / name, stop=stopping(2), quiet=True)
        assert Training.resume(tmp_path / name)

    def changed(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        self.data = self.data // 2

    original = digits.Digits.__init__
    monkeypatch.setattr(digits.Digits, "__init__", changed)
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(folder / "train" / "a" / "0.png")
    for name in ("memory", "files"):
        with pytest.raises(CheckpointError, match=r"other images or targets than .* has now"):
            Training.resume(tmp_path / name)


def test_the_order_of_the_images_depends_on_the_seed_alone(tmp_path: Path) -> None:
    """Also in later epochs, and where the net has more random numbers to draw: weights, dropout, mixup."""

    def order(seed: int, **changes: Any) -> list[Any]:
        training, seen = Training(recipe(batch_size=45, **changes), seed=seed), []
        inner = training.batch_transform

        def note(images: Any, targets: Any) -> Any:
            seen.append(targets.tolist())
            return inner(images, targets)

        training.warmup()  # before, since it transforms batches too
        training.batch_transform = note  # type: ignore[assignment]
        training.warmup = lambda: 0  # type: ignore[method-assign]
        training.run(tmp_path / f"{len(list(tmp_path.iterdir()))}", quiet=True)
        return seen

    plain = order(3)
    assert len(plain) == 4 and plain[:2] != plain[2:]
    assert order(3, model="mlp", model_options={"in_features": 1024, "dropout": 0.2}, mixup=0.4) == plain != order(4)
