"""Files of recipes, changes of single settings, and everything that is wrong with them."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from minicnn.train import RECIPES, Recipe, SettingError, UnknownNameError, build_transform, find_recipe, settings_of
from minicnn.train.recipes import bundled
from minicnn.train.recipes.settings import TABLES
from minicnn.transforms import InterpolationMode

SMALL = """
model = "LeNet5"
dataset = "digits"
epochs = 2
batch_size = 10
optimizer = {name = "SGD", lr = 0.1}
"""


def read(folder: Path, text: str, name: str = "mine.toml", **options: Any) -> Recipe:
    (folder / name).write_text(text, encoding="utf-8")
    return find_recipe(name=str(folder / name), **options)


# ------------------------------------------------------------------------------------------------------ there and back


@pytest.mark.parametrize("name", [*RECIPES, "fitted"])
def test_a_recipe_survives_toml_and_json(name: str) -> None:
    recipe = find_recipe(name=name)
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert tomllib.loads(recipe.to_toml()) == recipe.to_dict()


def test_every_setting_survives() -> None:
    """A recipe in which nothing has its default."""
    recipe = replace(
        find_recipe("resnet20", "cifar10", "resnet-cifar"), about="é \"'\\ \n", decay="weights", schedule_every="epoch",
        loss_options={"label_smoothing": 0.1}, evaluation=(("ToTensor", {}), ("CenterCrop", {"size": [31, 30]})),
        eval_batch_size=7, device="cuda:1", notes=("one", "two"), validation=0.25, early_stopping=3, warmup=0.125,
        clip_norm=1.5, mixup=0.2, ema=0.99, tta="flip+shift:2", progressive=((0.0, 24), (0.5, 32)), freeze=("conv1.*",),
        rates={"layer*.weight": 0.1, "a.b": 1e-3}, weights="runs/a b", head=True, classes=("cat", "dog"), train_size=99,
        workers=3, model_options={"num_classes": 2},
    )  # fmt: skip
    for one in fields(Recipe):  # so that a new setting is tested too
        if one.name not in ("init", "whiten", "cutmix", "loss", "optimizer"):  # they would contradict others
            assert getattr(recipe, one.name) != one.default, one.name
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_the_recorded_recipe_is_the_recipe(tmp_path: Path) -> None:
    """What a run folder records is read back as the same recipe, whatever had been changed."""
    changes = settings_of(
        ["augmentation.RandomCrop.padding=2", "schedule=CosineAnnealingLR", "classes=[1,2]", "seed=1"][:3]
    )
    recipe = find_recipe("resnet32", "cifar100", None, changes)
    assert read(tmp_path, recipe.to_toml(), "recipe.toml") == recipe
    assert find_recipe("resnet32", "cifar100", str(tmp_path / "recipe.toml")) == recipe


# ------------------------------------------------------------------------------------------------- files that extend


def test_a_file_extends_a_bundled_recipe(tmp_path: Path) -> None:
    recipe = read(tmp_path, """
        extends = "resnet-cifar"
        epochs = 3
        schedule = "CosineAnnealingLR"
        [optimizer]
        weight_decay = 1e-3
        [augmentation]
        RandomCrop.padding = 2
        RandomVerticalFlip = {p = 0.1}
        RandomHorizontalFlip = false
    """)  # fmt: skip
    base = find_recipe(name="resnet-cifar")
    assert (recipe.name, recipe.epochs, recipe.model) == ("mine", 3, "resnet20")
    assert recipe.optimizer_options == {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3}
    assert (recipe.schedule, recipe.schedule_options) == ("CosineAnnealingLR", {})  # not the milestones of another one
    assert recipe.augmentation == (("RandomCrop", {"size": 32, "padding": 2}), ("RandomVerticalFlip", {"p": 0.1}))
    assert recipe.transforms == base.transforms and recipe.batch_size == base.batch_size
    assert read(tmp_path, 'extends = "mine.toml"\nepochs = 4', "second.toml") == replace(
        recipe, name="second", epochs=4
    )
    assert bundled("resnet-cifar").recipe.epochs == 164  # the base is as it was


def test_a_file_says_for_which_nets_it_is(tmp_path: Path) -> None:
    text = 'extends = "resnet-cifar"\nmodels = ["resnet32", "ResNet44"]\ndatasets = ["cifar100", "cifar10"]'
    assert read(tmp_path, text).model == "resnet32" and read(tmp_path, text).dataset == "cifar100"
    recipe = read(tmp_path, text, model="resnet44", dataset="cifar10")
    assert (recipe.model, recipe.model_options, recipe.transforms[1][1]["std"][0]) == (
        "resnet44", {"num_classes": 10}, 0.2470,
    )  # fmt: skip
    with pytest.raises(UnknownNameError, match=r"mine\.toml is for resnet32, resnet44, not for resnet20.*with --set"):
        read(tmp_path, text, model="resnet20")
    with pytest.raises(UnknownNameError, match=r"mine\.toml: unknown model 'resnet33'"):
        read(tmp_path, 'extends = "resnet-cifar"\nmodels = ["resnet33"]')


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "digits"\nepochs = 3', encoding="utf-8-sig")
    assert find_recipe(name=str(tmp_path / "a.toml")).epochs == 3


def test_circles_end(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text('extends = "a.toml"', encoding="utf-8")
    with pytest.raises(SettingError, match="circle"):
        read(tmp_path, 'extends = "b.toml"', "a.toml")
    with pytest.raises(SettingError, match="circle"):
        read(tmp_path, 'extends = "c.toml"', "c.toml")
    for place in range(12):
        (tmp_path / f"{place}.toml").write_text(f'extends = "{place + 1}.toml"', encoding="utf-8")
    with pytest.raises(SettingError, match=r"\d\.toml"):
        find_recipe(name=str(tmp_path / "0.toml"))


# ------------------------------------------------------------------------------------------- changes of single settings


def changed(
    *texts: str, model: str = "resnet20", dataset: str = "cifar10", name: str | None = "resnet-cifar"
) -> Recipe:
    return find_recipe(model, dataset, name, settings_of(texts))


def test_changes_of_settings() -> None:
    recipe = changed(
        "optimizer.weight_decay=5e-4", "schedule.milestones=[0.3,0.6]", "augmentation.RandomCrop.padding=2",
        "loss.label_smoothing=0.1", "decay=weights", "early_stopping=4", 'rates.layer1.*=0.5', "about=my own",
        "rates.\"conv1\"=0.25", "freeze=[\"bn1\"]",
    )  # fmt: skip
    base = find_recipe(name="resnet-cifar")
    assert recipe == replace(
        base, optimizer_options={**base.optimizer_options, "weight_decay": 5e-4},
        schedule_options={"milestones": [0.3, 0.6], "gamma": 0.1}, loss_options={"label_smoothing": 0.1},
        augmentation=(("RandomCrop", {"size": 32, "padding": 2}), ("RandomHorizontalFlip", {})), decay="weights",
        early_stopping=4, rates={"layer1.*": 0.5, "conv1": 0.25}, about="my own", freeze=("bn1",),
    )  # fmt: skip


def test_a_new_name_takes_new_options() -> None:
    for texts in (["optimizer=Adam", "optimizer.lr=0.01"], ["optimizer.lr=0.01", "optimizer.name=adam"],
                  ["optimizer.lr=0.01", "optimizer=adam"], ["optimizer={name='Adam', lr=0.01}"]):  # fmt: skip
        recipe = changed(*texts)
        assert (recipe.optimizer, recipe.optimizer_options) == ("Adam", {"lr": 0.01}), texts
    assert changed("optimizer=sgd").optimizer_options["momentum"] == 0.9  # the same name: the options stay
    assert (changed("schedule=none").schedule, changed("schedule.name=none").schedule_options) == (None, {})
    assert changed("early_stopping=3", "early_stopping=none").early_stopping is None


def test_transforms_are_changed_added_and_removed() -> None:
    assert changed("augmentation=[]").augmentation == ()
    assert changed("augmentation.RandomCrop=false").augmentation == (("RandomHorizontalFlip", {}),)
    assert changed("augmentation.randomcrop.padding=1").augmentation[0] == ("RandomCrop", {"size": 32, "padding": 1})
    added = changed("augmentation.RandomVerticalFlip.p=0.2", "augmentation.RandomHorizontalFlip.p=0.1").augmentation
    assert added[1:] == (("RandomHorizontalFlip", {"p": 0.1}), ("RandomVerticalFlip", {"p": 0.2}))
    with pytest.raises(SettingError, match=r"augmentation\.CenterCrop = false: there is no CenterCrop"):
        changed("augmentation.CenterCrop=false")


def test_transforms_of_transforms_and_interpolations() -> None:
    recipe = changed(
        "augmentation=[]", "augmentation.RandomApply.p=1",
        "augmentation.RandomApply.transforms=['RandomHorizontalFlip', {Resize={size=9, interpolation='nearest'}}]",
    )  # fmt: skip
    made = build_transform(recipe.augmentation).transforms[0]
    assert [type(one).__name__ for one in made.transforms] == ["RandomHorizontalFlip", "Resize"] and made.p == 1
    assert made.transforms[1].interpolation is InterpolationMode.NEAREST
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_classes_and_dataset_decide_the_outputs() -> None:
    assert changed("classes=[3,5,7]").model_options == {"num_classes": 3}
    assert changed("classes=[3,5]", "model.num_classes=4").model_options == {"num_classes": 4}
    fitted = changed("classes=[1,2]", model="LeNet5", dataset="digits", name="fitted")
    assert fitted.model_options["num_classes"] == 2
    with pytest.raises(SettingError, match=r"num_classes is 2, but cifar10 has 3 classes: set it to 3"):
        changed("classes=[3,5,7]", "model.num_classes=2")


# -------------------------------------------------------------------------------------------------------- what is wrong

WRONG = {
    "optimizer.weigth_decay=1": "optimizer: SGD has no option 'weigth_decay'; .* Did you mean 'weight_decay'",
    "optimizer.params=[1]": "SGD has no option 'params'",
    "optimizer.name=Adamm": "unknown optimizer 'Adamm'.*Did you mean 'Adam",
    "optimizer.lr=fast": r"optimizer\.lr must be a number from 0, got 'fast'",
    "optimizer.lr=-1": r"optimizer\.lr must be a number from 0",
    "optimizer.lr=nan": r"optimizer\.lr must be a finite number",
    "optimizer.momentum=inf": r"optimizer\.momentum must be a finite number",
    "optimizer.momentum=true": "optimizer: momentum must be a number, got True",
    "optimizer.nesterov=1": "optimizer: nesterov must be true or false, got 1",
    "optimizer=[1]": "optimizer must be a name, or a table",
    "optimizer.name=3": "optimizer must be a name, or a table",
    "schedul.gamma=1": "unknown setting 'schedul'.*Did you mean 'schedule'",
    "Epochs=1": "lower case: 'epochs'",
    "schedule.gama=1": "schedule: MultiStepLR has no option 'gama'.*'gamma'",
    "schedule.milestones=[2]": "milestones must be a share of the training",
    "schedule_every=month": "schedule_every must be one of 'step', 'epoch', got 'month'",
    "loss.label_smooting=0.1": "loss: CrossEntropyLoss has no option .*'label_smoothing'",
    "loss.label_smoothing=7": "loss",
    "model.num_clases=3": "model: resnet20 has no option|model: CifarResNet|Did you mean 'num_classes'",
    "model.weights=DEFAULT": "set weights to a run folder or a file of weights",
    "model=resnet21": "unknown model 'resnet21'",
    "dataset=cifar11": "unknown dataset 'cifar11'.*Did you mean 'cifar10'.*folder:PATH",
    "augmentation.RandomCrop.pading=1": r"augmentation\.RandomCrop: RandomCrop has no option 'pading'.*'padding'",
    "augmentation.RandomCrop.padding=-1": r"augmentation\.RandomCrop: .*padding",
    "augmentation.RandomCrop.padding=10001": r"augmentation\.RandomCrop: padding must be at most 10,000",
    "augmentation.RandomCrop.size=[99999999999, 3]": "size must be at most 10,000",
    "augmentation.Compose={}": "unknown transform 'Compose'",
    "augmentation.os.system=rm": "unknown transform 'os'",
    "augmentation=ToTensor": "augmentation must be a list of transforms",
    "augmentation.Resize={size=3, interpolation='cubic'}": "unknown interpolation 'cubic'; there are: .*'bicubic'",
    "augmentation.RandomApply.transforms=[3]": "transforms: each transform is a name, or a table",
    "augmentation.RandomApply.transforms=[{RandomCrop={size=99999}}]": "transforms must be at most 10,000",
    "augmentation.RandomApply.transforms=['Lambda']": "unknown transform 'Lambda'",
    "augmentation=[3]": "each transform is a name, or a table of one name",
    "augmentation=[{A={}, B={}}]": "each transform is a name, or a table of one name",
    "augmentation.RandomCrop=7": "must be a table of options, or false",
    "epochs=0": "epochs must be a whole number from 1 to 1,000,000, got 0",
    "epochs=1.5": "epochs must be a whole number",
    "epochs=true": "epochs must be a whole number",
    "epochs=" + "9" * 5000: "the value cannot be read|epochs must be",
    "batch_size=-3": "batch_size must be a whole number from 1",
    "validation=1": "validation must be a share",
    "validation=train": "validation must be a share",
    "validation=nan": "validation must be a share",
    "warmup=1.0": "warmup must be a number from 0 to below 1",
    "clip_norm=0": "clip_norm must be a number above 0",
    "mixup=-0.1": "mixup must be a number from 0 to 100",
    "ema=1": "ema must be a number from 0 to below 1",
    "tta=flop": "tta: .*'flop'",
    "tta=five_crop": "tta: .*size",
    "loss.reduction=none": "loss: .*number for each image",
    "model.num_classes=1": "set it to 10, or leave it out",
    "progressive=[[0.5, 32], [0.2, 24]]": "progressive must be a list of .share of the training, side",
    "progressive=[[0.5, 32]]": "progressive must be a list",
    "progressive=[32]": "progressive must be a list",
    "init=she": "init must be one of 'he', ",
    "freeze=conv1": "freeze must be a list of texts",
    "rates.conv1=-1": "rates must be a table from patterns of names to factors above 0",
    "classes=[1]": "classes must be a list of two or more different classes",
    "classes=[1,1]": "classes must be a list of two or more different",
    "classes=[1,2.5]": "classes must be a list of two or more different",
    "train_size=0": "train_size must be a whole number from 1",
    "workers=9999": "workers must be a whole number from 0 to 256",
    "device=gpu": 'device must be "cpu"',
    "name=../../x": "name must be a name of at most 100",
    "models=[1]": "models belongs into the file of a recipe; set model instead",
    "extends=digits": "extends belongs into the file",
    "epochs": "'epochs' is not KEY=VALUE",
    "=3": "is not KEY=VALUE",
    "a..b=3": "is not KEY=VALUE",
    "epochs=[1": "'.1' is no value",
    "epochs=1\nworkers=2": "not|no value|cannot be read",
}  # fmt: skip
CONTRADICTIONS = {
    "early_stopping=3 validation=0": "early_stopping looks at validation images, but validation is 0",
    "early_stopping=3 validation=test": "early_stopping looks at validation images, but validation is 'test'",
    "schedule=ReduceLROnPlateau schedule_every=epoch validation=0": "looks at validation images, but validation is 0",
    "schedule=ReduceLROnPlateau": 'set schedule_every = "epoch"',
    "schedule=ReduceLROnPlateau schedule_every=epoch warmup=0.1": "warmup cannot come before",
    "schedule=OneCycleLR warmup=0.1": r"leave out warmup, and set schedule\.pct_start",
    "loss=NLLLoss mixup=0.2": "soft targets, which NLLLoss does not take",
    "mixup=0.2 cutmix=1": "mixup and cutmix are both above 0",
    "schedule=none schedule.gamma=0.1": "schedule is none, and has no options; leave out gamma",
    "head=true": "weights names none: set weights to a run folder",
    "init=he weights=runs/1": "init draws new weights, but weights loads trained ones",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:40])
def test_a_wrong_setting_says_what_is_right(text: str) -> None:
    with pytest.raises(SettingError, match=WRONG[text]) as found:
        changed(text)
    assert len(str(found.value)) < 900


@pytest.mark.parametrize("texts", CONTRADICTIONS)
def test_settings_that_contradict_each_other(texts: str) -> None:
    with pytest.raises(SettingError, match=CONTRADICTIONS[texts]):
        changed(*texts.split())


def test_schedules_that_look_at_validation_can_be_used() -> None:
    recipe = changed("schedule=reducelronplateau", "schedule.patience=3", "schedule_every=epoch")
    assert (recipe.schedule, recipe.schedule_options) == ("ReduceLROnPlateau", {"patience": 3})


FILES = {
    "not TOML": ("epochs = = 3", "this is not TOML: .*line 1"),
    "binary": ("\x00\x01\x02", "this is not TOML"),
    "empty": ("", "the recipe lacks model, dataset, epochs, batch_size, optimizer"),
    "unknown key": (SMALL + "epoch = 3", "unknown setting 'epoch'.*Did you mean 'epochs'"),
    "twice": (SMALL + "epochs = 3", "not TOML: Cannot overwrite a value"),
    "deep": (f"{SMALL}x = {5000 * chr(91)}{5000 * chr(93)}", "cannot be read|unknown setting"),
    "long number": (SMALL.replace("2", "9" * 5000), "cannot be read|epochs must be"),
    "deep options": (SMALL + "transforms = [{Pad = {padding = [[[[[[[[[1]]]]]]]]]}}]", r"\.Pad\.padding must be"),
    "no model": ('extends = "nothing"', "extends: there is no recipe 'nothing'; there are: digits"),
    "extends no name": ('extends = "a\\u0000.toml"', "extends: .* is no name of a file"),
    "extends a number": ("extends = 3", "extends must be the name of a recipe or a file, got 3"),
    "extends a missing file": ('extends = "none.toml"', r"none\.toml: the recipe cannot be read: No such file"),
    "date": (SMALL + "about = 2020-01-01", "about must be a text"),
    "wrong table": (SMALL + "[loss]\nlabel_smoothing = 0.1", "loss must be a name, or a table with a name"),
    "model path": (SMALL.replace("LeNet5", "os.system"), "unknown model 'os.system'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_a_wrong_file_is_named(kind: str, tmp_path: Path) -> None:
    text, message = FILES[kind]
    with pytest.raises(SettingError, match=message) as found:
        read(tmp_path, text)
    assert "mine.toml: " in str(found.value) or "none.toml: " in str(found.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name, message in ((tmp_path / "a.toml", "No such file"), (tmp_path / "folder.toml", "folder|directory")):
        (tmp_path / "folder.toml").mkdir(exist_ok=True)
        with pytest.raises(SettingError, match=message):
            find_recipe(name=str(name))
    (tmp_path / "huge.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(SettingError, match="more than 1,048,576 bytes"):
        find_recipe(name=str(tmp_path / "huge.toml"))
    (tmp_path / "latin.toml").write_bytes(b"about = '\xe9'")
    with pytest.raises(SettingError, match=r"latin\.toml: the recipe cannot be read"):
        find_recipe(name=str(tmp_path / "latin.toml"))


@pytest.mark.parametrize("key", [one.name for one in fields(Recipe) if one.name not in TABLES.values()])
def test_every_setting_refuses_a_wrong_type(key: str) -> None:
    data = find_recipe(name="resnet-cifar").to_dict()
    for value in ({"x": object()}, float("nan"), -1, [[None]], b"x", 10**400):
        with pytest.raises(SettingError, match=key.partition("_")[0]):
            Recipe.from_dict({**data, key: value})
