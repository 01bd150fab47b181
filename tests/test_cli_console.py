"""The texts of the command line: on any console, with any path, and with its own options."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minicnn import cli, datasets
from minicnn.cli import console

# What the commands do not call so: arguments of the library's functions, and names of Python.
FOREIGN = re.compile(
    r"\b(root|download|transform|overwrite|out|image|backends|algorithms|seconds|memory_format)=|minicnn\.\w+"
)


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "minicnn", *arguments],
        cwd=folder, capture_output=True, timeout=300, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINICNN_DATA", raising=False)


def test_any_console(tmp_path: Path) -> None:
    """Cyrillic, a space and an accent in the path, on a console that has none of them."""
    folder = tmp_path / "a пло\u0301т é"
    folder.mkdir()
    ascii_ = {"PYTHONIOENCODING": "ascii"}
    done = run(folder, "train", "--epochs", "1", "--batch-size", "500", "--out", "rün 1", **ascii_)
    assert done.returncode == 0 and rb"Run folder r\xfcn 1" in done.stdout, done.stderr
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert run(folder, "eval", str(folder / "rün 1"), **plain).returncode == 0
    done = run(folder, "plot", "curves", "rün 1", "--out", "пло.png", PYTHONIOENCODING="cp1252")
    assert done.returncode == 0 and (folder / "пло.png").is_file() and done.stdout.startswith(rb"\u043f")
    done = run(folder, "eval", "nö", **ascii_)
    assert done.returncode == 1 and done.stderr.startswith(rb"minicnn: error: n\xf6 is not a run")
    assert b"Traceback" not in done.stderr


def test_the_streams_are_left_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert cli.main(["bench", "conv", "--layer", "help"]) == 0
    assert stream.errors == "strict"
    with console.any_console():
        print("é\udcff")
    stream.flush()
    assert stream.buffer.getvalue().endswith(b"\\xe9\\udcff" + os.linesep.encode())  # type: ignore[attr-defined]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["summary", "LeNet5"], ["--help"], ["bench", "conv", "--layer", "help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written(arguments: list[str], unbuffered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "minicnn", *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert re.fullmatch(r"minicnn: error: the output cannot be written\W+No space left on device\W*\n", done.stderr)


@pytest.mark.skipif(os.name != "posix", reason="closes a pipe")
@pytest.mark.parametrize("arguments", [["summary", "LeNet5"], ["--version"]])
def test_a_reader_that_has_gone(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "minicnn", *arguments], stdout=pipe, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1 and done.stderr == ""


def test_closed_streams(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(["eval", "nothing"]) == 1
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["bench", "conv", "--layer", "help"]) == 0


@pytest.mark.usefixtures("no_data")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--dataset", "mnist"], "Pass --data DIR, or set .* with --download .* --dataset digits needs"),
        (["train", "--dataset", "mnist", "--data", "."], "as --data DIR or in .* MINICNN_DATA, or use --download"),
        (["train", "--dataset", "mnist", "--data", "no where"], "there is no folder .*no where"),
        (["eval", "a b"], "a b is not a run: .* `minicnn train --out 'a b'` makes one"),
        (["bench", "conv", "--seconds", "0"], "bench conv: --seconds must be a number above 0"),
        (["bench", "conv", "--backends", "cuda"], "bench conv: --backends: there is no 'cuda'; there are: python, "),
        (["bench", "conv", "--algorithms", "magic"], "bench conv: --algorithms: there is no 'magic'; there "),
    ],
)  # fmt: skip
def test_messages_speak_of_options(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    out, err = capsys.readouterr()
    assert re.search(message, err) and err.count("\n") == 1 and out == ""
    assert not FOREIGN.search(err), err
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(b"<html>")
    assert cli.main(["train", "--dataset", "mnist", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 1
    err = capsys.readouterr().err
    assert "not an IDX file" in err and "use --download" in err and not FOREIGN.search(err)


def test_where_a_command_has_no_download_the_message_says_which_has() -> None:
    error = datasets.DatasetError("x not found. Pass the folder that holds them as root or in y, or use download=True")
    text = console.one_line(error, options=None)
    assert text.endswith("that holds them as --data DIR or in y, or use `minicnn train --dataset mnist --download`")


def test_errors_of_the_system_name_the_file_first(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        (tmp_path / "nothing").read_bytes()
    assert console.one_line(caught.value) == f"{tmp_path / 'nothing'}: No such file or directory"


def test_bench_tells_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    line = (
        "bench conv --x 1x2x6x6 --w 3x2x3x3 --forward --backends numpy python --algorithms direct im2col --seconds 0.01"
    )
    assert cli.main(line.split()) == 0
    out, err = capsys.readouterr()
    assert "forward: first call of direct numpy" in err and re.search(
        r"forward: timing \d of them in turns, 0\.01 s", err
    )
    assert "first call" not in out


def test_bench_keeps_one_line_of_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "bench conv --x 1x2x6x6 --w 3x2x3x3 --forward --backends numpy --algorithms direct --seconds 0.01"
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True)
    assert cli.main(line.split()) == 0
    err = capsys.readouterr().err
    assert "\n" not in err and err.endswith("\r\x1b[K")


def test_both_ways_to_start(tmp_path: Path) -> None:
    for module in ("minicnn", "minicnn.cli"):
        done = subprocess.run([sys.executable, "-m", module, "--version"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.startswith("minicnn ")
