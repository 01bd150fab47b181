"""docs/exercises.md shows what is printed, and lists what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minicnn import cli
from minicnn.exercises import EXERCISES, check

PAGE = (Path(__file__).parents[1] / "docs" / "exercises.md").read_text(encoding="utf-8")


def test_the_dialogue_is_what_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = re.search(r"```python\n(.*?def conv2d_backward.*?)```", PAGE, re.DOTALL)
    assert answer
    Path("conv2d_backward.py").write_text(answer[1])
    assert cli.main(["exercise", "check", "conv2d_backward.py"]) == 1
    assert f"```\n{capsys.readouterr().out.strip()}\n```" in PAGE
    space: dict[str, object] = {}
    exec(answer[1].replace("gx[n, c, p, q] =", "gx[n, c, p, q] +="), space)
    assert check(space["conv2d_backward"]).ok  # type: ignore[arg-type]


def test_the_exercise_of_a_teacher() -> None:
    code = re.search(r"```python\n(import numpy as np\nfrom minicnn.exercises import Case.*?)```", PAGE, re.DOTALL)
    assert code
    space: dict[str, object] = {}
    exec(code[1], space)
    report = check(lambda gy, x: gy * (x > 0), space["leaky"])  # type: ignore[arg-type]
    assert not report.ok and "it is the gradient of ReLU" in str(report)


def test_the_table_lists_all() -> None:
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \| (\*+) \| (.*) \|$", PAGE, re.MULTILINE)
    assert [name for _, name, _, _ in rows] == list(EXERCISES)
    for topic, name, stars, title in rows:
        exercise = EXERCISES[name]
        assert (topic, stars, title) == (exercise.topic, "*" * exercise.level, exercise.title)
    assert f"gives {len(EXERCISES)} such exercises" in PAGE
