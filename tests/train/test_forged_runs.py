"""Damaged run folders: every message names a file of the folder and says what to do."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import minicnn
from minicnn import cli
from minicnn.train import Epoch, Run, build_dataset, build_model, describe, find_recipe, save_weights
from minicnn.train.runs.run import CONFIG, METRICS, WEIGHTS

REMEDY = re.compile(r"restore|train|remove|Build the model|choose|see that|move the folder")
ROWS = [Epoch(n, 2.0 / n, 0.5, 2.5 / n, 0.75, 1.5, 1000.0, 0.05) for n in (1, 2)]
posix = pytest.mark.skipif(os.name != "posix", reason="pipes and links of POSIX")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, written without training."""
    recipe = find_recipe()
    minicnn.manual_seed(0)
    model = build_model(recipe.model, recipe.model_options)
    train_set, test_set = (build_dataset("digits", train=part, steps=recipe.transforms) for part in (True, False))
    about = {"seed": 7, "backend": "auto", "root": None, "command": "minicnn train"}
    folder = tmp_path_factory.mktemp("runs") / "run"
    Run.create(folder, describe(recipe, model, train_set, test_set, **about)).save(model, ROWS)
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def refused(run: Path, capsys: pytest.CaptureFixture[str], *command: str, names: str = "") -> str:
    """Run a command that must fail with one line, which names a file and a remedy; return the line."""
    assert cli.main([*command, str(run)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("minicnn: error: ")
    assert str(run / names) in err and REMEDY.search(err) and "MINICNN_DEBUG" not in err, err
    return err


def test_nothing_is_wrong(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["eval"], ["plot", "curves"], ["plot", "filters"]):
        assert cli.main([*command, str(run)]) == 0
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------------------------------------------- files as a whole


def to_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def to_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def linked(target: str) -> Callable[[Path], None]:
    def to_link(file: Path) -> None:
        file.unlink()
        file.symlink_to(target)

    return to_link


def filled(content: bytes) -> Callable[[Path], None]:
    return lambda file: file.write_bytes(content) and None


def cut(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


WHOLE: dict[str, Callable[[Path], None]] = {
    "missing": lambda file: file.unlink(),
    "empty": filled(b""),
    "cut": cut,
    "zeros": filled(bytes(1000)),
    "no text": filled(b"\xff\xfe\x00" * 99),
    "brackets": filled(b"[" * 100_000),
    "a long number": filled(b"1" * 10_000),
    "twice": lambda file: file.write_bytes(2 * file.read_bytes()) and None,
    "a folder": to_folder,
    "a pipe": to_pipe,
    "an endless device": linked("/dev/zero"),
    "a link to itself": linked(CONFIG),
    "a link to nothing": linked("nowhere"),
}


@posix
@pytest.mark.parametrize("damage", WHOLE)
@pytest.mark.parametrize("name", [CONFIG, METRICS, WEIGHTS])
def test_damaged_files(run: Path, capsys: pytest.CaptureFixture[str], name: str, damage: str) -> None:
    if damage == "a link to itself":
        linked(name)(run / name)
    else:
        WHOLE[damage](run / name)
    if name == CONFIG:
        refused(run, capsys, "eval")
        refused(run, capsys, "plot", "curves")
    elif name == METRICS:
        refused(run, capsys, "plot", "curves", names=name)
        assert cli.main(["eval", str(run)]) == 0  # which needs no metrics
    else:
        refused(run, capsys, "eval", names=name)
        refused(run, capsys, "plot", "filters", names=name)


@posix
def test_a_link_to_a_good_file_is_read(run: Path, whole: Path) -> None:
    for name in (CONFIG, METRICS, WEIGHTS):
        linked(str(whole / name))(run / name)
    assert cli.main(["eval", str(run)]) == 0 and cli.main(["plot", "curves", str(run)]) == 0


def test_a_file_in_the_place_of_the_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(run / WEIGHTS, capsys, "eval")


# --------------------------------------------------------------------------------------------------------- config.json

TO_TENSOR: list[Any] = ["ToTensor", {}]
FORGED: dict[str, list[Any]] = {
    "model": [None, [], "LeNet5", {}],
    "model.name": [None, 3, [], {}, "", "os.system", "é\0"],
    "model.options": [
        None, [], "x", {"wings": 2}, {"activation": []}, {"in_channels": 3}, {"num_classes": "a"}, {"num_classes": 5},
        {"num_classes": -1}, {"num_classes": 2.5}, {"num_classes": 10**9}, {"num_classes": 10**30},
        {"num_classes": float("nan")},
    ],
    "dataset.name": [None, 3, {}, "imagenet", "../x"],
    "dataset.root": [3, [], {}, "/nowhere"],
    "dataset.classes": [None, 3, "ab", {}],
    "dataset.transforms": [
        None, 3, "ToTensor", [], [1], [["ToTensor"]], [["Lambda", {"lambd": "x"}]], [TO_TENSOR],
        [TO_TENSOR, ["Resize", {"size": 31}]], [TO_TENSOR, ["Resize", {"size": -1}]],
        [TO_TENSOR, ["Resize", {"size": "x"}]], [TO_TENSOR, ["Resize", {"a": 1}]],
    ],
    "training.loss": [None, 3, [], "", "Linear", "system", "MSELoss"],
    "training.backend": [None, 3, [], {}, "turbo"],
    "training.eval_batch_size": [None, 0, -5, 2.5, "x", [], True, 2**70],
    "training.epochs": [None, "x", 0, 2.5],
    "training.seed": [-1],
    "format": [None, 2, "minicnn run 99"],
}  # fmt: skip
CONFIGS = [(place, value) for place, values in FORGED.items() for value in values]


@pytest.mark.parametrize(("place", "value"), CONFIGS)
def test_forged_configs(run: Path, capsys: pytest.CaptureFixture[str], place: str, value: Any) -> None:
    config = json.loads((run / CONFIG).read_text())
    *way, last = place.split(".")
    part = config
    for key in way:
        part = part[key]
    part[last] = value
    (run / CONFIG).write_text(json.dumps(config))
    refused(run, capsys, "eval")
    if way:
        del part[last]
        (run / CONFIG).write_text(json.dumps(config))
        if last not in ("eval_batch_size", "classes"):
            assert f"lacks {last}" in refused(run, capsys, "eval", names=CONFIG)


# --------------------------------------------------------------------------------------------------------- metrics.csv


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "abc", "", "1e400", '"', "\0", "9" * 5000])
@pytest.mark.parametrize("column", [0, 1, 4])
def test_forged_metrics(run: Path, capsys: pytest.CaptureFixture[str], cell: str, column: int) -> None:
    lines = [line.split(",") for line in (run / METRICS).read_text().splitlines()]
    lines[2][column] = cell
    (run / METRICS).write_text("\n".join(",".join(line) for line in lines) + "\n")
    refused(run, capsys, "plot", "curves", names=METRICS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[1:], "the first line should be epoch,train_loss"),
        (lambda lines: [lines[0], lines[2], lines[1]], "line 2 should be epoch 1"),
        (lambda lines: [*lines, lines[2]], "line 4 should be epoch 3"),
        (lambda lines: lines[:2], "has 1 epochs, but model.safetensors is of epoch 2"),
        (lambda lines: [lines[0], lines[1].replace("2.5,0.75", "nan,0.75"), lines[2]], "line 2 should be epoch 1"),
        (lambda lines: lines[:1], "has 0 epochs, but model.safetensors is of epoch 2"),
        (lambda lines: [lines[0], lines[1] + ",1"], "line 2 is not 8 numbers"),
        (lambda lines: [lines[0], lines[1].replace("0.5", "1.5")], "accuracies from 0 to 1"),
    ],
)  # fmt: skip
def test_metrics_of_other_epochs(run: Path, capsys: pytest.CaptureFixture[str], change: Any, message: str) -> None:
    lines = (run / METRICS).read_text().splitlines()
    (run / METRICS).write_text("\n".join(change(lines)) + "\n")
    assert message in refused(run, capsys, "plot", "curves", names=METRICS)


