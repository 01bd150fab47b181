from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.train import (
    CheckpointError,
    Epoch,
    Run,
    RunError,
    build_dataset,
    build_model,
    describe,
    description,
    find_recipe,
)

HISTORY = [
    Epoch(1, 2.1790123456789, 0.3473, 1.9, 0.5764, 1.25, 1149.6, 0.05),
    Epoch(2, 1 / 3, 2 / 3, 0.1, 0.9, 1e-3, 1437000.0, 0.005),
]


def config(**changes: Any) -> dict[str, Any]:
    recipe = find_recipe()
    model = build_model(recipe.model, recipe.model_options)
    train_set, test_set = (build_dataset("digits", train=part, steps=recipe.transforms) for part in (True, False))
    about = {"seed": 7, "backend": "numpy", "root": None, "command": "minicnn train"}
    return {**describe(recipe, model, train_set, test_set, **about), **changes}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "run", config())
    minicnn.manual_seed(3)
    made.save(build_model("LeNet5"), HISTORY)
    return made


def test_round_trip(run: Run) -> None:
    again = Run.open(run.folder)
    assert again.config == run.config
    assert again.history() == HISTORY  # to the last bit
    model, epoch, step = again.model()
    assert (epoch, step, model.training) == (2, 0, False)
    minicnn.manual_seed(3)
    for p, q in zip(model.parameters(), build_model("LeNet5").parameters(), strict=True):
        assert np.array_equal(p.array, q.array)
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "config.json", "metrics.csv", "model.safetensors", "recipe.toml",
    ]  # fmt: skip


def test_config_tells_how_to_repeat_the_run(run: Run) -> None:
    data = json.loads((run.folder / "config.json").read_text())
    assert data["model"] == {
        "name": "LeNet5",
        "options": {"num_classes": 10, "activation": "tanh", "pool": "max"},
        "parameters": 61_706,
    }
    assert (data["dataset"]["train"], data["dataset"]["test"]) == (1437, 360)
    assert data["dataset"]["augmentation"]
    assert data["training"]["seed"] == 7 and data["training"]["backend"] == "numpy"
    assert {"optimizer", "lr", "momentum", "batch_size", "epochs", "loss", "recipe"} <= set(data["training"])
    assert data["environment"]["numpy"] == np.__version__
    assert data["environment"]["minicnn"] == minicnn.__version__
    assert data["environment"]["threads"] >= 1 and data["environment"]["cpu"]
    assert data["command"] == "minicnn train"
    assert data["interrupted"] is False and data["epochs_finished"] == 2


def test_metrics_are_plain_csv(run: Run) -> None:
    lines = (run.folder / "metrics.csv").read_text().splitlines()
    assert lines[0] == "epoch,train_loss,train_top1,val_loss,val_top1,seconds,images_per_second,lr"
    assert lines[1] == "1,2.1790123456789,0.3473,1.9,0.5764,1.25,1149.6,0.05"


def test_test_set(run: Run) -> None:
    images, targets = run.test_set().fetch_batch(range(360))
    assert images.shape == (360, 1, 32, 32)
    assert targets.shape == (360,)


def test_a_folder_with_a_run_is_not_overwritten(run: Run) -> None:
    weights = (run.folder / "model.safetensors").read_bytes()
    with pytest.raises(RunError, match=r"already holds a run.*--overwrite"):
        Run.create(run.folder, config())
    assert (run.folder / "model.safetensors").read_bytes() == weights


def test_overwrite_removes_the_run_and_nothing_else(run: Run) -> None:
    for name in ("notes.txt", "curves.png", "mine.png"):  # the second one is a picture of the run
        (run.folder / name).write_text("mine")
    Run.create(run.folder, config(), overwrite=True)
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "config.json", "mine.png", "notes.txt", "recipe.toml"
    ]  # fmt: skip


@pytest.mark.parametrize("overwrite", [True, False])
def test_other_folders_are_refused(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="not empty and not a run"):
        Run.create(tmp_path, config(), overwrite=overwrite)
    (tmp_path / "config.json").write_text('{"editor": "mine too"}')
    with pytest.raises(RunError):
        Run.create(tmp_path, config(), overwrite=overwrite)
    assert (tmp_path / "config.json").read_text() == '{"editor": "mine too"}'


