"""Training that cannot save its net, diverges or is interrupted: the files, the messages, the exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, cli, nn, optim, train
from minicnn.serialization import files
from minicnn.train import DivergedError, Epoch, Run, RunError, SaveError, build_model
from minicnn.train.runs.run import METRICS, WEIGHTS

HISTORY = [Epoch(1, 2.5, 0.25, 2.25, 0.5, 1.5, 1149.5, 0.05), Epoch(2, 1.5, 0.5, 0.125, 0.75, 0.001, 1437000.0, 0.05)]
CONFIG = {
    "format": "minicnn run 1",
    "model": {"name": "LeNet5", "options": {}},
    "dataset": {"name": "digits", "root": None, "transforms": [["ToTensor", {}], ["Resize", {"size": [32, 32]}]]},
    "training": {"epochs": 2, "backend": "numpy", "seed": 0, "loss": "CrossEntropyLoss"},
    "epochs_finished": 0,
    "step": 0,
}
FULL = OSError(errno.ENOSPC, "No space left on device", "run/model.safetensors")


def rows(folder: Path) -> int:
    """The lines of metrics.csv after the first, read as any other program would."""
    return len((folder / METRICS).read_text().splitlines()) - 1


def epoch_of_weights(folder: Path) -> int:
    data = (folder / WEIGHTS).read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return int(json.loads(header["__metadata__"]["minicnn"])["epoch"])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "run", CONFIG)
    made.save(build_model("LeNet5"), HISTORY[:1])
    return made


# ------------------------------------------------------------------------------------- weights and metrics together


@pytest.mark.parametrize("failing", range(9))
def test_a_write_that_fails_changes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    """Every write and flush of a save fails once; weights and metrics of the epoch before stay."""
    calls = 0

    def sometimes(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == failing + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return call(*arguments)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sometimes(os.fsync))
        patch.setattr(files.Draft, "_create", sometimes(files.Draft._create))
        patch.setattr(files.Draft, "write", sometimes(files.Draft.write))
        with pytest.raises(OSError, match=r"No space left on device"):
            run.save(build_model("LeNet5"), HISTORY)
    assert rows(run.folder) == epoch_of_weights(run.folder) == 1
    assert run.config["epochs_finished"] == 1 and Run.open(run.folder).config["epochs_finished"] == 1
    assert sorted(path.name for path in run.folder.iterdir()) == ["config.json", "metrics.csv", "model.safetensors"]


@pytest.mark.parametrize("names", range(4))
def test_a_crash_between_two_names(run: Run, monkeypatch: pytest.MonkeyPatch, names: int) -> None:
    """The machine stops after some files have been renamed: the files still belong to one epoch."""
    replace, done = os.replace, 0

    class CrashError(BaseException):
        pass

    def stopping(*arguments: Any) -> None:
        nonlocal done
        if done == names:
            raise CrashError
        replace(*arguments)
        done += 1

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopping)
        try:
            run.save(build_model("LeNet5"), HISTORY)
        except CrashError:
            assert names < 3
    again = Run.open(run.folder)
    assert len(again.history()) == (2 if names else 1)  # the metrics are first, and true by themselves
    assert again.model()[1] == (2 if names == 3 else 1)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_at_any_moment(tmp_path: Path) -> None:
    """A process that only saves epochs is killed; weights and metrics belong to the same epoch."""
    code = (
        "import json, sys; from minicnn.train import *\n"
        "run = Run.create(sys.argv[1], json.loads(sys.argv[2]))\n"
        "model, history = build_model('LeNet5'), []\n"
        "for n in range(1, 1000): history.append(Epoch(n, 1, 0, 1, 0, 1, 1)); run.save(model, history)"
    )
    for turn in range(3):
        folder = tmp_path / f"run{turn}"
        with subprocess.Popen([sys.executable, "-c", code, str(folder), json.dumps(CONFIG)]) as process:
            deadline = time.monotonic() + 60
            while not (folder / WEIGHTS).exists() and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.005)
            time.sleep(0.05 + 0.037 * turn)
            process.send_signal(signal.SIGKILL)
        again = Run.open(folder)
        assert again.model()[1] == epoch_of_weights(folder) >= 1
        assert rows(folder) - epoch_of_weights(folder) in (0, 1)
        again.save(build_model("LeNet5"), again.history())
        assert sorted(path.name for path in folder.iterdir()) == ["config.json", "metrics.csv", "model.safetensors"]


def test_files_of_different_runs_are_noticed(run: Run) -> None:
    (run.folder / METRICS).write_text(
        "\n".join([",".join(Epoch._fields)] + [f"{n},1,0.5,1,0.5,1,1,0.1" for n in range(1, 6)]) + "\n"
    )
    run.save(build_model("LeNet5"), [], epoch=7)
    with pytest.raises(RunError, match=r"metrics.csv: has 0 epochs, but model.safetensors is of epoch 7.*restore"):
        run.history()


def test_a_folder_that_has_gone_is_made_again(run: Run) -> None:
    for file in run.folder.iterdir():
        file.unlink()
    run.folder.rmdir()
    run.save(build_model("LeNet5"), HISTORY)
    assert Run.open(run.folder).history() == HISTORY


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_run_writes_to_its_own_folder_only(run: Run, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (run.folder / METRICS).unlink()
    (run.folder / METRICS).symlink_to(tmp_path / "precious")
    with pytest.raises(PermissionError, match=r"leads out of the folder.*metrics.csv"):
        run.save(build_model("LeNet5"), HISTORY)
    assert (tmp_path / "precious").read_bytes() == b"precious" and epoch_of_weights(run.folder) == 1


# --------------------------------------------------------------------------------------------------------- a full disk


def batches(scale: float = 1.0) -> list[Any]:
    rng = np.random.default_rng(0)
    return [
        (Tensor((scale * rng.standard_normal((5, 3))).astype(np.float32)), Tensor(rng.integers(0, 2, 5)))
        for _ in range(3)
    ]


def fit(save: Any, epochs: int = 3, lr: float = 0.1, scale: float = 1.0) -> list[Epoch]:
    model = nn.Linear(3, 2)
    data = batches(scale)
    return train.train(
        model, data, data, optim.SGD(model.parameters(), lr), nn.CrossEntropyLoss(), epochs, progress=False, save=save
    )


def test_training_goes_on_when_an_epoch_cannot_be_saved(capsys: pytest.CaptureFixture[str]) -> None:
    met = []

    def save(history: list[Epoch]) -> None:
        met.append(len(history))
        if len(history) == 2:
            raise FULL

    assert len(fit(save)) == 3 and met == [1, 2, 3]
    err = capsys.readouterr().err
    assert "after epoch 2 the net and its metrics could not be saved" in err and "run/model.safetensors" in err
    assert "Training goes on and saves again after the next epoch; before that, make room on the disk" in err


def test_an_end_that_cannot_be_saved_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def save(history: list[Epoch]) -> None:
        raise FULL

    with pytest.raises(SaveError, match=r"after epoch 3 .* could not be saved.*make room on the disk") as caught:
        fit(save)
    assert len(caught.value.history) == 3
    assert capsys.readouterr().err.count("Training goes on") == 2


def test_other_errors_of_save_are_raised() -> None:
    def save(history: list[Epoch]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(save)


def test_a_full_disk_under_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, text: str) -> int:
            raise FULL

        def flush(self) -> None: ...

    monkeypatch.setattr(sys, "stdout", Full())
    assert len(fit(None)) == 3


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_the_command_line_on_a_full_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file may grow beyond 100 KB: the config fits, the weights do not."""
    import resource

    monkeypatch.setattr("minicnn.visualize.draw", lambda *_, **__: [])
    assert cli.main(["train", "--epochs", "1", "--out", str(tmp_path / "first")]) == 0  # all kernels are on the disk
    capsys.readouterr()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (102400, before[1]))
    try:
        code = cli.main(["train", "--epochs", "2", "--out", str(tmp_path / "run")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    out, err = capsys.readouterr()
    first, last = err.splitlines()
    assert "after epoch 1" in first and "run/model.safetensors" in first and "Training goes on" in first
    assert last.startswith("minicnn: error: train: after epoch 2") and "ulimit -f" in last
    assert "no epoch is finished and saved yet in" in last and "no checkpoint is saved yet" not in last
    assert code == 1 and "Eval epoch 2" in out
    left = json.loads((tmp_path / "run" / "config.json").read_text())
    assert left["epochs_finished"] == 0 and "could not be saved" in left["error"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["config.json", "recipe.toml"]


# --------------------------------------------------------------------------------------------------------- divergence


def test_a_loss_that_is_absurd_is_an_error_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    saved = []
    with pytest.raises(DivergedError, match=r"the mean loss of epoch 2 is .*have diverged, with learning rate 1e\+06"):
        fit(lambda history: saved.append(len(history)), epochs=2, lr=1e6)
    assert saved == [1, 2]  # what there is to look at
    assert "the mean loss of epoch 1 is" in capsys.readouterr().err


@pytest.mark.parametrize("scale", [1.0, 100.0])  # a large loss to begin with is no divergence
def test_a_loss_that_falls_is_none(scale: float, capsys: pytest.CaptureFixture[str]) -> None:
    fit(None, epochs=2, lr=1e-6, scale=scale)
    assert capsys.readouterr().err == ""


def test_the_command_line_says_that_training_diverged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert cli.main(["train", "--lr", "1e9", "--epochs", "1", "--out", str(out)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("minicnn: error: train: the mean loss of epoch 1 is") and "or better 0.1" in err
    assert "have diverged" in json.loads((out / "config.json").read_text())["error"] and rows(out) == 1


# ------------------------------------------------------------------------------------------------------------- Ctrl-C


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_while_drawing_says_where_the_net_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minicnn.visualize.draw", interrupted)
    out = tmp_path / "run"
    assert cli.main(["train", "--epochs", "1", "--out", str(out)]) == 130
    assert capsys.readouterr().err == f"minicnn: interrupted; the net after epoch 1 is saved in {out}\n"
    assert Run.open(out).model()[1] == 1


def test_ctrl_c_before_anything_is_saved_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minicnn.train.session.train", interrupted)
    out = tmp_path / "run"
    assert cli.main(["train", "--epochs", "1", "--out", str(out)]) == 130
    assert capsys.readouterr().err == f"minicnn: interrupted; no epoch is finished and saved yet in {out}\n"


def test_figures_that_cannot_be_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "run/curves.png")

    monkeypatch.setattr("minicnn.visualize.draw", full)
    out = tmp_path / "run"
    assert cli.main(["train", "--epochs", "1", "--out", str(out)]) == 1
    err = capsys.readouterr().err
    assert f"the net after epoch 1 is saved in {out}, but its figures could not be drawn" in err
    assert "minicnn plot" in err


def test_the_first_ctrl_c_says_what_a_second_would_leave(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    with train.Interrupt(run.saved) as stop:
        stop._first(signal.SIGINT, None)
    assert stop() and f"quits at once: the net after epoch 1 is saved in {run.folder}\n" in capfd.readouterr().err
