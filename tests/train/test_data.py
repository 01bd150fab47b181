"""The dataset of a recipe: a choice of classes, folders of images, and numbers that are taken from the images."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import datasets, nn, visualize
from minicnn.datasets import DatasetError
from minicnn.train import (
    Predictor,
    Recipe,
    SettingError,
    Training,
    UnknownNameError,
    build_dataset,
    build_model,
    complete,
    find_recipe,
    fitting,
    settings_of,
)
from minicnn.train.recipes.data import choose_classes
from minicnn.train.recipes.fitting import fitted_recipe
from minicnn.utils.data import Subset

SIDES = {"cat": (40, 30), "dog": (33, 50), "emu": (64, 64)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images of each of three classes, each class of a size and of a colour of its own."""
    rng = np.random.default_rng(0)
    for number, (name, (height, width)) in enumerate(SIDES.items()):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(10):
            pixels = rng.integers(0, 60, (height, width, 3)) + 60 * number
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "images" / name / f"{index}.png")
    return tmp_path / "images"


# ------------------------------------------------------------------------------------------------------- classes


def test_chosen_classes_are_numbered_in_the_order_given() -> None:
    whole, part = (build_dataset("digits", train=True, steps=[("ToTensor", {})], classes=c) for c in (None, [7, 3]))
    assert part.classes == ["7", "3"] and part.class_to_idx == {"7": 0, "3": 1}
    old = whole.targets.array
    keep = np.flatnonzero((old == 7) | (old == 3))
    np.testing.assert_array_equal(part.data.array, whole.data.array[keep])  # in the order of the files
    np.testing.assert_array_equal(part.targets.array, np.where(old[keep] == 7, 0, 1))
    image, target = part[0]
    assert target == (0 if old[keep[0]] == 7 else 1) and image.shape == (1, 8, 8)
    assert build_dataset("digits", train=True, steps=[], classes=["7", "3"]).classes == ["7", "3"]


