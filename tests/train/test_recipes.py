from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import datasets, models, nn, optim
from minicnn.train import (
    RECIPES,
    SettingError,
    UnknownNameError,
    build_dataset,
    build_model,
    build_optimizer,
    find_recipe,
    train,
)
from minicnn.train.settings import DATASETS, MODELS, OPTIMIZERS, TRANSFORMS
from minicnn.utils.data import DataLoader


def test_the_course_recipe() -> None:
    """LeNet-5 on MNIST as the courses print it."""
    recipe = find_recipe("lenet5", "mnist")
    assert recipe is find_recipe("LeNet5", name="course") is find_recipe("LENET5", "MNIST", "Course")
    assert (recipe.optimizer, dict(recipe.optimizer_options)) == ("SGD", {"lr": 0.01, "momentum": 0.0})
    assert (recipe.batch_size, recipe.epochs, recipe.loss) == (100, 10, "CrossEntropyLoss")
    assert recipe.transforms == (("ToTensor", {}), ("Resize", {"size": [32, 32]}))
    assert recipe.augmentation == ()
    assert recipe.model_options == {"num_classes": 10, "activation": "tanh", "pool": "max"}


def test_the_default_recipe() -> None:
    recipe = find_recipe()
    assert (recipe.model, recipe.dataset, recipe.name) == ("LeNet5", "digits", "digits")


@pytest.mark.parametrize(
    "recipe",
    [one for one in RECIPES if one.model != "resnet1202"],
    ids=lambda one: f"{one.name} {one.model} {one.dataset}",
)
def test_every_recipe_can_be_built(recipe: object) -> None:
    assert recipe.model in MODELS and recipe.dataset in DATASETS and recipe.optimizer in OPTIMIZERS  # type: ignore[attr-defined]
    assert {name for name, _ in (*recipe.transforms, *recipe.augmentation)} <= set(TRANSFORMS)  # type: ignore[attr-defined]
    with minicnn.device("meta"):
        model = build_model(recipe.model, recipe.model_options)  # type: ignore[attr-defined]
    optimizer = build_optimizer(recipe.optimizer, model, recipe.optimizer_options, recipe.decay)  # type: ignore[attr-defined]
    assert isinstance(optimizer, optim.Optimizer)
    assert optimizer.param_groups[0]["lr"] == recipe.optimizer_options["lr"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("lenet6",),
            r"unknown model 'lenet6'; minicnn\.models\.list_models\(\) lists.*Did you mean 'LeNet5'",
        ),
        (("LeNet5", "imagenet"), "unknown dataset 'imagenet'; there are: digits, mnist"),
        (("LeNet5", None, "curse"), "unknown recipe 'curse'; there are: digits, course.*'course'"),
        (("LeNet5", "digits", "course"), "no recipe 'course' for LeNet5 on digits; .*'course' for LeNet5 on mnist"),
    ],
)
def test_unknown_names(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        find_recipe(*arguments)


def test_builders_refuse_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="model"):
        build_model("ResNet")
    with pytest.raises(UnknownNameError, match="transform 'Compose'"):
        build_dataset("digits", train=True, steps=[("Compose", {})])
    with pytest.raises(UnknownNameError, match="optimizer 'Optimizer'"):
        build_optimizer("Optimizer", build_model("LeNet5"), {})
    with pytest.raises(SettingError, match="bundled"):
        build_dataset("digits", train=True, steps=[], root="somewhere")


def test_datasets_are_built_with_their_transforms() -> None:
    recipe = find_recipe()
    for part, count in ((True, 1437), (False, 360)):
        data = build_dataset("Digits", train=part, steps=recipe.transforms)
        assert isinstance(data, datasets.Digits) and len(data) == count
        image, target = data[0]
        assert image.shape == (1, 32, 32) and 0 <= target <= 9
    minicnn.manual_seed(0)
    assert isinstance(build_model("lenet5", {"activation": "relu"}), models.LeNet5)


def test_missing_mnist_names_the_remedy(tmp_path: object) -> None:
    with pytest.raises(datasets.DatasetError, match="train-images-idx3-ubyte"):
        build_dataset("mnist", train=True, steps=[], root=str(tmp_path))


def test_a_seed_decides_the_weights() -> None:
    def weights(seed: int) -> np.ndarray:
        minicnn.manual_seed(seed)
        return next(iter(build_model("LeNet5").parameters())).array

    assert np.array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_default_recipe_reaches_what_it_says(seed: int) -> None:
    recipe = find_recipe()
    minicnn.manual_seed(seed)
    model = build_model(recipe.model, recipe.model_options)
    steps = (*recipe.transforms, *recipe.augmentation)
    history = train(
        model,
        DataLoader(build_dataset("digits", train=True, steps=steps), batch_size=recipe.batch_size, shuffle=True),
        DataLoader(build_dataset("digits", train=False, steps=recipe.transforms), batch_size=200),
        build_optimizer(recipe.optimizer, model, recipe.optimizer_options),
        nn.CrossEntropyLoss(),
        recipe.epochs,
    )
    assert history[-1].val_top1 >= 0.97