def test_huge_but_finite_losses_are_drawn(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Run.open(run).save(build_model("LeNet5"), [ROWS[0]._replace(train_loss=1e308, val_loss=1e307)])
    assert cli.main(["plot", "curves", str(run)]) == 0
    assert capsys.readouterr().err == ""


def test_a_run_without_a_finished_epoch(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Run.open(run).save(build_model("LeNet5"), [], step=3, interrupted=True)
    assert "no epoch is finished" in refused(run, capsys, "plot", "curves")


# ------------------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, 3e38])
def test_weights_that_are_no_good(run: Path, capsys: pytest.CaptureFixture[str], value: float) -> None:
    model = build_model("LeNet5")
    for parameter in model.parameters():
        parameter.data.fill_(value)
    save_weights(run / WEIGHTS, model, {"epoch": 2, "step": 0})
    if value > 1e35 or value != value:
        assert "the weights are wrong" in refused(run, capsys, "eval")
    for command in (["eval"], ["plot", "filters"]):
        if cli.main([*command, str(run)]):
            err = capsys.readouterr().err
            assert str(run) in err and REMEDY.search(err) and "MINICNN_DEBUG" not in err


@pytest.mark.parametrize("epoch", [None, "2", -1, 1.5, True, [], {}])
def test_forged_metadata(run: Path, capsys: pytest.CaptureFixture[str], epoch: Any) -> None:
    save_weights(run / WEIGHTS, build_model("LeNet5"), {"epoch": epoch, "step": 0})
    refused(run, capsys, "eval", names=WEIGHTS)


def test_a_huge_net_takes_no_memory(run: Path) -> None:
    """The net is compared with the file before it is built."""
    import tracemalloc

    opened = Run.open(run)
    opened.config["model"]["options"] = {"num_classes": 10**8}
    tracemalloc.start()
    try:
        with pytest.raises(minicnn.serialization.CheckpointError, match="does not fit LeNet5"):
            opened.model()
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------------------------------------------------- figures


@posix
@pytest.mark.parametrize("damage", ["a folder", "a link out", "a link to itself", "a link to a device"])
def test_figures_that_cannot_be_written(run: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    file, outside = run / "curves.png", run.parent / "outside.png"
    outside.write_bytes(b"precious")
    if damage == "a folder":
        file.mkdir()
    else:
        file.symlink_to({"a link out": str(outside), "a link to itself": file.name}.get(damage, "/dev/null"))
    message = refused(run, capsys, "plot", "curves", names="curves.png")
    assert ("leads out of the folder" in message) == (damage in ("a link out", "a link to a device"))
    assert outside.read_bytes() == b"precious"
    if damage == "a link out":  # the user who names the file wants it
        assert cli.main(["plot", "curves", str(run), "--out", str(file)]) == 0
        assert file.is_symlink() and outside.read_bytes().startswith(b"\x89PNG")