@pytest.mark.parametrize(
    ("classes", "message"),
    [([1, 10], "there is no class 10"), (["1", "x"], "unknown class 'x'; there are: 0, 1"),
     ([1, -1], "no class -1"), (["1", "1"], "twice")],
)  # fmt: skip
def test_classes_that_do_not_exist(classes: list[int | str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        build_dataset("digits", train=True, steps=[], classes=classes)


def test_every_kind_of_targets_can_be_chosen_from() -> None:
    class Labelled(datasets.ArrayDataset):  # as SVHN and STL10
        def __init__(self) -> None:
            super().__init__()
            self.classes, self.data = ["a", "b", "c"], np.arange(6, dtype=np.uint8).reshape(6, 1, 1)
            self.labels = np.array([0, 1, 2, 0, 1, 2])

        @property
        def targets(self) -> np.ndarray:  # type: ignore[override]
            return self.labels

    found = choose_classes(Labelled(), ["c", "a"])
    assert found.labels.tolist() == [1, 0, 1, 0] and found.data.ravel().tolist() == [0, 2, 3, 5]

    class Listed(datasets.ArrayDataset):  # as CIFAR10
        def __init__(self, targets: object) -> None:
            super().__init__()
            self.classes, self.data = ["a", "b", "c"], np.arange(6, dtype=np.uint8).reshape(6, 1, 1)
            self.targets = targets

    assert choose_classes(Listed([0, 1, 2, 0, 1, 2]), [1, 2]).targets == [0, 1, 0, 1]
    rows = minicnn.tensor([[2, 7], [1, 8], [0, 9], [2, 6], [1, 5], [0, 4]])  # as QMNIST
    assert choose_classes(Listed(rows), [1, 2]).targets.tolist() == [[1, 7], [0, 8], [1, 6], [0, 5]]
    with pytest.raises(SettingError, match="Listed has no targets to choose by"):
        choose_classes(Listed(None), [1, 2])


def test_a_training_of_some_classes() -> None:
    recipe = find_recipe(name="pretrain-digits", changes=settings_of(["epochs=1", "train_size=100"]))
    training = Training(recipe)
    assert training.test_set.classes == ["0", "1", "2", "3", "4"] and len(training.test_set) == 180
    assert len(training.train_set) + len(training.val_set) == 100
    assert next(iter(training.model.children()))[-1] is not None and recipe.model_options["num_classes"] == 5


# ------------------------------------------------------------------------------------------------------- folders


def test_a_folder_is_a_dataset(folder: Path) -> None:
    train, test = (build_dataset(f"folder:{folder}", train=part, steps=[]) for part in (True, False))
    assert (len(train), len(test), train.classes) == (24, 6, ["cat", "dog", "emu"])
    assert not {path for path, _ in train.samples} & {path for path, _ in test.samples}
    assert train.targets == [target for _, target in train.samples] and not isinstance(train, Subset)
    some = build_dataset(f"folder:{folder}", train=True, steps=[], classes=["emu", "cat"])
    assert some.classes == ["emu", "cat"] and len(some) == 16 and some.class_to_idx == {"emu": 0, "cat": 1}
    assert {(Path(path).parent.name, target) for path, target in some.samples} == {("emu", 0), ("cat", 1)}
    for extra in ({"root": str(folder)}, {"download": True}):
        with pytest.raises(SettingError, match="is the folder itself"):
            build_dataset(f"folder:{folder}", train=True, steps=[], **extra)


def test_a_training_of_classes_with_odd_names(folder: Path, tmp_path: Path) -> None:
    """Their pictures are drawn, whatever they are called; the net predicts inverted and cropped images too."""
    (folder / "cat").rename(folder / "$\\bad{$")
    if sys.platform == "linux":
        (folder / "dog").rename(folder / "d\udcffg")
        (folder / "emu" / "0.png").rename(folder / "emu" / "\udcff.png")
    recipe = find_recipe("lenet5", f"folder:{folder}", None, {"epochs": 1})
    run = Training(complete(recipe)).run(tmp_path / "run", quiet=True)
    visualize.draw(run, ["errors", "confusion"])
    page = Image.new("RGB", (60, 40), "white")
    page.paste((0, 0, 0), (30, 5, 34, 25))
    page.save(tmp_path / "page.png")
    plain, changed = (Predictor(run, invert=one, crop=one)(tmp_path / "page.png") for one in (False, True))
    assert changed.notes[1:] == ["light and dark exchanged", "cropped to 4 x 20, in a square of 28 x 28"]
    assert plain.seen.mean() > changed.seen.mean()


@pytest.mark.parametrize("tta", ["ten_crop:40", "five_crop:28"])
def test_views_that_do_not_fit_are_refused_before_the_training(tta: str, tmp_path: Path) -> None:
    training = Training(find_recipe("lenet5", "digits", None, {"train_size": 50, "epochs": 1, "tta": tta}))
    with pytest.raises(SettingError, match=f"tta = '{tta}' does not fit"):
        training.run(tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_net_of_which_everything_is_frozen() -> None:
    with pytest.raises(SettingError, match=r"freeze: .* fits every parameter"):
        Training(find_recipe("lenet5", "digits", None, {"freeze": ["*"]}))


@pytest.mark.parametrize(("model", "side"), [("resnet20", 32), ("resnet18", 224), ("lenet5", 32), ("alexnet", 224)])
def test_a_fitted_recipe_for_a_folder(folder: Path, model: str, side: int) -> None:
    recipe = complete(find_recipe(model, f"folder:{folder}"))
    assert recipe.model_options["num_classes"] == 3 and recipe.name == "fitted"
    for steps in (recipe.train_transforms, recipe.eval_transforms):
        data = build_dataset(recipe.dataset, train=True, steps=steps)
        for index in (0, 9, 20):
            assert data[index][0].shape == (3, side, side)
    with minicnn.device("meta"):
        build_model(recipe.model, recipe.model_options)


def test_a_net_for_grey_images_on_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Grey(nn.Module):
        def __init__(self, num_classes: int = 10) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, num_classes, 3)

        def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
            return self.conv(x).mean(dim=(2, 3))

    monkeypatch.setattr(fitting.models, "get_model_builder", lambda name: Grey)
    recipe = complete(fitted_recipe("LeNet5", f"folder:{folder}"))
    for steps in (recipe.train_transforms, recipe.eval_transforms):
        assert steps[0] == ("Grayscale", {"num_output_channels": 1})
        assert build_dataset(recipe.dataset, train=True, steps=steps)[0][0].shape == (1, 32, 32)
    assert recipe.notes == ("LeNet5 takes 1 channel: colours are made grey",)


def test_the_recipe_for_photos_takes_any_folder(folder: Path) -> None:
    recipe = complete(find_recipe("resnet18", f"folder:{folder}", "resnet"))
    assert recipe.model_options == {"num_classes": 3} and recipe.dataset == f"folder:{folder}"
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_folders_that_are_missing(tmp_path: Path) -> None:
    for model, name in (("resnet20", None), ("resnet18", "resnet")):
        with pytest.raises(DatasetError, match="nowhere"):
            complete(find_recipe(model, f"folder:{tmp_path}/nowhere", name))
    with pytest.raises(UnknownNameError, match="unknown dataset 'folder:'"):
        find_recipe("resnet20", "folder:")


# ------------------------------------------------------------------------------------------------------- statistics


def test_the_statistics_of_a_folder_are_those_of_its_training_images(folder: Path) -> None:
    recipe = replace(
        find_recipe("resnet20", f"folder:{folder}"), transforms=(("ToTensor", {}), ("Normalize", {})), evaluation=()
    )
    data = build_dataset(recipe.dataset, train=True, steps=[("ToTensor", {})])
    pixels = np.concatenate([data[i][0].array.reshape(3, -1) for i in range(len(data))], axis=1)
    options = dict(complete(recipe).transforms)["Normalize"]
    np.testing.assert_allclose(options["mean"], pixels.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(options["std"], pixels.std(axis=1), atol=1e-4)


def test_the_same_statistics_everywhere(folder: Path) -> None:
    recipe = complete(find_recipe("resnet18", f"folder:{folder}", "resnet"))
    numbers = [options for name, options in (*recipe.train_transforms, *recipe.evaluation) if name == "Normalize"]
    assert len(numbers) == 2 and numbers[0] == numbers[1] and len(numbers[0]["mean"]) == 3
    assert complete(recipe) == recipe  # nothing is left to do


def test_statistics_after_grayscale_have_one_channel() -> None:
    recipe = find_recipe("lenet5", "digits", changes=settings_of(
        ['transforms=[{Grayscale={num_output_channels=3}}, "ToTensor", {Resize={size=[32,32]}}, "Normalize"]',
         "augmentation=[]", "model.in_channels=3"]
    ))  # fmt: skip
    options = dict(complete(recipe).transforms)["Normalize"]
    assert len(options["mean"]) == 3 and options["mean"][0] == pytest.approx(0.305, abs=2e-3)


def test_normalize_needs_tensors_and_a_place(folder: Path) -> None:
    recipe = find_recipe("resnet20", f"folder:{folder}")
    with pytest.raises(SettingError, match='put "ToTensor" before it'):
        complete(replace(recipe, evaluation=(("Normalize", {}),)))
    with pytest.raises(SettingError, match="must be among the transforms of images that are evaluated"):
        complete(replace(recipe, evaluation=(("ToTensor", {}),)))


@pytest.mark.parametrize(("changes", "message"), [
    ({"train_size": 3}, "holds out 0 of 3 training images"),
    ({"train_size": 5000}, "digits has 1,437 training images: leave train_size out"),
    ({"train_size": 20, "validation": 0.99}, "holds out 20 of 20 training images.*change validation"),
])  # fmt: skip
def test_a_split_without_images(changes: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Training(find_recipe("lenet5", "digits", changes=changes))
