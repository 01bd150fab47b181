"""`minicnn plot` for nets and for charts: files, defaults, and errors of one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minicnn import cli
from minicnn.cli import program


@pytest.mark.parametrize(
    "arguments",
    [
        ["net", "resnet18", "--depth", "2"],
        ["net", "ResNet18", "--part", "layer1.0", "--names"],
        ["costs", "lenet5"],
        ["field", "lenet5", "--layer", "features.2"],
        ["field", "lenet5", "--empirical"],
        ["accuracy", "resnet18", "vgg16", "--against", "params"],
        ["accuracy", "--measured", "resnet20=81.2", "--measured", "plain20=80"],
        ["ilsvrc"],
        ["activation-functions"],
        ["kernels"],
        ["strides"],
        ["shrinking"],
    ],
    ids=" ".join,
)
def test_figures(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    out = tmp_path / "figures" / "figure.png"
    assert cli.main(["plot", *arguments, "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    with Image.open(out) as image:
        assert np.asarray(image.convert("L"), float).std() > 5


@pytest.mark.parametrize("option", ["-o", "--out", "--output"])
def test_the_option_has_one_name_in_all_commands(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, name in (("plot ilsvrc", "a.png"), ("summary lenet5", "a.md")):
        assert cli.main([*command.split(), option, str(tmp_path / name)]) == 0
        assert (tmp_path / name).stat().st_size > 100
    assert capsys.readouterr().out == f"{tmp_path / 'a.png'}\n{tmp_path / 'a.md'}\n"
    assert program._parser().parse_args(["train", option, "run"]).output == "run"


def test_without_out_the_file_is_named_after_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["plot", "net", "LeNet5", "--input", "1,32,32"]) == 0
    assert capsys.readouterr().out == "lenet5-net.png\n"
    assert [path.name for path in tmp_path.iterdir()] == ["lenet5-net.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net"], "plot net needs the name of a model, one; got 0"),
        (["net", "resnet18", "vgg16"], "one; got 2"),
        (["curves"], "plot curves needs the folder of a run, one; got 0"),
        (["net", "resnet19"], "Unknown model 'resnet19': did you mean resnet1"),
        (["net", "resnet18", "--part", "layer9"], "no module 'layer9'"),
        (["net", "resnet18", "--depth", "0"], "0 is not above 0"),
        (["net", "lenet5", "--input", "3,32,32"], "does not take images"),
        (["net", "lenet5", "-o", "net.doc"], ".png"),
        (["net", "lenet5", "--image", "3"], "--image is for overview; it has no meaning for net"),
        (["costs", "lenet5", "--part", "features"], "--part is for net; it has no meaning for costs"),
        (["field", "lenet5", "--layer", "conv1"], "no layer 'conv1'"),
        (["accuracy", "alexnet", "--against", "time"], "invalid choice: 'time'"),
        (["accuracy", "resnet19"], "no model 'resnet19'"),
        (["accuracy", "--measured", "resnet20"], "'resnet20' is not a model and its accuracy"),
        (["accuracy", "--measured", "resnet20=120"], "such as resnet20=81.2"),
        (["ilsvrc", "resnet18"], "leave 'resnet18' out"),
        (
            ["activation-functions", "relu"],
            "the functions of the library; leave 'relu' out",
        ),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["plot", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("minicnn: error: ") and err.count("\n") == 1
    assert message in err
