"""The notebooks: each is that of its source, has been run from top to bottom, and is made as the course promises."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from minicnn import cli
from minicnn.exercises import EXERCISES
from minicnn.exercises.quiz import TOPICS

FOLDER = Path(__file__).parents[1] / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
NAMES = [source.stem for source in SOURCES]
REPOSITORY = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"]
BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    f"(https://colab.research.google.com/github/{REPOSITORY.removeprefix('https://github.com/')}/blob/main/notebooks/"
    "{}.ipynb)"
)
SET_UP = "# On Colab, this installs minicnn, with the NumPy that is there. Elsewhere it does nothing."

Cell = tuple[str, str]


def cells(source: Path) -> list[Cell]:
    """(kind, text) of the cells of a source in jupytext's percent format."""
    body = source.read_text(encoding="utf-8").split("# ---\n", 2)[2]
    found = []
    for part in re.split(r"^# %%", body, flags=re.M)[1:]:
        head, _, text = part.partition("\n")
        if "[markdown]" in head:
            found.append(("markdown", re.sub(r"^# ?", "", text.strip("\n"), flags=re.M)))
        else:
            found.append(("code", text.strip("\n")))
    return found


def notebook(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return found


def text_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def outputs(name: str) -> list[dict[str, Any]]:
    return [output for cell in notebook(name)["cells"] for output in cell.get("outputs", [])]


def test_the_course_is_complete() -> None:
    assert [int(name[:2]) for name in NAMES] == list(range(1, 16))
    listed = re.findall(r"\]\((\d\d_\w+)\.ipynb\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert listed == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_is_that_of_its_source(name: str) -> None:
    found = [(cell["cell_type"], text_of(cell).strip("\n")) for cell in notebook(name)["cells"]]
    assert found == cells(FOLDER / f"{name}.py"), f"run: python notebooks/build.py {name[:2]}"


@pytest.mark.parametrize("name", NAMES)
def test_it_has_been_run_from_top_to_bottom(name: str) -> None:
    counts = [cell["execution_count"] for cell in notebook(name)["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    found = outputs(name)
    assert all(output["output_type"] != "error" and output.get("name") != "stderr" for output in found)
    assert [output for output in found if "image/png" in output.get("data", {})], "no picture"
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 700_000


@pytest.mark.parametrize("name", NAMES)
def test_it_is_made_as_the_course_promises(name: str) -> None:
    found = cells(FOLDER / f"{name}.py")
    first = found[0][1]
    assert first.startswith(f"# {name[:2]} ") and BADGE.format(name) in first
    assert "**After this notebook you can**" in first and "**It builds on**" in first
    set_up = cells(FOLDER / "02_convolution_arithmetic.py")[1]
    assert set_up[1].startswith(SET_UP) and f"git+{REPOSITORY}" in set_up[1] and found[1] == set_up
    words = "\n".join(text for kind, text in found if kind == "markdown")
    for number, (kind, text) in enumerate(found[:-1]):
        if kind == "markdown" and "**Predict.**" in text:
            assert found[number + 1][0] == "code" or "```" in found[number + 1][1], f"no answer after: {text}"
    assert words.count("**Predict.**") >= 4
    titles = re.findall(r"^## (.+)$", words, re.M)
    assert titles[-3:] == ["Exercises", "In PyTorch this is", "Three questions that you can now answer"]
    assert re.search(r"^\| here \| in PyTorch \|$", words, re.M)
    kind, last = found[-1]
    assert kind == "code" and last.startswith("lesson.questions(")
    assert any("lesson.compare(" in text for kind, text in found if kind == "code")


@pytest.mark.parametrize("name", NAMES)
def test_its_questions_are_three_and_a_number_is_checked(name: str) -> None:
    last = notebook(name)["cells"][-1]
    shown = "".join(last["outputs"][0]["data"]["text/html"])
    assert shown.count("<li>") == shown.count("<details>") == 3
    (call,) = ast.parse(text_of(last)).body
    assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
    rows = [each for each in call.value.args if isinstance(each, ast.Tuple)]
    assert len(rows) == 3 and max(len(row.elts) for row in rows) >= 3, "no answer is compared with a computed number"


@pytest.mark.parametrize("name", NAMES)
def test_exercises_and_commands_exist(name: str) -> None:
    found = cells(FOLDER / f"{name}.py")
    text = "\n".join(words for _, words in found)
    checked = re.findall(r'^check\(\w+, "(\w+)"\)', text, re.M)
    assert checked and set(checked) <= set(EXERCISES)
    for each in re.findall(r"minicnn exercise new (\w+)", text):
        assert each in EXERCISES
    for each in re.findall(r"minicnn exercise quiz ([\w-]+)", text):
        assert each in TOPICS or any(each == one.name for _, templates in TOPICS.values() for one in templates)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_name_no_machine(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert not re.search(r"/home/\w|/Users/\w|/root/|/tmp/\w", text)


def test_commands_in_notebooks_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """Each `minicnn ...` in the text is one that the command line has."""
    words = {
        command.split()[0]
        for source in SOURCES
        for kind, text in cells(source)
        if kind == "markdown"
        for command in re.findall(r"`minicnn ([a-z][^`]*)`", text)
    }
    for each in sorted(words):
        assert cli.main([each, "--help"]) == 0, each
    capsys.readouterr()
