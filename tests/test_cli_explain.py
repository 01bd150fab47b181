"""`minicnn explain`: the examples of the courses, sizes and rows, and errors that name the option."""

from __future__ import annotations

from pathlib import Path

import pytest

from minicnn import cli


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["explain", *arguments]) == 0
    return capsys.readouterr().out


def test_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for example, cells in (
        ("cross", {(0, 0): 10, (0, 1): 11, (0, 2): 12}),
        ("stride", {(0, 1): 17, (1, 0): 8, (2, 2): 4}),
    ):
        for (i, j), value in cells.items():
            text = said(capsys, "conv", "--example", example, "--cell", f"{i},{j}")
            assert f"y[0, 0, {i}, {j}]" in text and f"Total: sum {value}; the kernel computed {value}." in text


def test_sizes_rows_and_all_layers(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "conv", "--x", "[[1,2],[3,4]]", "--w", "[[1,0],[0,1]]", "--cell", "0,0", "--weight-cell", "1,1")
    assert "the kernel computed 5." in text and "gy[0, 0, 0, 0] * x[0, 0, 1, 1]  =  1 * 4  =  4" in text
    text = said(capsys, "conv", "--x", "4x6x6", "--w", "3x3", "--filters", "2", "--groups", "2", "--cell", "1,0,0")
    assert "Conv2d(4, 2, kernel_size=(3, 3), stride=(1, 1), groups=2, bias=False)" in text and "x[0, 3]" in text
    assert "4 products meet" in said(capsys, "transposed", "--x", "3x3", "--stride", "2", "--cell", "2,2")
    text = said(capsys, "max", "--x", "[[1,2],[3,4]]", "--w", "2x2", "--grad-cell", "1,1")
    assert "in 1 of them it was the largest" in text and "sum 1; the kernel computed 1" in text
    assert "divided by 4" in said(capsys, "average", "--w", "2x2")
    assert "of its own" in said(capsys, "linear", "--x", "4", "--filters", "3", "--cell", "2")
    assert "of all 25 values" in said(capsys, "batch-norm")
    text = said(capsys, "adaptive", "--x", "4x5", "--w", "2x3", "--cell", "0,1")  # columns 1 to 3, rows 0 and 1
    assert "divided by 6" in text
    assert "largest value" in said(capsys, "adaptive-max", "--w", "1x1")
    assert said(capsys, "conv", "--seed", "1") != said(capsys, "conv", "--seed", "2")


def test_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, begin in (("a.html", b"<div"), ("a.txt", b"Conv2d"), ("a.png", b"\x89PNG"), ("a.gif", b"GIF8")):
        out = tmp_path / "new" / name
        assert said(capsys, "conv", "--example", "stride", "-o", str(out)).strip() == str(out)
        assert out.read_bytes().startswith(begin)
    said(capsys, "transposed", "--cell", "1,1", "--grad-cell", "1,1", "-o", str(tmp_path / "b.svg"))
    for layer in ("max", "average", "adaptive", "adaptive-max", "linear", "batch-norm"):
        said(capsys, layer, "-o", str(tmp_path / f"{layer}.png"))
    said(capsys, "adaptive-max", "-o", str(tmp_path / "c.gif"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["conv", "--x", "[[1,2],[3]]"], "these are not rows of equally many numbers"),
        (["conv", "--x", "a"], "neither a size such as 5x5 nor rows"),
        (["conv", "--x", "2x4x4", "--w", "[[1,2],[3,4]]"], "--w has the shape (1, 1, 2, 2), and this layer needs"),
        (["conv", "--w", "9x9"], "the window is larger than the input"),
        (["conv", "--cell", "9,9"], "there is no cell (0, 0, 9, 9) in y of shape (1, 1, 3, 3)"),
        (["conv", "--cell", "a"], "is not a place"),
        (["average", "--dilation", "2"], "an average pooling has no dilation"),
        (["max", "--example", "cross"], "--example cross is a convolution"),
        (["max", "--w", "[[1]]"], "is the size of its window"),
        (["linear", "--x", "3", "-o", "a.gif"], "takes the trace of a convolution or a pooling, got LinearTrace"),
        (["transposed", "-o", "a.gif"], "a transposed one has no window that slides over x"),
        (["conv", "-o", "a.xyz"], "its name must end in one of"),
        (["max", "--weight-cell", "0,0"], "--weight-cell: explain: MaxPool2d"),
        (["adaptive", "--w", "[[1]]"], "is the size of its output"),
        (["adaptive", "--stride", "2"], "an adaptive pooling has no stride"),
        (["relu"], "invalid choice"),
        (["conv", "--x", "2000x2000"], "a million numbers"),
    ],
)
def test_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["explain", *arguments]) != 0
    error = capsys.readouterr().err
    assert error.startswith("minicnn: error: ") and message in error and error.count("\n") == 1


def test_the_page_shows_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "explain.md").read_text(encoding="utf-8")
    printed = said(capsys, "conv", "--example", "stride", "--cell", "0,1")
    assert f"```\n{printed.partition(chr(10))[2].strip()}\n```" in page
