"""Comparisons: the same conditions for all, finished trainings survive, and no difference is claimed that is chance."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from minicnn import cli, train, visualize
from minicnn.train import (
    Compared,
    Comparison,
    Recipe,
    RunError,
    SettingError,
    Training,
    compare,
    comparing,
    differences,
)
from minicnn.train.comparing import resume_comparison


def small(model: str = "mlp", **changes: Any) -> Recipe:
    return train.find_recipe(model, "digits", None, {"train_size": 120, "batch_size": 20, **changes})


def rows(**tops: list[float]) -> tuple[Compared, ...]:
    """Trainings with these test accuracies, and validation accuracies in the order of the names."""
    return tuple(
        Compared(name, seed, 1, 1, 0.9 - 0.1 * place, top, 0.1, 1.0, 1.0)
        for place, (name, values) in enumerate(tops.items())
        for seed, top in enumerate(values)
    )


def test_intervals_against_scipy(rng: np.random.Generator) -> None:
    for n in (2, 3, 8):
        a, b = rng.random(n), rng.random(n)
        (found,) = differences(Comparison(rows(a=a.tolist(), b=b.tolist()), {}, 100))
        wanted = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert (found.first, found.second, found.seeds) == ("a", "b", n)
        np.testing.assert_allclose([found.low, found.high], [wanted.low, wanted.high], rtol=1e-9)
        assert found.mean == pytest.approx(float((a - b).mean()))
    three = differences(Comparison(rows(a=[0.9, 0.8], b=[0.7, 0.7], c=[0.5, 0.6]), {}, 100))
    wanted = stats.ttest_rel([0.9, 0.8], [0.5, 0.6]).confidence_interval(0.975)
    assert three[1].level == 0.975 and three[1].high == pytest.approx(wanted.high)


def test_what_is_said() -> None:
    def said(**tops: list[float]) -> str:
        return differences(Comparison(rows(**tops), {}, 100))[0].sentence()

    assert "a is better by more than the seeds explain" in said(a=[0.9, 0.91, 0.9], b=[0.5, 0.51, 0.52])
    assert "b is better by more than the seeds explain" in said(a=[0.5, 0.51, 0.52], b=[0.9, 0.91, 0.9])
    assert "do not show which is better" in said(a=[0.9, 0.8, 0.7], b=[0.8, 0.9, 0.6])
    assert "chance cannot be told" in said(a=[0.9], b=[0.1])
    same = differences(Comparison(rows(a=[0.5, 0.5], b=[0.5, 0.5]), {}, 100))[0]
    assert (same.low, same.high) == (0, 0) and "do not show" in same.sentence()


def test_the_order_is_by_validation_and_diverged_seeds_have_no_pair() -> None:
    found = rows(a=[0.1, 0.2], b=[0.9, 0.9])
    lost = replace(found[0], val_top1=math.nan, test_top1=math.nan, diverged="the loss is nan")
    comparison = Comparison((lost, *found[1:]), {}, 100)
    assert comparison.names == ["b", "a"] and Comparison(found, {}, 100).names == ["a", "b"]
    (one,) = differences(comparison)
    assert (one.first, one.seeds) == ("b", 1) and one.mean == pytest.approx(0.7)
    assert differences(Comparison((), {}, 0)) == []


def test_the_conditions_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[tuple[str, int], list[Any]] = {}
    really = Training.run

    def run(self: Training, *args: Any, **options: Any) -> Any:
        seen[self.recipe.model, self.seed] = [targets.tolist() for _ in range(2) for _, targets in self.train_loader]
        self.train_loader.set_epoch(0)
        seen[self.recipe.model, -1] = list(self.val_set.indices)
        return really(self, *args, **options)

    monkeypatch.setattr(Training, "run", run)
    nets = {"one": small("mlp"), "two": small("lenet5", validation="test")}
    found = compare(nets, tmp_path / "both", seeds=[3, 4], epochs=1)
    assert seen["MLP" if ("MLP", 3) in seen else "mlp", 3] == seen["LeNet5", 3] != seen["LeNet5", 4]
    assert seen["LeNet5", -1] == seen["mlp", -1] and found.notes[0].endswith("validation 'test' became 0.1, as for all")
    assert [(row.name, row.seed) for row in found.rows] == [("one", 3), ("two", 3), ("one", 4), ("two", 4)]
    assert found.complete and found.images == 360 and found.costs["two"][1:] == (61_706, 416_520)
    for row in found.rows:
        run_folder = train.Run.open(tmp_path / "both" / row.name / f"seed-{row.seed}")
        assert run_folder.results()["test"]["top1"] == row.test_top1 and len(row.curve) == row.epochs == 1


def test_an_interrupted_comparison_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    nets = {"a": small("mlp"), "b": small("lenet5")}
    whole = compare(nets, tmp_path / "whole", seeds=[0, 1], epochs=2)
    steps, cuts = 0, 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        return steps % 9 == 0

    found = compare(nets, tmp_path / "cut", seeds=[0, 1], epochs=2, stop=stop)
    while not found.complete:
        cuts += 1
        assert cuts < 30
        found = resume_comparison(tmp_path / "cut", stop=stop)
    assert cuts > 3
    for mine, other in zip(found.rows, whole.rows, strict=True):
        exact = ("name", "seed", "epoch", "epochs", "val_top1", "test_top1", "test_loss")
        assert all(getattr(mine, what) == getattr(other, what) for what in exact)
        files = [tmp_path / part / mine.name / f"seed-{mine.seed}" / "model.safetensors" for part in ("whole", "cut")]
        assert files[0].read_bytes() == files[1].read_bytes()
    again = resume_comparison(tmp_path / "cut")  # nothing is trained again
    assert again.rows == found.rows and again.costs == found.costs and again.images == 360


def test_one_that_diverges_is_a_result(tmp_path: Path) -> None:
    nets = {"good": small(), "bad": small(optimizer={"name": "SGD", "lr": 1e12})}
    found = compare(nets, tmp_path / "c", seeds=[0, 1], epochs=1)
    assert found.complete and all(row.diverged and math.isnan(row.test_top1) for row in found.of("bad"))
    assert found.names == ["good", "bad"] and differences(found) == []
    json.loads((tmp_path / "c" / "comparison.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    kept = resume_comparison(tmp_path / "c")
    assert [row.diverged for row in kept.rows] == [row.diverged for row in found.rows]
    visualize.compared(found, out=tmp_path / "c.png")


def test_a_budget_of_time(tmp_path: Path) -> None:
    said: list[str] = []
    found = compare({"a": small(), "b": small(epochs=1)}, tmp_path / "c", seeds=[0], budget=0.6, tell=said.append)
    epochs = {row.name: row.epochs for row in found.rows}
    assert min(epochs.values()) >= 1 and all(f"so {epochs[n]} of them in 0.6 s" in "".join(found.notes) for n in "ab")
    assert said[0] == "a: measuring the speed" and not list((tmp_path / "c").glob("trial*"))


def test_runs_that_are_there_already(tmp_path: Path) -> None:
    run = Training(small("lenet5", epochs=1), seed=0).run(tmp_path / "run", quiet=True)
    found = compare({"old": run, "new": small()}, tmp_path / "c", seeds=[0], epochs=1)
    assert [row.name for row in found.rows] == ["old", "new"] and differences(found)[0].seeds == 1
    assert any("old was trained before" in note for note in found.notes)
    assert compare({"old": run}, tmp_path / "d").rows[0].test_top1 == run.results()["test"]["top1"]
    assert resume_comparison(tmp_path / "c").rows == found.rows


def test_a_run_without_validation_has_the_epoch_of_its_results(tmp_path: Path) -> None:
    """Its curve is that of the test set, and the highest point of it must not become the result."""
    run = Training(small("lenet5", epochs=2, validation="test"), seed=0).run(tmp_path / "run", quiet=True)
    (row,) = compare({"old": run}, tmp_path / "c").rows
    assert row.epoch == 2 and math.isnan(row.val_top1) and all(math.isnan(top1) for _, top1, _ in row.curve)
    assert cli.main(["compare", str(run.folder), "--out", str(tmp_path / "d")]) == 0
    assert "| - |" in (tmp_path / "d" / "comparison.md").read_text()


def test_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for entries, options, error, text in (
        ({"a": small(), "b": small(train_size=50)}, {}, SettingError, "differ in train_size: 120, 50"),
        ({"a": small(), "b": small(classes=[1, 2])}, {}, SettingError, "differ in classes"),
        ({"a": small()}, {"budget": 1, "epochs": 1}, SettingError, "not both"),
        ({}, {}, SettingError, "nothing to train"),
        ({"a": small()}, {"seeds": []}, SettingError, "at least one seed"),
        ({"a": small()}, {"folder": tmp_path / "full"}, RunError, "not empty"),
    ):
        with pytest.raises(error, match=text):
            compare(entries, **{"folder": tmp_path / "none", **options})
    with pytest.raises(RunError, match="holds no comparison"):
        resume_comparison(tmp_path / "full")
    with pytest.raises(ValueError, match="1 to 8 entries"):
        visualize.compared(Comparison((), {}, 0))


@pytest.mark.parametrize(
    "damage",
    [lambda text: text[:100], lambda text: "[]", lambda text: "{}", lambda text: text.replace("comparison 1", "x"),
     lambda text: text.replace('"seeds"', '"seed"'), lambda text: text.replace('"mlp"', '"rm -rf"'),
     lambda text: re.sub(r'"costs": {[^}]*}', '"costs": {}', text)],
)  # fmt: skip
def test_damaged_files(damage: Any, tmp_path: Path) -> None:
    compare({"a": small()}, tmp_path / "c", seeds=[0], epochs=1, stop=lambda: True)
    file = tmp_path / "c" / "comparison.json"
    file.write_text(damage(file.read_text()))
    with pytest.raises((RunError, SettingError), match=r"comparison\.json: cannot be read"):
        resume_comparison(tmp_path / "c")


@pytest.mark.parametrize(
    ("key", "value"),
    [("name", 1.5), ("name", "b"), ("epochs", "1"), ("epoch", None), ("seconds", []), ("test_top1", "x"),
     ("curve", [[1, 2]]), ("curve", 3), ("diverged", 0), ("seed", {})],
)  # fmt: skip
def test_damaged_rows(key: str, value: Any, tmp_path: Path) -> None:
    file = tmp_path / "comparison.json"
    nothing = comparing._Plan({}, [0], "auto", None)
    comparing._write(file, nothing, Comparison(rows(a=[0.5]), {"a": ("LeNet5", 1, 1)}, 10))
    assert resume_comparison(tmp_path).rows == rows(a=[0.5])
    data = json.loads(file.read_text())
    data["rows"][0][key] = value
    file.write_text(json.dumps(data))
    with pytest.raises(RunError, match=r"comparison\.json: cannot be read"):
        resume_comparison(tmp_path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "c"
    common = ["--set", "train_size=100", "--quiet"]
    assert cli.main(["compare", "mlp", "LeNet5", "--seeds", "2", "--epochs", "1", "--out", str(out), *common]) == 0
    said = capsys.readouterr().out
    assert "points on the test images, 95 % interval" in said and "With 360 test images" in said and "61,706" in said
    assert {"comparison.md", "comparison.csv", "comparison.json", "comparison.png"} <= {p.name for p in out.iterdir()}
    table = list(csv.DictReader((out / "comparison.csv").read_text().splitlines()))
    assert len(table) == 4 and {row["name"] for row in table} == {"mlp", "LeNet5"}
    assert (out / "comparison.md").read_text().startswith("| net | parameters |")
    assert cli.main(["compare", "--resume", str(out)]) == 0
    run = str(out / "mlp" / "seed-0")
    assert cli.main(["compare", run, run, "--out", str(tmp_path / "d")]) == 0
    assert "seed-0'" in capsys.readouterr().out
    for wrong, text in (
        ([], "needs nets"), (["--resume", str(out), "mlp"], "leave the others out"),
        (["mlp", "--budget", "10"], "not a time"), (["resnet2O"], "unknown net, recipe or run.*'resnet20'"),
        (["mlp", "--out", str(out)], "not empty"),
    ):  # fmt: skip
        assert cli.main(["compare", *wrong]) in (1, 2)
        assert re.search(text, capsys.readouterr().err)
    lost = str(tmp_path / "lost")  # it diverges in its first epoch, and has no speed
    steep = ["--seeds", "1", "--epochs", "1", "--set", "optimizer.lr=1e11", "--set", "batch_size=10", "--out", lost]
    assert cli.main(["compare", "mlp", *steep, *common]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("mlp (1 diverged)"))
    assert "nan" not in row and row.split()[-3] == "-"
