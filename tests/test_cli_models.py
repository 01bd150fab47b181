"""`minicnn models`: which rows, in which order, in which form."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest

from minicnn import cli
from minicnn.models.registry import MODELS


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["models", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def names(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    rows = csv.DictReader(output(capsys, "--format", "csv", *arguments).splitlines())
    return [row["name"] for row in rows]


def test_all(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys).splitlines()
    assert lines[0].split() == ["model", "year", "input", "classes", "parameters", "MACs", "(millions)", "top-1", "(%)"]
    assert [line.split()[0] for line in lines[1:]] == list(MODELS)
    (row,) = [line for line in lines if line.startswith("resnet18 ")]
    assert row.split() == ["resnet18", "2015", "3x224x224", "1000", "11,689,512", "1,814.07", "69.76"]
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("LeNet5", ["lenet5", "lenet5_1998"]), ("lenet5", ["lenet5", "lenet5_1998"]),
        ("lenet*8", ["lenet5_1998"]), ("lenet?", ["lenet5"]), ("vgg1[13]", ["vgg11", "vgg13"]), ("*", list(MODELS)),
    ],
)  # fmt: skip
def test_patterns(pattern: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert names(capsys, pattern) == expected


def test_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert names(capsys, "--sort", "name") == sorted(MODELS)
    for key in ("params", "macs", "year"):
        values = [getattr(MODELS[name], key) for name in names(capsys, "--sort", key)]
        assert values == sorted(values)
    best = [MODELS[name].top1 for name in names(capsys, "--sort", "top1")]
    known = [value for value in best if value is not None]
    assert best[: len(known)] == sorted(known, reverse=True)


def test_forms(capsys: pytest.CaptureFixture[str]) -> None:
    entry = MODELS["lenet5"]
    (row,) = csv.DictReader(output(capsys, "lenet?", "--format", "csv").splitlines())
    assert (row["params"], row["macs"], row["input"]) == (str(entry.params), str(entry.macs), "1x32x32")
    (found,) = json.loads(output(capsys, "lenet?", "--format", "json"))
    assert (found["name"], found["year"], found["classes"], found["top1"]) == ("lenet5", 1998, 10, entry.top1)
    assert json.loads(output(capsys, "plain20", "--format", "json"))[0]["top1"] is None
    lines = output(capsys, "lenet?", "--format", "markdown").splitlines()
    assert lines[1].startswith("| --- | ---: |") and lines[2].startswith("| lenet5 | 1998 | 1x32x32 | 10 | 61,706 |")
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet19x"], "no model fits 'resnet19x'; similar ones are resnet1"),
        (["*qqq*"], "no model fits '*qqq*'; `minicnn models` lists all"),
        (["--sort", "size"], "invalid choice: 'size'"),
        (["--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("minicnn: error: ") and message in err and err.count("\n") == 1


def test_nothing_is_built_or_compiled() -> None:
    code = (
        "import sys; from minicnn import cli; code = cli.main(['models', '--format', 'csv']);"
        "heavy = {'numba', 'scipy', 'matplotlib', 'PIL', 'tqdm', 'minicnn.train', 'minicnn.models.lenet'};"
        "print(code, *(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "0"
