"""The command line as users see it. Training runs in a separate process, the rest through `main`."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn import cli
from minicnn.cli import plot
from minicnn.visualize.run import FIGURES

LINES = re.compile(
    r"Train epoch (\d+): loss: \d+\.\d{4} ; top-1 accuracy: (\d+\.\d\d)%\n"
    r"Eval epoch \1: top-1 accuracy: (\d+\.\d\d)%\n"
)
DIVERGES = ["--lr", "1e9", "--set", "model.activation=relu"]  # the scores overflow in the second step
HEAVY = "{'numba', 'matplotlib', 'sklearn', 'PIL', 'scipy', 'tqdm', 'safetensors', 'pooch', 'threadpoolctl'}"


def command(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "minicnn", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A run of two epochs on the bundled digits, and its output."""
    folder = tmp_path_factory.mktemp("cli")
    done = command("train", "--epochs", "2", "--out", "run", "--seed", "5", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run", done


@pytest.fixture
def run(trained: tuple[Path, object], tmp_path: Path) -> Path:
    """A copy of that run, which tests may damage."""
    return Path(shutil.copytree(trained[0], tmp_path / "run"))


def fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """Run a command line that must fail with this code and one line on stderr; returns the line."""
    assert cli.main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("minicnn: error: ") and err.endswith("\n") and err.count("\n") == 1
    return err


# -------------------------------------------------------------------------------------------------------------- train


def test_train_prints_two_lines_per_epoch(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = trained
    found = LINES.findall(done.stdout)
    assert [epoch for epoch, _, _ in found] == ["1", "2"]
    assert float(found[1][2]) > 60  # two epochs are enough for that
    assert "61,706 parameters" in done.stdout and "Run folder run" in done.stdout
    assert "images/s" not in done.stderr


def test_train_leaves_a_run_folder(trained: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = trained
    with open(folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    printed = LINES.findall(done.stdout)
    assert [(f"{100 * float(row['train_top1']):.2f}", f"{100 * float(row['val_top1']):.2f}") for row in rows] == [
        line[1:] for line in printed
    ]
    config = json.loads((folder / "config.json").read_text())
    assert config["command"] == "minicnn train --epochs 2 --out run --seed 5"
    assert config["training"]["epochs"] == config["epochs_finished"] == 2
    assert config["training"]["seed"] == 5
    assert config["interrupted"] is False


def test_train_draws_figures(trained: tuple[Path, object]) -> None:
    from PIL import Image

    for name in ("curves", "confusion", "errors", "filters"):
        with Image.open(trained[0] / f"{name}.png") as image:
            pixels = np.asarray(image.convert("L"), float)
        assert pixels.shape[1] >= 600 and pixels.std() > 5


def test_same_seed_same_run(trained: tuple[Path, object], tmp_path: Path) -> None:
    folder, _ = trained
    done = command("train", "--epochs", "2", "--out", "run", "--seed", "5", "--quiet", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    first, second = ((f / "metrics.csv").read_text().splitlines() for f in (folder, tmp_path / "run"))
    assert [line.split(",")[:5] for line in first] == [line.split(",")[:5] for line in second]


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_saves_and_exits_130(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (  # even where the tests themselves were started with Ctrl-C ignored
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from minicnn.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["train", "--epochs", "100000", "--out", "run"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if line.startswith("Eval epoch 1:"):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err and "Ctrl-C again quits at once" in err
    when = r"(in epoch \d+ after step \d+|after epoch \d+)"
    assert re.search(rf"minicnn: interrupted {when}; continue with `minicnn train --resume run`\n", err)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["interrupted"] is True
    finished = 1 + out.count("Eval epoch")
    assert config["epochs_finished"] == finished
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 1 + finished
    assert cli.main(["eval", str(tmp_path / "run")]) == 0
    assert "top-1 accuracy" in capsys.readouterr().out


def test_train_refuses_to_overwrite(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = (run / "model.safetensors").read_bytes()
    assert "--overwrite" in fails(capsys, 1, "train", "--out", str(run))
    (run.parent / "other").mkdir()
    (run.parent / "other" / "file").write_text("")
    assert "not a run" in fails(capsys, 1, "train", "--overwrite", "--out", str(run.parent / "other"))
    assert (run / "model.safetensors").read_bytes() == weights


def test_overwrite(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--out", str(run), "--overwrite", "--epochs", "1", "--batch-size", "300"]) == 0
    assert json.loads((run / "config.json").read_text())["training"]["batch_size"] == 300
    assert len((run / "metrics.csv").read_text().splitlines()) == 2


def test_divergence_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", *DIVERGES, "--out", str(tmp_path / "run")]) == 1
    _, err = capsys.readouterr()
    assert err.startswith("minicnn: error: train: the loss is ") and err.count("\n") == 1
    assert (
        "learning rate 1e+09" in err
        and "smaller" in err
        and "in layer " in err
        and "No checkpoint had been saved" in err
    )
    assert "the loss is" in json.loads((tmp_path / "run" / "config.json").read_text())["error"]


def test_detect_anomaly_names_the_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", *DIVERGES, "--epochs", "1", "--detect-anomaly", "--out", str(tmp_path / "run")]
    assert cli.main(arguments) == 1
    assert re.search(r"minicnn: error: detect_anomaly: .* in layer ", capsys.readouterr().err)


# --------------------------------------------------------------------------------------------------------------- eval


def test_eval_gives_the_figure_of_training(
    trained: tuple[Path, subprocess.CompletedProcess[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, done = trained
    assert cli.main(["eval", str(folder)]) == 0
    out, err = capsys.readouterr()
    said = re.search(r"Test accuracy ([\d.]+%) with the net of epoch (\d)", done.stdout)
    assert said and out.splitlines()[0] == f"Eval epoch {said[2]}: top-1 accuracy: {said[1]}"
    assert err == ""
    table = [line.split() for line in out.splitlines()[3:]]
    assert [row[0] for row in table] == list("0123456789")
    assert {row[2] for row in table} == {"36"}
    correct = sum(int(row[1]) for row in table)
    assert f"{100 * correct / 360:.2f}%" in out.splitlines()[0]
    assert all(row[3] == f"{100 * int(row[1]) / 36:.2f}%" for row in table)


def test_eval_on_another_backend(trained: tuple[Path, object], capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for backend in ("numba", "numpy"):
        assert cli.main(["eval", str(trained[0]), "--backend", backend]) == 0
        printed.append(float(re.findall(r"([\d.]+)%", capsys.readouterr().out)[0]))
    assert printed[0] == pytest.approx(printed[1], abs=0.6)  # two of 360 images may lie on an edge


def test_eval_of_damaged_runs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = run / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2])
    assert f"{weights}: not a valid safetensors file" in fails(capsys, 1, "eval", str(run))
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "SHA-256" in fails(capsys, 1, "eval", str(run))
    weights.unlink()
    assert f"{weights}: cannot be read" in fails(capsys, 1, "eval", str(run))
    (run / "config.json").write_text("{")
    assert "config.json: cannot be read" in fails(capsys, 1, "eval", str(run))
    assert "is not a run" in fails(capsys, 1, "eval", str(run / "nothing"))


# ----------------------------------------------------------------------------------------------------- plot, summary


@pytest.mark.parametrize("figure", FIGURES)
def test_plot(trained: tuple[Path, object], tmp_path: Path, figure: str, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    out = tmp_path / "figures" / f"{figure}.png"
    assert cli.main(["plot", figure, str(trained[0]), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    with Image.open(out) as image:
        assert np.asarray(image.convert("L"), float).std() > 5


def test_plot_names_are_those_that_can_be_drawn() -> None:
    assert plot.PLOTS == FIGURES


def test_plot_goes_into_the_run_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "filters.png").unlink()
    assert cli.main(["plot", "filters", str(run)]) == 0
    assert (run / "filters.png").is_file()


def test_plot_refuses(trained: tuple[Path, object], capsys: pytest.CaptureFixture[str]) -> None:
    run = str(trained[0])
    assert "curves, confusion" in fails(capsys, 2, "plot", "faces", run).replace("'", "")
    assert ".png" in fails(capsys, 2, "plot", "curves", run, "--out", "curves.doc")
    assert "images 0 to 359" in fails(capsys, 2, "plot", "overview", run, "--image", "360")
    assert "below 0" in fails(capsys, 2, "plot", "overview", run, "--image", "-1")


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["summary", "lenet5"]) == 0
    out = capsys.readouterr().out
    assert "Total params: 61,706" in out and "[-1, 16, 10, 10]" in out


# ------------------------------------------------------------------------------------------------------- wrong usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["fly"], "fly"),
        (["train", "LeNet6"], "unknown model 'LeNet6'; `minicnn models` lists all"),
        (["train", "--dataset", "imagenet"], "unknown dataset 'imagenet'; there are: digits, mnist"),
        (["train", "--dataset", "digits", "--recipe", "course"], "'lenet5-course' for any net on digits; it"),
        (["train", "--recipe", "quick"], "unknown recipe 'quick'; there are: digits, lenet5-course"),
        (["train", "--data", "somewhere"], "the digits are bundled"),
        (["train", "--download"], "the digits are bundled"),
        (["train", "--epochs", "0"], "argument --epochs: 0 is not above 0"),
        (["train", "--epochs", "2.5"], "argument --epochs: invalid whole number value: '2.5'"),
        (["train", "--batch-size", "-3"], "-3 is not above 0"),
        (["train", "--lr", "nan"], "nan is not above 0"),
        (["train", "--lr", "inf"], "inf is not above 0"),
        (["train", "--seed", "-1"], "-1 is below 0"),
        (["train", "--seed", str(2**64)], "does not fit in 64 bits"),
        (["train", "--backend", "torch"], "invalid choice: 'torch'"),
        (["train", "--epoch", "3"], "unrecognized arguments: --epoch"),
        (["eval"], "RUN"),
        (["summary"], "MODEL"),
        (["summary", "LeNet5", "--input", "1,32,x"], "'1,32,x' is not a shape such as 1,32,32"),
        (["summary", "LeNet5", "--input", "1,0,32"], "is not a shape"),
        (["summary", "AlxNet"], "unknown model 'AlxNet'; `minicnn models` lists all"),
    ],
)  # fmt: skip
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in fails(capsys, 2, *arguments)


def test_missing_data(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    assert "MINICNN_DATA" in fails(capsys, 1, "train", "--dataset", "mnist")
    assert "train-images-idx3-ubyte" in fails(capsys, 1, "train", "--recipe", "course", "--data", str(tmp_path))
    assert list(tmp_path.iterdir()) == []  # no run folder for a run that never was


def test_data_for_a_run_on_digits(trained: tuple[Path, object], capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["eval"], ["plot", "errors"]):
        assert "bundled" in fails(capsys, 2, *arguments, str(trained[0]), "--data", "somewhere")


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINICNN_DEBUG", "1")
    assert cli.main(["eval", "nothing"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and err.splitlines()[-1].startswith("minicnn: error: nothing is not a run")


def test_unforeseen_errors_are_one_line_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise KeyError("two\nlines")

    monkeypatch.setattr("minicnn.train.build_model", broken)
    assert r"KeyError: 'two\nlines' (MINICNN_DEBUG=1 shows where)" in fails(capsys, 1, "summary", "LeNet5")


def test_ctrl_c_outside_training(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("minicnn.train.build_model", interrupted)
    assert cli.main(["summary", "LeNet5"]) == 130
    assert capsys.readouterr().err == "minicnn: interrupted\n"


# ---------------------------------------------------------------------------------------------------- help, start-up


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"minicnn {minicnn.__version__}\n"
    for arguments in (["--help"], ["train", "--help"], ["eval", "-h"], ["plot", "-h"], ["summary", "-h"]):
        assert cli.main(arguments) == 0
        assert "usage: minicnn" in capsys.readouterr().out


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys; from minicnn.cli import main; main(['train', '--help']); print({HEAVY} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
