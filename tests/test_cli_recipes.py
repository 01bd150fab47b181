"""`minicnn recipes`, and the options of `minicnn train` that choose and change a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from minicnn import cli
from minicnn.train import RECIPES, Recipe, find_recipe


def said(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    return out + err


def test_the_list_names_all_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipes"]) == 0
    text = said(capsys)
    for name in (*RECIPES, "fitted"):
        assert f"{name}: " in text
    assert cli.main(["recipes", "list"]) == 0 and said(capsys) == text


def test_a_recipe_is_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipes", "show", "resnet-CIFAR"]) == 0
    assert capsys.readouterr().out == RECIPES["resnet-cifar"].read_text(encoding="utf-8")
    assert cli.main(["recipes", "show", "digits", "--whole"]) == 0
    assert Recipe.from_toml(capsys.readouterr().out) == find_recipe(name="digits")
    file = tmp_path / "mine.toml"
    arguments = ["recipes", "show", "resnet-cifar-short", "--write", str(file)]
    assert cli.main(arguments) == 0 and f"minicnn train --recipe {file}" in said(capsys)
    found = find_recipe(name=str(file))
    assert found.name == "mine" and found.schedule == "OneCycleLR"
    assert cli.main(arguments) == 2 and "exists; remove it" in said(capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recipes", "show"], "name the recipe to show: digits, "),
        (["recipes", "show", "digit"], "unknown recipe 'digit'.*Did you mean 'digits'"),
        (["recipes", "list", "digits"], "minicnn recipes show NAME"),
        (["recipes", "show", "digits", "--write", "a.txt"], "ends in .toml"),
        (["train", "--set", "epochs"], "'epochs' is not KEY=VALUE"),
        (["train", "--set", "optimizer.lrr=1"], "Did you mean 'lr'"),
        (["train", "--val", "1.5"], "1.5 is not a share from 0 to below 1"),
        (["train", "--val", "x"], "invalid share value: 'x'"),
        (["train", "--workers", "-1"], "-1 is below 0"),
        (["train", "--recipe", "none.toml"], "none.toml: the recipe cannot be read: No such file"),
        (["train", "resnet20", "--recipe", "digits"], "no recipe 'digits' for resnet20; it is for LeNet5"),
        (["train", "--dataset", "folder:/nowhere/at/all"], "/nowhere/at/all"),
        (["train", "--set", "augmentation.RandomCrop.padding=x"], "augmentation.RandomCrop"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) in (1, 2)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert all(part in err for part in message.split(".*")), err


def test_a_training_repeats_from_its_recorded_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    changes = [
        "--set",
        "optimizer.momentum=0.5",
        "--set",
        "classes=[1,2,3]",
        "--set",
        "augmentation.RandomAffine.degrees=5",
    ]
    short = ["--epochs", "1", "--batch-size", "40", "--lr", "0.02", "--val", "0.2", "--set", "train_size=120"]
    assert cli.main(["train", *changes, *short, "--seed", "3", "--out", str(first), "--quiet"]) == 0, said(capsys)
    recipe = find_recipe(name=str(first / "recipe.toml"))
    assert recipe.optimizer_options == {"lr": 0.02, "momentum": 0.5} and recipe.classes == (1, 2, 3)
    assert (recipe.epochs, recipe.batch_size, recipe.validation, recipe.train_size) == (1, 40, 0.2, 120)
    assert dict(recipe.augmentation)["RandomAffine"]["degrees"] == 5 and recipe.model_options["num_classes"] == 3
    again = ["train", "--recipe", str(first / "recipe.toml"), "--seed", "3", "--out", str(second), "--quiet"]
    assert cli.main(again) == 0, said(capsys)
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