def test_what_a_kill_left_in_the_first_write_is_no_other_folder(tmp_path: Path) -> None:
    """A process that died before its config.json had a name leaves hidden files; the same command works again."""
    for name in ("config.json", "recipe.toml"):
        (tmp_path / f".{name}.0123456789abcdef.part").write_text('{"form')
    Run.create(tmp_path, config())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "recipe.toml"]


def test_an_empty_folder_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert Run.create(tmp_path / "empty", config()).folder == tmp_path / "empty"
    assert Run.create(tmp_path / "a" / "b", config()).folder.is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        Run.create(tmp_path / "file", config())
    with pytest.raises(RunError, match="cannot write the run folder"):
        Run.create(tmp_path / "file" / "below", config())


def test_default_folders_never_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = {Run.create(None, config()).folder for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.parent == Path("runs") and folder.name.startswith("lenet5-digits-") for folder in folders)


def test_opening_what_is_no_run(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run: it has no config.json.*Runs in .*: run"):
        Run.open(tmp_path)
    with pytest.raises(RunError, match="is not a run"):
        Run.open(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "config.json: cannot be read"),
        ("{", "config.json: cannot be read"),
        ("[]", "not the config of a run"),
        ('{"format": "other"}', "not the config of a run"),
        ('{"format": "minicnn run 1"}', "model lacks name, options"),
    ],
)
def test_damaged_config(run: Run, text: str, message: str) -> None:
    (run.folder / "config.json").write_text(text)
    with pytest.raises(RunError, match=message):
        Run.open(run.folder)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "os.system", "options": {}}, "unknown model 'os.system'; "),
        ({"name": "LeNet5", "options": {"wings": 2}}, "cannot be built"),
        ({"name": "LeNet5", "options": {"pool": "min"}}, "cannot be built"),
    ],
)
def test_a_config_builds_known_models_only(run: Run, model: dict[str, Any], message: str) -> None:
    run.config["model"] = model
    with pytest.raises(RunError, match=message):
        run.model()


def test_a_config_builds_known_data_only(run: Run) -> None:
    run.config["dataset"]["transforms"] = [["Lambda", {"lambd": "print"}]]
    with pytest.raises(RunError, match="unknown transform 'Lambda'"):
        run.test_set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line should be epoch,"),
        ("epoch,loss\n1,2\n", "the first line should be epoch,"),
        (",".join(Epoch._fields) + "\n1,2,3\n", "line 2 is not 8 numbers: '1,2,3'"),
        (",".join(Epoch._fields) + "\n1,2,3,4,5,6,7,eight\n", "line 2 is not 8 numbers"),
    ],
)
def test_damaged_metrics(run: Run, text: str, message: str) -> None:
    (run.folder / "metrics.csv").write_text(text)
    with pytest.raises(RunError, match=message):
        run.history()


def test_a_run_killed_before_its_first_epoch(tmp_path: Path) -> None:
    run = Run.open(Run.create(tmp_path / "run", config()).folder)
    with pytest.raises(RunError, match=r"metrics.csv: cannot be read"):
        run.history()
    with pytest.raises(CheckpointError, match=r"model.safetensors: cannot be read"):
        run.model()


def test_interrupted(run: Run) -> None:
    run.save(build_model("LeNet5"), HISTORY[:1], step=12, interrupted=True)
    again = Run.open(run.folder)
    assert again.config["interrupted"] is True and again.config["step"] == 12
    assert again.model()[1:] == (1, 12)


def test_overrides_are_recorded() -> None:
    recipe = replace(find_recipe(), epochs=3, optimizer_options={"lr": 0.5, "momentum": 0.0})
    data = build_dataset("digits", train=False, steps=recipe.transforms)
    about = {"seed": 0, "backend": "auto", "root": None, "command": ""}
    training = describe(recipe, build_model("LeNet5"), data, data, **about)["training"]
    assert (training["epochs"], training["lr"], training["momentum"]) == (3, 0.5, 0.0)


def test_environment_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(description.runtime, "have_numba", lambda: False)
    assert description.environment()["threads"] >= 1
