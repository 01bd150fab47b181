"""`minicnn bench` as users see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from minicnn import cli
from minicnn.bench import compare_algorithms
from minicnn.cli import bench, console


def test_the_table_of_a_layer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    figure = tmp_path / "bars.png"
    line = (
        "bench conv --x 2x4x9x8 --w 6x2x3x3 --stride 2x1 --padding 1 --groups 2 --bias --channels-last --seconds 0.01"
    )
    assert cli.main([*line.split(), "--backends", "numpy", "numba", "--plot", str(figure)]) == 0
    out = capsys.readouterr().out
    assert "conv2d 2x4x9x8 -> 2x6x5x8, kernel 3x3, stride 2x1, padding 1, 2 groups; float32, channels last; " in out
    assert "implicit *" in out and "direct" in out and "fft" in out and "gw" in out and "python" not in out
    assert figure.exists() and str(figure) in out


def test_a_comparison_is_shown_as_its_table() -> None:
    found = compare_algorithms((1, 1, 4, 4), (1, 1, 3, 3), backward=False, seconds=0.01, algorithms=["direct"])
    assert repr(found) == str(found) and "multiplications" in repr(found)
    assert "; 1 thread\n" in str(found._replace(threads=1)) and "; 2 threads\n" in str(found._replace(threads=2))


def test_forward_only_and_chosen_algorithms(capsys: pytest.CaptureFixture[str]) -> None:
    line = "bench conv --x 1x2x6x6 --w 3x2x3x3 --dilation 2 --forward --algorithms direct fft --seconds 0.01"
    assert cli.main(line.split()) == 0
    out = capsys.readouterr().out
    assert "dilation 2" in out and "gx" not in out and "im2col" not in out and "fft" in out and "NCHW" in out


def test_layers_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Options on the command line replace the layer's; the list shows equivalent options."""
    line = "bench conv --layer resnet18.layer2.0.conv1 --forward --backends numba --algorithms im2col --seconds 0.01"
    assert cli.main([*line.split(), "--x", "1x64x9x9"]) == 0
    assert "conv2d 1x64x9x9 -> 1x128x5x5, kernel 3x3, stride 2, padding 1; float32, NCHW" in capsys.readouterr().out
    assert cli.main(["bench", "conv", "--layer", "help"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["alexnet.conv1"] == "--x 16x3x224x224 --w 64x3x11x11 --stride 4 --padding 2 --bias"
    assert lines["mobilenet.depthwise"] == "--x 64x128x16x16 --w 128x1x3x3 --padding 1 --groups 128"
    assert set(lines) == set(bench.LAYERS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bench", "required: LAYER"),
        ("bench conv --x 1x2x6", "'1x2x6' is not of the form 32x64x56x56"),
        ("bench conv --x 1x2x6x0", "numbers of at least 1"),
        ("bench conv --padding -1", "numbers of at least 0"),
        ("bench conv --stride 1x2x3", "is not of the form 2 or 2x1"),
        ("bench conv --x 1x2x6x6 --w 3x4x3x3", "expects 4 input channels"),
        ("bench conv --x 1x2x6x6 --w 3x2x3x3 --backends cuda", "--backends: there is no 'cuda'"),
        ("bench conv --against jax", "choose from"),
        ("bench pool", "choose from"),
        ("bench conv --layer lenet5.conv9", "no layer 'lenet5.conv9'; --layer help lists"),
    ],
)
def test_arguments_without_a_meaning(capsys: pytest.CaptureFixture[str], line: str, message: str) -> None:
    assert cli.main(line.split()) in (console.USAGE, console.FAILED)
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1
