"""`minicnn summary`: models by name, formats, options, and the table up to an error."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from minicnn import cli


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert cli.main(["summary", *arguments]) == code
    found = capsys.readouterr()
    return found.out, found.err


def test_the_models_own_input_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, "LENET5")
    assert "Total params: 61,706" in out and "[-1, 16, 10, 10]" in out and "Total MACs: 416,520 an image" in out
    smaller, _ = run(capsys, "lenet5", "--num-classes", "4", "--depth", "1", "--option", "activation=relu")
    assert "[-1, 4]" in smaller and "Conv2d" not in smaller and "classifier (Sequential)" in smaller


def test_formats(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    layers = json.loads(run(capsys, "lenet5", "--format", "json")[0])["layers"]
    assert [row["parameters"] for row in layers if row["type"] == "Linear"] == [48_120, 10_164, 850]
    for name, start in (("a.md", "| Layer"), ("a.csv", "name,type"), ("a.html", "<!DOCTYPE html>"), ("a.txt", "---")):
        assert run(capsys, "lenet5", "--output", str(tmp_path / name))[0] == f"{tmp_path / name}\n"
        assert (tmp_path / name).read_text("utf-8").startswith(start)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text("utf-8").splitlines()))
    assert rows[2]["output_shape"] == "6x28x28" and len(rows) == len(layers)
    assert "im2col B" in run(capsys, "lenet5", "--verbose")[0]


def test_an_error_comes_after_the_table_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run(capsys, "LeNet5", "--input", "1,36,36", code=1)
    assert "5 (MaxPool2d)            [-1, 16, 6, 6]" in out and "1 (Linear)                        error" in out
    assert err.startswith("minicnn: error: LeNet5 does not take images of --input 1,36,36 (C,H,W): linear: ")
    assert err.count("\n") == 1 and "build it with Linear(576, ...)" in err
    assert out.endswith("The run ended here: see the error.\n")
    report = run(capsys, "LeNet5", "--input", "1,36,36", "--format", "markdown", code=1)[0]
    assert "The run ended here: linear: " in report
    huge, _ = run(capsys, "LeNet5", "--input", "1,99999999,99999999", code=1)  # nothing is allocated
    assert "49999997" in huge


def test_wrong_options(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "unknown model 'LeNett5'" in run(capsys, "LeNett5", code=2)[1]
    assert "does not take these options" in run(capsys, "lenet5", "--option", "colour=3", code=2)[1]
    assert "is not NAME=VALUE" in run(capsys, "lenet5", "--option", "colour", code=2)[1]
    assert "0 is not above 0" in run(capsys, "lenet5", "--num-classes", "0", code=2)[1]
    missing = run(capsys, "lenet5", "--output", str(tmp_path / "nothing" / "a.md"), code=1)[1]
    assert re.search(r"nothing.a\.md: No such file or directory", missing)
    unknown = run(capsys, "lenet5", "--output", str(tmp_path / "a.pdf"), code=2)[1]
    assert "no format has the ending .pdf; use one of .txt, .md, .csv, .json, .html, .htm, or give --format" in unknown
    assert not (tmp_path / "a.pdf").exists()
    run(capsys, "lenet5", "--output", str(tmp_path / "a.log"), "--format", "text")
