"""`minicnn exercise`: files are written, graded and listed, and never overwritten unasked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minicnn import cli
from minicnn.exercises import EXERCISES


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main(["exercise", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_the_stub_to_the_solution(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert run(capsys, "new", "relu_backward")[:2] == (0, "relu_backward.py\n")
    file = here / "relu_backward.py"
    code, out, _ = run(capsys, "check", file)
    assert code == 1 and "it is not written yet: write relu_backward" in out
    file.write_text(
        file.read_text().replace('raise NotImplementedError("write relu_backward")', "return gy * (gy > 0)")
    )
    code, out, _ = run(capsys, "check", "relu_backward.py")
    assert code == 1 and "the mask is that of gy" in out and "minicnn exercise check relu_backward.py" in out
    assert re.search(r"relu_backward +\*    0 of 5", run(capsys, "list")[1])
    assert re.search(r"relu_backward +\*    begun", run(capsys, "list", "--fast")[1])
    assert run(capsys, "solution", "relu_backward", "-o", file)[0] == 0
    code, out, _ = run(capsys, "check", "relu_backward.py")
    assert code == 0 and "5 of 5 cases are right" in out and "Next exercise:" in out
    assert re.search(r"relu_backward +\*    done", run(capsys, "list")[1])


def test_list_has_all(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list")
    assert code == 0 and all(f"  {name} " in out for name in EXERCISES)
    assert all(exercise.title in out and exercise.topic in out for exercise in EXERCISES.values())
    assert max(map(len, out.splitlines())) <= 110


def test_files_are_not_overwritten(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "tape.py").write_text("mine")
    code, _, err = run(capsys, "new", "im2col", "tape")
    assert code == 2 and "tape.py is there already; give another name with -o, or replace it with --overwrite" in err
    assert (here / "tape.py").read_text() == "mine" and not (here / "im2col.py").exists()
    assert run(capsys, "new", "im2col", "tape", "--overwrite")[0] == 0
    assert "class Value:" in (here / "tape.py").read_text() and "def im2col(x" in (here / "im2col.py").read_text()
    assert run(capsys, "new", "tape", "-o", "other.py")[0] == 0 and (here / "other.py").exists()
    (here / "folder").mkdir()
    assert run(capsys, "new", "tape", "sgd_step", "-o", "folder")[0] == 0 and (here / "folder" / "sgd_step.py").exists()
    code, _, err = run(capsys, "new", "tape", "sgd_step", "-o", "nowhere")
    assert code == 2 and "for several exercises give a folder that is there" in err


def test_reports_as_files(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    (here / "a.py").write_text(
        "import numpy as np\ndef linear_backward(gy, x, w):\n    return gy @ w, gy.T @ x, gy.mean(0)\n"
    )
    code, out, _ = run(capsys, "check", "a.py", "-o", "a.html")
    page = (here / "a.html").read_text(encoding="utf-8")
    assert (code, out) == (1, "a.html\n") and page.startswith("<!doctype html>") and "the mean is taken" in page
    assert "<caption>gb must be</caption>" in page and "background: #f5c242" in page  # the wrong numbers are marked
    assert run(capsys, "check", "a.py", "linear_backward", "-o", "a.txt")[0] == 1
    assert "the mean is taken" in (here / "a.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "relu"], "there is no exercise 'relu'; similar ones are relu_backward"),
        (["solution", "zzz"], "there is no exercise 'zzz'; `minicnn exercise list` shows all"),
        (["check", "nothing.py"], "nothing.py: there is no such file"),
        (["check", "x.py", "--seconds", "0"], "--seconds"),
        (["list", "--folder", "nowhere"], "--folder nowhere is no folder"),
        (["grade"], "invalid choice"),
        ([], "required"),
    ],
)
def test_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, *arguments)
    assert code != 0 and err.startswith("minicnn: error: ") and message in err and err.count("\n") == 1


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0 and all(name in out for name in ("list", "new", "check", "solution"))
